"""How sure a mean is."""

from __future__ import annotations

import numpy as np

TIMES = 10_000
FEW = 10  # the bootstrap of two videos is the range of the two
METHOD = f"bootstrap over sequences, {TIMES:,} draws; of fewer than {FEW}, Student's t"


def over_videos(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The interval of a mean over videos (V,), as `METHOD` says. Raises ValueError where there are fewer than two."""
    return (bootstrap if len(values) >= FEW else student)(values, level)


def bootstrap(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The interval of a mean over videos, by drawing the videos anew with replacement (Efron 1979, percentiles).

    Args:
        values: (V,), one number a video.
        level: share of the drawn means inside.

    Raises:
        ValueError: fewer than two values, of which no spread can be told.
    """
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"An interval needs one number for each of at least two videos; these are {values.shape}.")
    drawn = np.random.default_rng(0).integers(len(values), size=(TIMES, len(values)))
    low, high = np.quantile(values[drawn].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def student(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The interval of a mean over a few independent runs or videos, taken as normal (Student 1908).

    The bootstrap of three values is hardly wider than their range; this is as wide as three values allow.

    Args:
        values: (R,), one number each.
        level: how often such intervals hold the true mean.

    Raises:
        ValueError: fewer than two values, of which no spread can be told.
    """
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(
            f"An interval needs one number for each of at least two videos or runs; these are {values.shape}."
        )
    half = _quantile(0.5 + level / 2, len(values) - 1) * float(values.std(ddof=1)) / len(values) ** 0.5
    return float(values.mean()) - half, float(values.mean()) + half


def _quantile(share: float, freedom: int) -> float:
    """Student's t below which that share lies."""
    # t = sqrt(freedom) tan(angle), where the angle has a density of cos(angle)^(freedom - 1).
    angles = np.linspace(-np.pi / 2, np.pi / 2, 200_001)
    density = np.cos(angles) ** (freedom - 1)
    below = np.cumsum(density) - density / 2
    return float(freedom**0.5 * np.tan(np.interp(share, below / density.sum(), angles)))
