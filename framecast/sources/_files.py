"""Frames and vectors from files that lie around: pictures, folders of numbered pictures, .npy, .npz, .csv."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np

from framecast.sources import finite
from framecast.sources._pictures import check_size, decode, numbered

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
ARRAYS = (".npy", ".npz")
LARGEST = float(np.finfo(np.float32).max)
SHOWN = 20  # faults that are written out; the others are counted


class FaultyFileError(ValueError):
    """A file with faults; `lines` are they, the first ones written out."""

    def __init__(self, head: str, lines: list[str]) -> None:
        super().__init__("\n  ".join([head, *lines]))
        self.head, self.lines = head, lines

    def __reduce__(self) -> tuple[type[FaultyFileError], tuple[str, list[str]]]:
        return FaultyFileError, (self.head, self.lines)  # by itself an error is made again from its message alone


class Faults:
    """What is wrong with a text file, by line; all of it is said at once, since mending one by one takes for ever."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.count, self.lines = path, 0, list[str]()

    def add(self, line: int, what: str) -> None:
        """Notes a fault; lines count from 1."""
        self.count += 1
        if len(self.lines) < SHOWN:
            self.lines.append(f"line {line}: {what}")

    def check(self) -> None:
        """Raises FaultyFileError with the first faults and the number of all, where there are any."""
        if self.count:
            more = [f"and {self.count - SHOWN} more"] if self.count > SHOWN else []
            many = "1 fault" if self.count == 1 else f"{self.count} faults"
            raise FaultyFileError(f"{self.path} has {many}:", [*self.lines, *more])


def pictures_of(path: str | Path, channels: int = 3) -> np.ndarray:
    """Frames or condition pictures.

    Args:
        path: a picture, a folder of numbered pictures (ordered by the number that ends their names, without gaps), or
            .npy / .npz of uint8 (n, H, W, C); one frame may lack the n, grey ones the C.
        channels: C, 1 or 3 for pictures; an array must have it already.

    Returns:
        uint8 (n, H, W, C).

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a file is unreadable, of another size, shape or type, or numbers are missing or double.
    """
    path = Path(path)
    if path.suffix.lower() in ARRAYS and path.is_file():
        return _frames(_array(path), path, channels)
    if path.is_file() and path.suffix.lower() not in PICTURES:
        raise ValueError(f"{path} is no picture. Give {', '.join(PICTURES + ARRAYS)}, or a folder of numbered ones.")
    if channels not in (1, 3):
        raise ValueError(f"{path}: pictures have 1 or 3 channels, these are to have {channels}. Give a .npy or .npz.")
    files = numbered(path, PICTURES, "Add it, or renumber.") if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"The folder {path} holds no picture ({', '.join(PICTURES)}).")
    first = decode(files[0], str(files[0]), channels)
    frames = np.empty((len(files), *first.shape), np.uint8)
    rule = ". Pictures of a folder have one size: resize it, or take it out."
    for index, file in enumerate(files):
        frame = first if index == 0 else decode(file, str(file), channels)
        check_size(frame, file, files[0].name, first.shape[:2], rule)
        frames[index] = frame
    return frames


def vectors_of(path: str | Path) -> np.ndarray:
    """A vector for every frame.

    Args:
        path: .npy or .npz (one array) of numbers (n, D) or (n,), or .csv: n lines of D numbers, under a line of names
            or not.

    Returns:
        float32 (n, D).

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: another kind of file, not numbers, NaN or infinite; every fault of a .csv by its line.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        return _table(path)
    if path.suffix.lower() not in ARRAYS:
        hint = " It is a folder: picture conditions are for models that take pictures." if path.is_dir() else ""
        raise ValueError(f"{path} holds no vectors. Give a .npy, .npz or .csv with a row for every frame.{hint}")
    array = _array(path)
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or not array.size:
        found = f"{array.dtype} {array.shape}"
        raise ValueError(f"{path} holds {found}. Vectors are numbers of shape (n, D), a row for every frame.")
    return finite(array.reshape(len(array), -1), str(path), "mend the row")


def _array(path: Path) -> np.ndarray:
    """The array of a .npy, or the only one of a .npz; nothing in the file is executed."""
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            arrays = dict(loaded)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        # numpy's own words advise to trust the file.
        why = "no array, or one of Python's objects, which are not read" if "pickle" in str(error) else error
        raise ValueError(f"{path} is not a readable {path.suffix} ({why}). Copy or write it again.") from None
    if len(arrays) != 1:
        keys = ", ".join(arrays) or "none"
        raise ValueError(f"{path} holds {len(arrays)} arrays ({keys}). Give a file with one, or a .npy.")
    return next(iter(arrays.values()))


def _frames(array: np.ndarray, path: Path, channels: int) -> np.ndarray:
    if channels == 1 and array.ndim in (2, 3) and array.shape[-1:] != (1,):
        array = array[..., None]  # grey frames without their one channel
    if array.ndim == 3:
        array = array[None]
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != channels or not array.size:
        found = f"{array.dtype} {array.shape}"
        raise ValueError(f"{path} holds {found}. Frames are uint8 (n, H, W, {channels}), values 0 to 255.")
    return array


def _table(path: Path) -> np.ndarray:
    """A .csv of numbers; line by line, since such files are short."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not readable as text ({error}). Write it as UTF-8, numbers by commas.") from None
    while lines and not any(cell.strip() for cell in lines[-1]):
        lines.pop()
    named = bool(lines) and all(_number(cell) is None for cell in lines[0])
    if len(lines) <= named:
        raise ValueError(f"{path} holds no numbers. It should have a line of numbers for every frame.")
    if marks := _other_marks(lines[-1]):
        raise ValueError(f"{path} has {marks} between its numbers: put commas there, and points in numbers (1.5,2).")
    width, faults, rows = len(lines[0]), Faults(path), []
    for at, cells in enumerate(lines[named:], 1 + named):
        rows.append(_row(cells, width, at, faults))
    faults.check()
    return np.array(rows, np.float32)


def _other_marks(cells: list[str]) -> str | None:
    """What stands between the numbers of a line in place of commas; None where commas do, or it holds no numbers."""
    if all(_number(cell) is not None for cell in cells):
        return None
    for mark, name in ((";", "semicolons"), (None, "blanks or tabs")):
        parts = ",".join(cells).split(mark)
        if len(parts) > 1 and all(_number(part.replace(",", ".")) is not None for part in parts):
            return name
    return None


def _row(cells: list[str], width: int, at: int, faults: Faults) -> list[float]:
    """The numbers of a line; what is wrong with it goes to `faults`."""
    if len(cells) != width:
        faults.add(at, f"{len(cells)} columns, line 1 has {width}")
        return []
    numbers = []
    for column, cell in enumerate(cells, 1):
        number = _number(cell)
        if number is None:
            faults.add(at, f"column {column} is {cell.strip()!r}, not a number")
        elif not abs(number) <= LARGEST:
            faults.add(at, f"column {column} is {cell.strip()}: numbers must be finite")
        numbers.append(number if number is not None else 0.0)
    return numbers


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell)  # Python reads 1_000 as a number, nobody else does
    except ValueError:
        return None
