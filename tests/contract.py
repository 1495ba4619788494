"""Small models of every name, clips and rollouts for the contract that all models are held to."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor

from framecast import models, rollout
from framecast.models.base import Model, each, stacked
from framecast.values import Clip, Condition, Kind, Spec, Trace

# Widths that keep the suite fast, with two channels at the least: of one it cannot be said whether it lies by pixel or
# by plane. A model that is not named here is tested with its own defaults.
SMALL: dict[str, dict[str, Any]] = {
    "pose_cvae": {"F_dim": 16, "L_dim": 8, "N_dim": 8, "D_out_dim": 16},
    "svg": {"g": 8, "z": 4, "rnn": 8},
    "latent": {"widths": (8, 16, 16), "blocks": (1, 1, 1), "state": 8, "z": 4},
    "anchor": {"widths": (8, 16, 16), "blocks": (1, 1, 1), "latent": 4, "memory": 16},
}
KINDS: tuple[Kind, ...] = ("picture", "vector", "none")
TAKEN = [(name, kind) for name in models.available() for kind in KINDS if kind in models.find(name).takes]
REFUSED = [(name, kind) for name in models.available() for kind in KINDS if kind not in models.find(name).takes]
# Large and with little of their own beside the model's other kinds: in the slow suite.
RARE = {("pose_cvae", "vector"), ("svg", "none")}
STATISTICS = {"mean": (0.5, -1.0, 0.0), "std": (2.0, 0.5, 1.0)}


def spec_of(kind: Kind, height: int = 16, width: int = 24, channels: int = 3) -> Spec:
    """A small spec; vectors have 3 numbers with statistics."""
    condition = {
        "picture": Condition("picture", 3),
        "vector": Condition("vector", 3, ("action",), **STATISTICS),
        "none": Condition(),
    }
    return Spec(height, width, channels, condition[kind])


LEARNING = [(n, k) for n, k in TAKEN if list(models.build(spec_of(k), n, SMALL.get(n, {})).parameters())]


def every(pairs: list[tuple[str, Kind]]) -> pytest.MarkDecorator:
    """A test for each model and kind of condition."""
    cases = [pytest.param(*pair, marks=pytest.mark.slow) if pair in RARE else pair for pair in pairs]
    return pytest.mark.parametrize(("name", "kind"), cases)


every_model, every_learning_model = every(TAKEN), every(LEARNING)


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
    joined = stacked(steps)
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
    return torch.cat(list(rollout.roll(model, frames, handed, [(0, sample, 0) for sample in samples])), 1)
