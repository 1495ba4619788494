"""One training step, for Lightning."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from framecast import models, schedules
from framecast.objective import Objective
from framecast.rollout import channels_last, drawn_frames, own_frames, walk
from framecast.schedules import Progress
from framecast.training.muon import Muon
from framecast.training.settings import Settings
from framecast.values import Clip, Spec

NOISY = 0.5  # share of the clips with noise on what is read, where that is asked for


class TrainingModule(LightningModule):
    """A model, its objective and its schedules.

    Args:
        spec: of the data, as plain values (`Spec.to_dict`).
        model: the model's name.
        config: its settings as plain values.
        settings: of training, as plain values.
        epoch_length: steps in an epoch.
    """

    def __init__(
        self, spec: dict[str, Any], model: str, config: dict[str, Any], settings: dict[str, Any], epoch_length: int
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.settings = Settings(**settings)
        self.model = channels_last(models.build(Spec.from_dict(spec), model, config))
        self.model.anchored = self.settings.anchored
        self.objective = Objective(self.settings.objective)
        self.beta = schedules.parse(self.settings.beta)
        self.tfr = schedules.parse(self.settings.tfr)
        self.lr_schedule = schedules.parse(self.settings.lr_schedule)
        self.epoch_length = epoch_length
        # Epochs done after a number of steps; replaced where epochs differ in length (the course's --fast_train).
        self.epoch_of: Callable[[float], float] = lambda steps: steps / epoch_length
        self.spent = 0.0  # seconds of earlier parts of this run
        self._since: float | None = None

    def seconds(self) -> float:
        """Training time of this run so far, the parts before a resume included."""
        return self.spent + (time.monotonic() - self._since if self._since is not None else 0.0)

    def on_fit_start(self) -> None:
        self._since = time.monotonic()

    def progress(self) -> Progress:
        """How far the run is: by time, steps or epochs, as it was asked for."""
        s, epoch = self.settings, self.epoch_of(self.global_step)
        if s.minutes is not None:
            fraction = min(1.0, self.seconds() / (60 * s.minutes))
            epochs = epoch / fraction if epoch > 0 and fraction > 0 else 1.0  # as many as there will be at this pace
        else:
            epochs = self.epoch_of(s.steps) if s.steps is not None else float(s.epochs or 1)
            fraction = min(1.0, epoch / epochs)
        progress = Progress(fraction, epoch, epochs)
        return progress.by_epoch() if s.schedule_unit == "epoch" else progress

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        progress = self.progress()
        beta, tfr = self.beta(progress), self.tfr(progress)
        for group in self.optimizers().optimizer.param_groups:  # type: ignore[union-attr]
            group["lr"] = self.settings.lr * self.lr_schedule(progress)
        clip = batch.to_float()
        if self.model.spec.condition.kind == "none":
            clip = replace(clip, condition=None)
        count, context = clip.frames.shape[0], self.settings.context
        length, _ = drawn_frames(self.model, clip.frames.shape[1], context)
        # All draws of a step come from (seed, step): a resumed run draws what it would have drawn.
        key = np.random.SeedSequence((self.settings.seed, self.global_step)).generate_state(1, np.uint64)
        generator = torch.Generator(self.device).manual_seed(int(key[0]) >> 1)
        noise = torch.randn(count, length, *self.model.noise_shape, generator=generator, device=self.device)
        forced = self._forced(tfr, count, length, generator)
        trace = walk(self.model, clip, forced, noise, context, *self._cures(clip, generator))
        losses = self.objective(trace, beta)
        if not torch.isfinite(losses.total):
            raise FloatingPointError("the loss")
        self.logged = {name: float(value) for name, value in losses.terms.items()}
        self.logged |= {"total": float(losses.total.detach()), "beta": beta, "tfr": tfr, "epoch": progress.epoch}
        self.logged["lr"] = self.settings.lr * self.lr_schedule(progress)
        return losses.total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Here and not in the Trainer, which does not cut gradients of a fused optimiser.
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), self.settings.clip_norm or float("inf"))
        if not torch.isfinite(norm):
            raise FloatingPointError("the gradient")

    def _forced(self, ratio: float, clips: int, frames: int, generator: torch.Generator) -> Tensor:
        """(B, T) bool: where the truth is fed, m of derivation (10). One draw per epoch, batch, clip or frame."""
        if not self.model.feeds_back:
            ratio = 1.0
        draw = self.settings.tfr_draw
        if draw == "epoch":  # the same number in all steps of an epoch
            epoch = int(self.epoch_of(self.global_step))
            generator = torch.Generator(self.device).manual_seed(self.settings.seed * 1_000_003 + epoch)
        shape = {"epoch": (1, 1), "batch": (1, 1), "clip": (clips, 1), "frame": (clips, frames)}[draw]
        drawn = torch.rand(shape, generator=generator, device=self.device) < ratio
        return drawn.expand(clips, frames)

    def _cures(self, clip: Clip, generator: torch.Generator) -> tuple[Tensor | None, Tensor | None]:
        """Own frames to be read in place of true ones, and the noise on what is read; None where not asked for."""
        s, count = self.settings, len(clip.frames)
        own, spoilt = None, None
        draws: dict[str, Any] = {"generator": generator, "device": self.device}
        if s.rollout_frames:
            frames = int(torch.randint(s.rollout_frames + 1, (), **draws))  # for the whole batch: none is drawn in vain
            noise = torch.randn(count, frames, *self.model.noise_shape, **draws)
            own = own_frames(self.model, clip, noise, s.context) if frames else None
        if s.context_noise:
            level = s.context_noise * torch.rand(count, 1, 1, 1, 1, **draws)
            level = level * (torch.rand(count, 1, 1, 1, 1, **draws) < NOISY)  # the others are clean, as at test time
            spoilt = level * torch.randn(clip.frames.shape, **draws)
        return own, spoilt

    def configure_optimizers(self) -> torch.optim.Optimizer:
        s = self.settings
        if s.optim == "Muon":
            return Muon(self, s.lr, s.weight_decay)
        if s.optim == "AdamW":
            return torch.optim.AdamW(self.parameters(), lr=s.lr, weight_decay=s.weight_decay, fused=True)
        return torch.optim.Adam(self.parameters(), lr=s.lr, fused=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["framecast"] = {"seconds": self.seconds(), "step": self.global_step}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.spent = checkpoint["framecast"]["seconds"]
