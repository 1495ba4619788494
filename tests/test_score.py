"""submission.csv scored against the truth, and the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recordings import noise

from framecast.cli import main
from framecast.scoring import channels_of, not_given, score, truth_of
from framecast.submission import write_submission

H, W, T = 12, 16, 5


@pytest.fixture
def films() -> np.ndarray:
    """Two sequences, uint8 (2, T, H, W, 3)."""
    return noise(2, T, H, W, 3)


def rows_of(films: np.ndarray) -> np.ndarray:
    return films.transpose(0, 1, 4, 2, 3).reshape(-1, films[0, 0].size)


def test_scores_are_those_of_the_formula(films: np.ndarray) -> None:
    other = noise(*films.shape, seed=1)
    found = score(rows_of(other), rows_of(films), (H, W), T)
    error = ((other.astype(float) - films.astype(float)) ** 2 / 255**2).mean((2, 3, 4))
    copied = ((films[:, :1].astype(float) - films.astype(float)) ** 2 / 255**2).mean((2, 3, 4))
    for i, one in enumerate(found):
        assert one.psnr.shape == one.ssim.shape == (T - 1,)  # the given frame does not count
        np.testing.assert_allclose(one.psnr, -10 * np.log10(error[i, 1:]))
        np.testing.assert_allclose(one.copy_psnr, -10 * np.log10(copied[i, 1:]))
        np.testing.assert_allclose(one.given, -10 * np.log10(error[i, 0]))


def test_uint8_is_widened(films: np.ndarray) -> None:
    """250 and 5 are 245 apart, not 11."""
    dark, light = np.full((T, 3 * H * W), 5, np.uint8), np.full((T, 3 * H * W), 250, np.uint8)
    np.testing.assert_allclose(score(dark, light, (H, W), T)[0].psnr, -20 * np.log10(245 / 255))


def test_what_does_not_fit(films: np.ndarray) -> None:
    rows = rows_of(films)
    with pytest.raises(ValueError, match="--size HEIGHTxWIDTH"):
        score(rows, rows, (H, W + 1), T)
    with pytest.raises(ValueError, match="The submission has 10 rows: no whole sequences of 4 frames"):
        score(rows, rows, (H, W), 4)
    with pytest.raises(ValueError, match="2 sequences of 576 values a frame and 1 sequences"):
        score(rows, rows[:T], (H, W), T)
    assert (channels_of(6144, (32, 64)), channels_of(2048, (32, 64))) == (3, 1)
    with pytest.raises(ValueError, match="32x64 have 6144"):
        channels_of(4096, (32, 64))


def test_truth_from_pictures(tmp_path: Path, films: np.ndarray) -> None:
    for i, film in enumerate(films):
        folder = tmp_path / "test" / "test_truth" / str(i)
        folder.mkdir(parents=True)
        for t, frame in enumerate(film):
            Image.fromarray(frame).resize((3 * W, 3 * H), Image.Resampling.NEAREST).save(folder / f"frame{t}.png")
    found = truth_of(tmp_path, (3 * H, 3 * W), 3, T).reshape(2, T, 3, 3 * H, 3 * W)
    assert (found[..., ::3, ::3] == films.transpose(0, 1, 4, 2, 3)).all()
    assert truth_of(tmp_path, (H, W), 3, T).shape == (2 * T, 3 * H * W)
    assert (truth_of(tmp_path / "test" / "test_truth", (H, W), 3, T) == truth_of(tmp_path, (H, W), 3, T)).all()
    with pytest.raises(ValueError, match="holds 5 pictures, not the 6"):
        truth_of(tmp_path, (H, W), 3, 6)
    with pytest.raises(FileNotFoundError, match="has no folder test/test_truth"):
        truth_of(tmp_path / "test", (H, W))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        truth_of(tmp_path / "none", (H, W))


# ---------------------------------------------------------------- the command

SIZES = ["--size", f"{H}x{W}", "--length", str(T)]


def test_the_command(tmp_path: Path, films: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    drawn, truth = str(tmp_path / "s.csv"), str(tmp_path / "truth.csv")
    guess = films.copy()
    guess[:, 1:] = guess[:, 1:] // 2
    write_submission(drawn, guess)
    write_submission(truth, films)
    for name in ("out.json", "out.csv", "s.json", "truth.json"):  # the last two beside what is read, not over it
        assert main(["score", drawn, "--truth", truth, *SIZES, "--out", str(tmp_path / name)]) == 0
    said = capsys.readouterr().out
    assert "2 sequences of 5 frames (3 x 12 x 16), no fault" in said
    assert "copy first" in said and "mean" in said and "Mean of the PSNR of 4 frames" in said
    assert "Note" not in said
    found = json.loads((tmp_path / "out.json").read_text())
    expected = score(rows_of(guess), rows_of(films), (H, W), T)
    assert [s["psnr"] for s in found["sequences"]] == [s.psnr.tolist() for s in expected]
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["sequence"], r["frame"]) for r in rows] == [(str(i), str(t)) for i in range(2) for t in range(1, T)]
    assert float(rows[-1]["ssim"]) == expected[1].ssim[-1]


def test_another_first_frame_is_said(tmp_path: Path, films: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    write_submission(tmp_path / "s.csv", films.swapaxes(2, 3)[:, :, :, :].reshape(films.shape))
    write_submission(tmp_path / "truth.csv", films)
    assert main(["score", str(tmp_path / "s.csv"), "--truth", str(tmp_path / "truth.csv"), *SIZES]) == 0
    assert capsys.readouterr().out.count("Note: the first frame of sequences 0, 1 is not the given one") == 1


def test_one_other_first_frame_is_said_of_its_sequence() -> None:
    assert not_given([50.0, 20.0])[0].startswith("the first frame of sequence 1 is not the given one (20.0 dB apart)")
    assert not_given([50.0, 60.0]) == []


def test_a_wrong_file_is_status_1(tmp_path: Path, films: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    write_submission(tmp_path / "truth.csv", films)
    lines = (tmp_path / "truth.csv").read_text().splitlines()
    (tmp_path / "s.csv").write_text("\n".join([*lines[:4], *lines[5:], "9,1"]))
    assert main(["score", str(tmp_path / "s.csv"), "--truth", str(tmp_path / "truth.csv"), *SIZES]) == 1
    said = capsys.readouterr().err
    assert "framecast score: " in said
    assert "line 5: the id is 4, 3 was expected" in said and "line 11: 2 columns, the header has 577" in said


def test_a_truth_of_broken_sequences_is_not_the_submission_s_fault(
    tmp_path: Path, films: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    write_submission(tmp_path / "s.csv", films)
    write_submission(tmp_path / "truth.csv", films.reshape(1, 2 * T, H, W, 3)[:, :-1])
    assert main(["score", str(tmp_path / "s.csv"), "--truth", str(tmp_path / "truth.csv"), *SIZES]) == 1
    assert "The truth has 9 rows: no whole sequences of 5 frames" in capsys.readouterr().err


def test_wrong_options_are_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    for options, words in [(["--length", "1"], "--length must be 2"), (["--out", "a.txt"], "--out is a .json or .csv")]:
        with pytest.raises(SystemExit) as caught:
            main(["score", "s.csv", "--truth", "t.csv", *options])
        assert caught.value.code == 2
        assert words in capsys.readouterr().err
