"""Metrics against independent oracles: scikit-image, closed forms, and counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from framecast.metrics import drift, psnr, ssim
from framecast.metrics import frame as frame_module


def videos(shape: tuple[int, ...] = (2, 3, 3, 16, 20), seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth film and a noisy version of it, floats in [0, 1]."""
    rng = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0, 1, shape[-1]).expand(shape)
    truth = (ramp + 0.1 * torch.rand(shape, generator=rng)).clamp(0, 1)
    return (truth + 0.2 * torch.randn(shape, generator=rng)).clamp(0, 1), truth


def oracle_ssim(prediction: np.ndarray, truth: np.ndarray) -> float:
    """scikit-image on mirrored borders: it then crops exactly the five pixels a side that were added.

    Args:
        prediction, truth: (C, H, W).
    """
    mirrored = [np.pad(v.astype(np.float64), ((0, 0), (5, 5), (5, 5)), mode="reflect") for v in (prediction, truth)]
    value = structural_similarity(
        *mirrored, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=0
    )
    return np.asarray(value).item()


def test_psnr_is_scikit_images_frame_by_frame() -> None:
    prediction, truth = videos()
    got = psnr(prediction, truth)
    assert got.shape == (2, 3)
    assert got.dtype == torch.float64
    for b, t in np.ndindex(2, 3):
        want = peak_signal_noise_ratio(truth[b, t].double().numpy(), prediction[b, t].double().numpy(), data_range=1)
        assert got[b, t].item() == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("gap, want", [(0.1, 20.0), (0.01, 40.0), (1.0, 0.0), (0.5, 20 * math.log10(2))])
def test_psnr_of_a_constant_error_is_closed_form(gap: float, want: float) -> None:
    truth = torch.zeros(1, 2, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(psnr(truth + gap, truth), torch.full((1, 2), want, dtype=torch.float64), atol=1e-9)


def test_identical_frames_score_100_db_and_one() -> None:
    _, truth = videos()
    assert (psnr(truth, truth) == 100).all()
    assert torch.allclose(ssim(truth, truth), torch.ones(2, 3, dtype=torch.float64), atol=1e-6)


def test_mean_of_frames_is_not_the_psnr_of_pooled_error() -> None:
    truth = torch.zeros(1, 2, 1, 8, 8)
    prediction = truth.clone()
    prediction[:, 0] += 0.1  # 20 dB
    prediction[:, 1] += 0.001  # 60 dB
    pooled = -10 * math.log10((0.1**2 + 0.001**2) / 2)
    assert psnr(prediction, truth).mean().item() == pytest.approx(40, abs=1e-4)
    assert pooled == pytest.approx(23.0, abs=0.01)


def test_uint8_is_widened_before_subtraction() -> None:
    black = torch.zeros(1, 1, 3, 16, 16, dtype=torch.uint8)
    white = torch.full_like(black, 255)
    assert ((black - white) == 1).all()  # the trap: 0 - 255 wraps to 1, which would read as 48 dB
    assert psnr(black, white).item() == 0
    assert psnr(white, black).item() == 0
    assert ssim(black, white).item() < 0.01


def test_uint8_and_floats_agree() -> None:
    prediction, truth = ((v * 255).round().to(torch.uint8) for v in videos())
    assert torch.allclose(psnr(prediction, truth), psnr(prediction.double() / 255, truth.double() / 255))
    assert torch.allclose(psnr(prediction, truth), psnr(prediction.double() / 255, truth))
    assert torch.allclose(ssim(prediction, truth), ssim(prediction.double() / 255, truth.double() / 255), atol=1e-6)


def test_floats_are_clamped() -> None:
    truth = torch.ones(1, 1, 3, 16, 16)
    assert (psnr(truth * 7, truth) == 100).all()
    assert torch.allclose(ssim(truth * 7, truth), torch.ones(1, 1, dtype=torch.float64), atol=1e-6)


def test_nan_is_not_hidden() -> None:
    prediction, truth = videos()
    prediction[0, 1, 0, 3, 3] = math.nan
    for metric in (psnr, ssim):
        assert metric(prediction, truth).isnan().tolist() == [[False, True, False], [False, False, False]]


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_scikit_images(channels: int) -> None:
    prediction, truth = videos((2, 3, channels, 16, 20))
    got = ssim(prediction, truth)
    assert got.shape == (2, 3)
    assert got.dtype == torch.float64
    for b, t in np.ndindex(2, 3):
        want = oracle_ssim(prediction[b, t].numpy(), truth[b, t].numpy())
        assert got[b, t].item() == pytest.approx(want, abs=2e-5)


def test_a_shifted_film_scores_lower_the_farther_it_moves() -> None:
    rng = torch.Generator().manual_seed(3)
    truth = torch.nn.functional.avg_pool2d(torch.rand(4, 3, 40, 40, generator=rng), 5, 1, 2)[None]
    for metric in (psnr, ssim):
        scores = [metric(truth.roll(k, -1), truth).mean().item() for k in (0, 1, 3)]
        assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_chunks_and_batch_mates_change_nothing(metric, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, truth = videos((2, 5, 3, 16, 20))
    whole = metric(prediction, truth)
    monkeypatch.setattr(frame_module, "CHUNK_VALUES", 3 * 16 * 20 * 3)
    assert torch.allclose(metric(prediction, truth), whole, atol=1e-6)
    assert torch.allclose(metric(prediction[1:, 2:3], truth[1:, 2:3]), whole[1:, 2:3], atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31), height=st.integers(11, 16), width=st.integers(11, 16), channels=st.sampled_from([1, 3])
)
def test_symmetry_and_range(seed: int, height: int, width: int, channels: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    one, two = (torch.rand(1, 2, channels, height, width, generator=rng) for _ in range(2))
    for metric, top in ((psnr, 100), (ssim, 1)):
        assert torch.allclose(metric(one, two), metric(two, one), atol=1e-6)
        assert (metric(one, two) <= top + 1e-6).all()
    assert (ssim(one, two) >= -1 - 1e-6).all()
    assert (psnr(one, two) >= 0).all()


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_the_door_says_what_is_wrong(metric) -> None:
    film = torch.rand(1, 2, 3, 16, 16)
    with pytest.raises(ValueError, match=r"\(1, 2, 3, 16, 16\).*\(1, 1, 3, 16, 16\)"):
        metric(film, film[:, :1])
    with pytest.raises(ValueError, match="A video is"):
        metric(film[0], film[0])
    with pytest.raises(ValueError, match="at least one frame"):
        metric(film[:, :0], film[:, :0])
    with pytest.raises(ValueError, match="int32"):
        metric(film, film.int())


def test_ssim_refuses_frames_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match=r"window of 11 x 11.*10 x 16"):
        ssim(torch.rand(1, 1, 3, 10, 16), torch.rand(1, 1, 3, 10, 16))


def test_drift_compares_the_two_ends() -> None:
    fall = np.arange(629, 0, -1.0)
    assert drift(fall) == pytest.approx(529)  # the means lie 629 - 100 frames apart
    assert drift(torch.arange(629.0)) == pytest.approx(-529)
    assert drift([5.0, 5.0, 1.0, 3.0, 2.0, 2.0]) == pytest.approx(3)  # thirds of six: two frames a side
    assert drift([7.0]) == 0
    assert drift(np.r_[np.ones(100), np.zeros(100)]) == pytest.approx(1)
    with pytest.raises(ValueError, match="shape"):
        drift(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="at least one"):
        drift([])


class TestSelftest:
    def test_all_pairs_hold(self, capsys: pytest.CaptureFixture[str]) -> None:
        from framecast import cli, selftest

        assert all(case.holds for case in selftest.cases())
        assert cli.main(["selftest"]) == 0
        assert "FAILS" not in capsys.readouterr().out

    def test_a_metric_that_overflows_is_found_out(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from framecast import cli, selftest

        def wrapped(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
            difference = (one - two).float() / (255 if one.dtype == torch.uint8 else 1)
            return -10 * difference.square().flatten(2).mean(2).clamp(min=1e-10).log10()

        monkeypatch.setattr(selftest, "psnr", wrapped)
        assert cli.main(["selftest"]) == 1
        failed = [line for line in capsys.readouterr().out.splitlines() if "FAILS" in line]
        assert any("no overflow" in line for line in failed)
        assert any("refused" in line for line in failed)
