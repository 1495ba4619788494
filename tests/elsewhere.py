"""A device that is not the CPU, for machines that have none: what meets there with a CPU tensor raises, as on a GPU.

Its tensors say that they lie on `DEVICE` and compute on the CPU, so results are those of the CPU. Each operation is
seen (`__torch_dispatch__`) and refused where tensors of both devices meet in it, but for what a GPU takes too: numbers
without dimensions, copies from one to the other, and indices of the CPU into tensors of `DEVICE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")  # the one name that torch has no kernels for and starts nothing up for
COPIES = {"aten::_to_copy", "aten::copy_"}
INDEXED = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
RECURRENT = ("gru", "lstm")  # they change their inputs' shapes in place, behind what is seen here


class Far(Tensor):
    """A tensor on `DEVICE`; `here` has its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Far:
        far: Any = Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
        )
        far.here = here
        return far

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Far({self.here})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class FarGenerator(torch.Generator):
    """A generator of `DEVICE`."""


_Autocast, _Generator = torch.autocast, torch.Generator


class _AnyAutocast(_Autocast):  # classes still, as torch's own modules name them in signatures when they are imported
    def __new__(cls, device_type: str, *args: Any, **kwargs: Any) -> Any:
        return nullcontext() if _is_far(device_type) else _Autocast(device_type, *args, **kwargs)


class _AnyGenerator(_Generator):
    def __new__(cls, device: Any = "cpu") -> Any:
        return FarGenerator() if _is_far(device) else _Generator(device)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Where `DEVICE` can be computed on and drawn on."""
    with pytest.MonkeyPatch.context() as patch, _Operations(), _Functions():
        patch.setattr(torch, "autocast", _AnyAutocast)
        patch.setattr(torch, "Generator", _AnyGenerator)
        yield


def moved(module: nn.Module) -> Any:
    """The module with its parameters and buffers on `DEVICE`."""
    for part in module.modules():
        for kept in (part._parameters, part._buffers):
            for name, value in kept.items():
                if value is not None:
                    far = Far(value.detach())
                    kept[name] = nn.Parameter(far) if isinstance(value, nn.Parameter) else far
    return module


def back(value: Any) -> Any:
    """What was computed on `DEVICE`, as CPU tensors; raises where it was computed on the CPU."""
    if not isinstance(value, Far):
        raise AssertionError(f"This was not computed on {DEVICE}: {value!r:.80}")
    return value.detach().here


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and _is_far(kwargs.get("device")):
            return Far(torch.tensor(*args, **{**kwargs, "device": None}))
        generator = kwargs.get("generator")
        if generator is not None and isinstance(generator, FarGenerator) != _is_far(kwargs.get("device")):
            raise RuntimeError(f"{func.__name__}: the generator is not of the device that is drawn on")
        if getattr(func, "__name__", "") in RECURRENT and _met(func, args, kwargs):
            near = tree_map(lambda x: x.cpu() if isinstance(x, Far) else x, (args, kwargs))
            return tree_map(lambda x: x.to(DEVICE), func(*near[0], **near[1]))
        return func(*args, **kwargs)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name, asked = func._schema.name, kwargs.get("device")
    if name in COPIES:
        far = isinstance(args[0], Far)
    elif name in INDEXED and isinstance(args[0], Far):
        far = _met(func, (args[0], *args[2:]), kwargs)  # where they lie does not matter, as on a GPU
    else:
        far = _met(func, args, kwargs)
    if asked is not None:
        far = _is_far(asked)
        kwargs = {**kwargs, "device": torch.device("cpu")}
    owners = {id(x.here): x for x in tree_leaves((args, kwargs)) if isinstance(x, Far)}
    near_args, near_kwargs = tree_map(lambda x: x.here if isinstance(x, Far) else x, (args, kwargs))

    def kept(x: Any) -> Any:
        if not far or not isinstance(x, Tensor):
            return x
        return owners[id(x)] if id(x) in owners else Far(x)  # what is written in place stays the same object

    return tree_map(kept, func(*near_args, **near_kwargs))


def _met(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether tensors of `DEVICE` are among the arguments; raises where CPU tensors are, too."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    far = any(isinstance(x, Far) for x in tensors)
    near = [tuple(x.shape) for x in tensors if not isinstance(x, Far) and x.dim()]
    if far and near:
        raise RuntimeError(f"{func} is given tensors of {DEVICE}, and of the CPU: {near}")
    return far


def _is_far(device: Any) -> bool:
    return device is not None and torch.device(device) == DEVICE
