"""The contract of a model.

A model draws one frame at a time from an explicit state. The walk through time stands in `rollout`, the loss in
`objective`; a model knows neither. Work that needs no earlier prediction is done for all frames at once in `look`:

    state       = model.start(frames, condition)                     given frames
    state, cues = model.look(state, condition, times, truth, given)  what is known of the frames to come
    state, step = model.advance(state, cue, noise)                   one frame
    state       = model.force(state, cue, mask)                      teacher forcing: the truth goes on in its place
    state, step = model.parallel(state, cues, noise)                 all at once, where no prediction is fed back

What a model that feeds back reads can be changed from outside, for the cures of drift, without its knowledge:

    state       = model.feed(state, frame)                           another picture in place of the drawn one
    cues        = model.read(cues, frames)                           other pictures in place of the true ones
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from framecast.values import Kind, Sampling, Spec, Step


class Model(nn.Module, ABC):
    """One way to draw the future.

    Class attributes:
        takes: the kinds of conditions it understands.
        feeds_back: whether its own frames go back in; if not, any rollout is one parallel call and cannot drift.
        sampling: how training clips are best drawn for it (`window` or `scattered`).
        warms_up: whether training begins at the first given frame, and draws the other given ones too (recurrent models
            learn from them; their memory begins there), or at the last.
        noise_span: frames between independent draws of its noise in a rollout (see `rollout.noise`).

    Attributes:
        anchored: what is fed back has the colours of the first given frame (`recoloured`), in training and prediction.

    Raises:
        ValueError: the spec's condition is of a kind that the model does not take.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset({"picture", "vector", "none"})
    feeds_back: ClassVar[bool] = True
    sampling: ClassVar[Sampling] = "window"
    warms_up: ClassVar[bool] = False
    noise_span: ClassVar[int] = 1
    condition_mean: Tensor
    condition_std: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        kind, size = spec.condition.kind, spec.condition.size
        if kind not in self.takes:
            takes = ", ".join(sorted(self.takes))
            hint = " Go without by --conditions false, or take another model." if "none" in self.takes else ""
            raise ValueError(
                f"The model {self.name} takes conditions of kind {takes}; this data has {spec.condition}.{hint}"
            )
        self.spec = spec
        self.anchored = False
        self.register_buffer("condition_mean", torch.tensor(spec.condition.mean or [0.0] * size), persistent=False)
        self.register_buffer("condition_std", torch.tensor(spec.condition.std or [1.0] * size), persistent=False)

    @property
    def name(self) -> str:
        """The model's name at the command line: its file's."""
        return type(self).__module__.rpartition(".")[2]

    @property
    @abstractmethod
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise of one frame, without B."""

    @abstractmethod
    def start(self, frames: Tensor, condition: Tensor | None) -> Any:
        """The state after the given frames (B, n, C, H, W) with their conditions (B, n, ...)."""

    @abstractmethod
    def look(
        self, state: Any, condition: Tensor | None, times: Tensor, truth: Tensor | None, given: int = 0
    ) -> tuple[Any, Any]:
        """All that can be known of T frames to come without having drawn them.

        Args:
            state: after the frame before them.
            condition: (B, S, ...) of the frames since that frame.
            times: (B, T) indices into S: which condition is whose.
            truth: (B, T, C, H, W) while training, for the posterior and teacher forcing.
            given: how many of these frames, from the first, are given ones.

        Returns:
            the state, and the cues as a dataclass of tensors (B, T, ...).
        """

    def advance(self, state: Any, cue: Any, noise: Tensor) -> tuple[Any, Step]:
        """Draws one frame. The latent comes from the posterior where the cue has one, else from the prior.

        Each that `feeds_back` has its own.

        Args:
            state: from `start`, `advance` or `force`.
            cue: one frame's cue, tensors (B, ...).
            noise: (B, *noise_shape), standard normal.
        """
        state, step = self.parallel(state, each(cue, lambda x: x[:, None]), noise[:, None])
        return state, each(step, lambda x: x[:, 0])

    @abstractmethod
    def parallel(self, state: Any, cues: Any, noise: Tensor) -> tuple[Any, Step]:
        """All T frames at once, tensors (B, T, ...); models that feed back take the cues' truth as input."""

    def force(self, state: Any, cue: Any, mask: Tensor) -> Any:
        """The state with the true frame in place of the drawn one for the clips where mask (B,) is set."""
        return state

    def feed(self, state: Any, frame: Tensor) -> Any:
        """The state whose next step reads this picture (B, C, H, W); its memories stay.

        Each that `feeds_back` has its own.
        """
        return state

    def read(self, cues: Any, frames: Tensor) -> Any:
        """The cues with these pictures (B, T, C, H, W) where the truth would be fed; the posterior stays the truth's.

        Each that `feeds_back` has its own.
        """
        return cues

    def step(
        self, state: Any, condition: Tensor | None, target: Tensor | None, noise: Tensor, first: Tensor | None = None
    ) -> tuple[Any, Step]:
        """One frame from one condition (B, ...): what a live session calls. With a target the posterior is used.

        Args:
            state, noise: as `advance`.
            condition, target: (B, ...), of the frame.
            first: (B, C, H, W), the first given frame, for a model that is anchored to it.
        """
        condition = None if condition is None else condition[:, None]
        times = torch.zeros(len(noise), 1, dtype=torch.long, device=noise.device)
        state, cues = self.look(state, condition, times, None if target is None else target[:, None])
        state, step = self.advance(state, each(cues, lambda x: x[:, 0]), noise)
        if self.anchored:
            if first is None:
                raise ValueError(f"This {self.name} is anchored to the first given frame; give it as `first`.")
            state = self.feed(state, recoloured(step.frame.float().clamp(0, 1), first))
        return state, step

    def standard(self, vectors: Tensor) -> Tensor:
        """Vector conditions with mean 0 and spread 1 by the training data's statistics."""
        return (vectors - self.condition_mean) / self.condition_std


def each(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A tensor, or a list or dataclass of tensors (None stays), with `function` applied to every tensor."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, list | tuple):
        return type(value)(each(v, function) for v in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: each(getattr(value, f.name), function) for f in fields(value)})
    return value


def unstacked(value: Any) -> Iterator[Any]:
    """A value of tensors (B, T, ...) as T values of tensors (B, ...), one after another; the inverse of `stacked`.

    Their gradients are put together once. That of a slice is as large as what it is a slice of, mostly zeros.
    """
    steps: dict[int, Sequence[Tensor]] = {}
    each(value, lambda x: steps.setdefault(id(x), x.unbind(1))[0])
    for number in range(len(next(iter(steps.values())))):
        yield each(value, lambda x: steps[id(x)][number])  # noqa: B023 (used at once)


def stacked(steps: Sequence[Any]) -> Any:
    """T steps (or what is in them) of tensors (B, ...) as one with (B, T, ...); None stays."""
    first = steps[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.stack(list(steps), 1)
    return type(first)(**{name: stacked([getattr(step, name) for step in steps]) for name in vars(first)})


def recoloured(frames: Tensor, first: Tensor) -> Tensor:
    """Frames (B, ..., C, H, W) with the mean and the spread of each channel of the first frame (B, C, H, W)."""
    first = first.view(len(first), *[1] * (frames.dim() - 4), *first.shape[1:])
    (spread, mean), (wanted, level) = (torch.std_mean(x, (-2, -1), correction=0, keepdim=True) for x in (frames, first))
    # A hundredth of the range on either side: a frame without any contrast is not blown up.
    return (frames - mean) * ((wanted + 0.01) / (spread + 0.01)) + level


def flat(value: Any) -> Any:
    """(B, T, ...) -> (B T, ...) in every tensor."""
    return each(value, lambda x: x.flatten(0, 1))


def timed(value: Any, clips: int) -> Any:
    """(B T, ...) -> (B, T, ...) in every tensor; the inverse of `flat`."""
    return each(value, lambda x: x.unflatten(0, (clips, -1)))
