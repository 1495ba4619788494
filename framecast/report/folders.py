"""What run folders hold, however far they came: settings, losses, results, and in words what is missing and why."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from framecast import compare
from framecast.reading import BROKEN, read_json, read_yaml
from framecast.store import Store
from framecast.study import last_line

CONFIG, LAB = "config.yaml", "lab.yaml"  # of framecast train, and of the course's Trainer.py
# Of LAB, what sets two runs apart only by where they lie; and tfr, which is only where its schedule starts.
OF_THE_FOLDER = ("save_root", "ckpt_path", "test", "go_on", "earlier", "framecast", "tfr")
ALIVE = 300  # seconds since the last row within which a run is taken to be still going


@dataclass
class Run:
    """One run folder.

    Args:
        folder: of the run.
        label: its name in a report, told apart from all others.
        config: of config.yaml; of lab.yaml its flags, and over them framecast's words.
        made: what it was made with: versions, commit and machine.
        columns: of metrics.csv: name -> numbers, NaN where a cell is blank.
        cost: of cost.json.
        results: its evaluations that can be read.
        diagnoses: row of an evaluation -> what was found.
        go_on: the command that goes on with it.
        state: why it is not finished, in words; empty: it is.
        notes: what else is missing, in words, with the command that makes it.
    """

    folder: Path
    label: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, list[float]] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    results: list[compare.Loaded] = field(default_factory=list)
    diagnoses: dict[str, dict[str, Any]] = field(default_factory=dict)
    go_on: str = ""
    state: str = ""
    notes: list[str] = field(default_factory=list)


def find(paths: Iterable[str | Path]) -> list[Run]:
    """The runs of folders: a run, a study, or a folder of runs; each once.

    Raises:
        FileNotFoundError: a path that is not there, or that holds no run.
    """
    folders = [folder for path in paths for folder in _expanded(Path(path))]
    once = list({folder.resolve(): folder for folder in folders}.values())
    return [_read(folder, label) for folder, label in zip(once, labels(once), strict=True)]


def _expanded(path: Path) -> list[Path]:
    if not path.is_dir():
        what = "is no folder" if path.exists() else "does not exist"
        raise FileNotFoundError(f"{path} {what}. Give the folder of a run, or of a study.")
    if _is_run(path):
        return [path]
    planned = [path / file.stem for file in path.glob("*.yaml") if _planned(file)]
    found = sorted({*planned, *(folder for folder in path.iterdir() if folder.is_dir() and _is_run(folder))})
    if not found:
        raise FileNotFoundError(f"{path} holds no run: there is no {CONFIG} or {LAB} in it, nor in a folder in it.")
    return found


def _planned(file: Path) -> bool:
    """Whether a YAML file is a run of a study, begun or not, and no other that lies there: a study itself, a recipe."""
    try:
        found = read_yaml(file)
    except (OSError, *BROKEN):
        return False
    return "data" in found and not {"base", "vary"} & set(found)


def _is_run(path: Path) -> bool:
    return _settings(path).is_file() or bool(_results(path))


def _settings(folder: Path) -> Path:
    return folder / (LAB if (folder / LAB).is_file() else CONFIG)


def _results(folder: Path) -> list[Path]:
    return sorted(
        {file for where in ("", "evaluation-*/", "validation/") for file in folder.glob(where + compare.RESULTS)}
    )


def labels(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with as many of their parents as it takes to tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    found = []
    for own in parts:
        others = [other for other in parts if other != own]
        depth = next((d for d in range(1, len(own)) if all(o[-d:] != own[-d:] for o in others)), len(own))
        found.append("/".join(own[-depth:]))
    return found


def _read(folder: Path, label: str) -> Run:
    run = Run(folder, label)
    if not folder.is_dir():
        run.state = "not begun: the study has planned it, its folder is not there yet."
        return run
    run.config = _config(run)
    made = run.config.pop("made_with", None)
    run.made = made if isinstance(made, dict) else {}
    run.columns = _metrics(folder / "metrics.csv")
    cost = _json(folder / "cost.json")
    run.cost = cost if all(isinstance(v, int | float) for key, v in cost.items() if key != "state") else {}
    run.state = state(run) if run.config else ""
    for file in _results(folder):
        try:
            run.results.append(compare.load(file))
        except ValueError as error:
            run.notes.append(f"An evaluation is left out. {error}")
    if not run.results and "still going" not in run.state:
        own = folder / "store"  # of the course's runs
        data = run.config.get("data", own if own.is_dir() else "STORE")
        command = f"framecast evaluate {quote(str(folder))} --data {quote(str(data))} --split {_scored(data)}"
        run.notes.append(f"Not scored yet. To score it: {command}")
    elif run.results and not any(result.data.get("films") for result in run.results):
        run.notes.append(
            "Scored before framecast kept films, so there are none to play. Score the run again to have them."
        )
    _diagnoses(run)
    return run


def _scored(data: object) -> str:
    """The split of a store that is scored first."""
    try:
        entries = Store(str(data)).entries
    except (OSError, ValueError):  # moved, or not yet there
        return "val"
    return next((split for split in ("val", "test", "train") if entries.get(split)), "val")


def _config(run: Run) -> dict[str, Any]:
    file = _settings(run.folder)
    run.go_on = f"framecast train --resume {run.folder}"
    if not file.is_file():
        return {}
    try:
        found = read_yaml(file)
    except (OSError, *BROKEN):
        run.notes.append(f"{file} is damaged, so its settings are not shown.")
        return {}
    return found if file.name == CONFIG else _of_the_course(run, found)


def _of_the_course(run: Run, found: dict[str, Any]) -> dict[str, Any]:
    """lab.yaml as the configuration of a run; what its flags were earlier becomes a note."""
    run.go_on = str(found.get("go_on") or f"Trainer.py with the flags of {run.folder / LAB}, and --ckpt_path last.ckpt")
    earlier = found.get("earlier")
    for before in [e for e in earlier if isinstance(e, dict)] if isinstance(earlier, list) else []:
        was = ", ".join(f"--{key} {value}" for key, value in before.items() if key not in ("until_step", "made_with"))
        if was:
            run.notes.append(f"Until step {before.get('until_step')} it had {was}; what is drawn of β and the teacher"
                             " forcing ratio is by its newest flags.")  # fmt: skip
    drawn = found.get("framecast")
    flags = {key: value for key, value in found.items() if key not in OF_THE_FOLDER}
    own = {"model": "pose_cvae", "objective": "mse"}
    return {**own, **flags, **(drawn if isinstance(drawn, dict) else {})}


def _metrics(file: Path) -> dict[str, list[float]]:
    """The columns of a metrics.csv; a last line that was cut off while it was written is left out."""
    if not file.is_file():
        return {}
    try:
        with open(file, newline="", errors="replace") as text:
            lines = list(csv.DictReader(text))
    except csv.Error:  # no text at all
        return {}
    whole = [row for row in lines if None not in row and None not in row.values() and _number(row.get("step")) >= 0]
    return {key: [_number(row[key]) for row in whole] for key in (whole[0] if whole else ())}


def _number(cell: str | None) -> float:
    try:
        number = float(cell or "nan")
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _json(file: Path) -> dict[str, Any]:
    try:
        return read_json(file)
    except (OSError, *BROKEN):
        return {}


def _diagnoses(run: Run) -> None:
    for result in run.results:
        run.diagnoses |= result.data.get("diagnosis") or {}
    own = _json(run.folder / "diagnosis.json")
    if own and not run.diagnoses:
        run.diagnoses[str(run.config.get("model", "model"))] = own


def share(run: Run) -> float:
    """How far training came, in [0, 1]."""
    if run.cost.get("state") == "finished":
        return 1.0
    config, steps = run.config, run.columns.get("step") or [0.0]
    slack = 1.0 if run.cost.get("state") == "stopped" else float(config.get("log_every") or 1)
    if config.get("steps"):
        return 1.0 if steps[-1] > config["steps"] - slack else steps[-1] / config["steps"]
    if config.get("minutes"):
        done, all_ = (run.columns.get("seconds") or [0.0])[-1], 60 * config["minutes"]
        return 1.0 if done > all_ - slack * done / max(1.0, steps[-1]) else done / all_
    if config.get("epochs"):
        done = (run.columns.get("epoch") or [0.0])[-1]
        return 1.0 if done > config["epochs"] * (1 - slack / max(1.0, steps[-1])) else done / config["epochs"]
    return 1.0


def state(run: Run) -> str:
    """Why a run is not finished; empty where it is."""
    nan = sorted((run.folder / "nan").glob("step-*.pt"))
    done = share(run)
    steps = int((run.columns.get("step") or [0])[-1])
    if done >= 1:
        return ""
    if nan:
        return (
            f"stopped at {nan[-1].stem.replace('-', ' ')}, where the loss was not finite (NaN); see {nan[-1].parent}."
        )
    far = f"not finished: step {steps:,}, {done:.0%} of its training."
    file = run.folder / "metrics.csv"
    since = time.time() - (file if file.is_file() else _settings(run.folder)).stat().st_mtime
    go_on = (
        run.go_on if (run.folder / "checkpoints" / "last.ckpt").is_file() else "train it anew; there is no checkpoint"
    )
    if run.cost.get("state") == "stopped" and run.cost.get("step", 0) >= steps:
        return f"{far} It was stopped by hand and has saved itself. To go on: {go_on}"
    if since < ALIVE:
        return f"{far} Its last row is {max(0, since):.0f} s old, so it is probably still going."
    last = last_line(run.folder.with_name(f"{run.folder.name}.log"))[:200]  # where a study kept what the process said
    said = f" (its log ends: {last})" if last else ""
    return f"{far} Its last row is {_ago(since)} old: it was interrupted, or died{said}. To go on: {go_on}"


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"
