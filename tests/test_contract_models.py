"""One contract for every model that is found: a new one is tested with nothing to register.

Here its settings and its walk in training; rollouts are in test_contract_rollouts.py.
"""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from conftest import Case
from contract import (
    KINDS,
    REFUSED,
    SMALL,
    TAKEN,
    clip_of,
    every_learning_model,
    every_model,
    lively,
    made,
    noise_of,
    random,
    rolled,
    same,
    same_trace,
    some_forced,
    spec_of,
    stepwise,
    taken,
    walked,
    weighted,
)
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from framecast import models, rollout
from framecast.models.base import Model, each
from framecast.objective import Objective
from framecast.values import Clip, Condition, Gaussian, Kind

pytestmark = pytest.mark.usefixtures("float32")


def test_models_are_found() -> None:
    assert {"anchor", "copy", "pose_cvae"} <= set(models.available())
    with pytest.raises(ValueError, match="no model 'ancor'. Did you mean 'anchor'.*There are: anchor"):
        models.find("ancor")


@pytest.mark.parametrize("name", models.available())
def test_settings_explain_themselves(name: str) -> None:
    kind = models.config_of(name)
    config = kind()
    assert is_dataclass(kind)
    with pytest.raises(FrozenInstanceError):
        setattr(config, fields(kind)[0].name, None)
    for field in fields(kind):  # the command line's help is made of these lines
        assert f"    {field.name}: " in (kind.__doc__ or ""), f"Config of {name} does not describe {field.name}"
    spec = spec_of(next(k for k in KINDS if k in models.find(name).takes))
    built = models.build(spec, name, models.plain(config))
    assert (built.name, built.config) == (name, config)  # plain settings, as checkpoints keep them, come back whole
    with pytest.raises(ValueError, match=f"model {name} has no setting 'wdths'.*It has: {fields(kind)[0].name}"):
        models.build(spec, name, {"wdths": 1})


@pytest.mark.parametrize("config", [{}, {"prior": "fixed"}, {"prior": "none"}])
def test_whether_there_is_a_latent_is_known_from_the_settings(config: dict[str, str]) -> None:
    built = models.build(spec_of("vector"), "svg", SMALL.get("svg", {}) | config)
    assert models.has_latent("svg", config) == (0 not in built.noise_shape) == (config != {"prior": "none"})


@pytest.mark.parametrize("name", models.available())
def test_the_settings_tell_of_the_latent(name: str) -> None:
    built = models.build(spec_of(next(k for k in KINDS if k in models.find(name).takes)), name, SMALL.get(name, {}))
    assert models.has_latent(name, SMALL.get(name, {})) == (0 not in built.noise_shape)


@pytest.mark.parametrize("name", models.available())
def test_sampling_fits_the_model(name: str) -> None:
    kind = models.find(name)
    assert kind.sampling in ("window", "scattered")
    assert not kind.feeds_back or kind.sampling == "window", "a model that feeds back needs consecutive frames"


@pytest.mark.parametrize(("name", "kind"), REFUSED)
def test_other_conditions_are_refused_in_words(name: str, kind: Kind) -> None:
    with pytest.raises(ValueError, match=f"model {name} takes conditions of kind .*; this data has"):
        models.build(spec_of(kind), name, SMALL.get(name, {}))


@every_model
@pytest.mark.parametrize(("size", "clips"), [((32, 32, 3), 2), ((30, 50, 1), 1)])
def test_shapes(name: str, kind: Kind, size: tuple[int, int, int], clips: int) -> None:
    height, width, channels = size
    try:
        model = made(name, spec_of(kind, height, width, channels))
    except ValueError as error:  # only the odd size may be refused, in words
        assert size != (32, 32, 3)
        assert f"{height} x {width}" in str(error)
        return
    trace = walked(model.train(), clip_of(model.spec, clips, 4), some_forced(clips, 3), noise_of(model, clips, 3))
    assert trace.frames.shape == trace.truth.shape == (clips, 3, channels, height, width)
    assert trace.frames.dtype == torch.float32
    assert trace.frames.isfinite().all()
    for gaussian in (trace.posterior, trace.prior):
        if gaussian is not None:
            assert gaussian.mean.shape == gaussian.log_variance.shape
            assert gaussian.mean.shape[:2] == (clips, 3)
    drawn = rolled(model.eval(), [2, 1], samples=range(2))
    assert drawn.shape == (2, 3, channels, height, width)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.isfinite().all()


@every_model
def test_conditions_of_another_size(name: str, kind: Kind) -> None:
    if kind == "none":
        return
    condition = Condition("picture", 1) if kind == "picture" else Condition("vector", 5)
    model = made(name, replace(spec_of(kind), condition=condition))
    assert walked(model, clip_of(model.spec), None, noise_of(model, 3, 4)).frames.isfinite().all()
    assert rolled(model, [2]).shape == (1, 2, 3, 16, 24)


@pytest.mark.parametrize("name", [name for name, kind in TAKEN if kind == "vector"])
def test_vectors_count_in_the_spread_of_their_recordings(name: str) -> None:
    """The same actions in other units, with other statistics so, are the same actions."""
    spec, units = spec_of("vector"), torch.tensor([10.0, 0.1, 3.0])
    condition = replace(spec.condition, mean=tuple(units * torch.tensor(spec.condition.mean)))
    condition = replace(condition, std=tuple(units * torch.tensor(spec.condition.std)))
    one, two = made(name, spec), models.build(replace(spec, condition=condition), name, SMALL.get(name, {})).eval()
    two.load_state_dict(one.state_dict())
    clip, noise = clip_of(spec), noise_of(one, 3, 4)
    assert clip.condition is not None
    other = replace(clip, condition=units * clip.condition)
    same_trace(walked(one, clip, None, noise), walked(two, other, None, noise))


@every_model
def test_walk_and_parallel_path_agree(case: Case) -> None:
    model, clip, noise = case
    whole = walked(model, clip, None, noise)
    same_trace(whole, stepwise(model, clip, noise))
    # What is fed after the last frame changes nothing, but it sends `walk` through its loop.
    forced = torch.ones(3, 4, dtype=torch.bool)
    forced[:, -1] = False
    same_trace(whole, walked(model, clip, forced, noise))


@every_model
def test_teacher_forcing_matters_only_to_models_that_feed_back(case: Case) -> None:
    model, clip, noise = case
    forced, free = walked(model, clip, None, noise), walked(model, clip, torch.zeros(3, 4, dtype=torch.bool), noise)
    same(forced.frames[:, 0], free.frames[:, 0])
    assert torch.allclose(forced.frames, free.frames, atol=1e-5) != model.feeds_back


@every_model
def test_pictures_fed_in_place_of_the_truth_count_only_where_frames_go_back_in(case: Case) -> None:
    """Frame by frame (`feed`) and all at once (`read`): the truth fed by hand is the truth, another picture is not."""
    model, clip, noise = case
    truth, other = clip.frames[:, 1:], random(3, 4, *clip.frames.shape[2:], seed=5)
    past, coming = (None, None) if clip.condition is None else (clip.condition[:, :1], clip.condition[:, 1:])
    with torch.no_grad():
        state = model.start(clip.frames[:, :1], past)
        state, cues = model.look(state, coming, clip.times[:, 1:] - 1, truth)

        def at_once(fed: Tensor) -> Tensor:
            return model.parallel(state, model.read(cues, fed), noise)[1].frame

        def in_turn(fed: Tensor) -> Tensor:
            now, frames = state, []
            for t in range(4):
                now, step = model.advance(now, each(cues, lambda x: x[:, t]), noise[:, t])  # noqa: B023
                now = model.feed(now, fed[:, t])
                frames.append(step.frame)
            return torch.stack(frames, 1)

        for drawn in (at_once, in_turn):
            same(drawn(truth), model.parallel(state, cues, noise)[1].frame if model.feeds_back else drawn(other))
            same(drawn(other)[:, 0], drawn(truth)[:, 0])
            assert torch.allclose(drawn(other)[:, 1:], drawn(truth)[:, 1:], atol=1e-5) != model.feeds_back
        same(in_turn(other), at_once(other))


@every_model
def test_what_is_given_in_stays_as_it_was(case: Case) -> None:
    model, clip, noise = case
    before = copy.deepcopy((clip.frames, clip.condition, clip.times, noise))
    for forced in (some_forced(3, 4), None):
        walked(model, clip, forced, noise)
    same((clip.frames, clip.condition, clip.times, noise), before, rtol=0, atol=0)


@every_model
def test_a_checkpoint_holds_all_that_a_model_is(name: str, kind: Kind) -> None:
    spec = spec_of(kind)
    one, two = made(name, spec), weighted(name, spec, lively(name, spec) + 1)
    two.load_state_dict(one.state_dict())
    clip, noise = clip_of(spec), noise_of(one, 3, 4)
    same_trace(walked(one, clip, None, noise), walked(two, clip, None, noise))


@every_model
def test_a_clip_does_not_see_its_batch_mates(model: Model) -> None:
    clip, noise, forced = clip_of(model.spec), noise_of(model, 3, 4), some_forced(3, 4)
    batch = walked(model, clip, forced, noise)
    same_trace(each(batch, lambda x: x[[1]]), walked(model, taken(clip, [1]), forced[[1]], noise[[1]]))


@every_model
def test_the_future_does_not_reach_back(model: Model) -> None:
    """With the posterior frame t sees the truth up to t, and nothing after it."""
    clip, noise, forced = clip_of(model.spec), noise_of(model, 3, 4), some_forced(3, 4)
    for mask in (forced, None):
        whole = walked(model, clip, mask, noise)
        blind = replace(clip, frames=clip.frames.clone())
        blind.frames[:, 3:] = float("nan")
        same(walked(model, blind, mask, noise).frames[:, :2], whole.frames[:, :2])
        assert whole.frames[:, :2].isfinite().all()


@every_model
def test_the_truth_reaches_a_frame_by_its_latent_alone(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the latent tells nothing of it, frame t and its prior are as they would be with another truth at t."""
    model, clip, noise = case
    other = replace(clip, frames=clip.frames.clone())
    other.frames[:, 3:] = random(3, 2, *clip.frames.shape[2:], seed=9)
    monkeypatch.setattr(Gaussian, "sample", lambda gaussian, noise: noise)
    for forced in (some_forced(3, 4), None):
        one, two = walked(model, clip, forced, noise), walked(model, other, forced, noise)
        same(one.frames[:, :3], two.frames[:, :3])
        if one.prior is not None and two.prior is not None:
            same(one.prior.mean[:, :3], two.prior.mean[:, :3])
            same(one.prior.log_variance[:, :3], two.prior.log_variance[:, :3])


@every_model
def test_several_frames_can_be_given(model: Model) -> None:
    """A model that warms up draws the given frames after the first one too, and is fed the truth there in any case."""
    clip, first = clip_of(model.spec), 1 if model.warms_up else 2
    count, given = rollout.drawn_frames(model, 5, 2)
    assert (count, given) == (5 - first, 2 - first)
    noise = noise_of(model, 3, count)
    trace = walked(model, clip, None, noise, context=2)
    assert torch.equal(trace.truth, clip.frames[:, first:])
    assert trace.frames.shape == trace.truth.shape
    free = torch.zeros(3, count, dtype=torch.bool)
    same(walked(model, clip, free, noise, context=2).frames[:, : given + 1], trace.frames[:, : given + 1])
    frames = random(2, 3, 16, 24)
    drawn = rolled(model, [4], frames=frames)
    assert drawn.shape == (1, 4, 3, 16, 24)
    other = torch.stack([frames[0], random(3, 16, 24, seed=9)])
    assert not torch.allclose(rolled(model, [1], frames=other), drawn[:, :1], atol=1e-4), "the last is unseen"


@every_learning_model
def test_black_clips_have_a_gradient(name: str, kind: Kind) -> None:
    """A recording may begin, and stay, without any contrast."""
    model = made(name, spec_of(kind)).train()
    clip = clip_of(model.spec)
    black = Clip(clip.frames * 0, None if clip.condition is None else clip.condition * 0, clip.times)
    Objective("mse")(rollout.walk(model, black, None, noise_of(model, 3, 4)), beta=0.01).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


class Convolved(TorchDispatchMode):
    """Collects what convolutions read (N, C, H, W) that does not lie by pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.by_plane: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "convolution" in str(func) and "reorder" not in str(func):
            channels, apart = args[0].shape[1], args[0].stride(1)
            if channels > 1 and apart > 1:  # a view by pixel need not be contiguous
                self.by_plane.append(tuple(args[0].shape))
        return func(*args, **(kwargs or {}))


@every_learning_model
def test_convolutions_read_what_lies_by_pixel(name: str, kind: Kind) -> None:
    """By plane they compute the same, and take up to twice as long: one careless join lays out all that follows."""
    model = rollout.channels_last(made(name, spec_of(kind)))
    with Convolved() as convolved:
        for context in (1, 2):
            count, _ = rollout.drawn_frames(model, 5, context)
            for forced in (None, some_forced(3, count)):
                rollout.walk(model, clip_of(model.spec), forced, noise_of(model, 3, count), context)
        rolled(model, [2, 2])  # how a single frame lies is not settled: PyTorch takes a batch of one for either
    assert not convolved.by_plane


@pytest.mark.slow
@every_learning_model
def test_bf16_trains_and_draws(model: Model) -> None:
    """As on machines that gain from it: frames and the loss are floats, and near those of float32."""
    clip, noise, objective = clip_of(model.spec), noise_of(model, 3, 4), Objective("mse")
    for forced in (None, some_forced(3, 4)):
        plain = rollout.walk(model, clip, forced, noise)
        with torch.autocast("cpu", torch.bfloat16):
            trace = rollout.walk(model, clip, forced, noise)
            total = objective(trace, beta=0.01).total
        assert trace.frames.dtype == total.dtype == torch.float32
        assert (trace.frames - plain.frames).abs().mean() < 0.02
        total.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        drawn = rolled(model, [2, 1], samples=range(2))
    assert (drawn - rolled(model, [2, 1], samples=range(2))).abs().mean() < 0.02


@every_learning_model
def test_a_gradient_reaches_every_parameter(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind)).train()
    for forced in (None, some_forced(3, 4)):
        model.zero_grad()
        trace = rollout.walk(model, clip_of(model.spec), forced, noise_of(model, 3, 4))
        Objective("mse")(trace, beta=0.01).total.backward()
        for key, parameter in model.named_parameters():
            assert parameter.grad is not None, f"{key} has no gradient"
            assert parameter.grad.isfinite().all(), key
            # A bias straight before a batch norm changes nothing, so only weights need to feel something.
            assert parameter.dim() < 2 or parameter.grad.abs().max() > 0, f"the gradient of {key} is zero"
