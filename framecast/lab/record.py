"""OUT/lab.yaml: the flags of a run, what it is made with, what its report draws it by, and how it goes on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from framecast.atomic import write_text
from framecast.lab.flags import Options, flags
from framecast.reading import BROKEN, read_yaml
from framecast.schedules import Calendar
from framecast.training import run as training
from framecast.training.settings import Settings

FILE = "lab.yaml"
DRAWN = ("steps", "beta", "tfr", "schedule_unit", "objective", "log_every")
IDLE = {"save_root", "ckpt_path", "test", "num_workers", "gpu"}  # change nothing of a run
FAST = {"fast_partial", "fast_train_epoch"}  # say something only under --fast_train
PLACE = {"batch_size", "train_vi_len", "partial", "fast_train", *FAST}  # what a number of steps means in epochs


def write(o: Options, out: Path, settings: Settings, calendar: Calendar, going_on_at: int | None) -> None:
    """Writes the file; of a run that goes on at a step, what was other before it stays under `earlier`."""
    now = {**vars(o), "made_with": training.provenance()}
    before = read(out) if going_on_at is not None else {}
    if going_on_at is not None and (out / FILE).is_file() and not before:
        os.replace(out / FILE, aside := (out / FILE).with_suffix(".damaged"))
        print(
            f"{out / FILE} is not readable; it is kept as {aside.name}, and what flags the run had before is not known."
        )
    earlier = before.get("earlier") or []
    if changed := {key: was for key, (was, _) in changes(before, now).items()}:
        earlier = [*earlier, {"until_step": going_on_at, **changed}]
    drawn = {"model": "pose_cvae", **{key: getattr(settings, key) for key in DRAWN}, "calendar": asdict(calendar)}
    found = {**now, "framecast": drawn, "go_on": command(o, out)} | ({"earlier": earlier} if earlier else {})
    write_text(out / FILE, yaml.safe_dump(found, sort_keys=False, width=10_000))


def read(out: Path) -> dict[str, Any]:
    """What the file holds; nothing where there is no readable one."""
    try:
        return read_yaml(out / FILE)
    except (OSError, *BROKEN):
        return {}


def changes(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Flags that are no longer what they were, and say something: name -> what it was and is."""
    idle = IDLE if before.get("fast_train") or now.get("fast_train") else IDLE | FAST
    return {k: (was, now[k]) for k, was in before.items() if k in now and k not in idle and now[k] != was}


def flag(name: str, value: Any) -> str:
    """A flag and its value as they are typed, or that it is not."""
    if value is None or value is False:
        return f"no --{name}"
    return f"--{name}" if value is True else f"--{name} {value}"


def command(o: Options, out: Path) -> str:
    """The whole command that goes on with the run."""
    names = set(vars(o)) - {"ckpt_path", "test"}
    return shlex.join(["python", "Trainer.py", *typed(o, names), "--ckpt_path", str(out / "checkpoints" / "last.ckpt")])


def typed(o: Options, names: Collection[str]) -> list[str]:
    """Those of the named flags that are not their defaults, as they are typed."""
    words = []
    for action in flags("Trainer.py", "")._actions:
        value = getattr(o, action.dest, None)
        if value not in (None, action.default) and action.dest in names:
            words += flag(action.dest, value).split(" ", 1)
    return words
