"""The course's submission.csv: writing, and reading with every fault by its line.

id,0,1,...,6143        a header: D = C * H * W columns after the id (6144 for 32 x 64 pixels of 3 colours)
0,12,255,...           a row for every frame, the given first frame of each sequence included: its C x H x W values
1,12,254,...           in that order, whole numbers 0..255; the id counts from 0 over all sequences
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from framecast.atomic import replacing
from framecast.sources._files import Faults

LENGTH = 630  # frames of a sequence
BLOCK = 4 << 20  # bytes that are read at a time
LINE = 16 << 20  # bytes of a line at most; what is longer is no row, and is read in pieces
TEXTS = [str(value) for value in range(256)]
COMMA, NEWLINE, ZERO = b",\n0"


def write_submission(path: str | Path, sequences: Iterable[np.ndarray]) -> int:
    """Writes the file, whole or not at all; only one sequence is in memory.

    Args:
        path: an older file there is replaced.
        sequences: each uint8 (T, H, W, C), the given first frame included; floats are clamped to [0, 1] and rounded,
            halves to even.

    Returns:
        the number of rows.

    Raises:
        ValueError: no sequence, frames of other shapes or types, NaN; nothing is written.
    """
    path, rows, shape = Path(path), 0, None
    with replacing(path) as partial, open(partial, "w", encoding="ascii", newline="\n") as file:
        for number, frames in enumerate(sequences):
            frames = _whole(np.asarray(frames), number)
            if shape is None:
                shape = frames.shape[1:]
                file.write(",".join(["id", *map(str, range(int(np.prod(shape))))]) + "\n")
            if frames.shape[1:] != shape:
                raise ValueError(
                    f"Sequence {number} has frames of {frames.shape[1:]}, sequence 0 of {shape} (H, W, C)."
                )
            for values in frames.transpose(0, 3, 1, 2).reshape(len(frames), -1).tolist():
                file.write(f"{rows}," + ",".join([TEXTS[value] for value in values]) + "\n")
                rows += 1
        if not rows:
            raise ValueError("A submission has at least one sequence; there are none.")
    return rows


def _whole(frames: np.ndarray, number: int) -> np.ndarray:
    """Frames (T, H, W, C) as uint8."""
    if frames.ndim != 4 or not frames.size or not (frames.dtype == np.uint8 or frames.dtype.kind == "f"):
        raise ValueError(f"Sequence {number} is {frames.dtype} {frames.shape}; it should be uint8 (T, H, W, C).")
    if frames.dtype == np.uint8:
        return frames
    if not np.isfinite(frames).all():
        raise ValueError(f"Sequence {number} holds NaN or infinite values.")
    return np.rint(frames.clip(0, 1) * 255).astype(np.uint8)


def read_submission(path: str | Path, fits: tuple[int, int] | None = None) -> np.ndarray:
    """Reads and checks the whole file; memory is that of its values, whatever is in it.

    Args:
        path: of the file.
        fits: (rows, D) that it must have, those of the truth.

    Returns:
        uint8 (rows, D), the row's place its id.

    Raises:
        FileNotFoundError: it is not there.
        FaultyFileError: every fault by its line, the first 20 written out: header, ids, columns, values, rows.
    """
    faults, parts, line, expected = Faults(path), [], 2, 0
    with open(path, "rb") as file:
        count = _header(file.readline(LINE), faults, fits and fits[1])
        for block in _blocks(file):
            values = _fast(block, count, expected)
            if values is None:  # something is wrong, or spelt unusually: look line by line
                values, expected = _slow(block, count, line, expected, faults)
            else:
                expected += len(values)
            line += block.count(b"\n")
            if fits and line - 2 > fits[0]:
                faults.add(fits[0] + 2, f"there are more rows than the {fits[0]} of the truth; the rest is not read")
                break
            parts.append(values)
    if line == 2:
        faults.add(2, "there are no rows after the header")
    elif fits and line - 2 < fits[0]:
        faults.add(line, f"the file ends after {line - 2} rows, the truth has {fits[0]}")
    faults.check()
    return np.concatenate(parts)


def values_of(path: str | Path) -> int:
    """D by the header of a submission. Raises FaultyFileError where the header is wrong."""
    with open(path, "rb") as file:
        return _header(file.readline(LINE), Faults(path))


def _header(text: bytes, faults: Faults, fits: int | None = None) -> int:
    """D of a header line; faults stop the reading, since nothing can be said of the rows."""
    names = text.decode("utf-8-sig", "replace").rstrip("\r\n").split(",")
    wanted = ["id", *map(str, range(len(names) - 1))]
    if len(names) < 2 or names != wanted:
        at = next((i for i, pair in enumerate(zip(names, wanted, strict=True)) if pair[0] != pair[1]), 0)
        found = f"column {at + 1} is {names[at][:40]!r} instead of {wanted[at]!r}"
        found = found if len(names) > 1 else f"it has one column, {names[0][:40]!r}"
        faults.add(1, f"the header should be id,0,1,2,... without a gap; {found}")
    elif fits and len(names) - 1 != fits:
        faults.add(1, f"the header has {len(names) - 1} values a frame, the truth {fits}")
    faults.check()
    return len(names) - 1


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file in pieces of whole lines, each ended by a newline."""
    while block := file.read(BLOCK):
        block += file.readline(LINE)
        block = block.replace(b"\r\n", b"\n")
        yield block if block.endswith(b"\n") else block + b"\n"


def _fast(block: bytes, count: int, expected: int) -> np.ndarray | None:
    """All rows of a block at once, uint8 (rows, count); None where anything is not as it should be."""
    text = np.frombuffer(block, np.uint8)
    digits = text - np.uint8(ZERO)  # what is no digit wraps around to 10 and more
    ends = np.flatnonzero(digits > 9)
    if len(ends) % (count + 1):
        return None
    marks = text[ends].reshape(-1, count + 1)
    if (marks[:, :-1] != COMMA).any() or (marks[:, -1] != NEWLINE).any():
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    length = (ends - starts).reshape(-1, count + 1)
    if length.min() < 1 or length[:, 1:].max() > 3 or length[:, 0].max() > 18:
        return None
    begin, stop = starts.reshape(length.shape)[:, 0], ends.reshape(length.shape)
    ids = [int(block[b:e]) for b, e in zip(begin.tolist(), stop[:, 0].tolist(), strict=True)]
    if ids != list(range(expected, expected + len(ids))):
        return None
    last, length = stop[:, 1:], length[:, 1:]
    values = digits[last - 1].astype(np.uint16)
    values += 10 * digits[last - 2].astype(np.uint16) * (length > 1)
    values += 100 * digits[last - 3].astype(np.uint16) * (length > 2)
    return values.astype(np.uint8) if values.max() <= 255 else None


def _slow(block: bytes, count: int, line: int, expected: int, faults: Faults) -> tuple[np.ndarray, int]:
    """The same line by line, every fault noted; returns the rows without any, and the id that comes next."""
    rows = []
    for at, text in enumerate(block.decode("utf-8", "replace").split("\n")[:-1], line):
        cells = text.split(",")
        if len(cells) != count + 1:
            what = f"{len(cells)} columns, the header has {count + 1}" if text.strip() else "it is empty"
            faults.add(at, what)
        number = int(cells[0]) if re.fullmatch("[0-9]{1,18}", cells[0]) else None
        if number is None and text.strip():
            faults.add(at, f"the id is {cells[0][:40]!r}, a whole number was expected ({expected})")
        elif number is not None and number != expected:
            faults.add(at, f"the id is {number}, {expected} was expected")
        if text.strip():  # after a gap the count goes on from what is there: one fault, not thousands
            expected = (expected if number is None else number) + 1
        if len(cells) == count + 1:
            row = _values(cells[1:], at, faults)
            if not faults.count:  # after a fault the values are of no use, and a row of blank lines would cost as much
                rows.append(row)
    return np.array(rows, np.uint8).reshape(-1, count), expected


def _values(cells: list[str], at: int, faults: Faults) -> list[int]:
    values = [_value(cell) for cell in cells]
    if min(values) < 0:
        column, wrong = values.index(-1), values.count(-1)
        more = f" (and {wrong - 1} more in this line)" if wrong > 1 else ""
        faults.add(at, f"column {column} is {cells[column][:40]!r}, not a whole number from 0 to 255{more}")
    return values


@lru_cache(1024)  # the same cells come millions of times
def _value(cell: str) -> int:
    """0..255 (007 too), or -1."""
    value = int(cell) if re.fullmatch("[0-9]{1,9}", cell) else -1
    return value if value <= 255 else -1
