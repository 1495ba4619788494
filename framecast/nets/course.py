"""The blocks of the course's network (system A), with its layer names, so that its checkpoints load."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from framecast.nets.fused import conv, gate


class Residual(nn.Module):
    """Two 3x3 convolutions beside a straight or 1x1 path: (N, i, H, W) -> (N, o, H, W)."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, padding=1)
        self.conv2 = nn.Conv2d(o, o, 3, padding=1)
        self.skip = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = conv(self.conv2, conv(self.conv1, x, slope=0.01), slope=0.01)
        return conv(self.skip, x, plus=y) if isinstance(self.skip, nn.Conv2d) else y + x


class DepthConv(nn.Module):
    """1x1, depthwise 3x3, 1x1, beside a straight or 1x1 path."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(i, i, 1), nn.LeakyReLU(0.01))
        self.depth_conv = nn.Conv2d(i, i, 3, padding=1, groups=i)
        self.conv2 = nn.Conv2d(i, o, 1)
        self.adaptor = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1[0]
        assert isinstance(first, nn.Conv2d)
        y = conv(self.depth_conv, conv(first, x, slope=0.01))
        beside = conv(self.adaptor, x) if isinstance(self.adaptor, nn.Conv2d) else x
        return conv(self.conv2, y, plus=beside)


class ConvFFN(nn.Module):
    """A gated feed-forward layer per pixel, plus its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * channels, 1)
        self.conv_out = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return conv(self.conv_out, gate(self.conv, x, slope=0.1), plus=x)


class Depth(nn.Module):
    """DepthConv, then ConvFFN."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.block = nn.Sequential(DepthConv(i, o), ConvFFN(o))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


def stages(*widths: int) -> list[nn.Module]:
    """Residual and Depth from each width to the next."""
    return [block for i, o in pairwise(widths) for block in (Residual(i, o), Depth(o, o))]


def frame_encoder(channels: int, f: int) -> nn.Sequential:
    """Frames (N, C, H, W) -> features (N, F, H, W)."""
    return nn.Sequential(*stages(channels, f // 8, f // 4, f // 2), nn.Conv2d(f // 2, f, 3, padding=1))


def label_encoder(channels: int, out: int) -> nn.Sequential:
    """Labels (N, C, H, W) -> features (N, L, H, W); the identity only keeps the key numbers."""
    first = nn.Conv2d(channels, out // 2, 7)
    return nn.Sequential(nn.ReflectionPad2d(3), first, nn.BatchNorm2d(out // 2), nn.Identity(), Residual(out // 2, out))


def gaussian_predictor(i: int, n: int) -> nn.Sequential:
    """Frame and label features (N, F + L, H, W) -> mu and logvar (N, 2N, H, W)."""
    return nn.Sequential(*stages(i, n // 4, n // 2), Residual(n // 2, n), nn.Identity(), nn.Conv2d(n, 2 * n, 1))


def decoder_fusion(i: int, d: int) -> nn.Sequential:
    """Previous frame's features, label's features and z (N, F + L + N, H, W) -> (N, D, H, W)."""
    return nn.Sequential(
        Depth(i, i),
        Residual(i, i // 4),
        Depth(i // 4, i // 2),
        Residual(i // 2, i // 2),
        Depth(i // 2, d // 2),
        nn.Conv2d(d // 2, d, 1),
    )


def generator(d: int, channels: int) -> nn.Sequential:
    """Fused features (N, D, H, W) -> the frame (N, C, H, W), without an output activation."""
    blocks = stages(d, d // 2, d // 4, d // 8)  # made first: a seed draws the weights in this order
    return nn.Sequential(Depth(d, d), *blocks, nn.Conv2d(d // 8, channels, 1))
