"""Raw files -> Episodes. One file a source; the file's name is its name at the command line."""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from framecast.values import Episode, Spec, find_class

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """A piece of an episode that one worker reads: frames start..stop of `episode`, found at `where`.

    `frames` says how many of its frames are given (fewer than stop - start only in a test split).
    """

    episode: str
    start: int
    stop: int
    frames: int
    where: Any = None


class Source(ABC):
    """Where recordings come from. A new source is one new file with one subclass; nothing needs to be registered.

    Class attributes:
        example: a `framecast pack` line for the help.
    """

    example: ClassVar[str] = "framecast pack SOURCE ROOT --out STORE"

    @abstractmethod
    def spec(self) -> Spec:
        """Size, channels, condition and frame rate of every episode. Raises ValueError naming the file at fault."""

    @abstractmethod
    def parts(self, split: str) -> list[Part]:
        """The pieces of a split in order, with their lengths, without decoding a frame."""

    @abstractmethod
    def read(self, part: Part) -> Episode:
        """Decodes one piece; called in worker processes. Raises ValueError naming the file at fault."""

    def about(self) -> dict[str, str]:
        """What was read where there was a choice (which camera), what was resized to another aspect ratio: kept in the
        store and shown to people. Packing asks for it after `parts` and `spec`.
        """
        return {}

    def episodes(self, split: str) -> Iterator[Episode]:
        """Whole episodes, one after another."""
        for name, parts in groupby(self.parts(split), key=lambda part: part.episode):
            pieces = [self.read(part) for part in parts]
            conditions = [piece.condition for piece in pieces if piece.condition is not None]
            frames = np.concatenate([piece.frames for piece in pieces])
            yield Episode(name, frames, np.concatenate(conditions) if conditions else None)


def available() -> list[str]:
    """The names of the sources, from the files of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def find(name: str) -> type[Source]:
    """The source class in the file of that name.

    Raises:
        ValueError: there is no such source; the message has those there are, and the nearest.
    """
    return find_class(__name__, name, available(), Source)


def files_in(root: str | Path, pattern: str) -> list[Path]:
    """The files of a folder that match, sorted; ROOT may also be one file.

    Raises:
        FileNotFoundError: nothing is there.
    """
    root = Path(root)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise FileNotFoundError(f"{root} does not exist. Give the folder that holds the {pattern} files.")
    found = sorted(path for path in root.iterdir() if fnmatch(path.name.lower(), pattern))
    if not found:
        raise FileNotFoundError(f"{root} holds no {pattern} file. Give the folder that holds them.")
    return found


def split_of(names: list[str], val: str | None, test: str | None) -> dict[str, list[str]]:
    """Divides episode names where the recordings have no splits of their own.

    `val` and `test` are patterns (`*_3_100`, several by commas). With neither, every tenth episode is held out for val.

    Raises:
        ValueError: a pattern that matches no episode, or patterns that leave nothing for val or to train on.
    """
    if val is None and test is None:
        held = set(names[9::10] if len(names) >= 10 else names[1:][-1:])
        return {"train": [n for n in names if n not in held], "val": [n for n in names if n in held], "test": []}

    def matching(option: str, patterns: str | None) -> list[str]:
        wanted = [p.strip() for p in (patterns or "").split(",") if p.strip()]
        for pattern in wanted:
            if not any(name == pattern or fnmatch(name, pattern) for name in names):
                shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
                raise ValueError(f"--{option} {pattern!r} matches none of the {len(names)} episodes ({shown}).")
        return [n for n in names if any(n == p or fnmatch(n, p) for p in wanted)]

    tests = matching("test", test)
    vals = [n for n in matching("val", val) if n not in tests]
    if val and not vals:
        raise ValueError(
            f"--test {test} takes all that --val {val} does: nothing is left for val. Give other patterns."
        )
    trains = [n for n in names if n not in tests and n not in vals]
    if not trains:
        raise ValueError("--val and --test take all episodes: nothing is left to train on. Give narrower patterns.")
    return {"train": trains, "val": vals, "test": tests}


def at_least(**options: tuple[int, int]) -> None:
    """Of options as name=(value, least): raises ValueError naming the first whose value is below its least."""
    for name, (value, least) in options.items():
        if value < least:
            raise ValueError(f"--{name} is {value}; it must be {least} or more.")


def rate_of(fps: float) -> float:
    """Frames a second, as given; recordings of one's own seldom say it.

    Raises:
        ValueError: not a positive number.
    """
    if not 0 < fps < float("inf"):
        raise ValueError(f"--fps is the frames a second of the recordings, a positive number, not {fps:g}.")
    return fps


def finite(values: np.ndarray, where: str, way: str = "mend the row or take the episode out") -> np.ndarray:
    """The numbers of a condition (T, D) as float32; `way` is what mends them where they are not finite.

    Raises:
        ValueError: one is NaN or infinite (or too large for float32); names the place and the first such row.
    """
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    rows = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if rows.size:
        raise ValueError(
            f"{where} has NaN or infinite numbers, first in row {rows[0]} (from 0) of {len(numbers)}: "
            f"{values[rows[0]].tolist()}. Conditions must be finite: {way}."
        )
    return numbers
