"""The objective against closed forms and torch's own distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from framecast.objective import KINDS, Objective, calibrated_beta, describe, implied_sigma
from framecast.values import Gaussian, Trace

SHAPE = (2, 3, 3, 4, 5)  # B, T, C, H, W
VALUES = 3 * 4 * 5


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(seed: int, *latent: int) -> Gaussian:
    return Gaussian(random(2, 3, *latent, seed=seed), 0.7 * random(2, 3, *latent, seed=seed + 1))


def trace(posterior: Gaussian | None = None, prior: Gaussian | None = None, frames: Tensor | None = None) -> Trace:
    frames = 0.5 + 0.1 * random(*SHAPE) if frames is None else frames
    return Trace(frames, 0.5 + 0.1 * random(*SHAPE, seed=1), posterior, prior)


def normal(gaussian: Gaussian) -> Normal:
    return Normal(gaussian.mean, (gaussian.log_variance / 2).exp())


def test_kl_is_that_of_torch() -> None:
    q, p = gaussian(3, 4), gaussian(5, 4)
    torch.testing.assert_close(q.kl(p), kl_divergence(normal(q), normal(p)))
    torch.testing.assert_close(q.kl(), kl_divergence(normal(q), Normal(torch.zeros_like(q.mean), 1.0)))
    assert torch.equal(q.kl(q), torch.zeros_like(q.mean))


def test_samples_are_reparametrised() -> None:
    q = Gaussian(torch.tensor([2.0]), torch.tensor([math.log(9.0)]))  # sigma 3: the output is log variance
    assert float(q.sample(torch.tensor([-1.0]))) == pytest.approx(-1.0)


@pytest.mark.parametrize("latent", [(4,), (2, 4, 5)])
def test_kl_is_summed_over_latent_values_and_averaged_over_clips_and_frames(latent: tuple[int, ...]) -> None:
    q, p = gaussian(3, *latent), gaussian(5, *latent)
    expected = sum(float(q.kl(p)[b, t].sum()) for b in range(2) for t in range(3)) / 6
    losses = Objective("mse")(trace(q, p), beta=0.25)
    assert float(losses.terms["kl"]) == pytest.approx(expected)
    assert float(losses.terms["kl_weighted"]) == pytest.approx(0.25 * expected)
    assert float(losses.total) == pytest.approx(float(losses.terms["mse"]) + 0.25 * expected)


def test_mse_is_that_of_the_course() -> None:
    made = trace()
    losses = Objective("mse")(made, beta=1.0)
    torch.testing.assert_close(losses.total, torch.nn.functional.mse_loss(made.frames, made.truth))
    assert float(losses.terms["kl"]) == 0


def test_calibrated_is_the_likelihood_at_the_best_sigma() -> None:
    made, q = trace(), gaussian(3, 4)
    mse = (made.frames - made.truth).square().mean()
    losses = Objective("calibrated")(trace(q), beta=2.0)

    def nll(variance: Tensor) -> float:
        return -float(Normal(made.frames, variance.sqrt()).log_prob(made.truth).mean())

    assert float(losses.terms["reconstruction"]) == pytest.approx(nll(mse))
    assert nll(mse) < min(nll(0.9 * mse), nll(1.1 * mse))  # it is the optimum
    per_value = 2.0 * float(losses.terms["kl"]) / VALUES  # nats per value, as the likelihood
    assert float(losses.terms["kl_weighted"]) == pytest.approx(per_value)
    assert float(losses.total) == pytest.approx(nll(mse) + per_value)


def test_learned_is_the_likelihood_at_its_sigma() -> None:
    objective = Objective("learned").double()
    assert objective.log_sigma is not None
    sigma = float(objective.log_sigma.detach().exp())
    expected = -Normal(trace().frames, sigma).log_prob(trace().truth).mean()
    torch.testing.assert_close(objective(trace(), 1.0).total, expected)


def test_calibrated_and_learned_pull_alike_at_the_optimum() -> None:
    gradients = []
    for kind in ("calibrated", "learned"):
        frames = trace().frames.requires_grad_()
        objective = Objective(kind).double()
        if objective.log_sigma is not None:
            mse = (frames - trace().truth).square().mean()
            objective.log_sigma.data = 0.5 * mse.detach().log()
        objective(trace(frames=frames), 1.0).total.backward()
        gradients.append(frames.grad)
        if objective.log_sigma is not None and objective.log_sigma.grad is not None:
            assert float(objective.log_sigma.grad) == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(*gradients)
    assert float(gradients[0].abs().max()) > 0


def test_calibrated_is_the_course_with_the_calibrated_beta() -> None:
    """Equation (3): MSE + beta KL with beta = 2 MSE / D has the gradients of the bound, up to one factor."""
    frames = trace().frames
    mse = float((frames - trace().truth).square().mean())
    found = []
    for kind, beta in (("calibrated", 1.0), ("mse", calibrated_beta(mse, VALUES))):
        mean, drawn = random(2, 3, 4, seed=9).requires_grad_(), frames.clone().requires_grad_()
        Objective(kind)(trace(Gaussian(mean, torch.zeros_like(mean)), None, drawn), beta).total.backward()
        found.append((drawn.grad, mean.grad))
    for calibrated, course in zip(*found, strict=True):
        torch.testing.assert_close(calibrated * 2 * mse, course)


def test_sigma_and_beta_are_inverses() -> None:
    for mse in (1e-4, 0.01, 0.3):
        assert implied_sigma(calibrated_beta(mse, 6144), 6144) ** 2 == pytest.approx(mse)
    # SPEC, trap 5: beta 1 at 32 x 64 x 3, and the calibrated beta at 20 dB.
    assert implied_sigma(1.0, 3 * 32 * 64) == pytest.approx(55.4, abs=0.1)
    assert calibrated_beta(10 ** (-20 / 10), 3 * 32 * 64) == pytest.approx(3.3e-6, rel=0.02)


def test_psnr_is_the_mean_of_the_frames() -> None:
    truth = torch.zeros(1, 2, 3, 4, 4)
    frames = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])[None]  # 20 dB and 40 dB
    psnr = Objective("mse")(Trace(frames, truth), 1.0).terms["psnr"]
    assert float(psnr) == pytest.approx(30, abs=1e-3)  # the pooled error has 23 dB


@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_frame_is_finite(kind: str) -> None:
    frames = torch.full((1, 1, 3, 4, 4), 0.5, requires_grad=True)
    losses = Objective(kind)(Trace(frames, frames.detach()), 1.0)
    losses.total.backward()
    assert all(value.isfinite() for value in [losses.total, *losses.terms.values()])
    assert frames.grad is not None
    assert frames.grad.isfinite().all()


def test_terms_carry_no_graph() -> None:
    losses = Objective("learned")(trace(frames=trace().frames.requires_grad_()), 1.0)
    assert losses.total.requires_grad
    assert not any(value.requires_grad for value in losses.terms.values())
    assert {"mse", "reconstruction", "kl", "kl_weighted", "psnr"} == set(losses.terms)


def test_what_is_said_before_training() -> None:
    text = describe("mse", 1.0, 3 * 32 * 64)
    assert "WARNING" in text
    assert "sigma 55.4" in text
    assert "3.3e-06" in text
    assert "--objective calibrated" in text
    assert "finer than the steps of 8-bit pixels" in describe("mse", 1e-10, 3 * 32 * 64)
    assert "WARNING" not in describe("mse", 3.3e-6, 3 * 32 * 64)
    assert "WARNING" not in describe("calibrated", 1.0, 3 * 32 * 64)


def test_the_warning_is_no_larger_than_the_sigma() -> None:
    """A run with sigma 0.554 had a KL of 514 nats: it did not collapse."""
    text = describe("mse", 1e-4, 3 * 32 * 64)
    assert "WARNING: a sigma of 0.554 is wide:" in text and "may say little" in text and "--beta 3.3e-06" in text
    assert "collapse" not in text and "range of a pixel" not in text
    assert "wider than the whole range of a pixel" in describe("mse", 4e-4, 3 * 32 * 64)
    assert "WARNING" not in describe("mse", 5e-5, 3 * 32 * 64)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_latent_is_told_of_no_beta(kind: str) -> None:
    text = describe(kind, 1.0, 3 * 32 * 64, latent=False)
    assert "no latent" in text and "beta" not in text and "\n" not in text


def test_unknown_objectives_are_named() -> None:
    with pytest.raises(ValueError, match="no objective 'calibrate'. Did you mean 'calibrated'.*learned, mse"):
        Objective("calibrate")
