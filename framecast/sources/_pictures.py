"""Reading and resizing single pictures, the same way in packing and in prediction."""

from __future__ import annotations

import io
from collections.abc import Iterable
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


def squeezed(found: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether resizing (H, W) to `size` changes the aspect ratio by over 2 %, and not by rounding to pixels alone."""
    ratio = found[0] * size[1] / (found[1] * size[0])
    return abs(ratio - 1) > 0.02 and _in_shape(found, size) != size


def resized(found: Iterable[tuple[int, int]], size: tuple[int, int]) -> dict[str, str]:
    """Of a source's `about`: pictures of these (H, W) that lost their aspect ratio; nothing where all kept it."""
    sizes = set(found)
    others = sorted(one for one in sizes if squeezed(one, size))
    if not others:
        return {}
    shown = ", ".join(f"{height} x {width}" for height, width in others)
    way = "; --size {}x{} keeps it".format(*_in_shape(others[0], size)) if len(sizes) == 1 else ""
    return {"resized": f"frames of {shown} (H x W) to {size[0]} x {size[1]}, another aspect ratio{way}"}


def _in_shape(found: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) as long as `size` with the aspect ratio of `found`; sides of 8 pixels or more, as a store's."""
    scale = max(max(size) / max(found), 8 / min(found))
    return round(found[0] * scale), round(found[1] * scale)
