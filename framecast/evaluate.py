"""Checkpoint x store -> results: free-running rollouts, scored frame by frame, copy baselines always beside them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from framecast import models
from framecast.atomic import replacing
from framecast.metrics.frame import drift, psnr, ssim
from framecast.models.base import Model
from framecast.predictor import Predictor
from framecast.store import Store
from framecast.values import Episode, tensor


@dataclass
class Scored:
    """One way to predict one episode: PSNR (dB) and SSIM of every predicted frame; frames uint8 (T, H, W, C)."""

    psnr: np.ndarray
    ssim: np.ndarray
    frames: np.ndarray

    def numbers(self) -> dict[str, float]:
        """Means over frames, and drift."""
        return {"psnr": float(self.psnr.mean()), "ssim": float(self.ssim.mean()), "drift": drift(self.psnr)}


@dataclass
class Result:
    """All predictions of an evaluation: `scores[who][episode]`, with the truth (T, H, W, C) of each episode."""

    names: list[str]
    truth: list[np.ndarray]
    conditions: list[np.ndarray | None]
    given: list[np.ndarray]
    scores: dict[str, list[Scored]] = field(default_factory=dict)
    speed: dict[str, float] = field(default_factory=dict)

    def table(self) -> dict[str, dict[str, float]]:
        """Per way to predict: the mean over episodes of PSNR, SSIM and drift."""
        rows = {}
        for who, scored in self.scores.items():
            numbers = [s.numbers() for s in scored]
            rows[who] = {key: float(np.mean([n[key] for n in numbers])) for key in numbers[0]}
        return rows


def score(truth: np.ndarray, frames: np.ndarray) -> Scored:
    """Compares uint8 (T, H, W, C) frames with the truth, frame by frame, in float64."""
    a, b = tensor(frames)[None], tensor(truth)[None]
    return Scored(psnr(a, b)[0].numpy(), ssim(a, b)[0].numpy(), frames)


def episodes_for(
    store: Store, split: str, context: int, horizon: int | None, most: int | None
) -> list[tuple[Episode, int]]:
    """The episodes of a split that have truth to compare with, and how many frames of each are predicted.

    Raises:
        ValueError: none has.
    """
    found = []
    for episode in store.episodes(split):
        room = len(episode.frames) - context
        if room >= 1:
            found.append((episode, min(room, horizon) if horizon else room))
        if most and len(found) >= most:
            break
    if not found:
        raise ValueError(
            f"The {split!r} episodes of {store.root} hold no frame after the first {context}, so there is no truth to"
            " compare with. Use `framecast predict`, or give another --split."
        )
    return found


def evaluate(
    predictors: dict[str, Model],
    store: Store,
    split: str,
    context: int = 1,
    horizon: int | None = 629,
    most: int | None = None,
    seed: int = 0,
    baselines: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> Result:
    """Free-running rollouts of every predictor over a split, and of the copy baselines.

    Args:
        predictors: models in eval mode by the name of their row; a name that ends in `(mean)` uses the prior's mean.
        store: with the split.
        split: its name.
        context: given frames.
        horizon: frames to predict of each episode at most; None: all there are.
        most: episodes at most.
        seed: of the samples.
        baselines: with the copy baselines.
        progress: called with who predicts, frames done, and frames in all.

    Raises:
        ValueError: the store's condition or size is not what a model was trained on.
    """
    chosen = episodes_for(store, split, context, horizon, most)
    result = Result([], [], [], [])
    for episode, frames in chosen:
        stop = context + frames
        result.names.append(episode.name)
        result.given.append(np.asarray(episode.frames[:context]))
        result.truth.append(np.asarray(episode.frames[context:stop]))
        result.conditions.append(None if episode.condition is None else np.asarray(episode.condition[:stop]))
    for which in ("first", "last") if baselines else ():
        model = models.build(store.spec, "copy", {"which": which}).eval()
        if which == "last" and context == 1:
            continue  # with one given frame they are the same
        predictors = {**predictors, f"copy {which} frame": model}
    for who, model in predictors.items():
        check_fit(model, store)
        begun, total, done = time.perf_counter(), sum(len(t) for t in result.truth), 0
        drawn_all = []
        for given, truth, condition in zip(result.given, result.truth, result.conditions, strict=True):
            pieces = []
            predictor = Predictor(model, who, {})
            for piece in predictor.stream(given, condition, 1, seed, len(truth), mean=who.endswith("(mean)")):
                pieces.append(piece[0])
                done += piece.shape[1]
                if progress:
                    progress(who, done, total)
            drawn_all.append(np.concatenate(pieces))
        result.speed[who] = total / (time.perf_counter() - begun)
        result.scores[who] = [score(t, d) for t, d in zip(result.truth, drawn_all, strict=True)]
    return result


def check_fit(model: Model, store: Store) -> None:
    """Raises ValueError where the store's frames or conditions are not what the model was trained on."""
    want, have = model.spec, store.spec
    if (want.condition.kind, want.condition.size) != (have.condition.kind, have.condition.size):
        raise ValueError(
            f"This run was trained with the condition {want.condition}; {store.root} has {have.condition}."
            " Pack the data with the same fields, or train on it."
        )
    if (want.height, want.width, want.channels) != (have.height, have.width, have.channels):
        raise ValueError(
            f"This run was trained on {want.height}x{want.width} frames of {want.channels} channels; {store.root} has"
            f" {have.height}x{have.width} of {have.channels}. Pack it with --size {want.height}x{want.width}."
        )


def record(result: Result, about: dict[str, Any]) -> dict[str, Any]:
    """The results as plain values, with the rules they were made by."""
    rules = {
        "psnr": "10 log10(1 / MSE) per frame over C, H, W of uint8 / 255, float64, MSE at least 1e-10",
        "mean": "over the frames of an episode, then over episodes",
        "ssim": "per frame, Gaussian window 11, sigma 1.5, K1 0.01, K2 0.03, data_range 1",
        "drift": "mean PSNR of the first hundred predicted frames less that of the last hundred (thirds below 200)",
    }
    episodes = [
        {
            "name": name,
            "frames": len(result.truth[i]),
            "scores": {w: {"psnr": s[i].psnr.tolist(), "ssim": s[i].ssim.tolist()} for w, s in result.scores.items()},
        }
        for i, name in enumerate(result.names)
    ]
    return {**about, "rules": rules, "table": result.table(), "frames_per_second": result.speed, "episodes": episodes}


def write_json(path: Path, data: dict[str, Any]) -> None:
    """JSON, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(data, indent=1))
