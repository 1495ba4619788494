"""Muon: its step is orthogonal, everything else is AdamW, and it learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from framecast.training import muon
from framecast.training.muon import Muon, orthogonal


@pytest.mark.parametrize("bf16", [True, False])
def test_steps_are_about_orthogonal(monkeypatch: pytest.MonkeyPatch, bf16: bool) -> None:
    monkeypatch.setattr(muon, "gains_from_bf16", lambda device: bf16)
    random = torch.Generator().manual_seed(0)
    for rows, columns in ((8, 8), (6, 20), (20, 6)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(3, rows, columns, generator=random)))
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_processors_without_bf16_compute_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would emulate it, which took most of a step."""
    matrices, found = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0)), {}
    for bf16 in (True, False):
        monkeypatch.setattr(muon, "gains_from_bf16", lambda device, bf16=bf16: bf16)
        found[bf16] = orthogonal(matrices)
    exact = orthogonal(matrices.double())
    assert (found[False] - exact).abs().max() < 1e-4 < (found[True] - exact).abs().max()


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
