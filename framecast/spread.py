"""How the numbers of a vector condition are spread over a split: what models standardise with, and what spoils it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from framecast.store import Entry
from framecast.values import Condition

FAR = 1e4  # times the usual size of a number: recordings reach some hundred, a slip of units or a broken sensor more


def standard(condition: Condition, values: np.ndarray) -> Condition:
    """The condition with mean and spread of its numbers (N, D); a number that never changes has spread 1."""
    std = values.std(0, dtype=np.float64)
    mean = values.mean(0, dtype=np.float64)
    return replace(condition, mean=tuple(map(float, mean)), std=tuple(float(s) if s > 1e-6 else 1.0 for s in std))


def far_out(values: np.ndarray, entries: Sequence[Entry]) -> dict[str, str]:
    """Of a store's `about`: the number that is most times its usual size, where that is over 10,000; else nothing.

    Usual is the median of the absolute values that are not 0, which one bad episode moves little. The standard
    deviation would not do: the bad episode makes it large, and lies few of them away. It is said and not refused, as
    a number may be so by nature.
    """
    sizes = np.abs(values)
    usual = np.array([np.median(column[column > 0]) if column.any() else 1.0 for column in sizes.T])
    row, column = np.unravel_index(np.argmax(sizes / usual), sizes.shape)
    if sizes[row, column] <= FAR * usual[column]:
        return {}
    entry = next(e for e in entries if e.first_condition <= row < e.first_condition + e.conditions)
    place = f"number {column} is {values[row, column]:g} in {entry.name}, row {row - entry.first_condition}"
    spoilt = "that flattens it in all other episodes, as models standardise it"
    return {"far out": f"{place}, usually about {usual[column]:g}: {spoilt}. Mend that file, or take it out"}
