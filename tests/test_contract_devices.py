"""Every model away from the CPU: nothing that it or the walk makes stays behind. Machines without a GPU test it too."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import WriteStore
from contract import SMALL, clip_of, every_learning_model, made, noise_of, rolled, same, some_forced, spec_of
from elsewhere import DEVICE, Far, back, elsewhere, moved

from framecast import diagnose, evaluate, models, rollout
from framecast.objective import Objective
from framecast.rollout import as_bytes
from framecast.training.module import TrainingModule
from framecast.training.muon import Muon
from framecast.training.settings import Settings
from framecast.values import Episode, Kind, Spec

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float32")]


@every_learning_model
def test_training_steps_are_the_cpus(name: str, kind: Kind) -> None:
    near = made(name, spec_of(kind)).train()
    far = moved(copy.deepcopy(near))
    clip, noise, forced = clip_of(near.spec, 2, 3), noise_of(near, 2, 2), some_forced(2, 2)
    loss = Objective("calibrated")(rollout.walk(near, clip, forced, noise), 1.0).total
    loss.backward()
    with elsewhere():
        optimizer = Muon(far, lr=1e-3)
        trace = rollout.walk(far, clip.to(DEVICE), forced.to(DEVICE), noise.to(DEVICE))
        total = Objective("calibrated")(trace, 1.0).total
        total.backward()
        torch.nn.utils.clip_grad_norm_(far.parameters(), float("inf"))
        optimizer.step()
    same(back(total), loss.detach())
    for one, two in zip(far.parameters(), near.parameters(), strict=True):
        assert one.grad is not None and two.grad is not None
        same(back(one.grad), two.grad, atol=1e-4 * (1 + float(two.grad.abs().max())))
        assert not torch.equal(back(one), two.detach()), "the optimiser has moved it"


@every_learning_model
def test_rollouts_are_the_cpus(name: str, kind: Kind) -> None:
    near = made(name, spec_of(kind))
    far = moved(copy.deepcopy(near))
    clip = clip_of(near.spec, 2, 3)
    drawn, seen = rolled(near, [2, 1], [0, 1]), rollout.reconstruct(near, clip)
    with elsewhere():
        far_drawn, far_seen = rolled(far, [2, 1], [0, 1]), rollout.reconstruct(far, clip)
    same(back(far_drawn), drawn)
    same(back(far_seen.frames), seen.frames)


@every_learning_model
def test_training_draws_on_the_models_device(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole step of training; where a model takes cures of drift, with all (step 0 draws a rollout of its own)."""
    cures = {"anchored": True, "context_noise": 0.1, "rollout_frames": 2} if models.find(name).feeds_back else {}
    spec, settings = spec_of(kind), Settings(steps=10, clip_length=5, tfr="0.5", objective="learned", **cures)
    module = TrainingModule(spec.to_dict(), name, SMALL.get(name, {}), asdict(settings), 10)
    optimizer = SimpleNamespace(optimizer=module.configure_optimizers())
    monkeypatch.setattr(module, "optimizers", lambda: optimizer)
    moved(module)._device = DEVICE
    with elsewhere():
        loss = module.training_step(clip_of(spec).to(DEVICE), 0)
        loss.backward()
    assert torch.isfinite(back(loss))
    assert all(isinstance(p.grad, Far) for p in module.model.parameters() if p.grad is not None)


def episode(spec: Spec, number: int) -> Episode:
    clip = clip_of(spec, 2, 6)
    condition = None if clip.condition is None else clip.condition[number].numpy()
    if condition is not None and spec.condition.kind == "picture":
        condition = (255 * condition).astype(np.uint8).transpose(0, 2, 3, 1)
    return Episode(f"e{number}", as_bytes(clip.frames[number]), condition)


@every_learning_model
def test_scores_are_the_cpus(name: str, kind: Kind, write_store: WriteStore, tmp_path: Path) -> None:
    """What is drawn elsewhere comes back to be measured, and diagnosed."""
    near = made(name, spec_of(kind, 16, 16))
    far = moved(copy.deepcopy(near))
    store = write_store(tmp_path / "store", near.spec, {"val": [episode(near.spec, n) for n in range(2)]})
    found = []
    for model, place in ((near, nullcontext()), (far, elsewhere())):
        with place:
            result = evaluate.evaluate({name: model}, store, "val", context=2, samples=2)
            told = diagnose.diagnose(name, model, result)
        numbers = [*result.table()[name].values(), told.shuffled or 0, told.posterior or 0, told.sigma]
        found.append(numbers)
    np.testing.assert_allclose(found[0], found[1], atol=0.05)
