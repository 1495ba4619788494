"""Sources on synthetic recordings: what is written comes back, and every fault names its file and what mends it."""

from __future__ import annotations

import gzip
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from framecast.sources import available, find, split_of
from framecast.sources._tfrecord import (
    decode,
    masked_crc,
    parse_example,
    records,
    serialise_example,
    write_records,
)
from framecast.sources.dance import CHUNK, Dance
from framecast.sources.npz import Npz
from framecast.sources.rlds import Rlds

Fields = dict[str, Any]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encode(frame: np.ndarray, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(out, form)
    return out.getvalue()


# ---------------------------------------------------------------- all sources


def test_sources_are_found_by_file_name():
    assert {"dance", "npz", "rlds"} <= set(available())
    assert (find("dance"), find("npz"), find("rlds")) == (Dance, Npz, Rlds)


def test_split_patterns():
    names = [f"task_{i}" for i in range(20)]
    assert split_of(names, None, None)["val"] == ["task_9", "task_19"]
    split = split_of(names, "task_1?, task_3", "task_13")
    assert split["test"] == ["task_13"]
    assert len(split["val"]) == 10 and "task_3" in split["val"] and "task_13" not in split["val"]
    with pytest.raises(ValueError, match="--val 'x.' matches none of the 20 episodes"):
        split_of(names, "x*", None)
    with pytest.raises(ValueError, match="nothing is left to train on"):
        split_of(names, None, "*")


# ---------------------------------------------------------------- dance


def pictures(folder: Path, names: list[str], seed: int = 0, size: tuple[int, int] = (8, 16)) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    frames = noise(len(names), *size, 3, seed=seed)
    for name, frame in zip(names, frames, strict=True):
        (folder / name).write_bytes(encode(frame))
    return frames


@pytest.fixture
def dance(tmp_path: Path) -> Path:
    names = [f"frame{i}.png" for i in range(12)]
    pictures(tmp_path / "train/train_img", names)
    pictures(tmp_path / "train/train_label", names, seed=1)
    for sequence in ("0", "1", "2", "10"):
        pictures(tmp_path / f"test/test_img/{sequence}", names[:1], seed=2)
        pictures(tmp_path / f"test/test_label/{sequence}", names, seed=3)
    return tmp_path


def test_dance_reads_by_number_and_exactly(dance: Path):
    source = Dance(str(dance), size="8x16")
    (episode,) = source.episodes("train")
    assert np.array_equal(episode.frames, noise(12, 8, 16, 3))  # frame2 before frame10
    assert episode.condition is not None
    assert np.array_equal(episode.condition, noise(12, 8, 16, 3, seed=1))
    spec = source.spec()
    assert (spec.height, spec.width, spec.fps, spec.condition.kind, spec.condition.size) == (8, 16, 30, "picture", 3)
    assert source.parts("val") == [] and source.parts("nonsense") == []


def test_dance_test_sequences_give_one_frame_and_all_labels(dance: Path):
    source = Dance(str(dance))
    assert [part.episode for part in source.parts("test")] == ["0", "1", "2", "10"]
    episode = next(source.episodes("test"))
    assert episode.frames.shape == (1, 32, 64, 3) and episode.condition is not None
    assert episode.condition.shape == (12, 32, 64, 3)
    pictures(dance / "test/test_truth/1", [f"frame{i}.png" for i in range(12)], seed=4)
    assert [part.frames for part in source.parts("test")] == [1, 12, 1, 1]


def test_dance_long_episodes_are_cut_into_parts_that_join(tmp_path: Path):
    names = [f"{i}.png" for i in range(CHUNK + 4)]
    pictures(tmp_path / "val/val_img", names)
    pictures(tmp_path / "val/val_label", names)
    pictures(tmp_path / "test/test_img/0", names[:1])
    pictures(tmp_path / "test/test_label/0", names)
    source = pickle.loads(pickle.dumps(Dance(str(tmp_path), size="8x16")))
    assert [(p.start, p.stop, p.frames) for p in source.parts("val")] == [(0, 256, 256), (256, 260, 4)]
    assert [p.frames for p in source.parts("test")] == [1, 0]
    assert np.array_equal(next(source.episodes("val")).frames, noise(260, 8, 16, 3))
    assert next(source.episodes("test")).frames.shape == (1, 8, 16, 3)


def test_dance_zero_padded_names_start_anywhere(tmp_path: Path):
    names = [f"frame{i:06d}.png" for i in range(98, 102)]
    pictures(tmp_path / "train/train_img", names)
    pictures(tmp_path / "train/train_label", names)
    assert next(Dance(str(tmp_path)).episodes("train")).frames.shape == (4, 32, 64, 3)


def test_dance_root_without_splits_shows_the_layout(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="(?s)neither train, val nor test.*train/train_img"):
        Dance(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        Dance(str(tmp_path / "nowhere"))


def _remove(*paths: str):
    def change(root: Path) -> None:
        for path in paths:
            if (root / path).is_dir():
                for file in (root / path).iterdir():
                    file.unlink()
                (root / path).rmdir()
            else:
                (root / path).unlink()

    return change


def _add(*paths: str):
    def change(root: Path) -> None:
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(encode(noise(8, 16, 3)))

    return change


@pytest.mark.parametrize(
    ("change", "split", "message"),
    [
        (_remove("train/train_label"), "train", "(?s)train_label is missing.*layout"),
        (_remove("train/train_label/frame7.png"), "train", "frame7.png is missing|number 7 is missing"),
        (_remove("train/train_label/frame11.png"), "train", r"train_img/frame11.png has no partner .*\(12 pi.*11 in"),
        (_remove("train/train_img/frame11.png"), "train", "train_label/frame11.png has no partner .* add or remove"),
        (
            _remove("train/train_img/frame4.png", "train/train_label/frame4.png"),
            "train",
            "frame3.png is followed by frame5.png: number 4 is missing.*renumber",
        ),
        (_add("train/train_img/1.png"), "train", "train_img/1.png and frame1.png have the same number.*remove one"),
        (_add("train/train_label/01.png"), "train", "train_label/01.png and frame1.png have the same number"),
        (_add("train/train_img/cover.png"), "train", "cover.png has no number.*rename"),
        (_remove("test/test_label/2"), "test", "test_img/2 has no partner .*test_label/2"),
        (_remove("test/test_img/10/frame0.png"), "test", "(?s)test_img/10 holds no .png"),
        (_add("test/test_img/0/frame13.png"), "test", "number 1 is missing"),
        (_add("test/test_img/extra/frame0.png"), "test", "extra is not a test sequence"),
        (_add("test/test_truth/0/frame0.png"), "test", "test_label/0/frame1.png has no partner .*test_truth/0"),
    ],
)
def test_dance_faults_of_folders(dance: Path, change, split: str, message: str):
    change(dance)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Dance(str(dance)).parts(split)


def test_dance_given_frame_must_be_the_first_label(dance: Path):
    (dance / "test/test_img/1/frame0.png").rename(dance / "test/test_img/1/frame5.png")
    with pytest.raises(ValueError, match="test_img/1/frame5.png is not one of the first labels.*rename"):
        Dance(str(dance)).parts("test")


def test_dance_faults_of_pictures(dance: Path):
    source = Dance(str(dance))
    path = dance / "train/train_label/frame3.png"
    path.write_bytes(encode(noise(9, 16, 3)))
    with pytest.raises(ValueError, match="train_label/frame3.png is 9 x 16 .*train_img/frame0.png is 8 x 16.*Resize"):
        source.read(source.parts("train")[0])
    for broken in (encode(noise(8, 16, 3))[:-60], b"", b"this is text"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="train_label/frame3.png is not a readable picture.*Copy"):
            source.read(source.parts("train")[0])


# ---------------------------------------------------------------- npz


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


def vectors(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def test_npz_round_trip_and_splits(tmp_path: Path):
    for i in range(3):
        save(tmp_path / f"e{i}.npz", frames=noise(5, 8, 12, 3, seed=i), action=vectors(5, 4, i), state=np.arange(5))
    source = pickle.loads(pickle.dumps(Npz(str(tmp_path), condition="action,state", val="e1")))
    condition = source.spec().condition
    assert (condition.kind, condition.size, condition.names) == ("vector", 5, ("action", "state"))
    assert [p.episode for p in source.parts("train")] == ["e0", "e2"] and source.parts("nonsense") == []
    (episode,) = source.episodes("val")
    assert np.array_equal(episode.frames, noise(5, 8, 12, 3, seed=1))
    assert np.array_equal(episode.condition, np.c_[vectors(5, 4, 1), np.arange(5)]) and episode.condition.dtype == "f4"


@pytest.mark.parametrize("form", ["int64", "float32", "float64", "float16"])
def test_npz_number_types(tmp_path: Path, form: str):
    frames = noise(3, 8, 8, 3)
    stored = frames.astype(form) if form == "int64" else (frames / 255).astype(form)
    source = Npz(str(save(tmp_path / "one.npz", image=stored)), frames="image", condition="none")
    (episode,) = source.episodes("train")
    assert np.array_equal(episode.frames, frames) and episode.condition is None
    assert source.spec().condition.kind == "none"


def test_npz_axes_channels_and_size(tmp_path: Path):
    frames = noise(4, 9, 16, 24)
    path = str(save(tmp_path / "one.npz", frames=frames, grey=frames[:, 0]))
    source = Npz(path, condition="none", axes="TCHW", channels="6:9")
    assert np.array_equal(next(source.episodes("train")).frames, frames[:, 6:].transpose(0, 2, 3, 1))
    source = Npz(path, condition="none", axes="TCHW", channels="6:9", size="8x12")
    assert next(source.episodes("train")).frames.shape == (4, source.spec().height, source.spec().width, 3)
    assert (source.spec().height, source.spec().width) == (8, 12)
    source = Npz(path, frames="grey", condition="none", axes="THW")
    assert next(source.episodes("train")).frames.shape == (4, 16, 24, 1) and source.spec().channels == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": "video"}, r"one.npz holds no array 'video'.*--frames: it holds frames \(4, 9, 8, 8\), action"),
        (
            {"axes": "TCHW", "channels": "6:9", "condition": "pose"},
            r"one.npz holds no array 'pose'.*--condition, or none: .*action \(4, 2\)",
        ),
        ({}, "one.npz, array 'frames'.*as THWC that is 8 channels.*--channels.*--axes"),
        ({"axes": "TCHW"}, "that is 9 channels.*1 or 3"),
        ({"axes": "TCHW", "channels": "7:10"}, "7:10 are taken"),
        ({"axes": "THW"}, "one.npz.*--axes THW needs 3"),
        ({"axes": "CTHW"}, "--axes 'CTHW' is not one of THWC"),
        ({"channels": "9:6"}, "--channels '9:6' is not first:stop"),
        ({"axes": "TCHW", "channels": "6:9", "condition": "short"}, "one.npz, array 'short' has 3 rows for 4 frames"),
        ({"axes": "TCHW", "channels": "6:9", "condition": "frames"}, "a condition is numbers of shape .*--condition"),
        ({"frames": "words"}, "one.npz, array 'words'"),
    ],
)
def test_npz_faults_of_shapes(tmp_path: Path, options: dict[str, str], message: str):
    arrays = {"frames": noise(4, 9, 8, 8), "action": vectors(4, 2), "short": vectors(3, 2)}
    save(tmp_path / "one.npz", **arrays, words=np.full((4, 8, 8, 3), "a"))
    with pytest.raises(ValueError, match=message):
        Npz(str(tmp_path), **options).spec()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.full((2, 8, 8, 3), 256), "one.npz, array 'frames'.*from 256 to 256.*0..255"),
        (np.full((2, 8, 8, 3), -1), "values from -1 to -1"),
        (np.full((2, 8, 8, 3), 255.0), "values from 255.0 to 255.0: floats must lie in 0..1.*uint8"),
        (np.full((2, 8, 8, 3), np.nan), "values from nan"),
    ],
)
def test_npz_faults_of_values(tmp_path: Path, frames: np.ndarray, message: str):
    source = Npz(str(save(tmp_path / "one.npz", frames=frames)), condition="none")
    with pytest.raises(ValueError, match=message):
        source.read(source.parts("train")[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_npz_condition_must_be_finite(tmp_path: Path, bad: float):
    action = vectors(6, 2).astype(float)
    action[4, 1] = bad
    source = Npz(str(save(tmp_path / "one.npz", frames=noise(6, 8, 8, 3), action=action)))
    with pytest.raises(ValueError, match="one.npz, array 'action' has NaN or infinite numbers, first in row 4 .*mend"):
        source.read(source.parts("train")[0])


def test_npz_files_must_agree(tmp_path: Path):
    save(tmp_path / "a.npz", frames=noise(4, 8, 8, 3), action=vectors(4, 2))
    save(tmp_path / "b.npz", frames=noise(4, 8, 9, 3), action=vectors(4, 2))
    with pytest.raises(ValueError, match=r"b.npz holds .*\(8, 9, 3, 2\) but .*a.npz \(8, 8, 3, 2\).*take the file out"):
        Npz(str(tmp_path)).parts("val")


def test_npz_damaged_files(tmp_path: Path):
    path = save(tmp_path / "one.npz", frames=noise(4, 8, 8, 3), action=vectors(4, 2))
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"no archive"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="one.npz is no .npz file or cut off.*Copy"):
            Npz(str(path)).parts("train")
    whole = save(path, frames=noise(20, 64, 64, 3), action=vectors(20, 2)).read_bytes()
    path.write_bytes(whole[:100_000] + bytes(64) + whole[100_064:])  # far behind the header, inside the frames
    source = Npz(str(path))
    with pytest.raises(ValueError, match="one.npz, array 'frames' is damaged.*Copy"):
        source.read(source.parts("train")[0])
    np.savez(path, frames=np.array([{}], object))
    with pytest.raises(ValueError, match="one.npz, array 'frames'"):
        Npz(str(path), condition="none").spec()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match="holds no .*npz file"):
        Npz(str(empty))


# ---------------------------------------------------------------- TFRecord


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


# ---------------------------------------------------------------- rlds


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
        ({"condition": "joints"}, {}, "x.tfrecord, record 0 has no field 'joints'.*--condition: id, steps/action"),
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
