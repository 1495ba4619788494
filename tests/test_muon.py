"""Muon: its step is orthogonal, everything else is AdamW, and it learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from framecast.training.muon import Muon


def step_of(gradient: torch.Tensor, form: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
    """Which way Muon's first step turns a weight of that gradient, (o, i) or (o, i, k, k)."""
    o, i, *kernel = gradient.shape
    layer = nn.Conv2d(i, o, kernel) if kernel else nn.Linear(i, o)
    before = layer.weight.data = torch.zeros_like(gradient).contiguous(memory_format=form)
    layer.weight.grad = gradient.contiguous(memory_format=form)
    Muon(layer, lr=1.0).step()
    return before / (-0.2 * max(len(gradient), gradient[0].numel()) ** 0.5)


def test_steps_are_about_orthogonal() -> None:
    random = torch.Generator().manual_seed(0)
    for rows, columns in ((8, 8), (6, 20), (20, 6)):
        values = torch.linalg.svdvals(step_of(torch.randn(rows, columns, generator=random)))
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_a_weight_steps_alike_however_it_lies_in_memory() -> None:
    gradient = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    plain, by_pixel = (step_of(gradient, form) for form in (torch.contiguous_format, torch.channels_last))
    torch.testing.assert_close(by_pixel, plain)
    torch.testing.assert_close(plain.flatten(1), step_of(gradient.flatten(1)))


@pytest.mark.parametrize(("spread", "bound"), [(1, 1e-5), (3, 1e-3), (6, 1e-3)])
def test_steps_are_those_of_the_published_rounds(spread: int, bound: float) -> None:
    """Jordan's rounds as he writes them, in double precision, on singular values that span `spread` powers of ten."""
    random = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(16, 40, generator=random, dtype=torch.float64), full_matrices=False)
    matrix = u * torch.logspace(0, -spread, 16, dtype=torch.float64) @ v
    x = matrix / matrix.norm()
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    for given, wanted in ((matrix, x), (matrix.mT, x.mT)):
        error = (step_of(given.float()) - wanted).norm() / wanted.norm()
        assert error < bound


def test_the_rest_is_adamw() -> None:
    """A module of norms only has nothing for Muon: it must walk as torch's AdamW does."""
    torch.manual_seed(0)
    ours, theirs = nn.GroupNorm(2, 8), nn.GroupNorm(2, 8)
    theirs.load_state_dict(ours.state_dict())
    mine = Muon(ours, lr=1e-2, weight_decay=0.1)
    reference = torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=0.1, betas=(0.9, 0.99))
    for _ in range(5):
        x = torch.randn(4, 8, 3, 3)
        for module, optimizer in ((ours, mine), (theirs, reference)):
            optimizer.zero_grad()
            (module(x) - x.flip(1)).square().mean().backward()
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_every_weight_moves_and_the_loss_falls() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Conv2d(8, 3, 1))
    before = [p.detach().clone() for p in net.parameters()]
    x = torch.rand(8, 3, 8, 8)
    optimizer = Muon(net, lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (net(x) - x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    assert all(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
