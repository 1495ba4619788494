"""A run: its folder, its Trainer, and how it is taken up again."""

from __future__ import annotations

import logging
import math
import platform
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from framecast import checkpoint, models, objective, schedules
from framecast.atomic import check_free, held, sweep
from framecast.data import Batches, ClipData
from framecast.rollout import gains_from_bf16, pick_device
from framecast.schedules import Progress
from framecast.store import Store
from framecast.training.callbacks import Bar, Keeper, Log, Validate, Validation
from framecast.training.module import TrainingModule
from framecast.training.settings import Settings
from framecast.values import Condition, Spec

CONFIG = "config.yaml"


def prepare(out: Path, resolved: dict[str, Any]) -> None:
    """Makes a new run folder that explains itself. Raises FileExistsError where something is there already."""
    other = "remove it."
    if (out / "checkpoints" / "last.ckpt").is_file():
        other = f"go on: framecast train --resume {out}"
    elif (out / CONFIG).is_file():
        other = "remove it, if no training is at work in it: nothing of it is saved yet."
    check_free(out, f"Give another --out, or {other}")
    out.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(resolved, sort_keys=False)
    versions = yaml.safe_dump({"made_with": provenance()}, sort_keys=False)
    (out / CONFIG).write_text(
        f"# The whole configuration of this run: framecast train --config {CONFIG} repeats it.\n{text}{versions}"
    )


def provenance() -> dict[str, str]:
    """Versions, commit and machine that a result was made with."""
    try:
        here = Path(__file__).parent
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, timeout=5
        )
        revision = commit.stdout.strip() or "unknown"
    except (OSError, subprocess.SubprocessError):
        revision = "unknown"
    numbers = "bf16" if gains_from_bf16(torch.device("cpu")) else "float32"
    return {
        "framecast": version("framecast"),
        "commit": revision,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "machine": f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}, {numbers} on the CPU,"
        f" {torch.get_num_threads()} threads",
    }


def fit(
    store: Store,
    settings: Settings,
    model: str,
    config: dict[str, Any],
    out: Path,
    validate: Validate | None = None,
    resume: bool = False,
    quiet: bool = False,
    extra: Sequence[Callback] = (),
    resolved: dict[str, Any] | None = None,
    hint: str | None = None,
) -> Keeper:
    """Trains into a run folder.

    Args:
        store: with a `train` split.
        settings: of training.
        model: its name.
        config: its settings as plain values.
        out: the run folder.
        validate: what a validation does.
        resume: go on from `checkpoints/last.ckpt`.
        quiet: no progress bar.
        extra: callbacks of the caller.
        resolved: of a new run: its whole configuration, kept in the folder that is made for it.
        hint: how a user goes on with this run; None: by `framecast train --resume`.

    Raises:
        ValueError: settings that cannot be; FloatingPointError: NaN; OSError: the disk; FileExistsError: another
            process trains in the folder.
    """
    check_cures(settings, model)
    sampling = models.find(model).sampling
    s = settings
    batches = Batches(store, "train", s.batch_size, s.clip_length, s.seed, sampling, s.partial, s.context)
    torch.manual_seed(settings.seed)  # the weights' beginning
    module = untrained(store.spec, model, config, settings, len(batches))
    if not any(p.requires_grad for p in module.model.parameters()):
        raise ValueError(f"The model {model} has nothing to learn: `framecast evaluate` shows it beside any run.")
    if resolved is not None:  # only now, so that what is refused leaves no folder
        prepare(out, resolved)
    out.mkdir(parents=True, exist_ok=True)
    with held(out):
        sweep(out)
        log = Log(out / "metrics.csv", settings.log_every)
        keeper = Keeper(out, hint=hint)
        callbacks: list[Any] = [log, keeper] + ([] if quiet else [Bar(log)])
        if validate is not None and settings.validations:
            callbacks.insert(1, Validation(validate, keeper, log, settings.validations))
        trainer = _trainer(settings, module, out, [*callbacks, *extra])
        last = out / "checkpoints" / "last.ckpt" if resume else None
        if last is not None:
            checkpoint.check_same(last, module.hparams)
        trainer.fit(module, datamodule=ClipData(batches), ckpt_path=last, weights_only=True if resume else None)
    return keeper


def untrained(
    spec: Spec, model: str, config: dict[str, Any], settings: Settings, epoch_length: int = 1
) -> TrainingModule:
    """What is to be trained on data of that spec. Raises ValueError where no model can be made with these settings."""
    models.check(model, config)
    spec = spec if settings.conditions else replace(spec, condition=Condition())
    try:
        return TrainingModule(spec.to_dict(), model, config, asdict(settings), epoch_length)
    except (RuntimeError, ArithmeticError, IndexError, TypeError) as error:
        raise ValueError(f"The model {model} cannot be made with {config}: {error}") from error


def _trainer(settings: Settings, module: TrainingModule, out: Path, callbacks: list[Any]) -> Trainer:
    device = pick_device(settings.device)
    auto = "bf16-mixed" if gains_from_bf16(device) else "32-true"
    steps = -1
    if settings.minutes is None:
        epochs = max(1, round((settings.epochs or 1) * module.epoch_length))
        steps = settings.steps if settings.steps is not None else epochs
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings(
        "ignore", ".*(does not have many workers|isn't a string|LeafSpec|`IterableDataset` has `__len__`).*"
    )
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision={"auto": auto, "bf16": "bf16-mixed", "32": "32-true"}[settings.precision],  # type: ignore[arg-type]
        max_steps=steps,
        max_epochs=-1,
        logger=TensorBoardLogger(out, name="tensorboard", version=""),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=settings.log_every,
    )


def describe(settings: Settings, spec_values: int, latent: bool = True) -> str:
    """What is said before step 1: what the objective says of the pixels under the schedule's largest beta."""
    return objective.describe(settings.objective, _largest_beta(settings), spec_values, latent)


def implied_sigma(settings: dict[str, Any], spec_values: int) -> float | None:
    """What a loaded run's largest beta says of the pixels; None where the likelihood was calibrated, or of no run."""
    known = {key: value for key, value in settings.items() if key in Settings.__dataclass_fields__}
    if known.get("objective") != "mse":
        return None
    return objective.implied_sigma(_largest_beta(Settings(**known)), spec_values)


def _largest_beta(settings: Settings) -> float:
    return max(_along(schedules.parse(settings.beta)))


def _along(schedule: schedules.Schedule) -> list[float]:
    """Its values over a run of twenty epochs."""
    return [schedule(Progress(f / 200, f / 200 * 20, 20)) for f in range(201)]


def described(settings: dict[str, Any], spec_values: int, latent: bool = True) -> list[str]:
    """`describe` of a loaded run's settings, by line; nothing where there are none (the course's checkpoints)."""
    known = {key: value for key, value in settings.items() if key in Settings.__dataclass_fields__}
    return describe(Settings(**known), spec_values, latent).splitlines() if known else []


def check(settings: Settings, model: str) -> None:
    """Settings that contradict each other, or cannot be with that model. Raises ValueError with what to do."""
    given = [n for n in ("minutes", "steps", "epochs") if getattr(settings, n) is not None]
    if len(given) != 1:
        what = " and ".join(f"--{n}" for n in given) or "none of them"
        raise ValueError(f"Say how long to train with one of --minutes, --steps or --epochs; given: {what}.")
    for name in (*given, "batch_size", "lr", "log_every", "val_frames", "val_episodes"):
        if not getattr(settings, name) > 0:
            raise ValueError(f"--{name} must be above 0, not {getattr(settings, name)}.")
    for name in ("weight_decay", "clip_norm", "validations", "seed"):
        if not getattr(settings, name) >= 0:
            raise ValueError(f"--{name} is 0 or more, not {getattr(settings, name)}.")
    if not 1 <= settings.context < settings.clip_length:
        raise ValueError(
            f"A clip holds the given frames and at least one to predict: --clip_length must be above --context, and"
            f" that 1 or more; they are {settings.clip_length} and {settings.context}."
        )
    check_cures(settings, model)
    pick_device(settings.device)
    if not 0 < settings.partial <= 1:
        raise ValueError(f"--partial is a share above 0 and up to 1, not {settings.partial}.")
    for name, most in (("beta", math.inf), ("tfr", 1.0), ("lr_schedule", math.inf)):
        try:
            values = _along(schedules.parse(getattr(settings, name)))
        except ValueError as error:
            raise ValueError(f"--{name}: {error}") from None
        low, high = min(values), max(values)
        if low < 0 or high > most:
            span = "0 or more" if most == math.inf else f"0 to {most:g}"
            raise ValueError(f"--{name} is {span}; {getattr(settings, name)} goes from {low:g} to {high:g}.")
    if settings.schedule_unit == "epoch" and "per_epoch" in f"{settings.beta}{settings.tfr}{settings.lr_schedule}":
        raise ValueError("Cycles inside an epoch (per_epoch) need --schedule_unit step, or they never move.")
    objective.Objective(settings.objective)


def check_cures(settings: Settings, model: str) -> None:
    """Cures of drift with values that cannot be, or for a model that needs none. Raises ValueError."""
    room = settings.clip_length - settings.context - 1
    if not 0 <= settings.context_noise <= 1:
        raise ValueError(
            f"--context_noise is 0 (none) to 1 (the whole range of a pixel), not {settings.context_noise}."
        )
    if not 0 <= settings.rollout_frames <= room:
        raise ValueError(
            f"--rollout_frames is 0 (none) to {room}: a clip of {settings.clip_length} frames, {settings.context} of"
            f" them given, has one more to learn from; it is {settings.rollout_frames}."
        )
    asked = [name for name in ("context_noise", "anchored", "rollout_frames") if getattr(settings, name)]
    if asked and not models.find(model).feeds_back:
        raise ValueError(
            f"--{asked[0]} cures drift, and the model {model} has none: it feeds nothing back. Leave it out, or take a"
            " model that does, such as pose_cvae or svg."
        )
