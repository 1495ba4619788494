"""Files that framecast writes are read back exactly, in every form; what a form cannot hold is refused in words."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import WriteStore
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import bits

from framecast import cli, export
from framecast.export import FORMS
from framecast.sources import Source
from framecast.sources._files import vectors_of
from framecast.sources.bair import Bair
from framecast.sources.dance import Dance
from framecast.store import Store
from framecast.values import Condition, Episode, Spec

BOTH = Condition("vector", 7, ("action", "position"))
PICTURE = Condition("picture", 3)


def episode(seed: int, frames: int = 3, condition: Condition = BOTH, conditions: int | None = None) -> Episode:
    random, known = np.random.default_rng(seed), conditions or frames
    values = None
    if condition.kind == "vector":
        values = random.normal(size=(known, condition.size)).astype(np.float32)
    if condition.kind == "picture":
        values = random.integers(0, 256, (known, 8, 12, condition.size), dtype=np.uint8)
    return Episode(f"e{seed}", random.integers(0, 256, (frames, 8, 12, 3), dtype=np.uint8), values)


def robot(write_store: WriteStore, root: Path, condition: Condition = BOTH) -> Store:
    splits = {"train": (0, 1, 2), "val": (3,), "test": (4, 5)}
    episodes: dict[str, Sequence[Episode]] = {
        split: [episode(s, 2 + s % 3, condition) for s in seeds] for split, seeds in splits.items()
    }
    return write_store(root, Spec(8, 12, 3, condition, fps=12.5), episodes)


def dancer(write_store: WriteStore, root: Path, train: int = 1, labels: int = 12) -> Store:
    """The test has a sequence of which one frame is known, one with all, one with two."""
    return write_store(
        root,
        Spec(8, 12, 3, PICTURE, fps=12.5),
        {
            "train": [episode(s, 12, PICTURE, labels) for s in range(train)],
            "val": [episode(7, 3, PICTURE)],
            "test": [episode(8, 1, PICTURE, 4), episode(9, 4, PICTURE), episode(10, 2, PICTURE, 5)],
        },
    )


def same(store: Store, source: Source, splits: Sequence[str] = ("train", "val", "test")) -> bool:
    """Frames and conditions of every episode, bit for bit."""
    pairs = [pair for split in splits for pair in zip(store.episodes(split), source.episodes(split), strict=True)]
    return all((bits(a.frames), bits(a.condition)) == (bits(b.frames), bits(b.condition)) for a, b in pairs)


def options(words: list[str]) -> dict[str, Any]:
    """['--raw-size', '8x12'] as {'raw_size': '8x12'}."""
    found: dict[str, Any] = {k[2:].replace("-", "_"): v for k, v in zip(words[::2], words[1::2], strict=True)}
    return found | {k: float(v) for k, v in found.items() if k == "fps"}


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "GROUP", 2)


# ---------------------------------------------------------------- round trips


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("form", ["bair-png", "bair-tfrecord"])
@pytest.mark.parametrize(
    "condition",
    [BOTH, Condition("vector", 4, ("action",)), Condition("vector", 3, ("position",)), Condition()],
    ids=["both", "action", "position", "none"],
)
def test_bair_comes_back(write_store: WriteStore, tmp_path: Path, form: str, condition: Condition) -> None:
    store, told = robot(write_store, tmp_path / "store", condition), list[tuple[int, int]]()
    words = export.export(store, form, tmp_path / "out/files", progress=lambda *n: told.append(n))
    source = Bair(str(tmp_path / "out/files"), **options(words))
    assert same(store, source)
    assert source.spec() == store.spec
    assert told[-1] == (18, 18) and len(told) == 6
    val = "validate" if form == "bair-png" else "val"
    found = sorted(str(p.relative_to(tmp_path / "out/files")) for p in (tmp_path / "out/files").glob("*/*"))
    names = ("test/traj_0_to_1", "train/traj_0_to_1", "train/traj_2_to_2", f"{val}/traj_0_to_0")
    assert found == sorted(f"{name}.tfrecords" for name in names)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["files"]


def test_the_files_are_as_the_form_says(write_store: WriteStore, tmp_path: Path) -> None:
    store = robot(write_store, tmp_path / "store")
    export.export(store, "bair-png", tmp_path / "png")
    folder = tmp_path / "png/train/traj_0_to_2.tfrecords/1"
    names = ["0.png", "1.png", "2.png", "actions.csv", "endeffector_positions.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    rows = [line.split(",") for line in (folder / "actions.csv").read_text().splitlines()]
    assert [len(row) for row in rows] == [4, 4, 4]
    words = export.export(store, "bair-tfrecord", tmp_path / "tf", camera="main")
    assert Bair(str(tmp_path / "tf"), **options(words)).about()["camera"] == "main (of main)"
    data = (tmp_path / "tf/train/traj_0_to_2.tfrecords").read_bytes()
    for key in (b"0/image_main/encoded", b"1/action", b"1/endeffector_pos"):
        assert data.count(key) == 3


@pytest.mark.parametrize(("labels", "clips"), [(False, 1), (True, 1), (False, 3)], ids=["all", "some", "several"])
def test_a_dance_comes_back(write_store: WriteStore, tmp_path: Path, labels: bool, clips: int) -> None:
    store = dancer(write_store, tmp_path / "store", clips)
    splits = ["val", "test"] if labels else None
    words = export.export(store, "dance", tmp_path / "files", splits)
    source = Dance(str(tmp_path / "files"), **options(words))
    assert same(store, source, splits or ("train", "val", "test"))
    assert (source.spec().fps, words) == (12.5, ["--size", "8x12", "--fps", "12.5"])
    assert (tmp_path / "files/train").exists() == (splits is None)
    assert sorted(p.name for p in (tmp_path / "files/test/test_truth").iterdir()) == ["1"]
    assert len(list((tmp_path / "files/test/test_img/1").iterdir())) == 1


def test_without_val_none_is_held_out(write_store: WriteStore, tmp_path: Path) -> None:
    store = robot(write_store, tmp_path / "store")
    words = export.export(store, "bair-png", tmp_path / "files", ["train", "test"])
    assert words[-2:] == ["--val", "0"]
    source = Bair(str(tmp_path / "files"), **options(words))
    assert same(store, source, ["train", "test"]) and source.parts("val") == []


def test_columns_are_chosen(write_store: WriteStore, tmp_path: Path) -> None:
    store = robot(write_store, tmp_path / "store", Condition("vector", 9, ("state", "joints")))
    with pytest.raises(ValueError, match=r"vector of 9 numbers \(state, joints\); .*--action 0:4 --position 4:7"):
        export.export(store, "bair-png", tmp_path / "files")
    words = export.export(store, "bair-png", tmp_path / "files", action="5:9", position="0:3")
    for found, true in zip(Bair(str(tmp_path / "files"), **options(words)).episodes("test"), (4, 5), strict=True):
        known = episode(true, 2 + true % 3, store.spec.condition).condition
        assert known is not None and found.condition is not None
        assert np.array_equal(found.condition, known[:, [5, 6, 7, 8, 0, 1, 2]])
    export.export(store, "bair-tfrecord", tmp_path / "one", position="6:9")
    assert Bair(str(tmp_path / "one"), condition="position", raw_size="8x12").spec().condition.size == 3
    for text in ("0:3", "6:10", "4", "a:b", "8:4"):
        with pytest.raises(ValueError, match=f"--action '{text}' is not first:stop with 4 numbers among the 9"):
            export.export(store, "bair-png", tmp_path / "other", action=text)


@settings(max_examples=30, deadline=None)
@given(numbers=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=40))
def test_numbers_in_text_come_back(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]) -> None:
    values = np.array(numbers[: len(numbers) // 4 * 4], np.float32).reshape(-1, 4)
    path = tmp_path_factory.mktemp("numbers") / "actions.csv"
    path.write_text(export.table(values))
    assert vectors_of(path).tobytes() == values.tobytes()


def test_hard_numbers_in_text_come_back(tmp_path: Path) -> None:
    bits = [0x00000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x3DCCCCCD, 0x4B800001, 0x80000000, 0xBF7FFFFF]
    values = np.array([struct.unpack("<f", struct.pack("<I", b))[0] for b in bits], np.float32).reshape(2, 4)
    (tmp_path / "a.csv").write_text(export.table(values))
    assert vectors_of(tmp_path / "a.csv").tobytes() == values.tobytes()


# ---------------------------------------------------------------- what cannot be


def test_what_exists_is_untouched(write_store: WriteStore, tmp_path: Path) -> None:
    store = robot(write_store, tmp_path / "store")
    (tmp_path / "files").mkdir()
    with pytest.raises(FileExistsError, match="files exists already"):
        export.export(store, "bair-png", tmp_path / "files")
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize("form", ["bair-png", "bair-tfrecord"])
def test_an_interruption_leaves_nothing(write_store: WriteStore, tmp_path: Path, form: str) -> None:
    store = robot(write_store, tmp_path / "store")

    def stop(done: int, total: int) -> None:
        assert len(list(tmp_path.iterdir())) == 2  # it had begun
        if done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export.export(store, form, tmp_path / "files", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def refused(store: Store, form: str, out: Path, message: str, **asked: Any) -> None:
    with pytest.raises(ValueError, match=message):
        export.export(store, form, out, **asked)
    assert not out.exists()


def test_what_a_form_cannot_hold_is_refused(write_store: WriteStore, tmp_path: Path) -> None:
    robots, dances = robot(write_store, tmp_path / "robots"), dancer(write_store, tmp_path / "dances")
    out = tmp_path / "files"
    refused(robots, "gif", out, "no form 'gif'. There are: bair-png, bair-tfrecord, dance")
    refused(robots, "dance", out, r"has as condition: vector of 7 numbers .*Numbers are exported --as bair-png or")
    refused(dances, "bair-png", out, "has pictures as conditions.*--as dance")
    refused(robots, "bair-png", out, "has no 'vall' episodes. It has: train", splits=["vall"])
    long = dancer(write_store, tmp_path / "long", 1, 14)
    refused(long, "dance", out, "train, episode .* has 12 frames and 14 labels; dance holds as many of both.*--split")
    grey = write_store(
        tmp_path / "grey", Spec(8, 12, 1), {"train": [Episode("e", np.zeros((2, 8, 12, 1), np.uint8), None)]}
    )
    for form in FORMS:
        refused(grey, form, out, "has frames of 1 channels")
    short = write_store(tmp_path / "short", Spec(8, 12, 3, BOTH), {"test": [episode(0, 2, BOTH, 5)]})
    refused(short, "bair-tfrecord", out, "test, episode 'e0' has 2 frames and 5 rows")
    five = robot(write_store, tmp_path / "five", Condition("vector", 5, ("action",)))
    refused(five, "bair-tfrecord", out, r"vector of 5 numbers \(action\); .*actions of 4")
    refused(robots, "bair-png", out, "bair-png has no --camera. Leave it out", camera="main")
    refused(dances, "dance", out, "dance has no --action. Leave it out", action="0:4")
    refused(robots, "bair-tfrecord", out, "--camera 'front-left' is no name that is read again", camera="front-left")


# ---------------------------------------------------------------- the command


def test_the_command_says_how_to_read_again(
    write_store: WriteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, out = robot(write_store, tmp_path / "store"), tmp_path / "files"
    assert (
        cli.main(
            ["export", str(store.root), "--as", "bair-tfrecord", "--out", str(out), "--split", "train, test"]
            + ["--camera", "image_main"]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert f"Written to {out}." in said
    line = next(line for line in said.splitlines() if "framecast pack" in line)
    words = line.split("framecast ")[1].split()
    assert cli.main([*words[:-1], str(tmp_path / "again"), "--workers", "1"]) == 0
    again = Store(tmp_path / "again")
    for split in ("train", "test"):
        for what in ("frames", "condition"):
            assert np.array_equal(again.array(split, what), store.array(split, what))
    assert cli.main(["export", str(store.root), "--as", "dance", "--out", str(tmp_path / "dance")]) == 1
    assert "framecast export: " in capsys.readouterr().err
