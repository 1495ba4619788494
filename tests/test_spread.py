"""A number far beyond what is usual is told, with its place."""

from __future__ import annotations

import numpy as np
import pytest

from framecast.spread import far_out
from framecast.store import Entry

ENTRIES = [Entry(f"e{k}", 0, 0, 10 * k, 10) for k in range(4)]


def numbers() -> np.ndarray:
    """Rows of four episodes: usual numbers, a switch that is mostly off, large ones, and one that is never anything."""
    values = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32) * np.float32([1, 0, 1, 0])
    values[::10, 1] = 1
    values[:, 2] += 1.7e9
    return values


def test_what_is_usual_is_not_told() -> None:
    assert far_out(numbers(), ENTRIES) == far_out(numbers()[:, 3:], ENTRIES) == {}


@pytest.mark.parametrize("factor", [1e6, -1e30])
def test_a_bad_episode_is_told(factor: float) -> None:
    values = numbers()
    values[20:30, 0] = factor
    said = far_out(values, ENTRIES)["far out"]
    assert f"number 0 is {factor:g} in e2, row 0, usually about " in said and "take it out" in said
