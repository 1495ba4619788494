"""`pose_cvae`: the course's system A, with its layer names and parameter count.

The posterior sees the frame to be drawn and its label; the decoder sees the previous frame's features, the label's,
and z: no frame sees an older latent, so the bound is the sum of single frames' bounds, derivation (5). Every true frame
and every label is encoded once, and with true frames fed all of a clip is decoded at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from framecast.models.base import Model, flat, timed
from framecast.nets import course
from framecast.nets.conv import by_pixel, in_time
from framecast.nets.vectors import at, before_each
from framecast.values import Gaussian, Spec, Step, unit


@dataclass(frozen=True)
class Config:
    """Settings of `pose_cvae`, named as in the course.

    Args:
        F_dim: channels of the frame's features.
        L_dim: channels of the label's features.
        N_dim: channels of the latent map.
        D_out_dim: channels of the fused features.
        sigmoid: end in a sigmoid (the course's network ends linearly).
    """

    F_dim: int = 128
    L_dim: int = 32
    N_dim: int = 12
    D_out_dim: int = 192
    sigmoid: bool = False


@dataclass
class State:
    """The newest frame (B, C, H, W) and, where known already, its features (B, F, H, W); a vector's predecessor."""

    frame: Tensor
    features: Tensor | None = None
    before: Tensor | None = None


@dataclass
class Cue:
    """A frame's label features, and with the truth given its posterior, pixels and features."""

    label: Tensor
    posterior: Gaussian | None = None
    truth: Tensor | None = None
    features: Tensor | None = None


class PoseCVAE(Model):
    """See the module. Noise (B, N, H, W).

    Raises:
        ValueError: no condition: without a label there is nothing to pose; or a width that the course's network,
            which divides it, has no channels for.
    """

    takes = frozenset({"picture", "vector"})

    def __init__(self, spec: Spec, config: Config = Config()) -> None:
        super().__init__(spec)
        self.config = config
        f, label, n, d = config.F_dim, config.L_dim, config.N_dim, config.D_out_dim
        for key, width, least in (("F_dim", f, 8), ("L_dim", label, 2), ("N_dim", n, 4), ("D_out_dim", d, 8)):
            if width < least:
                raise ValueError(f"{key} of pose_cvae is {least} or more, not {width}.")
        self.frame_transformation = course.frame_encoder(spec.channels, f)
        # A vector is seen with the one before it: an action at t-1 leads to frame t, a state at t describes it.
        seen = spec.condition.size * (2 if spec.condition.kind == "vector" else 1)
        self.label_transformation = course.label_encoder(seen, label)
        self.Gaussian_Predictor = course.gaussian_predictor(f + label, n)
        self.Decoder_Fusion = course.decoder_fusion(f + label + n, d)
        self.Generator = course.generator(d, spec.channels)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.config.N_dim, self.spec.height, self.spec.width)

    def start(self, frames: Tensor, condition: Tensor | None) -> State:
        state = State(unit(frames[:, -1]))
        if condition is not None and self.spec.condition.kind == "vector":
            state.before = self.standard(condition[:, -1])
        return state

    def look(
        self, state: State, condition: Tensor | None, times: Tensor, truth: Tensor | None, given: int = 0
    ) -> tuple[State, Cue]:
        assert condition is not None, "takes has no 'none'"
        clips = len(times)
        if self.spec.condition.kind == "vector":
            assert state.before is not None
            vectors = self.standard(condition)
            seen = at(torch.cat([before_each(state.before, vectors), vectors], -1), times)
            state = replace(state, before=vectors[:, -1])
            # The same vector at every pixel, the simplest map that a convolution can read.
            maps = seen.flatten(0, 1)[..., None, None].expand(-1, -1, self.spec.height, self.spec.width)
        else:
            maps = unit(condition.flatten(0, 1))
        label = self.label_transformation(by_pixel(maps))
        if truth is None:
            return state, Cue(timed(label, clips))
        pixels = by_pixel(unit(truth).flatten(0, 1))
        features = self.frame_transformation(pixels)
        mean, log_variance = self.Gaussian_Predictor(torch.cat([features, label], 1)).float().chunk(2, 1)
        return state, timed(Cue(label, Gaussian(mean, log_variance), pixels, features), clips)

    def advance(self, state: State, cue: Cue, noise: Tensor) -> tuple[State, Step]:
        features = self.frame_transformation(by_pixel(state.frame)) if state.features is None else state.features
        frame = self._decode(features, cue, noise)
        # A prediction is a picture, so it is clamped to [0, 1] before it goes back. In training it keeps its gradient
        # beyond; without any bound a young network blows up in a few steps (seen: 1.3, 1.7, 3, 100, NaN).
        shown = frame.clamp(-1, 2) if cue.truth is not None else frame.clamp(0, 1)
        return State(shown, None, state.before), Step(frame, cue.posterior)

    def force(self, state: State, cue: Cue, mask: Tensor) -> State:
        assert cue.truth is not None, "forcing needs the truth"
        if mask.all():
            return State(cue.truth, cue.features, state.before)
        return replace(state, frame=torch.where(mask[:, None, None, None], cue.truth, state.frame))

    def feed(self, state: State, frame: Tensor) -> State:
        return State(frame, None, state.before)

    def read(self, cues: Cue, frames: Tensor) -> Cue:
        pixels = by_pixel(frames.flatten(0, 1))
        features = self.frame_transformation(pixels)
        return replace(cues, truth=timed(pixels, len(frames)), features=timed(features, len(frames)))

    def parallel(self, state: State, cues: Cue, noise: Tensor) -> tuple[State, Step]:
        assert cues.truth is not None and cues.features is not None, (
            "a model that feeds back is parallel only where the truth is fed"
        )
        first = self.frame_transformation(by_pixel(state.frame))[:, None]
        # All but the last; cut by pixel, so that the gradient lies so too.
        earlier = cues.features.movedim(2, -1).split([noise.shape[1] - 1, 1], 1)[0].movedim(-1, 2)
        before = in_time(first, earlier)
        drawn = self._decode(*flat((before, cues, noise)))
        last = State(cues.truth[:, -1], cues.features[:, -1], state.before)
        return last, Step(timed(drawn, len(noise)), cues.posterior)

    def _decode(self, features: Tensor, cue: Cue, noise: Tensor) -> Tensor:
        z = noise if cue.posterior is None else cue.posterior.sample(noise)
        x = by_pixel(torch.cat([features, cue.label, z.to(features.dtype)], 1))
        frame = self.Generator(self.Decoder_Fusion(x)).float()
        return frame.sigmoid() if self.config.sigmoid else frame
