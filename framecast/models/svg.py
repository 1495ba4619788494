"""`svg`: stochastic video generation with a fixed or a learned prior (Denton and Fergus 2018), driven by actions.

Each frame is encoded to a vector h; a posterior LSTM reads h_t, a prior LSTM h_{t-1}; the frame predictor, an LSTM over
[h_{t-1}, z_t, condition_{t-1}], gives the vector that the decoder draws, with skips from a given frame. True frames are
encoded in one call (the first one, that the walk starts from, by itself), and where they are all fed the LSTMs run as
fused sequences and decoding is one batch over time.
The predictor remembers older latents; that the bound is a sum over frames all the same is derivation (5).

In training the batch norms see all frames of a batch of clips at once, the first ones apart; the published loop shows
them time by time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from framecast.models.base import Model, each, flat, timed
from framecast.nets.backbones import BACKBONES, published_beginning
from framecast.nets.conv import by_pixel, in_time
from framecast.nets.recurrent import Memory, RecurrentGaussian, RecurrentVector
from framecast.nets.vectors import at, before_each
from framecast.values import Gaussian, Spec, Step, unit


@dataclass(frozen=True)
class Config:
    """Settings of `svg`, with the paper's values for robot pushing.

    Args:
        prior: learned (SVG-LP), fixed (SVG-FP), or none (no latent: the deterministic baseline).
        backbone: vgg or dcgan.
        g: size of a frame's vector.
        z: numbers of a frame's latent (the paper: 64 for BAIR, 24 for KTH, 10 for moving digits).
        rnn: size of the LSTMs.
        predictor_layers: of the frame predictor's LSTM.
        last_frame_skip: skips come from the newest frame; otherwise from the last given one.
    """

    prior: Literal["learned", "fixed", "none"] = "learned"
    backbone: Literal["vgg", "dcgan"] = "vgg"
    g: int = 128
    z: int = 64
    rnn: int = 256
    predictor_layers: int = 2
    last_frame_skip: bool = False

    @property
    def has_latent(self) -> bool:
        """The deterministic baseline has none."""
        return self.prior != "none"


@dataclass
class State:
    """The newest frame (B, C, H, W) or, where known, its vector h (B, g); projected skips; the LSTMs' memories."""

    frame: Tensor | None
    h: Tensor | None
    skips: list[Tensor]
    before: Tensor | None = None
    posterior: Memory | None = None
    prior: Memory | None = None
    predictor: Memory | None = None


@dataclass
class Cue:
    """What is known of a frame.

    Args:
        condition: of the frame before it.
        posterior, h: with the truth given: of its latent, and its vector.
        skips: the ones it is drawn with; None: the state's.
        newest: its own, for the next frame, where skips come from the newest one.
    """

    condition: Tensor | None = None
    posterior: Gaussian | None = None
    h: Tensor | None = None
    skips: list[Tensor] | None = None
    newest: list[Tensor] | None = None


class SVG(Model):
    """See the module. Noise (B, Z).

    Raises:
        ValueError: a picture that the backbones cannot halve, or an unknown prior or backbone.
    """

    takes = frozenset({"vector", "none"})
    warms_up = True

    def __init__(self, spec: Spec, config: Config = Config()) -> None:
        super().__init__(spec)
        self.config = config
        for name, allowed in (("prior", ("learned", "fixed", "none")), ("backbone", tuple(BACKBONES))):
            if (value := getattr(config, name)) not in allowed:
                raise ValueError(f"--svg.{name} is one of {', '.join(allowed)}, not {value!r}.")
        z = self.noise_shape[0]
        self.encoder, self.decoder = BACKBONES[config.backbone](spec.channels, spec.height, spec.width, config.g)
        if z:
            self.posterior = RecurrentGaussian(config.g, z, config.rnn, 1)
        if config.prior == "learned":
            self.prior = RecurrentGaussian(config.g, z, config.rnn, 1)
        read = config.g + z + spec.condition.size
        self.frame_predictor = RecurrentVector(read, config.g, config.rnn, config.predictor_layers)
        published_beginning(self)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.config.z if self.config.has_latent else 0,)

    def start(self, frames: Tensor, condition: Tensor | None) -> State:
        """The memories warm up on the given frames, with the posterior's mean."""
        h, skips = self.encoder(by_pixel(unit(frames[:, 0])))
        state = State(
            None, h.float(), self.decoder.project(skips), None if condition is None else self.standard(condition[:, 0])
        )
        count = frames.shape[1] - 1
        if not count:
            return state
        times = torch.arange(count, device=frames.device).expand(len(frames), count)
        coming = None if condition is None else condition[:, 1:]
        state, cues = self.look(state, coming, times, frames[:, 1:], given=count)
        noise = torch.zeros(len(frames), count, *self.noise_shape, device=frames.device)
        return self._true_fed(state, cues, noise)[0]

    def look(
        self, state: State, condition: Tensor | None, times: Tensor, truth: Tensor | None, given: int = 0
    ) -> tuple[State, Cue]:
        clips, count = times.shape
        cue = Cue()
        if condition is not None:
            assert state.before is not None
            vectors = self.standard(condition)
            cue.condition = at(before_each(state.before, vectors), times)
            state = replace(state, before=vectors[:, -1])
        if truth is None:
            return state, cue
        h, skips = self.encoder(by_pixel(unit(truth).flatten(0, 1)))
        cue.h = timed(h.float(), clips)
        if self.config.last_frame_skip:
            cue.newest = timed(self.decoder.project(skips), clips)
        elif given:
            kept = each(timed(skips, clips), lambda x: x.movedim(2, -1)[:, :given].flatten(0, 1).movedim(-1, 1))
            newest = timed(self.decoder.project(kept), clips)
            cue.skips = _after(state.skips, newest, count)
            state = replace(state, skips=each(newest, lambda x: x[:, -1]))
        if self.config.prior != "none":
            (mean, log_variance), memory = self.posterior(cue.h, state.posterior)
            cue.posterior = Gaussian(mean, log_variance)
            state = replace(state, posterior=memory)
        return state, cue

    def advance(self, state: State, cue: Cue, noise: Tensor) -> tuple[State, Step]:
        if state.h is None:
            state = self._own_fed(state)
        assert state.h is not None
        vectors, prior, state = self._dynamics(state, state.h[:, None], each(cue, lambda x: x[:, None]), noise[:, None])
        frame = self.decoder(vectors[:, 0], state.skips if cue.skips is None else cue.skips)
        return replace(state, frame=frame, h=None), Step(frame, cue.posterior, each(prior, lambda x: x[:, 0]))

    def force(self, state: State, cue: Cue, mask: Tensor) -> State:
        assert cue.h is not None and state.frame is not None, "forcing needs the truth and a prediction"
        if mask.all():
            return replace(state, h=cue.h, skips=cue.newest or state.skips)
        own = self._own_fed(state)
        assert own.h is not None
        skips = own.skips
        if cue.newest is not None:
            pairs = zip(cue.newest, skips, strict=True)
            skips = [torch.where(mask[:, None, None, None], true, drawn) for true, drawn in pairs]
        return replace(own, h=torch.where(mask[:, None], cue.h, own.h), skips=skips)

    def feed(self, state: State, frame: Tensor) -> State:
        return replace(state, frame=frame, h=None)

    def read(self, cues: Cue, frames: Tensor) -> Cue:
        """The skips of given frames stay the true ones: they never come from a drawn frame."""
        h, skips = self.encoder(by_pixel(frames.flatten(0, 1)))
        newest = timed(self.decoder.project(skips), len(frames)) if self.config.last_frame_skip else None
        return replace(cues, h=timed(h.float(), len(frames)), newest=newest)

    def parallel(self, state: State, cues: Cue, noise: Tensor) -> tuple[State, Step]:
        skips = state.skips if cues.skips is None else flat(cues.skips)
        if cues.newest is not None:
            skips = flat(_after(state.skips, cues.newest, noise.shape[1]))
        state, vectors, prior = self._true_fed(state, cues, noise)
        frames = timed(self.decoder(vectors.flatten(0, 1), skips), len(noise))
        return state, Step(frames, cues.posterior, prior)

    def _true_fed(self, state: State, cues: Cue, noise: Tensor) -> tuple[State, Tensor, Gaussian | None]:
        """The vectors (B, T, g) to decode where every step is fed the truth."""
        assert cues.h is not None and state.h is not None, "svg is parallel only where the truth is fed"
        h = torch.cat([state.h[:, None], cues.h[:, :-1]], 1)
        vectors, prior, state = self._dynamics(state, h, cues, noise)
        skips = state.skips if cues.newest is None else each(cues.newest, lambda x: x[:, -1])
        return replace(state, frame=None, h=cues.h[:, -1], skips=skips), vectors, prior

    def _dynamics(self, state: State, h: Tensor, cues: Cue, noise: Tensor) -> tuple[Tensor, Gaussian | None, State]:
        """Vectors h (B, T, g) of the frames before to vectors (B, T, g) to decode."""
        prior, memory = None, None
        if self.config.prior == "learned":
            (mean, log_variance), memory = self.prior(h, state.prior)
            prior = Gaussian(mean, log_variance)
        latent = cues.posterior or prior
        z = noise if latent is None else latent.sample(noise)
        read = [h, z.float()] + ([] if cues.condition is None else [cues.condition])
        vectors, predictor = self.frame_predictor(torch.cat(read, -1), state.predictor)
        return vectors, prior, replace(state, prior=memory, predictor=predictor)

    def _own_fed(self, state: State) -> State:
        """The state with its drawn frame encoded; skips are convolved only where the newest ones are wanted."""
        assert state.frame is not None
        h, skips = self.encoder(by_pixel(state.frame))
        newest = self.decoder.project(skips) if self.config.last_frame_skip else state.skips
        return replace(state, h=h.float(), skips=newest)


def _after(first: list[Tensor], later: list[Tensor], count: int) -> list[Tensor]:
    """(B, C, H, W), then (B, T, C, H, W), the last of them again and again: the first (B, count, C, H, W) of these."""
    again = max(0, count - 1 - later[0].shape[1])
    return [
        in_time(a[:, None], b, b[:, -1:].expand(-1, again, -1, -1, -1))[:, :count]
        for a, b in zip(first, later, strict=True)
    ]
