"""Recordings -> a packed store, on all cores, in bounded memory; what was broken off is taken up again.

    .STORE.partial/pack.json   what is being packed: source, options, every part; written when the room is taken
    .STORE.partial/journal     the parts that are finished and on the disk
    .STORE.partial/lock        held by the process at work
    .STORE.partial/store/      renamed to STORE when it is whole: what carries the name is finished

A part's line in the journal bears a stamp of the files it was read from: parts whose files changed are read again, so
that a store never mixes a recording's old and new state.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from framecast.atomic import check_absent, flush
from framecast.journal import Journal, alone, stamp
from framecast.parts import Job, Task, check, layout
from framecast.reading import BROKEN
from framecast.sources import SPLITS, Source, find, finite
from framecast.spread import far_out, standard
from framecast.store import INDEX, Store, arrays, checksum
from framecast.workers import cores, mapped

CHUNK = 256  # frames that a worker takes at a time, where parts are short


def pack(
    source_name: str,
    options: dict[str, Any],
    out: str | Path,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> Store:
    """Packs a source on all cores, or goes on where the same call was broken off.

    Args:
        source_name: a file of `framecast/sources`.
        options: the arguments of its class.
        out: the new store's folder.
        workers: processes; None takes one per core.
        progress: called with the frames done and the frames in all.
        tell: called with a sentence where something is taken up, given up or kept.

    Raises:
        FileExistsError: `out` exists already, or another process is packing there.
        ValueError, OSError: from the source or the disk. What is finished is kept beside `out`, in .OUT.partial, for
            the same call to go on; nothing is left behind where nothing was, or where the disk is full.
    """
    out = Path(out)
    check_absent(out)
    kind = find(source_name)
    try:
        signature(kind).bind(**options)
    except TypeError as error:
        raise ValueError(
            f"The source {source_name} has other options ({error}): {', '.join(signature(kind).parameters)}."
        ) from None
    if workers is not None and workers < 1:
        raise ValueError(f"workers is the number of processes, 1 or more, not {workers}.")
    source = kind(**options)
    plan = {split: parts for split in SPLITS if (parts := source.parts(split))}
    if not plan:
        raise ValueError("The source holds no episode.")
    for split, parts in plan.items():
        check(source_name, split, parts)
    spec = source.spec()
    task = Task(out, source_name, options, source.about(), spec, plan)
    with alone(task.partial, f"Another process is packing into {out} now. Wait for it, or give another --out."):
        check_absent(out)
        journal = Journal(task.partial / "journal", task.root)
        try:
            _take_up(task, journal, tell)
            _fill(task, journal, workers, progress)
            _finish(task)
            os.replace(task.root, out)
            shutil.rmtree(task.partial)
        except BaseException as error:
            _broken_off(task, journal, error, tell)
            raise
    return Store(out)


def _take_up(task: Task, journal: Journal, tell: Callable[[str], None]) -> None:
    """Finds what the same pack has finished before, or makes the empty files."""
    record, wanted = task.partial / "pack.json", json.loads(json.dumps(task.record()))
    try:
        found = json.loads(record.read_text())
        whole = isinstance(found, dict) and found.pop("sizes", sizes := _sizes(task.root)) == sizes
    except (OSError, *BROKEN):
        found, whole = {}, False  # killed before the files were made, or after they were moved away; or damaged
    if whole and found == wanted:
        where = {job.number: job.part.where for job in task.jobs}
        changed = journal.read(where)
        share = sum(job.frames for job in task.jobs if job.number in journal.done) / task.frames
        again = f"; the files of {changed} parts have changed and are read again" if changed else ""
        tell(f"Going on at {100 * share:.0f} %, where packing into {task.out} was broken off{again}.")
        return
    if journal.path.is_file() and not whole:
        tell(f"What is kept in {task.partial} is damaged: packing starts anew.")
    elif whole:
        tell(f"{task.partial} is of another pack ({_difference(found, wanted)}): packing starts anew.")
    record.unlink(missing_ok=True)  # first: without it nothing is taken up
    journal.clear()
    shutil.rmtree(task.root, ignore_errors=True)
    task.root.mkdir()
    for split, parts in task.plan.items():
        frames, conditions = sum(p.frames for p in parts), sum(p.stop - p.start for p in parts)
        for name, form in arrays(task.spec, split, frames, conditions).items():
            _allocate(task.root / name, *form)
    record.write_text(json.dumps({**wanted, "sizes": _sizes(task.root)}))


def _sizes(folder: Path) -> dict[str, int]:
    """The bytes of its files."""
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.name != INDEX}


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What a pack that was broken off has otherwise, in words."""
    if found.get("source") != wanted["source"]:
        return f"source {found.get('source')}, now {wanted['source']}"
    before, now = found.get("options", {}), wanted["options"]
    keys = [key for key in now if before.get(key) != now[key]]
    if keys:
        return ", ".join(f"{key} {before.get(key)}, now {now[key]}" for key in keys)
    return "the recordings have changed since"


def _broken_off(task: Task, journal: Journal, error: BaseException, tell: Callable[[str], None]) -> None:
    """Keeps what is finished, unless that is nothing or the disk is full."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if not full:
        journal.flush()
    share = sum(job.frames for job in task.jobs if job.number in journal.done) / task.frames
    if full or not share:
        shutil.rmtree(task.partial, ignore_errors=True)
    else:
        tell(f"{100 * share:.0f} % is kept in {task.partial}: the same command goes on there. Or remove it.")


def _allocate(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
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


def _work(job: Job) -> tuple[int, str]:
    """Reads a part into its place. Returns its number and the stamp of its files, taken before they were read."""
    assert _source is not None
    mark = stamp(job.part.where)
    episode, part, name = _source.read(job.part), job.part, f"Episode {job.part.episode!r}"
    rows = 0 if episode.condition is None else len(episode.condition)
    for found, listed, what in ((len(episode.frames), part.frames, "frames"), (rows, job.rows, "rows of condition")):
        if found != listed:
            raise ValueError(
                f"{name} has {found} {what} where {listed} were listed: its files have changed, or the source counts "
                f"them wrongly. Pack again."
            )
    _put(job.root / f"{job.split}.frames.npy", job.frame, episode.frames, name)
    if episode.condition is not None:
        if episode.condition.dtype.kind == "f":
            finite(episode.condition, name)
        _put(job.root / f"{job.split}.condition.npy", job.condition, episode.condition, name)
    return job.number, mark


def _put(path: Path, first: int, values: np.ndarray, name: str) -> None:
    """Writes items first, first + 1, ... of an .npy file; not by a memory map, which would count as a worker's own."""
    with open(path, "r+b") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if values.shape[1:] != shape[1:]:
            found, wanted = "x".join(map(str, values.shape[1:])), "x".join(map(str, shape[1:]))
            raise ValueError(f"{name} has items of {found}, the source says {wanted}.")
        if dtype == np.uint8 != values.dtype:
            raise ValueError(f"{name} has pictures of {values.dtype}; a source gives uint8, 0..255.")
        values = np.ascontiguousarray(values, dtype)
        file.seek(first * values[:1].nbytes, os.SEEK_CUR)
        file.write(values.data)


def _fill(task: Task, journal: Journal, workers: int | None, progress: Callable[[int, int], None] | None) -> None:
    """Does the jobs that the journal lacks."""
    jobs = [job for job in task.jobs if job.number not in journal.done]
    done = task.frames - sum(job.frames for job in jobs)
    if not jobs:
        return
    workers = min(workers or cores(), len(jobs))
    short = CHUNK * len(jobs) // (task.frames - done)  # parts of CHUNK frames
    chunk = max(1, min(short, len(jobs) // (8 * workers)))
    for number, mark in mapped(_work, jobs, workers, chunk, _start_worker, (task.source, task.options)):
        journal.add(number, mark)
        done += task.jobs[number].frames
        if progress:
            progress(done, task.frames)
    journal.flush()


def _finish(task: Task) -> None:
    """Statistics, checksums, and the index last: a folder without one is not a store."""
    root, spec, about = task.root, task.spec, task.about
    layouts = {split: layout(parts) for split, parts in task.plan.items()}
    if spec.condition.kind == "vector":
        split = "train" if "train" in task.plan else next(iter(task.plan))
        values = np.load(root / f"{split}.condition.npy", mmap_mode="r")
        spec = replace(spec, condition=standard(spec.condition, values))
        about = about | far_out(values, layouts[split])
    files = {p.name: {"bytes": p.stat().st_size, "crc32": checksum(p)} for p in sorted(root.glob("*.npy"))}
    index = task.origin() | {
        "spec": spec.to_dict(),
        "about": about,
        "splits": {split: [asdict(e) for e in entries] for split, entries in layouts.items()},
        "files": files,
    }
    (root / INDEX).write_text(json.dumps(index, indent=1))
    flush(root / INDEX)
