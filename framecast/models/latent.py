"""`latent`: framecast's own model for uncertain futures, driven by actions, pictures or nothing.

A small map y_t is the scene's state. It moves by residual steps, y_{t+1} = y_t + f(y_t, c_{t+1}, z_{t+1}), with a
learned prior for z (the idea of latent residual dynamics: Franceschi et al. 2020). Every frame is decoded from its
state and the given frame's features, with a mask that mixes the given frame's pixels with new ones. Pixels are never
fed back: all frames of a clip are decoded in one batch, and errors do not pile up in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from framecast.models.base import Model, stacked, timed, unstacked
from framecast.nets.conv import MixingDecoder, Norm, Pyramid, by_pixel, one_below, padded
from framecast.nets.vectors import Past, Points, at, told_size
from framecast.values import Gaussian, Spec, Step, unit


@dataclass(frozen=True)
class Config:
    """Settings of `latent`.

    Args:
        widths: channels of the levels, finest first; each level halves the picture.
        blocks: residual blocks of a level in the decoder.
        state: channels of y, a map of the coarsest level's size.
        z: Z, numbers of a frame's latent.
    """

    widths: tuple[int, ...] = (32, 64, 96)
    blocks: tuple[int, ...] = (1, 1, 1)
    state: int = 64
    z: int = 16


@dataclass
class State:
    """The last given frame, its features by level, y (B, S, h, w), and what vectors have come to."""

    frame: Tensor
    features: list[Tensor]
    y: Tensor
    past: Past | None = None


@dataclass
class Cue:
    """A frame's condition's features by level, and the truth's where it was given."""

    features: list[Tensor] | None = None
    seen: Tensor | None = None


class Latent(Model):
    """See the module. Noise (B, Z)."""

    feeds_back = False

    def __init__(self, spec: Spec, config: Config = Config()) -> None:
        super().__init__(spec)
        self.config = config
        widths, kind, channels = config.widths, spec.condition.kind, config.state
        self.patch = 2 if min(spec.height, spec.width) < 128 else 4
        self.unit = self.patch * 2 ** (len(widths) - 1)
        shown = spec.condition.size if kind == "picture" else 0
        plain = [1] * len(widths)
        self.anchor_net = Pyramid(spec.channels + shown, widths, self.patch, plain)
        if kind == "picture":
            self.condition_net = Pyramid(shown, widths, self.patch, plain)
        elif kind == "vector":
            told = told_size(spec.condition.size)
            self.condition_net = Points(told, widths, (spec.height, spec.width), self.patch)
        self.seen_net = Pyramid(spec.channels, tuple(w // 2 for w in widths), self.patch, one_below(widths))
        seen = widths[-1] // 2
        told = 0 if kind == "none" else widths[-1]
        self.begin = nn.Conv2d(widths[-1] + 2 * seen, channels, 3, padding=1)
        self.dynamics = Dynamics(channels, told, seen, config.z)
        self.bottom = nn.Conv2d(channels, widths[-1], 1)
        self.decoder = MixingDecoder(spec.channels, widths, config.blocks, self.patch, told=kind != "none")

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.config.z,)

    def start(self, frames: Tensor, condition: Tensor | None) -> State:
        """y is read off the last given frame and what has changed since the one before it."""
        last, kind = self._padded(frames[:, -1]), self.spec.condition.kind
        shown = [last] if condition is None or kind != "picture" else [last, self._padded(condition[:, -1])]
        features = self.anchor_net(torch.cat(shown, 1))
        seen = self.seen_net(last)[-1]
        earlier = seen if frames.shape[1] == 1 else self.seen_net(self._padded(frames[:, -2]))[-1]
        y = self.begin(torch.cat([features[-1], seen, seen - earlier], 1)).float()
        if condition is None or kind != "vector":
            return State(last, features, y)
        return State(last, features, y, Past.begun(self.standard(condition)))

    def look(
        self, state: State, condition: Tensor | None, times: Tensor, truth: Tensor | None, given: int = 0
    ) -> tuple[State, Cue]:
        clips, cue = len(times), Cue()
        if condition is not None and self.spec.condition.kind == "picture":
            cue.features = timed(self.condition_net(self._padded(condition.flatten(0, 1))), clips)
        elif condition is not None:
            assert state.past is not None
            past, told = state.past.told(self.standard(condition))
            state = replace(state, past=past)
            cue.features = timed(self.condition_net(at(told, times).flatten(0, 1)), clips)
        if truth is not None:
            cue.seen = timed(self.seen_net(self._padded(truth.flatten(0, 1)))[-1], clips)
        return state, cue

    def parallel(self, state: State, cues: Cue, noise: Tensor) -> tuple[State, Step]:
        clips = len(noise)
        told = None if cues.features is None else cues.features[-1]
        if told is not None and self.dynamics.told is not None:
            told = timed(self.dynamics.told(told.flatten(0, 1)), clips)
        seen = None if cues.seen is None else timed(self.dynamics.seen(cues.seen.flatten(0, 1)), clips)
        y, states, priors, posteriors = state.y, [], [], []
        for known, shown, eps in unstacked((told, seen, noise)):
            y, prior, posterior = self.dynamics(y, known, shown, eps)
            priors.append(prior)
            posteriors.append(posterior)
            states.append(y)
        bottom = timed(self.bottom(by_pixel(torch.stack(states, 1).flatten(0, 1))), clips)
        frames = self.decoder(state.frame, state.features, cues.features or [], bottom)
        step = Step(frames[..., : self.spec.height, : self.spec.width], stacked(posteriors), stacked(priors))
        return replace(state, y=y), step

    def _padded(self, pictures: Tensor) -> Tensor:
        return padded(unit(pictures), self.unit)


class Dynamics(nn.Module):
    """The prior and the posterior of z, and the step of the state (B, S, h, w) under what is told and z.

    What does not wait for the state is computed for all frames at once by `told` and `seen`.
    """

    def __init__(self, channels: int, told: int, seen: int, z: int) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.from_y = nn.Conv2d(channels, 3 * channels, 3, padding=1)  # for the prior, the posterior and the step
        self.told = nn.Conv2d(told, 3 * channels, 1) if told else None
        self.seen = nn.Conv2d(seen, channels, 3, padding=1)
        self.from_z = nn.Linear(z, channels)
        self.prior, self.posterior = Head(channels, z), Head(channels, z)
        self.inner = nn.Conv2d(channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, y: Tensor, told: Tensor | None, seen: Tensor | None, noise: Tensor
    ) -> tuple[Tensor, Gaussian, Gaussian | None]:
        """The next state, and the Gaussians of its z; the posterior where the truth is seen."""
        x = self.from_y(self.norm(y))
        of_prior, of_posterior, of_step = (x if told is None else x + told).chunk(3, 1)
        prior = self.prior(F.silu(of_prior))
        posterior = None if seen is None else self.posterior(F.silu(of_posterior + seen))
        z = (posterior or prior).sample(noise)
        x = F.silu(of_step + self.from_z(z)[..., None, None])
        return y + self.out(F.silu(self.inner(x))).float(), prior, posterior


class Head(nn.Module):
    """A Gaussian (B, Z) from a map (B, n, h, w): its mean and its highest values through a hidden layer."""

    def __init__(self, channels: int, z: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(2 * channels, channels), nn.Linear(channels, 2 * z)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Gaussian:
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], -1)
        mean, log_variance = self.out(F.silu(self.hidden(pooled))).float().chunk(2, -1)
        return Gaussian(mean, log_variance.clamp(-10, 4))
