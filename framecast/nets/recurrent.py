"""Recurrent parts: state in, state out. Sequences run fused; a single step is a sequence of one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Memory = tuple[Tensor, Tensor]  # hidden and cell state, each (B, layers, n)


class Recurrent(nn.Module):
    """A linear embedding and an LSTM: (B, T, i) -> (B, T, n)."""

    def __init__(self, i: int, n: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Linear(i, n)
        self.lstm = nn.LSTM(n, n, layers, batch_first=True)

    def forward(self, x: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        # In float32: next to the convolutions it costs nothing, and its state lives for thousands of frames.
        with torch.autocast(x.device.type, enabled=False):
            past = None if memory is None else tuple(m.transpose(0, 1).contiguous() for m in memory)
            out, (hidden, cell) = self.lstm(self.embed(x.float()), past)
        return out, (hidden.transpose(0, 1), cell.transpose(0, 1))


class RecurrentVector(Recurrent):
    """With a linear layer and tanh at its end: (B, T, i) -> (B, T, o)."""

    def __init__(self, i: int, o: int, n: int, layers: int) -> None:
        super().__init__(i, n, layers)
        self.output = nn.Linear(n, o)

    def forward(self, x: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        out, memory = super().forward(x, memory)
        return self.output(out).tanh(), memory


class RecurrentGaussian(Recurrent):
    """With a Gaussian at its end: (B, T, i) -> its mean and log variance, (B, T, Z) each."""

    def __init__(self, i: int, z: int, n: int, layers: int) -> None:
        super().__init__(i, n, layers)
        self.mu_net = nn.Linear(n, z)
        self.logvar_net = nn.Linear(n, z)

    def forward(self, x: Tensor, memory: Memory | None) -> tuple[tuple[Tensor, Tensor], Memory]:  # type: ignore[override]
        out, memory = super().forward(x, memory)
        with torch.autocast(x.device.type, enabled=False):
            return (self.mu_net(out), self.logvar_net(out)), memory
