"""The contract of every model that is found, in rollouts: pauses, samples, noise, and what it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import Case
from contract import TAKEN, clip_of, conditions_of, every_model, made, noise_of, random, rolled, same, spec_of, walked
from torch import Tensor

from framecast import rollout
from framecast.models.base import Model, each
from framecast.values import Clip, Kind

pytestmark = pytest.mark.usefixtures("float32")


@every_model
def test_a_paused_rollout_goes_on_as_one(model: Model) -> None:
    whole = rolled(model, [8], samples=range(2))
    same(rolled(model, [3, 5], samples=range(2)), whole)
    same(rolled(model, [1] * 8, samples=range(2)), whole)


@every_model
def test_samples_of_one_video_begin_as_those_of_many_do(model: Model) -> None:
    once = random(2, 3, 16, 24)
    same(rolled(model, [4], range(3), once.expand(3, -1, -1, -1, -1)), rolled(model, [4], range(3), once))


@every_model
def test_a_film_does_not_see_those_drawn_with_it(model: Model) -> None:
    videos = random(3, 1, 3, 16, 24)
    together = rolled(model, [4], range(3), videos)
    for k in range(3):
        same(rolled(model, [4], [k], videos[k]), together[k, None])


@every_model
def test_a_live_session_is_the_rollout(model: Model) -> None:
    """`step` with the state carried by the caller; two sessions on one model, taking turns, do not meet."""
    spec = model.spec
    frames, known = random(2, 1, 3, 16, 24), conditions_of(spec, 7)
    whole = rolled(model, [6], range(2), frames)
    eps = rollout.noise(model, [(0, 0, 0), (0, 1, 0)], range(6))
    past = None if known is None else known[None, :1]
    with torch.no_grad():
        states = [model.start(given[None], past) for given in frames]
        drawn: list[list[Tensor]] = [[], []]
        for t in range(6):
            condition = None if known is None else known[None, t + 1]
            for session in range(2):
                before = states[session]
                states[session], step = model.step(before, condition, None, eps[session, t, None])
                again = model.step(before, condition, None, eps[session, t, None])[1]
                assert torch.equal(step.frame, again.frame), "the state given in was changed"
                drawn[session].append(step.frame[0].clamp(0, 1))
    same(torch.stack([torch.stack(frames) for frames in drawn]), whole)


@every_model
def test_what_is_fed_back_is_a_picture(model: Model) -> None:
    """In prediction: values beyond [0, 1], which no recording has, do not go back in."""
    known = conditions_of(model.spec, 1, 3)
    past, coming = (None, None) if known is None else (known[:, :1], known[:, 1:])
    eps = noise_of(model, 1, 2)
    with torch.no_grad():
        state = model.start(random(1, 1, 3, 16, 24), past)
        state, cues = model.look(state, coming, torch.arange(2)[None], None)
        first, second = (each(cues, lambda x: x[:, t]) for t in (0, 1))  # noqa: B023
        state, step = model.advance(state, first, eps[:, 0])
        shown = model.feed(state, step.frame.clamp(0, 1))
        same(model.advance(state, second, eps[:, 1])[1].frame, model.advance(shown, second, eps[:, 1])[1].frame)


@every_model
def test_a_step_with_a_target_uses_the_posterior(case: Case) -> None:
    model, clip, noise = case
    trace = walked(model, clip, None, noise)
    past, known = (None, None) if clip.condition is None else (clip.condition[:, :1], clip.condition[:, 1])
    with torch.no_grad():
        state = model.start(clip.frames[:, :1], past)
        step = model.step(state, known, clip.frames[:, 1], noise[:, 0])[1]
        free = model.step(state, known, None, noise[:, 0])[1]
    same(step.frame, trace.frames[:, 0])
    assert (step.posterior is None) == (trace.posterior is None)
    assert free.posterior is None
    if step.posterior is not None:
        assert not torch.allclose(step.frame, free.frame)


@every_model
def test_noise_belongs_to_seed_sample_and_frame(model: Model) -> None:
    four = rollout.noise(model, [(7, k, 0) for k in range(4)], range(6))
    assert four.shape == (4, 6, *model.noise_shape)
    assert torch.equal(rollout.noise(model, [(7, 2, 0)], [4, 5]), four[2:3, 4:6])
    if four.numel():
        assert len({float(x) for x in four.flatten(2)[:, :, 0].flatten()}) == 24
        assert not torch.equal(rollout.noise(model, [(8, k, 0) for k in range(4)], range(6)), four)
    drawn = rolled(model, [5], samples=range(4))
    same(rolled(model, [5], samples=[2])[0], drawn[2])
    assert torch.equal(rolled(model, [5], samples=range(4)), drawn)
    assert torch.allclose(drawn[0], drawn[1], atol=1e-5) == (not four.numel()), "the noise decides nothing"


@pytest.mark.parametrize("name", sorted({name for name, _ in TAKEN}))
def test_noise_is_standard_normal_at_every_frame(name: str) -> None:
    model = made(name, spec_of(next(kind for n, kind in TAKEN if n == name), 8, 8))
    drawn = rollout.noise(model, [(1, k, 0) for k in range(400)], (0, 1, 7, 20)).flatten(2)
    if drawn.numel():
        assert drawn.mean((0, 2)).tolist() == pytest.approx([0] * 4, abs=0.1)
        assert drawn.std((0, 2)).tolist() == pytest.approx([1] * 4, abs=0.1)


@every_model
def test_bytes_and_floats_are_the_same_picture(model: Model) -> None:
    pixels = (random(1, 3, 16, 24) * 255).round().to(torch.uint8)
    same(rolled(model, [3], frames=pixels), rolled(model, [3], frames=pixels.float() / 255))


@every_model
def test_the_condition_counts(model: Model, kind: Kind) -> None:
    """A model with weights follows its condition; one that is scattered takes frames in any order or with gaps."""
    clip, noise = clip_of(model.spec, length=7), noise_of(model, 3, 6)
    if clip.condition is None or not list(model.parameters()):
        return
    whole = walked(model, clip, None, noise).frames
    other = replace(clip, condition=clip.condition.clone())
    assert other.condition is not None
    other.condition[:, 4:] += 0.3
    changed = walked(model, other, None, noise).frames
    assert not torch.allclose(changed[:, 3:], whole[:, 3:], atol=1e-4)
    if kind == "vector":  # an action leads to the frame after it, so the given frame's counts too
        other.condition[:, 0] += 1
        assert not torch.allclose(walked(model, other, None, noise).frames[:, 0], whole[:, 0], atol=1e-4)
    if model.sampling == "scattered":
        pick = [0, 1, 3, 4, 6] if kind == "vector" else [0, 6, 2, 5, 1]
        times = clip.times[:, pick] if kind == "vector" else clip.times[:, : len(pick)]
        condition = clip.condition if kind == "vector" else clip.condition[:, pick]
        later = [p - 1 for p in pick[1:]]
        scattered = walked(model, Clip(clip.frames[:, pick], condition, times), None, noise[:, later])
        same(scattered.frames, whole[:, later])
