"""Models x store -> scores: free-running rollouts, scored frame by frame, copy baselines always beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TypeVar

import numpy as np
import torch

from framecast import models
from framecast.metrics.extras import LOWER, NOTHING, Extras
from framecast.metrics.frame import drift, psnr, psnr_by_channel, ssim
from framecast.metrics.sampling import Diversity, best_of
from framecast.models.base import Model
from framecast.protocols import Psnr
from framecast.rollout import CHUNK, as_bytes, cuts, roll
from framecast.store import Store
from framecast.values import Episode, Spec, tensor

T = TypeVar("T")

FRAMES_AT_ONCE = 2**21  # pixels of the frames that are drawn together: memory does not grow with samples or videos
SHOWN = 3  # samples of a video that are kept to be looked at, beside the best


@dataclass
class Scored:
    """One way to predict one episode.

    Args:
        psnr, ssim: (K, T), dB and index of every predicted frame of every sample.
        frames: uint8 (T, H, W, C), the sample that is best by PSNR.
        diversity: mean pairwise distance of the samples (grey levels).
        samples: the first few, uint8 (T, H, W, C) each, where there are many.
        more: further metrics of every frame, by name, likewise (K, T).
        features: (K, D) of the first K samples' clips, for FVD.
    """

    psnr: np.ndarray
    ssim: np.ndarray
    frames: np.ndarray
    diversity: float = 0.0
    samples: list[np.ndarray] = field(default_factory=list)
    more: dict[str, np.ndarray] = field(default_factory=dict)
    features: np.ndarray | None = None

    def series(self) -> dict[str, np.ndarray]:
        """Every metric of frames, (K, T), by name."""
        return {"psnr": self.psnr, "ssim": self.ssim, **self.more}

    def curve(self) -> np.ndarray:
        """(T,) PSNR of every frame, the mean over samples."""
        return self.psnr.mean(0)

    def numbers(self, samples: int = 1) -> dict[str, float]:
        """Means over frames and samples, and drift; of many samples also the best, per metric, and their diversity."""
        series = self.series()
        found = {key: float(values.mean()) for key, values in series.items()} | {"drift": drift(self.curve())}
        if samples > 1:
            best = {f"{key} best of {samples}": best_of(v, lowest=key in LOWER) for key, v in series.items()}
            found |= best | {"diversity": self.diversity}
        return found


@dataclass
class Result:
    """All predictions of an evaluation: `scores[who][episode]`, with the truth (T, H, W, C) of each episode.

    `whole[who]` are numbers that only all episodes together have (FVD).
    `numbers` are the episodes' places in their split, by which their noise is drawn.
    """

    names: list[str]
    truth: list[np.ndarray]
    conditions: list[np.ndarray | None]
    given: list[np.ndarray]
    numbers: list[int]
    samples: int = 1
    formula: Psnr = "frame"
    scores: dict[str, list[Scored]] = field(default_factory=dict)
    speed: dict[str, float] = field(default_factory=dict)
    extras: Extras = NOTHING
    whole: dict[str, dict[str, float]] = field(default_factory=dict)

    def table(self) -> dict[str, dict[str, float]]:
        """Per way to predict: the mean over episodes of its numbers."""
        rows = {}
        for who, scored in self.scores.items():
            numbers = [s.numbers(self.samples) for s in scored]
            rows[who] = {key: float(np.mean([n[key] for n in numbers])) for key in numbers[0]} | self.whole.get(who, {})
        return rows


def score(truth: np.ndarray, frames: np.ndarray, formula: Psnr = "frame", extras: Extras = NOTHING) -> Scored:
    """Compares one film, uint8 (T, H, W, C), with the truth, frame by frame, in float64."""
    a, b = tensor(frames)[None], tensor(truth)[None]
    measure = {"frame": psnr, "channel": psnr_by_channel}[formula]
    return Scored(measure(a, b).numpy(), ssim(a, b).numpy(), frames, more=extras.measured(a, b))


def episodes_for(
    store: Store, split: str, context: int, horizon: int | None, most: int | None, whole: bool = False
) -> list[tuple[int, Episode, int]]:
    """The episodes of a split that have truth to compare with: number, episode, and how many frames are predicted.

    With `whole`, those that end before the horizon are left out; else they are predicted to their ends.

    Raises:
        ValueError: none is left.
    """
    least = horizon if whole and horizon else 1
    found = []
    for number in store.long_enough(split, context + least)[:most]:
        episode = store.episode(split, number)
        room = len(episode.frames) - context
        found.append((number, episode, min(room, horizon) if horizon else room))
    if not found:
        room = max(entry.frames for entry in store.entries_of(split)) - context
        if room < 1:
            raise ValueError(
                f"The {split!r} episodes of {store.root} hold no frame after the first {context}, so there is no truth"
                " to compare with. Use `framecast predict`, or give another --split."
            )
        raise ValueError(
            f"--horizon {horizon}: the longest {split} episode of {store.root} has {room} frames after {context} given"
            f" ones, and a score needs the truth. Give at most {room}; `framecast predict` goes on for as long as it"
            " is given conditions."
        )
    return found


def evaluate(
    predictors: dict[str, Model],
    store: Store,
    split: str,
    context: int = 1,
    horizon: int | None = None,
    most: int | None = None,
    seed: int = 0,
    baselines: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
    samples: int = 1,
    formula: Psnr = "frame",
    extras: Extras = NOTHING,
    whole: bool = False,
) -> Result:
    """Free-running rollouts of every predictor over a split, and of the copy baselines.

    Args:
        predictors: models in eval mode by the name of their row.
        store: with the split.
        split: its name.
        context: given frames.
        horizon: frames to predict of each episode at most; None: all there are.
        most: episodes at most.
        seed: of the samples: sample k of episode n is drawn from (seed, k, n), as `framecast predict` draws it.
        baselines: with the copy baselines.
        progress: called with who predicts, frames done, and frames in all.
        samples: K of each episode.
        formula: of the PSNR, as `protocols.Protocol` has it.
        extras: further metrics.
        whole: episodes that end before the horizon are left out, not predicted to their ends.

    Raises:
        ValueError: no episode is long enough; the store's condition or size is not what a model was trained on.
    """
    if samples < 1:
        raise ValueError(f"--samples is 1 or more, not {samples}.")
    result = Result([], [], [], [], [], samples, formula, extras=extras)
    for number, episode, frames in episodes_for(store, split, context, horizon, most, whole):
        stop = context + frames
        result.numbers.append(number)
        result.names.append(episode.name)
        result.given.append(np.asarray(episode.frames[:context]))
        result.truth.append(np.asarray(episode.frames[context:stop]))
        result.conditions.append(None if episode.condition is None else np.asarray(episode.condition[:stop]))
    for who, model in predictors.items():
        check_fit(model, store)
        result.scores[who], seconds = _draw(who, model, result, samples, seed, progress)
        result.speed[who] = samples * sum(len(t) for t in result.truth) / seconds
    for who, model in copies(store.spec, context).items() if baselines else ():
        result.scores[who] = _draw(who, model, result, 1, seed)[0]
    return result


def copies(spec: Spec, context: int) -> dict[str, Model]:
    """The copy baselines by the names of their rows; of one given frame, the first and the last are the same."""
    which = ("first",) if context == 1 else ("first", "last")
    return {f"copy {frame} frame": models.build(spec, "copy", {"which": frame}).eval() for frame in which}


def told_otherwise(model: Model, result: Result, conditions: list[np.ndarray | None], seed: int = 0) -> float:
    """Mean PSNR of a model over the episodes of a result, one sample each, told other conditions than the true ones.

    Args:
        model: in eval mode.
        result: whose episodes are drawn again.
        conditions: (context + horizon, ...) of each episode.
        seed: of the samples.
    """
    again = replace(result, conditions=conditions, samples=1, scores={}, speed={}, extras=NOTHING)
    again.scores["told"] = _draw("told", model, again, 1, seed)[0]
    return again.table()["told"]["psnr"]


def _draw(
    who: str,
    model: Model,
    result: Result,
    samples: int,
    seed: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[list[Scored], float]:
    """Every episode's samples, drawn in batches over episodes and samples of one length; and the seconds it took."""
    lengths = [len(t) for t in result.truth]
    height, width = result.truth[0].shape[1:3]
    together = max(1, FRAMES_AT_ONCE // (height * width))
    jobs = sorted(((n, k) for n in range(len(lengths)) for k in range(samples)), key=lambda job: lengths[job[0]])
    gathered: dict[int, _Gathered] = {}
    finished: dict[int, Scored] = {}
    done, total, seconds = 0, samples * sum(lengths), 0.0
    for length, group in groupby(jobs, key=lambda job: lengths[job[0]]):
        for batch in portions(list(group), max(1, together // min(length, CHUNK))):
            begun = time.perf_counter()
            drawn = _rows(model, result, batch, seed, together)
            seconds += time.perf_counter() - begun
            for (n, _), film in zip(batch, drawn, strict=True):
                episode = gathered.setdefault(n, _Gathered(result, n))
                episode.add(film)
                if episode.diversity.count == samples:
                    finished[n] = gathered.pop(n).scored()
            done += len(batch) * length
            if progress:
                progress(who, done, total)
    return [finished[n] for n in range(len(lengths))], seconds


def portions(jobs: list[T], most: int) -> Iterator[list[T]]:
    """So many at a time or a little fewer: all of about one size, as small batches are slow."""
    count = -(-len(jobs) // -(-len(jobs) // most)) if jobs else 1
    return (jobs[at : at + count] for at in range(0, len(jobs), count))


def _rows(model: Model, result: Result, batch: list[tuple[int, int]], seed: int, together: int) -> np.ndarray:
    """One film, uint8 (T, H, W, C), for each (episode, sample)."""
    context, length = len(result.given[0]), len(result.truth[batch[0][0]])
    size = max(1, min(CHUNK, together // len(batch)))
    videos = [n for n, _ in batch]
    videos = videos[:1] if len(set(videos)) == 1 else videos  # `roll` begins the samples of one video together
    known = [result.conditions[n] for n in videos]

    def piece(first: int, stop: int) -> torch.Tensor | int:
        if known[0] is None or model.spec.condition.kind == "none":
            return stop - first
        return torch.stack([tensor(c[first:stop]) for c in known if c is not None])

    pieces = (piece(first, stop) for first, stop in [(0, context), *cuts(context, length, size)])
    frames = torch.stack([tensor(result.given[n]) for n in videos])
    drawn = roll(model, frames, pieces, [(seed, k, result.numbers[n]) for n, k in batch])
    return np.concatenate([as_bytes(p) for p in drawn], 1)


class _Gathered:
    """The samples of one episode as they come in."""

    def __init__(self, result: Result, n: int) -> None:
        self.given, self.truth, self.diversity = result.given[n], result.truth[n], Diversity()
        self.formula: Psnr = result.formula
        self.extras = result.extras
        self.series: dict[str, list[np.ndarray]] = {}
        self.samples: list[np.ndarray] = []
        self.features: list[np.ndarray] = []
        self.best: Scored | None = None

    def add(self, film: np.ndarray) -> None:
        film = film.copy()  # of what is kept a view would hold all films that were drawn with it
        found = score(self.truth, film, self.formula, self.extras)
        if self.best is None or found.psnr.mean() > self.best.psnr.mean():
            self.best = found
        for key, values in found.series().items():
            self.series.setdefault(key, []).append(values[0])
        self.samples += [film] if len(self.samples) < SHOWN else []
        if self.extras.clip and len(self.features) < self.extras.clips:
            self.features.append(self.extras.clip(np.concatenate([self.given, film])))
        self.diversity.add(film)

    def scored(self) -> Scored:
        assert self.best is not None
        series = {key: np.stack(values) for key, values in self.series.items()}
        samples = self.samples if len(series["psnr"]) > 1 else []
        features = np.stack(self.features) if self.features else None
        of = (series.pop("psnr"), series.pop("ssim"), self.best.frames, self.diversity.value(), samples)
        return Scored(*of, more=series, features=features)


def check_fit(model: Model, store: Store) -> None:
    """Raises ValueError where the store's frames or conditions are not what the model was trained on."""
    want, have = model.spec, store.spec
    free = want.condition.kind == "none"  # it needs none, whatever there is
    if not free and (want.condition.kind, want.condition.size) != (have.condition.kind, have.condition.size):
        raise ValueError(
            f"This run was trained with the condition {want.condition}; {store.root} has {have.condition}."
            " Pack the data with the same fields, or train on it."
        )
    if (want.height, want.width, want.channels) != (have.height, have.width, have.channels):
        raise ValueError(
            f"This run was trained on {want.height}x{want.width} frames of {want.channels} channels; {store.root} has"
            f" {have.height}x{have.width} of {have.channels}. Pack it with --size {want.height}x{want.width}."
        )
