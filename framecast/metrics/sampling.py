"""Metrics of many samples of one video: the best of them, and how far they lie apart.

The rule of every number is in its name: `psnr best of 100` is, for each video, the highest of 100 samples' means over
frames; it is chosen per metric and per video, and averaged over videos (Denton and Fergus 2018).
"""

from __future__ import annotations

import math

import numpy as np


def best_of(scores: np.ndarray, lowest: bool = False) -> float:
    """The highest of the samples' means over frames.

    Args:
        scores: (K, T) of one video and one metric.
        lowest: less is better (LPIPS).

    Raises:
        ValueError: no samples or no frames.
    """
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"Scores of samples are (K, T) with at least one of each; these are {scores.shape}.")
    means = scores.mean(1)
    return float(means.min() if lowest else means.max())


class Diversity:
    """Mean pairwise distance of samples of one video, from sums: no two samples need to be in memory at once.

    The distance of two films is the root of their mean squared difference, in grey levels of 0..255; the mean over
    pairs is taken of the squares, which for K samples is 2 K / (K - 1) times their variance at each value.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: np.ndarray | None = None
        self._spread = 0.0

    def add(self, film: np.ndarray) -> None:
        """One sample, uint8 (T, H, W, C)."""
        values = film.astype(np.float64)
        self.count += 1
        if self._mean is None:
            self._mean = values
            return
        step = values - self._mean  # Welford's update: exact where sums of squares would cancel
        self._mean = self._mean + step / self.count
        self._spread += float((step * (values - self._mean)).mean())

    def value(self) -> float:
        """In grey levels; 0 for a single sample."""
        return math.sqrt(2 * self._spread / (self.count - 1)) if self.count > 1 else 0.0
