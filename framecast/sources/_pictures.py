"""Finding, reading, resizing and writing pictures, the same way in packing and in prediction."""

from __future__ import annotations

import io
import re
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


def number_of(path: Path) -> int:
    """The number at the end of a file's name: 12 for frame000012.png.

    Raises:
        ValueError: there is none.
    """
    match = re.search(r"[0-9]+$", path.stem)
    if match is None:
        raise ValueError(
            f"{path} has no number at the end of its name. Pictures are called 12.png, frame12.png or frame000012.png: "
            f"rename it or take it out."
        )
    return int(match.group())


def numbered(folder: Path, kinds: tuple[str, ...], advice: str) -> list[Path]:
    """The pictures of a folder that end in one of `kinds`, in the order of their numbers.

    Raises:
        ValueError: one has no number, or numbers are double or missing; `advice` says what to do about a missing one.
    """
    found = (p for p in folder.iterdir() if p.suffix.lower() in kinds and not p.name.startswith("."))
    paths = sorted(found, key=lambda path: (number_of(path), path.name))
    for before, after in zip(paths, paths[1:], strict=False):
        missing = number_of(before) + 1
        if number_of(after) < missing:
            raise ValueError(f"{before} and {after.name} have the same number. Each frame has one file: remove one.")
        if number_of(after) > missing:
            raise ValueError(f"{before} is followed by {after.name}: number {missing} is missing. {advice}")
    return paths


def write_pictures(folder: Path, frames: np.ndarray, first: int = 0) -> None:
    """Frames uint8 (T, H, W, 3) as PNGs named by their numbers, from `first`; the folder is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        Image.fromarray(np.asarray(frame)).save(folder / f"{number}.png")


def check_size(frame: np.ndarray, name: Path | str, first: Path | str, size: tuple[int, int], rule: str) -> None:
    """Raises ValueError, which ends in `rule`, where a picture is not of the size (H, W) of the `first` one."""
    if frame.shape[:2] != size:
        height, width = frame.shape[:2]
        raise ValueError(f"{name} is {height} x {width} (H x W) but {first} is {size[0]} x {size[1]}{rule}")


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
