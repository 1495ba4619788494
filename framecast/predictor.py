"""The door for prediction: `framecast.load(run).predict(frames, conditions)`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framecast import checkpoint
from framecast.models.base import Model
from framecast.rollout import as_bytes, cuts, pick_device, roll
from framecast.sources._pictures import resize
from framecast.values import Spec, tensor


class Predictor:
    """A trained model, ready to predict.

    Args:
        model: in eval mode.
        name: of the model.
        settings: of its training.
    """

    def __init__(self, model: Model, name: str, settings: dict[str, Any]) -> None:
        self.model, self.name, self.settings = model, name, settings

    @property
    def spec(self) -> Spec:
        """Size, condition and frame rate of what the model was trained on."""
        return self.model.spec

    def predict(
        self,
        frames: np.ndarray,
        conditions: np.ndarray | None = None,
        samples: int = 1,
        seed: int = 0,
        horizon: int | None = None,
    ) -> np.ndarray:
        """Draws the frames to come.

        Args:
            frames: uint8 (n, H, W, C), the given ones; any size, resized as in packing.
            conditions: one for every frame from the first given one on: uint8 (n + horizon, H, W, C) pictures of any
                size or floats (n + horizon, D); None for a model without conditions.
            samples: K, each with its own seed: sample k is the same however many are drawn.
            seed: of all samples.
            horizon: frames to come; None: as many as the conditions say.

        Returns:
            uint8 (horizon, H, W, C), or (K, horizon, H, W, C) where K > 1; H and W are those of `spec`.

        Raises:
            ValueError: the shapes, types or lengths are not these; or NaN and infinite numbers.
            FloatingPointError: a drawn frame is NaN, as of conditions far beyond those of the training.
        """
        drawn = np.concatenate(list(self.stream(frames, conditions, samples, seed, horizon)), 1)
        return drawn[0] if samples == 1 else drawn

    def stream(
        self,
        frames: np.ndarray,
        conditions: np.ndarray | None = None,
        samples: int = 1,
        seed: int = 0,
        horizon: int | None = None,
        mean: bool = False,
        episode: int = 0,
    ) -> Iterator[np.ndarray]:
        """As `predict`, piece by piece: yields uint8 (K, S, H, W, C), S <= 32. Memory does not grow with the horizon.

        `mean` puts the prior's mean in place of its samples. Every `episode` of a store has noise of its own, the same
        here as where it is scored.
        """
        frames = self._frames(frames)
        if conditions is not None and self.spec.condition.kind != "none":
            conditions = self._checked(conditions)
        horizon = self._horizon(len(frames), conditions, horizon)
        _whole("samples", samples, 1)
        _whole("seed", seed, 0)
        _whole("episode", episode, 0)
        if mean and samples > 1:
            raise ValueError(f"mean draws one future, the likeliest: leave samples={samples} out, or mean.")
        given = len(frames)

        pieces = (
            stop - first if conditions is None else self._piece(conditions[first:stop])
            for first, stop in [(0, given), *cuts(given, horizon)]
        )
        keys = [(seed, sample, episode) for sample in range(samples)]
        return (as_bytes(drawn) for drawn in roll(self.model, tensor(frames)[None], pieces, keys, mean))

    def _frames(self, frames: np.ndarray) -> np.ndarray:
        frames, channels = _array("Given frames", frames), self.spec.channels
        if frames.ndim != 4 or frames.shape[-1] != channels or frames.dtype != np.uint8 or not frames.size:
            found = f"{frames.dtype} {frames.shape}"
            raise ValueError(f"Given frames are uint8 of shape (n, H, W, {channels}) with n >= 1, not {found}.")
        return resize(frames, (self.spec.height, self.spec.width))

    def _horizon(self, given: int, conditions: np.ndarray | None, horizon: int | None) -> int:
        condition = self.spec.condition
        if horizon is not None:
            _whole("horizon", horizon, 1)
        if condition.kind == "none":
            if conditions is not None:
                raise ValueError("This model was trained without conditions; give `horizon` in their place.")
            if horizon is None:
                raise ValueError("This model was trained without conditions; give `horizon`, the frames to draw.")
            return horizon
        if conditions is None:
            raise ValueError(f"This model needs conditions, for every frame a {condition}; none were given.")
        room = len(conditions) - given
        if horizon is not None and horizon > room:
            raise ValueError(f"{horizon} frames to come need {given + horizon} conditions; there are {given + room}.")
        if room < 1:
            raise ValueError(f"Nothing to predict: {given} frames and {given + room} conditions are given.")
        return room if horizon is None else horizon

    def _checked(self, conditions: np.ndarray) -> np.ndarray:
        """Conditions of the right shape and kind of numbers; vectors finite, pictures not yet read."""
        condition, conditions = self.spec.condition, _array("Conditions", conditions)
        if conditions.ndim != (4 if condition.kind == "picture" else 2) or conditions.shape[-1] != condition.size:
            raise ValueError(f"Conditions are, for every frame, a {condition}; these have shape {conditions.shape}.")
        if condition.kind == "picture":
            if conditions.dtype != np.uint8 or not conditions.size:
                found = f"{conditions.dtype} {conditions.shape}"
                raise ValueError(f"Condition pictures are uint8 0..255 of one pixel or more, not {found}.")
            return conditions
        if conditions.dtype.kind not in "fiub":
            raise ValueError(f"Conditions are numbers, not {conditions.dtype}.")
        with np.errstate(over="ignore"):
            conditions = conditions.astype(np.float32)
        rows = np.flatnonzero(~np.isfinite(conditions).all(1))
        if len(rows):
            raise ValueError(
                f"Conditions hold a NaN or infinite number, in row {rows[0]} (from 0) of {len(conditions)}."
            )
        return conditions

    def _piece(self, conditions: np.ndarray) -> torch.Tensor:
        if self.spec.condition.kind == "picture":
            conditions = resize(conditions, (self.spec.height, self.spec.width))
        return tensor(conditions)[None]


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; tensors that numpy has no numbers for
        raise ValueError(f"{name} are an array, and these cannot be made one: {error}") from None


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is a whole number of {least} or more, not {value!r}.")


def load(run: str | Path, device: str = "cpu", size: tuple[int, int] = (32, 64)) -> Predictor:
    """Opens a run folder, one of its checkpoints, or a checkpoint of the course's program.

    Args:
        run: the folder or .ckpt file.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one.
        size: H x W, for checkpoints of the course, which do not say it.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is damaged, no checkpoint, or does not fit its model; or there is no such device.
    """
    loaded = checkpoint.load(run, str(pick_device(device)), size)
    return Predictor(loaded.model, loaded.name, loaded.settings)
