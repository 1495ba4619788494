"""What a study says: each setting over its seeds, and what every change did, all else equal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framecast import compare
from framecast.atomic import write_json
from framecast.metrics.interval import student
from framecast.reading import read_json, reading
from framecast.study import Planned

SEED = "seed"  # the factor that only repeats
Table = tuple[str, list[str], list[list[str]]]  # title, header, rows


@dataclass(frozen=True)
class Cell:
    """What one setting did over its seeds.

    Args:
        labels: factor -> label, without the seed.
        psnr: dB, one number a seed.
        kl: nats a frame, and
        active: units, of each seed's diagnosis; empty where there is none.
    """

    labels: dict[str, str]
    psnr: np.ndarray
    kl: np.ndarray
    active: np.ndarray


@dataclass(frozen=True)
class Effect:
    """What changing one factor did to the PSNR, all else equal: a mean over seeds in dB, and its 95 % interval.

    Args:
        factor: what was changed, `old` to `new`.
        within: factor -> label that all these runs share; empty: all runs.
    """

    factor: str
    old: str
    new: str
    within: dict[str, str]
    mean: float
    low: float
    high: float


def cells(runs: list[Planned], split: str) -> list[Cell]:
    """The finished settings, each with its seeds; one that lacks a seed is left out."""
    groups: dict[tuple[tuple[str, str], ...], list[Planned]] = {}
    for run in runs:
        groups.setdefault(tuple((k, v) for k, v in run.labels.items() if k != SEED), []).append(run)
    found = []
    for labels, group in groups.items():
        if all(run.results(split).is_file() for run in group):
            loaded = [compare.load(run.results(split)) for run in group]
            scores = [next(r for r in one.rows if not r.copy).videos["psnr"] for one in loaded]
            files = [run.out / "diagnosis.json" for run in group]
            known = [_latent(file) for file in files if file.is_file()]
            kl, active = (np.array([k[i] for k in known]) for i in (0, 1))
            found.append(Cell(dict(labels), np.array([s.mean() for s in scores]), kl, active))
    return found


def _latent(file: Path) -> tuple[float, int]:
    """KL and active units of a run's diagnosis.json."""
    with reading(file, "Remove it: it is missing from the table then."):
        found = read_json(file)
        return sum(found["kl"]), int(found["active"])


def effects(found: list[Cell]) -> list[Effect]:
    """Every change of a factor from its first label, over all runs and within each label of every other factor.

    The difference is taken seed by seed, of means over the other factors, so that the interval (Student's, over seeds)
    is of independent repetitions.
    """
    if not found or len(found[0].psnr) < 2:
        return []
    factors = {f: list(dict.fromkeys(c.labels[f] for c in found)) for f in found[0].labels}
    made = []
    for factor, (old, *others) in factors.items():
        places: list[dict[str, str]] = [{}]
        places += [{f: label} for f, labels in factors.items() if f != factor and len(labels) > 1 for label in labels]
        made += [e for new in others for within in places if (e := _effect(found, factor, old, new, within))]
    return made


def _effect(found: list[Cell], factor: str, old: str, new: str, within: dict[str, str]) -> Effect | None:
    """None where no pair of settings differs in that alone."""
    there = {tuple(c.labels.items()): c for c in found if within.items() <= c.labels.items()}
    pairs = [
        (c.psnr, other.psnr)
        for c in there.values()
        if c.labels[factor] == old and (other := there.get(tuple((c.labels | {factor: new}).items())))
    ]
    if not pairs:
        return None
    change = np.mean([two - one for one, two in pairs], 0)
    return Effect(factor, old, new, within, float(change.mean()), *student(change))


def write(file: Path, found: list[Cell], changed: list[Effect], about: dict[str, Any]) -> None:
    """All of it as JSON."""
    rows = [{**vars(c), **{k: getattr(c, k).tolist() for k in ("psnr", "kl", "active")}} for c in found]
    write_json(file, {**about, "cells": rows, "effects": [vars(e) for e in changed]})


def read(file: Path) -> tuple[list[Cell], list[Effect]]:
    """What `write` kept. Raises ValueError where the file is damaged."""
    with reading(file, "The same framecast study command writes it anew."):
        data = read_json(file)
        found = [
            Cell(dict(c["labels"]), *(np.array(c[k], float) for k in ("psnr", "kl", "active"))) for c in data["cells"]
        ]
        return found, [Effect(**e) for e in data["effects"]]


def tables(found: list[Cell], changed: list[Effect]) -> list[Table]:
    """Each setting over its seeds, and what every change did; nothing of a single seed."""
    if not changed:
        return []
    rows = []
    for cell in found:
        low, high = student(cell.psnr)
        latent = [f"{cell.kl.mean():.2f}", f"{cell.active.mean():.1f}"] if len(cell.kl) else ["", ""]
        rows.append([*cell.labels.values(), f"{cell.psnr.mean():.2f} ({low:.2f} to {high:.2f})", *latent])
    header = [*found[0].labels, "PSNR (dB), 95 % over seeds", "KL (nats)", "active units"]
    told = [
        [f"{e.factor}: {e.new} less {e.old}", ", ".join(e.within.values()) or "all runs", _difference(e)]
        for e in changed
    ]
    return [
        (f"{len(found[0].psnr)} seeds of each setting", header, rows),
        ("What a change did, all else equal", ["change", "where", "PSNR (dB), 95 % over seeds"], told),
    ]


def _difference(effect: Effect) -> str:
    sure = "" if effect.low > 0 or effect.high < 0 else ", not told from none"
    return f"{effect.mean:+.2f} ({effect.low:+.2f} to {effect.high:+.2f}){sure}"
