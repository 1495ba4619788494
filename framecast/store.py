"""The packed clip store: plain .npy files, memory-mapped, beside one index.json.

    STORE/index.json             version, spec, where it came from, episodes, checksums
    STORE/{split}.frames.npy     uint8 (N, H, W, C), all frames of the split
    STORE/{split}.condition.npy  uint8 (M, H, W, C) or float32 (M, D), all conditions of the split

A store is written in a hidden folder beside its place and renamed when it is whole: what carries the name is finished.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from framecast.sources import SPLITS, Part, Source, find
from framecast.values import Condition, Episode, Spec

VERSION = 1
INDEX = "index.json"


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
        try:
            self.index: dict[str, Any] = json.loads(index.read_text())
            version = self.index["version"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{index} is damaged. Pack the store again.") from None
        if version != VERSION:
            raise ValueError(f"{self.root} has store version {version}, this framecast reads {VERSION}. Pack it again.")
        try:
            self.spec = Spec.from_dict(self.index["spec"])
            self.entries = {s: [Entry(**e) for e in entries] for s, entries in self.index["splits"].items()}
            sizes = {name: int(file["bytes"]) for name, file in self.index["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"{index} is damaged. Pack the store again.") from None
        self._arrays: dict[str, np.ndarray] = {}
        for name, size in sizes.items():
            self._check_size(name, size)

    def _check_size(self, name: str, expected: int) -> None:
        path = self.root / name
        found = path.stat().st_size if path.is_file() else 0
        if found != expected:
            raise ValueError(f"{path} has {found:,} bytes instead of {expected:,}. Pack the store again.")

    def verify(self) -> None:
        """Reads every byte and compares checksums. Raises ValueError naming the file that differs."""
        for name, file in self.index["files"].items():
            if _checksum(self.root / name) != file["crc32"]:
                raise ValueError(f"{self.root / name} has changed since it was packed. Pack the store again.")

    def array(self, split: str, what: str) -> np.ndarray:
        """The memory map of `frames` or `condition` of a split."""
        key = f"{split}.{what}.npy"
        if key not in self._arrays:
            self._arrays[key] = np.load(self.root / key, mmap_mode="r")
        return self._arrays[key]

    def entries_of(self, split: str) -> list[Entry]:
        """The episodes of a split. Raises ValueError where the store has none."""
        if not self.entries.get(split):
            have = ", ".join(f"{name} ({len(e)})" for name, e in self.entries.items() if e)
            raise ValueError(f"{self.root} has no {split!r} episodes. It has: {have}.")
        return self.entries[split]

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


def pack(
    source_name: str,
    options: dict[str, Any],
    out: str | Path,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Store:
    """Packs a source on all cores.

    Args:
        source_name: a file of `framecast/sources`.
        options: the arguments of its class.
        out: the new store's folder.
        workers: processes; None takes one per core.
        progress: called with the frames done and the frames in all.

    Raises:
        FileExistsError: `out` exists already.
        ValueError, OSError: from the source or the disk; nothing is left behind.
    """
    out = Path(out)
    if out.exists():
        raise FileExistsError(f"{out} exists already. Give another --out, or remove it first.")
    source = find(source_name)(**options)
    spec = source.spec()
    plan = {split: source.parts(split) for split in SPLITS}
    if not any(plan.values()):
        raise ValueError("The source holds no episode.")
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        entries = {split: _layout(parts) for split, parts in plan.items() if parts}
        jobs = [job for split, parts in plan.items() if parts for job in _create(partial, split, parts, spec)]
        _fill(jobs, source_name, options, workers, progress)
        _finish(partial, source_name, options, source.about(), spec, entries)
        os.replace(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Store(out)


@dataclass(frozen=True)
class _Job:
    """One part and the places where its frames and conditions go."""

    root: Path
    split: str
    part: Part
    frame: int
    condition: int


def _layout(parts: list[Part]) -> list[Entry]:
    entries: list[Entry] = []
    frame = condition = 0
    for name, group in groupby(parts, key=lambda part: part.episode):
        pieces = list(group)
        frames, conditions = sum(p.frames for p in pieces), sum(p.stop - p.start for p in pieces)
        entries.append(Entry(name, frame, frames, condition, conditions))
        frame, condition = frame + frames, condition + conditions
    return entries


def _create(root: Path, split: str, parts: list[Part], spec: Spec) -> list[_Job]:
    """Makes a split's empty files, with their room on the disk taken, and the jobs that fill them."""
    jobs = []
    frame = condition = 0
    for part in parts:
        jobs.append(_Job(root, split, part, frame, condition))
        frame, condition = frame + part.frames, condition + part.stop - part.start
    picture = (spec.height, spec.width)
    _allocate(root / f"{split}.frames.npy", np.uint8, (frame, *picture, spec.channels))
    if spec.condition.kind == "picture":
        _allocate(root / f"{split}.condition.npy", np.uint8, (condition, *picture, spec.condition.size))
    if spec.condition.kind == "vector":
        _allocate(root / f"{split}.condition.npy", np.float32, (condition, spec.condition.size))
    return jobs


def _allocate(path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    """An .npy file of that shape. Its blocks are taken now: a full disk is an error here, not a crash while filling."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    array.flush()
    del array
    with open(path, "r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


_source: Source | None = None


def _start_worker(source_name: str, options: dict[str, Any]) -> None:
    global _source
    _source = find(source_name)(**options)


def _work(job: _Job) -> int:
    assert _source is not None
    episode = _source.read(job.part)
    _put(job.root / f"{job.split}.frames.npy", job.frame, episode.frames, job.part)
    if episode.condition is not None:
        _put(job.root / f"{job.split}.condition.npy", job.condition, episode.condition, job.part)
    return job.part.stop - job.part.start


def _put(path: Path, first: int, values: np.ndarray, part: Part) -> None:
    array = np.lib.format.open_memmap(path, mode="r+")
    if values.shape[1:] != array.shape[1:]:
        found, wanted = "x".join(map(str, values.shape[1:])), "x".join(map(str, array.shape[1:]))
        raise ValueError(f"Episode {part.episode!r} has items of {found}, the first episode has {wanted}.")
    array[first : first + len(values)] = values


def _fill(
    jobs: list[_Job],
    source_name: str,
    options: dict[str, Any],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    total = sum(job.part.stop - job.part.start for job in jobs)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(workers or cores, len(jobs))
    done = 0
    # Fresh interpreters: a fork of a process that runs torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (source_name, options)) as pool:
        try:
            for count in pool.map(_work, jobs):
                done += count
                if progress:
                    progress(done, total)
        except BrokenProcessPool:
            raise OSError(
                "A worker process was ended from outside (out of memory?). Try again with --workers 1."
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _finish(
    root: Path,
    source_name: str,
    options: dict[str, Any],
    about: dict[str, str],
    spec: Spec,
    entries: dict[str, list[Entry]],
) -> None:
    """Statistics, checksums, and the index last: a folder without one is not a store."""
    if spec.condition.kind == "vector":
        split = "train" if "train" in entries else next(iter(entries))
        spec = replace(
            spec, condition=_standard(spec.condition, np.load(root / f"{split}.condition.npy", mmap_mode="r"))
        )
    for path in root.glob("*.npy"):
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
    files = {p.name: {"bytes": p.stat().st_size, "crc32": _checksum(p)} for p in sorted(root.glob("*.npy"))}
    index = {
        "version": VERSION,
        "source": source_name,
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in options.items()},
        "about": about,
        "spec": spec.to_dict(),
        "splits": {split: [asdict(e) for e in found] for split, found in entries.items()},
        "files": files,
    }
    with open(root / INDEX, "w") as file:
        json.dump(index, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _standard(condition: Condition, values: np.ndarray) -> Condition:
    """The condition with mean and spread of its numbers; a number that never changes has spread 1."""
    std = values.std(0, dtype=np.float64)
    mean = values.mean(0, dtype=np.float64)
    return replace(condition, mean=tuple(map(float, mean)), std=tuple(float(s) if s > 1e-6 else 1.0 for s in std))


def _checksum(path: Path) -> int:
    value = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return value
