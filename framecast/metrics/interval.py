"""How sure a mean is."""

from __future__ import annotations

import numpy as np

TIMES = 10_000


def bootstrap(values: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """The interval of a mean over videos, by drawing the videos anew with replacement (Efron 1979, percentiles).

    Args:
        values: (V,), one number a video.
        level: share of the drawn means inside.
        seed: of the draws.

    Raises:
        ValueError: no values.
    """
    if values.ndim != 1 or not values.size:
        raise ValueError(f"An interval needs one number for each of at least one video; these are {values.shape}.")
    drawn = np.random.default_rng(seed).integers(len(values), size=(TIMES, len(values)))
    low, high = np.quantile(values[drawn].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
