"""What happens around the steps: keeping checkpoints, stopping well, logging, validating, showing progress."""

from __future__ import annotations

import csv
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

from framecast import progress
from framecast.atomic import replacing
from framecast.training import cost
from framecast.training.module import TrainingModule

Validate = Callable[[Any, int], dict[str, float]]
"""(model, step) -> the numbers of a validation, `psnr` among them; it may also write samples."""


def save(trainer: Trainer, path: Path, hint: str) -> None:
    """A checkpoint, whole or not at all. Raises OSError that says by `hint` how the run goes on once there is room."""
    before = f"What was saved before is untouched. Make room; to go on: {hint}"
    if not path.with_name("last.ckpt").is_file():
        before = "Nothing was saved before: make room, remove the run's folder and train anew."
    try:
        with replacing(path) as partial:
            trainer.save_checkpoint(partial)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise OSError(f"{path} could not be written ({error}). {before}") from error


class Keeper(Callback):
    """Keeps `last.ckpt` and `cost.json`; on Ctrl-C finishes the step and saves; on NaN stops and keeps the batch.

    Args:
        folder: of the run.
        every_seconds: from one `last.ckpt` to the next.
        hint: the command that goes on with the run, in words for the user; None: that of `framecast train`.
    """

    def __init__(self, folder: Path, every_seconds: float = 60.0, hint: str | None = None) -> None:
        self.folder, self.every = folder, every_seconds
        self.last = folder / "checkpoints" / "last.ckpt"
        self.hint = hint or f"framecast train --resume {quote(str(folder))}"
        self.interrupted = False
        self._saved = 0.0
        self._before: dict[str, Any] = {}
        self._handlers: dict[int, Any] = {}
        self._batch: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._before = cost.read(self.folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not before: Lightning's own handler of SIGTERM, set in between, would end the run without a checkpoint."""

        def stop(number: int, frame: Any) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = trainer.should_stop = True
            print("\nFinishing this step and saving (press again to quit at once) ...", file=sys.stderr)

        with suppress(ValueError):  # not in the main thread: whoever runs us handles signals
            self._handlers = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._batch = batch

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        seconds = pl_module.seconds()
        minutes = pl_module.settings.minutes
        if minutes is not None and seconds >= 60 * minutes:
            trainer.should_stop = True
        if seconds - self._saved > self.every:
            self._saved = seconds
            self._save(trainer, pl_module, "training")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        self._save(trainer, pl_module, "stopped" if self.interrupted else "finished")
        self._hand_back()

    def _save(self, trainer: Trainer, module: TrainingModule, state: str) -> None:
        save(trainer, self.last, self.hint)
        cost.write(self.folder, self._before, module.seconds(), trainer.global_step, state)

    def _hand_back(self) -> None:
        """Signals go where they went before; Lightning's `teardown` would come after its own handing back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._hand_back()
        if not isinstance(exception, FloatingPointError):
            return
        step = trainer.global_step
        path = self.folder / "nan" / f"step-{step}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = pl_module.state_dict()
        torch.save({"batch": vars(self._batch), "step": step, "state_dict": weights}, path)
        full = "" if trainer.precision == "32-true" else ", or --precision 32 of `framecast train`"
        go_on = f" To go on from the last checkpoint: {self.hint}" if self.last.is_file() else ""
        exception.args = (
            f"At step {step} {exception} is not finite (NaN or infinite). Training stopped before the weights changed; "
            f"the batch and weights are in {path}. Try a lower --lr{full}.{go_on}",
        )


SHARE = 0.2  # of a run's minutes, for validations
DENSE = 20  # first steps of a run that all have a row


class Log(Callback):
    """Rows of metrics.csv (added to when a run resumes, every step once) and of TensorBoard.

    A row of training has each of the first steps, then every so many, and those at which an epoch begins or ends, or
    the run: schedules that move from epoch to epoch are seen exactly.
    """

    columns = (
        *("step", "epoch", "seconds"),
        *(f"train/{x}" for x in ("total", "reconstruction", "mse", "psnr", "kl", "kl_weighted", "beta", "tfr", "lr")),
        *(f"val/{x}" for x in ("psnr", "ssim", "first", "last")),
    )

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.newest: dict[str, float] = {}  # of all that a row has had, the newest values
        self.waiting = False  # the newest step has no row yet

    def row(self, trainer: Trainer, module: TrainingModule, values: dict[str, float]) -> None:
        """Appends one row and hands the values to the loggers."""
        values = {"epoch": module.logged["epoch"], "seconds": round(module.seconds(), 2), **values}
        self.newest |= values
        new = not self.path.exists() or not self.path.stat().st_size
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow({"step": trainer.global_step, **{k: f"{v:.7g}" for k, v in values.items()}})
        for logger in trainer.loggers:
            logger.log_metrics(values, trainer.global_step)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.path.is_file():  # not earlier: where the run stands is known from here on
            self._forget_after(trainer.global_step)

    def _forget_after(self, step: int) -> None:
        """Drops the rows of the steps that a resumed run does again, and says how many."""
        head, *rows = self.path.read_bytes().splitlines(keepends=True) or [b""]
        numbers = (row.partition(b",")[0] for row in rows)
        kept = [row for row, number in zip(rows, numbers, strict=True) if number.isdigit() and int(number) <= step]
        if len(kept) < len(rows):
            with replacing(self.path) as partial:
                partial.write_bytes(b"".join([head, *kept]))
            lost = len(rows) - len(kept)
            print(f"{self.path}: {lost} rows after step {step} are dropped; they are made again.", file=sys.stderr)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        step, epoch_of = trainer.global_step, pl_module.epoch_of
        before, begun, done = (int(epoch_of(n) + 1e-9) for n in (step - 2, step - 1, step))
        self.waiting = True
        if step <= DENSE or step % self.every == 0 or begun > before or done > begun:
            self._train(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        if self.waiting:
            self._train(trainer, pl_module)

    def _train(self, trainer: Trainer, module: TrainingModule) -> None:
        self.waiting = False
        self.row(trainer, module, {f"train/{k}": v for k, v in module.logged.items() if k != "epoch"})


class Validation(Callback):
    """Free-running rollouts at equal parts of the run and at its end; keeps the best by PSNR.

    In a run by minutes, whose time they take, one is left out where those before it have taken more than `SHARE` of it.
    """

    def __init__(self, validate: Validate, keeper: Keeper, rows: Log, times: int) -> None:
        self.validate, self.keeper, self.rows, self.times = validate, keeper, rows, times
        self.best, self.done, self.at_step, self.seconds = float("-inf"), 0, -1, 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        due = int(_fraction(pl_module) * self.times + 1e-9)  # k / times * times may lie a rounding below k
        if due > self.done and not trainer.should_stop:
            self.done = due
            if pl_module.settings.minutes is None or self.seconds <= SHARE * pl_module.seconds():
                self._run(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.times and not self.keeper.interrupted and self.at_step != trainer.global_step:
            self._run(trainer, pl_module)

    def _run(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self.at_step, begun = trainer.global_step, time.monotonic()
        module.model.eval()
        try:
            found = self.validate(module.model, trainer.global_step)
        except FloatingPointError as error:  # a film's, not the training's, which goes on
            return tqdm.write(f"Validation at step {self.at_step} has no score. {error}", file=sys.stderr)
        finally:
            module.model.train()
            self.seconds += time.monotonic() - begun
        self.rows.row(trainer, module, {f"val/{k}": v for k, v in found.items()})
        if found["psnr"] > self.best:
            self.best = found["psnr"]
            save(trainer, self.keeper.last.with_name("best.ckpt"), self.keeper.hint)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "done": self.done, "at_step": self.at_step, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.done, self.at_step = state_dict["best"], state_dict["done"], state_dict["at_step"]
        self.seconds = state_dict.get("seconds", 0.0)


class Bar(Callback):
    """One line: how far, time left, and the newest numbers."""

    def __init__(self, rows: Log) -> None:
        self.rows = rows

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        layout = "{desc}{percentage:3.0f}% |{bar:20}| {elapsed}, {remaining} left{postfix}"
        self.bar = progress.made(total=1000, bar_format=layout)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        now = pl_module.logged
        shown = {"loss": now["total"], "psnr": now["psnr"], "beta": now["beta"]}
        if pl_module.model.feeds_back:
            shown["tfr"] = now["tfr"]
        if "val/psnr" in self.rows.newest:
            shown["val psnr"] = self.rows.newest["val/psnr"]
        text = ", ".join(f"{k} {v:.4g}" for k, v in shown.items())
        self.bar.set_postfix_str(f"step {trainer.global_step}, {text}", refresh=False)
        self.bar.update(int(1000 * _fraction(pl_module)) - self.bar.n)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar.refresh()
        self.bar.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if hasattr(self, "bar"):
            self.bar.close()


def _fraction(module: TrainingModule) -> float:
    """How far the run is, whatever its unit, also between epochs."""
    s = module.settings
    if s.minutes is not None:
        return min(1.0, module.seconds() / (60 * s.minutes))
    steps = s.steps if s.steps is not None else (s.epochs or 1) * module.epoch_length
    return min(1.0, module.epoch_of(module.global_step) / module.epoch_of(steps))
