"""Stochastic moving digits (Denton and Fergus 2018, section 4.1), drawn as they are read."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from framecast.sources import SPLITS, Part, Source, at_least
from framecast.values import Episode, Spec

SIDE = 28  # pixels of a digit, as MNIST has them
FASTEST = 4  # pixels a frame
IMAGES = 2051  # how an IDX file of uint8 (N, H, W) begins: type 8, three axes
FILES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}


class Digits(Source):
    """Digits that fly straight and leave each wall with a speed and direction drawn anew; grey, no condition.

    Velocities are whole pixels a frame, -4 to 4 in each direction; where digits overlap they are added and clamped.
    No picture of a digit is in two splits: MNIST's test file makes the test, a tenth of its training file the
    validation; of one file alone, or of scikit-learn's digits, a tenth is for validation and a tenth for the test.

    Args:
        train: training episodes.
        val: validation episodes.
        test: test episodes.
        steps: frames of an episode.
        root: the folder of MNIST's IDX files (train-images-idx3-ubyte, t10k-images-idx3-ubyte, also .gz, one is
            enough); left out, the digits of scikit-learn, 8 x 8 pixels enlarged.
        seed: of everything that is drawn; each episode has its own, made of this, its split and its number.
        size: pixels of a side of the frames.
        digits: how many there are in a frame.
    """

    example = "framecast pack digits --train 2000 --out stores/digits"

    def __init__(
        self,
        train: int = 2000,
        val: int = 100,
        test: int = 100,
        steps: int = 25,
        root: str | None = None,
        seed: int = 0,
        size: int = 64,
        digits: int = 2,
    ) -> None:
        at_least(train=(train, 0), val=(val, 0), test=(test, 0), steps=(steps, 2), seed=(seed, 0))
        at_least(size=(size, SIDE + 1), digits=(digits, 1))
        self.counts = {"train": train, "val": val, "test": test}
        self.root, self.steps, self.seed, self.size, self.digits = root, steps, seed, size, digits
        self.pictures, self.origin = _mnist(Path(root)) if root is not None else _bundled()

    def spec(self) -> Spec:
        return Spec(self.size, self.size, 1, fps=10.0)

    def about(self) -> dict[str, str]:
        many = ", ".join(f"{len(self.pictures[split]):,} for {split}" for split in SPLITS)
        return {"digits": f"{self.origin}: {many}"}

    def parts(self, split: str) -> list[Part]:
        names = (f"{number:05d}" for number in range(self.counts.get(split, 0)))
        # With the folder: an interrupted pack begins anew where its files have changed.
        return [Part(name, 0, self.steps, self.steps, (self.root, split, n)) for n, name in enumerate(names)]

    def read(self, part: Part) -> Episode:
        """Frames uint8 (T, size, size, 1)."""
        _, split, number = part.where
        rng = np.random.default_rng([self.seed, SPLITS.index(split), number])
        pictures = self.pictures[split]
        frames = np.zeros((self.steps, self.size, self.size), np.uint16)
        for picture in pictures[rng.integers(0, len(pictures), self.digits)]:
            for frame, (y, x) in zip(frames, flight(self.steps, self.size - SIDE, rng), strict=True):
                frame[y : y + SIDE, x : x + SIDE] += picture
        return Episode(part.episode, np.minimum(frames, 255).astype(np.uint8)[..., None], None)


def flight(steps: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Places (y, x) within 0..limit of a digit's corner, int (steps, 2).

    Where a step would leave the frame the digit stops at the wall, and both components of its velocity are drawn
    anew, uniformly; the one that points at a wall is at least 1 and leads away from it.
    """
    place, velocity = rng.integers(0, limit + 1, 2), rng.integers(-FASTEST, FASTEST + 1, 2)
    places = [place]
    for _ in range(steps - 1):
        wanted = place + velocity
        place = np.clip(wanted, 0, limit)
        if (hit := wanted != place).any():
            away = np.sign(place - wanted) * rng.integers(1, FASTEST + 1, 2)
            velocity = np.where(hit, away, rng.integers(-FASTEST, FASTEST + 1, 2))
        places.append(place)
    return np.stack(places)


def _mnist(root: Path) -> tuple[dict[str, np.ndarray], str]:
    """Pictures uint8 (N, 28, 28) of each split from the IDX files of a folder, and their names for people."""
    files = {}
    for key, name in FILES.items():
        found = [path for path in (root / name, root / f"{name}.gz") if path.is_file()]
        if found:
            files[key] = found[0]
    if not files:
        wanted = " or ".join(FILES.values())
        raise FileNotFoundError(f"{root} holds no {wanted} (nor .gz). Give MNIST's folder, or no --root for others.")
    origin = "MNIST, " + " and ".join(path.name for path in files.values())
    pools = {key: read_idx(path) for key, path in files.items()}
    if len(pools) == 1:
        return _divided(next(iter(pools.values())), ("val", "test")), origin
    return {**_divided(pools["train"], ("val",)), "test": pools["test"]}, origin


def _divided(pictures: np.ndarray, held: tuple[str, ...]) -> dict[str, np.ndarray]:
    """A tenth for each split that is held out, the rest to train; shuffled, as scikit-learn's go 0 to 9 in turn."""
    order, tenth = np.random.default_rng(0).permutation(len(pictures)), len(pictures) // 10
    cuts = [tenth * (n + 1) for n in range(len(held))]
    return {split: pictures[np.sort(part)] for split, part in zip((*held, "train"), np.split(order, cuts), strict=True)}


def read_idx(path: Path) -> np.ndarray:
    """The pictures of an IDX file, packed with gzip or not: uint8 (N, 28, 28).

    Raises:
        ValueError: damaged, cut off, of another kind, size or length than its head says, or fewer than 10 pictures.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is damaged or cut off ({error}). Copy or download it again.") from None
    if len(data) < 16:
        raise ValueError(f"{path} has {len(data)} bytes, an IDX file begins with 16. Copy or download it again.")
    magic, count, height, width = struct.unpack(">4I", data[:16])
    if magic != IMAGES:
        raise ValueError(f"{path} begins with {magic}, a file of pictures with {IMAGES} (labels: 2049). Give another.")
    if (height, width) != (SIDE, SIDE):
        raise ValueError(f"{path} holds pictures of {height} x {width}; MNIST's are {SIDE} x {SIDE}. Give another.")
    if len(data) - 16 != count * SIDE * SIDE:
        found = f"{len(data) - 16:,} bytes of pictures, its head promises {count * SIDE * SIDE:,}"
        raise ValueError(f"{path} has {found} ({count:,} pictures). Copy or download it again.")
    if count < 10:
        raise ValueError(f"{path} holds {count} pictures; at least 10 are needed to have some in each split.")
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, SIDE, SIDE)


def _bundled() -> tuple[dict[str, np.ndarray], str]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise ValueError(
            "scikit-learn is not installed: its digits are drawn where no MNIST is given. Give --root FOLDER, or: "
            'pip install -e ".[digits]" (in the folder of framecast, which has pyproject.toml)'
        ) from None
    small = load_digits(return_X_y=True)[0].reshape(-1, 8, 8)  # (1797, 8, 8), 0 to 16
    return _divided(
        np.stack([_strokes(picture) for picture in small]), ("val", "test")
    ), "scikit-learn's digits, enlarged"


def _strokes(small: np.ndarray) -> np.ndarray:
    """An 8 x 8 digit, 0 to 16, as 20 x 20 in the middle of 28 x 28, as MNIST has it; grey slopes become strokes."""
    wide = Image.fromarray(small.astype(np.float32)).resize((20, 20), Image.Resampling.BICUBIC)
    ink = np.clip((np.asarray(wide) / 16 - 0.33) / 0.35, 0, 1)
    return np.pad(np.rint(255 * ink).astype(np.uint8), (SIDE - 20) // 2)
