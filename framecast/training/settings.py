"""The settings of a training run, as plain values. No heavy import: the command line's help is made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        minutes: stop after that much time. Give this, --steps or --epochs.
        steps: stop after that many optimiser steps.
        epochs: stop after that many epochs (every frame is in about one clip of an epoch).
        seed: of everything that is drawn.
        batch_size: clips in a batch (B).
        clip_length: frames in a clip (T), the given ones included.
        context: given frames, in training and validation.
        conditions: false trains without the store's conditions (actions, poses).
        partial: share of each episode that is used, from its start.
        lr: learning rate at its highest.
        lr_schedule: factor on it over the run; a schedule such as cosine:warmup=0.02 or milestones:first=2,second=5.
        optim: the optimiser.
        weight_decay: decoupled, of AdamW and Muon.
        clip_norm: the gradient's norm is cut to this.
        objective: calibrated or learned (Gaussian with one sigma), or mse (the course's MSE + beta KL).
        beta: weight of the KL: a number, or a schedule such as cyclical:cycles=10,ratio=0.5.
        tfr: teacher forcing ratio: a number, or a schedule such as step:from_epoch=10,step=0.1.
        tfr_draw: what each draw of teacher forcing decides for.
        context_noise: a cure of drift: noise of up to this standard deviation (pixels in [0, 1]) on the frames that are
            read; half of the clips stay truly clean.
        anchored: a cure of drift: what is fed back takes the colours of the first given frame, in prediction too.
        rollout_frames: a cure of drift: up to that many frames of a clip are rolled out first, and then read.
        schedule_unit: schedules move with every step, or from epoch to epoch.
        validations: how many times the model is validated by a free-running rollout; of a run by minutes they take
            about a fifth at most, and fewer are made.
        val_frames: frames of each validation rollout.
        val_episodes: episodes of each validation.
        precision: auto takes bf16 where the device gains from it.
        device: auto takes a GPU where there is one.
        log_every: steps between two rows of metrics.csv, after the first 20; epochs have one at either end.
    """

    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None
    seed: int = 0
    batch_size: int = 2
    clip_length: int = 16
    context: int = 1
    conditions: bool = True
    partial: float = 1.0
    lr: float = 1e-3
    lr_schedule: str = "cosine:warmup=0.02"
    optim: Literal["Muon", "AdamW", "Adam"] = "AdamW"
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    objective: str = "calibrated"
    beta: str = "1"
    tfr: str = "1"
    tfr_draw: Literal["epoch", "batch", "clip", "frame"] = "frame"
    context_noise: float = 0.0
    anchored: bool = False
    rollout_frames: int = 0
    schedule_unit: Literal["step", "epoch"] = "step"
    validations: int = 10
    val_frames: int = 629
    val_episodes: int = 4
    precision: Literal["auto", "bf16", "32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_every: int = 20
