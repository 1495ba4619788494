"""The only loop over time: training, evaluation, prediction and the live page all walk here.

Noise is a pure function of a row's key and the frame: a sample does not depend on its batch mates, on how many frames
are drawn at a time, or on whether the walk was paused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framecast.models.base import Model, each, recoloured, stacked, unstacked
from framecast.nets.fused import Packed, packing
from framecast.values import Clip, Trace, unit

CHUNK = 32  # frames drawn at a time: memory is that of one chunk, whatever the horizon
# What a row's noise is drawn from: (seed, sample, episode). Episodes that shared their noise would err alike: FVD and
# means over videos would see one film's luck many times.
Key = tuple[int, int, int]


def drawn_frames(model: Model, length: int, context: int) -> tuple[int, int]:
    """Of a clip of that length: how many frames a walk draws, and how many of them, from the first, are given ones."""
    return (length - 1, context - 1) if model.warms_up else (length - context, 0)


def walk(
    model: Model,
    clip: Clip,
    forced: Tensor | None,
    noise: Tensor,
    context: int = 1,
    own: Tensor | None = None,
    spoilt: Tensor | None = None,
) -> Trace:
    """Walks a clip with latents from the posterior: what is trained on (derivation (5), derivation (10)).

    The last two, and `model.anchored`, change only what is read: targets and posteriors see the truth.

    Args:
        model: any model.
        clip: floats, B clips of T frames.
        forced: (B, S) bool: is the truth fed to the next step? None: always. It is, for given frames, in any case.
        noise: (B, S, *model.noise_shape).
        context: given frames.
        own: (B, k, C, H, W), read in place of the first k true frames after the given ones: see `own_frames`.
        spoilt: (B, T, C, H, W), added to every frame that is read, true or drawn.

    Returns:
        the S = `drawn_frames(...)[0]` frames beside the true ones.
    """
    count, given = drawn_frames(model, clip.frames.shape[1], context)
    begin = clip.frames.shape[1] - count
    truth = clip.frames[:, begin:]
    past = None if clip.condition is None else clip.condition[:, :begin]
    coming = None if clip.condition is None else clip.condition[:, begin:]
    read = _read(model, clip, context, own, spoilt)
    state = model.start(read[:, :begin], past)
    state, cues = model.look(state, coming, clip.times[:, begin:] - begin, truth, given)
    if read is not clip.frames:
        cues = model.read(cues, read[:, begin:])
    if not model.feeds_back or forced is None or bool(forced[:, given:].all()):
        _, step = model.parallel(state, cues, noise)
    else:
        steps = []
        for t, (cue, eps) in enumerate(unstacked((cues, noise))):
            state, step = model.advance(state, cue, eps)
            if model.anchored or spoilt is not None:
                drawn = step.frame.clamp(-1, 2)  # a little beyond, where it still has a gradient
                drawn = recoloured(drawn, clip.frames[:, 0]) if model.anchored else drawn
                state = model.feed(state, drawn if spoilt is None else drawn + spoilt[:, begin + t])
            state = model.force(state, cue, forced[:, t] if t >= given else torch.ones_like(forced[:, t]))
            steps.append(step)
        step = stacked(steps)
    return Trace(step.frame, truth, step.posterior, step.prior)


def _read(model: Model, clip: Clip, context: int, own: Tensor | None, spoilt: Tensor | None) -> Tensor:
    """The frames of a clip as they are read; `clip.frames` itself where nothing is changed."""
    read = clip.frames
    if own is not None:
        read = torch.cat([read[:, :context], own, read[:, context + own.shape[1] :]], 1)
    if model.anchored:
        read = torch.cat([read[:, :context], recoloured(read[:, context:], read[:, 0])], 1)
    return read if spoilt is None else read + spoilt


@torch.no_grad()
def own_frames(model: Model, clip: Clip, noise: Tensor, context: int = 1) -> Tensor:
    """The first frames after the given ones as at test time: latents from the prior, own frames fed, in eval mode.

    Args:
        model: that feeds back; it is left in the mode it was in.
        clip: floats, B clips of consecutive frames.
        noise: (B, k, *model.noise_shape), k at least 1.
        context: given frames.

    Returns:
        (B, k, C, H, W) in [0, 1], without gradient.
    """
    stop, training = context + noise.shape[1], model.training
    past, coming = (
        None if clip.condition is None else clip.condition[:, s] for s in (slice(context), slice(context, stop))
    )
    model.eval()
    try:
        state = model.start(clip.frames[:, :context], past)
        state, cues = model.look(state, coming, clip.times[:, context:stop] - context, None)
        return _free(model, state, cues, noise, clip.frames[:, 0])[1]
    finally:
        model.train(training)
        torch.clear_autocast_cache()  # before torch 2.11 weights cast here stayed without gradient for what follows


def noise(model: Model, keys: Iterable[Key], frames: Iterable[int]) -> Tensor:
    """(R, T, *noise_shape): the noise of each row's key at each frame, on the CPU.

    A model whose latents are slow things (light, the hang of clothes) has a `noise_span` above 1: between independent
    draws that many frames apart the noise turns from one to the next. Every frame's noise is still N(0, I), and films
    do not flicker.
    """
    frames, span = list(frames), model.noise_span
    generator = torch.Generator()
    drawn: dict[tuple[Key, int], Tensor] = {}

    def independent(key: Key, number: int) -> Tensor:
        if (key, number) not in drawn:
            seed = np.random.SeedSequence((*key, number)).generate_state(1, np.uint64)
            generator.manual_seed(int(seed[0]) >> 1)
            drawn[key, number] = torch.randn(model.noise_shape, generator=generator)
        return drawn[key, number]

    def one(key: Key, frame: int) -> Tensor:
        number, beyond = divmod(frame, span)
        if not beyond:
            return independent(key, number)
        angle = 0.5 * math.pi * beyond / span  # cos^2 + sin^2 = 1 keeps the variance at 1
        return math.cos(angle) * independent(key, number) + math.sin(angle) * independent(key, number + 1)

    return torch.stack([torch.stack([one(key, t) for t in frames]) for key in keys])


@torch.no_grad()
def roll(
    model: Model,
    frames: Tensor,
    conditions: Iterable[Tensor | int],
    keys: Iterable[Key] = ((0, 0, 0),),
    mean: bool = False,
    truth: Iterable[Tensor] | None = None,
) -> Iterator[Tensor]:
    """Free-running prediction at constant memory; with the truth, teacher-forced.

    Args:
        model: in eval mode (else ValueError: a sample would depend on its batch mates).
        frames: (R, n, C, H, W) given frames, uint8 or floats; R is 1 for many samples of one video.
        conditions: first the given frames' (R, n, ...), then pieces (R, S, ...) of the ones to come; without
            conditions, n and then numbers of frames to come.
        keys: a row's noise is drawn from its key, (seed, sample, episode): a row is the same whichever others are drawn
            with it.
        mean: put the prior's mean in place of its samples.
        truth: pieces (R, S, C, H, W) as those of `conditions`, fed in place of the drawn frames where the model feeds
            back; latents are from the prior all the same. None: its own frames are fed.

    Yields:
        (number of keys, S, C, H, W) floats in [0, 1], a piece for a piece.

    Raises:
        FloatingPointError: a drawn frame is NaN, as of conditions far beyond those of the training.
    """
    if model.training:
        raise ValueError("The model is in training mode; call model.eval() before sampling.")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    keys, pieces, true = list(keys), iter(conditions), None if truth is None else iter(truth)
    packed: Packed = {}

    def rows(values: Tensor | int, count: int = len(keys)) -> Tensor | None:
        return None if isinstance(values, int) else unit(values.to(device)).expand(count, *values.shape[1:])

    past = next(pieces)
    # All samples of one video begin alike: what they begin with is computed once.
    starts = len(frames) if isinstance(past, int) else max(len(frames), len(past))
    with autocast(device), packing(packed):
        given = rows(frames, starts)
        assert given is not None
        state = model.start(given, rows(past, starts))
        state = each(state, lambda x: x.expand(len(keys), *x.shape[1:]))
    first = given[:, 0].expand(len(keys), *given.shape[2:])
    begin = 0
    for piece in pieces:
        count = piece if isinstance(piece, int) else piece.shape[1]
        eps = noise(model, keys, range(begin, begin + count)).to(device)
        times = torch.arange(count, device=device).expand(len(keys), count)
        # Closed before the yield: what the caller does in between is the caller's.
        with autocast(device), packing(packed):
            state, cues = model.look(state, rows(piece), times, None)
            fed = None if true is None else rows(next(true))
            state, drawn = _free(model, state, cues, eps * 0 if mean else eps, first, fed)
        _check_drawn(model, keys, drawn, (past if isinstance(past, int) else past.shape[1]) + begin)
        begin += count
        yield drawn


def cuts(first: int, count: int, size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """Beginnings and ends of the pieces in which so many frames are drawn."""
    return ((begin, min(begin + size, first + count)) for begin in range(first, first + count, size))


def _check_drawn(model: Model, keys: list[Key], drawn: Tensor, first: int) -> None:
    """Raises FloatingPointError where a frame (R, S, C, H, W) is NaN, which as a picture would be black."""
    broken = drawn.flatten(2).isnan().any(2)
    if not broken.any():
        return
    frame = int(broken.any(0).nonzero()[0])
    _, sample, episode = keys[int(broken[:, frame].nonzero()[0])]
    advice = "Look at the run: does it predict its own recordings?"
    if model.spec.condition.kind == "vector":
        advice = f"Look at the conditions up to row {first + frame}: are they in the units of the training?"
    which = f"Frame {first + frame} (from 0, the given ones counted) of sample {sample} of episode {episode}"
    raise FloatingPointError(f"{which} came out as NaN. {advice}")


def as_bytes(frames: Tensor) -> np.ndarray:
    """Floats (..., C, H, W) in [0, 1] as uint8 (..., H, W, C), rounded."""
    return frames.mul(255).round_().to(torch.uint8).movedim(-3, -1).cpu().numpy()


@torch.no_grad()
def reconstruct(model: Model, clip: Clip, context: int = 1, key: Key | None = None) -> Trace:
    """The frames after the given ones with latents from the posterior, own frames fed back.

    Args:
        model: in eval mode.
        clip: the truth, floats or uint8.
        context: given frames.
        key: what every clip's latents are drawn from, with the noise that `roll` has of it. None: the posterior's mean.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    clip = clip.to(device).to_float()
    count, given = drawn_frames(model, clip.frames.shape[1], context)
    clips = len(clip.frames)
    eps = torch.zeros(clips, count, *model.noise_shape, device=device)
    if key is not None:
        eps[:, given:] = noise(model, [key], range(count - given)).to(device)
    with autocast(device):
        trace = walk(model, clip, torch.zeros(clips, count, dtype=torch.bool, device=device), eps, context)
    return each(trace, lambda x: x[:, given:].float())


def _free(
    model: Model, state: Any, cues: Any, eps: Tensor, first: Tensor, truth: Tensor | None = None
) -> tuple[Any, Tensor]:
    """Draws the cues' frames one after another: own ones fed, or the true ones, in the first one's colours if asked."""
    if not model.feeds_back:
        state, step = model.parallel(state, cues, eps)
        return state, step.frame.float().clamp(0, 1)
    drawn = []
    for t, piece in enumerate(unstacked((cues, eps))):
        state, step = model.advance(state, *piece)
        drawn.append(step.frame.float())
        if model.anchored or truth is not None:
            shown = drawn[-1].clamp(0, 1) if truth is None else truth[:, t]
            state = model.feed(state, recoloured(shown, first) if model.anchored else shown)
    return state, torch.stack(drawn, 1).clamp_(0, 1)


def channels_last(model: Model) -> Model:
    """The model with its convolutions' weights laid out by pixel, which is faster on CPUs and GPUs alike."""
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    return model


def pick_device(name: str) -> torch.device:
    """The device of that name: `cpu`, `cuda`, or `auto`, a GPU where there is one.

    Raises:
        ValueError: another name, or there is none.
    """
    kind = str(name).split(":")[0]
    if kind not in ("auto", "cpu", "cuda"):
        raise ValueError(f"There is no device {name!r}. It is one of: auto, cpu, cuda.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name}: torch sees no GPU here. Take cpu, or leave --device out.")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if kind == "auto" else name)


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
