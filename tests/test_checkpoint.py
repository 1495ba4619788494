"""Checkpoints: a run's best is opened; what is damaged, of another run or foreign is told, never used or executed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import SMALL, fit, settings
from torch import Tensor

import framecast
from framecast import checkpoint, models
from framecast.models.base import Model
from framecast.store import Store
from framecast.values import Condition, Spec

SPEC = Spec(16, 24, 3, Condition("vector", 2))
MADE: dict[str, Any] = {"spec": SPEC.to_dict(), "model": "anchor", "config": SMALL["anchor"], "settings": {"seed": 3}}


def made(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return models.build(SPEC, "anchor", SMALL["anchor"])


def weights_of(model: Model) -> dict[str, Tensor]:
    return {f"model.{key}": value for key, value in model.state_dict().items()}


WEIGHTS = weights_of(made())


def saved(path: Path, weights: dict[str, Tensor] = WEIGHTS, **changes: Any) -> Path:
    """A checkpoint as training writes it."""
    data = {"state_dict": weights | {"objective.log_sigma": torch.zeros(())}, "hyper_parameters": MADE}
    path.parent.mkdir(exist_ok=True)
    torch.save({**data, "global_step": 7, **changes}, path)
    return path


def test_a_run_folder_is_opened_at_its_best(tmp_path: Path) -> None:
    for seed, name in enumerate(("last", "best")):
        model = made(seed)
        saved(tmp_path / f"checkpoints/{name}.ckpt", weights_of(model))
        loaded = framecast.load(tmp_path)
        assert (loaded.name, loaded.settings, loaded.spec) == ("anchor", {"seed": 3}, SPEC)
        assert not loaded.model.training
        for key, value in model.state_dict().items():
            assert torch.equal(loaded.model.state_dict()[key], value), key
    assert checkpoint.load(tmp_path / "checkpoints/last.ckpt").step == 7


def test_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist.*framecast train"):
        framecast.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no checkpoints/best.ckpt or last.ckpt"):
        framecast.load(tmp_path)


def test_a_run_goes_on_with_its_own_checkpoint_only(dances: Store, tmp_path: Path) -> None:
    fit(dances, "anchor", tmp_path / "run", settings(steps=1))
    path = tmp_path / "run/checkpoints/last.ckpt"
    data = checkpoint.read(path)
    made = data["hyper_parameters"]
    for key, other in (("model", "latent"), ("config", {**made["config"], "latent": 3}), ("spec", {"height": 8})):
        torch.save({**data, "hyper_parameters": {**made, key: other}}, path)
        with pytest.raises(ValueError, match=r"last\.ckpt is of another run: .* was "):
            fit(dances, "anchor", tmp_path / "run", settings(steps=2), resume=True)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(ValueError, match="written by another program"):
        fit(dances, "anchor", tmp_path / "run", settings(steps=2), resume=True)


def test_damaged_checkpoints(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt")
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(whole[:half] + bytes(256) + whole[half + 256 :])
    with pytest.raises(ValueError, match="other bytes than were written"):
        checkpoint.load(path)
    # In our own words, not in those of PyTorch, which advises its developers.
    for data in (whole[:half], whole[:-30], whole[:100], b"hello", b"#!/bin/sh\n", b"", b"PK\x03\x04 no zip"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.ckpt is cut off or not a checkpoint\. Use an earlier one, or train"):
            checkpoint.load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hyper_parameters": None}, "a.ckpt was written by another program"),
        ({"hyper_parameters": {"spec": {}}}, "a.ckpt was written by another program"),
        ({"hyper_parameters": {**MADE, "spec": {}}}, r"does not say what its model is \(.*\)\. Use an earlier one"),
        ({"hyper_parameters": {**MADE, "settings": 3}}, "a.ckpt does not say what its model is"),
        ({"state_dict": None}, "a.ckpt does not say what its model is"),
        ({"state_dict": {3: torch.zeros(1)}}, "a.ckpt does not say what its model is"),
        ({"hyper_parameters": {**MADE, "model": "pose_cvae", "config": {}}}, "does not fit the model pose_cvae"),
        ({"state_dict": {}}, "a.ckpt does not fit the model anchor: it lacks '.*another model"),
        ({"state_dict": WEIGHTS | {"model.extra": torch.zeros(1)}}, "the model anchor: it has an unknown 'extra'"),
        ({"state_dict": {"model.posterior_net.head.bias": torch.zeros(3)}}, "the model anchor: size mismatch"),
        ({"state_dict": {k: v * float("nan") for k, v in WEIGHTS.items()}}, "holds NaN or infinite weights"),
    ],
)
def test_a_checkpoint_that_does_not_fit(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checkpoint.load(saved(tmp_path / "a.ckpt", **changes))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "a.ckpt is not a checkpoint .*no state_dict"),
        ({"weights": 1}, "a.ckpt is not a checkpoint .*no state_dict"),
        ({"state_dict": None}, "a.ckpt holds neither a framecast model nor the course's network"),
        ({"state_dict": {"weight": torch.zeros(1)}}, "neither a framecast model nor the course's network"),
        ({"state_dict": {"frame_transformation.6.weight": torch.tensor(1.0)}}, "neither a framecast model nor"),
    ],
)
def test_other_files_of_torch_are_refused(tmp_path: Path, content: Any, words: str) -> None:
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=words):
        checkpoint.load(tmp_path / "a.ckpt")


class Harm:
    """Would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [torch.save, lambda data, path: path.write_bytes(pickle.dumps(data, protocol=2))])
def test_a_checkpoint_cannot_run_code(tmp_path: Path, write: Any) -> None:
    write({"state_dict": {}, "x": Harm(tmp_path / "harm")}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="a.ckpt is cut off or not a checkpoint"):
        checkpoint.load(tmp_path / "a.ckpt")
    assert not (tmp_path / "harm").exists()
