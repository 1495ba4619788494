"""The made-up device refuses what a GPU refuses, and computes what the CPU computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from contract import random, same
from elsewhere import DEVICE, back, elsewhere, moved
from torch import Tensor, nn

Case = Callable[[Tensor, Tensor], Any]
REFUSED: dict[str, Case] = {
    "sum": lambda near, far: near + far,
    "product of matrices": lambda near, far: far @ near,
    "joined": lambda near, far: torch.cat([near, far]),
    "in place": lambda near, far: far.mul_(near),
    "CPU tensor by far indices": lambda near, far: near[(far > 0).nonzero()[:, 0]],
    "far tensor by far indices with a CPU value": lambda near, far: far.index_put_((far[:, 0] > 0,), near[:1]),
    "selected": lambda near, far: far.index_select(0, torch.tensor([1])),
    "drawn by the CPU's generator": lambda near, far: torch.rand(3, generator=torch.Generator(), device=DEVICE),
    "drawn on the CPU": lambda near, far: torch.rand(3, generator=torch.Generator(DEVICE)),
    "a layer of the CPU": lambda near, far: nn.Linear(4, 2)(far),
    "LSTM of the CPU": lambda near, far: nn.LSTM(4, 2)(far),
}
TAKEN: dict[str, Case] = {
    "scalars": lambda near, far: far * 2 + torch.tensor(3.0),
    "a tensor made there": lambda near, far: far + torch.tensor([1.0, 2.0, 3.0, 4.0], device=far.device),
    "CPU indices": lambda near, far: far[torch.tensor([2, 0])],
    "copied": lambda near, far: far + near.to(far.device),
    "written in place": lambda near, far: far.clone().mul_(3).relu_(),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_gpu_refuses(case: str) -> None:
    near = random(4, 4)
    with elsewhere(), pytest.raises(RuntimeError, match="of the CPU|generator is not of the device"):
        REFUSED[case](near, near.to(DEVICE))


@pytest.mark.parametrize("case", TAKEN)
def test_what_a_gpu_takes_is_what_the_cpu_computes(case: str) -> None:
    near = random(4, 4)
    wanted = TAKEN[case](near, near)
    with elsewhere():
        found = TAKEN[case](near, near.to(DEVICE))
    same(back(found), wanted)


def test_what_was_computed_on_the_cpu_does_not_pass() -> None:
    with pytest.raises(AssertionError, match="was not computed on"):
        back(torch.ones(3))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers_have_their_gradients(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    near: Any = kind(4, 2)
    torch.manual_seed(0)
    far = moved(kind(4, 2))
    x = random(5, 3, 4)
    near(x)[0].sum().backward()
    with elsewhere():
        far(x.to(DEVICE))[0].sum().backward()
    for one, two in zip(far.parameters(), near.parameters(), strict=True):
        same(back(one.grad), two.grad)
