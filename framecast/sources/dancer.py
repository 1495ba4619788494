"""The built-in data set: a person dancing in a studio, with coloured skeletons as labels. No files are needed.

Frame t of a sequence is a pure function of (seed, sequence, t): motion, drifting light, swaying cloth and noise are
all looked up by index, none is carried along. A seed is one person in one studio; a sequence is one recording of both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from framecast.atomic import check_free, replacing
from framecast.sources import SPLITS, Part, Source
from framecast.sources import _studio as studio
from framecast.sources._motion import LAG, TALL, drift, skeleton, swinging
from framecast.sources._pictures import write_pictures
from framecast.values import Condition, Episode, Spec, size_of
from framecast.workers import cores, mapped

BLOCK = 32  # frames drawn together; a block is always drawn whole, so that its bytes depend on nothing else
PART = 256
TEST_FRAMES = 630


def _key(seed: int, sequence: str | int) -> int:
    return int.from_bytes(blake2b(f"{seed}/{sequence}".encode(), digest_size=8).digest(), "little")


def _body(key: int, start: int, stop: int, aspect: float) -> studio.Body:
    t = np.arange(start - LAG, stop, dtype=np.float64)
    joint, x, scale = skeleton(key, t, aspect)
    swinging(joint, x, scale, key, t)
    points = np.stack([joint[name] for name in studio.JOINTS], 1)[LAG:]
    x, scale = x[LAG:, None], scale[LAG:, None]
    floor = 0.925 + 0.5 * (scale - TALL)
    px, height, depth = (points[..., i] * scale for i in range(3))
    screen = np.stack([x + px, floor - height + 0.16 * depth, depth], -1)
    above = np.maximum(height - 0.02, 0)
    ground = np.stack([x + px + 0.42 * above, floor + 0.16 * depth - 0.13 * above], -1)
    return studio.Body(*(a.astype(np.float32) for a in (screen, ground, above, scale[:, 0])))


def _light(key: int, start: int, stop: int, aspect: float, width: int) -> np.ndarray:
    """The drifting key light as a factor, (n, 3, 1, W)."""
    t = np.arange(start, stop, dtype=np.float64)
    level = 1 + 0.045 * drift(key, 30, t, 330.0) + 0.015 * drift(key, 31, t, 80.0)
    colour = level + 0.018 * drift(key, 32, t, 460.0, 3) * (1, 0.3, -1)
    across = np.linspace(-0.5, 0.5, width)
    return (colour[:, :, None, None] * (1 + 0.05 * drift(key, 33, t, 390.0)[:, None, None] * across)).astype(np.float32)


def _block(seed: int, key: int, index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    start, stop, aspect = index * BLOCK, (index + 1) * BLOCK, size[1] / size[0]
    body = _body(key, start, stop, aspect)
    picture = studio.studio(seed, size) * (1 - np.float32(0.42) * studio.shadow(body, size))
    picture = studio.person(picture, body, seed) * _light(key, start, stop, aspect, size[1])
    noise = np.random.Generator(np.random.Philox(key=[key, index])).standard_normal(picture.shape, np.float32)
    picture = np.clip(picture + np.float32(1.7) * noise, 0, 255) + np.float32(0.5)
    return np.ascontiguousarray(picture.astype(np.uint8).transpose(0, 2, 3, 1)), studio.label(body, size)


def draw(
    seed: int, sequence: str | int, start: int, stop: int, size: tuple[int, int] = (32, 64)
) -> tuple[np.ndarray, np.ndarray]:
    """Frames start..stop of a sequence and their labels, each uint8 (stop - start, H, W, 3).

    Frame t is a pure function of (seed, sequence, t) and size: the same bytes however a range is cut.

    Raises:
        ValueError: start is below 0 or stop below start.
    """
    if not 0 <= start <= stop:
        raise ValueError(f"dancer has no frames {start}..{stop}; a range begins at 0 or later and does not end before.")
    key, first = _key(seed, sequence), start // BLOCK
    drawn = [_block(seed, key, index, size) for index in range(first, -(-max(stop, start + 1) // BLOCK))]
    cut = slice(start - first * BLOCK, stop - first * BLOCK)
    return np.concatenate([frames for frames, _ in drawn])[cut], np.concatenate([labels for _, labels in drawn])[cut]


class Dancer(Source):
    """A person dancing in a studio, drawn as it is read.

    Args:
        train: frames of the one training episode.
        val: frames of the one validation episode.
        test: number of test episodes, each of 630 frames.
        seed: the person and the studio; and, with the name of the episode, the dance.
        size: height x width of frames and labels.
    """

    example = "framecast pack dancer --train 3000 --out stores/dancer"

    def __init__(self, train: int = 23410, val: int = 630, test: int = 5, seed: int = 0, size: str = "32x64"):
        for name, value in (("train", train), ("val", val), ("test", test), ("seed", seed)):
            if value < 0:
                raise ValueError(f"dancer's {name} is {value}; it must be 0 or more.")
        self.size = size_of(size) or (32, 64)
        self.seed = seed
        self.lengths = {
            "train": {"train": train} if train else {},
            "val": {"val": val} if val else {},
            "test": {str(i): TEST_FRAMES for i in range(test)},
        }

    def spec(self) -> Spec:
        return Spec(*self.size, 3, Condition("picture", 3), fps=30.0)

    def parts(self, split: str) -> list[Part]:
        return [
            Part(name, start, min(start + PART, length), min(PART, length - start))
            for name, length in self.lengths.get(split, {}).items()
            for start in range(0, length, PART)
        ]

    def read(self, part: Part) -> Episode:
        return Episode(part.episode, *draw(self.seed, part.episode, part.start, part.stop, self.size))


def write(
    root: str | Path,
    train: int = 23410,
    val: int = 630,
    test: int = 5,
    seed: int = 0,
    size: str = "32x64",
    progress: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> Path:
    """Writes the data set as the course's folders of PNGs, plus test/test_truth; `progress` hears how many are done.

    Raises:
        FileExistsError: ROOT holds something already.
        ValueError: there is nothing to draw.
    """
    root = Path(root).absolute()
    if train + val + test < 1:
        raise ValueError("Nothing to draw: give --train, --val or --test above 0.")
    advice = "Give a new folder, or remove this one first."
    check_free(root, advice)
    if root.is_symlink() or root.is_mount() or root == Path.cwd():  # it is made beside its place and moved there
        raise FileExistsError(f"{root} cannot be replaced: it is a link, a mounted disk or where you are. {advice}")
    source = Dancer(train, val, test, seed, size)
    jobs = [(split, part) for split in SPLITS for part in source.parts(split)]
    with replacing(root) as drawn:
        task, workers = partial(_save, drawn, source), workers or cores()
        for count in map(task, jobs) if workers == 1 or len(jobs) == 1 else mapped(task, jobs, workers):
            if progress:
                progress(count)
        check_free(root, advice)
    return root


def _save(root: Path, source: Dancer, job: tuple[str, Part]) -> int:
    """One part's PNGs under root; returns its number of frames."""
    split, part = job
    frames, labels = draw(source.seed, part.episode, part.start, part.stop, source.size)
    inner = part.episode if split == "test" else ""
    folders = {"img": frames, "label": labels}
    if split == "test":
        folders = {"img": frames[: max(0, 1 - part.start)], "label": labels, "truth": frames}
    for kind, pictures in folders.items():
        write_pictures(root / split / f"{split}_{kind}" / inner, pictures, part.start)
    return len(frames)
