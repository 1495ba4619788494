"""What a run folder shows: samples while it trains, and the films, strips and figures of an evaluation."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from framecast.evaluate import Result, evaluate
from framecast.reading import reading
from framecast.report.figures import psnr_figure, training_figure
from framecast.report.film import write_film
from framecast.report.kept import models_of
from framecast.report.panels import error_picture, side_by_side
from framecast.report.sheets import strip
from framecast.store import Store


def validator(
    store: Store, samples: Path, frames: int, episodes: int, context: int = 1
) -> Callable[[Any, int], dict[str, float]]:
    """A validation for training: free-running rollouts over val, their scores, and a GIF of the first episode.

    Args:
        store: with a val split.
        samples: folder of the GIFs.
        frames: to predict of each episode at most.
        episodes: at most.
        context: given frames.
    """

    def validate(model: Any, step: int) -> dict[str, float]:
        result = evaluate({"prediction": model}, store, "val", context, frames, episodes, baselines=False)
        scored = result.scores["prediction"]
        first = scored[0].frames[:150]
        film = side_by_side(result.truth[0][:150], first, condition=pictures(result.conditions[0], len(first)))
        write_film(samples / f"step-{step:07}.gif", film, store.spec.fps)
        ends = np.array([[s.curve()[0], s.curve()[-1]] for s in scored]).mean(0)
        return {**result.table()["prediction"], "first": ends[0], "last": ends[1]}

    return validate


def pictures(condition: np.ndarray | None, frames: int) -> np.ndarray | None:
    """The condition pictures of the predicted frames, None for vectors: they are not shown in films."""
    return condition[-frames:] if condition is not None and condition.dtype == np.uint8 else None


def training_figures(run: Path) -> None:
    """training.png from metrics.csv, where there are rows; what is not readable of them is told, and no more."""
    metrics = run / "metrics.csv"
    if not metrics.is_file():
        return
    try:
        with reading(metrics, "training.png is not drawn; the run itself is whole."), open(metrics, newline="") as file:
            rows = list(csv.DictReader(file))
            if rows:
                training_figure(run / "training.png", rows, title=run.name)
    except ValueError as error:
        print(error, file=sys.stderr)


def draw(result: Result, out: Path, fps: float, films: int = 5) -> list[Path]:
    """All pictures of an evaluation.

    Args:
        result: of `evaluate`.
        out: folder.
        fps: of the films.
        films: episodes that get a film, at most.

    Returns:
        the files.
    """
    made = []
    main = models_of(result)
    names = _file_names(result.names[:films])
    for i, (name, safe) in enumerate(zip(result.names, names, strict=False)):
        truth, predicted, given = result.truth[i], {who: result.scores[who][i].frames for who in main}, 0
        if result.samples > 1:  # several futures are shown with what they begin with
            start = result.given[i]
            futures = {k: v for who in main for k, v in _futures(result, who, i, name=len(main) > 1).items()}
            predicted = {k: np.concatenate([start, film]) for k, film in futures.items()}
            truth, given = np.concatenate([start, truth]), len(start)
        shown = predicted if len(predicted) > 1 else next(iter(predicted.values()))
        condition = pictures(result.conditions[i], len(truth))
        # Beside several futures errors would fill the screen.
        film = side_by_side(truth, shown, condition=condition, gain=0 if given else 3, given=given)
        made.append(write_film(out / f"film-{safe}.gif", film, fps))
        made.append(_strip(truth, predicted, out / f"strip-{safe}.png", given, len(result.given[i])))
        curves = {who: scored[i].curve() for who, scored in result.scores.items()}
        made.append(psnr_figure(out / f"psnr-{safe}.png", curves, f"PSNR of each predicted frame, episode {name}", fps))
    return made


def _file_names(names: list[str]) -> list[str]:
    """Names of episodes as parts of files' names: letters, numbers, - and _, not too long, each another one."""
    found: list[str] = []
    for i, name in enumerate(names):
        safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
        safe = safe.encode()[:150].decode(errors="ignore")
        while safe in found:
            safe = f"{safe}-{i}"
        found.append(safe)
    return found


def _futures(result: Result, who: str, i: int, name: bool) -> dict[str, np.ndarray]:
    """The best sample of an episode, and the first three: any three are as random as others."""
    scored, of = result.scores[who][i], f"{who}: " if name else ""
    samples = {f"{of}sample {k}": film for k, film in enumerate(scored.samples, 1)}
    return {f"{of}best of {result.samples}": scored.frames, **samples}


def _strip(truth: np.ndarray, predicted: dict[str, np.ndarray], path: Path, given: int, context: int) -> Path:
    """Truth above predictions; of films that begin with given frames as they are, of others with an error below."""
    if given:
        rows, count = {"truth": truth, **predicted}, 12
    else:
        first = next(iter(predicted))
        error = "error" if len(predicted) == 1 else f"error of {first}"
        rows, count = {"truth": truth, **predicted, error: error_picture(truth, predicted[first])}, 8
    times = np.unique(np.linspace(0, len(truth) - 1, count).astype(int))
    return strip(path, rows, times.tolist(), first=0 if given else context, given=given)
