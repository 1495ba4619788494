"""What the tests of packing share: recordings written by hand, and a pool of processes that is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from recordings import noise

from framecast.sources import Part, Source
from framecast.values import Condition, Episode, Spec


def robot(root: Path, count: int = 4) -> Path:
    """A folder of .npz episodes of 5, 6, ... frames with actions; e1 is for validation."""
    root.mkdir()
    for i in range(count):
        action = np.random.default_rng(i).normal(2, 3, (5 + i, 2)).astype(np.float32)
        action[:, 1] = 0.5  # a number that never changes
        np.savez(root / f"e{i}.npz", frames=noise(5 + i, 8, 10, 3, seed=i), action=action)
    return root


def dance(root: Path) -> Path:
    """The course's layout: 4 frames to train on, a test sequence of 1 frame and 3 labels."""
    folders = {"train/train_img": 4, "train/train_label": 4, "test/test_img/0": 1, "test/test_label/0": 3}
    for seed, (folder, count) in enumerate(folders.items()):
        (root / folder).mkdir(parents=True)
        for i, frame in enumerate(noise(count, 12, 20, 3, seed=seed)):
            Image.fromarray(frame).save(root / folder / f"{i}.png")
    return root


def inside(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def bits(values: np.ndarray | None) -> Any:
    """All that an array is, to be compared: its numbers bit for bit."""
    return None if values is None else (values.dtype, values.shape, values.tobytes())


def same(one: Episode, two: Episode) -> bool:
    return (one.name, bits(one.frames), bits(one.condition)) == (two.name, bits(two.frames), bits(two.condition))


class Inline:
    """A pool of processes that is none: the work is done here, where a test's own sources are known."""

    def __init__(
        self, workers: int, context: Any, initializer: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        initializer(*arguments)

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def map(self, work: Callable[[Any], Any], jobs: list[Any], chunksize: int) -> Any:
        return map(work, jobs)

    def shutdown(self, cancel_futures: bool = False) -> None:
        pass


class Odd(Source):
    """Episodes whose frames have the given heights; `promised` are listed of each, 3 are given."""

    def __init__(self, heights: tuple[int, ...] = (8, 8), promised: int = 3) -> None:
        self.heights, self.promised = heights, promised

    def spec(self) -> Spec:
        return Spec(8, 8, 3, Condition())

    def parts(self, split: str) -> list[Part]:
        return (
            [Part(f"e{i}", 0, self.promised, self.promised, h) for i, h in enumerate(self.heights)]
            if split == "train"
            else []
        )

    def read(self, part: Part) -> Episode:
        return Episode(part.episode, noise(3, part.where, 8, 3), None)
