"""Muon: momentum whose step on every weight matrix is made orthogonal (Jordan et al. 2024); AdamW for the rest.

torch has it for plain matrices; convolutions (o, i, k, k) are taken here as matrices (o, i k k). The step is scaled
to AdamW's usual size (Liu et al. 2025, equation 4), so that one learning rate serves both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import reduce
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

# torch's calls on many tensors at once, which it has but does not declare: a third of the time of a loop over weights.
many: Any = SimpleNamespace(
    **{name: getattr(torch, f"_foreach_{name}") for name in ("lerp", "lerp_", "mul_", "add_", "div", "sqrt_")},
    **{name: getattr(torch, f"_foreach_{name}") for name in ("addcmul_", "addcdiv_")},
)
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Jordan's quintic iteration


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """(N, r, c) -> about U V^T of each U S V^T, singular values between 0.7 and 1.2: enough for a step.

    A round turns x to p(x x^T) x with a polynomial p, and so x x^T to p x x^T p. The rounds are walked with the small
    x x^T alone, and x is turned by all of them at once at the end: a third of the products where one side is nine times
    the other. Gradients in float32 are kept in it: in bf16 the rounds as published are off by up to tenths.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    square, turns = x @ x.mT, []
    for _ in range(rounds):
        if turns:
            square = turns[-1] @ square @ turns[-1]
        turns.append(torch.baddbmm(square, square, square, beta=b, alpha=c))
        turns[-1].diagonal(dim1=1, dim2=2).add_(a)
    x = reduce(torch.matmul, turns) @ x
    return x.mT if tall else x


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
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        defaults |= {"betas": (0.9, 0.99), "eps": 1e-8, "steps": 0}
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
            if given:
                many.mul_(given, 1 - group["lr"] * group["weight_decay"])
                (self._muon if group["muon"] else self._adam)(given, group)
        return loss

    def _muon(self, given: list[Tensor], group: dict[str, Any]) -> None:
        """Matrices of one shape are made orthogonal together, in one batch of products."""
        gradients = [p.grad for p in given if p.grad is not None]
        momenta = self._kept(given, "momentum")
        many.lerp_(momenta, gradients, 1 - group["momentum"])
        steps = many.lerp(gradients, momenta, group["momentum"])  # Nesterov
        shapes: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for i, p in enumerate(given):
            shapes[p.shape[0], p[0].numel()].append(i)
        for (rows, columns), together in shapes.items():
            # Channels last, as convolutions lie in memory: in which order the columns stand changes nothing.
            laid = [steps[i].movedim(1, -1) for i in together]
            made = orthogonal(torch.stack([one.reshape(rows, columns) for one in laid]))
            moved = [step.view(one.shape).movedim(-1, 1) for one, step in zip(laid, made, strict=True)]
            many.add_([given[i] for i in together], moved, alpha=-group["lr"] * 0.2 * max(rows, columns) ** 0.5)

    def _adam(self, given: list[Tensor], group: dict[str, Any]) -> None:
        """Kingma and Ba 2015, algorithm 1."""
        gradients = [p.grad for p in given if p.grad is not None]
        means, squares = self._kept(given, "mean"), self._kept(given, "square")
        group["steps"] += 1
        first, second = group["betas"]
        many.lerp_(means, gradients, 1 - first)
        many.mul_(squares, second)
        many.addcmul_(squares, gradients, gradients, 1 - second)
        roots = many.div(squares, 1 - second ** group["steps"])
        many.sqrt_(roots)
        many.add_(roots, group["eps"])
        many.addcdiv_(given, means, roots, -group["lr"] / (1 - first ** group["steps"]))

    def _kept(self, given: list[Tensor], name: str) -> list[Tensor]:
        """The state of that name of each weight, zeros at first."""
        for p in given:
            if name not in self.state[p]:
                self.state[p][name] = torch.zeros_like(p)
        return [self.state[p][name] for p in given]
