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

# torch's calls on many tensors at once, which it has but does not declare: faster than a loop over weights.
CALLS = {"lerp": "_foreach_lerp", "lerp_": "_foreach_lerp_", "adamw_": "_fused_adamw_"}
many: Any = SimpleNamespace(**{name: getattr(torch, call) for name, call in CALLS.items()})
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Jordan's quintic iteration


def turns(squares: Tensor, rounds: int = 5) -> Tensor:
    """(N, r, r), the squares x x^T of matrices -> by what x is turned (from the left) to be about orthogonal.

    Of x = U S V^T it makes about U V^T, singular values between 0.7 and 1.2: enough for a step. A round turns x to
    p(x x^T) x with a polynomial p, and so x x^T to p x x^T p. The rounds are walked with the small x x^T alone: a third
    of the products where one side of x is nine times the other. Gradients in float32 are kept in it: in bf16 the rounds
    as published are off by up to tenths.
    """
    a, b, c = COEFFICIENTS
    size = squares.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-14)[:, None, None]  # the squared norm of x
    squares, found = squares / size, []
    for _ in range(rounds):
        if found:
            squares = found[-1] @ squares @ found[-1]
        found.append(torch.baddbmm(squares, squares, squares, beta=b, alpha=c))
        found[-1].diagonal(dim1=1, dim2=2).add_(a)
    return reduce(torch.matmul, found) * size.rsqrt()


def wide(weight: Tensor, like: Tensor) -> Tensor:
    """(o, i, ...) as a matrix, no taller than wide, its columns in the order in which `like` lies in memory.

    In which order they stand changes nothing. Of `like` itself it is a view.
    """
    rows = weight if like.is_contiguous() else weight.movedim(1, -1)  # channels last
    matrix = rows.reshape(len(rows), -1)
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


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
                (self._muon if group["muon"] else self._adam)(given, group)
        return loss

    def _muon(self, given: list[Tensor], group: dict[str, Any]) -> None:
        """The rounds of all matrices of one smaller side are walked together, in batches of products."""
        gradients = [p.grad for p in given if p.grad is not None]
        momenta = self._kept(given, "momentum")
        many.lerp_(momenta, gradients, 1 - group["momentum"])
        steps = many.lerp(gradients, momenta, group["momentum"])  # Nesterov
        together: defaultdict[int, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for p, step in zip(given, steps, strict=True):
            x = wide(step, p)
            together[len(x)].append((wide(p, p), x))
        kept = 1 - group["lr"] * group["weight_decay"]
        for pairs in together.values():
            found = turns(torch.stack([x @ x.mT for _, x in pairs]))
            for (weight, x), turn in zip(pairs, found, strict=True):
                weight.addmm_(turn, x, beta=kept, alpha=-group["lr"] * 0.2 * max(x.shape) ** 0.5)

    def _adam(self, given: list[Tensor], group: dict[str, Any]) -> None:
        """torch's AdamW (Loshchilov and Hutter 2019), in one call."""
        gradients = [p.grad for p in given]
        means, squares = self._kept(given, "mean"), self._kept(given, "square")
        group["steps"] += 1
        steps = [torch.tensor(float(group["steps"]), device=given[0].device)] * len(given)
        rates = {"lr": group["lr"], "weight_decay": group["weight_decay"], "eps": group["eps"]}
        rates |= dict(zip(("beta1", "beta2"), group["betas"], strict=True))
        many.adamw_(given, gradients, means, squares, [], steps, **rates, amsgrad=False, maximize=False)

    def _kept(self, given: list[Tensor], name: str) -> list[Tensor]:
        """The state of that name of each weight, zeros at first."""
        for p in given:
            if name not in self.state[p]:
                self.state[p][name] = torch.zeros_like(p)
        return [self.state[p][name] for p in given]
