"""Speed and memory of framecast beside the plain transcription of system A's loop, both sides alternating in one run.

    python benchmarks/speed.py [--rounds 7] [--out FILE]

The reference is `reference_pose_cvae.py`: batch 2, 16 frames, fp32, both encoders at every step. Every ratio is the
median of the rounds' ratios, as machines are shared and noisy. framecast's sides run in a process set up as its command
line sets it up.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import reference_pose_cvae as reference
import torch
from alternating import WARM, Sides, alternate, output_of, ratios, results_file, stepping
from torch.profiler import ProfilerActivity, profile

from framecast import models
from framecast.commands.train import load_recipe
from framecast.data import Batches
from framecast.objective import Objective
from framecast.packing import pack
from framecast.predictor import Predictor
from framecast.rollout import channels_last
from framecast.store import Store
from framecast.training.muon import Muon
from framecast.training.run import provenance
from framecast.values import Condition, Spec

SPEC = Spec(32, 64, 3, Condition("picture", 3))
ASKED = {
    "pose_cvae training, teacher forcing": 3.0,
    "pose_cvae training, free running": 1.5,
    "pose_cvae prediction": 2.0,
    "anchor training": 25.0,
    "anchor training, clips of 9 frames": 25.0,
    "anchor prediction": 50.0,
}
PAIRS = {
    "pose_cvae training, teacher forcing": ("pose_cvae forced", "plain forced"),
    "pose_cvae training, free running": ("pose_cvae free", "plain free"),
    "pose_cvae prediction": ("pose_cvae predicts", "plain predicts"),
    "anchor training": ("anchor trains", "plain forced"),
    "anchor training, clips of 9 frames": ("anchor trains long clips", "plain forced"),
    "anchor prediction": ("anchor predicts", "plain predicts"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=results_file("speed"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = pack("dancer", {"train": 1000, "val": 64, "test": 0}, Path(scratch) / "store")
        peak = memory(store.root)  # first: a child's peak is never below what its parent holds when it starts
        rates = alternate(sides, store.root, PAIRS, options.rounds)
        results = {
            "ratios": ratios(rates, PAIRS),
            "frames_per_second": {name: statistics.median(values) for name, values in rates.items()},
            "batches_one_core": batches(store.root),
            "anchor_training_peak_mib": peak,
            "help_seconds": help_seconds(),
            "pose_cvae_forced_share_in_convolutions": share_in_convolutions(store),
            "rounds": options.rounds,
            "date": datetime.date.today().isoformat(),
            "made_with": provenance(),
        }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    for name, found in results["ratios"].items():
        span = f"{found['low']:.1f} to {found['high']:.1f}"
        print(f"{name:40} {found['median']:7.1f} x the plain loop ({span}; asked: {ASKED[name]:g})")
    print(f"random 16-frame batches on one core      {results['batches_one_core']:,.0f} frames/s (asked: 20,000)")
    share = results["pose_cvae_forced_share_in_convolutions"]
    bound = results["ratios"]["pose_cvae training, teacher forcing"]["median"] / share
    print(f"forced training of pose_cvae spends {share:.0%} in convolutions; were all else free: {bound:.1f} x")
    print(
        f"training anchor, peak memory             {results['anchor_training_peak_mib']:,.0f} MiB (asked: under 1,500)"
    )


def sides(store: Store) -> Sides:
    """Every side as a function that does some work and returns its frames."""
    clip = Batches(store, "train", 2, 16)[0].to_float()
    conditions = clip.condition
    assert conditions is not None
    episode = store.episode("val", 0)
    frames, labels = np.asarray(episode.frames[:1]), np.asarray(episode.condition)
    plain = reference.Model()
    optimizer = reference.make_optimizer(plain)
    still, moving = clip.frames[:1, 0], conditions[:1].repeat(1, 2, 1, 1, 1)

    def plain_trains(forced: bool) -> int:
        reference.training_step(plain, optimizer, clip.frames.contiguous(), conditions.contiguous(), 1e-4, forced)
        return 2 * 15

    def plain_predicts() -> int:
        return reference.predict(plain, still.contiguous(), moving.contiguous()).shape[1]

    cvae, anchor = trained("pose_cvae"), trained("anchor")
    # Clips as its recipe has them, which learn most in a minute; and long ones, which have more frames a second.
    recipe, sampling = load_recipe("anchor"), models.find("anchor").sampling
    short = Batches(store, "train", recipe["batch_size"], recipe["clip_length"], sampling=sampling)
    long = Batches(store, "train", recipe["batch_size"], 9, sampling=sampling)
    return {
        "plain forced": lambda: plain_trains(True),
        "pose_cvae forced": lambda: cvae(Batches(store, "train", 2, 16), True),
        "anchor trains": lambda: sum(anchor(short, True) for _ in range(16)),
        "anchor trains long clips": lambda: sum(anchor(long, True) for _ in range(8)),
        "plain free": lambda: plain_trains(False),
        "pose_cvae free": lambda: cvae(Batches(store, "train", 2, 16), False),
        "plain predicts": plain_predicts,
        "pose_cvae predicts": predicting("pose_cvae", frames, labels[:33]),
        "anchor predicts": predicting("anchor", np.asarray(frames), np.tile(labels, (10, 1, 1, 1))[:630]),
    }


def trained(name: str) -> Callable[[Batches, bool], int]:
    """A training step of a model with framecast's defaults."""
    model = channels_last(models.build(SPEC, name, {})).train()
    muon = name == "anchor"  # as in its recipe
    optimizer = Muon(model, lr=2e-3) if muon else torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    return stepping(model, optimizer, Objective("calibrated"))


def predicting(name: str, frames: np.ndarray, labels: np.ndarray) -> Callable[[], int]:
    """A free-running prediction through the public door."""
    predictor = Predictor(channels_last(models.build(SPEC, name, {})).eval(), name, {})
    return lambda: len(predictor.predict(frames, labels))


def batches(root: Path) -> float:
    """Frames a second of random 16-frame batches (of 8 clips), on one core, in a process of its own."""
    code = (
        "import sys, time, torch\n"
        "torch.set_num_threads(1)\n"
        "from framecast.data import Batches\nfrom framecast.store import Store\n"
        "made = Batches(Store(sys.argv[1]), 'train', 8, 16)\n"
        "[made[k] for k in range(50)]\n"
        "begun = time.perf_counter()\n"
        "[made[k] for k in range(50, 350)]\n"
        "print(300 * 8 * 16 / (time.perf_counter() - begun))\n"
    )
    return float(output_of([sys.executable, "-c", code, str(root)]))


def memory(root: Path) -> float:
    """Peak memory (MiB) of `framecast train --model anchor` in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "framecast.cli", "train", "--data", str(root), "--model", "anchor"]
        output_of([*command, "--steps", "60", "--out", f"{scratch}/run", "--validations", "2"])
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def share_in_convolutions(store: Store, steps: int = 3) -> float:
    """Part of a forced training step of `pose_cvae` spent in convolutions and their gradients, by tiles or not."""
    step, clips = trained("pose_cvae"), Batches(store, "train", 2, 16)
    for _ in range(WARM):
        step(clips, True)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(steps):
            step(clips, True)
    events = list(profiled.events() or [])
    inside = [event.self_cpu_time_total for event in events if in_convolution(event)]
    return sum(inside) / sum(event.self_cpu_time_total for event in events)


def in_convolution(event: Any) -> bool:
    """Whether a profiled call is a convolution or was made by one."""
    while event is not None:
        if "convolution" in event.name.lower():
            return True
        event = event.cpu_parent
    return False


def help_seconds(times: int = 7) -> float:
    """Median wall time of `framecast --help`, interpreter start included (asked: under 0.5)."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        output_of([sys.executable, "-m", "framecast.cli", "--help"])
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
