"""Run folders as training and evaluation leave them, made in a moment."""

from __future__ import annotations

import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from framecast.evaluate import Result, score
from framecast.protocols import Protocol
from framecast.report import kept
from framecast.results import record
from framecast.schedules import Progress, parse

CONFIG = {"model": "pose_cvae", "data": "stores/x", "steps": 100, "beta": "cyclical:cycles=4", "tfr": "phases",
          "objective": "mse", "log_every": 2, "schedule_unit": "step", "made_with": {"commit": "abc1234"}}  # fmt: skip


def film(t: int, seed: int) -> np.ndarray:
    """Noise, uint8 (T, 12, 24, 3)."""
    return np.random.default_rng(seed).integers(0, 255, (t, 12, 24, 3), dtype=np.uint8)


def trained(folder: Path, rows: int = 51, epoch: float = 25.0, **changes: Any) -> Path:
    """A run folder whose training logged every second step, of `epoch` steps an epoch."""
    folder.mkdir(parents=True)
    config = {**CONFIG, **changes}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    beta, tfr = parse(str(config["beta"])), parse(str(config["tfr"]))
    with open(folder / "metrics.csv", "w", newline="") as file:
        writer = csv.writer(file)
        names = ("total", "reconstruction", "kl", "kl_weighted", "psnr", "beta", "tfr")
        writer.writerow(["step", "epoch", "seconds", *(f"train/{name}" for name in names), "val/psnr"])
        for step in (max(1, 2 * k) for k in range(rows)):
            done = step - 1
            now = Progress(done / config["steps"], done / epoch, config["steps"] / epoch)
            values = [1 / step, 1 / step, 30 / step, 0.1 / step, 15 + step / 20, beta(now), tfr(now)]
            writer.writerow([step, done / epoch, step * 0.5, *values, ""])
    return folder


def scored(folder: Path, shift: int = 0, **rules: Any) -> Path:
    """Adds an evaluation of three sequences, films included; returns its results.json."""
    truth = [film(6, n) for n in range(3)]
    result = Result(["0", "1", "2"], truth, [None] * 3, [t[:1] for t in truth], [0, 1, 2])
    mixed = [(t // 4 * 3 + film(6, 9 + n + shift) // (4 + 4 * n)).astype(np.uint8) for n, t in enumerate(truth)]
    result.scores["pose_cvae"] = [score(t, m) for t, m in zip(truth, mixed, strict=True)]
    result.scores["copy first frame"] = [score(t, np.repeat(t[:1], 6, 0)) for t in truth]
    out = folder / "evaluation-val"
    about: dict[str, Any] = {"runs": {}, "protocol": Protocol("own", "drawn", **rules).record(), "split": "val"}
    about |= {"fps": 30.0, "context": 1, "films": kept.keep(result, out)}
    (out / "results.json").write_text(json.dumps(record(result, about)))
    return out / "results.json"


def aged(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / "metrics.csv", (then, then))
