"""The only loop over time: training, evaluation, prediction and the live page all walk here.

Noise is a pure function of (seed, sample, frame): a sample does not depend on its batch mates, on how many frames are
drawn at a time, or on whether the walk was paused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framecast.models.base import Model, each
from framecast.nets.fused import Packed, packing
from framecast.values import Clip, Trace, unit


def walk(model: Model, clip: Clip, forced: Tensor | None, noise: Tensor, context: int = 1) -> Trace:
    """Walks a clip with latents from the posterior: what is trained on.

    Args:
        model: any model.
        clip: floats, B clips of T frames.
        forced: (B, T - context) bool: is the truth fed to the next step? None: always.
        noise: (B, T - context, *model.noise_shape).
        context: given frames.

    Returns:
        the T - context predicted frames beside the true ones.
    """
    truth = clip.frames[:, context:]
    state, cues = _begin(model, clip, context, truth)
    if not model.feeds_back or forced is None or bool(forced.all()):
        step = model.parallel(state, cues, noise)
    else:
        steps = []
        for t in range(truth.shape[1]):
            cue = each(cues, lambda x: x[:, t])  # noqa: B023 (used at once)
            state, step = model.advance(state, cue, noise[:, t])
            state = model.force(state, cue, forced[:, t])
            steps.append(step)
        step = _stack(steps)
    return Trace(step.frame, truth, step.posterior, step.prior)


def _begin(model: Model, clip: Clip, context: int, truth: Tensor | None) -> tuple[Any, Any]:
    given = None if clip.condition is None else clip.condition[:, :context]
    coming = None if clip.condition is None else clip.condition[:, context:]
    state = model.start(clip.frames[:, :context], given)
    return model.look(state, coming, clip.times[:, context:] - context, truth)


def _stack(steps: list[Any]) -> Any:
    """Steps (or what is in them) of tensors (B, ...) as one with (B, T, ...)."""
    first = steps[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.stack(steps, 1)
    return type(first)(**{name: _stack([getattr(step, name) for step in steps]) for name in vars(first)})


def noise(model: Model, seed: int, samples: Iterable[int], frames: Iterable[int]) -> Tensor:
    """(K, T, *noise_shape): the noise of each (seed, sample, frame), on the CPU.

    A model whose latents are slow things (light, the hang of clothes) has a `noise_span` above 1: between independent
    draws that many frames apart the noise turns from one to the next. Every frame's noise is still N(0, I), and films
    do not flicker.
    """
    frames, samples, span = list(frames), list(samples), model.noise_span
    generator = torch.Generator()
    drawn: dict[tuple[int, int], Tensor] = {}

    def independent(sample: int, number: int) -> Tensor:
        if (sample, number) not in drawn:
            key = np.random.SeedSequence((seed, sample, number)).generate_state(1, np.uint64)
            generator.manual_seed(int(key[0]) >> 1)
            drawn[sample, number] = torch.randn(model.noise_shape, generator=generator)
        return drawn[sample, number]

    def one(sample: int, frame: int) -> Tensor:
        number, beyond = divmod(frame, span)
        if not beyond:
            return independent(sample, number)
        angle = 0.5 * math.pi * beyond / span  # cos^2 + sin^2 = 1 keeps the variance at 1
        return math.cos(angle) * independent(sample, number) + math.sin(angle) * independent(sample, number + 1)

    return torch.stack([torch.stack([one(k, t) for t in frames]) for k in samples])


@torch.no_grad()
def roll(
    model: Model,
    frames: Tensor,
    conditions: Iterable[Tensor | int],
    seed: int = 0,
    samples: Iterable[int] = (0,),
    mean: bool = False,
) -> Iterator[Tensor]:
    """Free-running prediction at constant memory.

    Args:
        model: in eval mode (else ValueError: a sample would depend on its batch mates).
        frames: (n, C, H, W) given frames, uint8 or floats.
        conditions: first the given frames' (n, ...), then pieces (S, ...) of the ones to come; without conditions,
            n and then numbers of frames to come.
        seed: of the noise.
        samples: which samples are drawn; sample k is the same whichever others are drawn with it.
        mean: put the prior's mean in place of its samples.

    Yields:
        (K, S, C, H, W) floats in [0, 1], a piece for a piece.
    """
    if model.training:
        raise ValueError("The model is in training mode; call model.eval() before sampling.")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    samples = list(samples)
    pieces = iter(conditions)
    packed: Packed = {}

    def many(values: Tensor | int) -> Tensor | None:
        if isinstance(values, int):
            return None
        return unit(values.to(device)).unsqueeze(0).expand(len(samples), *values.shape)

    with autocast(device), packing(packed):
        first = unit(frames.to(device)).unsqueeze(0).expand(len(samples), *frames.shape)
        state = model.start(first, many(next(pieces)))
    begin = 0
    for piece in pieces:
        count = piece if isinstance(piece, int) else len(piece)
        eps = noise(model, seed, samples, range(begin, begin + count)).to(device)
        times = torch.arange(count, device=device).expand(len(samples), count)
        with (
            autocast(device),
            packing(packed),
        ):  # closed before the yield: what the caller does in between is the caller's
            state, cues = model.look(state, many(piece), times, None)
            state, drawn = _free(model, state, cues, eps * 0 if mean else eps)
        begin += count
        yield drawn.clamp(0, 1)


def _free(model: Model, state: Any, cues: Any, eps: Tensor) -> tuple[Any, Tensor]:
    if not model.feeds_back:
        return state, model.parallel(state, cues, eps).frame.float()
    drawn = []
    for t in range(eps.shape[1]):
        state, step = model.advance(state, each(cues, lambda x: x[:, t]), eps[:, t])  # noqa: B023 (used at once)
        drawn.append(step.frame.float())
    return state, torch.stack(drawn, 1)


def channels_last(model: Model) -> Model:
    """The model with its convolutions' weights laid out by pixel, which is faster on CPUs and GPUs alike."""
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    return model


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """bf16 where the device gains from it: GPUs that have it, and CPUs with AVX-512 bf16 or AMX."""
    return torch.autocast(device.type, torch.bfloat16) if gains_from_bf16(device) else nullcontext()


def gains_from_bf16(device: torch.device) -> bool:
    """Whether this device multiplies bf16 faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # On other CPUs bf16 is emulated, and slower than float32.
    avx512_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and bool(avx512_bf16())
