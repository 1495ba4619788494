"""System A's layout: folders of numbered PNGs, a pose picture (label) beside every frame."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from framecast.sources import SPLITS, Part, Source, rate_of
from framecast.sources._pictures import check_size, decode, number_of, numbered, resize, resized
from framecast.values import Condition, Episode, Spec, size_of

ONE_SIZE = ": all frames and labels of a split have one size. Resize it, or take it out with its partner."
CHUNK = 256  # frames a part: so that a pool of processes shares one long episode
OTHERS = (".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")  # pictures that are not read
LAYOUT = """
    ROOT/train/train_img/*.png     ROOT/train/train_label/*.png     frame i and label i have the same file name
    ROOT/val/val_img/*.png         ROOT/val/val_label/*.png         several clips: train_img/0/*.png, 1, ..., and so on
    ROOT/test/test_img/0/*.png     ROOT/test/test_label/0/*.png     also 1, 2, ...: one frame each, all labels"""


class Dance(Source):
    """Dancers: frames and coloured skeletons, N.png, frameN.png or frame000123.png, ordered by the number.

    Episodes: "train", "val", and "0", "1", ... in test; of train and val there may be several, too, in folders 0, 1,
    and so on. If ROOT/test/test_truth/0 exists, its pictures are the frames of test sequence 0 instead of the single
    one that is given.

    Args:
        root: the folder that holds train, val and test (one of them is enough).
        size: height x width to which frames and labels are resized.
        fps: frames a second of the recordings, at which films are played (the course's: 30).
    """

    example = "framecast pack dance data/dance --out stores/dance"

    def __init__(self, root: str, size: str = "32x64", fps: float = 30.0) -> None:
        self.root = Path(root)
        self.height, self.width = size_of(size) or (32, 64)
        self.fps = rate_of(fps)
        self._sizes: dict[Path, tuple[int, int]] = {}  # (H, W) of each split's first picture, once seen
        if not self.root.is_dir():
            raise FileNotFoundError(f"{root} is not a folder. Give the one with this layout:{LAYOUT}")
        if not any((self.root / split).is_dir() for split in SPLITS):
            raise FileNotFoundError(f"{root} holds neither train, val nor test. The layout expected:{LAYOUT}")

    def spec(self) -> Spec:
        """The size asked for, a picture of 3 channels for every frame."""
        return Spec(self.height, self.width, condition=Condition("picture", 3), fps=self.fps)

    def about(self) -> dict[str, str]:
        firsts = [parts[0].where[0] for split in SPLITS if (parts := self.parts(split))]
        return resized(map(self._size, firsts), (self.height, self.width))

    def parts(self, split: str) -> list[Part]:
        """Pieces of at most 256 frames; a split that is missing has none.

        Raises:
            FileNotFoundError, ValueError: a folder is missing, or files are unnumbered, double, missing or unmatched.
        """
        if split not in SPLITS or not (self.root / split).is_dir():
            return []
        images, labels = (self.root / split / f"{split}_{kind}" for kind in ("img", "label"))
        if split == "test":
            pairs = {name: self._test_pair(name) for name in _sequences(images, labels)}
        elif _in_folders(images):
            pairs = {name: self._pair(images / name, labels / name) for name in _sequences(images, labels)}
        else:
            pairs = {split: self._pair(images, labels)}
        first = next(iter(pairs.values()))[0][0]
        return [part for name, pair in pairs.items() for part in _chunks(name, *pair, first)]

    def read(self, part: Part) -> Episode:
        """The frames that are given and the labels of one part, both uint8 (T, H, W, 3).

        Raises:
            ValueError: a picture is unreadable or of another size than the first one of its split.
        """
        first, frames, labels = part.where
        return Episode(part.episode, self._pictures(frames, first), self._pictures(labels, first))

    def _pictures(self, paths: list[Path], first: Path) -> np.ndarray:
        out = np.empty((len(paths), self.height, self.width, 3), np.uint8)
        for index, path in enumerate(paths):
            frame = decode(path, str(path))
            check_size(frame, path, first, self._size(first), ONE_SIZE)
            out[index] = resize(frame[None], (self.height, self.width))[0]
        return out

    def _size(self, first: Path) -> tuple[int, int]:
        if first not in self._sizes:
            self._sizes[first] = decode(first, str(first)).shape[:2]
        return self._sizes[first]

    def _test_pair(self, name: str) -> tuple[list[Path], list[Path]]:
        test = self.root / "test"
        if (test / "test_truth" / name).is_dir():
            return self._pair(test / "test_truth" / name, test / "test_label" / name)
        frames, labels = _pictures_in(test / "test_img" / name), _pictures_in(test / "test_label" / name)
        for index, frame in enumerate(frames):
            if index >= len(labels) or number_of(frame) != number_of(labels[index]):
                raise ValueError(
                    f"{frame} is not one of the first labels of {labels[0].parent} (they begin with {labels[0].name}). "
                    f"The frames given of a test sequence are its first ones and bear their labels' numbers: rename it."
                )
        return frames, labels

    @staticmethod
    def _pair(image_folder: Path, label_folder: Path) -> tuple[list[Path], list[Path]]:
        """Frames and labels in order, one for one by file name."""
        frames, labels = _pictures_in(image_folder), _pictures_in(label_folder)
        names = {path.name for path in frames} & {path.name for path in labels}
        for path in sorted(frames + labels, key=number_of):
            if path.name not in names:
                other = label_folder if path.parent == image_folder else image_folder
                raise ValueError(
                    f"{path} has no partner {other / path.name} ({len(frames)} pictures in {image_folder.name}, "
                    f"{len(labels)} in {label_folder.name}). Frame and label share a file name: add or remove one."
                )
        return frames, labels


def _pictures_in(folder: Path) -> list[Path]:
    """The PNGs of a folder by number; raises if there are none, or numbers are double or missing."""
    if not folder.is_dir():
        raise FileNotFoundError(f"The folder {folder} is missing. The layout expected:{LAYOUT}")
    advice = "A sequence has no gaps: add the missing picture, or renumber frames and labels alike."
    paths = numbered(folder, (".png",), advice)
    others = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in OTHERS and not p.name.startswith("."))
    if paths and others:
        raise ValueError(f"{folder} holds {others[0]} beside .png files; only those are read. Convert or move it.")
    if not paths:
        raise FileNotFoundError(f"The folder {folder} holds no .png file. The layout expected:{LAYOUT}")
    return paths


def _in_folders(images: Path) -> bool:
    """Whether a split's pictures are in folders 0, 1, ...; raises where some are and some are not."""
    inside = sorted(images.iterdir()) if images.is_dir() else []
    folders = [p for p in inside if p.is_dir() and re.fullmatch("[0-9]+", p.name)]
    pictures = [p for p in inside if p.suffix.lower() == ".png" and p.name[0] != "." and not p.is_dir()]
    if folders and pictures:
        raise ValueError(
            f"{images} holds pictures ({pictures[0].name}) and folders ({folders[0].name}): it is one sequence or "
            f"several. Move the ones or the others away, or the pictures into a folder of their own."
        )
    return bool(folders)


def _sequences(images: Path, labels: Path) -> list[str]:
    """The names of a split's sequences, folders 0, 1, ... of frames and of labels."""
    framed, labelled = _folders(images), _folders(labels)
    for name in sorted(framed ^ labelled, key=int):
        has, lacks = (images, labels) if name in framed else (labels, images)
        raise FileNotFoundError(
            f"{has / name} has no partner {lacks / name}. Every sequence needs both: add it or remove the other."
        )
    return sorted(framed, key=lambda name: (int(name), name))


def _folders(folder: Path) -> set[str]:
    """The names of the numbered folders (sequences) in a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"The folder {folder} is missing. The layout expected:{LAYOUT}")
    names = {p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")}
    for name in sorted(names):
        if not re.fullmatch("[0-9]+", name):
            raise ValueError(f"{folder / name} is not a sequence: those are called 0, 1, 2, ... Rename or remove it.")
    if not names:
        raise FileNotFoundError(f"{folder} holds no folder 0, 1, 2, ... The layout expected:{LAYOUT}")
    return names


def _chunks(name: str, frames: list[Path], labels: list[Path], first: Path) -> list[Part]:
    """Parts of an episode; `first` is the picture of the split that the others must match in size."""
    parts = []
    for start in range(0, len(labels), CHUNK):
        stop = min(start + CHUNK, len(labels))
        given = frames[start:stop]
        parts.append(Part(name, start, stop, len(given), (first, given, labels[start:stop])))
    return parts
