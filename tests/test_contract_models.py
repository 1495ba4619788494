"""One contract for every model that is found: a new one is tested with nothing to register."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor

from framecast import models, rollout
from framecast.models.base import Model, each
from framecast.objective import Objective
from framecast.values import Clip, Condition, Kind, Spec, Trace

pytestmark = pytest.mark.usefixtures("float32")

# Widths that keep the suite fast. A model that is not named here is tested with its own defaults.
SMALL: dict[str, dict[str, Any]] = {
    "pose_cvae": {"F_dim": 16, "L_dim": 8, "N_dim": 4, "D_out_dim": 16},
    "svg": {"g": 8, "z": 4, "rnn": 8},
    "latent": {"widths": (8, 16, 16), "blocks": (1, 1, 1), "state": 8, "z": 4},
    "anchor": {"widths": (8, 16, 16), "blocks": (1, 1, 1), "latent": 4, "memory": 16},
}
KINDS: tuple[Kind, ...] = ("picture", "vector", "none")
TAKEN = [(name, kind) for name in models.available() for kind in KINDS if kind in models.find(name).takes]
REFUSED = [(name, kind) for name in models.available() for kind in KINDS if kind not in models.find(name).takes]
every_model = pytest.mark.parametrize(("name", "kind"), TAKEN)
STATISTICS = {"mean": (0.5, -1.0, 0.0), "std": (2.0, 0.5, 1.0)}


def spec_of(kind: Kind, height: int = 16, width: int = 24, channels: int = 3) -> Spec:
    """A small spec; vectors have 3 numbers with statistics."""
    condition = {
        "picture": Condition("picture", 3),
        "vector": Condition("vector", 3, ("action",), **STATISTICS),
        "none": Condition(),
    }
    return Spec(height, width, channels, condition[kind])


def weighted(name: str, spec: Spec, seed: int) -> Model:
    """The model with weights that are nowhere zero (fresh ones hide what a zero layer stands before), in eval mode."""
    torch.manual_seed(seed)
    model = models.build(spec, name, SMALL.get(name, {}))
    with torch.no_grad():
        for parameter in model.parameters():
            # Wide layers begin small in svg; what they say is seen where weights are as large as inputs are few.
            spread = 1.4 * parameter[0].numel() ** -0.5 if name == "svg" and parameter.dim() > 1 else 0.05
            parameter.add_(spread * torch.randn_like(parameter))
        for key, buffer in model.named_buffers():
            if key.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    return model.eval()


@lru_cache
def lively(name: str, spec: Spec) -> int:
    """A seed of weights whose frames lie mostly within [0, 1]: where all is clamped, anything equals anything."""
    for seed in range(30):
        drawn = rolled(weighted(name, spec, seed), [2])
        if ((drawn > 0) & (drawn < 1)).float().mean() > 0.5:
            return seed
    pytest.fail(f"No weights were found with which {name} draws frames within [0, 1].")


def made(name: str, spec: Spec) -> Model:
    """The model with weights to test it with, in eval mode."""
    return weighted(name, spec, lively(name, spec))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def conditions_of(spec: Spec, *lead: int, seed: int = 1) -> Tensor | None:
    """Conditions (*lead, ...) of a spec."""
    condition = spec.condition
    if condition.kind == "none":
        return None
    shape = (condition.size, spec.height, spec.width) if condition.kind == "picture" else (condition.size,)
    return random(*lead, *shape, seed=seed)


def clip_of(spec: Spec, clips: int = 3, length: int = 5) -> Clip:
    frames = random(clips, length, spec.channels, spec.height, spec.width)
    return Clip(frames, conditions_of(spec, clips, length), torch.arange(length).expand(clips, length))


def noise_of(model: Model, clips: int, length: int) -> Tensor:
    return torch.randn(clips, length, *model.noise_shape, generator=torch.Generator().manual_seed(2))


def some_forced(clips: int, length: int) -> Tensor:
    """Truth here, prediction there: every clip has both."""
    return (torch.arange(length)[None] + torch.arange(clips)[:, None]) % 2 == 0


def taken(clip: Clip, which: Any) -> Clip:
    """The clip with only some of its clips."""
    return Clip(clip.frames[which], None if clip.condition is None else clip.condition[which], clip.times[which])


def same(one: Any, two: Any, **tolerance: float) -> None:
    """Equal to rounding."""
    torch.testing.assert_close(one, two, **{"rtol": 1e-4, "atol": 1e-5, **tolerance})


def same_trace(one: Trace, two: Trace) -> None:
    """Frames and distributions equal to rounding."""
    same(one.frames, two.frames)
    for a, b in ((one.posterior, two.posterior), (one.prior, two.prior)):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            same(a.mean, b.mean)
            same(a.log_variance, b.log_variance)


def walked(model: Model, clip: Clip, forced: Tensor | None, noise: Tensor, context: int = 1) -> Trace:
    with torch.no_grad():
        return rollout.walk(model, clip, forced, noise, context)


def stepwise(model: Model, clip: Clip, noise: Tensor) -> Trace:
    """The contract written out: frame by frame, the truth fed after each."""
    truth = clip.frames[:, 1:]
    past, coming = (None, None) if clip.condition is None else (clip.condition[:, :1], clip.condition[:, 1:])
    with torch.no_grad():
        state = model.start(clip.frames[:, :1], past)
        state, cues = model.look(state, coming, clip.times[:, 1:] - 1, truth)
        steps = []
        for t in range(truth.shape[1]):
            cue = each(cues, lambda x: x[:, t])  # noqa: B023
            state, step = model.advance(state, cue, noise[:, t])
            state = model.force(state, cue, torch.ones(len(truth), dtype=torch.bool))
            steps.append(step)
    joined = rollout._stack(steps)
    return Trace(joined.frame, truth, joined.posterior, joined.prior)


def rolled(
    model: Model, pieces: list[int], samples: Any = (0,), frames: Tensor | None = None, **options: Any
) -> Tensor:
    """A free rollout from one frame, or from those (n, C, H, W) or (K, n, C, H, W), its conditions handed over in
    pieces: (K, S, C, H, W)."""
    spec = model.spec
    frames = random(1, spec.channels, spec.height, spec.width) if frames is None else frames
    frames = frames if frames.dim() == 5 else frames[None]
    lengths = [frames.shape[1], *pieces]
    known = conditions_of(spec, 1, sum(lengths))
    handed: list[Any] = lengths if known is None else list(known.split(lengths, 1))
    return torch.cat(list(rollout.roll(model, frames, handed, [(0, sample) for sample in samples])), 1)


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
@pytest.mark.parametrize("size", [(32, 32, 3), (30, 50, 1)])
@pytest.mark.parametrize("clips", [1, 2])
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
def test_walk_and_parallel_path_agree(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind))
    clip, noise = clip_of(model.spec), noise_of(model, 3, 4)
    whole = walked(model, clip, None, noise)
    same_trace(whole, stepwise(model, clip, noise))
    # What is fed after the last frame changes nothing, but it sends `walk` through its loop.
    forced = torch.ones(3, 4, dtype=torch.bool)
    forced[:, -1] = False
    same_trace(whole, walked(model, clip, forced, noise))


@every_model
def test_teacher_forcing_matters_only_to_models_that_feed_back(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind))
    clip, noise = clip_of(model.spec), noise_of(model, 3, 4)
    forced, free = walked(model, clip, None, noise), walked(model, clip, torch.zeros(3, 4, dtype=torch.bool), noise)
    same(forced.frames[:, 0], free.frames[:, 0])
    assert torch.allclose(forced.frames, free.frames, atol=1e-5) != model.feeds_back


@every_model
def test_pictures_fed_in_place_of_the_truth_count_only_where_frames_go_back_in(name: str, kind: Kind) -> None:
    """Frame by frame (`feed`) and all at once (`read`): the truth fed by hand is the truth, another picture is not."""
    model = made(name, spec_of(kind))
    clip, noise = clip_of(model.spec), noise_of(model, 3, 4)
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
def test_a_clip_does_not_see_its_batch_mates(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind))
    clip, noise, forced = clip_of(model.spec), noise_of(model, 3, 4), some_forced(3, 4)
    batch = walked(model, clip, forced, noise)
    alone = walked(model, taken(clip, [1]), forced[[1]], noise[[1]])
    same(batch.frames[[1]], alone.frames)


@every_model
def test_the_future_does_not_reach_back(name: str, kind: Kind) -> None:
    """With the posterior frame t sees the truth up to t, and nothing after it."""
    model = made(name, spec_of(kind))
    clip, noise, forced = clip_of(model.spec), noise_of(model, 3, 4), some_forced(3, 4)
    for mask in (forced, None):
        whole = walked(model, clip, mask, noise)
        blind = replace(clip, frames=clip.frames.clone())
        blind.frames[:, 3:] = float("nan")
        same(walked(model, blind, mask, noise).frames[:, :2], whole.frames[:, :2])
        assert whole.frames[:, :2].isfinite().all()


@every_model
def test_several_frames_can_be_given(name: str, kind: Kind) -> None:
    """A model that warms up draws the given frames after the first one too, and is fed the truth there in any case."""
    model = made(name, spec_of(kind))
    clip, first = clip_of(model.spec), 1 if model.warms_up else 2
    count, given = rollout.drawn_frames(model, 5, 2)
    assert (count, given) == (5 - first, 2 - first)
    noise = noise_of(model, 3, count)
    trace = walked(model, clip, None, noise, context=2)
    assert torch.equal(trace.truth, clip.frames[:, first:])
    assert trace.frames.shape == trace.truth.shape
    free = torch.zeros(3, count, dtype=torch.bool)
    same(walked(model, clip, free, noise, context=2).frames[:, : given + 1], trace.frames[:, : given + 1])
    drawn = rolled(model, [4], frames=random(2, 3, 16, 24))
    assert drawn.shape == (1, 4, 3, 16, 24)


@every_model
def test_a_gradient_reaches_every_parameter(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind)).train()
    if not list(model.parameters()):
        pytest.skip(f"{name} has no parameters")
    for forced in (None, some_forced(3, 4)):
        model.zero_grad()
        trace = rollout.walk(model, clip_of(model.spec), forced, noise_of(model, 3, 4))
        Objective("mse")(trace, beta=0.01).total.backward()
        for key, parameter in model.named_parameters():
            assert parameter.grad is not None, f"{key} has no gradient"
            assert parameter.grad.isfinite().all(), key
            # A bias straight before a batch norm changes nothing, so only weights need to feel something.
            assert parameter.dim() < 2 or parameter.grad.abs().max() > 0, f"the gradient of {key} is zero"


@every_model
def test_a_paused_rollout_goes_on_as_one(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind))
    whole = rolled(model, [8], samples=range(2))
    same(rolled(model, [3, 5], samples=range(2)), whole)
    same(rolled(model, [1] * 8, samples=range(2)), whole)


@every_model
def test_samples_of_one_video_begin_as_those_of_many_do(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind))
    once = random(2, 3, 16, 24)
    same(rolled(model, [4], range(3), once.expand(3, -1, -1, -1, -1)), rolled(model, [4], range(3), once))


@every_model
def test_a_live_session_is_the_rollout(name: str, kind: Kind) -> None:
    """`step` with the state carried by the caller; two sessions on one model, taking turns, do not meet."""
    model = made(name, spec_of(kind))
    spec = model.spec
    whole = rolled(model, [6], samples=range(2))
    frames, known = random(1, 3, 16, 24), conditions_of(spec, 7)
    eps = rollout.noise(model, [(0, 0), (0, 1)], range(6))
    past = None if known is None else known[None, :1]
    with torch.no_grad():
        states = [model.start(frames[None], past) for _ in range(2)]
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
def test_a_step_with_a_target_uses_the_posterior(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind))
    clip, noise = clip_of(model.spec), noise_of(model, 3, 4)
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
def test_noise_belongs_to_seed_sample_and_frame(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind))
    four = rollout.noise(model, [(7, k) for k in range(4)], range(6))
    assert four.shape == (4, 6, *model.noise_shape)
    assert torch.equal(rollout.noise(model, [(7, 2)], [4, 5]), four[2:3, 4:6])
    if four.numel():
        assert len({float(x) for x in four.flatten(2)[:, :, 0].flatten()}) == 24
        assert not torch.equal(rollout.noise(model, [(8, k) for k in range(4)], range(6)), four)
    drawn = rolled(model, [5], samples=range(4))
    same(rolled(model, [5], samples=[2])[0], drawn[2])
    assert torch.equal(rolled(model, [5], samples=range(4)), drawn)


@pytest.mark.parametrize("name", sorted({name for name, _ in TAKEN}))
def test_noise_is_standard_normal_at_every_frame(name: str) -> None:
    model = made(name, spec_of(next(kind for n, kind in TAKEN if n == name), 8, 8))
    drawn = rollout.noise(model, [(1, k) for k in range(400)], (0, 1, 7, 20)).flatten(2)
    if drawn.numel():
        assert drawn.mean((0, 2)).tolist() == pytest.approx([0] * 4, abs=0.1)
        assert drawn.std((0, 2)).tolist() == pytest.approx([1] * 4, abs=0.1)


@every_model
def test_bytes_and_floats_are_the_same_picture(name: str, kind: Kind) -> None:
    model = made(name, spec_of(kind))
    pixels = (random(1, 3, 16, 24) * 255).round().to(torch.uint8)
    same(rolled(model, [3], frames=pixels), rolled(model, [3], frames=pixels.float() / 255))


@every_model
def test_the_condition_counts(name: str, kind: Kind) -> None:
    """A model with weights follows its condition; one that is scattered takes frames in any order or with gaps."""
    model = made(name, spec_of(kind))
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
