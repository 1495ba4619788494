"""What a report draws of a run: its losses, thinned, and beta and teacher forcing as the schedules themselves say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from framecast import schedules
from framecast.report.folders import Run, share
from framecast.schedules import Calendar, Progress

POINTS = 300  # of a curve at most
DENSE = 480  # of a schedule
SCHEDULES = ("beta", "tfr")

Points = list[list[float]]


def training(run: Run, column: str) -> Points:
    """[step, value] of a column of metrics.csv; of many rows the mean of so many neighbours that `POINTS` are left."""
    steps, values = (np.array(run.columns.get(key, [])) for key in ("step", column))
    if len(steps) != len(values):
        return []
    there = np.isfinite(values)
    return thin(steps[there], values[there])


def thin(steps: np.ndarray, values: np.ndarray) -> Points:
    """Means of neighbours, where there are more than `POINTS`."""
    parts = min(POINTS, len(steps))
    if not parts:
        return []
    cut = [part for part in np.array_split(np.stack([steps, values]), parts, axis=1)]
    return [[round(float(part[0].mean()), 1), short(float(part[1].mean()))] for part in cut]


def short(value: float, digits: int = 5) -> float:
    """A number in a few digits: a page is read by people."""
    return float(f"{value:.{digits}g}")


class Clock:
    """Where a run stood at each of its steps, and where it would stand at those to come.

    Args:
        run: with its configuration.
    """

    def __init__(self, run: Run) -> None:
        config, columns = run.config, run.columns
        steps = np.array(columns.get("step") or [0.0])
        seconds, epochs = (
            np.nan_to_num(np.array(columns.get(key) or [0.0] * len(steps))) for key in ("seconds", "epoch")
        )
        self.minutes, self.steps, self.epochs = (config.get(key) for key in ("minutes", "steps", "epochs"))
        self.by_epoch = config.get("schedule_unit") == "epoch"
        self.length = epoch_length(steps, epochs, self.by_epoch)
        self.epoch_of = _epoch_of(config.get("calendar"), self.length)
        self.last = float(steps[-1])
        self._steps, self._seconds = np.r_[0.0, steps], np.r_[0.0, seconds]
        self._pace = float(seconds[-1]) / max(self.last, 1.0)
        self.end = self._end() if share(run) < 1 else self.last or self._end()

    def _end(self) -> float:
        """The step at which the run ends as it was asked for."""
        if self.steps:
            return float(self.steps)
        if self.epochs and math.isfinite(self.length):
            return self.epochs * self.length
        if self.minutes and self._pace:
            return max(self.last, 60 * self.minutes / self._pace)
        return self.last

    def at(self, step: float) -> Progress:
        """As training counts it."""
        epoch = self.epoch_of(step)
        if self.minutes:
            beyond = max(0.0, step - self.last) * self._pace
            fraction = min(1.0, (float(np.interp(step, self._steps, self._seconds)) + beyond) / (60 * self.minutes))
            epochs = epoch / fraction if epoch > 0 and fraction > 0 else 1.0
        else:
            epochs = self.epoch_of(self.steps) if self.steps else float(self.epochs or 1)
            fraction = min(1.0, epoch / epochs if epochs else step / max(self.end, 1.0))
        found = Progress(fraction, epoch, epochs or 1.0)
        return found.by_epoch() if self.by_epoch else found


def _epoch_of(calendar: Any, length: float) -> Callable[[float], float]:
    """Epochs done after a number of steps: by the calendar that the run has written, else by epochs of that length."""
    if not isinstance(calendar, dict) or set(calendar) != {field.name for field in fields(Calendar)}:
        return lambda steps: steps / length
    made = Calendar(**{name: max(int(name != "shorts"), int(count)) for name, count in calendar.items()})
    return made.epoch


def epoch_length(steps: np.ndarray, epochs: np.ndarray, whole: bool) -> float:
    """Steps in an epoch, from metrics.csv, whose epoch is that before the row's step; infinite where none is logged.

    Args:
        steps, epochs: of its rows.
        whole: it has whole epochs only: then the whole number in the middle of what they leave open.
    """
    done = steps - 1
    moved = epochs > 0
    if not moved.any():
        return math.inf
    if not whole:
        return float((done[moved] / epochs[moved])[-1])
    low, high = float((done / (epochs + 1)).max()), float((done[moved] / epochs[moved]).min())
    return max(1.0, float(round((low + high) / 2)))


def schedule(run: Run, name: str) -> Points:
    """[step, value] of `beta` or `tfr` over all of a run, to come included; empty where the settings do not say."""
    if name not in run.config:
        return []
    try:
        drawn, clock = schedules.parse(str(run.config[name])), Clock(run)
    except (ValueError, TypeError):
        return []
    if clock.end <= 0:
        return []
    grid = np.unique(np.r_[np.linspace(0, clock.end, DENSE + 1), clock.last]).tolist()
    values = [[round(x, 2), short(drawn(clock.at(x)))] for x in grid]
    last = len(values) - 1
    return [
        p
        for k, p in enumerate(values)
        if k in (0, last) or grid[k] == clock.last or not values[k - 1][1] == p[1] == values[k + 1][1]
    ]
