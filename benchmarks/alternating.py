"""What the speed benchmarks share: sides that alternate in one run, their ratios, and a training step of framecast."""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from framecast.data import Batches
from framecast.memory import keep_freed
from framecast.models.base import Model
from framecast.objective import Objective
from framecast.rollout import autocast, drawn_frames, gains_from_bf16, walk
from framecast.store import Store

Sides = dict[str, Callable[[], int]]  # each does some work and returns its frames
WARM = 3  # rounds until a process has the memory that it keeps: new pages cost up to half of a step
PLAIN = "plain"  # how the names of the reference's sides begin
_sides: Sides = {}  # of this process


def results_file(name: str) -> Path:
    """Where a benchmark's result belongs: processors with bf16 and without have a file each."""
    kind = "" if gains_from_bf16(torch.device("cpu")) else "_float32"
    return Path(__file__).parent / "results" / f"{name}{kind}.json"


def alternate(
    make: Callable[[Store], Sides], store: Path, pairs: dict[str, tuple[str, str]], rounds: int
) -> dict[str, list[float]]:
    """Frames a second of every side of the pairs, a round of all after another, after `WARM` that are not counted.

    The plain sides have a process of their own, and framecast's have one that is set up as its command line sets it up.
    While one of them works the other waits.
    """
    spawn = multiprocessing.get_context("spawn")
    names = dict.fromkeys(name for pair in pairs.values() for name in pair)
    rates: dict[str, list[float]] = {name: [] for name in names}
    with (
        ProcessPoolExecutor(1, spawn, _begin, (make, store, True)) as plain,
        ProcessPoolExecutor(1, spawn, _begin, (make, store, False)) as ours,
    ):
        for number in range(WARM + rounds):
            for name in names:
                rate = (plain if name.startswith(PLAIN) else ours).submit(_rate, name).result()
                if number >= WARM:
                    rates[name].append(rate)
    return rates


def _begin(make: Callable[[Store], Sides], store: Path, plain: bool) -> None:
    if not plain:
        keep_freed()
    _sides.update(make(Store(store)))


def _rate(name: str) -> float:
    begun = time.perf_counter()
    frames = _sides[name]()
    return frames / (time.perf_counter() - begun)


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
