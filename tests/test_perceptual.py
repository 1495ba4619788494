"""LPIPS and MS-SSIM against transcriptions written otherwise, with made-up weights; files that are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (as everybody writes it)
from scipy.ndimage import correlate1d
from torch import Tensor
from weights import VGG, made_up

from framecast.metrics import fvd, ms_ssim, networks, perceptual
from framecast.metrics.perceptual import Lpips


def videos(shape: tuple[int, ...] = (1, 2, 3, 64, 64)) -> tuple[Tensor, Tensor]:
    """A film and a noisy version of it."""
    random = torch.Generator().manual_seed(1)
    truth = torch.rand(shape, generator=random)
    return (truth + 0.1 * torch.randn(shape, generator=random)).clamp(0, 1), truth


def alexnet_by_hand(x: Tensor, w: dict[str, Tensor]) -> list[Tensor]:
    """The five activations, a line each."""

    def conv(x: Tensor, n: int, stride: int, pad: int) -> Tensor:
        return F.conv2d(x, w[f"features.{n}.weight"], w[f"features.{n}.bias"], stride, pad).clamp(min=0)

    one = conv(x, 0, 4, 2)
    two = conv(F.max_pool2d(one, 3, 2), 3, 1, 2)
    three = conv(F.max_pool2d(two, 3, 2), 6, 1, 1)
    four = conv(three, 8, 1, 1)
    return [one, two, three, four, conv(four, 10, 1, 1)]


def vgg_by_hand(x: Tensor, w: dict[str, Tensor]) -> list[Tensor]:
    """The last activation before each halving, and the last of all."""
    seen, index = [], 0
    for width in VGG:
        if width == 0:
            seen.append(x)
            x = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).amax((3, 5))
            index += 1
            continue
        x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1)), w[f"features.{index}.weight"], w[f"features.{index}.bias"]))
        index += 2
    return [*seen, x]


def by_hand(name: str, one: Tensor, two: Tensor, w: dict[str, Tensor], linear: dict[str, Tensor]) -> float:
    """LPIPS of two frames (3, H, W) in [0, 1], position by position."""
    means, spreads = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    layers = {"AlexNet": alexnet_by_hand, "VGG16": vgg_by_hand}[name]
    stacks = []
    for frame in (one, two):
        channels = [(frame[c].double() * 2 - 1 - means[c]) / spreads[c] for c in range(3)]
        stacks.append(layers(torch.stack(channels).float()[None], w))
    total = 0.0
    for n, (a, b) in enumerate(zip(*stacks, strict=True)):
        a, b = (v[0].double().flatten(1).numpy() for v in (a, b))  # (C, positions)
        weights = linear[f"lin{n}.model.1.weight"].double().flatten().numpy()
        a, b = (v / (np.linalg.norm(v, axis=0) + 1e-10) for v in (a, b))
        total += float(np.einsum("c,cp->p", weights, (a - b) ** 2).mean())
    return total


@pytest.fixture(scope="module")
def alex() -> Lpips:
    return Lpips("AlexNet", *made_up("AlexNet"))


class TestLpips:
    @pytest.mark.parametrize("name", ["AlexNet", "VGG16"])
    def test_it_is_the_transcription(self, name: str) -> None:
        classifier, linear = made_up(name)
        one, two = videos((1, 2, 3, 64, 64) if name == "AlexNet" else (1, 1, 3, 32, 48))
        found = Lpips(name, classifier, linear)(one, two)
        wanted = [by_hand(name, a, b, classifier, linear) for a, b in zip(one[0], two[0], strict=True)]
        assert found.dtype == torch.float64
        assert found.min() > 0.01
        np.testing.assert_allclose(found[0].numpy(), wanted, rtol=1e-5)

    def test_identical_frames_are_at_zero_and_both_ways_are_equal(self, alex: Lpips) -> None:
        one, two = videos()
        assert alex(one, one).tolist() == [[0.0, 0.0]]
        torch.testing.assert_close(alex(one, two), alex(two, one))

    def test_more_noise_is_farther(self, alex: Lpips) -> None:
        one, two = videos((1, 1, 3, 64, 64))
        scores = [float(alex(two + s * (one - two), two)) for s in (0, 0.3, 1)]
        assert scores[0] < scores[1] < scores[2]

    def test_bytes_grey_and_batch_mates(self, alex: Lpips, monkeypatch: pytest.MonkeyPatch) -> None:
        one, two = ((v * 255).round().to(torch.uint8) for v in videos((2, 2, 3, 40, 36)))
        whole = alex(one, two)
        torch.testing.assert_close(alex(one.float() / 255, two.float() / 255), whole)
        grey = [v[:, :, :1] for v in (one, two)]
        torch.testing.assert_close(alex(*grey), alex(*(v.expand(-1, -1, 3, -1, -1) for v in grey)))
        monkeypatch.setattr("framecast.metrics.frame.CHUNK_VALUES", 1)
        torch.testing.assert_close(alex(one, two), whole)

    def test_what_does_not_fit_is_refused(self, alex: Lpips) -> None:
        classifier, linear = made_up("AlexNet")
        with pytest.raises(ValueError, match=r"features.3.bias in the shape \(192,\); here it is missing"):
            Lpips("AlexNet", {k: v for k, v in classifier.items() if k != "features.3.bias"}, linear)
        with pytest.raises(ValueError, match=r"features.0.weight in the shape \(64, 3, 3, 3\); here it is \(64, 3, 11"):
            Lpips("VGG16", classifier, linear)
        with pytest.raises(ValueError, match=r"lin4.model.1.weight in the shape \(1, 256"):
            Lpips("AlexNet", classifier, linear | {"lin4.model.1.weight": torch.ones(1, 512, 1, 1)})
        with pytest.raises(ValueError, match="at least 31 pixels a side; these are 64 x 30"):
            alex(torch.rand(1, 1, 3, 64, 30), torch.rand(1, 1, 3, 64, 30))
        with pytest.raises(ValueError, match="1 or 3 channels; these have 2"):
            alex(torch.rand(1, 1, 2, 64, 64), torch.rand(1, 1, 2, 64, 64))

    @pytest.mark.parametrize("name, least", [("AlexNet", 31), ("VGG16", 16)])
    def test_the_least_size_is_the_least(self, name: str, least: int) -> None:
        layers = perceptual.NETWORKS[name].build()
        assert layers(torch.zeros(1, 3, least, least)).numel()
        with pytest.raises(RuntimeError):
            layers(torch.zeros(1, 3, least - 1, least))


def ms_ssim_by_hand(one: np.ndarray, two: np.ndarray) -> float:
    """MS-SSIM of two frames (C, H, W) in [0, 1], with scipy's filters on mirrored borders.

    The contrast of the first four scales is averaged without the five pixels a side that a window overhangs.
    """
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)

    window /= window.sum()

    def blurred(values: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(values, window, 1, mode="mirror"), window, 2, mode="mirror")

    total = 1.0
    for scale, power in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        m1, m2 = blurred(one), blurred(two)
        v1, v2, both = blurred(one**2) - m1**2, blurred(two**2) - m2**2, blurred(one * two) - m1 * m2
        contrast = (2 * both + 0.03**2) / (v1 + v2 + 0.03**2)
        if scale < 4:
            total *= max(0, contrast[:, 5:-5, 5:-5].mean()) ** power
        else:
            total *= max(0, (contrast * (2 * m1 * m2 + 1e-4) / (m1**2 + m2**2 + 1e-4)).mean()) ** power
        one, two = (v.reshape(len(v), v.shape[1] // 2, 2, -1, 2).mean((2, 4)) if scale < 4 else v for v in (one, two))
    return total


class TestMsSsim:
    def test_it_is_the_transcription(self) -> None:
        random = torch.Generator().manual_seed(0)
        truth = F.avg_pool2d(torch.rand(2, 3, 180, 196, generator=random), 5)[None]
        truth = F.interpolate(truth[0], (176, 192), mode="bilinear")[None]
        one = (truth + 0.2 * torch.randn(truth.shape, generator=random)).clamp(0, 1)
        found = ms_ssim(one, truth)
        assert found.shape == (1, 2)
        wanted = [ms_ssim_by_hand(*(v[0, t].double().numpy() for v in (one, truth))) for t in range(2)]
        np.testing.assert_allclose(found[0].numpy(), wanted, atol=5e-5)
        assert 0.2 < wanted[0] < 0.95
        assert ms_ssim(truth, truth).min() > 1 - 1e-5

    def test_small_frames_are_refused(self) -> None:
        with pytest.raises(ValueError, match="at least 176 x 176 pixels; these are only 175 x 200"):
            ms_ssim(torch.rand(1, 1, 3, 175, 200), torch.rand(1, 1, 3, 175, 200))


class TestFiles:
    def save(self, path: Path, what: object) -> str:
        torch.save(what, path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def test_weights_that_the_user_vouches_for(self, tmp_path: Path) -> None:
        """The channels' weights are the public ones, of torchmetrics, and their hash holds."""
        classifier, _ = made_up("AlexNet")
        sha = self.save(tmp_path / "a.pth", classifier)
        found = perceptual.load(f"{tmp_path / 'a.pth'}@{sha.upper()}")
        assert found.rule == f"v0.1 AlexNet of other weights, sha256 {sha}, frames at their own size"
        assert all((weights >= 0).all() for weights in found.linear)
        one, two = videos((1, 1, 3, 32, 64))
        linear = {f"lin{n}.model.1.weight": weights for n, weights in enumerate(found.linear)}
        wanted = by_hand("AlexNet", one[0, 0], two[0, 0], classifier, linear)
        assert float(found(one, two)) == pytest.approx(wanted, rel=1e-5)

    def test_a_known_hash_needs_no_typing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sha = self.save(tmp_path / "a.pth", made_up("AlexNet")[0])
        monkeypatch.setattr(perceptual, "KNOWN", {sha: "a.pth"})
        assert perceptual.load(str(tmp_path / "a.pth")).rule.startswith(f"v0.1 AlexNet, sha256 {sha}")

    @pytest.mark.parametrize("loads", [perceptual.load, fvd.load])
    def test_an_unknown_hash_is_refused_before_the_file_is_opened(self, loads, tmp_path: Path) -> None:
        path = tmp_path / "weights.pt"
        path.write_bytes(b"who knows")
        sha = hashlib.sha256(b"who knows").hexdigest()
        with pytest.raises(ValueError, match=rf"has the sha256 {sha}.*was not opened.*--\w+ {path}@{sha}"):
            loads(str(path))
        with pytest.raises(ValueError, match=f"has the sha256 {sha}, not {'0' * 64} as typed"):
            loads(f"{path}@{'0' * 64}")
        with pytest.raises(ValueError, match="is no"):
            loads(f"{path}@{sha}")
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            loads(str(tmp_path / "nowhere.pt"))
        with pytest.raises(FileNotFoundError, match="64 digits"):
            loads(f"{path}@{sha[:8]}")

    def test_a_file_of_something_else(self, tmp_path: Path) -> None:
        sha = self.save(tmp_path / "a.pth", {"epoch": torch.ones(3)})
        with pytest.raises(ValueError, match="neither AlexNet nor VGG16"):
            perceptual.load(f"{tmp_path / 'a.pth'}@{sha}")
        sha = self.save(tmp_path / "b.pth", Path("a pickled object"))
        with pytest.raises(ValueError, match="no file of named weights"):
            perceptual.load(f"{tmp_path / 'b.pth'}@{sha}")
        sha = self.save(tmp_path / "c.pth", made_up("AlexNet")[0] | {"note": Path("an object among the weights")})
        with pytest.raises(ValueError, match="no file of named weights"):
            perceptual.load(f"{tmp_path / 'c.pth'}@{sha}")

    def test_the_channels_weights_are_verified_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sha = self.save(tmp_path / "a.pth", made_up("AlexNet")[0])
        monkeypatch.setitem(perceptual.LINEAR, "AlexNet", ("vgg.pth", perceptual.LINEAR["AlexNet"][1]))
        with pytest.raises(ValueError, match="which torchmetrics carries; here they are missing or others"):
            perceptual.load(f"{tmp_path / 'a.pth'}@{sha}")

    def test_the_hashes_are_whole(self) -> None:
        """torchvision writes the first eight digits into the names of its files."""
        for sha, name in perceptual.KNOWN.items():
            assert sha[:8] in name
        for sha in [*perceptual.KNOWN, *fvd.KNOWN, *(sha for _, sha in perceptual.LINEAR.values())]:
            assert networks.HASH.fullmatch(f"x@{sha}")
