"""RLDS recordings (Open X-Embodiment, BridgeData): TFRecords of tf.Example, one Example an episode."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from framecast.sources import Part, Source, files_in, finite, rate_of, split_of
from framecast.sources._pictures import decode as decode_picture
from framecast.sources._pictures import resize, resized
from framecast.sources._tfrecord import decode, parse_example, record_at, records
from framecast.values import Condition, Episode, Spec, nearest, size_of

Fields = dict[str, memoryview]
MAGIC = (b"\xff\xd8\xff", b"\x89PNG")  # how JPEG and PNG begin


class Rlds(Source):
    """ROOT/*.tfrecord* (or one file); each record is an episode, called by its file and its number in it.

    The camera that is read is in `camera` (its whole name), all there are in `cameras`.

    Args:
        root: the folder of the files, or one file.
        camera: the field with the frames, image_0 or steps/observation/image_0; left out, the first by name.
        condition: fields with the numbers known of every frame (action, state), several by commas are joined; or none.
        size: height x width to which frames are resized; left out, they stay as they are.
        raw_size: height x width of frames stored as plain RGB bytes; left out, frames are JPEG or PNG.
        val: patterns of episode names for validation, by commas; with neither val nor test, every tenth episode.
        test: patterns of episode names for the test.
        fps: frames a second of the recordings, at which films are played.
    """

    example = "framecast pack rlds data/bridge --camera image_0 --condition action --out stores/bridge"

    def __init__(
        self,
        root: str,
        camera: str | None = None,
        condition: str = "action",
        size: str | None = None,
        raw_size: str | None = None,
        val: str | None = None,
        test: str | None = None,
        fps: float = 30.0,
    ) -> None:
        self.files = files_in(root, "*.tfrecord*")
        self.size, self.raw_size, self.fps = size_of(size), size_of(raw_size), rate_of(fps)
        self.val, self.test = val, test
        path = self.files[0]
        offset, data = next(records(path))
        where, fields = f"{path}, record 0", parse_example(data, f"{path}, record 0")
        self.cameras = self._cameras(fields, where)
        self.camera = self._camera(camera, where, fields)
        keys = [] if condition == "none" else [key.strip() for key in condition.split(",") if key.strip()]
        self.conditions = [_find(key, fields, where) for key in keys]
        frames = self._frames(fields, where)
        self._shape = self._picture(frames[0], f"{where}, frame 0 of {self.camera}").shape
        self._counts = [column.shape[1] for column in self._columns(fields, len(frames), where)]
        self._index: list[Part] | None = None

    def about(self) -> dict[str, str]:
        told = {"camera": f"{self.camera} (of {', '.join(self.cameras)})"}
        return told | resized([self._shape[:2]], self.size or self._shape[:2])

    def spec(self) -> Spec:
        """Of the first record."""
        names = tuple(key.rsplit("/", 1)[-1] for key in self.conditions)
        condition = Condition("vector", sum(self._counts), names) if names else Condition()
        return Spec(*(self.size or self._shape[:2]), condition=condition, fps=self.fps)

    def parts(self, split: str) -> list[Part]:
        """One part an episode. The first call walks through all files, one record in memory at a time.

        Raises:
            ValueError: a file is cut off or damaged, or a record lacks a field; names file, record and field.
        """
        if self._index is None:
            self._index = [self._part(path, n, *item) for path in self.files for n, item in enumerate(records(path))]
        chosen = set(split_of([part.episode for part in self._index], self.val, self.test).get(split, []))
        return [part for part in self._index if part.episode in chosen]

    def read(self, part: Part) -> Episode:
        """Frames uint8 (T, H, W, 3) and condition float32 (T, D) of one record.

        Raises:
            ValueError: a picture is unreadable or of another size, or a number NaN; names file, record and field.
        """
        path, offset, number = part.where
        where = f"{path}, record {number}"
        fields = parse_example(record_at(Path(path), offset, number), where)
        values = self._frames(fields, where)
        size = self.size or self._shape[:2]
        frames = np.empty((len(values), *size, 3), np.uint8)
        for index, value in enumerate(values):
            frame = self._picture(value, f"{where}, frame {index} of {self.camera}")
            if frame.shape != self._shape:
                raise ValueError(
                    f"{where}, frame {index} of {self.camera} is {frame.shape[:2]} (H, W) but the first of "
                    f"{self.files[0]} is {self._shape[:2]}: all frames have one size. Take the file out."
                )
            frames[index] = resize(frame[None], size)[0]
        columns = self._columns(fields, len(values), where)
        columns = [finite(c, f"{where}, {key}") for key, c in zip(self.conditions, columns, strict=True)]
        return Episode(part.episode, frames, np.concatenate(columns, axis=1) if columns else None)

    def _part(self, path: Path, number: int, offset: int, data: bytes) -> Part:
        where = f"{path}, record {number}"
        fields = parse_example(data, where)
        length = len(self._frames(fields, where))
        counts = [column.shape[1] for column in self._columns(fields, length, where)]
        if counts != self._counts:
            raise ValueError(
                f"{where} has {counts} numbers a frame for {', '.join(self.conditions)}, but the first record of "
                f"{self.files[0]} has {self._counts}: all episodes must agree. Take the file out or choose --condition."
            )
        stem = path.name.replace(".tfrecords", "").replace(".tfrecord", "")
        return Part(f"{stem}-{number:05d}", 0, length, length, (str(path), offset, number))

    def _cameras(self, fields: Fields, where: str) -> list[str]:
        """The fields that hold lists of pictures, by name."""
        found = []
        for key in sorted(fields):
            values = decode(fields[key], f"{where}, {key}")
            if isinstance(values, list) and values and self._is_picture(values[0]):
                found.append(key)
        return found

    def _is_picture(self, value: bytes) -> bool:
        if self.raw_size:
            return len(value) == self.raw_size[0] * self.raw_size[1] * 3
        return value.startswith(MAGIC)

    def _camera(self, wanted: str | None, where: str, fields: Fields) -> str:
        found = [key for key in self.cameras if wanted in (None, key)]
        found = found or [key for key in self.cameras if wanted == key.rsplit("/", 1)[-1]]
        if wanted is not None and len(found) > 1:
            names = ", ".join(found)
            raise ValueError(f"{where} has several cameras {wanted!r}. Give one in full with --camera: {names}.")
        if found:
            return found[0]
        what = "no camera" if wanted is None else f"no camera {wanted!r}"
        shown = ", ".join(self.cameras) if self.cameras else f"none; its fields are {', '.join(sorted(fields))}"
        raise ValueError(
            f"{where} has {what}. Choose with --camera: {shown}. "
            f"Frames stored as plain RGB bytes need the right --raw_size HEIGHTxWIDTH, JPEG and PNG none."
        )

    def _frames(self, fields: Fields, where: str) -> list[bytes]:
        if self.camera not in fields:
            raise ValueError(
                f"{where} has no field {self.camera}; it has {', '.join(sorted(fields))}. Take the file out."
            )
        values = decode(fields[self.camera], f"{where}, {self.camera}")
        if not isinstance(values, list) or not values:
            raise ValueError(f"{where}, {self.camera} holds no pictures. Take the file out or choose another --camera.")
        return values

    def _picture(self, value: bytes, where: str) -> np.ndarray:
        if self.raw_size is None:
            return decode_picture(value, where)
        height, width = self.raw_size
        if len(value) != height * width * 3:
            raise ValueError(
                f"{where} has {len(value)} bytes, not {height} x {width} x 3 as --raw_size says. Give the true size, "
                f"or leave --raw_size out if frames are JPEG or PNG."
            )
        return np.frombuffer(value, np.uint8).reshape(height, width, 3)

    def _columns(self, fields: Fields, length: int, where: str) -> list[np.ndarray]:
        """Each condition field as (T, D), T = length."""
        columns = []
        for key in self.conditions:
            values = decode(fields[_find(key, fields, where)], f"{where}, {key}")
            if isinstance(values, list):
                raise ValueError(f"{where}, {key} holds no numbers. Choose another --condition, or none.")
            if not len(values) or len(values) % length:
                raise ValueError(
                    f"{where}, {key} has {len(values)} numbers for {length} frames of {self.camera}: each frame needs "
                    f"as many as the others. Mend the record, take the file out, or choose another --condition."
                )
            columns.append(values.reshape(length, -1))
        return columns


def _find(wanted: str, fields: Fields, where: str) -> str:
    """The whole name of a field given by it or by its last component."""
    found = [key for key in sorted(fields) if wanted in (key, key.rsplit("/", 1)[-1])]
    if wanted in found or len(found) == 1:
        return wanted if wanted in found else found[0]
    if found:
        raise ValueError(
            f"{where} has several fields {wanted!r}. Give one in full with --condition: {', '.join(found)}."
        )
    hint = nearest(wanted.rsplit("/", 1)[-1], [key.rsplit("/", 1)[-1] for key in fields])
    raise ValueError(f"{where} has no field {wanted!r}.{hint} Choose with --condition: {', '.join(sorted(fields))}.")
