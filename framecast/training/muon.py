"""Muon: momentum whose step on every weight matrix is made orthogonal (Jordan et al. 2024); AdamW for the rest.

torch has it for plain matrices; convolutions (o, i, k, k) are taken here as matrices (o, i k k). The step is scaled
to AdamW's usual size (Liu et al. 2025, equation 4), so that one learning rate serves both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Jordan's quintic iteration


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """(N, r, c) -> about U V^T of each U S V^T, singular values between 0.7 and 1.2: enough for a step."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(rounds):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """For any module: its convolutions' and linear layers' weights by Muon, the rest by AdamW.

    Args:
        module: what is trained.
        lr: learning rate of both parts.
        weight_decay: of both parts, decoupled.
        momentum: of Muon; Nesterov's form.
    """

    def __init__(self, module: nn.Module, lr: float, weight_decay: float = 0.01, momentum: float = 0.95) -> None:
        weights = {id(m.weight) for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)}
        matrices = [p for p in module.parameters() if id(p) in weights and min(p.shape[0], p[0].numel()) > 1]
        chosen = {id(p) for p in matrices}
        rest = [p for p in module.parameters() if id(p) not in chosen]
        groups = [{"params": matrices, "muon": True}, {"params": rest, "muon": False}]
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": (0.9, 0.99), "eps": 1e-8}
        super().__init__([g for g in groups if g["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step; returns what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            given = [p for p in group["params"] if p.grad is not None]
            for p in given:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            (self._muon if group["muon"] else self._adam)(given, group)
        return loss

    def _muon(self, given: list[Tensor], group: dict[str, Any]) -> None:
        """Matrices of one shape are made orthogonal together, in one batch of products."""
        shapes: defaultdict[tuple[int, int], list[Tensor]] = defaultdict(list)
        for p in given:
            shapes[p.shape[0], p[0].numel()].append(p)
        for (rows, columns), together in shapes.items():
            steps = torch.stack([self._nesterov(p, group["momentum"]).reshape(rows, columns) for p in together])
            scale = group["lr"] * 0.2 * max(rows, columns) ** 0.5
            for p, step in zip(together, orthogonal(steps), strict=True):
                p.add_(step.reshape(p.shape), alpha=-scale)

    def _nesterov(self, p: Tensor, momentum: float) -> Tensor:
        assert p.grad is not None
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(state["momentum"], momentum)

    def _adam(self, given: Iterable[Tensor], group: dict[str, Any]) -> None:
        """Kingma and Ba 2015, algorithm 1."""
        first, second = group["betas"]
        for p in given:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state |= {"step": torch.zeros(()), "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
            state["step"] += 1
            count = float(state["step"])
            state["mean"].lerp_(p.grad, 1 - first)
            state["square"].lerp_(p.grad.square(), 1 - second)
            root = (state["square"] / (1 - second**count)).sqrt_().add_(group["eps"])
            p.addcdiv_(state["mean"] / (1 - first**count), root, value=-group["lr"])
