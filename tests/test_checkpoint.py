"""Checkpoints that are damaged, of another run or foreign: told, never used, never executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import fit, settings

from framecast import checkpoint
from framecast.store import Store


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


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[: len(data) // 2], "cut off or not a checkpoint"),
        (lambda data: b"hello", "cut off or not a checkpoint"),
        (lambda data: data[: len(data) // 2] + bytes(256) + data[len(data) // 2 + 256 :], "other bytes than were wr"),
    ],
)
def test_damaged_checkpoints(dances: Store, tmp_path: Path, damage: Any, words: str) -> None:
    fit(dances, "anchor", tmp_path / "run", settings(steps=1))
    path = tmp_path / "run/checkpoints/last.ckpt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=words):
        checkpoint.load(tmp_path / "run")


@pytest.mark.parametrize("content", [b"hello", b"#!/bin/sh\n", b"", b"PK\x03\x04 no zip"])
def test_what_is_no_checkpoint_is_said_in_our_own_words(content: bytes, tmp_path: Path) -> None:
    """Not in those of PyTorch, which advises its developers."""
    (tmp_path / "a.ckpt").write_bytes(content)
    words = r"a\.ckpt is cut off or not a checkpoint\. Use an earlier one, or train again\.$"
    with pytest.raises(ValueError, match=words):
        checkpoint.read(tmp_path / "a.ckpt")


def test_a_checkpoint_of_another_model_or_program(dances: Store, tmp_path: Path) -> None:
    fit(dances, "anchor", tmp_path / "run", settings(steps=1))
    path = tmp_path / "run/checkpoints/last.ckpt"
    data = checkpoint.read(path)
    torch.save({**data, "hyper_parameters": {**data["hyper_parameters"], "model": "pose_cvae", "config": {}}}, path)
    with pytest.raises(ValueError, match="does not fit the model pose_cvae"):
        checkpoint.load(path)
    spoilt = {name: weight * float("nan") for name, weight in data["state_dict"].items()}
    torch.save({**data, "state_dict": spoilt}, path)
    with pytest.raises(ValueError, match="holds NaN or infinite weights"):
        checkpoint.load(path)
    for made in (None, {**data["hyper_parameters"], "spec": {}}):
        torch.save({**data, "hyper_parameters": made}, path)
        with pytest.raises(ValueError, match=r"last\.ckpt"):
            checkpoint.load(path)
    settings_lost = {"hyper_parameters": {**data["hyper_parameters"], "settings": 3}}
    for changed in ({"state_dict": None}, {"state_dict": {3: torch.zeros(1)}}, settings_lost):
        torch.save({**data, **changed}, path)
        with pytest.raises(ValueError, match=r"last\.ckpt does not say what its model is \(.*\)\. Use an earlier one"):
            checkpoint.load(path)
    for weights in (None, {"frame_transformation.6.weight": torch.tensor(1.0)}):
        torch.save({"state_dict": weights}, path)
        with pytest.raises(ValueError, match="neither a framecast model nor the course's network"):
            checkpoint.load(path)
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, path)
    with pytest.raises(ValueError, match="neither a framecast model nor the course's network"):
        checkpoint.load(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="no state_dict"):
        checkpoint.load(path)


def test_nothing_foreign_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "harm"),)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(ValueError, match=r"evil\.ckpt"):
        checkpoint.load(tmp_path / "evil.ckpt")
    assert not (tmp_path / "harm").exists()
