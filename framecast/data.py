"""Store -> batches of Clip. Batch k is a pure function of (seed, k), so a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset

from framecast.store import Store
from framecast.values import Clip, Sampling, tensor


@dataclass
class Batches:
    """The training batches of a store, by number.

    `window` clips are consecutive frames. `scattered` clips are for models that feed nothing back: a first frame and
    frames drawn anywhere: after it where vectors say what was done since, else before it too. That teaches more in the
    same time.

    Args:
        store: the packed store.
        split: which episodes.
        batch_size: B.
        clip_length: T.
        seed: of all draws.
        sampling: how the frames of a clip are chosen.
        partial: the share of each episode's frames that is used, from its start.
        context: given frames, which follow one another where vectors lead on from them.

    Raises:
        ValueError: no episode is as long as a clip.
    """

    store: Store
    split: str
    batch_size: int
    clip_length: int
    seed: int = 0
    sampling: Sampling = "window"
    partial: float = 1.0
    context: int = 1

    def __post_init__(self) -> None:
        entries = self.store.entries_of(self.split)
        lengths = np.array([min(e.frames, e.conditions or e.frames) for e in entries])
        lengths = np.maximum((lengths * self.partial).astype(np.int64), np.minimum(lengths, self.clip_length))
        if lengths.max() < self.clip_length:
            where = f"the longest {self.split} episode of {self.store.root} has {lengths.max()} frames"
            hint = "Give a smaller --clip_length (--train_vi_len of Trainer.py)."
            raise ValueError(f"Clips of {self.clip_length} frames do not fit: {where}. {hint}")
        # Every first frame that leaves room for a clip is equally likely, over all episodes.
        self._lengths = lengths
        self._room = np.cumsum(np.maximum(lengths - self.clip_length + 1, 0))

    def __len__(self) -> int:
        """Batches in an epoch: every frame is in about one clip."""
        return max(1, int(self._lengths.sum()) // (self.clip_length * self.batch_size))

    def __getitem__(self, k: int) -> Clip:
        """Batch k, as uint8 frames (B, T, C, H, W)."""
        random = np.random.default_rng((self.seed, k))
        drawn = random.integers(self._room[-1], size=self.batch_size)
        chosen = np.searchsorted(self._room, drawn, side="right")
        first = drawn - np.where(chosen > 0, self._room[chosen - 1], 0)
        pick = self._window if self.sampling == "window" else self._scattered
        picked = [pick(random, int(e), int(f)) for e, f in zip(chosen, first, strict=True)]
        times = np.stack([times for _, times in picked])
        span = int(times.max()) + 1
        kind = self.store.spec.condition.kind
        frames, conditions = [], []
        entries = self.store.entries_of(self.split)
        for number, (where, _) in zip(chosen, picked, strict=True):
            entry = entries[int(number)]
            frames.append(self.store.array(self.split, "frames")[entry.first_frame + where])
            if kind == "picture":
                conditions.append(self.store.array(self.split, "condition")[entry.first_condition + where])
            elif kind == "vector":
                begin = entry.first_condition + int(where[0])
                past = self.store.array(self.split, "condition")[
                    begin : begin + min(span, entry.conditions - int(where[0]))
                ]
                conditions.append(np.pad(past, ((0, span - len(past)), (0, 0))))
        return Clip(
            tensor(np.stack(frames)),
            None if not conditions else tensor(np.stack(conditions)),
            torch.from_numpy(times),
        )

    def _window(self, random: np.random.Generator, episode: int, first: int) -> tuple[np.ndarray, np.ndarray]:
        times = np.arange(self.clip_length)
        return first + times, times

    def _scattered(self, random: np.random.Generator, episode: int, first: int) -> tuple[np.ndarray, np.ndarray]:
        length = int(self._lengths[episode])
        if self.store.spec.condition.kind == "vector":  # only what follows the given frames can be reached by actions
            # Half of the clips begin where predictions usually do; worth 1.9 dB on Meta-World at equal steps.
            first = 0 if random.random() < 0.5 else first
            # Half of the others are drawn evenly from all that follow, half evenly in the logarithm of their distance:
            # what comes next matters most.
            distances = np.arange(1, length - first - self.context + 1)
            even, near = np.full(len(distances), 1 / len(distances)), 1 / distances / (1 / distances).sum()
            count = self.clip_length - self.context
            later = np.sort(random.choice(distances, count, replace=False, p=(even + near) / 2))
            times = np.concatenate([np.arange(self.context), self.context - 1 + later])
            return first + times, times
        others = random.choice(length - 1, self.clip_length - 1, replace=False)
        first = int(random.integers(length))
        others = others + (others >= first)
        return np.concatenate([[first], others]), np.arange(self.clip_length)


class Stream(IterableDataset[Clip]):
    """Batches without end, from the one at which training stands."""

    def __init__(self, batches: Batches, position: Callable[[], int]) -> None:
        self.batches, self.position = batches, position

    def __iter__(self) -> Iterator[Clip]:
        return (self.batches[k] for k in count(self.position()))


class ClipData(LightningDataModule):
    """The training batches, for Lightning's Trainer; a resumed run goes on with the batch it would have had."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Clip]:
        """The stream; a batch is ready in under a millisecond, so no worker processes are needed."""
        return DataLoader(
            Stream(self.batches, lambda: self.trainer.global_step if self.trainer else 0), batch_size=None
        )
