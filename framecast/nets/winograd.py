"""3 x 3 convolutions with a quarter of the products: Winograd's F(4 x 4, 3 x 3) (Lavin and Gray 2016), in float32.

Tiles of 6 x 6 pixels, 4 apart, are turned to 36 numbers each; these are multiplied with as many turned weights, apart
from one another, and turned back to 4 x 4 pixels: 36 products where the plain convolution has 144. Turning costs as
well, so that it pays with many channels only. In bf16 it would be a grey level off.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

CHANNELS = 256  # from here on it pays: svg draws a quarter more frames a second on an AVX2 processor
TOGETHER = 2**16  # numbers of a turned place that are in work at a time, so that they stay in the cache

# Lavin and Gray's B^T, G and A^T for tiles of 6, weights of 3 and 4 results.
TILE = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
TILE += [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
WEIGHT = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6]]
WEIGHT += [[1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
RESULT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def pays(layer: nn.Module, x: Tensor) -> bool:
    """Whether a layer of x (N, i, H, W) is such a convolution, wide enough, in float32, with sides of whole tiles."""
    return (
        isinstance(layer, nn.Conv2d)
        and x.dtype == torch.float32
        and (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
        and (layer.dilation, layer.groups) == ((1, 1), 1)
        and min(layer.in_channels, layer.out_channels) >= CHANNELS
        and x.shape[-2] % 4 == x.shape[-1] % 4 == 0
    )


def turned(weight: Tensor) -> Tensor:
    """Weights (o, i, 3, 3) as `convolve` takes them, (36, i, o)."""
    both = _both("weight").to(weight.device)
    return (both @ weight.double().flatten(2).permute(2, 1, 0).flatten(1)).float().unflatten(1, weight.shape[1::-1])


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, i, H, W), weights (36, i, o) from `turned`, bias (o,) -> (N, o, H, W), channels last in memory."""
    (count, _, height, width), (_, inner, outer) = x.shape, weight.shape
    rows, columns = height // 4, width // 4
    pixels = x.permute(0, 2, 3, 1).contiguous()
    drawn = x.new_empty(count, rows, 4, columns, 4, outer)
    into, back = (_both(name).to(x) for name in ("tile", "result"))
    most = max(1, TOGETHER // (rows * columns * max(inner, outer)))
    pieces = -(-count // most)
    for part, place in zip(pixels.chunk(pieces), drawn.chunk(pieces), strict=True):
        tiles = F.pad(part, (0, 0, 1, 1, 1, 1)).unfold(1, 6, 4).unfold(2, 6, 4)  # (n, rows, columns, i, 6, 6)
        tiles = into @ tiles.permute(4, 5, 0, 1, 2, 3).reshape(36, -1)
        made = back @ torch.bmm(tiles.view(36, -1, inner), weight).flatten(1)
        place.copy_(made.view(4, 4, len(part), rows, columns, outer).permute(2, 3, 0, 4, 1, 5))
    return drawn.view(count, height, width, outer).add_(bias).permute(0, 3, 1, 2)


@cache
def _both(name: str) -> Tensor:
    """A turn of rows and of columns as one matrix, in double precision for weights."""
    kind = torch.float64 if name == "weight" else torch.float32
    one = torch.tensor({"tile": TILE, "weight": WEIGHT, "result": RESULT}[name], dtype=kind)
    return torch.kron(one, one)
