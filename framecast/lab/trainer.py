"""Trainer.py: framecast's training in the course's epochs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from framecast import models
from framecast.data import Batches
from framecast.lab import record
from framecast.lab.calendar import FastFirst, settings_of
from framecast.lab.course_checkpoint import Start, read_start, save_course
from framecast.lab.dataset import packed
from framecast.lab.flags import DIMS, Options
from framecast.lab.terminal import device
from framecast.lab.validation import validator
from framecast.report.run import training_figures
from framecast.schedules import Calendar
from framecast.training import run as training
from framecast.training.callbacks import Validation


def train(o: Options) -> int:
    """Trains into OUT; returns the status to leave with."""
    out = Path(o.save_root)
    start = read_start(o.ckpt_path, o, out) if o.ckpt_path else None
    goes_on = start is not None and (start.exact or start.epochs > 0)
    if not goes_on and (any(out.glob("epoch=*.ckpt")) or (out / "metrics.csv").exists()):
        begins = f", and {start.path} would begin a new one: its epochs are not known" if start else ""
        raise FileExistsError(
            f"{out} holds an earlier run{begins}. Go on with it by --ckpt_path {out / 'checkpoints' / 'last.ckpt'}"
            " or an epoch=N.ckpt, or give another --save_root."
        )
    device(o)
    store = packed(o, out)
    full, fast = (Batches(store, "train", o.batch_size, o.train_vi_len, partial=p) for p in (o.partial, o.fast_partial))
    calendar = Calendar(len(full), len(fast), o.fast_train_epoch if o.fast_train else 0)
    if start:
        check_steps(start, calendar, o)
    settings = settings_of(o, calendar, start)
    record.write(o, out, settings, calendar, start and (start.steps or calendar.steps(start.epochs)))
    print(f"{len(full)} steps an epoch" + (f", {len(fast)} in the first {calendar.shorts}" if calendar.shorts else ""))
    print(told := training.describe(settings, store.spec.values))
    if "WARNING" in told:
        print(f"         The course's programs have no such options. With them: {calibrated_command(o, out)}")
    if start:
        print(start)
    validate = validator(o, store, out, calendar) if store.entries.get("val") else None
    if validate is None:
        print(f"{o.DR} has no val: the run is not validated.")
    course = Course(o, out, calendar, FastFirst(fast, full, calendar.steps(calendar.shorts)), start)
    config, resume = {name: getattr(o, name) for name in DIMS}, bool(start and start.exact)
    hint = f"the same command with --ckpt_path {out / 'checkpoints' / 'last.ckpt'}"
    keeper = training.fit(store, settings, "pose_cvae", config, out, validate, resume, extra=[course], hint=hint)
    training_figures(out)
    if keeper.interrupted:
        print(f"Saved. To go on: {keeper.hint}")
        return 130
    beside = "metrics.csv, training.png" + (", and the validation with its GIF" if validate else "")
    print(f"Trained: {course.written}. Beside it: {beside}.")
    size = record.typed(o, ("DR", "save_root", "frame_H", "frame_W"))  # a checkpoint of the course's does not say it
    print(f"Next: {shlex.join(['python', 'Tester.py', *size, '--ckpt_path', str(course.written)])}")
    return 0


def calibrated_command(o: Options, out: Path) -> str:
    """The command that trains the same network on the same clips as long, with a calibrated likelihood."""
    words = ["--data", str(out / "store"), "--model", "pose_cvae", "--epochs", str(o.num_epoch), "--objective"]
    words += ["calibrated", "--clip_length", str(o.train_vi_len), "--batch_size", str(o.batch_size)]
    usual = models.plain(models.config_of("pose_cvae")())
    for name in DIMS:
        words += [f"--pose_cvae.{name}", str(getattr(o, name))] if getattr(o, name) != usual[name] else []
    return shlex.join(["framecast", "train", *words, "--out", f"{out}-calibrated"])


def check_steps(start: Start, calendar: Calendar, o: Options) -> None:
    """Raises ValueError where steps of the run's own checkpoint are no steps of this calendar, or none are left."""
    if not start.exact:
        return
    if start.epoch_length != calendar.full:
        raise ValueError(
            f"{start.path} is of a run with {start.epoch_length} steps an epoch; with this dataset and these flags"
            f" there are {calendar.full}. Give the --DR, --batch_size, --train_vi_len and --partial that it had: they"
            f" are in {Path(o.save_root) / record.FILE}."
        )
    if calendar.epoch(start.steps) >= o.num_epoch:
        raise ValueError(
            f"{start.path} has {calendar.epoch(start.steps):g} epochs done; --num_epoch {o.num_epoch} leaves none to"
            " train. Give more."
        )


class Course(Callback):
    """Makes framecast's training the course's: its epochs, its checkpoints, and going on from one."""

    def __init__(self, o: Options, out: Path, calendar: Calendar, batches: FastFirst, start: Start | None) -> None:
        self.o, self.out, self.calendar, self.batches, self.start = o, out, calendar, batches, start
        self.written: Path | None = None  # the newest epoch=N.ckpt

    def state_dict(self) -> dict[str, Any]:
        return {"flags": vars(self.o)}  # for last.ckpt: what its steps were made with

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.epoch_of = self.calendar.epoch  # type: ignore[assignment]
        trainer.datamodule.batches = self.batches  # type: ignore[attr-defined]
        start = self.start
        if start is None or start.exact:
            return
        start.put(pl_module, trainer.optimizers[0])
        # Batches, noise and schedules hang on the number of steps done alone: the run goes on as if never stopped.
        loop = trainer.fit_loop.epoch_loop.automatic_optimization
        loop.optim_progress.optimizer.step.total.completed = self.calendar.steps(start.epochs)
        if validation := _validation(trainer):
            validation.done, validation.best = start.epochs, start.best

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        done = self.calendar.epoch(trainer.global_step)
        number = int(done) - 1
        if done == int(done) and (number % self.o.per_save == 0 or done == self.o.num_epoch):
            validation = _validation(trainer)
            best = validation.best if validation else None
            self.written = self.out / f"epoch={number}.ckpt"
            save_course(self.written, pl_module, trainer.optimizers[0], number, best)


def _validation(trainer: Trainer) -> Validation | None:
    return next((c for c in trainer.callbacks if isinstance(c, Validation)), None)  # type: ignore[attr-defined]
