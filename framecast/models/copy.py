"""`copy`: the baselines beside every result. It repeats the first given frame, or the last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from framecast.models.base import Model
from framecast.values import Spec, Step, unit


@dataclass(frozen=True)
class Config:
    """Settings of `copy`.

    Args:
        which: the given frame that is repeated.
    """

    which: Literal["first", "last"] = "last"
    has_latent: ClassVar[bool] = False


@dataclass
class State:
    """The frame that is repeated."""

    frame: Tensor


class Copy(Model):
    """See the module. It has nothing to learn and draws no noise: noise (B, 0)."""

    feeds_back = False

    def __init__(self, spec: Spec, config: Config = Config()) -> None:
        super().__init__(spec)
        self.config = config

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (0,)

    def start(self, frames: Tensor, condition: Tensor | None) -> State:
        return State(unit(frames[:, 0 if self.config.which == "first" else -1]))

    def look(
        self, state: State, condition: Tensor | None, times: Tensor, truth: Tensor | None, given: int = 0
    ) -> tuple[State, None]:
        return state, None

    def parallel(self, state: State, cues: None, noise: Tensor) -> tuple[State, Step]:
        return state, Step(torch.stack([state.frame] * noise.shape[1], 1))
