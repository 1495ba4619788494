"""BAIR in both forms: the same sequences come out, what was chosen is said, every fault names its file and record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from framecast.packing import pack
from framecast.sources._tfrecord import record_at, records, serialise_example, spans, write_records
from framecast.sources.bair import Bair

FORMS = ("png", "tfrecord")
Sequence = dict[str, np.ndarray]


def sequence(seed: int, frames: int = 3, height: int = 8, width: int = 12) -> Sequence:
    random = np.random.default_rng(seed)
    return {
        "aux1": random.integers(0, 256, (frames, height, width, 3), dtype=np.uint8),
        "main": random.integers(0, 256, (frames, height, width, 3), dtype=np.uint8),
        "action": random.normal(size=(frames, 4)).astype(np.float32),
        "position": random.normal(size=(frames, 3)).astype(np.float32),
    }


def write_png(folder: Path, values: Sequence) -> None:
    folder.mkdir(parents=True)
    for i, frame in enumerate(values["aux1"]):
        Image.fromarray(frame).save(folder / f"{i}.png")
    for key, name in (("action", "actions.csv"), ("position", "endeffector_positions.csv")):
        np.savetxt(folder / name, values[key], delimiter=",", fmt="%.9g")


def example(values: Sequence, **changes: Any) -> bytes:
    """A record as in the original; a field changed to None is left out."""
    fields: dict[str, Any] = {}
    for i in range(len(values["action"])):
        fields |= {f"{i}/image_{c}/encoded": [values[c][i].tobytes()] for c in ("main", "aux1")}
        fields |= {f"{i}/action": values["action"][i], f"{i}/endeffector_pos": values["position"][i]}
    fields |= changes
    return serialise_example({key: value for key, value in fields.items() if value is not None})


def write(root: Path, form: str, groups: dict[str, list[Sequence]]) -> dict[str, Any]:
    """`train/traj_0_to_1`: its sequences. Returns the options to read them with."""
    for group, members in groups.items():
        path = root / f"{group}.tfrecords"
        if form == "png":
            for number, values in enumerate(members):
                write_png(path / str(number), values)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_records(path, map(example, members))
    return {"root": str(root), "raw_size": "8x12"}


def known(*seeds: int) -> list[Sequence]:
    return [sequence(seed) for seed in seeds]


every_form = pytest.mark.parametrize("form", FORMS)


# ---------------------------------------------------------------- what comes out


@every_form
@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ("both", ("action", "position")),
        ("position, action", ("action", "position")),
        ("action", ("action",)),
        ("position", ("position",)),
        ("none", ()),
    ],
)
def test_sequences_come_out_exactly(tmp_path: Path, form: str, condition: str, fields: tuple[str, ...]) -> None:
    groups = {"train/traj_0_to_1": known(0, 1), "train/traj_2_to_3": known(2, 3), "test/traj_0_to_0": known(9)}
    source = Bair(**write(tmp_path, form, groups), condition=condition, val="0")
    spec = source.spec()
    widths = {"action": 4, "position": 3}
    assert (spec.height, spec.width, spec.channels) == (8, 12, 3)
    assert (spec.condition.names, spec.condition.size) == (fields, sum(widths[f] for f in fields))
    assert spec.condition.kind == ("vector" if fields else "none")
    for split, seeds in (("train", (0, 1, 2, 3)), ("val", ()), ("test", (9,))):
        found = list(source.episodes(split))
        assert len(found) == len(seeds)
        for episode, seed in zip(found, seeds, strict=True):
            true = sequence(seed)
            assert np.array_equal(episode.frames, true["aux1"])
            if not fields:
                assert episode.condition is None
                continue
            assert episode.condition is not None and episode.condition.dtype == np.float32
            assert np.array_equal(episode.condition, np.concatenate([true[f] for f in fields], 1))
    assert [p.episode for p in source.parts("train")] == [
        f"traj_{g}-0000{n}" for g in ("0_to_1", "2_to_3") for n in (0, 1)
    ]


@every_form
def test_files_and_sequences_are_ordered_by_number(tmp_path: Path, form: str) -> None:
    groups = {f"train/traj_{first}_to_{first + 10}": known(*range(first, first + 11)) for first in (0, 11, 100)}
    source = Bair(**write(tmp_path, form, groups), val="0")
    seeds = [*range(22), *range(100, 111)]
    assert all(
        np.array_equal(e.frames, sequence(s)["aux1"]) for e, s in zip(source.episodes("train"), seeds, strict=True)
    )


def test_the_camera_is_chosen_and_said(tmp_path: Path) -> None:
    options = write(tmp_path, "tfrecord", {"train/traj_0_to_1": known(0, 1)})
    for camera in ("main", "image_main"):
        source = Bair(**options, camera=camera)
        assert np.array_equal(next(source.episodes("train")).frames, sequence(0)["main"])
        assert source.about()["camera"] == "main (of aux1, main)"
    assert Bair(**options).about()["camera"] == "aux1 (of aux1, main)"
    with pytest.raises(ValueError, match="record 0 has no camera 'wrist'. Choose with --camera: aux1, main"):
        Bair(**options, camera="wrist")
    options = write(tmp_path / "png", "png", {"train/traj_0_to_1": known(0, 1)})
    assert "not told" in Bair(**options).about()["camera"]
    with pytest.raises(ValueError, match="--camera main chooses among the cameras of TFRecords, but .*folder of PNGs"):
        Bair(**options, camera="main")


@every_form
def test_what_was_read_is_said(tmp_path: Path, form: str) -> None:
    source = Bair(**write(tmp_path, form, {"train/traj_0_to_1": known(0, 1)}))
    assert source.about() == {
        "form": {"png": "PNG folders", "tfrecord": "TFRecords"}[form],
        "camera": source.about()["camera"],
        "condition fields": "action (4 numbers) and position (3 numbers)",
        "validation": "1 of the 2 sequences of train are held out (traj_0_to_1-00001 to traj_0_to_1-00001)",
    }


@every_form
@pytest.mark.parametrize("folder", ["validate", "val"])
def test_validation_of_its_own(tmp_path: Path, form: str, folder: str) -> None:
    options = write(tmp_path, form, {"train/traj_0_to_0": known(0), f"{folder}/traj_0_to_1": known(4, 5)})
    source = Bair(**options)
    assert [len(source.parts(split)) for split in ("train", "val", "test")] == [1, 2, 0]
    assert source.about()["validation"] == f"2 sequences from {folder}"
    with pytest.raises(ValueError, match=f"--val '3' is for recordings without any, but .*{folder} holds"):
        Bair(**options, val="3")
    write(tmp_path, form, {("val" if folder == "validate" else "validate") + "/traj_0_to_0": known(6)})
    with pytest.raises(ValueError, match="validate and .*val are both there"):
        Bair(**options)


def test_validation_held_out(tmp_path: Path) -> None:
    options = write(
        tmp_path, "tfrecord", {"train/traj_0_to_19": known(*range(20)), "train/traj_20_to_22": known(1, 2, 3)}
    )

    def held(val: str | None) -> list[str]:
        source = Bair(**options, val=val)
        names = [[p.episode for p in source.parts(split)] for split in ("train", "val")]
        assert not set(names[0]) & set(names[1]) and len(names[0]) + len(names[1]) == 23
        return names[1]

    assert held(None) == ["traj_20_to_22-00001", "traj_20_to_22-00002"]  # a tenth, at the end
    assert held("4") == ["traj_0_to_19-00019", *(f"traj_20_to_22-0000{n}" for n in range(3))]
    assert held("traj_20_*, *-00007") == ["traj_0_to_19-00007", *(f"traj_20_to_22-0000{n}" for n in range(3))]
    assert held("0") == []
    with pytest.raises(ValueError, match="--val 23 takes all 23 sequences"):
        Bair(**options, val="23").parts("train")
    with pytest.raises(ValueError, match="--val 'x' matches none of the 23"):
        Bair(**options, val="x").parts("val")


@every_form
def test_frames_are_resized_and_the_inner_folder_is_found(tmp_path: Path, form: str) -> None:
    options = write(tmp_path / "softmotion30_44k", form, {"train/traj_0_to_1": known(0, 1)})
    source = Bair(**options | {"root": str(tmp_path)}, size="16x8")
    assert (source.spec().height, source.spec().width) == (16, 8)
    assert next(source.episodes("train")).frames.shape == (3, 16, 8, 3)


def test_listing_reads_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """44,000 sequences are listed from the lengths of their records: one of each length is read."""
    options = write(tmp_path, "tfrecord", {"train/traj_0_to_9": [*known(*range(9)), sequence(9, frames=5)]})
    path = tmp_path / "train/traj_0_to_9.tfrecords"
    source, asked = Bair(**options, val="0"), list[int]()

    def noted(path: Path, offset: int, number: int) -> bytes:
        asked.append(number)
        return record_at(path, offset, number)

    monkeypatch.setattr("framecast.sources._softmotion.record_at", noted)
    assert [part.frames for part in source.parts("train")] == [3] * 9 + [5]
    assert asked == [0, 9]
    assert list(spans(path)) == [(offset, len(data)) for offset, data in records(path)]


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize("text", ["actions", "action,joints", "", "none,action"])
def test_other_conditions_are_refused(tmp_path: Path, text: str) -> None:
    options = write(tmp_path, "png", {"train/traj_0_to_0": known(0)})
    with pytest.raises(ValueError, match=f"--condition '{text}' is not one of action, position, both, none"):
        Bair(**options, condition=text)


def test_folders_that_are_no_bair(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a folder.*\n.*traj_"):
        Bair(str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="holds no traj_.* in train or test"):
        Bair(str(tmp_path))
    write(tmp_path, "png", {"train/traj_0_to_0": known(0)})
    write(tmp_path, "tfrecord", {"test/traj_0_to_0": known(0)})
    with pytest.raises(ValueError, match="holds both forms: .*test.*is a file, .*train.* a folder"):
        Bair(str(tmp_path))


def spoil(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def picture(path: Path, *shape: int) -> None:
    Image.fromarray(np.zeros(shape, np.uint8)).save(path)


A, P = "actions.csv", "endeffector_positions.csv"
BAD_FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a row missing": (
        lambda d: spoil(d / A, lambda t: t.split("\n", 1)[1]),
        f"1/{A} holds 2 rows of 4 numbers.* 3 fram",
    ),
    "a row too many": (lambda d: spoil(d / P, lambda t: t + "1,2,3\n"), f"1/{P} holds 4 rows of 3 numbers"),
    "columns": (lambda d: spoil(d / A, lambda t: t.replace("\n", ",1\n")), f"1/{A} holds 3 rows of 5 .* of 4 each"),
    "a column in one row": (lambda d: spoil(d / A, lambda t: t[:-1] + ",1\n"), f"1/{A} has 1 fault:\n.*line 3: 5 col"),
    "a word": (lambda d: spoil(d / P, lambda t: t[:-1] + "cm\n"), f"1/{P} has 1 fault:\n.*line 3: column 3 is .*cm'"),
    "NaN": (
        lambda d: spoil(d / A, lambda t: "nan" + t[t.index(",") :]),
        f"1/{A} has 1 fault:\n.*line 1: column 1 is nan",
    ),
    "empty": (lambda d: spoil(d / A, lambda t: ""), f"1/{A} holds no numbers"),
    "no csv": (lambda d: (d / P).unlink(), f"1 lacks {P}. Add it, .*--condition"),
    "a frame missing": (lambda d: (d / "1.png").unlink(), "1 lacks 1.png, but 2.png is there"),
    "the last frame missing": (lambda d: (d / "2.png").unlink(), f"1/{A} holds 3 rows of 4 numbers.* 2 frames"),
    "a frame too many": (lambda d: picture(d / "3.png", 8, 12, 3), f"1/{A} holds 3 rows .* 4 frames"),
    "a frame of another name": (lambda d: picture(d / "02.png", 8, 12, 3), "1 lacks 3.png, but 02.png is there"),
    "no frame": (lambda d: [p.unlink() for p in d.glob("*.png")], "1 lacks 0.png: it holds no frame"),
    "another size": (lambda d: picture(d / "1.png", 8, 11, 3), r"1/1.png is 8 x 11 \(H x W\) but .*0/0.png is 8 x 12"),
    "no picture": (lambda d: (d / "1.png").write_bytes(b"x"), "1/1.png is not a readable picture"),
    "a file beside": (lambda d: (d.parent / "notes.txt").touch(), "notes.txt is not a sequence"),
    "a file for a folder": (lambda d: (d.parent / "2").touch(), "2 is not a folder"),
}


@pytest.mark.parametrize("fault", BAD_FOLDERS)
def test_faults_of_folders(tmp_path: Path, fault: str) -> None:
    options = write(tmp_path, "png", {"train/traj_0_to_1": known(0, 1)})
    change, message = BAD_FOLDERS[fault]
    change(tmp_path / "train/traj_0_to_1.tfrecords/1")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        list(Bair(**options, val="0").episodes("train"))


def test_faults_found_by_workers_come_through(tmp_path: Path) -> None:
    options = write(tmp_path / "bair", "png", {"train/traj_0_to_1": known(0, 1)})
    change, message = BAD_FOLDERS["a word"]
    change(tmp_path / "bair/train/traj_0_to_1.tfrecords/1")
    with pytest.raises(ValueError, match=message):
        pack("bair", {**options, "val": "0"}, tmp_path / "store", workers=1)


def test_faults_of_the_first_folder(tmp_path: Path) -> None:
    options = write(tmp_path, "png", {"train/traj_0_to_0": known(0)})
    first = tmp_path / "train/traj_0_to_0.tfrecords"
    (first / "0/0.png").unlink()
    with pytest.raises(FileNotFoundError, match="0/0.png is missing"):
        Bair(**options)
    (first / "0").rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match="traj_0_to_0.tfrecords holds no sequence"):
        Bair(**options)


def test_a_csv_may_name_its_columns(tmp_path: Path) -> None:
    options = write(tmp_path, "png", {"train/traj_0_to_0": known(0)})
    spoil(tmp_path / "train/traj_0_to_0.tfrecords/0" / A, lambda text: "x,y,turn,grip\n" + text)
    (episode,) = Bair(**options, condition="action", val="0").episodes("train")
    assert episode.condition is not None and np.array_equal(episode.condition, sequence(0)["action"])


BAD_RECORDS: dict[str, tuple[dict[str, Any], str]] = {
    "frame size": (
        {"1/image_aux1/encoded": [bytes(9)]},
        "record 1, 1/image_aux1/encoded holds 9 bytes, not the 8 x 12",
    ),
    "no bytes": ({"1/image_aux1/encoded": np.zeros(3, np.float32)}, "record 1, 1/image_aux1/encoded holds no picture"),
    "a frame missing": ({"1/image_aux1/encoded": None}, "record 1 lacks frame 1 of image_aux1 .2 frames are there"),
    "the last frame missing": ({"2/image_aux1/encoded": None}, "record 1 holds 2/action, but only 2 frames"),
    "no camera": ({f"{i}/image_aux1/encoded": None for i in range(3)}, "record 1 lacks frame 0 of image_aux1"),
    "action size": ({"2/action": np.zeros(5, np.float32)}, "record 1, 2/action holds 5 numbers, not 4"),
    "no action": ({"2/action": None}, "record 1, 2/action holds 0 numbers, not 4.*--condition"),
    "bytes": ({"0/endeffector_pos": [b"abc"]}, "record 1, 0/endeffector_pos holds 1 numbers, not 3"),
    "NaN": ({"2/action": np.array([0, np.nan, 0, 0], np.float32)}, "record 1, action has NaN .*in row 2"),
}


@pytest.mark.parametrize("fault", BAD_RECORDS)
def test_faults_of_records(tmp_path: Path, fault: str) -> None:
    options = write(tmp_path, "tfrecord", {"train/traj_0_to_1": []})
    changes, message = BAD_RECORDS[fault]
    path = tmp_path / "train/traj_0_to_1.tfrecords"
    write_records(path, [example(sequence(0)), example(sequence(1), **changes)])
    with pytest.raises(ValueError, match="traj_0_to_1.tfrecords, " + message):
        list(Bair(**options, val="0").episodes("train"))


def test_the_size_of_raw_frames_is_asked_for(tmp_path: Path) -> None:
    options = write(tmp_path, "tfrecord", {"train/traj_0_to_0": known(0)})
    with pytest.raises(ValueError, match="0/image_aux1/encoded holds 288 bytes, not the 64 x 64 x 3.*--raw_size"):
        list(Bair(options["root"], val="0").episodes("train"))


def test_a_record_of_the_same_length_with_other_frames_is_named(tmp_path: Path) -> None:
    options = write(tmp_path, "tfrecord", {"train/traj_0_to_1": known(0)})
    data = example(sequence(0))
    other = data.replace(b"2/image_aux1/encoded", b"2/image_auxx/encoded")
    write_records(tmp_path / "train/traj_0_to_1.tfrecords", [data, other])
    with pytest.raises(ValueError, match="record 1 holds 2 frames, records of its length elsewhere 3"):
        list(Bair(**options, val="0").episodes("train"))


def test_damaged_files(tmp_path: Path) -> None:
    options = write(tmp_path, "tfrecord", {"train/traj_0_to_1": known(0, 1)})
    path = tmp_path / "train/traj_0_to_1.tfrecords"
    whole, second = path.read_bytes(), [offset for offset, _ in spans(path)][1]

    def fault(position: int, message: str) -> None:
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"tfrecords, record 1 at byte {second}: {message}"):
            list(Bair(**options, val="0").episodes("train"))

    fault(second, "wrong CRC of the length")
    fault(second + 100, "wrong CRC of the data")
    for data, message in ((whole[:-9], "record 1 .*the file is cut off"), (whole[: second + 3], "record 1 .*cut off")):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message):
            Bair(**options, val="0").parts("train")
    write(tmp_path, "tfrecord", {"train/traj_2_to_2": [], "train/traj_0_to_1": known(0)})
    with pytest.raises(ValueError, match="traj_2_to_2.tfrecords is empty"):
        Bair(**options).parts("train")
    write_records(path, [serialise_example({"steps/action": np.zeros(3, np.float32)})])
    with pytest.raises(
        ValueError, match="record 0 is no BAIR sequence: it holds no 0/image_aux1/encoded, but steps/act"
    ):
        Bair(**options)


@every_form
def test_two_sequences_of_one_name(tmp_path: Path, form: str) -> None:
    options = write(tmp_path, form, {"train/traj_0_to_0": known(0)})
    group = tmp_path / "train/traj_0_to_0.tfrecords"
    if form == "png":
        write_png(group / "00", sequence(1))
    else:
        group.with_suffix(".tfrecord").write_bytes(group.read_bytes())
    with pytest.raises(ValueError, match="two sequences are called traj_0_to_0-00000"):
        Bair(**options).parts("train")
