"""FVD: closed forms of the Frechet distance, the number of videos, and detectors out of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import sqrtm
from weights import Motion, scripted

from framecast.metrics import fvd


def gaussian(count: int, mean: np.ndarray, covariance: np.ndarray, seed: int) -> np.ndarray:
    """Features whose mean and covariance are exactly those."""
    z = np.random.default_rng(seed).normal(size=(count, len(mean)))
    z -= z.mean(0)
    white = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    return white @ np.linalg.cholesky(covariance).T + mean


class TestFrechet:
    def test_two_gaussians_of_known_means_and_covariances(self) -> None:
        random = np.random.default_rng(0)
        a, b = (m @ m.T + np.eye(5) for m in random.normal(size=(2, 5, 5)))
        m1, m2 = random.normal(size=(2, 5))
        wanted = ((m1 - m2) ** 2).sum() + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
        assert fvd.frechet(gaussian(40, m1, a, 1), gaussian(30, m2, b, 2)) == pytest.approx(wanted, rel=1e-9)

    def test_covariances_that_commute(self) -> None:
        """The sum of squared differences of their deviations."""
        zero, one, two = np.zeros(3), np.array([1.0, 2, 3]), np.array([2.0, 2, 5])
        found = fvd.frechet(gaussian(9, zero, np.diag(one**2), 1), gaussian(12, zero, np.diag(two**2), 2))
        assert found == pytest.approx(1 + 0 + 4)

    @pytest.mark.parametrize("count", [6, 60])  # fewer and more than the features
    def test_identical_and_shifted_sets(self, count: int) -> None:
        features = np.random.default_rng(0).normal(size=(count, 20))
        assert fvd.frechet(features, features[::-1]) == pytest.approx(0, abs=1e-9)
        shift = np.arange(20.0)
        assert fvd.frechet(features, features + shift) == pytest.approx((shift**2).sum())

    def test_fewer_clips_than_features_are_those_of_the_singular_covariances(self) -> None:
        one, two = np.random.default_rng(0).normal(size=(2, 8, 30))
        a, b = np.cov(one.T), np.cov(two.T)
        values, vectors = np.linalg.eigh(a)
        root = vectors * np.sqrt(values.clip(0)) @ vectors.T
        cross = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()
        wanted = ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(a + b) - 2 * cross
        assert fvd.frechet(one, two) == pytest.approx(wanted, rel=1e-5)

    def test_what_does_not_fit_is_refused(self) -> None:
        for one, two in (((5, 3), (5, 4)), ((1, 3), (5, 3)), ((5,), (5,))):
            with pytest.raises(ValueError, match="at least two features are compared"):
                fvd.frechet(np.zeros(one), np.zeros(two))


class TestNumberOfVideos:
    def test_the_line_ends_nearer_to_the_truth_than_where_it_starts(self) -> None:
        """30 features of deviations 1 and 1.2, means apart by 1: 1 + 30 x 0.04. A real clip resembles what was made."""
        truth, shift = 1 + 30 * 0.04, np.eye(30)[0]
        raw, line = [], []
        for seed in range(4):
            random = np.random.default_rng(seed)
            real, other = random.normal(size=(2, 120, 30))
            made = 1.2 * (0.6 * real + 0.8 * other) + shift
            found = fvd.distance(real, made[:, None], seed)
            raw.append(found.value)
            line.append(found.extrapolated)
            assert list(found.by_videos) == [60, 75, 90, 105, 120]
            assert found.by_videos[60] > found.by_videos[120] == found.value
        assert np.mean(raw) > 2 * truth
        assert abs(np.mean(line) - truth) < (np.mean(raw) - truth) / 3

    def test_many_clips_of_each_video_count_together(self) -> None:
        random = np.random.default_rng(0)
        real, made = random.normal(size=(20, 4)), random.normal(size=(20, 3, 4))
        assert fvd.distance(real, made).value == pytest.approx(fvd.frechet(real, made.reshape(60, 4)))

    def test_the_floor_falls_with_the_number_of_clips(self) -> None:
        """Of D independent features of deviation 1 and halves of n: to first order 2 D / n of the means, and
        D (D + 1) / (2 n) of the covariances."""
        features = np.random.default_rng(0).normal(size=(4000, 3))
        found = [fvd.floor(features[:n]) for n in (100, 4000)]
        assert found[1] == pytest.approx((2 * 3 + 3 * 4 / 2) / 2000, rel=0.4)
        assert found[0] > 10 * found[1]
        assert fvd.floor(features[:100]) == found[0]  # seeded

    def test_too_few(self) -> None:
        with pytest.raises(ValueError, match="FVD of 15 videos says nothing: give at least 16"):
            fvd.floor(np.zeros((15, 3)))
        with pytest.raises(ValueError, match="made of 17 videos, and 16 are real"):
            fvd.distance(np.zeros((16, 3)), np.zeros((17, 1, 3)))


class TestDetector:
    def test_a_script_that_the_user_vouches_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given = scripted(tmp_path / "motion.pt", Motion())
        detector = fvd.load(given)
        assert detector.rule == f"another detector, sha256 {given[-64:]}, scales and resizes by itself"
        clips = np.random.default_rng(0).integers(0, 256, (9, 10, 6, 8, 3), dtype=np.uint8)
        found = detector(clips)  # more than one batch
        wide = clips.astype(float)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found[:, :3], wide[:, 0, 0, 0])
        np.testing.assert_allclose(found[:, 3], np.abs(np.diff(wide, axis=1)).mean((1, 2, 3, 4)), rtol=1e-5)
        grey = detector(clips[..., :1])
        np.testing.assert_array_equal(grey[:, 0], grey[:, 2])
        monkeypatch.setattr(fvd, "KNOWN", {given[-64:]: "motion.pt"})
        assert fvd.load(given[:-65]).rule.startswith("I3D, sha256 ")

    def test_clips_that_are_none(self) -> None:
        detector = fvd.Detector(Motion())
        with pytest.raises(ValueError, match="at least 10 frames; these have 9"):
            detector(np.zeros((2, 9, 8, 8, 3), np.uint8))
        with pytest.raises(ValueError, match=r"clips \(N, T, H, W, 1 or 3\), uint8"):
            detector(np.zeros((2, 10, 8, 8, 3)))
        with pytest.raises(ValueError, match="it is no I3D"):
            fvd.Detector(lambda x, **_: x)(np.zeros((2, 10, 8, 8, 3), np.uint8))
        with pytest.raises(ValueError, match="it is no I3D"):
            fvd.Detector(lambda x, **_: x[:, :, 0, 0, 0] / 0)(np.zeros((2, 10, 8, 8, 3), np.uint8))
