"""The board of a course: one bad hand-in stops nobody, names are inert, and the numbers are those of `score`."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from framecast.board import BASELINE, Board, collect, lines, printable, ranked, same_files, write_csv
from framecast.board import Row as Scored
from framecast.cli import main
from framecast.metrics.interval import over_videos
from framecast.report.board import page
from framecast.scoring import score
from framecast.submission import read_submission, write_submission

H, W, T = 12, 16, 7
SIZES = ["--size", f"{H}x{W}", "--length", str(T)]
EVIL = "<img src=x onerror=alert(1)>&\"'"


def films(seed: int = 0, sequences: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (sequences, T, H, W, 3), dtype=np.uint8)


def handed_in(path: Path, error: int) -> None:
    """A hand-in that is off by so many grey levels in every predicted frame."""
    wrong = films()
    wrong[:, 1:] += np.uint8(error)
    path.parent.mkdir(exist_ok=True)
    write_submission(path, wrong)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder of hand-ins beside truth.csv: two good ones of equal score, a worse one, and bad ones."""
    folder = tmp_path / "hand-ins"
    write_submission(tmp_path / "truth.csv", films())
    handed_in(folder / f"{EVIL}.csv", 10)
    handed_in(folder / "anna.csv", 4)
    handed_in(folder / "bert" / "submission.csv", 4)
    (folder / ".DS_Store").write_bytes(b"no hand-in")
    bad = (folder / "anna.csv").read_text().splitlines()
    bad[5] = bad[5].replace(",", ",-", 1)
    (folder / "carla.csv").write_text("\n".join(bad[:-2]))
    return folder


def board_of(folder: Path, **more: object) -> Board:
    return collect(folder, read_submission(folder.parent / "truth.csv"), (H, W), T, "today", **more)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the ranking


def test_the_numbers_are_those_of_score(course: Path) -> None:
    board = board_of(course)
    alone = score(read_submission(course / "anna.csv"), read_submission(course.parent / "truth.csv"), (H, W), T)
    anna, copied = (next(row for row in board.rows if row.name == name) for name in ("anna", BASELINE))
    np.testing.assert_array_equal(anna.psnr, [one.psnr for one in alone])
    np.testing.assert_array_equal(anna.ssim, [one.ssim for one in alone])
    np.testing.assert_array_equal(copied.psnr, [one.copy_psnr for one in alone])
    assert anna.mean == pytest.approx(-20 * np.log10(4 / 255))
    assert anna.interval == over_videos(anna.psnr.mean(1))
    assert copied.last == pytest.approx(copied.psnr[:, -2:].mean())  # a third of six
    assert anna.sha256 == hashlib.sha256((course / "anna.csv").read_bytes()).hexdigest()


def test_one_sequence_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_submission(tmp_path / "truth.csv", films()[:1])
    write_submission(tmp_path / "hand-ins" / "anna.csv", films()[:1])
    asked = [str(tmp_path / "hand-ins"), "--truth", str(tmp_path / "truth.csv"), "--out", str(tmp_path / "board.html")]
    assert main(["score", "--board", *asked, *SIZES]) == 0
    page = (tmp_path / "board.html").read_text()
    assert "100.00" in page and "interval" not in page and " to 100" not in page + capsys.readouterr().out
    row = next(row for row in csv.reader((tmp_path / "board.csv").read_text().splitlines()) if row[1] == "anna")
    assert float(row[2]) == 100 and row[3:5] == ["", ""]


def test_ties_share_a_rank_and_the_baseline_takes_none(course: Path) -> None:
    assert [(row.name, row.rank) for row in board_of(course).rows] == [
        ("anna", 1),
        ("bert", 1),
        (EVIL, 3),
        (BASELINE, None),
    ]
    values = {"a": 20.004, "b": 20.0, "c": 20.006, "copy": 30.0}
    rows = [Scored(n, np.full((1, 2), v), np.ones((1, 2)), sha256="" if n == "copy" else n) for n, v in values.items()]
    assert [(row.name, row.rank) for row in ranked(rows)] == [("copy", None), ("c", 1), ("a", 2), ("b", 2)]


def test_a_faulty_hand_in_stands_apart_with_its_faults(course: Path) -> None:
    (refused,) = board_of(course).refused
    assert refused.name == "carla"
    assert refused.faults[0].startswith("line 6: column 0 is '-")
    assert refused.faults[1:] == ("line 21: the file ends after 19 rows, the truth has 21",)
    assert refused.sha256


def test_other_faulty_hand_ins(course: Path) -> None:
    (course / "carla.csv").unlink()
    (course / "dora").mkdir()
    (course / "emil.zip").write_bytes(b"PK")
    (course / "fred.csv").mkdir()
    (course / "fred.csv" / "submission.csv").mkdir()
    os.mkfifo(course / "gina.csv")  # reading it would wait for ever
    write_submission(course / "hugo.csv", films(sequences=2))
    write_submission(course / "ines.csv", films()[..., :1])
    found = {one.name: one.faults for one in board_of(course).refused}
    assert found == {
        "dora": ("submission.csv cannot be read: No such file or directory",),
        "emil.zip": ("emil.zip is no .csv. A hand-in is a file NAME.csv, or a folder with submission.csv in it",),
        "fred.csv": ("submission.csv is no file",),
        "gina": ("gina.csv is no file",),
        "hugo": ("line 16: the file ends after 14 rows, the truth has 21",),
        "ines": ("line 1: the header has 192 values a frame, the truth 576",),
    }


def test_two_of_one_name_are_both_refused(course: Path) -> None:
    handed_in(course / "Anna" / "submission.csv", 5)
    board = board_of(course)
    assert [one.faults for one in board.refused if one.name.lower() == "anna"] == [
        ("Anna/submission.csv has the name of anna.csv: keep one of them",),
        ("anna.csv has the name of Anna/submission.csv: keep one of them",),
    ]
    assert [row.name for row in board.rows if row.rank] == ["bert", EVIL]


def test_what_is_odd_is_noted(course: Path) -> None:
    (course / "dieb.csv").write_bytes((course / "anna.csv").read_bytes())
    write_submission(course / "spy.csv", films())
    write_submission(course / "turned.csv", films().swapaxes(2, 3).reshape(films().shape))
    notes = {row.name: row.notes for row in board_of(course).rows}
    assert notes["dieb"] == ("the same file as that of anna, bert",)
    assert notes["spy"] == ("every frame is that of the truth",)
    (told,) = notes["turned"]
    assert told.startswith("the first frame of sequences 0, 1, 2 is not the given one")
    assert notes[EVIL] == ()


def test_the_truth_may_lie_among_them(course: Path) -> None:
    truth = (course.parent / "truth.csv").rename(course / "truth.csv")
    board = collect(course, read_submission(truth), (H, W), T, "today", leave=[truth])
    assert "truth" not in [row.name for row in board.rows]


def test_progress_is_told(course: Path) -> None:
    told: list[tuple[int, int]] = []
    board_of(course, update=lambda done, total: told.append((done, total)))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


# ---------------------------------------------------------------- the page


class Tags(HTMLParser):
    """Tags counted, attributes by name, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.names, self.said = Counter[str](), set[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.names |= {name for name, _ in attrs}
        assert not [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_names_are_inert(course: Path) -> None:
    (course / f"{EVIL}faulty.csv").write_text("<script>alert(1)</script>")
    text = page(board_of(course))
    found = Tags(text)
    assert found.tags["img"] == 0 and found.tags["script"] == 1
    assert not [name for name in found.names if name.startswith("on") or name == "style"]
    assert EVIL in found.said and f"{EVIL}faulty" in found.said
    assert any("<script>alert(1)</script>" in said for said in found.said)  # a fault, word for word


def test_the_policy_allows_its_own_style_and_script_only(course: Path) -> None:
    text = page(board_of(course))
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        (inner,) = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "http" not in text.replace("http-equiv", "")


def test_the_page_says_its_rule(course: Path, tmp_path: Path) -> None:
    board = board_of(course)
    said = " ".join(Tags(page(board)).said)
    assert "3 hand-ins ranked, 1 with faults · made today" in said
    assert "6 of 7 frames do" in said and "−10 log10(MSE)" in said and "its 576 values" in said
    for row in board.rows:
        assert row.name in said and f"{row.mean:.2f}" in said and row.sha256[:12] in said
    assert hashlib.sha256(read_submission(tmp_path / "truth.csv").tobytes()).hexdigest()[:12] in said
    assert "line 6: column 0 is" in said


def test_curves_lie_on_the_axes(course: Path) -> None:
    """A PSNR of 36.09 dB in every frame is drawn at its height between the ends that the axis names."""
    text = page(board_of(course))
    chart = text[: text.index("</figure>")]
    marks = [float(y) for y in re.findall(r'dy="\.3em">([\d.]+)<', chart)]
    assert marks == sorted(marks, reverse=True)
    (points,) = re.findall(r'class="on" d="M((?:\d+,[\d.]+ ?)+)"/></g>', chart)  # drawn last, over the others
    heights = [float(point.split(",")[1]) for point in points.split()]
    expected = 100 * (marks[0] - 36.09) / (marks[0] - marks[-1])
    assert heights == pytest.approx([expected] * (T - 1), abs=0.1)


def test_a_board_without_a_good_hand_in(tmp_path: Path) -> None:
    write_submission(tmp_path / "truth.csv", films())
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "a.csv").write_text("")
    assert "0 hand-ins ranked, 1 with faults" in page(board_of(tmp_path / "h"))


# ---------------------------------------------------------------- tables, and the command


def test_the_csv_has_a_line_for_each(course: Path, tmp_path: Path) -> None:
    handed_in(course / "=1+2.csv", 20)
    board = board_of(course)
    with open(write_csv(tmp_path / "board.csv", board), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["rank"], r["name"]) for r in rows] == [
        ("1", "anna"),
        ("1", "bert"),
        ("3", EVIL),
        ("4", "'=1+2"),  # which a spreadsheet would compute
        ("", BASELINE),
        ("", "carla"),
    ]
    assert float(rows[0]["psnr_2"]) == board.rows[0].psnr[2].mean()
    assert rows[-1]["remarks"].startswith("line 6: column 0 is")


def test_names_are_printable(course: Path) -> None:
    assert printable("a\x1b[31m\u202eb\udcff") == "a\ufffd[31m\ufffdb\ufffd"
    write_submission(course / ("n" * 60 + ".csv"), films())
    names = [row[0] for row in lines(board_of(course))[1]]
    assert "n" * 31 + "…" in names


def test_the_command(course: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["score", "--board", str(course), "--truth", str(tmp_path / "truth.csv"), *SIZES]
    assert main([*ask, "--out", str(tmp_path / "board.html")]) == 0
    said = capsys.readouterr().out
    assert [line.split()[1] for line in said.splitlines()[2:4]] == ["1", "1"]
    assert BASELINE in said and "Not ranked: carla\n  line 6: column 0 is" in said
    assert "<!doctype html>" in (tmp_path / "board.html").read_text()
    assert len((tmp_path / "board.csv").read_text().splitlines()) == 6


def test_what_cannot_be_a_board(course: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = str(tmp_path / "truth.csv")
    (tmp_path / "empty").mkdir()
    for options, words in [
        (["--board", str(tmp_path / "empty"), "--truth", truth], "empty holds no hand-in. Each is a file NAME.csv"),
        (["--board", str(tmp_path / "none"), "--truth", truth], "none is no folder"),
        (["--board", str(course), "--truth", str(tmp_path / "no.csv")], "no.csv does not exist"),
        (["--board", str(course), "--truth", truth, "--length", "6"], "The truth has 21 rows: no whole sequences"),
        (["--board", str(course), "--truth", truth, "--size", "12x12"], "of the truth has 576 values; frames of 12x12"),
    ]:
        assert main(["score", *SIZES, *options]) == 1
        assert words in capsys.readouterr().err
    for options, words in [
        ([], "give either a submission.csv, or the folder of all hand-ins with --board DIR"),
        (["s.csv", "--board", str(course)], "give either a submission.csv, or the folder"),
        (["--board", str(course), "--out", "board.json"], "--out is a .html file, not board.json"),
        (["--board", str(course), "--out", str(course / "b.html")], "lies among the hand-ins"),
    ]:
        with pytest.raises(SystemExit) as caught:
            main(["score", "--truth", truth, *options])
        assert caught.value.code == 2
        assert words in capsys.readouterr().err


def test_same_files_needs_a_file() -> None:
    """Two rows without a sum are no twins."""
    rows = [Scored(name, np.ones((1, 1)), np.ones((1, 1))) for name in "ab"]
    assert [row.notes for row in same_files(rows)] == [(), ()]
