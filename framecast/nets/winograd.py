"""3 x 3 convolutions with a quarter of the products: Winograd's F(4 x 4, 3 x 3) (Lavin and Gray 2016), in float32.

Tiles of 6 x 6 pixels, 4 apart, are transformed to 36 numbers each; these are multiplied with as many numbers of the
transformed filter, apart from one another, and transformed back to 4 x 4 pixels: 36 products where the plain
convolution has 144. So are both of its gradients. The transforms cost as well: for the result and the gradient of the
input they pay with many channels only, for the gradient of the weight, which oneDNN computes at half its speed without
AVX-512, with all but few. In bf16 it would be a grey level off.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812
from torch.nn.grad import conv2d_input

CHANNELS = 64  # of the narrower side, from which on the gradient of the weight is faster so
WIDE = 128 * 128  # channels of one side times those of the other, from which on all is
PIXELS = 2**12  # of all pictures, from which on it pays in training, where filters are transformed at every step
TOGETHER = 2**16  # numbers of each of the 36 that are in work at a time, so that they stay in the cache

# Lavin and Gray's G; their B^T and A^T are the sums below.
FILTER = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6]]
FILTER += [[1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]


def fits(layer: nn.Module, x: Tensor) -> bool:
    """Whether a layer of x (N, i, H, W) is such a convolution, in float32 on a CPU, with sides of whole tiles."""
    return (
        isinstance(layer, nn.Conv2d)
        and layer.bias is not None
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
        and (layer.dilation, layer.groups) == ((1, 1), 1)
        and min(layer.in_channels, layer.out_channels) >= CHANNELS
        and x.shape[-2] % 4 == x.shape[-1] % 4 == 0
    )


def pays_in_training(layer: nn.Module, x: Tensor) -> bool:
    """Whether a layer of x is trained faster by `Convolution`."""
    return torch.is_grad_enabled() and fits(layer, x) and x[:, 0].numel() >= PIXELS


def is_wide(weight: Tensor) -> bool:
    """Whether weights (o, i, 3, 3) have channels enough for all to be faster by tiles."""
    return weight.shape[0] * weight.shape[1] >= WIDE


def transformed_filter(weight: Tensor) -> Tensor:
    """G g G^T of each filter: (o, i, 3, 3) -> (36, o, i)."""
    taps = weight.permute(2, 3, 0, 1).reshape(9, -1)
    return (_filter_matrix().to(weight) @ taps).unflatten(1, weight.shape[:2])


def convolve(x: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
    """(N, i, H, W), transformed filters (36, i, o), bias (o,) -> (N, o, H, W), channels last in memory."""
    (count, _, height, width), (_, inner, outer) = x.shape, filters.shape
    rows, columns = height // 4, width // 4
    drawn = torch.empty(count, outer, height, width, dtype=x.dtype, memory_format=torch.channels_last)
    pixels = drawn.permute(0, 2, 3, 1)
    tiled = pixels.view(count, rows, 4, columns, 4, outer)
    pieces = _pieces(x, max(inner, outer))
    for part, place in zip(x.chunk(pieces), tiled.chunk(pieces), strict=True):
        made = torch.bmm(_transformed_tiles(part), filters).view(6, 6, len(part), rows, columns, outer)
        half = made.new_empty(4, *made.shape[1:])
        _inverse(made.unbind(), half.unbind())
        _inverse(half.unbind(1), place.permute(2, 4, 0, 1, 3, 5).unbind(1))
    if bias is not None:
        pixels.add_(bias)
    return drawn


class Convolution(torch.autograd.Function):
    """x (N, i, H, W), weight (o, i, 3, 3), bias (o,) -> (N, o, H, W), where `pays_in_training`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, weight)
        if is_wide(weight):
            return convolve(x, transformed_filter(weight).mT, bias)
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            to_x = None
        elif is_wide(weight):
            to_x = convolve(grad, transformed_filter(weight.flip(2, 3)), None)
        else:
            to_x = conv2d_input(x.shape, weight, grad, padding=1)
        return to_x, _of_weight(x, grad), grad.sum((0, 2, 3))


def _of_weight(x: Tensor, grad: Tensor) -> Tensor:
    """The gradient (o, i, 3, 3) of the weight, from the input (N, i, H, W) and the result's gradient (N, o, H, W).

    The input's tiles are transformed again: kept from the forward pass they would take 2.25 times its memory.
    """
    inner, outer = x.shape[1], grad.shape[1]
    summed = x.new_zeros(36, outer, inner)
    pieces = _pieces(x, max(inner, outer))
    for part, beside in zip(x.chunk(pieces), grad.chunk(pieces), strict=True):
        pixels = beside.permute(0, 2, 3, 1).unflatten(2, (-1, 4)).unflatten(1, (-1, 4))  # (n, rows, 4, columns, 4, o)
        half = pixels.new_empty(6, 4, *pixels[:, :, 0, :, 0].shape)
        _inverse_transposed(pixels.unbind(2), half.permute(0, 2, 3, 4, 1, 5).unbind())
        tiles = half.new_empty(6, 6, *half.shape[2:])
        _inverse_transposed(half.unbind(1), tiles.unbind(1))
        summed.baddbmm_(tiles.view(36, -1, outer).mT, _transformed_tiles(part))
    return (_filter_matrix().to(x).T @ summed.flatten(1)).view(3, 3, outer, inner).permute(2, 3, 0, 1)


def _pieces(x: Tensor, channels: int) -> int:
    """In how many pieces of about one size pictures (N, i, H, W) are worked on."""
    most = max(1, TOGETHER * 16 // (x[0, 0].numel() * channels))
    return -(-len(x) // most)


def _transformed_tiles(x: Tensor) -> Tensor:
    """B^T d B of each tile: (n, i, H, W) -> (36, n H W / 16, i)."""
    count, inner, height, width = x.shape
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    half = padded.new_empty(6, count, height // 4, width + 2, inner)
    _transform([padded[:, k : k + height - 3 : 4] for k in range(6)], half.unbind())
    tiles = half.new_empty(6, 6, count, height // 4, width // 4, inner)
    _transform([half[:, :, :, k : k + width - 3 : 4] for k in range(6)], tiles.unbind(1))
    return tiles.view(36, -1, inner)


def _transform(x: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """B^T: six pixels in a row to as many numbers."""
    a, b, c, d = x[4] - x[2], x[3] - x[1], x[4] - 4 * x[2], x[3] - 4 * x[1]
    torch.add(a, x[0] - x[2], alpha=4, out=out[0])
    torch.add(c, d, out=out[1])
    torch.sub(c, d, out=out[2])
    torch.add(a, b, alpha=2, out=out[3])
    torch.sub(a, b, alpha=2, out=out[4])
    torch.sub(x[5] - x[3], b, alpha=4, out=out[5])


def _inverse(x: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """A^T: six products to four pixels in a row."""
    a, b, c, d = x[1] + x[2], x[1] - x[2], x[3] + x[4], x[3] - x[4]
    torch.add(x[0], a + c, out=out[0])
    torch.add(b, d, alpha=2, out=out[1])
    torch.add(a, c, alpha=4, out=out[2])
    torch.add(x[5], b + 8 * d, out=out[3])


def _inverse_transposed(x: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """A: the gradient of four pixels in a row to that of their six products."""
    a, b, c, d = x[0] + x[2], x[1] + x[3], x[0] + 4 * x[2], 2 * x[1] + 8 * x[3]
    out[0].copy_(x[0])
    torch.add(a, b, out=out[1])
    torch.sub(a, b, out=out[2])
    torch.add(c, d, out=out[3])
    torch.sub(c, d, out=out[4])
    out[5].copy_(x[3])


@cache
def _filter_matrix() -> Tensor:
    """G along rows and columns as one matrix, (36, 9)."""
    return torch.kron(torch.tensor(FILTER), torch.tensor(FILTER))
