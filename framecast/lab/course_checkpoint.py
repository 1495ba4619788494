"""epoch={n}.ckpt, a checkpoint in the course's form: written, read, and gone on from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from framecast import checkpoint
from framecast.atomic import replacing
from framecast.lab import record
from framecast.lab.flags import DIMS, Options


@dataclass(frozen=True)
class Start:
    """What a checkpoint says of where training stood: epochs done, and what the last of them was done with."""

    path: Path
    weights: dict[str, Any]
    optimizer: dict[str, Any] | None = None
    epochs: int = 0
    lr: float | None = None
    tfr: float | None = None
    best: float = float("-inf")
    exact: bool = False  # the run's own last.ckpt: Lightning takes it up, in the middle of an epoch too
    steps: int = 0  # of an exact one: done
    epoch_length: int = 0  # of an exact one: steps in an epoch that is not short
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # flag -> what it was and is, of an exact one

    def __str__(self) -> str:
        if self.changed:
            told = ", ".join(f"--{k} {was} -> {now}" for k, (was, now) in self.changed.items())
            return f"Going on where {self.path} was written, but from here on with {told} ({record.FILE} keeps both)."
        if self.exact:
            return f"Going on exactly where {self.path} was written."
        if not self.epochs:
            return f"Weights from {self.path}, which says nothing of epochs: the schedules begin anew."
        moments = "" if self.optimizer else " The optimiser's state is not in it and begins anew."
        return f"Going on from {self.path} with epoch {self.epochs}, its lr and teacher forcing ratio.{moments}"

    def put(self, module: Any, optimizer: torch.optim.Optimizer) -> None:
        """Gives the module its weights and the optimiser its moments; what that is set to is for the flags to say."""
        checkpoint.fit(module.model, self.weights, self.path)
        if not self.optimizer:
            return
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": self.optimizer["state"], "param_groups": groups})
        for weight, state in optimizer.state.items():
            for name, value in state.items():
                if value.shape == weight.shape:  # laid out like the weight: the fused step reads both in line
                    state[name] = torch.empty_like(weight).copy_(value)


def read_start(path: str, options: Options, out: Path) -> Start:
    """Reads the checkpoint that training goes on from.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no checkpoint, of another network, its epochs are done already, or flags have changed by
            which its steps were counted.
    """
    file = checkpoint.locate(path)
    data = checkpoint.read(file)
    if own := data.get(checkpoint.OWN):
        config = own.get("config", {})
        if own.get("model") != "pose_cvae" or config.get("sigmoid"):
            raise ValueError(f"{file} is not of the course's network. Go on with it by `framecast train --resume`.")
        weights = {k.removeprefix("model."): v for k, v in data["state_dict"].items() if k.startswith("model.")}
        start = Start(file, weights)
        if file.resolve() == (out / "checkpoints" / "last.ckpt").resolve():
            before = data.get("callbacks", {}).get("Course", {}).get("flags", {})
            changed, length = record.changes(before, vars(options)), own.get("epoch_length", 0)
            start = replace(start, exact=True, steps=data.get("global_step", 0), epoch_length=length, changed=changed)
            _same_place(start)
    else:
        config, saved = checkpoint.course_config(file, data["state_dict"]), data.get("optimizer")
        if not (isinstance(saved, dict) and {"state", "param_groups"} <= set(saved)):
            saved = None  # in files of the course's program this is the weights again
        done, best = int(data.get("last_epoch", -1)) + 1, float(data.get("best_psnr", "-inf"))
        start = Start(file, data["state_dict"], saved, done, data.get("lr"), data.get("tfr"), best)
    other = [f"--{name} {config[name]}" for name in DIMS if config[name] != getattr(options, name)]
    if other:
        raise ValueError(f"{file} was trained with other dimensions. Give its own: {' '.join(other)}")
    if start.epochs >= options.num_epoch:
        raise ValueError(
            f"{file} has {start.epochs} epochs done; --num_epoch {options.num_epoch} leaves none to train."
        )
    return start


def _same_place(start: Start) -> None:
    """Raises ValueError where a number of steps is no longer the same place in the run."""
    if other := {key: both for key, both in start.changed.items() if key in record.PLACE}:
        had, given = (", ".join(record.flag(key, both[k]) for key, both in other.items()) for k in (0, 1))
        raise ValueError(
            f"{start.path} was written with {had}; this command has {given}. Its place in the run is counted in steps,"
            f" and an epoch would have other ones. Give {had}, or go on from an epoch=N.ckpt, which counts epochs."
        )


def save_course(path: Path, module: Any, optimizer: Any, epoch: int, best: float | None = None) -> None:
    """Writes a checkpoint in the course's form, whole or not at all, its tensors on the CPU.

    Two things differ: `optimizer` is the optimiser's state, and `best_psnr` of the validations so far stands beside it.

    Raises:
        OSError: the disk.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return value.detach().cpu().contiguous() if isinstance(value, torch.Tensor) else value

    data = {"state_dict": plain(dict(module.model.state_dict())), "optimizer": plain(optimizer.state_dict())}
    data |= {"lr": module.logged["lr"], "tfr": module.logged["tfr"], "last_epoch": epoch}
    try:
        with replacing(path) as partial:
            torch.save(data if best is None else {**data, "best_psnr": best}, partial)
    except RuntimeError as error:  # torch's word for a full disk
        raise OSError(f"{path} could not be written ({error}). The one before it is untouched.") from error
