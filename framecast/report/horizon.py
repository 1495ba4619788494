"""The figure of drift: PSNR, mean colour and sharpness over the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framecast.report.figures import BLACK, COLOURS, SOFT, clean, save, smooth
from framecast.values import is_copy

PANELS = {
    "psnr": "PSNR (dB)",
    "colour": "colour, from the given\nframe's (0..255)",
    "sharpness": "sharpness over\nthe given frame's",
}
MODELS = [c for c in COLOURS if c != BLACK]  # the truth's, and grey copying's


def drift_figure(path: str | Path, found: Mapping[str, Any], fps: float) -> Path:
    """A line for each row: own frames fed are drawn through, true ones dashed in the same colour, copying in grey.

    Args:
        path: PNG, SVG or PDF.
        found: `rows` and `curves` as in drift.json.
        fps: frames per second, for the length in seconds.
    """
    rows, curves = found["rows"], found["curves"]
    figure = Figure(figsize=(8, 7.5), layout="constrained")
    panels: Any = figure.subplots(len(PANELS), 1, sharex=True, gridspec_kw={"height_ratios": [1.6, 1, 1]})
    length = max(len(curves[who]["colour"]) for who in rows)
    window = 1 if length <= 150 else 2 * (length // 120) + 1
    end = len(curves["truth"]["colour"])
    models = list(dict.fromkeys(row["who"] for row in rows.values() if not is_copy(row["who"])))
    for axes, (key, label) in zip(panels, PANELS.items(), strict=True):
        clean(axes)
        axes.set_ylabel(label)
        for who, row in rows.items():
            _line(axes, who, curves[who][key], window, **_style(row, models))
        if key != "psnr":
            _line(axes, "truth", curves["truth"][key], window, color=BLACK, linewidth=1.4)
        if length > end:
            axes.axvline(end, color=SOFT, linewidth=0.8)
    if length > end:
        panels[1].annotate("recording ends", (end, 1), xycoords=("data", "axes fraction"), fontsize=8, color=SOFT)
    if max(curves[who]["sharpness"][-1] for who in rows) > 20:  # noise piles up by orders of magnitude
        panels[2].set_yscale("log")
    mean = f" (mean of {window} frames)" if window > 1 else ""
    panels[-1].set_xlabel(f"predicted frame{mean}; {length} frames are {length / fps:.0f} s")
    handles, labels = panels[1].get_legend_handles_labels()
    figure.suptitle("Drift over the horizon", x=0.01, ha="left", fontsize=11, fontweight="bold")
    figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    return save(figure, path)


def _style(row: Mapping[str, str], models: list[str]) -> dict[str, Any]:
    forced = row["fed"] == "true"
    if row["who"] not in models:
        marks = {"copy first frame": ":", "copy last frame": "-."}
        return {"color": SOFT, "linestyle": "--" if forced else marks[row["who"]], "linewidth": 1.2}
    again, index = divmod(models.index(row["who"]), len(MODELS))  # the colours a second time are dotted
    line = (0, (4, 1, 1, 1)) if again else "-"
    return {"color": MODELS[index], "linestyle": "--" if forced else line, "linewidth": 1.1 if forced else 1.8}


def _line(axes: Axes, name: str, values: Any, window: int, **style: Any) -> None:
    shown = smooth(np.asarray(values, dtype=np.float64), window)
    axes.plot(np.arange(1, len(shown) + 1), shown, label=name, **style)
