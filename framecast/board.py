"""A course's hand-ins in one folder, scored by one rule and ranked.

    DIR/NAME.csv    or    DIR/NAME/submission.csv

One that cannot be scored is listed with its faults, and the others are carried on. One file is in memory at a time.
"""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from framecast.atomic import replacing
from framecast.metrics.frame import ends
from framecast.metrics.interval import over_videos
from framecast.scoring import copy_first, measured, not_given
from framecast.sources._files import FaultyFileError
from framecast.submission import read_submission

BASELINE = "copying the first frame"
PLACES = ".csv, or a folder with submission.csv in it"


@dataclass(frozen=True)
class Row:
    """A hand-in that was scored.

    Args:
        name: for people.
        psnr, ssim: (sequences, T - 1), of the predicted frames; psnr in dB.
        sha256: of the file; empty for the baseline.
        notes: what is odd about it.
        rank: 1 is the best; None for the baseline, which takes no rank from anybody.
    """

    name: str
    psnr: np.ndarray
    ssim: np.ndarray
    sha256: str = ""
    notes: tuple[str, ...] = ()
    rank: int | None = None

    @property
    def mean(self) -> float:
        return float(self.psnr.mean())

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the mean over sequences; of one sequence there is none."""
        return over_videos(self.psnr.mean(1)) if len(self.psnr) > 1 else None

    @property
    def last(self) -> float:
        """PSNR of the last frames, as many as `drift` looks at."""
        return float(self.psnr[:, -ends(self.psnr.shape[1]) :].mean())


@dataclass(frozen=True)
class Refused:
    """A hand-in that could not be scored, and every reason."""

    name: str
    faults: tuple[str, ...]
    sha256: str = ""


@dataclass(frozen=True)
class Board:
    """Scored hand-ins and the baseline, the best first; the refused ones by name; and what the rule needs to be said.

    Args:
        folder: the name of the folder.
        made: when.
        truth: (sequences, T, D).
        truth_sha256: of its uint8 values.
    """

    folder: str
    made: str
    truth: tuple[int, int, int]
    truth_sha256: str
    rows: tuple[Row, ...]
    refused: tuple[Refused, ...]


def collect(
    folder: Path,
    truth: np.ndarray,
    size: tuple[int, int],
    length: int,
    made: str,
    update: Callable[[int, int], None] = lambda done, total: None,
    leave: Iterable[Path] = (),
) -> Board:
    """Scores all hand-ins of a folder.

    Args:
        folder: see the module; hidden files are no hand-ins.
        truth: uint8 (rows, D), rows in C, H, W order.
        size: H x W.
        length: frames of a sequence, T.
        made: when, for people.
        update: called with the number of hand-ins done, and of all.
        leave: files in the folder that are none (the truth).

    Raises:
        FileNotFoundError: there is no folder, or no hand-in in it.
    """
    found = hand_ins(folder, leave)
    keys = [_key(name) for name, _ in found]
    rows, refused = [], list[Refused]()
    for done, ((name, file), key) in enumerate(zip(found, keys, strict=True)):
        update(done, len(found))
        others = [str(f.relative_to(folder)) for (_, f), k in zip(found, keys, strict=True) if k == key and f != file]
        try:
            if others:
                raise FaultyFileError("", [f"{file.relative_to(folder)} has the name of {others[0]}: keep one of them"])
            rows.append(_scored(name, file, truth, size, length))
        except FaultyFileError as error:
            refused.append(Refused(printable(name), tuple(map(printable, error.lines)), _sha256(file)))
        except OSError as error:
            refused.append(Refused(printable(name), (f"{file.name} cannot be read: {error.strerror}",)))
    update(len(found), len(found))
    copied = measured(copy_first(truth, length), truth, size, length)
    rows.append(Row(BASELINE, copied[:, 0, 1:], copied[:, 1, 1:]))
    shape = (len(truth) // length, length, truth.shape[1])
    digest = hashlib.sha256(truth.tobytes()).hexdigest()
    name = printable(folder.resolve().name)
    return Board(name, made, shape, digest, tuple(ranked(same_files(rows))), tuple(refused))


def hand_ins(folder: Path, leave: Iterable[Path] = ()) -> list[tuple[str, Path]]:
    """Name and file of each, by name; the file need not be there, or be one that can be scored."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder. --board takes the folder of the hand-ins: NAME{PLACES}.")
    there = [p for p in folder.iterdir() if not p.name.startswith(".") and not any(_same(p, path) for path in leave)]
    files = [p / "submission.csv" if p.is_dir() else p for p in there]
    if not files:
        raise FileNotFoundError(f"{folder} holds no hand-in. Each is a file NAME{PLACES}.")
    return sorted(((_name(file, folder), file) for file in files), key=lambda pair: (_key(pair[0]), str(pair[1])))


def _name(file: Path, folder: Path) -> str:
    if file.parent != folder:
        return file.parent.name
    return file.stem if file.suffix.lower() == ".csv" else file.name


def _same(one: Path, other: Path) -> bool:
    """One place in the file system; a link to it is another."""
    return one.name == other.name and one.parent.resolve() == other.parent.resolve()


def _key(name: str) -> str:
    """The same for names that people take for one."""
    return unicodedata.normalize("NFKC", name).casefold()


def _scored(name: str, file: Path, truth: np.ndarray, size: tuple[int, int], length: int) -> Row:
    if file.suffix.lower() != ".csv":
        raise FaultyFileError("", [f"{file.name} is no .csv. A hand-in is a file NAME{PLACES}"])
    if file.exists() and not file.is_file():
        raise FaultyFileError("", [f"{file.name} is no file"])
    digest = _sha256(file)
    found = measured(read_submission(file, truth.shape), truth, size, length)
    notes = not_given(found[:, 0, 0]) or (["every frame is that of the truth"] if found[:, 0].min() >= 100 else [])
    return Row(printable(name), found[:, 0, 1:], found[:, 1, 1:], digest, tuple(notes))


def _sha256(file: Path) -> str:
    """Of a file's bytes; empty where it is none, or cannot be read."""
    digest = hashlib.sha256()
    try:
        if not file.is_file():  # a pipe would be waited for
            return ""
        with open(file, "rb") as data:
            while block := data.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def printable(text: str) -> str:
    """A name or fault without what a terminal or a page would obey, and without halves of characters."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def same_files(rows: list[Row]) -> list[Row]:
    """The rows, with a note at those whose files are the same to the byte."""
    told = []
    for row in rows:
        twins = [other.name for other in rows if other is not row and row.sha256 and other.sha256 == row.sha256]
        note = (f"the same file as that of {', '.join(twins)}",) if twins else ()
        told.append(replace(row, notes=row.notes + note))
    return told


def ranked(rows: list[Row]) -> list[Row]:
    """The best mean PSNR first. Means that are equal as printed (0.01 dB) share a rank: 1, 2, 2, 4."""
    rows = sorted(rows, key=lambda row: (-row.mean, row.name))
    means = [f"{row.mean:.2f}" for row in rows if row.sha256]
    return [replace(row, rank=means.index(f"{row.mean:.2f}") + 1) if row.sha256 else row for row in rows]


def lines(board: Board) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the ranked table, for the terminal."""
    count = ends(board.truth[1] - 1)
    sequences = [f"seq {i}" for i in range(board.truth[0])]
    header = ["name", "rank", "PSNR (dB)", "95 % interval", "SSIM", f"last {count}", *sequences, "sha256"]
    told = []
    for row in board.rows:
        interval = "{:.2f} to {:.2f}".format(*row.interval) if row.interval else ""
        cells = [f"{row.mean:.2f}", interval, f"{row.ssim.mean():.4f}", f"{row.last:.2f}"]
        each = [f"{value:.2f}" for value in row.psnr.mean(1)]
        name = row.name if len(row.name) <= 32 else row.name[:31] + "…"
        told.append([name, "" if row.rank is None else str(row.rank), *cells, *each, row.sha256[:12]])
    return header, told


def write_csv(path: Path, board: Board) -> Path:
    """One line for each hand-in, the refused ones last with their first fault; whole or not at all."""
    sequences = [f"psnr_{i}" for i in range(board.truth[0])]
    header = ["rank", "name", "psnr", "psnr_low", "psnr_high", "ssim", "psnr_last", *sequences, "sha256", "remarks"]
    with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in board.rows:
            numbers = [
                row.mean,
                *(row.interval or ("", "")),
                float(row.ssim.mean()),
                row.last,
                *row.psnr.mean(1).tolist(),
            ]
            writer.writerow([row.rank or "", _inert(row.name), *numbers, row.sha256, _inert("; ".join(row.notes))])
        for one in board.refused:
            blank = [""] * (5 + len(sequences))
            writer.writerow(["", _inert(one.name), *blank, one.sha256, _inert("; ".join(one.faults))])
    return path


def _inert(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
