"""Reading and resizing single pictures, the same way in packing and in prediction."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


def decode(data: bytes | Path, name: str, channels: int = 3) -> np.ndarray:
    """A PNG or JPEG as uint8 (H, W, C); 16 bits a value become 8.

    Raises:
        ValueError: it is cut off or no picture.
        FileNotFoundError: it is not there.
    """
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as picture:
            if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut to white
                picture = Image.fromarray((np.asarray(picture).clip(0, 65535) / 257).round().astype(np.uint8))
            elif picture.mode == "F":
                raise ValueError("its pixels are floating-point numbers, of no known range")
            array = np.asarray(picture.convert("RGB" if channels == 3 else "L"))
    except (FileNotFoundError, PermissionError):
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name} is not a readable picture ({error}). Copy or make it again.") from None
    return array if array.ndim == 3 else array[:, :, None]


def resize(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (T, H, W, C) to another (H, W) with an antialiased bilinear filter (support grows as pictures shrink)."""
    if frames.shape[1:3] == size:
        return frames
    height, width = size

    def one(frame: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(frame[:, :, 0] if frame.shape[-1] == 1 else frame)
        small = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
        return small if small.ndim == 3 else small[:, :, None]

    return np.stack([one(np.ascontiguousarray(frame)) for frame in frames])
