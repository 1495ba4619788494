"""BAIR robot pushing (Ebert et al. 2017): the original TFRecords, or the folders of PNGs and .csv taken out of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from framecast.sources import Part, Source, rate_of, split_of
from framecast.sources._pictures import resize, resized
from framecast.sources._softmotion import FIELDS, Folders, Records
from framecast.values import Condition, Episode, Spec, size_of

FOLDERS = {"train": ("train",), "val": ("validate", "val"), "test": ("test",)}
HELD = 256  # sequences of train kept for validation where the recordings have none: the last file of the original
LAYOUT = """
    ROOT/{train,validate,test}/traj_*.tfrecords                  the original: each file holds many sequences
    ROOT/{train,validate,test}/traj_*.tfrecords/{n}/{i}.png      the extracted form: a folder a sequence, and in it
                                          .../{n}/actions.csv    4 numbers a frame
                                          .../{n}/endeffector_positions.csv    3 numbers a frame"""


class Bair(Source):
    """BAIR robot pushing: ROOT/train/traj_*.tfrecords, as files (the original) or as folders of PNGs and .csv.

    Which of the two is found by looking. Each sequence is an episode, called traj_0_to_255-00003: its file (or folder)
    and its number in it. ROOT may also be the folder above softmotion30_44k.

    Args:
        root: the folder that holds train and test.
        camera: of the TFRecords, aux1 (if left out; what papers use) or main; PNGs do not tell theirs.
        condition: what is known of every frame: action (4 numbers), position (3), both, or none.
        size: height x width to which frames are resized; left out, they stay as they are.
        raw_size: height x width of the frames in the TFRecords, which do not tell it.
        val: the sequences of train held out where no folder validate is there: the last N (0 for none), or patterns of
            their names by commas. Left out: the last 256, at most a tenth.
        fps: frames a second of the recordings, at which films are played; neither form tells it.
    """

    example = "framecast pack bair data/softmotion30_44k --camera aux1 --condition both --out stores/bair"

    def __init__(
        self,
        root: str,
        camera: str | None = None,
        condition: str = "both",
        size: str | None = None,
        raw_size: str = "64x64",
        val: str | None = None,
        fps: float = 30.0,
    ) -> None:
        self.root = _root(Path(root))
        self.conditions, self.size, self.val, self.fps = _conditions(condition), size_of(size), val, rate_of(fps)
        self.groups = {split: _groups(self.root, names) for split, names in FOLDERS.items()}
        found = [group for groups in self.groups.values() for group in groups]
        if not found:
            raise FileNotFoundError(f"{root} holds no traj_*.tfrecords in train or test. The layout expected:{LAYOUT}")
        if len({group.is_dir() for group in found}) == 2:
            file, folder = (next(g for g in found if g.is_dir() is kind) for kind in (False, True))
            raise ValueError(f"{self.root} holds both forms: {file} is a file, {folder} a folder. Take one form out.")
        self.form = Folders(found[0], camera) if found[0].is_dir() else Records(found[0], camera, size_of(raw_size))
        if self.groups["val"] and val is not None:
            told = f"{self.groups['val'][0].parent} holds the sequences for validation"
            raise ValueError(f"--val {val!r} is for recordings without any, but {told}. Leave --val out.")
        self._parts: dict[str, list[Part]] = {}

    def about(self) -> dict[str, str]:
        fields = " and ".join(f"{key} ({FIELDS[key][2]} numbers)" for key in self.conditions)
        count, whole = len(self.parts("val")), len(self.parts("val")) + len(self.parts("train"))
        held = f"{count} of the {whole} sequences of train are held out ({self._held()})"
        if self.groups["val"]:
            held = f"{count} sequences from {self.groups['val'][0].parent.name}"
        squeeze = resized([self.form.size], self.size or self.form.size)
        return self.form.about() | {"condition fields": fields or "none", "validation": held} | squeeze

    def spec(self) -> Spec:
        """Of the first sequence; 4, 3 or 7 condition numbers."""
        count = sum(FIELDS[key][2] for key in self.conditions)
        condition = Condition("vector", count, self.conditions) if count else Condition()
        return Spec(*(self.size or self.form.size), condition=condition, fps=self.fps)

    def parts(self, split: str) -> list[Part]:
        """One part a sequence, from the names of its files or the lengths of its records: no frame is read.

        Raises:
            FileNotFoundError, ValueError: frames are missing, double or surplus, a .csv is missing, a file is cut off.
        """
        if split not in FOLDERS:
            return []
        if split == "test" or self.groups["val"]:
            return self._listed(split)
        held = {part.episode for part in self._held_out()}
        return [part for part in self._listed("train") if (part.episode in held) == (split == "val")]

    def read(self, part: Part) -> Episode:
        """Frames uint8 (T, H, W, 3) and condition float32 (T, 4, 3 or 7) of one sequence.

        Raises:
            ValueError: damaged, another size or number of frames or numbers, NaN; names the file and the record.
        """
        frames, columns = self.form.read(part, self.conditions)
        condition = np.concatenate(columns, axis=1) if columns else None
        return Episode(part.episode, resize(frames, self.size or self.form.size), condition)

    def _listed(self, split: str) -> list[Part]:
        """The sequences as they lie in the folders."""
        if split not in self._parts:
            self._parts[split] = [p for group in self.groups[split] for p in self.form.parts(group, self.conditions)]
            names = [part.episode for part in self._parts[split]]
            if len(set(names)) < len(names):
                double = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"{self.root}, {split}: two sequences are called {double}. Rename one of their files.")
        return self._parts[split]

    def _held_out(self) -> list[Part]:
        train = self._listed("train")
        if self.val is None or self.val.strip().isdigit():
            count = min(HELD, max(len(train) // 10, 1)) if self.val is None else int(self.val)
            if train and self.val is not None and count >= len(train):
                raise ValueError(f"--val {count} takes all {len(train)} sequences of train. Give a smaller number.")
            return train[len(train) - count :] if len(train) > 1 else []
        names = set(split_of([part.episode for part in train], self.val, None)["val"])
        return [part for part in train if part.episode in names]

    def _held(self) -> str:
        held = self._held_out()
        if not held:
            return "none"
        return f"{held[0].episode} to {held[-1].episode}" if self.val is None or self.val.isdigit() else str(self.val)


def _root(root: Path) -> Path:
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder. Give the one with this layout:{LAYOUT}")
    inner = root / "softmotion30_44k"
    return inner if inner.is_dir() else root


def _conditions(text: str) -> tuple[str, ...]:
    wanted = {word.strip() for word in text.replace("both", "action,position").split(",")} - {"none"}
    if not wanted <= set(FIELDS) or (wanted and "none" in text):
        raise ValueError(f"--condition {text!r} is not one of action, position, both, none.")
    return tuple(key for key in FIELDS if key in wanted)


def _groups(root: Path, names: tuple[str, ...]) -> list[Path]:
    """The traj_*.tfrecords of a split, be they files or folders, by their numbers."""
    there = [root / name for name in names if (root / name).is_dir()]
    if len(there) > 1:
        raise ValueError(f"{there[0]} and {there[1]} are both there, one split by two names. Remove or merge one.")
    return sorted((p for folder in there for p in folder.glob("traj_*")), key=_order)


def _order(path: Path) -> tuple[list[int], str]:
    """traj_256_to_511 before traj_1024_to_1279."""
    return [int(number) for number in re.findall("[0-9]+", path.name)], path.name
