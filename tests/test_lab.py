"""System A's two commands: flags, schedules, files. Data are a tiny drawn dance."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_pose_cvae as reference
import torch
from course import ROOT, SMALL, failed, options
from fits import rows_of
from PIL import Image

from framecast import checkpoint, cli, lab, models, schedules
from framecast.lab import trainer_main
from framecast.lab.calendar import FastFirst, settings_of
from framecast.lab.course_checkpoint import read_start, save_course
from framecast.lab.flags import flags
from framecast.lab.trainer import calibrated_command
from framecast.report.film import read_film
from framecast.rollout import noise
from framecast.schedules import Calendar, Progress
from framecast.sources._files import pictures_of
from framecast.submission import read_submission
from framecast.values import Condition, Spec, tensor

# ---------------------------------------------------------------- flags

DEFAULTS = """--batch_size 2 --lr 0.001 --optim Adam --gpu 1 --num_workers 4 --num_epoch 70 --per_save 3 --partial 1.0
    --train_vi_len 16 --val_vi_len 630 --frame_H 32 --frame_W 64 --F_dim 128 --L_dim 32 --N_dim 12 --D_out_dim 192
    --tfr 1.0 --tfr_sde 10 --tfr_d_step 0.1 --fast_partial 0.4 --fast_train_epoch 5 --kl_anneal_type Cyclical
    --kl_anneal_cycle 10 --kl_anneal_ratio 1"""


def test_the_defaults_are_the_course_s() -> None:
    assert vars(options()) == vars(options(*DEFAULTS.split()))
    found = options()
    assert (found.device, found.ckpt_path, found.test, found.fast_train, found.store_visualization) == (
        None, None, False, False, False,
    )  # fmt: skip


@pytest.mark.parametrize("main", [trainer_main, lab.tester_main])
def test_every_flag_has_help(main: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "(default: Cyclical)" in capsys.readouterr().out
    assert all(action.help for action in flags("Trainer.py", "")._actions)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--batchsize", "4"], "there is no flag --batchsize. Did you mean '--batch_size'?"),
        (["--num_ep", "4"], "there is no flag --num_ep. Did you mean '--num_epoch'?"),
        (["--optim", "SGD"], "--optim"),
        (["--lr", "0"], "--lr: '0' is not a number above 0"),
        (["--partial", "1.5"], "--partial: '1.5' is not a number above 0 to 1"),
        (["--num_epoch", "many"], "--num_epoch: 'many' is not a whole number from 1"),
        (["--tfr", "nan"], "--tfr: 'nan' is not a number from 0 to 1"),
    ],
)
def test_wrong_flags(wrong: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = failed(capsys, trainer_main, ["--DR", "data", "--save_root", "out", *wrong])
    assert status == 2
    assert words in said


# ---------------------------------------------------------------- schedules


def course_epochs(o: Any) -> list[tuple[float, float, float]]:
    """(beta, teacher forcing ratio, learning rate) of each epoch, walked as the course's program walks them."""
    kinds = {"None": (1, 1e-9), "Monotonic": (1, o.kl_anneal_ratio), "Cyclical": (o.kl_anneal_cycle, o.kl_anneal_ratio)}
    cycles, ratio = kinds[o.kl_anneal_type]
    period, tfr, lr, rows = o.num_epoch / cycles, o.tfr, o.lr, []
    shift = o.fast_train_epoch if o.fast_train else 0
    for epoch in range(o.num_epoch):
        if epoch >= o.tfr_sde:
            tfr = max(0.0, tfr - o.tfr_d_step)
        if epoch - shift in (2, 5):
            lr *= 0.1
        beta = 1.0 if o.kl_anneal_type == "None" else min(1.0, (epoch % period) / (period * ratio))
        rows.append((beta, tfr, lr))
    return rows


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--fast_train"],
        ["--kl_anneal_type", "Monotonic", "--kl_anneal_ratio", "0.25", "--tfr", "0.8", "--tfr_sde", "3"],
        ["--kl_anneal_type", "None", "--tfr_d_step", "0.04", "--num_epoch", "30"],
        ["--kl_anneal_cycle", "5", "--kl_anneal_ratio", "0.5", "--num_epoch", "50"],
    ],
)
def test_schedules_are_the_course_s(given: list[str]) -> None:
    o = options(*given)
    made = settings_of(o, Calendar(100, 40, o.fast_train_epoch if o.fast_train else 0), None)
    found = []
    for epoch in range(o.num_epoch):
        progress = Progress(epoch / o.num_epoch, epoch, o.num_epoch)
        beta, tfr, decay = (schedules.parse(text)(progress) for text in (made.beta, made.tfr, made.lr_schedule))
        found.append((beta, tfr, made.lr * decay))
    np.testing.assert_allclose(found, course_epochs(o), atol=1e-9)
    assert (made.tfr_draw, made.schedule_unit, made.objective, made.clip_norm) == ("epoch", "epoch", "mse", 1.0)


def test_the_calendar() -> None:
    calendar = Calendar(full=10, short=4, shorts=3)
    assert [calendar.steps(e) for e in range(6)] == [0, 4, 8, 12, 22, 32]
    assert [calendar.epoch(s) for s in (0, 2, 4, 12, 17, 22)] == [0, 0.5, 1, 3, 3.5, 4]
    assert [Calendar(10, 4, 0).epoch(s) for s in (0, 5, 30)] == [0, 0.5, 3]
    batches = FastFirst(fast=["f"] * 20, full=["F"] * 20, until=calendar.steps(3))  # type: ignore[arg-type]
    assert "".join(batches[k] for k in range(14)) == "f" * 12 + "FF"


# ---------------------------------------------------------------- training


def test_what_training_leaves(trained: Path) -> None:
    names = {p.name for p in trained.iterdir()}
    assert {"epoch=0.ckpt", "epoch=1.ckpt", "epoch=2.ckpt", "lab.yaml", "training.png", "store"} <= names
    assert len(read_film(trained / "validation" / "film-val.gif")) == 11
    validated = [(row["step"], row["epoch"]) for row in rows_of(trained) if row["val/psnr"]]
    assert validated == [("2", "0"), ("6", "1"), ("10", "2")]  # 2 steps in the fast epoch, then 4


def test_a_checkpoint_is_the_course_s(trained: Path) -> None:
    data = torch.load(trained / "epoch=2.ckpt", weights_only=True)
    assert {"state_dict", "optimizer", "lr", "tfr", "last_epoch"} <= set(data)
    assert (data["lr"], data["tfr"], data["last_epoch"]) == (0.001, 0.0, 2)  # decay counts from the fast epoch's end
    assert data["optimizer"]["state"][0]["step"] == 10
    reference.Model(8, 4, 4, 8).load_state_dict(data["state_dict"], strict=True)


def test_the_default_network_s_checkpoint_is_the_course_s(tmp_path: Path) -> None:
    class Module:
        model = models.build(Spec(32, 64, 3, Condition("picture", 3)), "pose_cvae", {})
        logged = {"lr": 1e-4, "tfr": 0.7}

    save_course(tmp_path / "epoch=3.ckpt", Module, torch.optim.Adam(Module.model.parameters()), 3, 20.0)
    data = torch.load(tmp_path / "epoch=3.ckpt", weights_only=True)
    model = reference.Model()
    model.load_state_dict(data["state_dict"], strict=True)
    assert sum(p.numel() for p in model.parameters()) == reference.PARAMETERS
    start = read_start(str(tmp_path / "epoch=3.ckpt"), options(), tmp_path)
    assert (start.epochs, start.lr, start.tfr, start.best) == (4, 1e-4, 0.7, 20.0)


def test_what_the_course_lacks_is_said_as_a_whole_command(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def fit(store: Any, settings: Any, model: str, config: Any, *_: Any, **__: Any) -> None:
        asked.update(objective=settings.objective, epochs=settings.epochs, model=model, config=config)
        raise ValueError("no time to train")

    command = calibrated_command(options(*SMALL, "--num_epoch", "3"), trained)
    monkeypatch.setattr("framecast.training.run.fit", fit)
    assert command.startswith("framecast train ") and cli.main(command.split()[1:]) == 1
    dims = {"F_dim": 8, "L_dim": 4, "N_dim": 4, "D_out_dim": 8}
    assert asked.pop("config").items() >= dims.items()
    assert asked == {"objective": "calibrated", "epochs": 3.0, "model": "pose_cvae"}
    svg = ["--model", "svg", "--svg.prior", "none", "--objective", "mse", "--steps", "1"]
    cli.main(["train", "--data", str(trained / "store"), *svg, "--conditions", "false", "--out", str(tmp_path / "svg")])
    assert "MSE alone: this model has no latent" in capsys.readouterr().out


def test_a_gpu_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    there = ["--DR", "data", "--save_root", str(tmp_path), "--device", "cuda"]
    assert "torch sees no GPU here. Take cpu, or leave --device out." in failed(capsys, trainer_main, there)[1]


@pytest.mark.slow
def test_test_only_validates(trained: Path, dance: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shutil.copytree(trained / "store", tmp_path / "store")
    there = ["--DR", str(dance), "--save_root", str(tmp_path), *SMALL]
    trainer_main([*there, "--test", "--ckpt_path", str(trained / "epoch=2.ckpt")])
    said = capsys.readouterr().out
    assert "The pictures are packed already" in said and "is replaced" not in said
    assert "prediction        PSNR" in said and "copy first frame  PSNR" in said
    assert (tmp_path / "validation" / "results.json").is_file()
    assert not list(tmp_path.glob("*.ckpt"))
    trainer_main([*there, "--test", "--val_vi_len", "4", "--ckpt_path", str(trained / "epoch=2.ckpt")])
    assert f"The validation that was in {tmp_path / 'validation'} is replaced." in capsys.readouterr().out


# ---------------------------------------------------------------- testing


@pytest.mark.slow
@pytest.mark.usefixtures("float32")
def test_prediction(trained: Path, dance: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--DR", str(dance), "--save_root", str(tmp_path), "--ckpt_path", str(trained / "epoch=2.ckpt")]
    (tmp_path / "submission.csv").write_text("of an earlier test")
    lab.tester_main([*arguments, *SMALL])
    rows = read_submission(tmp_path / "submission.csv")
    assert rows.shape == (630, 3 * 16 * 32)
    first = np.asarray(Image.open(dance / "test" / "test_img" / "0" / "0.png"))
    assert (rows[0].reshape(3, 16, 32) == first.transpose(2, 0, 1)).all()
    assert read_film(tmp_path / "pred_seq0.gif").shape == (630, 16, 32, 3)
    said = capsys.readouterr().out
    assert "are replaced" in said and "over 629 frames (copying the first frame:" in said
    # The frames are those that the course's program draws from the same noise.
    model = reference.Model(8, 4, 4, 8)
    model.load_state_dict(torch.load(trained / "epoch=2.ckpt", weights_only=True)["state_dict"])
    loaded = checkpoint.load(trained / "epoch=2.ckpt", size=(16, 32)).model
    labels = tensor(pictures_of(dance / "test" / "test_label" / "0")[:50])[None] / 255
    eps = noise(loaded, [(0, 0, 0)], range(49)).transpose(0, 1)
    drawn = reference.predict(model, tensor(first)[None] / 255, labels, eps)[0].flatten(1) * 255
    assert np.abs(drawn.numpy() - rows[1:50]).max() <= 0.51


def test_what_cannot_be_tested(trained: Path, dance: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = ["--save_root", str(tmp_path / "out"), *SMALL]
    ckpt = ["--ckpt_path", str(trained / "epoch=2.ckpt")]
    (tmp_path / "data" / "train").mkdir(parents=True)
    for arguments, words in [
        (["--DR", str(dance)], "--ckpt_path OUT/epoch=69.ckpt"),
        (["--DR", str(tmp_path / "none"), *ckpt], "none is not a folder"),
        (["--DR", str(tmp_path / "data"), *ckpt], "has no folder test"),
        (["--DR", str(dance), "--ckpt_path", str(tmp_path / "none")], "none does not exist"),
    ]:
        status, said = failed(capsys, lab.tester_main, [*there, *arguments])
        assert (status, words in said, said.count("Tester.py:")) == (1, True, 1), said
    assert not (tmp_path / "out").exists()


def test_the_programs_only_call() -> None:
    for name in ("Trainer", "Tester"):
        text = (ROOT / f"{name}.py").read_text()
        assert f"from framecast.lab import {name.lower()}_main" in text
        assert len(text.splitlines()) < 10
