"""`framecast predict` with one's own files: what it takes, refuses and says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from framecast import cli

pytestmark = pytest.mark.usefixtures("float32")


def own(folder: Path, frames: tuple[int, ...], conditions: np.ndarray) -> list[str]:
    """The options for given frames of that shape and conditions, written to files."""
    np.save(folder / "frames.npy", np.full(frames, 128, np.uint8))
    np.save(folder / "conditions.npy", conditions)
    return ["--frames", str(folder / "frames.npy"), "--conditions", str(folder / "conditions.npy")]


def test_squeezed_frames_are_told(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = ["predict", str(place / "run-robots"), "--out", str(tmp_path / "film.npz")], "another aspect ratio"
    assert cli.main([*run, *own(tmp_path, (1, 32, 32, 3), np.zeros((3, 2)))]) == 0
    assert out not in capsys.readouterr().err
    assert cli.main([*run, *own(tmp_path, (1, 18, 32, 3), np.zeros((3, 2)))]) == 0
    said = capsys.readouterr().err
    assert "given frames of 18 x 32 (H x W) are resized to the run's 16 x 16, another aspect ratio" in said
    assert said.count(out) == 1
    poses = own(tmp_path, (1, 16, 32, 3), np.zeros((3, 32, 32, 3), np.uint8))
    assert cli.main([*run[:1], str(place / "run-dances"), *run[2:], *poses]) == 0
    assert "The condition pictures of 32 x 32 (H x W) are resized" in capsys.readouterr().err


def test_the_mean_is_one_film(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", str(place / "run-robots"), "--data", str(place / "robots"), "--split", "val"]
    with pytest.raises(SystemExit):
        cli.main([*command, "--samples", "2", "--mean", "--out", str(tmp_path / "film")])
    assert "--mean draws one future, the likeliest: leave --samples 2 out" in capsys.readouterr().err
