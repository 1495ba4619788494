"""submission.csv: written, and read with every fault by its line."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import noise

from framecast.sources._files import FaultyFileError
from framecast.submission import BLOCK, read_submission, write_submission

H, W, T = 12, 16, 5
FILMS = noise(2, T, H, W, 3)


def test_the_file_is_the_course_s(tmp_path: Path) -> None:
    assert write_submission(tmp_path / "s.csv", iter(FILMS)) == 2 * T
    with open(tmp_path / "s.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", *map(str, range(3 * H * W))]
    assert [row[0] for row in rows] == [str(i) for i in range(2 * T)]
    row = np.array(rows[T + 1][1:], int).reshape(3, H, W)  # sequence 1, frame 1
    assert (row == FILMS[1, 1].transpose(2, 0, 1)).all()
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]


def test_32x64_ends_at_6143(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", [noise(1, 32, 64, 3)])
    assert (tmp_path / "s.csv").read_text().splitlines()[0].endswith(",6142,6143")


def test_it_comes_back(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", FILMS)
    found = read_submission(tmp_path / "s.csv")
    assert found.dtype == np.uint8
    assert (found == FILMS.transpose(0, 1, 4, 2, 3).reshape(2 * T, -1)).all()


def test_files_of_several_blocks(tmp_path: Path) -> None:
    film = noise(1600, 32, 32, 1)
    write_submission(tmp_path / "s.csv", [film])
    assert (tmp_path / "s.csv").stat().st_size > BLOCK
    assert (read_submission(tmp_path / "s.csv") == film.reshape(1600, -1)).all()
    text = (tmp_path / "s.csv").read_text().splitlines()
    text[1500] = text[1500].replace(",", ",-", 1)
    (tmp_path / "s.csv").write_text("\n".join(text))
    with pytest.raises(ValueError, match=r"has 1 fault:\n  line 1501: column 0 is '-\d+'"):
        read_submission(tmp_path / "s.csv")


def test_floats_are_rounded_half_to_even(tmp_path: Path) -> None:
    values = np.array([0.5, 1.5, 2.5, 254.5, -9, 300]) / 255
    write_submission(tmp_path / "s.csv", [values.reshape(1, 1, 6, 1)])
    assert read_submission(tmp_path / "s.csv").tolist() == [[0, 2, 2, 254, 0, 255]]


def test_what_cannot_be_written_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_submission(path, FILMS)
    before = path.read_bytes()
    for wrong, words in [
        ([FILMS[0], FILMS[0][:, :-1]], "sequence 0 of"),
        ([FILMS[0] / np.nan], "NaN"),
        ([FILMS[0].astype(int)], "should be uint8"),
        ([], "at least one sequence"),
    ]:
        with pytest.raises(ValueError, match=words), np.errstate(invalid="ignore"):
            write_submission(path, wrong)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]


def test_windows_line_ends_and_mark(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbfid,0,1\r\n0,1,002\r\n1,3,255")
    assert read_submission(tmp_path / "s.csv").tolist() == [[1, 2], [3, 255]]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["line 1: the header should be id,0,1,2,... without a gap; it has one column, ''"]),
        ("id,0,2\n", ["line 1: the header should be id,0,1,2,... without a gap; column 3 is '2' instead of '1'"]),
        ("0,1,2\n", ["line 1: the header should be id,0,1,2,... without a gap; column 1 is '0' instead of 'id'"]),
        ("id,0,1\n", ["line 2: there are no rows after the header"]),
        ("id,0,1\n0,1\n1,1,2,3\n", ["line 2: 2 columns, the header has 3", "line 3: 4 columns, the header has 3"]),
        ("id,0,1\n0,1,2\n\n", ["line 3: it is empty"]),
        ("id,0,1\n1,1,2\n2,1,2\n", ["line 2: the id is 1, 0 was expected"]),
        ("id,0,1\n0,1,2\n0,1,2\n1,1,2\n", ["line 3: the id is 0, 1 was expected"]),
        ("id,0,1\nx,1,2\n1,1,2\n", ["line 2: the id is 'x', a whole number was expected (0)"]),
        ("id,0,1\n0,1.0,2\n", ["line 2: column 0 is '1.0', not a whole number from 0 to 255"]),
        (
            "id,0,1\n0,256,-1\n",
            ["line 2: column 0 is '256', not a whole number from 0 to 255 (and 1 more in this line)"],
        ),
        ("id,0,1\n0,,2\n", ["line 2: column 0 is '', not a whole number from 0 to 255"]),
        ("id,0,1\n0,007,2\n1,0007,0256\n", ["line 3: column 1 is '0256', not a whole number from 0 to 255"]),
        (
            f"id,0,1\n{5000 * '9'},1,2\n1,1,2\n",
            [f"line 2: the id is '{40 * '9'}', a whole number was expected (0)"],
        ),
        ("id;0;1\n0;1;2\n", ["line 1: the header should be id,0,1,2,... without a gap; it has one column, 'id;0;1'"]),
        ("id,0,1\n0, 1,2\n", ["line 2: column 0 is ' 1', not a whole number from 0 to 255"]),
        ("id,0,1\n0,\u0661,2\n", ["line 2: column 0 is '\u0661', not a whole number from 0 to 255"]),
    ],
)
def test_every_fault_by_its_line(tmp_path: Path, text: str, faults: list[str]) -> None:
    (tmp_path / "s.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        read_submission(tmp_path / "s.csv")
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("id,0\n0,1\n1,1\n", ["line 1: the header has 1 values a frame, the truth 2"]),
        ("id,0,1\n0,1,2\n", ["line 3: the file ends after 1 rows, the truth has 2"]),
        ("id,0,1\n", ["line 2: there are no rows after the header"]),
        (
            "id,0,1\n0,1,2\n1,1,2\n2,1,2\n3,1,2\n",
            ["line 4: there are more rows than the 2 of the truth; the rest is not read"],
        ),
        (
            "id,0,1\n0,1,x\n",
            [
                "line 2: column 1 is 'x', not a whole number from 0 to 255",
                "line 3: the file ends after 1 rows, the truth has 2",
            ],
        ),
    ],
)
def test_what_does_not_fit_the_truth_is_a_fault_by_its_line(tmp_path: Path, text: str, faults: list[str]) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(FaultyFileError) as caught:
        read_submission(tmp_path / "s.csv", (2, 2))
    assert caught.value.lines == faults


def test_faulty_rows_take_no_memory(tmp_path: Path) -> None:
    """A spreadsheet puts blank lines at the end; kept as rows of zeros, these would be a gigabyte."""
    header = ",".join(["id", *map(str, range(6144))])
    (tmp_path / "s.csv").write_text(header + "\n" * 20_000)
    tracemalloc.start()
    with pytest.raises(ValueError, match="has 19999 faults"):
        read_submission(tmp_path / "s.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_many_faults_are_counted(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("id,0\n" + "".join(f"{i},x\n" for i in range(100)))
    with pytest.raises(ValueError, match=r"has 100 faults:[^.]*\n  and 80 more$"):
        read_submission(tmp_path / "s.csv")


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789,\n\r -.ax", max_size=40), st.integers(0, 60))
def test_the_fast_way_takes_only_what_is_right(tmp_path_factory: pytest.TempPathFactory, put: str, at: int) -> None:
    """A file with anything put into it: read as a plain reader would read it, or refused."""
    text = "0,12,255,0\n1,0,7,99\n2,100,10,1\n"
    text = text[: at % len(text)] + put + text[at % len(text) :]
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(("id,0,1,2\n" + text).encode())
    lines = [line.split(",") for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n")]
    cells = [cell for line in lines for cell in line]
    plain = all(cell.isdigit() for cell in cells) and all(len(line) == 4 for line in lines)
    right = plain and [int(line[0]) for line in lines] == list(range(len(lines)))
    right = right and all(int(cell) <= 255 for line in lines for cell in line[1:])
    if right:
        assert read_submission(path).tolist() == [[int(cell) for cell in line[1:]] for line in lines]
    else:
        with pytest.raises(ValueError, match="fault"):
            read_submission(path)
