"""`anchor`: framecast's own model for conditions known at every frame.

The given frame is encoded once into a feature pyramid, each frame's condition into another. A small latent z_t enters
at the bottom of the decoder, which draws new pixels and a mask that mixes them with the given frame's. Nothing drawn
is ever fed back: all frames are computed at once, and a rollout of any length cannot drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from framecast.models.base import Model, each, flat, timed
from framecast.nets.conv import Norm, Pyramid, Residual
from framecast.values import Gaussian, Spec, Step, unit


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
    """The given frame and its features by level, finest first, and where the vectors have come to."""

    frame: Tensor
    features: list[Tensor]
    before: Tensor | None = None
    total: Tensor | None = None
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
            self.memory_net = nn.GRU(self.condition_size + spec.condition.size, config.memory, batch_first=True)
            self.condition_net = nn.Linear(config.memory + self.condition_size + spec.condition.size, sum(widths))
        self.posterior_net = Posterior(spec, widths, self.patch, config.latent)
        self.decoder = Decoder(spec, config, self.patch)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.config.latent,)

    def start(self, frames: Tensor, condition: Tensor | None) -> State:
        frame, picture = self._padded(frames[:, -1]), None
        state = State(frame, [])
        if condition is not None and self.spec.condition.kind == "picture":
            picture = self._padded(condition[:, -1])
        if condition is not None and self.spec.condition.kind == "vector":
            state.before = self.standard(condition[:, -1])
        state.features = self.anchor_net(frame if picture is None else torch.cat([frame, picture], 1))
        return state

    def look(self, state: State, condition: Tensor | None, times: Tensor, truth: Tensor | None) -> tuple[State, Cue]:
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

    def advance(self, state: State, cue: Cue, noise: Tensor) -> tuple[State, Step]:
        step = self.parallel(state, each(cue, lambda x: x[:, None]), noise[:, None])
        return state, each(step, lambda x: x[:, 0])

    def parallel(self, state: State, cues: Cue, noise: Tensor) -> Step:
        z = noise if cues.posterior is None else cues.posterior.sample(noise)
        frames = self.decoder(state.frame, state.features, cues.features, z)
        return Step(frames[..., : self.spec.height, : self.spec.width], cues.posterior)

    def _remember(self, state: State, condition: Tensor, times: Tensor) -> tuple[State, list[Tensor]]:
        """Vectors (B, S, D) since the given frame -> features (B, T, w, 1, 1) by level, and the state after them."""
        vectors = self.paired(state.before, self.standard(condition))
        size = self.spec.condition.size
        # Where steps are differences their sum is the place; sums over long clips are scaled to stay near one.
        raw = vectors[..., :size] * 0.1
        total = raw.cumsum(1) + (0 if state.total is None else state.total[:, None])
        seen = torch.cat([vectors, total], -1)
        memory, last = self.memory_net(seen, state.memory)
        told = torch.cat([memory, seen], -1)
        state = State(state.frame, state.features, vectors[:, -1, size:], total[:, -1], last)
        told = told.gather(1, times[..., None].expand(-1, -1, told.shape[-1]))
        features = self.condition_net(told)[..., None, None]
        return state, list(features.split(self.config.widths, 2))

    def _padded(self, pictures: Tensor) -> Tensor:
        """(N, C, H, W) floats, edges repeated until every level halves evenly."""
        pictures = unit(pictures)
        down, right = -pictures.shape[-2] % self.unit, -pictures.shape[-1] % self.unit
        return F.pad(pictures, (0, right, 0, down), mode="replicate") if down or right else pictures


class Posterior(nn.Module):
    """q(z | frame, condition) of flat batches: (N, C, H, W) -> Gaussian (N, Z)."""

    def __init__(self, spec: Spec, widths: tuple[int, ...], patch: int, latent: int) -> None:
        super().__init__()
        self.frame_net = Pyramid(spec.channels, widths, patch, [0, 0, 1])
        self.norm = Norm(widths[-1])
        self.head = nn.Linear(widths[-1], 2 * latent)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, frames: Tensor, coarse: Tensor | None) -> Gaussian:
        x = self.frame_net(frames)[-1]
        x = F.silu(self.norm(x if coarse is None else x + coarse)).mean((2, 3))
        mean, log_variance = self.head(x).float().chunk(2, -1)
        return Gaussian(mean, log_variance.clamp(-12, 4))


class Decoder(nn.Module):
    """Features of the given frame and of each condition, and z, to frames (B, T, C, H, W)."""

    def __init__(self, spec: Spec, config: Config, patch: int) -> None:
        super().__init__()
        widths = config.widths
        self.patch, self.channels = patch, spec.channels
        self.latent = nn.Linear(config.latent, widths[-1])
        self.from_anchor = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)
        told = widths if spec.condition.kind != "none" else ()
        self.from_condition = nn.ModuleList(nn.Conv2d(w, w, 1) for w in told)
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.levels = nn.ModuleList(
            nn.Sequential(*[Residual(w) for _ in range(n)]) for w, n in zip(widths, config.blocks, strict=True)
        )
        self.norm = Norm(widths[0])
        # Per pixel: the new colour, and how far it replaces the given frame's.
        self.out = nn.Conv2d(widths[0], (spec.channels + 1) * patch * patch, 3, padding=1)
        # It begins near a copy of the given frame, which little motion makes hard to beat.
        assert self.out.bias is not None
        nn.init.constant_(self.out.bias[spec.channels * patch * patch :], -2.0)

    def forward(self, frame: Tensor, anchor: list[Tensor], condition: list[Tensor], z: Tensor) -> Tensor:
        clips, times = z.shape[:2]
        x = self.latent(z.flatten(0, 1))[:, :, None, None]
        for level in reversed(range(len(anchor))):
            if level < len(anchor) - 1:
                x = self.ups[level](F.interpolate(x, scale_factor=2, mode="nearest"))
            still = self.from_anchor[level](anchor[level])  # once a clip, not once a frame
            if condition:
                x = x + self.from_condition[level](condition[level].flatten(0, 1))
            x = (x.unflatten(0, (clips, times)) + still[:, None]).flatten(0, 1)
            x = self.levels[level](x.contiguous(memory_format=torch.channels_last))
        drawn = F.pixel_shuffle(self.out(F.silu(self.norm(x))), self.patch).float().unflatten(0, (clips, times))
        new, mask = drawn[:, :, : self.channels], drawn[:, :, self.channels :].sigmoid()
        return frame[:, None] * (1 - mask) + (new + 0.5) * mask
