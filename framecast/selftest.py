"""The metrics on pairs of films whose scores are known in closed form: do they hold on this machine?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from framecast.metrics import fvd, perceptual
from framecast.metrics.frame import MS_SSIM_LEAST, ms_ssim, psnr, psnr_by_channel, ssim

SHAPE = (1, 4, 3, 16, 16)
TOLERANCE = 1e-3  # dB, or of SSIM and the others


@dataclass(frozen=True)
class Case:
    """A pair of films, and what a metric must say of every frame, or FVD of both as sets (NaN: it must refuse)."""

    pair: str
    metric: str
    expected: list[float]
    found: list[float]

    @property
    def holds(self) -> bool:
        """Equal to `TOLERANCE`, or refused where it must be."""
        pairs = zip(self.expected, self.found, strict=True)
        return all(abs(a - b) < TOLERANCE or (math.isnan(a) and math.isnan(b)) for a, b in pairs)


def cases() -> list[Case]:
    """All pairs with all metrics."""
    flat = torch.full(SHAPE, 0.5)
    ramp = flat + 0.1 * torch.arange(4)[None, :, None, None, None]
    stripes = (torch.arange(16) % 2).float().expand(SHAPE)
    dark, light = torch.full(SHAPE, 10, dtype=torch.uint8), torch.full(SHAPE, 250, dtype=torch.uint8)
    red = flat.clone()
    red[:, :, 0] += 0.1
    red[:, :, 1:] += 0.01
    steps = [0.1 * abs(2 * t - 3) for t in range(4)]  # of a film of brightness and the same film backwards
    made = [
        _case("identical", psnr, ramp, ramp, [100.0] * 4),
        _case("identical", ssim, ramp, ramp, [1.0] * 4),
        _case("0.1 brighter", psnr, flat + 0.1, flat, [20.0] * 4),
        _case("0.1 brighter", ssim, flat + 0.1, flat, [_of_flat(0.6, 0.5)] * 4),
        _case("stripes shifted by a pixel", psnr, stripes.roll(1, -1), stripes, [0.0] * 4),
        _case("frozen at its first frame", psnr, ramp[:, :1].expand(SHAPE), ramp, [_db(0.1 * t) for t in range(4)]),
        _case("its frames in reverse", psnr, ramp.flip(1), ramp, [_db(step) for step in steps]),
        _case("errors of one channel", psnr, red, flat, [-10 * math.log10((0.01 + 2e-4) / 3)] * 4),
        _case("errors of one channel", psnr_by_channel, red, flat, [100 / 3] * 4),
        _case("bytes 10 and 250 (no overflow)", psnr, dark, light, [_db(240 / 255)] * 4),
        _case("bytes and floats of one film", psnr, dark, dark.float() / 255, [100.0] * 4),
        _case("floats in 0..255 (refused)", psnr, 255 * flat, flat, [math.nan] * 4),
    ]
    return made + _perceptual() + _of_clips()


def _perceptual() -> list[Case]:
    """MS-SSIM, and LPIPS with made-up weights."""
    flat = torch.full((1, 1, 3, MS_SSIM_LEAST, MS_SSIM_LEAST), 0.5)
    small, lpips = flat[..., :64, :64], _made_up()
    bytes_ = torch.full((1, 1, 3, 64, 64), 51, dtype=torch.uint8)
    lengths = [(2 * level - 1 + 0.030) / 0.458 for level in (0.8, 0.5)]  # of the one feature that is not 1
    a, b = (torch.nn.functional.normalize(torch.tensor([x, 1.0]), dim=0) for x in (max(0, v) for v in lengths))
    return [
        _case("identical", ms_ssim, flat, flat, [1.0]),
        _case("grey of 0.9 and of 0.1", ms_ssim, flat + 0.4, flat - 0.4, [_of_flat(0.9, 0.1) ** 0.1333]),
        _case("frames of 64 x 64 (refused)", ms_ssim, small, small, [math.nan]),
        _case("identical", lpips, small, small, [0.0]),
        _case("0.3 brighter, made-up weights", lpips, small + 0.3, small, [float((a - b).square().sum())]),
        _case("bytes and floats of one film", lpips, bytes_, bytes_.float() / 255, [0.0]),
        _case("floats in 0..255 (refused)", lpips, 255 * small, small, [math.nan]),
    ]


def _made_up() -> perceptual.Lpips:
    """LPIPS that sees two features, at the first layer alone: how red the middle of a window is, and 1."""
    classifier = {
        f"features.{key}": torch.zeros(value.shape)
        for key, value in perceptual.NETWORKS["AlexNet"].build().state_dict().items()
    }
    classifier["features.0.weight"][0, 0, 5, 5] = 1
    classifier["features.0.bias"][1] = 1
    widths = (64, 192, 384, 256, 256)
    linear = {f"lin{n}.model.1.weight": torch.ones(1, width, 1, 1) for n, width in enumerate(widths)}
    return perceptual.Lpips("AlexNet", classifier, linear)


def _of_clips() -> list[Case]:
    """FVD by a made-up detector: the first pixel's brightness, and the mean change from frame to frame."""

    def watch(frames: Tensor, **_: bool) -> Tensor:
        steps = (frames[:, 0, 1:] - frames[:, 0, :-1]).abs().mean((1, 2, 3))
        return torch.stack([frames[:, 0, 0, 0, 0], steps], 1)

    speeds = torch.arange(1, 9)  # grey levels a frame
    moving = (100 + speeds[:, None] * torch.arange(10)).to(torch.uint8)[..., None, None, None]
    moving = moving.expand(-1, -1, 4, 4, 3)
    frozen = moving[:, :1].expand(moving.shape)
    spread = speeds.double()
    return [
        _fvd("identical clips", watch, moving, moving, 0.0),
        _fvd("the same clips in another order", watch, moving.flip(0), moving, 0.0),
        _fvd("brighter by 20 of 255", watch, moving + 20, moving, 400.0),
        _fvd("frozen at their first frames", watch, frozen, moving, float(spread.mean() ** 2 + spread.var())),
        _fvd("their frames in reverse", watch, moving.flip(1), moving, float(81 * (spread.mean() ** 2 + spread.var()))),
        _fvd("clips of 9 frames (refused)", watch, moving[:, 1:], moving[:, 1:], math.nan),
    ]


def _fvd(pair: str, watch: Callable[..., Tensor], one: Tensor, two: Tensor, expected: float) -> Case:
    detector = fvd.Detector(watch)
    try:
        found = fvd.frechet(detector(one.numpy()), detector(two.numpy()))
    except ValueError:
        found = math.nan
    return Case(pair, "fvd", [expected], [found])


def _case(
    pair: str, metric: Callable[[Tensor, Tensor], Tensor], one: Tensor, two: Tensor, expected: list[float]
) -> Case:
    try:
        found = metric(one, two)[0].tolist()
    except ValueError:
        found = [math.nan] * len(expected)
    return Case(pair, getattr(metric, "__name__", "lpips"), expected, found)


def _db(step: float) -> float:
    """PSNR where every value differs by `step`."""
    return 100.0 if step == 0 else -20 * math.log10(step)


def _of_flat(a: float, b: float) -> float:
    """SSIM of two flat pictures: its luminance term alone (Wang et al. 2004, eq. 6)."""
    return (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
