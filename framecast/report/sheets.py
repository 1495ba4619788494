"""Strips and contact sheets: pictures on paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image, ImageDraw

from framecast.atomic import replacing
from framecast.report.figures import BLACK, BLUE, DPI, ORANGE, SOFT, clean, save
from framecast.report.film import rgb
from framecast.report.panels import enlarge, fit, font

SCALE = "bars: standard deviations from train's mean, cut at 3"


def strip(
    path: str | Path,
    rows: Mapping[str, np.ndarray],
    times: Sequence[int],
    first: int = 0,
    scale: int | None = None,
    given: int = 0,
) -> Path:
    """Frames of several films at some times, a film a row: truth, prediction, error.

    Args:
        path: PNG.
        rows: name -> uint8 (T, H, W, C), all of one H and W.
        times: indices into the films, one a column.
        first: what the frame at index 0 is called above its column (1 where the films begin after one given frame).
        scale: whole number to enlarge by; None: so that a frame is at least 96 pixels high.
        given: the films' first frames that were given; they are outlined.

    Raises:
        ValueError: no rows or times, a time outside a film, or frames of unequal sizes.
    """
    if not rows or not len(times):
        raise ValueError("A strip needs at least one film and one time.")
    sizes = {film.shape[1:3] for film in rows.values()}
    if len(sizes) > 1:
        raise ValueError(f"All films of a strip have one size (H, W); these have {sorted(sizes)}.")
    last = min(map(len, rows.values())) - 1
    outside = [t for t in times if not 0 <= t <= last]
    if outside:
        raise ValueError(f"The films hold the frames 0 to {last}; times outside: {outside}.")
    height, width = next(iter(sizes))
    scale = scale or math.ceil(96 / height)
    high, wide, gap, text = height * scale, width * scale, 4, 18
    margin, top = int(max(font(text).getlength(name) for name in rows)) + 16, text + 12
    size = (margin + len(times) * (wide + gap), top + len(rows) * (high + gap))
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for row, (name, film) in enumerate(rows.items()):
        y = top + row * (high + gap)
        draw.text((margin - 10, y + high // 2), name, BLACK, font(text), anchor="rm")
        for column, t in enumerate(times):
            x = margin + column * (wide + gap)
            canvas.paste(Image.fromarray(enlarge(film[t], scale)), (x, y))
            if t < given:
                draw.rectangle((x, y, x + wide - 1, y + high - 1), outline=ORANGE, width=3)
    for column, t in enumerate(times):
        label = fit(f"frame {t + first}" if column == 0 else str(t + first), wide, text)
        draw.text((margin + column * (wide + gap) + wide // 2, top // 2), label, BLACK, font(text), anchor="mm")
    with replacing(Path(path)) as partial:
        canvas.save(partial, "PNG", dpi=(DPI, DPI))
    return Path(path)


def contact_sheet(
    path: str | Path,
    frames: np.ndarray,
    conditions: np.ndarray | None = None,
    titles: Sequence[str] | None = None,
) -> Path:
    """Frames in a grid, each with its condition below: what a data set holds.

    Args:
        path: PNG, SVG or PDF.
        frames: uint8 (n, H, W, C).
        conditions: pictures uint8 (n, H, W, C); vectors (n, D) drawn as D bars from -3 to 3, which are each number's
            deviations from its mean over train in its standard deviations: raw, a large one hides all others; or None.
        titles: n texts.

    Raises:
        ValueError: no frames, or conditions or titles of another number.
    """
    n = len(frames)
    counts = {
        "conditions": n if conditions is None else len(conditions),
        "titles": n if titles is None else len(titles),
    }
    if not n or set(counts.values()) != {n}:
        raise ValueError(
            f"A contact sheet needs a frame or more and a condition and title for each; {n} frames, {counts}."
        )
    bars = conditions
    if conditions is not None and conditions.ndim == 4:
        frames, bars = np.concatenate([rgb(frames), rgb(conditions)], axis=1), None
    shape = frames.shape[1] / frames.shape[2]
    # columns so that the sheet comes out about half as wide again as it is high
    columns = n if n <= 4 else min(n, round(math.sqrt(1.5 * n * (shape + 0.5 * (bars is not None)))) or 1)
    wide, lines = 9.0 / max(columns, 3), math.ceil(n / columns)
    heights = [wide * shape] if bars is None else [wide * shape, 0.45 * wide]
    high = lines * (sum(heights) + 0.05 + (0.2 if titles is not None else 0) + (0.25 if bars is not None else 0))
    figure = Figure(figsize=(columns * wide, high), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01))
    grid: Any = figure.subplots(
        lines * len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights * lines}
    )
    for axes in grid.flat:
        axes.set_axis_off()
    longest = max(map(len, titles or [""])) or 1
    size = float(np.clip(72 * wide / (0.65 * longest), 4.5, 8))  # points: a letter is about 0.65 of its size wide
    for index, frame in enumerate(frames):
        row, column = divmod(index, columns)
        upper = grid[row * len(heights), column]
        _picture(upper, frame)
        if titles is not None:
            upper.set_title(titles[index], fontsize=size, pad=3, parse_math=False)
        if bars is not None:
            _bars(grid[row * 2 + 1, column], bars[index], labelled=column == 0)
    if bars is not None:
        figure.supxlabel(SCALE, fontsize=7, color=SOFT)
    return save(figure, path)


def _picture(axes: Axes, frame: np.ndarray) -> None:
    axes.imshow(rgb(frame), interpolation="nearest")
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="#d0d2d6", linewidth=0.6)  # so that a picture on white ground has an end


def _bars(axes: Axes, numbers: np.ndarray, labelled: bool) -> None:
    """The numbers (D,) of one condition as bars."""
    axes.set_axis_on()
    clean(axes)
    size = len(numbers)
    axes.bar(range(size), numbers, color=BLUE, width=0.7)
    axes.axhline(0, color=SOFT, linewidth=0.6)
    axes.set_ylim(-3, 3)
    axes.set_xticks(range(0, size, math.ceil(size / 8)))  # more labels than eight run into each other
    axes.set_yticks([-3, 0, 3])
    axes.tick_params(axis="x", length=0, labelsize=6)
    axes.tick_params(axis="y", labelsize=6, labelleft=labelled)
