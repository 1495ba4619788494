"""Small recordings made of noise: frames, pictures and vectors for tests of what reads or scores them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def vectors(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def encode(frame: np.ndarray, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(out, form)
    return out.getvalue()


def moving_square(t: int = 12, h: int = 32, w: int = 64, shift: int = 0) -> np.ndarray:
    """A red square moving over a grey ramp, uint8 (T, H, W, 3)."""
    frames = np.empty((t, h, w, 3), dtype=np.uint8)
    frames[:] = np.linspace(40, 200, h, dtype=np.uint8)[:, None, None]
    for k in range(t):
        left = (3 * k + shift) % (w - 8)
        frames[k, h // 4 : h // 4 + 8, left : left + 8] = (220, 30, 40)
    return frames
