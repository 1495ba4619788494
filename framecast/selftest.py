"""The metrics on pairs of films whose scores are known in closed form: do they hold on this machine?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from framecast.metrics.frame import psnr, psnr_by_channel, ssim

SHAPE = (1, 4, 3, 16, 16)
TOLERANCE = 1e-3  # dB, or of SSIM


@dataclass(frozen=True)
class Case:
    """A pair of films, and what one metric must say of every frame (NaN: it must refuse)."""

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
    return made


def _case(
    pair: str, metric: Callable[[Tensor, Tensor], Tensor], one: Tensor, two: Tensor, expected: list[float]
) -> Case:
    try:
        found = metric(one, two)[0].tolist()
    except ValueError:
        found = [math.nan] * 4
    return Case(pair, metric.__name__, expected, found)


def _db(step: float) -> float:
    """PSNR where every value differs by `step`."""
    return 100.0 if step == 0 else -20 * math.log10(step)


def _of_flat(a: float, b: float) -> float:
    """SSIM of two flat pictures: its luminance term alone (Wang et al. 2004, eq. 6)."""
    return (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
