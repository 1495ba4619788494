"""Long work that can be broken off: a journal of what is finished, stamps of the files it came from, and a lock."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from framecast.atomic import flush, locked

LOCK = "lock"
PAUSE = 5.0  # seconds between two flushes to the disk: as much is lost when the process is killed


class Journal:
    """The finished jobs by number, one line each, beside the folder that they write to.

    Args:
        path: the file of the journal.
        results: the folder of the files that jobs write to: they are flushed to the disk before a line says finished.
    """

    def __init__(self, path: Path, results: Path) -> None:
        self.path, self.results, self.done = path, results, set[int]()
        self._waiting: list[str] = []
        self._flushed = time.monotonic()

    def read(self, sources: Mapping[int, Any]) -> int:
        """Takes up what was written, where the files it came from (`sources`) are the same; counts the others."""
        text = self.path.read_text() if self.path.is_file() else ""
        found = {int(n): mark for n, mark in re.findall(r"^(\d+) ([0-9a-f]{16})\n", text, re.MULTILINE)}
        self.done = {n for n, mark in found.items() if n in sources and stamp(sources[n]) == mark}
        self.path.write_text("".join(f"{n} {found[n]}\n" for n in sorted(self.done)))  # a line cut off would spoil more
        return len(found) - len(self.done)

    def add(self, number: int, mark: str) -> None:
        """A job is finished; that is on the disk a few seconds later."""
        self.done.add(number)
        self._waiting.append(f"{number} {mark}\n")
        if time.monotonic() - self._flushed >= PAUSE:
            self.flush()

    def flush(self) -> None:
        """The results to the disk, then the lines that say so."""
        if self._waiting:
            for file in self.results.iterdir():
                flush(file)
            with open(self.path, "a") as file:
                file.write("".join(self._waiting))
            flush(self.path)
        self._waiting, self._flushed = [], time.monotonic()

    def clear(self) -> None:
        """Forgets all."""
        self.path.unlink(missing_ok=True)
        self.done.clear()


def digest(texts: Iterable[str]) -> str:
    """One text that stands for all."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode() + b"\0")
    return total.hexdigest()[:16]


def stamp(where: Any) -> str:
    """Paths, sizes and times of the files that `where` names (texts, paths, folders, lists of them), as 16 letters."""
    return digest(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in _files(where))


def _files(where: Any) -> Iterator[tuple[str, os.stat_result]]:
    if isinstance(where, (list, tuple)):
        for item in where:
            yield from _files(item)
    elif isinstance(where, (str, Path)):
        path = os.path.abspath(where)
        with suppress(OSError, ValueError):  # no name of a file, or one that is gone
            if os.path.isdir(path):
                with os.scandir(path) as entries:
                    yield from sorted((entry.path, entry.stat()) for entry in entries)
            else:
                yield path, os.stat(path)


@contextmanager
def alone(folder: Path, busy: str) -> Iterator[None]:
    """Makes a folder and holds it for this process; one that was killed holds nothing. Left empty, it is removed.

    Raises:
        FileExistsError: another process holds it; says `busy`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = None
    while lock is None:
        folder.mkdir(exist_ok=True)
        lock = _locked(folder / LOCK, busy)
    try:
        yield
    finally:
        if folder.is_dir() and os.listdir(folder) == [LOCK]:
            shutil.rmtree(folder)
        os.close(lock)


def _locked(path: Path, busy: str) -> int | None:
    """The descriptor of the file, locked; None where its last holder removed it in between."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        return None
    if locked(lock) is False:
        os.close(lock)
        raise FileExistsError(busy)
    if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
        return lock
    os.close(lock)
    return None
