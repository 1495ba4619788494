"""TFRecords of episodes: what is written comes back, and every fault names its file and what mends it."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import encode, noise, vectors

from framecast.sources._tfrecord import decode, masked_crc, parse_example, records, serialise_example, write_records
from framecast.sources.rlds import Rlds

Fields = dict[str, Any]


def test_masked_crc_known_value():
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720's polynomial); rotated right by 15, plus 0xA282EAD8
    crc = 0xE3069283
    assert masked_crc(b"123456789") == ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def test_tfrecord_round_trip(tmp_path: Path):
    data = [b"", b"a", bytes(1000)]
    write_records(tmp_path / "x.tfrecord", data)
    assert [record for _, record in records(tmp_path / "x.tfrecord")] == data
    assert [offset for offset, _ in records(tmp_path / "x.tfrecord")] == [0, 16, 33]
    assert [path.name for path in tmp_path.iterdir()] == ["x.tfrecord"]


@pytest.mark.parametrize("packed", [True, False])
def test_example_packed_and_unpacked(packed: bool):
    integers = np.array([0, 1, 127, 128, -1, 2**62, -(2**63), 2**63 - 1], np.int64)
    fields = {"f": vectors(3, 2), "i": integers, "b": [b"", b"\xff\x00"], "empty": np.empty(0, np.int64)}
    found = parse_example(serialise_example(fields, packed), "here")
    read = {key: decode(value, "here") for key, value in found.items()}
    assert np.array_equal(read["f"], vectors(3, 2).ravel()) and np.array_equal(read["i"], integers)
    assert read["b"] == [b"", b"\xff\x00"] and len(read["empty"]) == 0


def test_example_known_bytes():
    # written by hand after the protobuf encoding guide: features { feature { "a": int64_list [3, 270] } }, packed
    data = bytes.fromhex("0a0e" + "0a0c" + "0a0161" + "1207" + "1a05" + "0a03" + "038e02")
    assert np.array_equal(decode(parse_example(data, "here")["a"], "here"), [3, 270])


def episode(length: int = 4, seed: int = 0, form: str = "PNG", **changes: Any) -> Fields:
    frames = noise(length, 16, 24, 3, seed=seed)
    fields = {
        "steps/observation/image_1": [encode(frame) for frame in frames[::-1]],
        "steps/observation/image_0": [encode(frame, form) for frame in frames],
        "steps/observation/state": np.arange(length),
        "steps/action": vectors(length, 3, seed),
        "steps/language_instruction": [b"put it there"] * length,
        "id": np.array([7]),
    }
    return {key: value for key, value in {**fields, **changes}.items() if value is not None}


def write(path: Path, *episodes: Fields, packed: bool = True) -> str:
    write_records(path, [serialise_example(fields, packed) for fields in episodes])
    return str(path.parent)


@pytest.mark.parametrize("packed", [True, False])
def test_rlds_round_trip(tmp_path: Path, packed: bool):
    write(tmp_path / "x.tfrecord-00000-of-00002", episode(4), episode(6, 1), packed=packed)
    root = write(tmp_path / "x.tfrecord-00001-of-00002", episode(5, 2), packed=packed)
    source = pickle.loads(pickle.dumps(Rlds(root, condition="action,state", val="*-of-00002-00001")))
    assert source.camera == "steps/observation/image_0" and len(source.cameras) == 2
    assert [(p.episode, p.stop) for p in source.parts("train")] == [
        ("x-00000-of-00002-00000", 4),
        ("x-00001-of-00002-00000", 5),
    ]
    (val,) = source.episodes("val")
    assert np.array_equal(val.frames, noise(6, 16, 24, 3, seed=1))
    assert np.array_equal(val.condition, np.c_[vectors(6, 3, 1), np.arange(6)]) and val.condition.dtype == "f4"
    spec = source.spec()
    assert (spec.height, spec.width, spec.condition.size) == (16, 24, 4)
    assert spec.condition.names == ("action", "state")


def test_rlds_camera_size_and_no_condition(tmp_path: Path):
    root = write(tmp_path / "x.tfrecord", episode())
    (found,) = Rlds(root, camera="image_1", condition="none").episodes("train")
    assert np.array_equal(found.frames, noise(4, 16, 24, 3)[::-1]) and found.condition is None
    source = Rlds(root, camera="steps/observation/image_1", condition="steps/action", size="8x12")
    assert next(source.episodes("train")).frames.shape == (4, 8, 12, 3) and source.spec().width == 12


def test_rlds_raw_frames_and_jpeg(tmp_path: Path):
    frames = noise(4, 16, 24, 3)
    raw: Any = [frame.tobytes() for frame in frames]
    root = write(tmp_path / "x.tfrecord", episode() | {IMAGE: raw})
    (found,) = Rlds(root, raw_size="16x24").episodes("train")
    assert np.array_equal(found.frames, frames)
    smooth = np.stack([np.add.outer(np.arange(16) * 4, np.arange(24) * 3).astype(np.uint8)] * 3, -1)
    root = write(tmp_path / "x.tfrecord", episode(1) | {IMAGE: [encode(smooth, "JPEG")]})
    (found,) = Rlds(root).episodes("train")
    assert np.abs(found.frames[0].astype(int) - smooth).max() <= 12


IMAGE, ACTION = "steps/observation/image_0", "steps/action"


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        (
            {"camera": "wrist"},
            {},
            "x.tfrecord, record 0 has no camera 'wrist'.*--camera: steps/observation/image_0, .*1",
        ),
        (
            {"condition": "joints"},
            {},
            "x.tfrecord, record 0 has no field 'joints'. Choose with --condition: id, steps/action",
        ),
        ({"condition": "steps/acton"}, {}, "x.tfrecord, record 0 has no field 'steps/acton'. Did you mean 'action'"),
        (
            {"condition": "language_instruction"},
            {},
            "x.tfrecord, record 0, steps/language_instruction holds no numbers",
        ),
        ({"condition": "id"}, {}, "record 0, id has 1 numbers for 4 frames .*--condition"),
        ({"condition": "state"}, {"other/state": np.arange(4)}, "several fields 'state'.*other/state, steps"),
        ({"raw_size": "16x23"}, {}, "x.tfrecord, record 0 has no camera.*the right --raw_size"),
        ({}, {ACTION: None}, "x.tfrecord, record 0 has no field 'action'"),
        ({}, {ACTION: vectors(5, 3)}, "x.tfrecord, record 0, steps/action has 15 numbers for 4 frames"),
    ],
)
def test_rlds_faults_of_the_first_record(
    tmp_path: Path, options: dict[str, Any], changes: dict[str, Any], message: str
):
    root = write(tmp_path / "x.tfrecord", episode(**changes))
    with pytest.raises(ValueError, match=message):
        Rlds(root, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({ACTION: None}, "x.tfrecord, record 1 has no field 'steps/action'"),
        ({IMAGE: None}, "x.tfrecord, record 1 has no field steps/observation/image_0; it has id, .*Take the file out"),
        ({IMAGE: []}, "x.tfrecord, record 1, steps/observation/image_0 holds no pictures"),
        ({ACTION: vectors(4, 2)}, "x.tfrecord, record 1 has .2. numbers a frame .* has .3."),
        ({IMAGE: [encode(noise(16, 24, 3))] * 5}, "record 1, steps/action has 12 numbers for 5 frames"),
    ],
)
def test_rlds_faults_of_later_records(tmp_path: Path, changes: dict[str, Any], message: str):
    source = Rlds(write(tmp_path / "x.tfrecord", episode(), episode(**changes)))
    with pytest.raises(ValueError, match=message):
        source.parts("train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({ACTION: np.array([[0.0], [1], [np.nan], [np.inf]]).repeat(3, 1)}, "steps/action has NaN .*first in row 2"),
        ({IMAGE: [encode(noise(16, 23, 3))] * 4}, r"frame 0 of .*image_0 is \(16, 23\) .*is \(16, 24\).*one size"),
        ({IMAGE: [encode(noise(16, 24, 3))[:50]] * 4}, "frame 0 of .*image_0 is not a readable picture"),
    ],
)
def test_rlds_faults_of_values(tmp_path: Path, changes: dict[str, Any], message: str):
    source = Rlds(write(tmp_path / "x.tfrecord", episode(), episode(**changes)), val="*-00001")
    with pytest.raises(ValueError, match="x.tfrecord, record 1, " + message):
        source.read(source.parts("val")[0])


def test_rlds_raw_frames_of_another_length(tmp_path: Path):
    raw, short = [[bytes(n)] * 4 for n in (16 * 24 * 3, 99)]
    root = write(tmp_path / "x.tfrecord", episode() | {IMAGE: raw}, episode() | {IMAGE: short})
    source = Rlds(root, raw_size="16x24", val="*-00001")
    with pytest.raises(ValueError, match="record 1, frame 0 .* has 99 bytes, not 16 x 24 x 3.*true size"):
        source.read(source.parts("val")[0])


def test_rlds_cut_off_and_damaged_files(tmp_path: Path):
    path = tmp_path / "x.tfrecord"
    root = write(path, episode(), episode(seed=1))
    whole = path.read_bytes()
    second = [offset for offset, _ in records(path)][1]

    def fault(data: bytes, message: str) -> None:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message):
            Rlds(root).parts("train")

    fault(whole[:-10], f"x.tfrecord, record 1 at byte {second}: the file is cut off .* promised.*download it again")
    fault(whole[: second + 5], f"x.tfrecord, record 1 at byte {second}: the file is cut off")
    for position, what in (
        (second, "length"),
        (second + 9, "length"),
        (second + 100, "data"),
        (len(whole) - 1, "data"),
    ):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        fault(bytes(damaged), f"x.tfrecord, record 1 at byte {second}: wrong CRC of the {what}")
    fault(b"", "x.tfrecord is empty")
    fault(b"this is no record at all", "record 0 at byte 0: wrong CRC of the length: damaged or no TFRecord")
    fault(gzip.compress(whole), "x.tfrecord is compressed with gzip.*gunzip")


def test_rlds_records_that_are_no_examples(tmp_path: Path):
    for data in (b"plain text, not a message", b"", b"\x0a\xff", b"\x0a\x02\x0a\x00"):
        write_records(tmp_path / "x.tfrecord", [data])
        with pytest.raises(ValueError, match="x.tfrecord, record 0 is not a tf.Example"):
            Rlds(str(tmp_path))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match="holds no .*tfrecord. file"):
        Rlds(str(empty))


def test_a_camera_by_its_whole_name_is_that_one(tmp_path: Path):
    """And by the last part of its name only where there is one of that name."""
    names = ("a/image", "b/image", "image")
    fields = {key: [encode(f) for f in noise(2, 8, 8, 3, seed=n)] for n, key in enumerate(names)}
    write_records(tmp_path / "x.tfrecord", [serialise_example({**fields, "action": vectors(2, 1)})])
    assert Rlds(str(tmp_path), camera="image", condition="action").camera == "image"
    del fields["image"]
    write_records(tmp_path / "x.tfrecord", [serialise_example({**fields, "action": vectors(2, 1)})])
    with pytest.raises(ValueError, match="several cameras 'image'. Give one in full with --camera: a/image, b/image"):
        Rlds(str(tmp_path), camera="image", condition="action")


def test_names_in_capitals_are_read_too(tmp_path: Path):
    for name in ("a.tfrecord", "B.TFRECORD"):
        write_records(tmp_path / name, [serialise_example(episode())])
    found = Rlds(str(tmp_path), camera="image_0", condition="none").files
    assert [path.name for path in found] == ["B.TFRECORD", "a.tfrecord"]
