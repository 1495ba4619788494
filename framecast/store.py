"""The packed clip store: plain .npy files, memory-mapped, beside one index.json.

    STORE/index.json             version, spec, where it came from, episodes, checksums
    STORE/{split}.frames.npy     uint8 (N, H, W, C), all frames of the split
    STORE/{split}.condition.npy  uint8 (M, H, W, C) or float32 (M, D), all conditions of the split

`packing` writes them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framecast.reading import read_json, reading
from framecast.values import Episode, Spec

VERSION = 1
INDEX = "index.json"
AGAIN = "Pack the store again."
Form = tuple[np.dtype, tuple[int, ...]]  # of an array: type and shape
UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # in names: control characters, bytes that are no UTF-8


@dataclass(frozen=True)
class Entry:
    """Where an episode lies in its split: frames[first_frame : first_frame + frames], likewise its conditions."""

    name: str
    first_frame: int
    frames: int
    first_condition: int
    conditions: int


class Store:
    """A packed store, opened for reading.

    Args:
        root: the store's folder.

    Raises:
        FileNotFoundError: there is no finished store.
        ValueError: it is damaged or of another version; the message names the file.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        index = self.root / INDEX
        if not index.is_file():
            advice = "Make it with: framecast pack SOURCE ROOT --out STORE"
            what = f"is not a packed store: it has no {INDEX}" if self.root.is_dir() else "does not exist"
            raise FileNotFoundError(f"{self.root} {what}. {advice}")
        with reading(index, AGAIN):
            self.index = read_json(index)
            version = self.index["version"]
        if version != VERSION:
            raise ValueError(f"{self.root} has store version {version}, this framecast reads {VERSION}. Pack it again.")
        with reading(index, AGAIN):
            self.spec = Spec.from_dict(self.index["spec"])
            self.entries = {s: [Entry(**e) for e in entries] for s, entries in self.index["splits"].items()}
            self._forms = {name: form for split in self.entries for name, form in self._expected(split).items()}
            sizes = {name: int(self.index["files"][name]["bytes"]) for name in self._forms}
        self._arrays: dict[str, np.ndarray] = {}
        for name, size in sizes.items():
            self._check_size(name, size)

    def _expected(self, split: str) -> dict[str, Form]:
        """The files of a split. Raises ValueError where episodes do not lie one after another."""
        frame = condition = 0
        for e in self.entries[split]:
            if not isinstance(e.name, str) or UNREADABLE.search(e.name):
                raise ValueError(f"{split} has an episode called {e.name!r}: names are texts that can be read")
            if (e.first_frame, e.first_condition) != (frame, condition) or min(e.frames, e.conditions) < 0:
                raise ValueError(f"{split}, episode {e.name!r} does not begin where the one before it ends")
            frame, condition = e.first_frame + e.frames, e.first_condition + e.conditions
        return arrays(self.spec, split, frame, condition) if self.entries[split] else {}

    def _check_size(self, name: str, expected: int) -> None:
        path = self.root / name
        found = path.stat().st_size if path.is_file() else 0
        if found != expected:
            raise ValueError(f"{path} has {found:,} bytes instead of {expected:,}. {AGAIN}")

    def verify(self) -> None:
        """Reads every byte and compares checksums. Raises ValueError naming the file that differs."""
        for name in self._forms:
            if checksum(self.root / name) != self.index["files"][name].get("crc32"):
                raise ValueError(f"{self.root / name} has changed since it was packed. {AGAIN}")

    def array(self, split: str, what: str) -> np.ndarray:
        """The memory map of `frames` or `condition` of a split."""
        key = f"{split}.{what}.npy"
        if key not in self._arrays:
            with reading(self.root / key, AGAIN):
                found = np.lib.format.open_memmap(self.root / key, mode="r")
                dtype, shape = self._forms[key]
                if (found.dtype, found.shape, found.flags.c_contiguous) != (dtype, shape, True):
                    raise ValueError(f"it holds {found.dtype} {found.shape}, not {dtype} {shape}")
            self._arrays[key] = found
        return self._arrays[key]

    def entries_of(self, split: str) -> list[Entry]:
        """The episodes of a split. Raises ValueError where the store has none."""
        if not self.entries.get(split):
            have = ", ".join(f"{name} ({len(e)})" for name, e in self.entries.items() if e)
            raise ValueError(f"{self.root} has no {split!r} episodes. It has: {have}.")
        return self.entries[split]

    def long_enough(self, split: str, frames: int) -> list[int]:
        """The numbers of the episodes with so many frames or more."""
        return [number for number, entry in enumerate(self.entries_of(split)) if entry.frames >= frames]

    def episode(self, split: str, number: int) -> Episode:
        """One episode; its arrays are views of the memory map, nothing is read yet."""
        entry = self.entries_of(split)[number]
        frames = self.array(split, "frames")[entry.first_frame : entry.first_frame + entry.frames]
        condition = None
        if self.spec.condition.kind != "none":
            last = entry.first_condition + entry.conditions
            condition = self.array(split, "condition")[entry.first_condition : last]
        return Episode(entry.name, frames, condition)

    def episodes(self, split: str) -> Iterator[Episode]:
        """All episodes of a split in order."""
        return (self.episode(split, n) for n in range(len(self.entries_of(split))))


def arrays(spec: Spec, split: str, frames: int, conditions: int) -> dict[str, Form]:
    """The files of a split with so many frames and conditions: name -> type and shape."""
    picture, known, rows = (spec.height, spec.width), spec.condition, {}
    if known.kind == "picture":
        rows = {f"{split}.condition.npy": (np.dtype(np.uint8), (conditions, *picture, known.size))}
    if known.kind == "vector":
        rows = {f"{split}.condition.npy": (np.dtype(np.float32), (conditions, known.size))}
    return {f"{split}.frames.npy": (np.dtype(np.uint8), (frames, *picture, spec.channels)), **rows}


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return value
