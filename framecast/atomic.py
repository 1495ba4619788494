"""Writing that happens whole or not at all: beside its place, flushed to the disk, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # not a Unix: two processes are not kept apart
    fcntl = None

MARK = ".framecast-"  # in the names of scratch folders
OLDER = "older"  # in a scratch folder: what is being replaced


def check_free(path: Path, instead: str = "Give another --out, or remove it.") -> None:
    """Raises FileExistsError where something is there already, but for an empty folder."""
    if _there(path) and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} exists already and is not empty. {instead}")


def check_absent(path: Path) -> None:
    """Raises FileExistsError where something is there already, be it an empty folder."""
    if _there(path):
        raise FileExistsError(f"{path} exists already. Give another --out, or remove it first.")


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()  # a link that leads nowhere, too


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A folder that one process at a time works in; the system lets go of it with the process, however that ends.

    Raises:
        FileExistsError: another one does.
    """
    handle = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if handle is not None and locked(handle) is False:
            raise FileExistsError(
                f"Another process is at work in {folder}. Wait for its end, or stop it, and give the command again."
            )
        yield
    finally:
        if handle is not None:
            os.close(handle)


def locked(handle: int) -> bool | None:
    """Locks an open file or folder. Whether this process has it now; None on a system that has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file or folder to; it takes the place of `path` when the block ends well.

    Flushed to the disk are the file, or those right in the folder: of the thousands in its own folders each would wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch_folder = tempfile.TemporaryDirectory(prefix=f".{path.name}{MARK}", dir=path.parent)
    with scratch_folder as scratch, held(Path(scratch)):
        partial = Path(scratch) / path.name
        yield partial
        for file in partial.iterdir() if partial.is_dir() else [partial]:
            if file.is_file():
                flush(file)
        older = Path(scratch) / OLDER
        try:
            if partial.is_dir() and path.is_dir():
                os.replace(path, older)  # a folder that is not empty cannot be replaced in one move
            os.replace(partial, path)
        except BaseException:  # also Ctrl-C between the two
            if older.exists() and not path.exists():
                os.replace(older, path)
            raise


def flush(file: Path) -> None:
    """What was written to a file goes to the disk."""
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def sweep(folder: Path) -> None:
    """Removes what killed processes left half-written anywhere in a folder: scratch of `replacing` that none holds."""
    for left in sorted(folder.rglob(f".*{MARK}????????")) if fcntl else []:
        if left.is_symlink() or not left.is_dir() or (left / OLDER).exists():
            continue  # what was moved away before the process was killed is kept
        handle = os.open(left, os.O_RDONLY)
        try:
            if locked(handle):
                shutil.rmtree(left)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """A text in UTF-8, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """JSON, whole or not at all."""
    write_text(path, json.dumps(data, indent=1))
