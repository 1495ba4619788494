"""Trainer.py goes on from a checkpoint: the same run, or in what another; and which it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import reference_pose_cvae as reference
import torch
from course import FAST, SHORT, SMALL, failed, options

from framecast import cli, schedules
from framecast.lab import record, trainer_main
from framecast.lab.calendar import settings_of
from framecast.lab.course_checkpoint import Start, read_start
from framecast.lab.trainer import check_steps
from framecast.schedules import Calendar, Progress


@pytest.mark.slow
def test_going_on_is_the_same_run(trained: Path, dance: Path, tmp_path: Path) -> None:
    """From the file of epoch 0: batches, noise, schedules and moments are those of the run that was not stopped."""
    shutil.copytree(trained / "store", tmp_path / "store")
    shutil.copy(trained / "metrics.csv", tmp_path)
    more = ["--ckpt_path", str(trained / "epoch=0.ckpt"), "--store_visualization"]
    trainer_main(["--DR", str(dance), "--save_root", str(tmp_path), *SMALL, *SHORT, *FAST, *more])
    assert not (tmp_path / "epoch=0.ckpt").exists()
    one, two = (torch.load(out / "epoch=2.ckpt", weights_only=True) for out in (trained, tmp_path))
    assert (one["lr"], one["tfr"], one["last_epoch"]) == (two["lr"], two["tfr"], two["last_epoch"])
    for key, value in one["state_dict"].items():
        assert torch.equal(value, two["state_dict"][key]), key
    assert torch.equal(one["optimizer"]["state"][5]["exp_avg_sq"], two["optimizer"]["state"][5]["exp_avg_sq"])
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["epoch=1.gif", "epoch=2.gif"]
    one, two = (out.joinpath("metrics.csv").read_text().splitlines() for out in (trained, tmp_path))
    assert [row.split(",")[:2] for row in one] == [row.split(",")[:2] for row in two]  # every step once


def course_file(path: Path) -> Path:
    """As the course's program writes it: its optimizer entry is the weights again."""
    torch.manual_seed(0)
    weights = reference.Model(8, 4, 4, 8).state_dict()
    torch.save({"state_dict": weights, "optimizer": weights, "lr": 1e-4, "tfr": 0.5, "last_epoch": 3}, path)
    return path


def test_a_file_of_the_course_s_program(tmp_path: Path) -> None:
    o = options(*SMALL, "--num_epoch", "8", "--tfr_sde", "2")
    start = read_start(str(course_file(tmp_path / "c.ckpt")), o, tmp_path)
    assert (start.epochs, start.optimizer) == (4, None)
    assert "The optimiser's state is not in it" in str(start)
    made = settings_of(o, Calendar(10, 4, 0), start)
    lr, tfr = (schedules.parse(text) for text in (made.lr_schedule, made.tfr))
    epochs = [Progress(e / 8, e, 8) for e in range(8)]
    np.testing.assert_allclose([made.lr * lr(p) for p in epochs[3:]], [1e-4, 1e-4, 1e-5, 1e-5, 1e-5])
    np.testing.assert_allclose([tfr(p) for p in epochs[3:]], [0.5, 0.4, 0.3, 0.2, 0.1])


def test_checkpoints_that_cannot_be_gone_on_from(
    trained: Path, dance: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(course_file(tmp_path / "c.ckpt"))
    there = ["--DR", str(dance), "--save_root", str(tmp_path)]
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for arguments, words in [
        (["--ckpt_path", path], "other dimensions. Give its own: --F_dim 8 --L_dim 4 --N_dim 4 --D_out_dim 8"),
        (["--ckpt_path", path, *SMALL, "--num_epoch", "4"], "has 4 epochs done; --num_epoch 4 leaves none"),
        (["--ckpt_path", str(tmp_path / "none.ckpt")], "none.ckpt does not exist"),
        (["--ckpt_path", str(tmp_path / "text.ckpt")], "not a checkpoint"),
        (["--test"], "give it with --ckpt_path"),
        (["--DR", str(tmp_path / "none")], "none is not a folder"),
        (["--save_root", str(trained)], "holds an earlier run. Go on with it by --ckpt_path"),
        (["--save_root", str(trained), *SMALL, "--ckpt_path", str(trained)], "best.ckpt would begin a new one"),
    ]:
        before = (trained / "metrics.csv").read_bytes()
        status, said = failed(capsys, trainer_main, [*there, *arguments])
        assert (status, words in said, said.count("Trainer.py:")) == (1, True, 1), said
        assert (trained / "metrics.csv").read_bytes() == before


def test_nan_says_how_to_go_on_in_the_course_s_words(
    trained: Path, dance: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in those of `framecast train --resume`, which cannot go on with this run."""
    for name in ("store", "checkpoints"):
        shutil.copytree(trained / name, tmp_path / name)
    last = tmp_path / "checkpoints" / "last.ckpt"
    there = ["--DR", str(dance), "--save_root", str(tmp_path), *SMALL, *SHORT, *FAST]
    more = ["--num_epoch", "4", "--lr", "1e30", "--ckpt_path", str(last)]
    status, said = failed(capsys, trainer_main, [*there, *more])
    assert (status, "--resume" in said) == (1, False), said
    assert f"To go on from the last checkpoint: the same command with --ckpt_path {last}" in said


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--batch_size", "1"], "written with --batch_size 2; this command has --batch_size 1."),
        (["--train_vi_len", "5", "--partial", "0.5"], "Give --partial 1.0, --train_vi_len 4, or go on from an epoch"),
        (["--fast_partial", "0.7"], "written with --fast_partial 0.5; this command has --fast_partial 0.7"),
        (["--num_epoch", "3"], "has 3 epochs done; --num_epoch 3 leaves none to train"),
    ],
)
def test_steps_are_not_taken_for_those_of_other_epochs(
    trained: Path, dance: Path, changed: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "lab.yaml").read_bytes()
    last = ["--ckpt_path", str(trained / "checkpoints" / "last.ckpt")]
    there = ["--DR", str(dance), "--save_root", str(trained), *SMALL, *SHORT, *FAST, "--num_epoch", "4", *last]
    status, said = failed(capsys, trainer_main, [*there, *changed])
    assert (status, words in said) == (1, True), said
    assert (trained / "lab.yaml").read_bytes() == before


def test_other_data_have_other_steps() -> None:
    start = Start(Path("last.ckpt"), {}, exact=True, steps=10, epoch_length=4)
    with pytest.raises(ValueError, match="a run with 4 steps an epoch; with this dataset and these flags there are 6"):
        check_steps(start, Calendar(6, 2, 1), options())


def test_going_on_with_other_flags_says_which_and_keeps_both(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    had = record.read(trained)
    given = ["--DR", had["DR"], "--save_root", str(trained), *SMALL, *SHORT, *FAST]
    o = options(*given, "--num_epoch", "4", "--lr", "0.0005", "--kl_anneal_type", "None")
    start = read_start(str(trained / "checkpoints" / "last.ckpt"), o, trained)
    told = "--lr 0.001 -> 0.0005, --num_epoch 3 -> 4, --per_save 1 -> 3"
    assert f"but from here on with {told}, --kl_anneal_type Cyclical -> None (lab.yaml" in str(start)
    assert "exactly" not in str(start)
    shutil.copy(trained / "lab.yaml", tmp_path)
    calendar = Calendar(4, 2, 1)
    record.write(o, tmp_path, settings_of(o, calendar, start), calendar, start.steps)
    found = record.read(tmp_path)
    assert (found["lr"], found["num_epoch"]) == (0.0005, 4)
    was = {"until_step": 10, "lr": 0.001, "num_epoch": 3, "per_save": 1, "kl_anneal_type": "Cyclical"}
    assert found["earlier"] == [was]
    program, *again = found["go_on"].removeprefix("python ").split()
    assert program == "Trainer.py" and again[-1] == str(tmp_path / "checkpoints" / "last.ckpt")
    assert {**vars(options(*again)), "ckpt_path": None} == vars(o)
    (tmp_path / "lab.yaml").write_text("lr: [")
    record.write(o, tmp_path, settings_of(o, calendar, start), calendar, start.steps)
    assert (tmp_path / "lab.damaged").read_text() == "lr: ["
    assert "lab.yaml is not readable; it is kept as lab.damaged" in capsys.readouterr().out
    assert record.read(tmp_path)["lr"] == 0.0005


def test_what_is_typed_is_what_is_not_usual(tmp_path: Path) -> None:
    given = options("--DR", "my dance", "--save_root", "o", "--frame_H", "16", "--num_epoch", "3")
    assert record.typed(given, ("DR", "frame_H", "frame_W")) == ["--DR", "my dance", "--frame_H", "16"]
    assert "'my dance'" in record.command(given, tmp_path) and "--num_epoch 3" in record.command(given, tmp_path)


def test_the_run_s_own_last_checkpoint(trained: Path, tmp_path: Path) -> None:
    last = trained / "checkpoints" / "last.ckpt"
    given = options("--DR", record.read(trained)["DR"], *SMALL, *SHORT, *FAST, "--per_save", "1")
    assert str(read_start(str(last), given, trained)) == f"Going on exactly where {last} was written."
    elsewhere = read_start(str(last), options(*SMALL), tmp_path)
    assert (elsewhere.exact, elsewhere.epochs) == (False, 0)
    assert "the schedules begin anew" in str(elsewhere)


def test_framecast_train_sends_a_run_of_the_course_to_its_own_program(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "--resume", str(trained)]) == 1
    assert f"which goes on by itself: {record.read(trained)['go_on']}" in capsys.readouterr().err
