"""A grid of runs, each in a process of its own: interrupted, it goes on; a run that fails does not stop the others.

OUT/NAME.yaml     a run's settings, for framecast train --config
OUT/NAME.log      what its process said
OUT/NAME.trained  written when training has ended
OUT/NAME/         the run folder, with evaluation-SPLIT/results.json when it is finished
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from framecast.atomic import held, write_text
from framecast.workers import cores

KEYS = {
    "data": "the packed store, or a source with its options",
    "split": "what is scored",
    "base": "settings of all runs",
    "vary": "the grid",
}


@dataclass(frozen=True)
class Planned:
    """One run of the grid: its name, what it varies (factor -> label), its settings, and the study's folder."""

    name: str
    labels: dict[str, str]
    settings: dict[str, Any]
    folder: Path

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.folder / self.name

    @property
    def config(self) -> Path:
        """The file of its settings."""
        return self.folder / f"{self.name}.yaml"

    @property
    def log(self) -> Path:
        """What its process said."""
        return self.folder / f"{self.name}.log"

    @property
    def trained(self) -> Path:
        """There when training has ended."""
        return self.folder / f"{self.name}.trained"

    def results(self, split: str) -> Path:
        """There when it is finished."""
        return self.out / f"evaluation-{split}" / "results.json"


def plan(study: dict[str, Any], folder: Path) -> list[Planned]:
    """Every combination of what is varied.

    Args:
        study: `data` (a store), `split`, `base` (option -> value) and `vary` (factor -> label -> {option: value}).
        folder: of the study.

    Raises:
        ValueError: a key that is not there, or a factor without settings.
    """
    for key in study:
        if key not in KEYS:
            raise ValueError(f"A study has no {key!r}; it has: {', '.join(f'{k} ({v})' for k, v in KEYS.items())}.")
    vary = study.get("vary") or {}
    for factor, labels in vary.items():
        if not isinstance(labels, dict) or not labels or not all(isinstance(v, dict) for v in labels.values()):
            raise ValueError(f"vary, {factor}: write each label with its options, such as {{none: {{beta: 1}}}}.")
    for options in [study.get("base") or {}, *(v for labels in vary.values() for v in labels.values())]:
        if taken := sorted({"data", "out", "resume"} & set(options)):
            raise ValueError(f"All runs of a study share its data and folder: take {taken[0]!r} out of base and vary.")
    runs = []
    for chosen in product(*(labels.items() for labels in vary.values())):
        labels = dict(zip(vary, (str(label) for label, _ in chosen), strict=True))
        settings = dict(study.get("base") or {})
        for _, options in chosen:
            settings |= options
        name = "-".join("".join(c if c.isalnum() else "_" for c in label) for label in labels.values()) or "run"
        runs.append(Planned(name, labels, {**settings, "data": study["data"]}, folder))
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(f"Two runs of the study would bear one name ({max(names, key=names.count)}): change a label.")
    return runs


def prepare(runs: list[Planned]) -> None:
    """Writes each run's settings. Raises ValueError where a run of that name was begun with others."""
    for run in runs:
        text = yaml.safe_dump(run.settings, sort_keys=True)
        if run.config.is_file() and run.config.read_text() != text and run.out.exists():
            raise ValueError(f"{run.out} was begun with other settings. Give another --out, or remove it.")
        write_text(run.config, text)


def carry_out(
    runs: list[Planned],
    split: str,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] = print,
    threads: int | None = None,
) -> list[Planned]:
    """Trains and scores what is not finished yet, `workers` at a time.

    Args:
        runs: from `plan`, prepared.
        split: that is scored.
        workers: processes at a time.
        progress: called with the runs finished and the runs in all.
        tell: called with a sentence for each run that fails.
        threads: of each process; None: the cores are divided among them.

    Returns:
        the runs that failed.
    """
    waiting = [run for run in runs if not run.results(split).is_file()]
    done, failed = len(runs) - len(waiting), []
    threads = threads or max(1, cores() // workers)
    if progress:
        progress(done, len(runs))
    running: set[subprocess.Popen[bytes]] = set()
    with ThreadPoolExecutor(workers) as pool:
        begun = {pool.submit(_one, run, split, threads, running): run for run in waiting}
        try:
            for ended in as_completed(begun):
                run = begun[ended]
                done += 1
                if not ended.result():
                    failed.append(run)
                    tell(f"{run.name} failed: {last_line(run.log) or 'it said nothing'} (all of it: {run.log})")
                if progress:
                    progress(done, len(runs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()  # on which training saves itself
            raise
    return failed


def _one(run: Planned, split: str, threads: int, running: set[subprocess.Popen[bytes]]) -> bool:
    """Trains (or goes on) and scores one run; False where a step fails."""

    def command(*arguments: str) -> int:
        return _command(run, threads, running, *arguments)

    if not (run.trained.is_file() and run.out.is_dir()):
        started = (run.out / "checkpoints" / "last.ckpt").is_file()
        if not started and run.out.is_dir() and not _cleared(run):
            return False
        new = ["--config", str(run.config), "--out", str(run.out)]
        if command("train", *(["--resume", str(run.out)] if started else new)):
            return False
        run.trained.touch()
    return not command("evaluate", str(run.out), "--data", run.settings["data"], "--split", split)


def _cleared(run: Planned) -> bool:
    """Removes what a run left that was broken off before its first checkpoint; False where it is still at work."""
    try:
        with held(run.out):
            shutil.rmtree(run.out, ignore_errors=True)
    except FileExistsError as error:
        with open(run.log, "a") as log:
            log.write(f"{error}\n")
        return False
    return True


def _command(run: Planned, threads: int, running: set[subprocess.Popen[bytes]], *arguments: str) -> int:
    """Its exit status. Ctrl-C does not reach it: the study passes on once that it is to stop."""
    with open(run.log, "a") as log:
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, "-m", "framecast.cli", *arguments]
        with subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        ) as process:
            running.add(process)
            try:
                return process.wait()
            finally:
                running.discard(process)


def last_line(log: Path) -> str:
    """The last words of a process, empty where there are none."""
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
