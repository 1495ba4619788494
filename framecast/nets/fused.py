"""Convolutions with what follows them in one pass: the activation, a sum, a gate.

Ordinarily this is plain PyTorch. Inside `packing`, on CPUs with oneDNN, the weights are laid out for the processor once
and not at every call, and what follows is done while the result is still in cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

# By layer, and by the precision and shape of its input: packed weights and biases, in one piece or halves.
Packed = dict[tuple[Any, ...], list[tuple[Tensor, Tensor]]]
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
        y = layer(x)
        y = y if slope is None else F.leaky_relu(y, slope, inplace=True)
        return y if plus is None else y + plus
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


def normed(layer: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d, x: Tensor, slope: float) -> Tensor:
    """leaky_relu(norm(layer(x)), slope), (N, o, H', W'). In a rollout the norm only scales, in the weights."""
    if not _fuses(x) or norm.training or isinstance(layer, nn.ConvTranspose2d):
        return F.leaky_relu(norm(layer(x)), slope, inplace=True)
    x, ((weight, bias),) = _prepared(layer, x, 1, norm)
    return _alone(layer, x, weight, bias, slope)


def _fuses(x: Tensor) -> bool:
    return (
        _packed.get() is not None
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and torch.backends.mkldnn.is_available()
    )


def _alone(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor, slope: float | None) -> Tensor:
    after = ("none", [], "") if slope is None else ("leaky_relu", [slope], "")
    shape = (layer.padding, layer.stride, layer.dilation, layer.groups)
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *shape, *after)


def _with(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor, how: str, other: Tensor) -> Tensor:
    shape = (layer.padding, layer.stride, layer.dilation, layer.groups)
    return torch.ops.mkldnn._convolution_pointwise.binary(x, other, weight, bias, *shape, how, None, None, [], None)


def _prepared(
    layer: nn.Conv2d, x: Tensor, parts: int, norm: nn.BatchNorm2d | None = None
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The input in the precision of the call, and the layer's packed weights and biases in `parts` pieces."""
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    packed, key = _packed.get(), (layer, kind, x.shape)
    assert packed is not None and layer.bias is not None
    if key not in packed:
        shape = (layer.padding, layer.stride, layer.dilation, layer.groups, list(x.shape))
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if norm is not None:
            assert norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
            weight, bias = weight * scale[:, None, None, None], (bias - norm.running_mean) * scale + norm.bias.detach()
        halves = zip(weight.chunk(parts), bias.chunk(parts), strict=True)
        packed[key] = [
            (torch.ops.mkldnn._reorder_convolution_weight(w.to(kind).contiguous(), *shape), b.to(kind))
            for w, b in halves
        ]
    return x.to(kind), packed[key]
