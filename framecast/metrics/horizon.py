"""What becomes of a rollout over its horizon: measures of a series of scores, and of frames without their truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from framecast.metrics.frame import ends

WINDOW = 11  # frames of the running mean that a half-life is read off: one dark frame is no end
NOT_REACHED, NEVER_ABOVE = "not reached", "never above"


def mean(series: list[np.ndarray]) -> np.ndarray:
    """Of series (T,) of several lengths: at each frame, over those that have it."""
    longest = max(map(len, series))
    return np.nanmean([np.pad(s, (0, longest - len(s)), constant_values=np.nan) for s in series], 0)


def slope(series: np.ndarray) -> float:
    """Change per 100 frames of a series (T,) by least squares.

    Raises:
        ValueError: fewer than two frames.
    """
    if series.ndim != 1 or len(series) < 2:
        raise ValueError(f"A slope is of one series (T,) of two frames or more; this has the shape {series.shape}.")
    times = np.arange(len(series)) - (len(series) - 1) / 2
    return float(100 * (times @ series) / (times @ times))


def half_life(series: np.ndarray, floor: float) -> float | str:
    """The predicted frame, from 1, at which a PSNR (T,) above a floor has fallen to half of what it is at the start.

    Read off a running mean of 11 frames (a third of fewer than 33), by the frame in the middle.

    Returns:
        the frame; or `not reached`, or `never above` where the start is not above the floor.
    """
    window = min(WINDOW, max(1, len(series) // 3))
    above = np.convolve(series - floor, np.full(window, 1 / window), "valid")
    if above[0] <= 0:
        return NEVER_ABOVE
    fallen = np.flatnonzero(above <= above[0] / 2)
    return float(fallen[0] + (window + 1) / 2) if len(fallen) else NOT_REACHED


@dataclass
class Looks:
    """What is seen of a film without its truth, by frame.

    Args:
        colour: (T, C), mean of each channel, grey levels.
        energy: (T,), mean squared difference of neighbouring pixels.
        motion: (T,), root mean square change from the frame before.
    """

    colour: np.ndarray
    energy: np.ndarray
    motion: np.ndarray


def looks(frames: np.ndarray, before: np.ndarray) -> Looks:
    """Of frames uint8 (T, H, W, C) after the one before them (H, W, C)."""
    film = np.concatenate([before[None], frames]).astype(np.float64)
    motion = np.sqrt(np.square(np.diff(film, axis=0)).mean((1, 2, 3)))
    film = film[1:]
    energy = sum(np.square(np.diff(film, axis=axis)).mean((1, 2, 3)) for axis in (1, 2))
    return Looks(film.mean((1, 2)), np.asarray(energy), motion)


def end(count: int) -> slice:
    """The last 100 of so many frames, or the last third of fewer than 200."""
    return slice(count - ends(count), count)


def distance(colour: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(T,), between mean colours (T, C), root mean square over channels."""
    return np.sqrt(np.square(colour - other).mean(1))
