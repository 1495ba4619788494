"""System A's two commands: flags, schedules, files, and going on from a checkpoint. Data are a tiny drawn dance."""

from __future__ import annotations

import csv
import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from elements import shown
from PIL import Image

from framecast import checkpoint, cli, lab, models, schedules
from framecast.lab import record, trainer_main
from framecast.lab.calendar import FastFirst, settings_of
from framecast.lab.course_checkpoint import Start, read_start, save_course
from framecast.lab.flags import flags
from framecast.lab.trainer import calibrated_command, check_steps
from framecast.report import contents, curves, folders
from framecast.report.film import read_film
from framecast.report.page import page
from framecast.rollout import noise
from framecast.schedules import Calendar, Progress
from framecast.sources import dancer
from framecast.sources._files import pictures_of
from framecast.submission import read_submission
from framecast.values import Condition, Spec, tensor

ROOT = Path(__file__).parents[1]
SMALL = ["--frame_H", "16", "--frame_W", "32", "--F_dim", "8", "--L_dim", "4", "--N_dim", "4", "--D_out_dim", "8"]
SMALL += ["--num_workers", "1", "--device", "cpu"]
SHORT = ["--train_vi_len", "4", "--num_epoch", "3", "--tfr_sde", "1", "--tfr_d_step", "0.5"]
FAST = ["--fast_train", "--fast_train_epoch", "1", "--fast_partial", "0.5"]


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The course's network and program, transcribed independently."""
    path = ROOT / "benchmarks" / "reference_pose_cvae.py"
    spec = importlib.util.spec_from_file_location("reference_pose_cvae", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def dance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dancer.write(tmp_path_factory.mktemp("data") / "dance", 32, 12, 1, 0, "16x32", workers=1)


@pytest.fixture(scope="session")
def trained(dance: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a run of three epochs, the first one short, a checkpoint after each."""
    out = tmp_path_factory.mktemp("lab") / "out"
    trainer_main(["--DR", str(dance), "--save_root", str(out), "--per_save", "1", *SMALL, *SHORT, *FAST])
    return out


def options(*more: str) -> Any:
    return flags("Trainer.py", "").parse_args(["--DR", "data", "--save_root", "out", *more])


def failed(capsys: pytest.CaptureFixture[str], main: Any, arguments: list[str]) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code, capsys.readouterr().err  # type: ignore[return-value]


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
    with open(trained / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    validated = [(row["step"], row["epoch"]) for row in rows if row["val/psnr"]]
    assert validated == [("2", "0"), ("6", "1"), ("10", "2")]  # 2 steps in the fast epoch, then 4


def test_a_checkpoint_is_the_course_s(trained: Path, reference: ModuleType) -> None:
    data = torch.load(trained / "epoch=2.ckpt", weights_only=True)
    assert {"state_dict", "optimizer", "lr", "tfr", "last_epoch"} <= set(data)
    assert (data["lr"], data["tfr"], data["last_epoch"]) == (0.001, 0.0, 2)  # decay counts from the fast epoch's end
    assert data["optimizer"]["state"][0]["step"] == 10
    reference.Model(8, 4, 4, 8).load_state_dict(data["state_dict"], strict=True)


def test_the_default_network_s_checkpoint_is_the_course_s(tmp_path: Path, reference: ModuleType) -> None:
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


def course_file(reference: ModuleType, path: Path, **more: Any) -> Path:
    """As the course's program writes it: its optimizer entry is the weights again."""
    torch.manual_seed(0)
    weights = reference.Model(8, 4, 4, 8).state_dict()
    torch.save({"state_dict": weights, "optimizer": weights, "lr": 1e-4, "tfr": 0.5, "last_epoch": 3, **more}, path)
    return path


def test_a_file_of_the_course_s_program(reference: ModuleType, tmp_path: Path) -> None:
    o = options(*SMALL, "--num_epoch", "8", "--tfr_sde", "2")
    start = read_start(str(course_file(reference, tmp_path / "c.ckpt")), o, tmp_path)
    assert (start.epochs, start.optimizer) == (4, None)
    assert "The optimiser's state is not in it" in str(start)
    made = settings_of(o, Calendar(10, 4, 0), start)
    lr, tfr = (schedules.parse(text) for text in (made.lr_schedule, made.tfr))
    epochs = [Progress(e / 8, e, 8) for e in range(8)]
    np.testing.assert_allclose([made.lr * lr(p) for p in epochs[3:]], [1e-4, 1e-4, 1e-5, 1e-5, 1e-5])
    np.testing.assert_allclose([tfr(p) for p in epochs[3:]], [0.5, 0.4, 0.3, 0.2, 0.1])


def test_checkpoints_that_cannot_be_gone_on_from(
    reference: ModuleType, trained: Path, dance: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(course_file(reference, tmp_path / "c.ckpt"))
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
    ]:
        status, said = failed(capsys, trainer_main, [*there, *arguments])
        assert (status, words in said, said.count("Trainer.py:")) == (1, True, 1), said


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


def test_going_on_with_other_flags_says_which_and_keeps_both(trained: Path, tmp_path: Path) -> None:
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


def test_the_run_s_own_last_checkpoint(trained: Path, tmp_path: Path) -> None:
    last = trained / "checkpoints" / "last.ckpt"
    given = options("--DR", record.read(trained)["DR"], *SMALL, *SHORT, *FAST, "--per_save", "1")
    assert str(read_start(str(last), given, trained)) == f"Going on exactly where {last} was written."
    elsewhere = read_start(str(last), options(*SMALL), tmp_path)
    assert (elsewhere.exact, elsewhere.epochs) == (False, 0)
    assert "the schedules begin anew" in str(elsewhere)


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


def test_framecast_train_sends_a_run_of_the_course_to_its_own_program(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "--resume", str(trained)]) == 1
    assert f"which goes on by itself: {record.read(trained)['go_on']}" in capsys.readouterr().err


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


# ---------------------------------------------------------------- in a report


def test_a_report_reads_a_run_of_the_course(trained: Path) -> None:
    (run,) = folders.find([trained])
    assert (run.state, run.notes, run.config["model"]) == ("", [], "pose_cvae")
    (group,) = contents.groups([run])
    assert [row.label for row in group.rows] == ["out", "copy first frame"]
    assert len(group.rows[0].curve()) == 11
    steps = run.columns["step"]
    for name in curves.SCHEDULES:
        at = dict(curves.schedule(run, name))
        logged = {k: v for k, v in zip(steps, run.columns[f"train/{name}"], strict=True) if v == v}
        where = np.array(sorted(at))
        for step, value in logged.items():  # of the short first epoch, and of the others
            assert at[where[where <= step - 1].max()] == pytest.approx(value, rel=1e-4), (name, step)
    text = page(folders.find([trained]), "")
    assert "drawn by the schedules themselves" in text and "<dt>commit</dt>" in text
    assert shown(text)["films"] and "copying scores" in text


def test_runs_of_the_course_stand_side_by_side(trained: Path, tmp_path: Path) -> None:
    for kind in ("None", "Monotonic"):
        shutil.copytree(trained, tmp_path / kind, ignore=shutil.ignore_patterns("store", "checkpoints", "*.ckpt"))
        settings = record.read(trained) | {"kl_anneal_type": kind, "save_root": kind}
        (tmp_path / kind / "lab.yaml").write_text(yaml.safe_dump(settings))
    runs = folders.find([tmp_path])
    assert [row.label for row in contents.groups(runs)[0].rows] == ["Monotonic", "None", "copy first frame"]
    settings = page(runs, "").partition('class="settings"')[2].partition("</table>")[0]
    assert re.findall(r'<th scope="row">(.*?)</th>', settings) == ["Monotonic", "None"]  # one column: the flag
    assert "kl_anneal_type" in settings


def test_a_stopped_run_of_the_course_says_how_it_goes_on(trained: Path, tmp_path: Path) -> None:
    rows = (trained / "metrics.csv").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.csv").write_text("".join(rows[:3]))
    (tmp_path / "cost.json").write_text('{"state": "stopped", "step": 2}')
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    had = record.read(trained)
    changed = had | {"earlier": [{"until_step": 1, "lr": 0.5}]}
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(changed))
    (run,) = folders.find([tmp_path])
    assert "20% of its training" in run.state and run.state.endswith(f"To go on: {had['go_on']}")
    assert "Until step 1 it had --lr 0.5" in run.notes[0] and "--data STORE" in run.notes[1]
    (tmp_path / "store").mkdir()
    assert f"--data {tmp_path / 'store'} --split val" in folders.find([tmp_path])[0].notes[1]
    without = {key: value for key, value in had.items() if key not in ("framecast", "go_on")}  # of an earlier framecast
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(without))
    assert "drawn by the schedules" not in page(folders.find([tmp_path]), "")
    (tmp_path / "lab.yaml").write_text("a: [")
    assert "lab.yaml is damaged" in folders.find([tmp_path])[0].notes[0]


# ---------------------------------------------------------------- testing


@pytest.mark.slow
@pytest.mark.usefixtures("float32")
def test_prediction(
    trained: Path, dance: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: ModuleType
) -> None:
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
