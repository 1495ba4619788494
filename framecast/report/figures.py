"""Figures of results, drawn by matplotlib without pyplot (no global state: safe in threads, needs no screen).

Colours are Okabe and Ito's, told apart by colour-blind readers. Text is sized for 150 dots per inch in a README.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from framecast.atomic import replacing

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK, SOFT = "#CC79A7", "#56B4E9", "#222222", "#6b6e76"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
DPI = 150
FEW = 20  # points that are marked: a line of one would not be seen

Rows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]  # of a metrics.csv, by row or by column


@dataclass(frozen=True)
class Panel:
    """One panel of a training figure: its axis, and the columns drawn in it with their names."""

    label: str
    columns: Mapping[str, str]
    height: float = 1.0
    log: bool = False
    limits: tuple[float, float] | None = None


LOSS = {"train/total": "total", "train/reconstruction": "reconstruction", "train/kl_weighted": "β · KL"}
PANELS = (
    Panel("loss", LOSS, 1.8, log=True),
    Panel("KL (nats)", {"train/kl": "KL"}, log=True),
    Panel("PSNR (dB)", {"train/psnr": "training", "val/psnr": "validation"}, 1.4),
    Panel("β", {"train/beta": "β"}, 0.7),
    Panel("teacher\nforcing ratio", {"train/tfr": "teacher forcing ratio"}, 0.7, limits=(-0.05, 1.05)),
)


# --- curves --------------------------------------------------------------------------------------------------------


def psnr_figure(path: str | Path, curves: Mapping[str, Any], title: str, fps: float | None = None) -> Path:
    """PSNR (dB) of every predicted frame, a line for each model and copy baseline, its mean in the legend.

    Beyond 150 frames the frames are drawn faintly under their running mean, so that neighbours can be told apart.

    Args:
        path: PNG, SVG or PDF.
        curves: name -> (T,) dB; the first is drawn foremost. Exact frames (100 dB) leave the axis at its top.
        title: one line.
        fps: frames per second, for a second axis in seconds.

    Raises:
        ValueError: no curves, or one that is no series.
    """
    series = {name: np.asarray(curve, dtype=np.float64) for name, curve in curves.items()}
    wrong = [f"{name} {values.shape}" for name, values in series.items() if values.ndim != 1 or not values.size]
    if wrong or not series:
        raise ValueError(
            f"PSNR curves are series (T,) of at least one frame; these are not: {wrong or 'there are none'}."
        )
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    clean(axes)
    longest = max(map(len, series.values()))
    window = 1 if longest <= 150 else 2 * (longest // 60) + 1
    for index, (name, values) in enumerate(series.items()):
        colour, front, frames = COLOURS[index % len(COLOURS)], 10 - index, np.arange(1, len(values) + 1)
        if window > 1:
            axes.plot(frames, values, color=colour, linewidth=0.6, alpha=0.35, zorder=front - 10)
        label = f"{name}, mean {values.mean():.2f} dB"
        style = {"marker": "o", "markersize": 3} if longest <= 30 else {}
        width = 2.0 if index == 0 else 1.4
        axes.plot(frames, smooth(values, window), color=colour, linewidth=width, zorder=front, label=label, **style)
    shown = np.concatenate([values[np.isfinite(values) & (values < 100)] for values in series.values()])
    if shown.size:
        margin = 0.06 * (np.ptp(shown) or 1)
        axes.set_ylim(shown.min() - margin, shown.max() + margin)
    axes.set_xlim(1 - 0.01 * longest, longest * 1.01)
    axes.set_xlabel("predicted frame" + (f" (thick: mean of {window} frames)" if window > 1 else ""))
    axes.set_ylabel("PSNR (dB)")
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], integer=True))
    if fps:
        _seconds(axes, fps)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", parse_math=False)
    abreast = 3 if max(map(len, series)) <= 16 else 2
    figure.legend(loc="outside lower left", ncols=abreast, frameon=False, handlelength=1.6, fontsize=9)
    return save(figure, path)


def _seconds(axes: Axes, fps: float) -> None:
    """A second axis above, in seconds since the given frame."""

    def to_seconds(frames: Any) -> Any:
        return frames / fps

    def to_frames(seconds: Any) -> Any:
        return seconds * fps

    above = axes.secondary_xaxis("top", functions=(to_seconds, to_frames))
    above.set_xlabel("time (s)", color=SOFT)
    above.tick_params(colors=SOFT)
    above.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    above.spines["top"].set_color(SOFT)


def training_figure(path: str | Path, rows: Rows, title: str = "") -> Path:
    """How a run went: loss terms, KL, PSNR, and aligned below them β and the teacher forcing ratio, over the step.

    Args:
        path: PNG, SVG or PDF.
        rows: Lightning's metrics.csv as rows or columns, with `step`, and those that are there of `train/total`,
            `train/reconstruction`, `train/kl_weighted`, `train/kl`, `train/psnr`, `val/psnr`, `train/beta` and
            `train/tfr`.
        title: one line.

    Raises:
        ValueError: no `step`, or none of these columns has a number.
    """
    return settings_figure(path, {"": rows}, title)


def settings_figure(path: str | Path, runs: Mapping[str, Rows], title: str = "") -> Path:
    """Runs under different settings side by side on common scales, each drawn as `training_figure` draws one.

    Args:
        path: PNG, SVG or PDF.
        runs: name of the setting -> its metrics.csv, as in `training_figure`.
        title: one line.

    Raises:
        ValueError: no runs, or as `training_figure`.
    """
    tables = {name: _columns(rows, name) for name, rows in runs.items()}
    shown = [panel for panel in PANELS if any(c in table for table in tables.values() for c in panel.columns)]
    if not shown:
        known = ", ".join(column for panel in PANELS for column in panel.columns)
        raise ValueError(f"There is nothing to draw: none of these columns has a number: {known}.")
    heights = [panel.height for panel in shown]
    figure = Figure(figsize=(max(7.2, 3.6 * len(tables)), 1.2 + 1.15 * sum(heights)), layout="constrained")
    grid: Any = figure.subplots(
        len(shown), len(tables), sharex="col", sharey="row", squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    drawn = [np.concatenate([t[c][1] for t in tables.values() for c in panel.columns if c in t]) for panel in shown]
    for column, (name, table) in enumerate(tables.items()):
        for row, panel in enumerate(shown):
            log = _lowest(panel, drawn[row]) is not None
            _training_panel(grid[row, column], panel, table, log, labelled=column == 0)
        grid[0, column].set_title(name, loc="left", fontsize=10, parse_math=False)
        grid[-1, column].set_xlabel("training step")
        grid[-1, column].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes, panel, values in zip(grid[:, 0], shown, drawn, strict=True):
        _value_axis(axes, panel, values)
    figure.align_ylabels()
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", parse_math=False)
    return save(figure, path)


def _training_panel(axes: Axes, panel: Panel, table: Mapping[str, np.ndarray], log: bool, labelled: bool) -> None:
    """The panel's columns over the step, faint where noisy with a running mean on top; on a log axis without zeros."""
    clean(axes)
    if labelled:
        axes.set_ylabel(panel.label)
    there = [column for column in panel.columns if column in table]
    if not there:
        axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, color=SOFT, ha="center", va="center")
        return
    for column in there:
        colour = COLOURS[list(panel.columns).index(column)] if len(panel.columns) > 1 else BLACK
        steps, values = table[column]
        scheduled = column in ("train/beta", "train/tfr")  # drawn as they are
        window = 1 if scheduled or len(values) <= 60 else 2 * (len(values) // 80) + 1
        if window > 1:
            axes.plot(steps, _without_zeros(values, log), color=colour, linewidth=0.5, alpha=0.3)
        # The total lies beneath its parts, wide enough to be seen where one of them is nearly all of it.
        style: dict[str, Any] = {"linewidth": 4, "alpha": 0.45} if column == "train/total" else {"linewidth": 1.6}
        if len(values) <= (60 if column.startswith("val/") else FEW):
            style |= {"marker": "o", "markersize": 3.5}
        if scheduled and "whole epochs" in table:
            style |= {"drawstyle": "steps-post"}
        shown = _without_zeros(smooth(values, window), log)
        axes.plot(steps, shown, color=colour, label=panel.columns[column], **style)
    if labelled and len(there) > 1:
        axes.legend(frameon=False, loc="best", handlelength=1.4, fontsize=8)


def _without_zeros(values: np.ndarray, log: bool) -> np.ndarray:
    """On a log axis zeros are gaps: a line to them would fall out of it."""
    return np.where(values > 0, values, math.nan) if log else values


def _lowest(panel: Panel, values: np.ndarray) -> float | None:
    """Where the log axis of all these values begins; None where the axis is a plain one."""
    if not panel.log or values.min() < 0 or values.max() <= 0:
        return None
    lowest = max(values[values > 0].min(), values.max() / 1e4)  # a weight that starts at 0 would take all the room
    return None if values.max() < 10 * lowest else float(lowest)  # within a decade a log axis has no ticks of its own


def _value_axis(axes: Axes, panel: Panel, values: np.ndarray) -> None:
    """Scale, limits and plain numbers of a row's axis, from all that is drawn in it."""
    axes.yaxis.set_major_locator(MaxNLocator(3 if panel.height < 1 else 5, steps=[1, 2, 5, 10]))
    if (lowest := _lowest(panel, values)) is not None:
        axes.set_yscale("log")
        axes.set_ylim(lowest / 1.2, values.max() * 1.2)
        marks = (1, 2, 5) if values.max() / lowest < 100 else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=marks, numticks=8))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if panel.limits:
        axes.set_ylim(*panel.limits)


def _columns(rows: Rows, run: str) -> dict[str, np.ndarray]:
    """Column -> (2, n): the steps that have a number, and the numbers. Blank cells and NaN are no numbers."""
    table = rows if isinstance(rows, Mapping) else {key: [row.get(key) for row in rows] for row in rows for key in row}
    if "step" not in table:
        raise ValueError(f"The metrics of {run or 'the run'} have no column 'step'; they have {sorted(table)}.")
    steps = _numbers(table["step"])
    columns = {}
    for panel in PANELS:
        for column in panel.columns:
            values = _numbers(table.get(column, ()))
            there = np.isfinite(values) & np.isfinite(steps[: len(values)])
            if there.any():
                columns[column] = np.stack([steps[: len(values)][there], values[there]])
    epochs = _numbers(table.get("epoch", ()))
    if epochs.size and (epochs[np.isfinite(epochs)] % 1 == 0).all():
        columns["whole epochs"] = epochs  # schedules moved between epochs only
    return columns


def _numbers(cells: Sequence[Any]) -> np.ndarray:
    return np.array([float(cell) if cell not in ("", None) else math.nan for cell in cells])


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Running mean of an odd window, narrower at the ends, so that it starts and stops with the series."""
    half = window // 2
    ends = np.arange(len(values))
    half = np.minimum(half, np.minimum(ends, ends[::-1]))
    total = np.r_[0, np.cumsum(values)]
    return (total[ends + half + 1] - total[ends - half]) / (2 * half + 1)


# --- paper ---------------------------------------------------------------------------------------------------------


def clean(axes: Axes) -> None:
    """Axes without a box, with faint lines to read values by."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e5e8", linewidth=0.7)
    axes.set_axisbelow(True)


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure whole or not at all, in the form its suffix names (PNG without one)."""
    path = Path(path)
    FigureCanvasAgg(figure)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=DPI, format=path.suffix[1:].lower() or "png", facecolor="white")
    return path
