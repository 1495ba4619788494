"""The evidence lower bound of a Trace: likelihood and KL, and their weights. It sees a Trace, never a model.

D = C * H * W values in a frame. With q the posterior, p the prior and x^ the drawn frame, per frame:

    (1)  -log p(x) <= E_q[-log p(x | z)] + KL(q || p)                              (Kingma and Welling 2014, eq. 3)
    (2)  -log N(x; x^, sigma^2) = D (MSE / (2 sigma^2) + log sigma + log(2 pi) / 2)
    (3)  course: MSE + beta KL. By (2) it is the bound with sigma^2 = beta D / 2, divided by D / (2 sigma^2)
    (4)  calibrated: (2) + beta KL with one sigma for all pixels, at its optimum sigma^2 = MSE of the batch
         (Rybkin et al. 2021, eq. 5), or learned

docs/derivation.md derives them, and goes on to (5) sequences, (6) and (7) the KL, (8) sampling, (9) annealing and (10)
teacher forcing; elsewhere in the code these are "derivation (5)" and so on.

Units: `mse` per pixel value, pixels in [0, 1]; `kl` in nats per frame, summed over latent values; `reconstruction` is
MSE (3) or nats per pixel value (2); `total` is in the reconstruction's unit; `kl_weighted` is its share of the total.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from framecast.values import Losses, Trace, nearest

KINDS = ("calibrated", "learned", "mse")
WIDE = 0.5  # of an implied sigma: five times the error of a prediction of 20 dB


class Objective(nn.Module):
    """The bound as a loss.

    Args:
        kind: `calibrated` (sigma at its optimum for each batch), `learned` (sigma a parameter), `mse` (the course's).

    Raises:
        ValueError: another kind.
    """

    def __init__(self, kind: str = "calibrated") -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"There is no objective {kind!r}.{nearest(kind, KINDS)} There are: {', '.join(KINDS)}.")
        self.kind = kind
        self.log_sigma = nn.Parameter(torch.tensor(-2.0)) if kind == "learned" else None

    def forward(self, trace: Trace, beta: float) -> Losses:
        """Averages over clips and frames.

        Args:
            trace: frames and truth (B, T, C, H, W), Gaussians (B, T, ...).
            beta: the KL's weight.
        """
        squared = (trace.frames - trace.truth).square()
        mse = squared.mean()
        kl = torch.zeros_like(mse)
        if trace.posterior is not None:
            kl = trace.posterior.kl(trace.prior).flatten(2).sum(2).mean()  # (1), nats per frame
        if self.kind == "mse":
            reconstruction, weighted = mse, beta * kl  # (3)
        else:
            values = trace.truth[0, 0].numel()
            log_sigma = 0.5 * mse.detach().clamp(min=1e-8).log() if self.log_sigma is None else self.log_sigma
            # (2) and (4) over D. At the optimum d/dx of log sigma is zero, so sigma may be detached.
            reconstruction = mse / (2 * (2 * log_sigma).exp()) + log_sigma + 0.5 * math.log(2 * math.pi)
            weighted = beta * kl / values
        # PSNR of each frame, then the mean: the PSNR of a pooled error is another number (and never larger).
        psnr = -10 * squared.detach().mean((2, 3, 4)).clamp(min=1e-10).log10().mean()
        terms = {"mse": mse, "reconstruction": reconstruction, "kl": kl, "kl_weighted": weighted, "psnr": psnr}
        return Losses(reconstruction + weighted, {name: value.detach() for name, value in terms.items()})


def implied_sigma(beta: float, values: int) -> float:
    """The decoder's standard deviation on a [0, 1] pixel that MSE + beta KL implies, by (3). D = `values`."""
    return math.sqrt(beta * values / 2)


def calibrated_beta(mse: float, values: int) -> float:
    """The beta at which MSE + beta KL is the bound for a decoder with that MSE: 2 MSE / D, by (3) and (4)."""
    return 2 * mse / values


def describe(kind: str, beta: float, values: int, latent: bool = True) -> str:
    """What the chosen objective says of the pixels, in one line, with a warning where it is absurd.

    Args:
        kind: of the objective.
        beta: the largest KL weight of the schedule.
        values: D.
        latent: the model has one; without, there is no KL for beta to weigh.
    """
    likelihood = f"calibrated Gaussian likelihood ({kind} sigma)"
    if not latent:
        return f"objective: {'MSE' if kind == 'mse' else likelihood} alone: this model has no latent, so no KL"
    if kind != "mse":
        return f"objective: {likelihood} + {beta:g} x KL"
    sigma = implied_sigma(beta, values)
    text = f"objective: MSE + {beta:g} x KL, which says that pixels in [0, 1] have sigma {sigma:.3g}"
    if sigma > WIDE:
        better = calibrated_beta(0.01, values)
        told = "wide: predictions of 20 to 30 dB err by 0.1 to 0.03, so the latent may say little"
        if sigma > 1:
            told = "wider than the whole range of a pixel: the latent will say nothing (collapse)"
        text += (
            f"\nWARNING: a sigma of {sigma:.3g} is {told}.\n         At 20 dB the calibrated beta is {better:.2g}:"
            f" try --beta {better:.2g}, or --objective calibrated."
        )
    elif sigma < 0.002:
        text += (
            f"\nWARNING: a sigma of {sigma:.3g} is finer than the steps of 8-bit pixels; prior samples will look wrong."
        )
    return text
