"""What feeding back costs: every number against the horizon, to the end of a recording and beyond it.

Own frames fed (free-running) stand beside true frames fed (teacher-forced, latents from the prior all the same) and
beside copying. Beyond a recording there is no truth: its conditions run on to and fro, and only the look of the frames
is measured. Films are never held, only their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from framecast import evaluate
from framecast.metrics.frame import psnr
from framecast.metrics.horizon import WINDOW, Looks, distance, end, half_life, looks, mean, slope
from framecast.models.base import Model
from framecast.protocols import NOT, Protocol
from framecast.protocols.applied import applied
from framecast.rollout import as_bytes, cuts, roll
from framecast.store import Store
from framecast.values import Episode, tensor

RULES = {
    "psnr": "10 log10(1 / MSE) per frame over C, H, W of uint8 / 255, float64; mean over frames with truth",
    "slope": "least squares of the PSNR over the frames with truth, dB per 100 frames; mean over episodes",
    "half-life": "first frame at which PSNR less the mean PSNR of copying the first frame is half of what it is at the"
    f" start; of the mean over episodes, in running means of {WINDOW} frames (a third of fewer than {3 * WINDOW})",
    "colour": "distance of the mean colour from the truth's (beyond the truth: from the first given frame's), root mean"
    " square over channels, grey levels 0..255; mean over the end",
    "colour drift": "least squares of that distance, grey levels per 100 frames",
    "sharpness": "mean squared difference of neighbouring pixels over the truth's (beyond: over the given frame's), at"
    " the end",
    "motion": "root mean square change from frame to frame over the truth's (beyond: over that of all the truth), at"
    " the end; 0 is a frozen film",
    "end": "the last 100 frames, or the last third of fewer than 200",
    "beyond": "frames after the recording's last: conditions backwards from its end, then forwards again, and so on",
}
Fed = Literal["own", "true", "nothing"]


@dataclass
class Seen(Looks):
    """One film of one episode: its looks over all frames, and its PSNR (S,) over those with truth."""

    psnr: np.ndarray


@dataclass
class Row:
    """One way to predict: the model, what is fed to it, and what was seen, by episode."""

    who: str
    fed: Fed
    seen: list[Seen] = field(default_factory=list)

    @property
    def label(self) -> str:
        """For tables and figures."""
        return {"own": f"{self.who}, own frames fed", "true": f"{self.who}, true frames fed"}.get(self.fed, self.who)


@dataclass
class Result:
    """All rows, with the looks of the truth and of the first given frame of every episode."""

    names: list[str] = field(default_factory=list)
    truth: list[Looks] = field(default_factory=list)
    given: list[Looks] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def table(self) -> dict[str, dict[str, float | str]]:
        """Per row its numbers, means over episodes, by the names of `RULES`; those beyond the truth where there are."""
        copying = next(row for row in self.rows if row.who == "copy first frame")
        floor = float(np.nanmean(mean([s.psnr for s in copying.seen])))
        return {row.label: self._numbers(row, floor) for row in self.rows}

    def _numbers(self, row: Row, floor: float) -> dict[str, float | str]:
        each = [_numbers(*seen) for seen in zip(row.seen, self.truth, self.given, strict=True)]
        numbers: dict[str, float | str] = {}
        for key in dict.fromkeys(key for found in each for key in found):
            numbers[key] = float(np.mean([found[key] for found in each if key in found]))
            if key == "slope":
                numbers["half-life"] = half_life(mean([s.psnr for s in row.seen]), floor)
        return numbers

    def curves(self, row: Row) -> dict[str, np.ndarray]:
        """Means over episodes, by frame, as a figure shows them: colour and sharpness beside the given frame's."""
        return {"psnr": mean([s.psnr for s in row.seen]), **self._beside_given(row.seen)}

    def curves_of_truth(self) -> dict[str, np.ndarray]:
        """As `curves`, of the truth itself."""
        return self._beside_given(self.truth)

    def _beside_given(self, films: list[Any]) -> dict[str, np.ndarray]:
        pairs = list(zip(films, self.given, strict=True))
        return {
            "colour": mean([distance(film.colour, given.colour) for film, given in pairs]),
            "sharpness": mean([_ratio(film.energy, given.energy) for film, given in pairs]),
        }


def _ratio(value: Any, other: Any) -> Any:
    """Their quotient; 1 where both are zero (a blank truth, drawn blank)."""
    value, other = np.asarray(value, np.float64), np.asarray(other, np.float64)
    return np.where((value == 0) & (other == 0), 1, value / np.maximum(other, 1e-9))


def _numbers(seen: Seen, truth: Looks, given: Looks) -> dict[str, float]:
    """Of one episode."""
    count = len(seen.psnr)
    last, off = end(count), distance(seen.colour[:count], truth.colour)
    found = {
        "psnr": seen.psnr.mean(),
        "slope": slope(seen.psnr),
        "colour": off[last].mean(),
        "colour drift": slope(off),
        "sharpness": _ratio(seen.energy[last].mean(), truth.energy[last].mean()),
        "motion": _ratio(seen.motion[last].mean(), truth.motion[last].mean()),
    }
    beyond = len(seen.energy) - count
    if beyond >= 2:
        off = distance(seen.colour[count:], given.colour)
        last = end(beyond)
        found |= {
            "colour, beyond": off[last].mean(),
            "colour drift, beyond": slope(off),
            "sharpness, beyond": _ratio(seen.energy[count:][last].mean(), given.energy.mean()),
            "motion, beyond": _ratio(seen.motion[count:][last].mean(), truth.motion.mean()),
        }
    return {key: float(value) for key, value in found.items()}


Film = Iterator[np.ndarray]  # pieces, uint8 (S, H, W, C)


def measure(
    predictors: dict[str, Model],
    store: Store,
    split: str,
    context: int = 1,
    horizon: int | None = None,
    most: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Every model with its own frames fed and with true ones, beside copying.

    Args:
        predictors: models in eval mode by the name of their rows.
        store, split: whose episodes.
        context: given frames.
        horizon: frames to predict of each episode, also beyond its end; None: all that have truth.
        most: episodes at most.
        seed: of the sample that is drawn of each.
        progress: called with frames done and frames in all.

    Raises:
        ValueError: the store is not what a model was trained on, or too short for a slope.
    """
    if horizon is not None and horizon < 2:
        raise ValueError(f"--horizon must be 2 or more frames for a slope, not {horizon}.")
    for model in predictors.values():
        evaluate.check_fit(model, store)
    chosen = []
    for number, episode, frames in evaluate.episodes_for(store, split, context, horizon, most):
        if frames < 2:
            raise ValueError(
                f"The episode {episode.name!r} of {store.root} has {frames} frame after {context} given; a slope needs"
                " two. Give fewer --context frames, or another store."
            )
        chosen.append(_Course(episode, context, frames, horizon or frames, (seed, 0, number)))
    result = Result()
    for course in chosen:
        before, first = course.episode.frames[context - 1], course.episode.frames[:1]
        result.names.append(course.episode.name)
        result.truth.append(_joined([looks(t, b) for t, b in _with_before(course.truth(), before)]))
        result.given.append(looks(np.asarray(first), np.asarray(first[0])))
    ways = _ways(predictors, store, context)
    total, done = sum(c.truths if fed == "true" else c.horizon for _, fed, _ in ways for c in chosen), 0
    for who, fed, film_of in ways:
        row = Row(who, fed)
        for course in chosen:

            def told(film: Film) -> Film:
                nonlocal done
                for piece in film:
                    yield piece
                    done += len(piece)
                    if progress:
                        progress(done, total)

            row.seen.append(_watch(told(film_of(course)), course))
        result.rows.append(row)
    return result


def to_and_fro(length: int, begin: int, stop: int) -> np.ndarray:
    """Indices of the conditions begin..stop of a recording that has `length`: forwards, backwards, and so on.

    It turns at both ends, so that nothing jumps: 0 1 2 3 2 1 0 1 ...
    """
    if length == 1:
        return np.zeros(stop - begin, np.int64)
    where = np.arange(begin, stop) % (2 * (length - 1))
    return np.minimum(where, 2 * (length - 1) - where)


@dataclass
class _Course:
    """An episode, how many of its frames are given and how many have truth, how far it is followed, its noise's key."""

    episode: Episode
    context: int
    truths: int
    horizon: int
    key: tuple[int, int, int]

    def truth(self) -> Film:
        return (np.asarray(self.episode.frames[a:b]) for a, b in cuts(self.context, self.truths))

    def conditions(self, model: Model, count: int) -> Iterator[torch.Tensor | int]:
        """As `roll` takes them."""
        known = self.episode.condition if model.spec.condition.kind != "none" else None
        for first, stop in [(0, self.context), *cuts(self.context, count)]:
            if known is None:
                yield stop - first
            else:
                yield tensor(known[to_and_fro(len(known), first, stop)])[None]

    def rolled(self, model: Model, forced: bool = False) -> Film:
        """The model's film: to the horizon, or with true frames fed, as long as there are."""
        count = self.truths if forced else self.horizon
        given = tensor(self.episode.frames[: self.context])[None]
        truth = (tensor(piece)[None] for piece in self.truth()) if forced else None
        conditions = self.conditions(model, count)
        return (as_bytes(drawn[0]) for drawn in roll(model, given, conditions, [self.key], truth=truth))

    def frames_before(self) -> Film:
        """Copying the last frame with true frames fed: the true frame before."""
        return (np.asarray(self.episode.frames[a - 1 : b - 1]) for a, b in cuts(self.context, self.truths))


def _ways(predictors: dict[str, Model], store: Store, context: int) -> list[tuple[str, Fed, Callable[[_Course], Film]]]:
    """The rows: who, what is fed, and the film of an episode."""
    ways: list[tuple[str, Fed, Callable[[_Course], Film]]] = []
    for who, model in [*predictors.items(), *evaluate.copies(store.spec, context).items()]:
        ways.append((who, "own" if model.feeds_back else "nothing", partial(_Course.rolled, model=model)))
        if model.feeds_back:
            ways.append((who, "true", partial(_Course.rolled, model=model, forced=True)))
    return [*ways, ("copy last frame", "true", _Course.frames_before)]


def _watch(film: Film, course: _Course) -> Seen:
    """The numbers of a film, piece by piece."""
    found, scores, done = [], [], course.context
    last = course.context + course.truths
    for piece, before in _with_before(film, course.episode.frames[course.context - 1]):
        found.append(looks(piece, before))
        if known := max(0, min(len(piece), last - done)):
            truth = np.asarray(course.episode.frames[done : done + known])
            scores.append(psnr(tensor(piece[:known])[None], tensor(truth)[None])[0].numpy())
        done += len(piece)
    return Seen(**vars(_joined(found)), psnr=np.concatenate(scores))


def _with_before(film: Film, before: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for piece in film:
        yield piece, before
        before = piece[-1]


def _joined(pieces: list[Looks]) -> Looks:
    return Looks(*(np.concatenate([getattr(p, key) for p in pieces]) for key in ("colour", "energy", "motion")))


def protocol_of(store: Store, split: str, context: int, horizon: int | None, most: int | None) -> Protocol:
    """The rules of a measurement, as `evaluate` records its own."""
    own = applied(store, split, context, horizon, 1, most)
    return replace(own, name="drift", counted="predicted frames with truth", ssim=NOT)


def record(result: Result, about: dict[str, Any]) -> dict[str, Any]:
    """The results as plain values, with the rules they were made by."""
    curves = {row.label: result.curves(row) for row in result.rows} | {"truth": result.curves_of_truth()}
    return {
        **about,
        "rules": RULES,
        "episodes": [{"name": n, "frames": len(t.energy)} for n, t in zip(result.names, result.truth, strict=True)],
        "rows": {row.label: {"who": row.who, "fed": row.fed} for row in result.rows},
        "table": result.table(),
        "curves": {who: {key: np.round(c, 4).tolist() for key, c in found.items()} for who, found in curves.items()},
    }
