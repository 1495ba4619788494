"""Convolution blocks of framecast's own models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name for it)


class Norm(nn.GroupNorm):
    """Group normalisation with about 8 channels a group. A norm per pixel in its place cost 2 dB.

    It is computed in float32 whatever comes in: on a CPU that is five times as fast as in bf16, and more exact.
    """

    def __init__(self, channels: int) -> None:
        groups = next(g for g in range(max(1, channels // 8), 0, -1) if channels % g == 0)
        super().__init__(groups, channels)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.float()).to(input.dtype)


class Residual(nn.Module):
    """x + conv(silu(conv(norm(x)))), (N, C, H, W) to the same shape. Starts as the identity.

    One norm a block: beside convolutions in bf16 norms are not cheap.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(self.norm(x))))


class Pyramid(nn.Module):
    """A picture (N, C, H, W) to features (N, widths[i], H / (patch 2^i), W / (patch 2^i)), finest first."""

    def __init__(self, channels: int, widths: Sequence[int], patch: int, blocks: Sequence[int]) -> None:
        super().__init__()
        self.patch = patch
        self.stem = nn.Conv2d(channels * patch * patch, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(
            nn.Sequential(*[Residual(w) for _ in range(n)]) for w, n in zip(widths, blocks, strict=True)
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(self, picture: Tensor) -> list[Tensor]:
        x = self.stem(F.pixel_unshuffle(picture, self.patch).contiguous(memory_format=torch.channels_last))
        features = [self.levels[0](x)]
        for down, level in zip(self.downs, self.levels[1:], strict=True):
            features.append(level(down(features[-1])))
        return features
