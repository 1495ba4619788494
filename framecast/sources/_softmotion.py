"""The two forms of BAIR robot pushing: records in files, and folders of PNGs and .csv."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from framecast.sources import Part, finite
from framecast.sources._files import vectors_of
from framecast.sources._pictures import check_size
from framecast.sources._pictures import decode as decode_picture
from framecast.sources._tfrecord import decode, parse_example, record_at, spans

Picked = tuple[np.ndarray, list[np.ndarray]]  # frames (T, H, W, 3), and (T, D) of every condition field
# What is known of every frame: its .csv beside the PNGs, its key in a TFRecord, how many numbers.
FIELDS = {
    "action": ("actions.csv", "action", 4),
    "position": ("endeffector_positions.csv", "endeffector_pos", 3),
}


class Folders:
    """The extracted form; `first` is one of its traj_*.tfrecords folders."""

    def __init__(self, first: Path, camera: str | None) -> None:
        if camera is not None:
            raise ValueError(
                f"--camera {camera} chooses among the cameras of TFRecords, but {first} is a folder of PNGs: they "
                f"are of one camera and do not tell which. Leave --camera out."
            )
        self.first = first
        sequences = _sequences(first)
        picture = sequences[0] / "0.png"
        if not picture.is_file():
            raise FileNotFoundError(f"{picture} is missing. Frames are called 0.png, 1.png, ...: add it.")
        self.picture, self.size = picture, decode_picture(picture, str(picture)).shape[:2]

    def about(self) -> dict[str, str]:
        return {"form": "PNG folders", "camera": "not told by the files (papers use aux1)"}

    def parts(self, group: Path, conditions: tuple[str, ...]) -> list[Part]:
        """The sequences of one traj_*.tfrecords folder."""
        stem = _stem(group)
        made = []
        for sequence in _sequences(group):
            count = _count(sequence, conditions)
            made.append(Part(f"{stem}-{int(sequence.name):05d}", 0, count, count, str(sequence)))
        return made

    def read(self, part: Part, conditions: tuple[str, ...]) -> Picked:
        """One sequence; raises ValueError naming the file at fault."""
        frames = np.empty((part.frames, *self.size, 3), np.uint8)
        rule = ": all frames have one size. Resize it, or take the sequence out."
        for index in range(part.frames):
            path = f"{part.where}/{index}.png"
            with open(path, "rb") as file:
                frame = decode_picture(file.read(), path)
            check_size(frame, path, self.picture, self.size, rule)
            frames[index] = frame
        return frames, [self._numbers(Path(part.where), key, part.frames) for key in conditions]

    @staticmethod
    def _numbers(folder: Path, key: str, frames: int) -> np.ndarray:
        name, _, count = FIELDS[key]
        numbers = vectors_of(folder / name)
        if numbers.shape != (frames, count):
            raise ValueError(
                f"{folder / name} holds {numbers.shape[0]} rows of {numbers.shape[1]} numbers, but there are {frames} "
                f"frames of {count} each for {key}. Mend it, take the sequence out, or choose another --condition."
            )
        return numbers


class Records:
    """The original form; `first` is one of its files, `size` that of its frames."""

    def __init__(self, first: Path, camera: str | None, size: tuple[int, int] | None) -> None:
        self.size = size or (64, 64)
        where, fields = f"{first}, record 0", parse_example(record_at(first, 0, 0), f"{first}, record 0")
        found = re.compile(r"0/image_(\w+)/encoded")
        self.cameras = sorted(match.group(1) for match in map(found.fullmatch, fields) if match)
        self.camera = (camera or "aux1").removeprefix("image_")
        if self.camera not in self.cameras:
            if not self.cameras:
                raise ValueError(f"{where} is no BAIR sequence: it holds no 0/image_aux1/encoded, but {_some(fields)}.")
            raise ValueError(f"{where} has no camera {self.camera!r}. Choose with --camera: {', '.join(self.cameras)}.")
        self._lengths: dict[int, int] = {}  # bytes of a record -> its frames

    def about(self) -> dict[str, str]:
        return {"form": "TFRecords", "camera": f"{self.camera} (of {', '.join(self.cameras)})"}

    def parts(self, group: Path, conditions: tuple[str, ...]) -> list[Part]:
        """The sequences of one file. Raw frames of one size: records of one length hold the same number of them."""
        stem = _stem(group)
        made = []
        for number, (offset, length) in enumerate(spans(group)):
            if length not in self._lengths:
                self._lengths[length] = self._frames(group, offset, number)
            count = self._lengths[length]
            made.append(Part(f"{stem}-{number:05d}", 0, count, count, (str(group), offset, number)))
        return made

    def _frames(self, path: Path, offset: int, number: int) -> int:
        where = f"{path}, record {number}"
        return self._counted(parse_example(record_at(path, offset, number), where), where)

    def _counted(self, fields: dict[str, memoryview], where: str) -> int:
        """The number of frames: keys 0/image.., 1/image.., without a gap."""
        count = 0
        while f"{count}/image_{self.camera}/encoded" in fields:
            count += 1
        present = sum(key.endswith(f"/image_{self.camera}/encoded") for key in fields)
        if count != present or not count:
            raise ValueError(
                f"{where} lacks frame {count} of image_{self.camera} ({present} frames are there): frames are "
                f"numbered from 0 without gaps. Take the file out, or choose another --camera."
            )
        return count

    def read(self, part: Part, conditions: tuple[str, ...]) -> Picked:
        """One sequence; raises ValueError naming the file at fault."""
        path, offset, number = part.where
        where = f"{path}, record {number}"
        fields = parse_example(record_at(Path(path), offset, number), where)
        if (count := self._counted(fields, where)) != part.frames:
            raise ValueError(
                f"{where} holds {count} frames, records of its length elsewhere {part.frames}. Take it out."
            )
        frames = np.empty((count, *self.size, 3), np.uint8)
        for index in range(count):
            frames[index] = self._picture(fields, f"{index}/image_{self.camera}/encoded", where)
        return frames, [self._numbers(fields, key, count, where) for key in conditions]

    def _picture(self, fields: dict[str, memoryview], key: str, where: str) -> np.ndarray:
        values = decode(fields[key], f"{where}, {key}")
        height, width = self.size
        if not isinstance(values, list) or len(values) != 1 or len(values[0]) != height * width * 3:
            found = f"{len(values[0])} bytes" if isinstance(values, list) and values else "no picture"
            raise ValueError(
                f"{where}, {key} holds {found}, not the {height} x {width} x 3 of an RGB frame. Give the true size "
                f"with --raw_size HEIGHTxWIDTH, or take the file out."
            )
        return np.frombuffer(values[0], np.uint8).reshape(height, width, 3)

    @staticmethod
    def _numbers(fields: dict[str, memoryview], name: str, frames: int, where: str) -> np.ndarray:
        _, field, count = FIELDS[name]
        numbers = np.empty((frames, count), np.float32)
        for index in range(frames):
            key = f"{index}/{field}"
            values: Any = decode(fields[key], f"{where}, {key}") if key in fields else []
            if isinstance(values, list) or len(values) != count:
                raise ValueError(
                    f"{where}, {key} holds {len(values)} numbers, not {count}. Take the file out, or choose another "
                    f"--condition (action, position, both or none)."
                )
            numbers[index] = values
        if (after := f"{frames}/{field}") in fields:
            raise ValueError(
                f"{where} holds {after}, but only {frames} frames: the last is missing. Take the file out, or choose "
                f"another --condition (action, position, both or none)."
            )
        return finite(numbers, f"{where}, {field}")


def _stem(group: Path) -> str:
    return group.name.replace(".tfrecords", "").replace(".tfrecord", "")


def _sequences(group: Path) -> list[Path]:
    """The numbered folders in a traj_*.tfrecords folder, by number."""
    with os.scandir(group) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
    for name in names:
        if not re.fullmatch("[0-9]+", name):
            raise ValueError(f"{group / name} is not a sequence: those are folders 0, 1, 2, ... Rename or remove it.")
    if not names:
        raise FileNotFoundError(f"{group} holds no sequence (folders 0, 1, 2, ...). Take it out, or extract it again.")
    return [group / name for name in sorted(names, key=int)]


def _count(folder: Path, conditions: tuple[str, ...]) -> int:
    """The number of frames of a sequence, from the names in its folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder. A sequence is one, with 0.png, 1.png, ... in it. Take it out.")
    names = set(os.listdir(folder))
    pictures = {name for name in names if name.endswith(".png") and not name.startswith(".")}
    surplus = sorted(pictures - {f"{i}.png" for i in range(len(pictures))})
    if surplus or not pictures:
        missing = next(i for i in range(len(pictures) + 1) if f"{i}.png" not in pictures)
        rest = f", but {surplus[-1]} is there" if surplus else ": it holds no frame"
        raise ValueError(
            f"{folder} lacks {missing}.png{rest}. Frames are 0.png, 1.png, ... without gaps: add, rename or "
            f"remove one, or take the sequence out."
        )
    for key in conditions:
        if FIELDS[key][0] not in names:
            raise FileNotFoundError(
                f"{folder} lacks {FIELDS[key][0]}. Add it, take the sequence out, or choose another --condition "
                f"(action, position, both or none)."
            )
    return len(pictures)


def _some(fields: dict[str, Any]) -> str:
    names = sorted(fields)
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
