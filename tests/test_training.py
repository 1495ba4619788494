"""A run: what it keeps, what cannot be asked of it, and that a resumed run is the same run."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import WriteStore
from fits import SMALL, StopAt, fit, rows_of, settings

from framecast import checkpoint, cli, models, rollout
from framecast.store import Store
from framecast.training import run
from framecast.values import Clip, Episode

CURES = {"context_noise": 0.1, "anchored": True, "rollout_frames": 2}


@pytest.mark.parametrize(
    ("model", "draw", "cures"),
    [("anchor", "frame", {}), pytest.param("pose_cvae", "frame", {}, marks=pytest.mark.slow)]
    + [pytest.param(model, "epoch", {}, marks=pytest.mark.slow) for model in sorted(SMALL)]
    + [pytest.param("pose_cvae", "frame", CURES, marks=pytest.mark.slow)],
)
def test_a_resumed_run_is_the_same_run_bit_for_bit(
    dances: Store, tmp_path: Path, model: str, draw: str, cures: dict[str, Any]
) -> None:
    asked = settings(tfr="0.5", tfr_draw=draw, beta="cyclical:cycles=2", **cures)
    fit(dances, model, tmp_path / "whole", asked)
    fit(dances, model, tmp_path / "parts", asked, extra=[StopAt(3)])
    assert checkpoint.read(tmp_path / "parts/checkpoints/last.ckpt")["global_step"] == 3
    fit(dances, model, tmp_path / "parts", asked, resume=True)
    whole, parts = (checkpoint.read(tmp_path / name / "checkpoints/last.ckpt") for name in ("whole", "parts"))
    assert parts["global_step"] == 6
    assert checkpoint.load(tmp_path / "parts").model.anchored == bool(cures)
    for key, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][key]), key
    moments = [c["optimizer_states"][0]["state"] for c in (whole, parts)]
    assert all(torch.equal(moments[0][i]["exp_avg_sq"], moments[1][i]["exp_avg_sq"]) for i in moments[0])


def test_a_run_says_what_it_has_cost_with_all_its_parts(dances: Store, tmp_path: Path) -> None:
    asked = settings()
    fit(dances, "anchor", tmp_path / "run", asked, extra=[StopAt(3)])
    first = json.loads((tmp_path / "run/cost.json").read_text())
    assert first["step"] == 3
    assert first["core_minutes"] == pytest.approx(first["seconds"] * torch.get_num_threads() / 60, abs=2e-3)
    assert first["peak_memory_mb"] > 50  # torch alone is larger
    first |= {"core_minutes": 7.0, "peak_memory_mb": 10**6}
    (tmp_path / "run/cost.json").write_text(json.dumps(first))
    fit(dances, "anchor", tmp_path / "run", asked, resume=True)
    whole = json.loads((tmp_path / "run/cost.json").read_text())
    assert whole["core_minutes"] >= 7 and whole["peak_memory_mb"] == 10**6
    assert (whole["state"], whole["step"]) == ("finished", 6)


@pytest.mark.slow
def test_a_run_is_trained_with_the_cures_it_asks_for(
    dances: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def walk(model: Any, clip: Any, *others: Any) -> Any:
        asked.append((model.anchored, clip.frames, *others[-2:]))
        return rollout.walk(model, clip, *others)

    monkeypatch.setattr("framecast.training.module.walk", walk)
    fit(dances, "pose_cvae", tmp_path / "cured", settings(steps=8, **CURES))
    fit(dances, "pose_cvae", tmp_path / "plain", settings(steps=1))
    *cured, plain = asked
    assert plain[0] is False
    assert plain[2:] == (None, None)
    assert all(anchored for anchored, *_ in cured)
    assert {0 if own is None else own.shape[1] for _, _, own, _ in cured} == {0, 1, 2}
    for _, frames, own, spoilt in cured:
        assert spoilt.shape == frames.shape == (2, 4, 3, 16, 32)
        assert own is None or (
            own.shape[2:] == frames.shape[2:] and not torch.equal(own, frames[:, 1 : 1 + own.shape[1]])
        )
    assert any(bool(spoilt.any()) for *_, spoilt in cured)


def test_every_step_is_in_the_metrics_once_when_a_run_resumes(
    dances: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = tmp_path / "run/metrics.csv"
    fit(dances, "anchor", tmp_path / "run", settings(), extra=[StopAt(3)])
    with open(metrics, "ab") as file:  # steps after the last checkpoint, the second cut off by a crash
        file.write(b"4,0.5,1,9,9,9,9,9,9,9,9,9,,,,\r\n5,0.5")
    fit(dances, "anchor", tmp_path / "run", settings(), resume=True)
    rows = rows_of(tmp_path / "run")
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(float(row["train/kl"]) >= 0 and 0 < float(row["train/mse"]) < 9 for row in rows)
    assert f"{metrics}: 2 rows after step 3 are dropped" in capsys.readouterr().err
    assert not list(metrics.parent.glob(".*"))


def test_rows_stand_where_a_run_and_its_epochs_begin_and_end(
    dances: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framecast.training.callbacks.DENSE", 2)
    fit(dances, "anchor", tmp_path / "run", settings(steps=13, log_every=100))
    rows = rows_of(tmp_path / "run")
    assert [int(row["step"]) for row in rows] == [1, 2, 5, 6, 10, 11, 13]  # of 5 steps an epoch
    assert all(row["train/total"] for row in rows)


def test_a_seed_decides_the_run_and_another_seed_another(dances: Store, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(dances, "anchor", tmp_path / name, settings(steps=2, seed=seed))
    a, b, c = (checkpoint.read(tmp_path / n / "checkpoints/last.ckpt")["state_dict"] for n in "abc")
    key = "model.decoder.out.weight"
    assert torch.equal(a[key], b[key])
    assert not torch.equal(a[key], c[key])


@pytest.mark.slow
def test_schedules_end_where_a_run_by_minutes_ends(dances: Store, tmp_path: Path) -> None:
    """Also where the run is shorter than one epoch, and the number of epochs is not known before."""
    fit(dances, "pose_cvae", tmp_path / "run", settings(steps=None, minutes=0.02, tfr="linear", partial=1.0))
    assert float(rows_of(tmp_path / "run")[-1]["train/tfr"]) < 0.5


def test_validations_do_not_eat_a_run_by_minutes(dances: Store, tmp_path: Path) -> None:
    """Of 0.6 s a fifth is two validations of 0.06 s, and one is under way; the last one is made in any case."""
    seen = []

    def slow(model: models.Model, step: int) -> dict[str, float]:
        time.sleep(0.06)
        seen.append(step)
        return {"psnr": 20.0}

    fit(dances, "anchor", tmp_path / "run", settings(steps=None, minutes=0.01, validations=100), validate=slow)
    assert 1 <= len(seen) <= 4
    assert rows_of(tmp_path / "run")[-1]["step"] == str(seen[-1])


def test_a_validation_without_a_score_does_not_end_a_run(
    dances: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def at_four(model: models.Model, step: int) -> dict[str, float]:
        if step == 4:
            raise FloatingPointError("Frame 3 came out as NaN.")
        assert not model.training
        return {"psnr": 20.0}

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    fit(dances, "anchor", tmp_path / "run", settings(validations=3), validate=at_four)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert "Validation at step 4 has no score. Frame 3 came out as NaN." in capsys.readouterr().err
    assert [row["step"] for row in rows_of(tmp_path / "run") if row["val/psnr"]] == ["2", "6"]


def test_best_is_the_checkpoint_with_the_best_rollout(dances: Store, tmp_path: Path) -> None:
    scores = iter([20.0, 25.0, 22.0])
    fit(
        dances,
        "anchor",
        tmp_path / "run",
        settings(validations=3),
        validate=lambda model, step: {"psnr": next(scores)},
    )
    assert checkpoint.read(tmp_path / "run/checkpoints/best.ckpt")["global_step"] == 4
    assert checkpoint.load(tmp_path / "run").step == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": None}, "one of --minutes, --steps or --epochs"),
        ({"minutes": 1.0}, "--minutes and --steps"),
        ({"steps": 0}, "--steps must be above 0"),
        ({"clip_length": 1}, "--clip_length must be above --context"),
        ({"context": 16}, "at least one to predict"),
        ({"partial": 1.5}, "share"),
        ({"beta": "cyclicla"}, "--beta: .*Did you mean 'cyclical'"),
        ({"tfr": "linear:form_epoch=3"}, "--tfr: .*from_epoch"),
        ({"objective": "calibratd"}, "Did you mean 'calibrated'"),
        ({"beta": "-1"}, "--beta is 0 or more; -1 goes from -1 to -1"),
        ({"beta": "cyclical:cycles=0"}, "--beta: cyclical:cycles is 1 or more"),
        ({"beta": "monotonic:ratio=-1"}, "--beta: monotonic:ratio is a share of training, 0 to 1"),
        ({"tfr": "2"}, "--tfr is 0 to 1; 2 goes from 2 to 2"),
        ({"clip_norm": -1.0}, "--clip_norm is 0 or more"),
        ({"weight_decay": -1.0}, "--weight_decay is 0 or more"),
        ({"validations": -1}, "--validations is 0 or more"),
        ({"val_frames": 0}, "--val_frames must be above 0"),
        ({"val_episodes": 0}, "--val_episodes must be above 0"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run.check(settings(**changes), "anchor")


def test_a_device_that_is_not_there_is_said_before_a_folder_is_made(
    dances: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    command = ["train", "--data", str(dances.root), "--steps", "1", "--out", str(tmp_path / "run")]
    assert cli.main([*command, "--device", "cuda"]) == 1
    assert not (tmp_path / "run").exists()


def test_a_small_part_of_an_epoch_is_a_step(dances: Store, tmp_path: Path) -> None:
    fit(dances, "anchor", tmp_path / "run", settings(steps=None, epochs=0.01))
    assert checkpoint.read(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 1


def test_val_episodes_without_a_frame_to_predict_are_said_before_the_first_step(
    dances: Store, write_store: WriteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, val = dances.episode("train", 0), dances.episode("val", 0)
    assert val.condition is not None
    splits = {"train": [train], "val": [Episode("short", val.frames[:2], val.condition[:2])]}
    store = write_store(tmp_path / "store", dances.spec, splits)
    command = ["train", "--data", str(store.root), "--steps", "2", "--clip_length", "4", "--validations", "2"]
    assert cli.main([*command, "--context", "2", "--out", str(tmp_path / "run")]) == 0
    assert "no val episodes of more than 2 frames: the run is not validated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "config", "words"),
    [
        ("svg", {"z": 0}, r"--svg\.z is 1 or more, not 0"),
        ("latent", {"state": 0}, r"--latent\.state is 1 or more"),
        ("anchor", {"widths": []}, r"--anchor\.widths is a list of numbers of 1 or more, not \[\]"),
        ("anchor", {"widths": [8, -1, 8]}, r"--anchor\.widths is a list"),
        ("anchor", {"widths": [8, 8], "blocks": [1, 1, 1]}, "a number for each level"),
        ("pose_cvae", {"N_dim": 2}, "N_dim of pose_cvae is 4 or more, not 2"),
    ],
)
def test_models_that_cannot_be(dances: Store, tmp_path: Path, model: str, config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run.fit(dances, settings(), model, config, tmp_path / "run", quiet=True, resolved={"model": model})
    assert not (tmp_path / "run").exists()


def test_a_clip_longer_than_any_episode(dances: Store, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Clips of 41 frames do not fit: the longest train episode"):
        fit(dances, "anchor", tmp_path / "run", settings(clip_length=41))


def test_a_model_without_weights_is_not_trained(dances: Store, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        run.fit(dances, settings(), "copy", {}, tmp_path, quiet=True)


@pytest.mark.parametrize("model", ["anchor", "latent"])
@pytest.mark.parametrize("levels", [2, 4])
def test_other_numbers_of_levels(dances: Store, model: str, levels: int) -> None:
    made = models.build(dances.spec, model, {"widths": [8] * levels, "blocks": [1] * levels})
    frames = torch.zeros(1, 4, 3, 16, 32)
    clip = Clip(frames, frames, torch.arange(4)[None])
    noise = torch.randn(1, 3, *made.noise_shape)
    assert rollout.walk(made, clip, None, noise).frames.shape == (1, 3, 3, 16, 32)
