"""Cures of drift, on every model that feeds back: what is read changes, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from conftest import Case
from contract import (
    TAKEN,
    clip_of,
    conditions_of,
    made,
    random,
    rolled,
    same,
    same_trace,
    some_forced,
    spec_of,
)
from torch import Tensor

from framecast import models, rollout
from framecast.models.base import each, recoloured
from framecast.objective import Objective
from framecast.rollout import own_frames, walk
from framecast.training import run
from framecast.training.module import TrainingModule
from framecast.training.settings import Settings
from framecast.values import Clip, Kind

pytestmark = pytest.mark.usefixtures("float32")
FEEDING = [(name, kind) for name, kind in TAKEN if models.find(name).feeds_back]
# A cure changes what is read of frames: each model's other kinds of conditions are for the slow suite.
FIRST = {name: kind for name, kind in reversed(FEEDING)}
every_feeding_model = pytest.mark.parametrize(
    ("name", "kind"), [pytest.param(n, k, marks=[] if FIRST[n] == k else pytest.mark.slow) for n, k in FEEDING]
)
FREE, MIXED = torch.zeros(3, 4, dtype=torch.bool), some_forced(3, 4)
MASKS: tuple[Tensor | None, ...] = (None, FREE, MIXED)


def differ(one: Tensor, two: Tensor) -> bool:
    """Further apart than rounding; svg's LSTMs with weights for tests hear little of what they read."""
    return float((one - two).abs().max()) > 2e-6


def test_the_models_that_feed_back_are_found() -> None:
    assert {"pose_cvae", "svg"} <= {name for name, _ in FEEDING}


@torch.no_grad()
@every_feeding_model
def test_reading_the_same_frames_changes_nothing(case: Case) -> None:
    """The two doors, `read` and `feed`, put in what would have been there."""
    model, clip, noise = case
    for forced in MASKS:
        plain = walk(model, clip, forced, noise)
        same_trace(walk(model, clip, forced, noise, spoilt=torch.zeros_like(clip.frames)), plain)
        same_trace(walk(model, clip, forced, noise, own=clip.frames[:, 1:3]), plain)


@torch.no_grad()
@every_feeding_model
def test_noise_is_on_what_is_read_from_then_on_and_on_nothing_else(case: Case) -> None:
    model, clip, noise = case
    spoilt = torch.zeros_like(clip.frames)
    spoilt[:, 2] = 0.3
    for forced in MASKS:
        plain, changed = walk(model, clip, forced, noise), walk(model, clip, forced, noise, spoilt=spoilt)
        assert torch.equal(changed.truth, clip.frames[:, 1:])
        if plain.posterior is not None and changed.posterior is not None:
            assert torch.equal(changed.posterior.mean, plain.posterior.mean)
        same(changed.frames[:, :2], plain.frames[:, :2])
        for a, b in zip(changed.frames[:, 2], plain.frames[:, 2], strict=True):
            assert differ(a, b), f"a clip does not read the noise, with forcing {forced}"


@torch.no_grad()
@every_feeding_model
def test_own_frames_are_read_where_true_ones_would_be(case: Case) -> None:
    model, clip, noise = case
    plain = walk(model, clip, None, noise)
    changed = walk(model, clip, None, noise, own=random(3, 2, 3, 16, 24, seed=5))
    same(changed.frames[:, 0], plain.frames[:, 0])  # it reads the given frame
    assert torch.equal(changed.truth, plain.truth)
    for t in (1, 2):
        assert differ(changed.frames[:, t], plain.frames[:, t])
    if plain.posterior is not None and changed.posterior is not None:
        assert torch.equal(changed.posterior.mean, plain.posterior.mean)


@every_feeding_model
def test_own_frames_are_the_free_rollout(case: Case) -> None:
    """From the prior, in eval mode, without a gradient, whatever mode the model is in."""
    model, clip, _ = case
    keys = [(0, 0, 0)]
    noise = rollout.noise(model, keys, range(3))
    known = [1, 3] if clip.condition is None else list(clip.condition[:1, :4].split([1, 3], 1))
    (drawn,) = rollout.roll(model, clip.frames[:1, :1], known, keys)
    one = Clip(clip.frames[:1], None if clip.condition is None else clip.condition[:1], clip.times[:1])
    own = own_frames(model.train(), one, noise)
    assert model.training
    model.eval()
    same(own, drawn)
    assert not own.requires_grad
    blind = replace(one, frames=torch.cat([one.frames[:, :1], torch.full_like(one.frames[:, 1:], torch.nan)], 1))
    assert torch.equal(own_frames(model, blind, noise), own)


@torch.no_grad()
@every_feeding_model
def test_rolling_on_the_truth_is_forcing_it(case: Case) -> None:
    model, clip, _ = case
    keys = [(0, 0, 0)]
    eps = rollout.noise(model, keys, range(4))
    one = clip.frames[:1]
    known: list[Any] = [1, 2, 2] if clip.condition is None else list(clip.condition[:1].split([1, 2, 2], 1))
    drawn = torch.cat(list(rollout.roll(model, one[:, :1], known, keys, truth=one[:, 1:].split(2, 1))), 1)
    past, coming = (None if clip.condition is None else clip.condition[:1, s] for s in (slice(1), slice(1, None)))
    state = model.start(one[:, :1], past)
    state, cues = model.look(state, coming, clip.times[:1, 1:] - 1, one[:, 1:])
    for t in range(4):
        cue = each(cues, lambda x: x[:, t])  # noqa: B023
        state, step = model.advance(state, replace(cue, posterior=None), eps[:, t])
        state = model.force(state, cue, torch.ones(1, dtype=torch.bool))
        same(step.frame.clamp(0, 1), drawn[:, t])
    free = torch.cat(list(rollout.roll(model, one[:, :1], known, keys)), 1)
    assert differ(free[:, 1:], drawn[:, 1:])


def statistics(frames: Tensor) -> Tensor:
    return torch.stack([frames.mean((-2, -1)), frames.std((-2, -1), correction=0)])


def test_recolouring() -> None:
    first, dark = random(2, 3, 16, 24), 0.5 * random(2, 5, 3, 16, 24, seed=1) - 0.1
    same(statistics(recoloured(dark, first)), statistics(first)[:, :, None].expand(2, 2, 5, 3), atol=0.02)
    same(recoloured(first, first), first)
    flat = torch.full((2, 3, 16, 24), 0.2)
    same(statistics(recoloured(flat, first))[0], statistics(first)[0])
    assert recoloured(flat, first).std((-2, -1)).max() < 1e-5  # nothing is made of nothing


@torch.no_grad()
@every_feeding_model
def test_an_anchored_model_is_fed_the_first_frame_s_colours(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    model, clip, noise = case
    first = (0.5 * clip.frames[:, 0]).contiguous()
    clip.frames = torch.cat([first[:, None], clip.frames[:, 1:]], 1)
    model.anchored = True
    fed: list[Tensor] = []
    feed, read = model.feed, model.read

    def fed_one(state: Any, frame: Tensor) -> Any:
        fed.append(frame)
        return feed(state, frame)

    def fed_all(cues: Any, frames: Tensor) -> Any:
        fed.extend(frames.unbind(1))
        return read(cues, frames)

    monkeypatch.setattr(model, "feed", fed_one)
    monkeypatch.setattr(model, "read", fed_all)
    for forced in MASKS:
        walk(model, clip, forced, noise)
    own_frames(model, clip, noise)
    rolled(model, [3], frames=first[:1, :])  # one row
    known = [1, 2] if clip.condition is None else list(clip.condition[:, :3].split([1, 2], 1))
    list(rollout.roll(model, clip.frames[:, :1], known, [(0, k, 0) for k in range(3)], truth=[clip.frames[:, 1:3]]))
    assert len(fed) == 4 + (4 + 4) * 2 + 4 + 3 + 2
    for frame in fed:
        same(statistics(frame)[0], statistics(first[: len(frame)])[0])


@torch.no_grad()
@every_feeding_model
def test_an_anchored_walk_is_one_however_it_is_cut(case: Case) -> None:
    model, clip, noise = case
    model.anchored = True
    nearly = torch.ones(3, 4, dtype=torch.bool)
    nearly[:, -1] = False  # what is fed last changes nothing, but it sends the walk through its loop
    same_trace(walk(model, clip, None, noise), walk(model, clip, nearly, noise))
    whole = rolled(model, [8], samples=range(2))
    same(rolled(model, [3, 5], samples=range(2)), whole)
    model.anchored = False
    assert differ(rolled(model, [8], samples=range(2))[:, 1:], whole[:, 1:])


@torch.no_grad()
@every_feeding_model
def test_a_live_session_of_an_anchored_model(case: Case) -> None:
    model, clip, _ = case
    model.anchored = True
    whole = rolled(model, [3], frames=clip.frames[0, :1])
    known = conditions_of(model.spec, 1, 4)
    eps = rollout.noise(model, [(0, 0, 0)], range(3))
    first = clip.frames[:1, 0]
    state = model.start(first[:, None], None if known is None else known[:, :1])
    for t in range(3):
        told = None if known is None else known[:, t + 1]
        with pytest.raises(ValueError, match="anchored to the first given frame; give it as `first`"):
            model.step(state, told, None, eps[:, t])
        state, step = model.step(state, told, None, eps[:, t], first)
        same(step.frame.clamp(0, 1), whole[:, t])


@every_feeding_model
def test_a_gradient_reaches_every_weight_under_all_cures(case: Case) -> None:
    model, clip, noise = case
    model.train()
    model.anchored = True
    own = own_frames(model, clip, noise[:, :2])
    for forced in (None, MIXED):
        model.zero_grad()
        trace = walk(model, clip, forced, noise, 1, own, 0.05 * random(*clip.frames.shape, seed=4))
        Objective("mse")(trace, beta=0.01).total.backward()
        for key, parameter in model.named_parameters():
            assert parameter.grad is not None, f"{key} has no gradient"
            assert parameter.dim() < 2 or parameter.grad.abs().max() > 0, f"the gradient of {key} is zero"


def module(name: str, kind: Kind, **changes: Any) -> TrainingModule:
    settings = Settings(steps=1, clip_length=5, **changes)
    made_of = models.plain(made(name, spec_of(kind)).config)  # type: ignore[arg-type]
    torch.manual_seed(0)
    return TrainingModule(spec_of(kind, 8, 8).to_dict(), name, made_of, asdict(settings), 10)


def drawn(module: TrainingModule, clip: Clip, seed: int = 0) -> tuple[Tensor | None, Tensor | None]:
    return module._cures(clip, torch.Generator().manual_seed(seed))


def test_without_cures_nothing_is_drawn() -> None:
    """The random numbers of a step are those of before the cures."""
    plain = module("pose_cvae", "vector")
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    assert plain._cures(clip_of(plain.model.spec, 2), generator) == (None, None)
    assert torch.equal(generator.get_state(), before)
    assert not plain.model.anchored


def test_half_of_the_clips_are_truly_clean() -> None:
    noisy = module("pose_cvae", "vector", context_noise=0.2)
    clip = clip_of(noisy.model.spec, 600)
    own, spoilt = drawn(noisy, clip)
    assert own is None
    assert spoilt is not None
    assert spoilt.shape == clip.frames.shape
    level = spoilt.flatten(1).std(1)
    clean = level == 0
    assert 0.42 < clean.float().mean() < 0.58
    assert torch.equal(spoilt[clean], torch.zeros_like(spoilt[clean]))
    assert level.max() < 0.21
    assert level[~clean].mean() == pytest.approx(0.1, abs=0.015)  # the level is drawn from 0 to 0.2
    assert torch.equal(drawn(noisy, clip)[1], spoilt)  # type: ignore[arg-type]
    assert not torch.equal(drawn(noisy, clip, seed=1)[1], spoilt)  # type: ignore[arg-type]


@every_feeding_model
def test_up_to_so_many_frames_are_rolled_out(name: str, kind: Kind) -> None:
    rolling = module(name, kind, rollout_frames=3)
    clip = clip_of(rolling.model.spec, 2)
    own = [drawn(rolling, clip, seed)[0] for seed in range(30)]
    lengths = [0 if frames is None else frames.shape[1] for frames in own]
    assert set(lengths) == {0, 1, 2, 3}
    again = drawn(rolling, clip, 29)[0]
    assert again is own[29] is None or torch.equal(again, own[29])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "model", "words"),
    [
        ({"context_noise": -0.1}, "pose_cvae", "--context_noise is 0"),
        ({"context_noise": 25.0}, "pose_cvae", "--context_noise is 0 .* to 1 .*not 25"),
        ({"rollout_frames": 15}, "pose_cvae", r"--rollout_frames is 0 \(none\) to 14: a clip of 16"),
        ({"rollout_frames": -1}, "svg", "--rollout_frames is 0"),
        ({"context_noise": 0.1}, "anchor", "--context_noise cures drift, and the model anchor has none"),
        ({"anchored": True}, "latent", "--anchored cures drift.*feeds nothing back"),
        ({"rollout_frames": 2}, "anchor", "such as pose_cvae or svg"),
    ],
)
def test_cures_that_cannot_be(changes: dict[str, Any], model: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run.check(Settings(steps=1, **changes), model)
    run.check(Settings(steps=1, context_noise=0.1, anchored=True, rollout_frames=14), "pose_cvae")
