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


def check_free(path: Path, instead: str = "Give another --out, or remove it.") -> None:
    """Raises FileExistsError where something is there already, but for an empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} exists already and is not empty. {instead}")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A folder that one process at a time works in; the system lets go of it with the process, however that ends.

    Raises:
        FileExistsError: another one does.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileExistsError(
                f"Another process is at work in {folder}. Wait for its end, or stop it, and give the command again."
            ) from error
        except OSError:  # a file system that cannot
            pass
        yield
    finally:
        os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file or folder to; it takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        partial = Path(scratch) / path.name
        yield partial
        for file in sorted(partial.iterdir()) if partial.is_dir() else [partial]:
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
        if partial.is_dir() and path.is_dir():
            os.replace(path, Path(scratch) / "older")  # a folder that is not empty cannot be replaced in one move
        os.replace(partial, path)


def sweep(folder: Path) -> None:
    """Removes what a killed process left half-written anywhere in a folder that is `held`."""
    for left in sorted(folder.rglob(".*.????????")):
        # Named and filled as `replacing` does it; what it had moved away before it was killed is kept.
        if left.is_dir() and not left.is_symlink() and {inside.name for inside in left.iterdir()} <= {left.name[1:-9]}:
            shutil.rmtree(left)


def write_json(path: Path, data: Any) -> None:
    """JSON, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(data, indent=1))
