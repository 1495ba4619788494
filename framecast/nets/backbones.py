"""The picture encoders and decoders of SVG (Denton and Fergus 2018): VGG and DCGAN, with skips.

A picture is halved L times, L = floor(log2(min(H, W) / 4)): four times at 64 pixels, five at 128. Skips come finest
first, (B, c_i, H / 2^i, W / 2^i). Many frames share the skips of one: a decoder convolves them once, not once a frame.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from framecast.nets.conv import BatchNorm, by_pixel
from framecast.nets.fused import doubled, enlarging, normed, scaled

SLOPE = 0.2


def widths_of(levels: int) -> list[int]:
    """Channels of the levels, finest first: 64 doubled at each, 512 at most."""
    return [min(512, 64 * 2**i) for i in range(levels)]


def levels_of(height: int, width: int) -> int:
    """L of a picture. Raises ValueError where it cannot be halved so often."""
    levels = int(math.log2(max(1, min(height, width)) / 4)) if min(height, width) >= 8 else 0
    if levels < 1 or height % 2**levels or width % 2**levels:
        raise ValueError(
            f"SVG's backbones halve a picture down to about 4 pixels; {height} x {width} cannot be halved so. Pack the"
            " data with --size 64x64, or another whose sides are 4, 5, 6 or 7 times a power of two."
        )
    return levels


class Layer(nn.Module):
    """Convolution, batch norm and leaky ReLU (or tanh), (N, i, h, w) -> (N, o, h', w')."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, tanh: bool = False) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = BatchNorm(convolution.out_channels)
        self.tanh = tanh

    def forward(self, x: Tensor) -> Tensor:
        if self.tanh:
            return normed(self.convolution, self.norm, x).tanh()
        return normed(self.convolution, self.norm, x, SLOPE)


def vgg_layer(i: int, o: int) -> Layer:
    """3 x 3, the same size."""
    return Layer(nn.Conv2d(i, o, 3, padding=1))


class Join(nn.Module):
    """A layer over [x, skip] at twice the size of x: 3 x 3 after enlarging x, or 4 x 4, transposed, of stride 2.

    Its half for the skip is computed apart, so that it can be used for many frames. In eval mode the norm only scales,
    in the weights of both halves.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, last: bool = False) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = None if last else BatchNorm(convolution.out_channels)
        self.inner = convolution.in_channels // 2

    def project(self, skip: Tensor) -> Tensor:
        """(B, c, h', w') of a convolution that enlarges x, else (B, c, h, w) -> (B, o, h', w')."""
        layer = self.convolution
        weight, bias = self._scaled(slice(self.inner, None))
        if isinstance(layer, nn.ConvTranspose2d):
            return F.conv_transpose2d(skip, weight, bias, layer.stride, layer.padding)  # type: ignore[arg-type]
        return F.conv2d(skip, weight, bias, padding=layer.padding)  # type: ignore[arg-type]

    def forward(self, x: Tensor, projected: Tensor) -> Tensor:
        """(B T, c, h, w) and (B, o, h', w') -> (B T, o, h', w')."""
        y = doubled(x, self, self._kernel, None)
        y = y.unflatten(0, (len(projected), -1)).add_(projected[:, None]).flatten(0, 1)
        if self.norm is None:
            return y
        return F.leaky_relu(self.norm(y) if self.norm.training else y, SLOPE, inplace=True)

    def _kernel(self) -> Tensor:
        """Of the half for x, (c, o, 4, 4)."""
        weight, _ = self._scaled(slice(self.inner))
        return weight if isinstance(self.convolution, nn.ConvTranspose2d) else enlarging(weight)

    def _scaled(self, part: slice) -> tuple[Tensor, Tensor]:
        """Weights of a part of the inputs and the bias, with the norm where it only scales."""
        layer, norm, bias = self.convolution, self.norm, self.convolution.bias
        turned = isinstance(layer, nn.ConvTranspose2d)
        weight = layer.weight[part] if turned else layer.weight[:, part]
        assert bias is not None
        return (weight, bias) if norm is None or norm.training else scaled(weight, bias, norm, turned)


class Encoder(nn.Module):
    """Frames (N, C, H, W) -> vectors (N, g) and skips, finest first."""

    def __init__(self, blocks: list[nn.Module], pool: bool, to_vector: Layer) -> None:
        super().__init__()
        self.blocks, self.pool, self.to_vector = nn.ModuleList(blocks), pool, to_vector

    def forward(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, skips = frames, []
        for block in self.blocks:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2) if self.pool else x
        return self.to_vector(x).flatten(1), skips


class Decoder(nn.Module):
    """Vectors (B T, g) and the projected skips of B frames -> frames (B T, C, H, W) in (0, 1)."""

    def __init__(self, from_vector: Layer, joins: list[Join], tails: list[nn.Module]) -> None:
        super().__init__()
        self.from_vector = from_vector
        self.joins, self.tails = nn.ModuleList(joins), nn.ModuleList(tails)

    def project(self, skips: list[Tensor]) -> list[Tensor]:
        """Skips, finest first, as `forward` takes them: coarsest first, convolved."""
        return [join.project(skip) for join, skip in zip(self.joins, reversed(skips), strict=True)]  # type: ignore[operator]

    def forward(self, vectors: Tensor, projected: list[Tensor]) -> Tensor:
        x = by_pixel(self.from_vector(vectors[:, :, None, None]))
        for join, tail, skip in zip(self.joins, self.tails, projected, strict=True):
            x = tail(join(x, skip))
        return x.float().sigmoid()


def vgg(channels: int, height: int, width: int, g: int) -> tuple[Encoder, Decoder]:
    """Blocks of 2, 2, 3, 3 (, 3) layers with max-pooling between them, and their mirror with nearest up-sampling."""
    levels = levels_of(height, width)
    widths, last = widths_of(levels), (height >> levels, width >> levels)
    blocks: list[nn.Module] = []
    for level, (i, o) in enumerate(zip([channels, *widths[:-1]], widths, strict=True)):
        count = 2 if level < 2 else 3
        blocks.append(nn.Sequential(vgg_layer(i, o), *[vgg_layer(o, o) for _ in range(count - 1)]))
    to_vector = Layer(nn.Conv2d(widths[-1], g, last), tanh=True)
    joins, tails = [], []
    for level in reversed(range(levels)):
        w, out = widths[level], widths[max(level - 1, 0)]
        joins.append(Join(nn.Conv2d(2 * w, w, 3, padding=1)))
        if level == 0:
            tails.append(nn.ConvTranspose2d(w, channels, 3, padding=1))
        elif level == 1:
            tails.append(vgg_layer(w, out))
        else:
            tails.append(nn.Sequential(vgg_layer(w, w), vgg_layer(w, out)))
    from_vector = Layer(nn.ConvTranspose2d(g, widths[-1], last))
    return Encoder(blocks, True, to_vector), Decoder(from_vector, joins, tails)


def dcgan(channels: int, height: int, width: int, g: int) -> tuple[Encoder, Decoder]:
    """4 x 4 convolutions of stride 2, and their mirror."""
    levels = levels_of(height, width)
    widths, last = widths_of(levels), (height >> levels, width >> levels)
    blocks: list[nn.Module] = [
        Layer(nn.Conv2d(i, o, 4, 2, 1)) for i, o in zip([channels, *widths[:-1]], widths, strict=True)
    ]
    to_vector = Layer(nn.Conv2d(widths[-1], g, last), tanh=True)
    outs = [*reversed(widths[:-1]), channels]
    joins = [
        Join(nn.ConvTranspose2d(2 * w, o, 4, 2, 1), last=n == levels - 1)
        for n, (w, o) in enumerate(zip(reversed(widths), outs, strict=True))
    ]
    from_vector = Layer(nn.ConvTranspose2d(g, widths[-1], last))
    return Encoder(blocks, False, to_vector), Decoder(from_vector, joins, [nn.Identity() for _ in joins])


def published_beginning(module: nn.Module) -> None:
    """Weights as SVG begins with them: normal with spread 0.02, batch norms around 1."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


BACKBONES = {"vgg": vgg, "dcgan": dcgan}
