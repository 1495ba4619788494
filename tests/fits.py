"""Small runs on a small store, trained in a moment."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from framecast.store import Store
from framecast.training import run
from framecast.training.settings import Settings

SMALL: dict[str, dict[str, Any]] = {
    "anchor": {"widths": [8, 8, 16], "blocks": [1, 1, 1], "latent": 2},
    "pose_cvae": {"F_dim": 16, "L_dim": 8, "N_dim": 4, "D_out_dim": 16},
}


def settings(**changes: Any) -> Settings:
    return Settings(**{"steps": 6, "batch_size": 2, "clip_length": 4, "log_every": 1, "validations": 0, **changes})


def fit(
    store: Store, model: str, out: Path, asked: Settings, resume: bool = False, extra: Any = (), **more: Any
) -> Any:
    out.mkdir(exist_ok=True)
    return run.fit(store, asked, model, SMALL[model], out, resume=resume, quiet=True, extra=extra, **more)


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Of a run's metrics.csv."""
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


class StopAt(Callback):
    """Ends a run after a step, as a crash would, but for the checkpoint."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        trainer.should_stop = trainer.should_stop or trainer.global_step == self.step
