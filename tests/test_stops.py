"""How a run ends before its time: another process in its folder, a kill, NaN, a full disk, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import StopAt, fit, settings
from lightning.pytorch import Callback

from framecast import checkpoint, cli
from framecast.atomic import check_absent, check_free, held, replacing
from framecast.store import Store
from framecast.training.run import prepare


def test_one_process_at_a_time_trains_into_a_folder(dances: Store, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (
        held(tmp_path / "run"),
        pytest.raises(FileExistsError, match=r"Another process is at work in .*run\. Wait"),
    ):
        fit(dances, "anchor", tmp_path / "run", settings(steps=2))
    fit(dances, "anchor", tmp_path / "run", settings(steps=2))


def test_what_a_killed_process_left_is_swept_away(dances: Store, tmp_path: Path) -> None:
    """But not what is another's, is being written, or had been moved away."""
    mark, run = ".framecast-abcdefgh", tmp_path / "run"
    places = [run / f".config.yaml{mark}", run / f"checkpoints/.last.ckpt{mark}", run / f"samples/.film.gif{mark}"]
    kept = [run / ".todo.20261122", run / f"samples/.film{mark}"]
    for folder, inside in zip(
        [*places, *kept], ("config.yaml", "last.ckpt", "frames.raw", "todo", "older"), strict=True
    ):
        folder.mkdir(parents=True)
        (folder / inside).write_text("half")
    with replacing(run / "film.mp4") as partial:
        partial.write_text("being written")
        fit(dances, "anchor", run, settings(steps=1))
    assert (run / "film.mp4").read_text() == "being written"
    assert [folder.exists() for folder in [*places, *kept]] == [False, False, False, True, True]


def test_a_folder_in_which_nothing_is_saved_yet_is_not_offered_to_go_on_with(tmp_path: Path) -> None:
    prepare(tmp_path / "run", {"model": "anchor"})
    with pytest.raises(FileExistsError, match=r"remove it, if no training is at work in it"):
        prepare(tmp_path / "run", {"model": "anchor"})


def test_a_link_that_leads_nowhere_is_something(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for check in (check_absent, check_free):
        with pytest.raises(FileExistsError, match="link exists already"):
            check(tmp_path / "link")


def test_a_folder_whose_place_is_not_taken_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "old").write_text("old")
    move, moved = os.replace, []

    def stopped(source: Any, target: Any) -> None:
        moved.append(target)
        if len(moved) == 2:
            raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr("os.replace", stopped)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "films") as partial:
        partial.mkdir()
    assert len(moved) == 3
    assert (tmp_path / "films" / "old").read_text() == "old"


def test_films_do_not_stand_beside_the_numbers_of_an_older_evaluation(
    dances: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(dances, "anchor", tmp_path / "run", settings(steps=1))
    command = ["evaluate", str(tmp_path / "run"), "--data", str(dances.root)]
    assert cli.main(command) == 0

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("framecast.atomic.write_json", full)
    assert cli.main(command) == 1
    assert not (tmp_path / "run/evaluation-val/results.json").exists()


def test_a_run_that_is_only_read_is_scored_all_the_same(
    dances: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(dances, "anchor", tmp_path / "run", settings(steps=1))

    def refused(run: Path) -> None:
        raise OSError(30, "Read-only file system", str(run))

    monkeypatch.setattr("framecast.report.run.training_figures", refused)
    assert cli.main(["evaluate", str(tmp_path / "run"), "--data", str(dances.root), "--out", str(tmp_path / "o")]) == 0
    said = capsys.readouterr()
    assert "training.png is not drawn anew (Read-only file system)" in said.err
    assert "copy first frame" in said.out


def test_nan_stops_names_the_step_and_keeps_the_batch(dances: Store, tmp_path: Path) -> None:
    class Poison(Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
            if trainer.global_step == 2:
                next(module.model.parameters()).data.fill_(float("nan"))

    with pytest.raises(FloatingPointError, match=r"At step 2 .*nan.step-2\.pt"):
        fit(dances, "anchor", tmp_path / "run", settings(), extra=[Poison()])
    kept = torch.load(tmp_path / "run/nan/step-2.pt", weights_only=True)
    assert kept["batch"]["frames"].shape == (2, 4, 3, 16, 32)


def test_a_full_disk_leaves_the_checkpoint_before_it(
    dances: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(dances, "anchor", tmp_path / "run", settings(), extra=[StopAt(3)])
    before = (tmp_path / "run/checkpoints/last.ckpt").read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning.pytorch.Trainer.save_checkpoint", full)
    with pytest.raises(OSError, match=r"last\.ckpt could not be written .*framecast train --resume .*run$"):
        fit(dances, "anchor", tmp_path / "run", settings(), resume=True)
    assert (tmp_path / "run/checkpoints/last.ckpt").read_bytes() == before
    assert [p.name for p in (tmp_path / "run/checkpoints").iterdir()] == ["last.ckpt"]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(dances: Store, tmp_path: Path, stop: signal.Signals) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "framecast.cli", "train", "--data", str(dances.root), "--out", str(out)]
    options = ["--steps", "100000", "--log_every", "1", "--validations", "0", "--clip_length", "4"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (out / "metrics.csv").is_file() and process.poll() is None:
        signal.sigtimedwait([], 0.2)
    process.send_signal(stop)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert f"framecast train --resume {out}" in said
    assert checkpoint.read(out / "checkpoints/last.ckpt")["global_step"] >= 1
    assert json.loads((out / "cost.json").read_text())["state"] == "stopped"
