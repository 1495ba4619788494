"""Does a model use its condition, and its latent? What a score alone does not say.

A model that ignores the actions scores the same with others' actions; on robot pushing knowing them is worth about
4 dB. A latent is used where its posterior differs from its prior (KL), and moves with the data (active units: those
whose posterior mean has a variance above 0.01; Burda et al. 2016, section 5.2; of a learned prior, beyond its mean).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from framecast.evaluate import Result, episodes_for, score, told_otherwise
from framecast.models.base import Model
from framecast.rollout import as_bytes, reconstruct
from framecast.store import Store
from framecast.values import Clip, tensor

ACTIVE = 0.01
HEAVY = 3  # an implied sigma that many times the one found is no rounding: the KL weighs ten times too much
GAP = 3.0  # dB
TOGETHER = 2**21  # pixels of an episode at most, 1,024 frames of 32 x 64: the posterior sees all of them at once
Conditions = list[np.ndarray | None]


@dataclass
class Diagnosis:
    """What was found; PSNRs in dB, of one sample of each episode, means over frames and episodes.

    Args:
        psnr: with the true conditions and latents from the prior.
        shuffled, zero: with the same noise and another episode's conditions, or zeros; None without conditions.
        posterior: with samples from the posterior, which sees the truth; None without a latent.
        kl: nats per frame of each latent channel, over the episodes.
        active: latent channels whose posterior mean moves with the data beyond its prior's (of maps, at any place).
        sigma: of the calibrated likelihood: the root of the predictions' mean squared error, pixels in [0, 1].
        implied: the sigma that the training's weight of the KL stood for; None: it was calibrated, or is not known.
        alone: there is one episode, and `shuffled` is told its own conditions turned round in time.
    """

    psnr: float
    shuffled: float | None = None
    zero: float | None = None
    posterior: float | None = None
    kl: list[float] = field(default_factory=list)
    active: int = 0
    sigma: float = 0.0
    implied: float | None = None
    alone: bool = False

    def words(self) -> list[str]:
        """The findings, a line each, with what to make of them."""
        lines = []
        if self.shuffled is not None and self.zero is not None:
            gain = self.psnr - self.shuffled
            others = "the same ones backwards (there is one episode)" if self.alone else "another episode's"
            lines.append(
                f"conditions: {self.psnr:.2f} dB with the true ones, {self.shuffled:.2f} with {others},"
                f" {self.zero:.2f} with zeros: a gain of {gain:+.2f} dB"
            )
            if max(gain, self.psnr - self.zero if self.alone else gain) < 1:
                lines.append("  hardly used (published models of robot pushing gain about 4 dB by the actions). Train"
                             " longer, or look whether the conditions belong to these frames.")  # fmt: skip
        if self.posterior is not None:
            lines.append(
                f"latent: {sum(self.kl):.2f} nats a frame, {self.active} of {len(self.kl)} units active;"
                f" {self.posterior:.2f} dB with the posterior's latents, {self.psnr:.2f} with the prior's"
            )
            lines += [f"  {line}" for line in self._of_latent(self.posterior - self.psnr)]
        lines.append(f"sigma of the predictions: {self.sigma:.3g} on a [0, 1] pixel")
        return lines

    def _of_latent(self, gap: float) -> list[str]:
        """Is the latent used, and if not, why?

        Args:
            gap: dB that knowing the truth's latents is worth.
        """
        heavy = self.implied is not None and self.implied > HEAVY * self.sigma
        if not self.active and heavy and self.implied is not None:
            times = (self.implied / self.sigma) ** 2
            return [
                f"the latent is not used, because the KL weighs {times:.2g} times too much: it stands for a sigma of"
                f" {self.implied:.3g}, the predictions err by {self.sigma:.3g}",
                f"try --objective calibrated, or a --beta {times:.2g} times smaller",
            ]
        if not self.active and sum(self.kl) > 1:
            return [
                "the latent says a little at many places and much at none: no unit moves enough to count as active",
                "try longer training; a KL that falls on is noise being given up",
            ]
        if not self.active:
            return [
                "the latent is not used, because what it could say is not worth its KL: the future is nearly certain"
                " from what is given, or the run is too short to have found a use for it",
                "try longer training; if it stays so, a fixed future is what these recordings have",
            ]
        if gap > GAP:
            return [
                f"the prior does not know what the posterior does: its latents are worth {gap:+.1f} dB more",
                "much of this is the future's own uncertainty; if samples look wrong, try a learned prior, or a larger"
                " --beta",
            ]
        return []


def diagnose(name: str, model: Model, result: Result, seed: int = 0, implied: float | None = None) -> Diagnosis:
    """What a result leaves unsaid of one of its models: false conditions, and latents from the posterior.

    Args:
        name: of the model's row.
        model: in eval mode.
        result: of `evaluate`, with that row.
        seed: of the samples.
        implied: the sigma that its training's weight of the KL stood for, where it is known.
    """
    scored = result.scores[name]
    drawn = [s.samples[0] if s.samples else s.frames for s in scored]  # not the best one: it is chosen by the truth
    errors = [((d / 255.0 - t / 255.0) ** 2).mean() for d, t in zip(drawn, result.truth, strict=True)]
    first = float(np.mean([s.psnr[0].mean() for s in scored]))  # what it is compared with is one sample too
    found = Diagnosis(first, sigma=float(np.sqrt(np.mean(errors))), implied=implied)
    found.alone = len(scored) == 1
    if model.spec.condition.kind != "none" and list(model.parameters()):
        found.shuffled = told_otherwise(model, result, others(result.conditions), seed)
        found.zero = told_otherwise(model, result, zeros(result.conditions), seed)
    _look_at_latent(found, model, result, seed)
    return found


def check(store: Store, split: str, context: int, horizon: int | None, most: int | None) -> None:
    """Whether the episodes that `evaluate` would take can be diagnosed. Raises ValueError where one is too long."""
    room = TOGETHER // (store.spec.height * store.spec.width) - context
    longest = max(frames for _, _, frames in episodes_for(store, split, context, horizon, most, whole=True))
    if longest > room:
        raise ValueError(
            f"--diagnose reads an episode's truth at once, and one of {split} has {longest:,} frames to predict; of"
            f" this size {room:,} are taken. Give --horizon {room} or less, or leave --diagnose out."
        )


def others(conditions: Conditions) -> Conditions:
    """Each episode's conditions replaced by the one's before; of a single episode, its own turned round in time."""
    if len(conditions) == 1:
        return [c if c is None else c[::-1] for c in conditions]
    return [_of_length(conditions[n - 1], c) for n, c in enumerate(conditions)]


def _of_length(other: np.ndarray | None, own: np.ndarray | None) -> np.ndarray | None:
    """Cut to the own length, or its last row repeated."""
    if other is None or own is None:
        return None
    return other[np.minimum(np.arange(len(own)), len(other) - 1)]


def zeros(conditions: Conditions) -> Conditions:
    """All numbers (or pixels) zero."""
    return [None if c is None else np.zeros_like(c) for c in conditions]


def active_units(means: torch.Tensor) -> int:
    """How many channels of posterior means (N, Z, places), in spreads of the prior, move with the data.

    A channel of a map is active where any place of it is: a mean over places would hide a small figure.
    """
    return int((means.var(0, correction=0).amax(1) > ACTIVE).sum())


def _look_at_latent(found: Diagnosis, model: Model, true: Result, seed: int) -> None:
    """Fills in what the posterior says, episode by episode.

    Its latents are drawn from it, with the noise that the prior's were drawn with: where both are the same, so are the
    films. What its mean says beyond the prior's is measured in the prior's own spread, which of N(0, I) is 1.
    """
    kls, means, scores = [], [], []
    for number, given, truth, condition in zip(true.numbers, true.given, true.truth, true.conditions, strict=True):
        frames = tensor(np.concatenate([given, truth]))[None]
        told = None if condition is None or model.spec.condition.kind == "none" else tensor(condition)[None]
        clip = Clip(frames, told, torch.arange(frames.shape[1])[None])
        trace = reconstruct(model, clip, len(given), (seed, 0, number))
        if trace.posterior is None:
            return
        kl = trace.posterior.kl(trace.prior)[0]
        kls.append(kl.flatten(2).sum(2).cpu() if kl.ndim > 2 else kl.cpu())  # a map's channel is one unit
        mean = trace.posterior.mean[0]
        if trace.prior is not None:
            mean = (mean - trace.prior.mean[0]) * torch.exp(-0.5 * trace.prior.log_variance[0])
        means.append((mean.flatten(2) if mean.ndim > 2 else mean[..., None]).cpu())
        scores.append(score(truth, as_bytes(trace.frames[0].clamp(0, 1)), true.formula).psnr.mean())
    found.kl = torch.cat(kls).mean(0).tolist()
    found.active = active_units(torch.cat(means))
    found.posterior = float(np.mean(scores))
