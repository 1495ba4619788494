"""`anchor`: framecast's own model for conditions known at every frame.

The given frame is encoded once into a feature pyramid, each frame's condition into another. A small latent z_t enters
at the bottom of the decoder, which mixes at each pixel the given frame's own, one of its pixels moved there by a flow,
and a new one. Nothing drawn is ever fed back: all frames are computed at once, and a rollout of any length cannot
drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from framecast.models.base import Model, flat, timed
from framecast.nets.conv import MixingDecoder, Norm, Pyramid, one_below, padded
from framecast.nets.vectors import Past, Points, at, told_size
from framecast.values import Gaussian, Spec, Step, unit

NEAR = (1.0, 4.0)  # exp(-rate t / 10) of each rate tells how near frame t is to the given one


@dataclass(frozen=True)
class Config:
    """Settings of `anchor`.

    Args:
        widths: channels of the levels, finest first; each level halves the picture.
        blocks: residual blocks of a level in the decoder.
        latent: Z, numbers of a frame's latent.
        memory: of vector conditions: size of the recurrent summary of what was done since the given frame.
    """

    widths: tuple[int, ...] = (48, 64, 96)
    blocks: tuple[int, ...] = (2, 2, 2)
    latent: int = 8
    memory: int = 128


@dataclass
class State:
    """The given frame, its features by level, finest first; what vectors have come to, and frames since, (B, 1, 1)."""

    frame: Tensor
    features: list[Tensor]
    past: Past | None = None
    since: Tensor | None = None
    memory: Tensor | None = None


@dataclass
class Cue:
    """A frame's condition features by level, and its posterior where the truth was given."""

    features: list[Tensor]
    posterior: Gaussian | None


class Anchor(Model):
    """See the module. Noise (B, Z)."""

    feeds_back = False
    sampling = "scattered"
    noise_span = 30

    def __init__(self, spec: Spec, config: Config = Config()) -> None:
        super().__init__(spec)
        self.config = config
        widths, kind = config.widths, spec.condition.kind
        self.patch = 2 if min(spec.height, spec.width) < 128 else 4
        self.unit = self.patch * 2 ** (len(widths) - 1)
        shown = spec.condition.size if kind == "picture" else 0
        plain = [1] * len(widths)
        self.anchor_net = Pyramid(spec.channels + shown, widths, self.patch, plain)
        if kind == "picture":
            self.condition_net = Pyramid(shown, widths, self.patch, plain)
        elif kind == "vector":
            told = told_size(spec.condition.size) + len(NEAR)
            self.memory_net = nn.GRU(told, config.memory, batch_first=True)
            size = (spec.height, spec.width)
            self.condition_net = Points(told + config.memory, widths, size, self.patch)
        self.posterior_net = Posterior(spec, widths, self.patch, config.latent)
        self.latent = nn.Linear(config.latent, widths[-1])
        self.decoder = MixingDecoder(spec.channels, widths, config.blocks, self.patch, told=kind != "none", moves=True)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.config.latent,)

    def start(self, frames: Tensor, condition: Tensor | None) -> State:
        frame, picture = self._padded(frames[:, -1]), None
        state = State(frame, [])
        if condition is not None and self.spec.condition.kind == "picture":
            picture = self._padded(condition[:, -1])
        if condition is not None and self.spec.condition.kind == "vector":
            state.past = Past.begun(self.standard(condition))
            state.since = torch.zeros_like(state.past.newest[:, :1, None])
        state.features = self.anchor_net(frame if picture is None else torch.cat([frame, picture], 1))
        return state

    def look(
        self, state: State, condition: Tensor | None, times: Tensor, truth: Tensor | None, given: int = 0
    ) -> tuple[State, Cue]:
        clips, kind = len(times), self.spec.condition.kind
        features: list[Tensor] = []
        if kind == "picture" and condition is not None:
            features = timed(self.condition_net(self._padded(condition.flatten(0, 1))), clips)
        elif kind == "vector" and condition is not None:
            state, features = self._remember(state, condition, times)
        posterior = None
        if truth is not None:
            coarse = flat(features[-1]) if features else None
            posterior = timed(self.posterior_net(self._padded(truth.flatten(0, 1)), coarse), clips)
        return state, Cue(features, posterior)

    def parallel(self, state: State, cues: Cue, noise: Tensor) -> tuple[State, Step]:
        z = noise if cues.posterior is None else cues.posterior.sample(noise)
        frames = self.decoder(state.frame, state.features, cues.features, self.latent(z)[..., None, None])
        return state, Step(frames[..., : self.spec.height, : self.spec.width], cues.posterior)

    def _remember(self, state: State, condition: Tensor, times: Tensor) -> tuple[State, list[Tensor]]:
        """Vectors (B, S, D) since the given frame -> features (B, T, w, h, w) by level, and the state after them."""
        assert state.past is not None and state.since is not None
        past, told = state.past.told(self.standard(condition))
        since = state.since + torch.arange(1, told.shape[1] + 1, device=told.device)[:, None]
        near = torch.exp(-0.1 * since * torch.tensor(NEAR, device=told.device))
        told = torch.cat([told, near], -1)
        memory, last = self.memory_net(told, state.memory)
        told = at(torch.cat([told, memory], -1), times)
        state = State(state.frame, state.features, past, since[:, -1:], last)
        return state, timed(self.condition_net(told.flatten(0, 1)), len(times))

    def _padded(self, pictures: Tensor) -> Tensor:
        return padded(unit(pictures), self.unit)


class Posterior(nn.Module):
    """q(z | frame, condition) of flat batches: (N, C, H, W) -> Gaussian (N, Z)."""

    def __init__(self, spec: Spec, widths: tuple[int, ...], patch: int, latent: int) -> None:
        super().__init__()
        self.frame_net = Pyramid(spec.channels, widths, patch, one_below(widths))
        self.norm = Norm(widths[-1])
        self.head = nn.Linear(widths[-1], 2 * latent)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, frames: Tensor, coarse: Tensor | None) -> Gaussian:
        x = self.frame_net(frames)[-1]
        x = F.silu(self.norm(x if coarse is None else x + coarse)).mean((2, 3))
        mean, log_variance = self.head(x).float().chunk(2, -1)
        return Gaussian(mean, log_variance.clamp(-12, 4))
