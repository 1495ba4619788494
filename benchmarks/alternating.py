"""What the speed benchmarks share: sides that alternate in one run, their ratios, and a training step of framecast."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable

import torch

from framecast.data import Batches
from framecast.models.base import Model
from framecast.objective import Objective
from framecast.rollout import autocast, drawn_frames, walk


def alternate(sides: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Frames a second of every side, a round of all sides after another, after one that is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, work in sides.items():
            begun = time.perf_counter()
            frames = work()
            if number:
                rates[name].append(frames / (time.perf_counter() - begun))
    return rates


def ratios(rates: dict[str, list[float]], pairs: dict[str, tuple[str, str]]) -> dict[str, dict[str, float]]:
    """The first side of each pair over the second, round by round."""
    found = {}
    for name, (ours, theirs) in pairs.items():
        found[name] = middle([a / b for a, b in zip(rates[ours], rates[theirs], strict=True)])
    return found


def middle(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def stepping(
    model: Model, optimizer: torch.optim.Optimizer, objective: Objective, beta: float = 1.0, context: int = 1
) -> Callable[[Batches, bool], int]:
    """A function that takes one training step as a run takes it: batch, walk, bound, clip, optimiser.

    Given the batches and whether the truth is fed at every step, it returns the frames that were drawn.
    """
    counter = iter(range(10**9))

    def step(batches: Batches, forced: bool) -> int:
        clip = batches[next(counter)].to_float()
        count, (frames, _) = len(clip.frames), drawn_frames(model, clip.frames.shape[1], context)
        mask = torch.full((count, frames), forced)
        with autocast(torch.device("cpu")):
            loss = objective(walk(model, clip, mask, torch.randn(count, frames, *model.noise_shape), context), beta)
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return count * frames

    return step


def output_of(command: list[str]) -> str:
    """What a command prints; an exception where it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
