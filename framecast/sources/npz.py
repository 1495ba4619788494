"""Recordings as .npz files: one file an episode, with an array of frames and arrays of numbers beside it."""

from __future__ import annotations

import zipfile
import zlib
from math import prod
from pathlib import Path

import numpy as np

from framecast.sources import Part, Source, files_in, finite, rate_of, split_of
from framecast.sources._pictures import resize, resized
from framecast.values import Condition, Episode, Spec, nearest, size_of

AXES = ("THWC", "TCHW", "THW")
Header = tuple[tuple[int, ...], np.dtype]
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)  # the last: encrypted


class Npz(Source):
    """ROOT/*.npz (or one file), each an episode that bears the file's name without .npz.

    Frames are whole numbers 0..255 of any integer type, or floats in [0, 1].

    Args:
        root: the folder of the files, or one file.
        frames: the array that holds the frames.
        condition: the array (T, D) that holds the numbers known of every frame; several by commas are joined; or none.
        channels: which channels to take where there are more than three, as first:stop; 6:9 are the last three of 9.
        axes: the order of the axes of the frames: THWC, TCHW or THW.
        size: height x width to which frames are resized; left out, they stay as they are.
        val: patterns of episode names for validation, by commas; with neither val nor test, every tenth episode.
        test: patterns of episode names for the test.
        fps: frames a second of the recordings, at which films are played.
    """

    example = "framecast pack npz data/metaworld --frames observation --channels 6:9 --axes TCHW --out stores/metaworld"

    def __init__(
        self,
        root: str,
        frames: str = "frames",
        condition: str = "action",
        channels: str | None = None,
        axes: str = "THWC",
        size: str | None = None,
        val: str | None = None,
        test: str | None = None,
        fps: float = 30.0,
    ) -> None:
        found = files_in(root, "*.npz")
        self.files = {path.stem: path for path in found}
        if len(self.files) < len(found):
            twice = next(path for path in found if self.files[path.stem] != path)
            raise ValueError(f"{twice} and {self.files[twice.stem].name} are one episode by name. Rename one.")
        self.frames, self.axes, self.val, self.test = frames, axes.upper(), val, test
        self.conditions = [] if condition == "none" else [key.strip() for key in condition.split(",") if key.strip()]
        self.size, self.channels, self.fps = size_of(size), _range(channels), rate_of(fps)
        if self.axes not in AXES:
            raise ValueError(f"--axes {axes!r} is not one of {', '.join(AXES)} (time, height, width, channels).")

    def spec(self) -> Spec:
        """Of the first file, from its header; `parts` compares the others with it."""
        height, width, channels, *counts = self._listed(next(iter(self.files.values())))[1]
        condition = Condition("vector", sum(counts), tuple(self.conditions)) if counts else Condition()
        return Spec(height, width, channels, condition, self.fps)

    def about(self) -> dict[str, str]:
        sizes = (self._frame(path, _headers(path))[1:3] for path in self.files.values())
        return resized(sizes, self.size) if self.size else {}

    def parts(self, split: str) -> list[Part]:
        """One part an episode, from the headers alone.

        Raises:
            ValueError: a file is unreadable, lacks an array, or differs from the first one (in size: if none is given).
        """
        names = split_of(list(self.files), self.val, self.test).get(split, [])
        first = next(iter(self.files.values()))
        wanted = self._listed(first)[1] if names else ()
        parts = []
        for name in names:
            path = self.files[name]
            length, kind = self._listed(path)
            if kind != wanted:
                size = ", resize all with --size" if kind[:2] != wanted[:2] else ""
                raise ValueError(
                    f"{path} holds frames of H x W x C, condition numbers = {kind} but {first} {wanted}: "
                    f"all files must agree. Take it out{size}, or give a narrower folder."
                )
            parts.append(Part(name, 0, length, length, str(path)))
        return parts

    def read(self, part: Part) -> Episode:
        """Frames uint8 (T, H, W, C) and condition float32 (T, D) of a whole file.

        Raises:
            ValueError: damaged, values out of range, or NaN; names the file and the array.
        """
        path = Path(part.where)
        headers = _headers(path)
        _, height, width, channels = self._frame(path, headers)
        frames = _load(path, self.frames)
        if self.axes == "TCHW":
            frames = frames.transpose(0, 2, 3, 1)
        frames = frames.reshape(len(frames), height, width, -1)
        if self.channels:
            frames = frames[..., slice(*self.channels)]
        frames = _bytes(frames, f"{path}, array {self.frames!r}")
        columns = []
        for key in self.conditions:
            count = self._numbers(path, headers, key)
            columns.append(finite(_load(path, key).reshape(len(frames), count), f"{path}, array {key!r}"))
        frames = resize(frames, self.size or (height, width))
        return Episode(part.episode, frames, np.concatenate(columns, axis=1) if columns else None)

    def _listed(self, path: Path) -> tuple[int, tuple[int, ...]]:
        """T of a file; and H, W, C of its frames as they are packed with D of each of its conditions."""
        headers = _headers(path)
        length, height, width, channels = self._frame(path, headers)
        numbers = (self._numbers(path, headers, key) for key in self.conditions)
        return length, (*(self.size or (height, width)), channels, *numbers)

    def _frame(self, path: Path, headers: dict[str, Header]) -> tuple[int, int, int, int]:
        """(T, H, W, C) of the frames, C after the choice of channels."""
        shape, dtype = _header(path, headers, self.frames, "frames")
        if len(shape) != len(self.axes) or prod(shape) == 0:
            raise ValueError(
                f"{path}, array {self.frames!r} has shape {shape}: --axes {self.axes} needs {len(self.axes)}, none "
                f"empty. Give another --axes ({', '.join(AXES)}) or another --frames: {_shown(headers)}."
            )
        if dtype.kind not in "uif":
            raise ValueError(
                f"{path}, array {self.frames!r} is {dtype}: frames are whole numbers 0..255 or floats 0..1."
            )
        sizes = dict(zip(self.axes, shape, strict=True))
        all_channels = sizes.get("C", 1)
        start, stop = self.channels or (0, all_channels)
        if stop > all_channels or stop - start not in (1, 3):
            raise ValueError(
                f"{path}, array {self.frames!r} has shape {shape}: as {self.axes} that is {all_channels} channels, of "
                f"which {start}:{stop} are taken. A frame has 1 or 3: choose with --channels (6:9) or --axes "
                f"({', '.join(AXES)})."
            )
        return sizes["T"], sizes["H"], sizes["W"], stop - start

    def _numbers(self, path: Path, headers: dict[str, Header], key: str) -> int:
        """D of one condition array."""
        shape, dtype = _header(path, headers, key, "condition")
        length = self._frame(path, headers)[0]
        if len(shape) not in (1, 2) or dtype.kind not in "uifb" or prod(shape[1:]) == 0:
            raise ValueError(
                f"{path}, array {key!r} is {dtype} {shape}: a condition is numbers of shape (T, D). "
                f"Give another --condition, or none: {_shown(headers)}."
            )
        if shape[0] != length:
            raise ValueError(
                f"{path}, array {key!r} has {shape[0]} rows for {length} frames: each frame needs one. "
                f"Mend the file, take it out, or give another --condition: {_shown(headers)}."
            )
        return prod(shape[1:])


def _headers(path: Path) -> dict[str, Header]:
    """Shape and type of every array, from the .npy headers inside the zip; nothing is unpacked."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    first = np.lib.format.read_magic(member) == (1, 0)
                    header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                    shape, _, dtype = header(member)
                found[name.removesuffix(".npy")] = shape, dtype
    except FileNotFoundError:
        raise
    except BROKEN as error:
        raise ValueError(f"{path} is no .npz file or cut off ({error}). Copy it again or take it out.") from None
    return found


def _header(path: Path, headers: dict[str, Header], key: str, option: str) -> Header:
    if key not in headers:
        other = ", or none" if option == "condition" else ""
        hint = nearest(key, headers)
        raise ValueError(f"{path} holds no array {key!r}.{hint} Choose with --{option}{other}: {_shown(headers)}.")
    return headers[key]


def _shown(headers: dict[str, Header]) -> str:
    return "it holds " + (", ".join(f"{key} {shape}" for key, (shape, _) in headers.items()) or "nothing")


def _load(path: Path, key: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[key]
    except BROKEN as error:
        raise ValueError(f"{path}, array {key!r} is damaged ({error}). Copy the file again or take it out.") from None


def _bytes(frames: np.ndarray, where: str) -> np.ndarray:
    """Integers 0..255 as they are, floats 0..1 times 255, as uint8."""
    low, high, top = frames.min(), frames.max(), 1 if frames.dtype.kind == "f" else 255
    if not (low >= 0 and high <= top):  # so that NaN fails too
        raise ValueError(
            f"{where} ({frames.dtype}) has values from {low} to {high}: floats must lie in 0..1, whole numbers in "
            f"0..255. Scale them, or store 0..255 as uint8."
        )
    if frames.dtype.kind == "f":
        frames = np.rint(frames.astype(np.float32) * 255)
    return np.ascontiguousarray(frames.astype(np.uint8))


def _range(text: str | None) -> tuple[int, int] | None:
    """'6:9' as (6, 9)."""
    if text is None:
        return None
    first, _, stop = text.partition(":")
    if not (first.strip().isdigit() and stop.strip().isdigit() and int(first) < int(stop)):
        raise ValueError(f"--channels {text!r} is not first:stop, counted from 0; 6:9 takes the channels 6, 7 and 8.")
    return int(first), int(stop)
