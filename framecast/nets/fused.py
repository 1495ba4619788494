"""Convolutions with what follows them in one pass (the activation, a sum, a gate) or comes before (enlarging).

Ordinarily this is plain PyTorch. Inside `packing`, on CPUs with oneDNN, the weights are laid out for the processor once
and not at every call, and what follows is done while the result is still in cache. 3 x 3 convolutions in float32 are
Winograd's where that pays, in training too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from framecast.nets import winograd

# By layer, and by the precision and shape of its input: packed weights and biases, in one piece or halves.
Packed = dict[tuple[Any, ...], list[tuple[Tensor, Tensor | None]]]
Convolution = nn.Conv2d | nn.ConvTranspose2d
mkldnn = torch.ops.mkldnn
_packed: ContextVar[Packed | None] = ContextVar("packed", default=None)


@contextmanager
def packing(packed: Packed) -> Iterator[None]:
    """Keeps packed weights in `packed` (empty at first), which holds as long as the weights do not change.

    PyTorch cannot tell whether they have (a fused optimiser's step leaves no trace), so a rollout brings its own.
    """
    token = _packed.set(packed)
    try:
        yield
    finally:
        _packed.reset(token)


def conv(layer: nn.Conv2d, x: Tensor, slope: float | None = None, plus: Tensor | None = None) -> Tensor:
    """leaky_relu(layer(x), slope), or layer(x) + plus: (N, i, H, W) -> (N, o, H, W).

    Args:
        layer: with a bias, stride 1, zeros around.
        x: its input.
        slope: of the leaky ReLU; None: no activation.
        plus: (N, o, H, W), added.
    """
    if not _fuses(x):
        y = _plain(layer, x)
        y = y if slope is None else F.leaky_relu(y, slope, inplace=True)
        return y if plus is None else y + plus.to(y.dtype)
    x, ((weight, bias),) = _prepared(layer, x, 1)
    if plus is not None:
        return _with(layer, x, weight, bias, "add", plus.to(x.dtype))
    return _alone(layer, x, weight, bias, slope)


def gate(layer: nn.Conv2d, x: Tensor, slope: float) -> Tensor:
    """a * leaky_relu(b, slope) of the halves a, b of layer(x): (N, i, H, W) -> (N, o / 2, H, W)."""
    if not _fuses(x):
        # Two convolutions with half of the weights: the halves of one would lie interleaved in memory, which is slow.
        assert layer.bias is not None
        (wa, wb), (ca, cb) = layer.weight.chunk(2), layer.bias.chunk(2)
        a, b = (F.conv2d(x, w, c, padding=layer.padding) for w, c in ((wa, ca), (wb, cb)))  # pyright: ignore[reportArgumentType]
        return a * F.leaky_relu(b, slope, inplace=True)
    x, ((wa, ca), (wb, cb)) = _prepared(layer, x, 2)
    return _with(layer, x, wa, ca, "mul", _alone(layer, x, wb, cb, slope))


def normed(layer: Convolution, norm: nn.BatchNorm2d, x: Tensor, slope: float | None = None) -> Tensor:
    """leaky_relu(norm(layer(x)), slope), or norm(layer(x)), (N, o, H', W').

    In a rollout the norm only scales, in the weights.
    """
    if not _fuses(x) or norm.training:
        y = norm(_plain(layer, x))
    elif winograd.fits(layer, x) and winograd.is_wide(layer.weight):
        y = _by_tiles(layer, norm, x)
    else:
        x, ((weight, bias),) = _prepared(layer, x, 1, norm)
        return _alone(layer, x, weight, bias, slope)
    return y if slope is None else F.leaky_relu(y, slope, inplace=True)


def scaled(weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d, turned: bool) -> tuple[Tensor, Tensor]:
    """Weights and bias of a convolution (`turned`: a transposed one) with a norm that only scales, as in eval mode."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight = weight * scale.view(-1, 1, 1) if turned else weight * scale.view(-1, 1, 1, 1)
    return weight, (bias - norm.running_mean) * scale + norm.bias


def doubled(x: Tensor, key: object, weight: Callable[[], Tensor], bias: Tensor | None) -> Tensor:
    """A transposed convolution of stride 2 and padding 1: (N, i, H, W) -> (N, o, 2 H, 2 W).

    Args:
        x: (N, i, H, W).
        key: whose weights these are, of which a rollout asks once.
        weight: gives them, (i, o, 4, 4).
        bias: (o,) or None.
    """
    if not _fuses(x):
        return F.conv_transpose2d(x, weight(), bias, stride=2, padding=1)
    packed, at = _packed.get(), (key, kind := _precision(x), x.shape)
    assert packed is not None
    shape = ((1, 1), (0, 0), (2, 2), (1, 1), 1)  # padding, output padding, stride, dilation, groups
    if at not in packed:
        whole = weight().detach().to(kind).contiguous()
        laid = mkldnn._reorder_convolution_transpose_weight(whole, *shape, list(x.shape))
        packed[at] = [(laid, None if bias is None else bias.detach().to(kind))]
    ((laid, bias),) = packed[at]
    return mkldnn._convolution_transpose_pointwise(x.to(kind), laid, bias, *shape, "none", [], "")


def enlarging(weight: Tensor) -> Tensor:
    """Weights (o, i, 3, 3) for x enlarged twice (nearest), zeros around, to those (i, o, 4, 4) of `doubled` x as it is.

    Where every pixel stands four times, 3 x 3 of them are 2 x 2 different ones at most: with the sums of the weights
    over equal pixels it takes 16 products a pixel of x in place of 36.
    """
    # By how far a drawn pixel lies from a pixel of x (rows), which of the three weights meet it.
    meet = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=weight.dtype, device=weight.device)
    with torch.autocast(weight.device.type, enabled=False):
        return (weight.flatten(2) @ torch.kron(meet, meet).T).unflatten(2, (4, 4)).transpose(0, 1)


def _precision(x: Tensor) -> torch.dtype:
    """What a convolution of x is computed in."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _fuses(x: Tensor) -> bool:
    return (
        _packed.get() is not None
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and torch.backends.mkldnn.is_available()
        and (_precision(x) != torch.bfloat16 or mkldnn._is_mkldnn_bf16_supported())  # AVX2 alone: PyTorch's own, slow
    )


def _plain(layer: Convolution, x: Tensor) -> Tensor:
    """layer(x), with gradients by tiles where those are faster."""
    if winograd.pays_in_training(layer, x):
        return winograd.Convolution.apply(x, layer.weight, layer.bias)
    return layer(x)


def _alone(layer: Convolution, x: Tensor, weight: Tensor, bias: Tensor | None, slope: float | None) -> Tensor:
    after = ("none", [], "") if slope is None else ("leaky_relu", [slope], "")
    if isinstance(layer, nn.ConvTranspose2d):
        return mkldnn._convolution_transpose_pointwise(x, weight, bias, *_shape(layer), *after)
    return mkldnn._convolution_pointwise(x, weight, bias, *_shape(layer), *after)


def _with(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None, how: str, other: Tensor) -> Tensor:
    more = (how, None, None, [], None)
    return mkldnn._convolution_pointwise.binary(x, other, weight, bias, *_shape(layer), *more)


def _by_tiles(layer: Convolution, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """norm(layer(x)) by Winograd's convolution, whose filters a rollout transforms once."""
    packed, key = _packed.get(), (layer, "by tiles")
    assert packed is not None and layer.bias is not None
    if key not in packed:
        weight, bias = scaled(layer.weight.detach(), layer.bias.detach(), norm, False)
        packed[key] = [(winograd.transformed_filter(weight).mT.contiguous(), bias)]
    ((weight, bias),) = packed[key]
    assert bias is not None
    return winograd.convolve(x, weight, bias)


def _shape(layer: Convolution) -> tuple[Any, ...]:
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.padding, layer.output_padding, layer.stride, layer.dilation, layer.groups
    return layer.padding, layer.stride, layer.dilation, layer.groups


def _prepared(
    layer: Convolution, x: Tensor, parts: int, norm: nn.BatchNorm2d | None = None
) -> tuple[Tensor, list[tuple[Tensor, Tensor | None]]]:
    """The input in the precision of the call, and the layer's packed weights and biases in `parts` pieces."""
    kind = _precision(x)
    packed, key = _packed.get(), (layer, kind, x.shape)
    assert packed is not None and layer.bias is not None
    if key not in packed:
        turned = isinstance(layer, nn.ConvTranspose2d)
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if norm is not None:
            weight, bias = scaled(weight, bias, norm, turned)
        order = mkldnn._reorder_convolution_transpose_weight if turned else mkldnn._reorder_convolution_weight
        shape = (*_shape(layer), list(x.shape))
        halves = zip(weight.chunk(parts), bias.chunk(parts), strict=True)
        packed[key] = [(order(w.to(kind).contiguous(), *shape), b.to(kind)) for w, b in halves]
    return x.to(kind), packed[key]
