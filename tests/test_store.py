"""The packed store: what goes in comes out, damage is named, and what is broken off is taken up again."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packs import Odd, dance, inside, robot, same

from framecast.packing import pack
from framecast.sources import Part
from framecast.sources.dance import Dance
from framecast.sources.npz import Npz
from framecast.store import Store
from framecast.values import Condition, Episode, Spec


@pytest.fixture
def copied(packed: Path, tmp_path: Path) -> Path:
    """A store of one's own to damage."""
    return shutil.copytree(packed / "store", tmp_path / "store")


def test_round_trip(packed: Path) -> None:
    source, store = Npz(str(packed / "raw"), val="e1"), Store(packed / "store")
    assert inside(packed) == ["raw", "store"]
    for split, names in (("train", ["e0", "e2", "e3"]), ("val", ["e1"])):
        episodes = list(store.episodes(split))
        assert [e.name for e in episodes] == names
        assert all(same(a, b) for a, b in zip(episodes, source.episodes(split), strict=True))
    assert same(store.episode("train", 2), list(source.episodes("train"))[2])
    store.verify()
    spec = store.spec
    assert (spec.height, spec.width, spec.condition.kind, spec.condition.names) == (8, 10, "vector", ("action",))
    assert isinstance(store.array("train", "frames"), np.memmap)


def test_numbers_are_measured_on_the_training_split(packed: Path) -> None:
    condition = Store(packed / "store").spec.condition
    train = np.concatenate([np.load(packed / f"raw/e{i}.npz")["action"] for i in (0, 2, 3)])
    assert condition.mean == pytest.approx(train.mean(0, dtype=float), rel=1e-6)
    assert condition.std == pytest.approx([train[:, 0].std(dtype=float), 1.0], rel=1e-6)  # one that never changes: 1


def test_an_episode_far_out_is_told(tmp_path: Path) -> None:
    robot(tmp_path / "raw")
    bad = dict(np.load(tmp_path / "raw/e2.npz"))
    np.savez(tmp_path / "raw/e2.npz", frames=bad["frames"], action=bad["action"] * 1e30)
    store = pack("npz", {"root": str(tmp_path / "raw"), "val": "e1"}, tmp_path / "store", 1)
    assert "in e2, row" in store.index["about"]["far out"]


def test_pictures_and_test_sequences(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    root = dance(tmp_path / "raw")
    store = pack("dance", {"root": str(root), "size": "8x16"}, tmp_path / "store", 1, lambda *n: told.append(n))
    source = Dance(str(root), size="8x16")
    for split in ("train", "test"):
        assert all(same(a, b) for a, b in zip(store.episodes(split), source.episodes(split), strict=True))
    test = store.episode("test", 0)
    assert test.condition is not None
    assert (len(test.frames), len(test.condition)) == (1, 3)
    assert told[-1] == (7, 7)
    with pytest.raises(ValueError, match=r"store has no 'val' episodes. It has: train \(1\), test \(1\)"):
        store.entries_of("val")
    assert store.index["source"] == "dance"
    assert store.index["options"] == {"root": str(root), "size": "8x16"}


def test_workers_do_not_change_a_byte(packed: Path, tmp_path: Path) -> None:
    pack("npz", {"root": str(packed / "raw"), "val": "e1"}, tmp_path / "two", workers=2)
    assert inside(tmp_path / "two") == inside(packed / "store")
    for name in inside(packed / "store"):
        assert (tmp_path / "two" / name).read_bytes() == (packed / "store" / name).read_bytes()


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("name", ["train.frames.npy", "val.condition.npy"])
def test_a_changed_byte_is_found(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[-1] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"{name} has changed.*Pack the store again"):
        Store(copied).verify()


@pytest.mark.parametrize("name", ["train.frames.npy", "val.condition.npy"])
def test_a_short_or_missing_file_is_named(copied: Path, name: str) -> None:
    whole = (copied / name).read_bytes()
    (copied / name).write_bytes(whole[:-7])
    with pytest.raises(ValueError, match=f"{name} has {len(whole) - 7:,} bytes instead of {len(whole):,}. Pack"):
        Store(copied)
    (copied / name).unlink()
    with pytest.raises(ValueError, match=f"{name} has 0 bytes"):
        Store(copied)


def test_no_store(copied: Path, tmp_path: Path) -> None:
    (copied / "index.json").unlink()
    for root, what in ((copied, "is not a packed store"), (tmp_path / "nowhere", "does not exist")):
        with pytest.raises(FileNotFoundError, match=f"{root.name} {what}.*framecast pack"):
            Store(root)


@pytest.mark.parametrize(
    "text", ["", '{"version": 1', "[]", "3", '{"version": 1}', '{"version": 1, "spec": {}, "splits": [], "files": {}}']
)
def test_a_damaged_index_is_named(copied: Path, text: str) -> None:
    (copied / "index.json").write_text(text)
    with pytest.raises(ValueError, match=r"index.json is damaged \(.+\). Pack the store again"):
        Store(copied)


def _set(*keys: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(index: Any) -> None:
        for key in keys[:-1]:
            index = index[key]
        index[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("splits", "val", 0, "frames", to=1000), "val.frames.npy.* holds uint8 .*, not uint8 .1000, 8, 10, 3."),
        (_set("splits", "train", 0, "first_frame", to=-1), "train, episode 'e0' does not begin where the one before"),
        (_set("splits", "train", 1, "first_condition", to=4), "train, episode 'e2' does not begin where"),
        (_set("splits", "train", 0, "frames", to="five"), "index.json is damaged"),
        (_set("splits", "val", 0, "name", to=3), "val has an episode called 3: names are texts"),
        (
            _set("splits", "val", 0, "name", to="\x1b[2Jgone"),
            r"called '\\x1b\[2Jgone': names are texts that can be read",
        ),
        (_set("files", to={}), r"it has no 'train.frames.npy'"),
        (_set("spec", "fps", to=0), "0 frames a second: a rate is above 0"),
        (_set("spec", "fps", to=float("nan")), "nan frames a second"),
        (
            _set("spec", "height", to=8.0),
            r"frames of 8.0 x 10 \(H x W\) pixels and 3 channels: sides are whole numbers",
        ),
        (_set("spec", "channels", to=4), "and 4 channels: sides .*, channels 1 or 3"),
        (_set("spec", "condition", "std", to=[-1.0, 1.0]), "has as many means and spreads above 0, all of them finite"),
        (_set("spec", "condition", "mean", to=[0.1]), "a condition of size 2 has as many means"),
        (_set("spec", "condition", "kind", to="none"), "a condition none of size 2"),
        (_set("spec", "condition", "kind", to="words"), "is a picture, vector or none, not 'words'"),
    ],
)
def test_an_index_that_cannot_be_is_refused(copied: Path, change: Callable[[dict[str, Any]], None], words: str) -> None:
    index = json.loads((copied / "index.json").read_text())
    change(index)
    (copied / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=words):
        Store(copied).array("val", "frames")


@pytest.mark.parametrize(
    "other",
    [
        lambda a: np.asfortranarray(a),
        lambda a: a.view(np.int8),
        lambda a: a.reshape(-1, 10, 8, 3),
    ],
)
def test_an_array_with_another_header_is_refused(copied: Path, other: Callable[[np.ndarray], np.ndarray]) -> None:
    path = copied / "train.frames.npy"
    size = path.stat().st_size
    np.save(path, other(np.load(path)))
    assert path.stat().st_size == size
    with pytest.raises(
        ValueError, match=r"train.frames.npy is damaged \(it holds .*, not uint8 .*\). Pack the store again"
    ):
        Store(copied).array("train", "frames")


def test_another_version_is_refused(copied: Path) -> None:
    index = json.loads((copied / "index.json").read_text())
    (copied / "index.json").write_text(json.dumps(index | {"version": 2}))
    with pytest.raises(ValueError, match="has store version 2, this framecast reads 1. Pack it again"):
        Store(copied)


# ---------------------------------------------------------------- packing that cannot be


def test_what_exists_is_untouched(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="store exists already. Give another --out"):
        pack("npz", {"root": str(packed / "raw")}, tmp_path / "store", workers=1)
    assert inside(tmp_path) == ["store"]
    assert (tmp_path / "store/thesis.txt").read_text() == "years of work"


def test_a_bad_picture_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    root = dance(tmp_path / "raw")
    (root / "train/train_label/2.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="train_label/2.png is not a readable picture"):
        pack("dance", {"root": str(root)}, tmp_path / "store", workers=1)
    assert inside(tmp_path) == ["raw"]


@pytest.mark.usefixtures("inline")
def test_frames_of_another_size_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Episode 'e1' has items of 9x8x3, .* 8x8x3"):
        pack("odd", {"heights": (8, 9)}, tmp_path / "store")
    assert inside(tmp_path) == [".store.partial"]  # the first episode, should the second be mended
    assert len(pack("odd", {"heights": (8, 8)}, tmp_path / "store").entries_of("train")) == 2
    assert inside(tmp_path) == ["store"]


@pytest.mark.usefixtures("inline")
def test_a_source_without_episodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no episode"):
        pack("odd", {"heights": ()}, tmp_path / "store")
    assert inside(tmp_path) == []


@pytest.mark.usefixtures("inline")
def test_a_full_disk_leaves_nothing(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def full(descriptor: int, offset: int, length: int) -> None:
        calls.append(length)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        pack("npz", {"root": str(packed / "raw")}, tmp_path / "store")
    assert inside(tmp_path) == []
    assert calls[0] > 5 * 8 * 10 * 3  # the room for all frames was asked for before one was read


@pytest.mark.usefixtures("inline")
def test_a_part_of_another_length_than_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Episode 'e0' has 3 frames where 2 were listed"):
        pack("odd", {"promised": 2}, tmp_path / "store")
    assert inside(tmp_path) == []


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"condition": None}, "Episode 'e0' has 0 rows of condition where 3 were listed.*Pack again"),
        ({"condition": np.zeros((2, 2), np.float32)}, "has 2 rows of condition where 3 were listed"),
        ({"condition": np.zeros((4, 2), np.float32)}, "has 4 rows of condition where 3 were listed"),
        ({"condition": np.zeros((3, 1), np.float32)}, "has items of 1, the source says 2"),
        (
            {"condition": np.full((3, 2), np.nan)},
            r"Episode 'e0' has NaN or infinite numbers, first in row 0 \(from 0\)",
        ),
        ({"frames": np.zeros((3, 8, 8, 3))}, "Episode 'e0' has pictures of float64; a source gives uint8, 0..255"),
    ],
)
def test_what_a_source_reads_is_what_it_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str
) -> None:
    whole = Episode("e0", np.zeros((3, 8, 8, 3), np.uint8), np.zeros((3, 2), np.float32))
    monkeypatch.setattr(Odd, "spec", lambda source: Spec(8, 8, 3, Condition("vector", 2)))
    monkeypatch.setattr(Odd, "read", lambda source, part: whole)
    pack("odd", {}, tmp_path / "store")
    monkeypatch.setattr(Odd, "read", lambda source, part: replace(whole, **change))
    with pytest.raises(ValueError, match=words):
        pack("odd", {}, tmp_path / "other")
    assert inside(tmp_path) == ["store"]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("a", 0, 3, 3), ("b", 0, 3, 3), ("a", 0, 3, 3)], "The source odd has two episodes 'a' in train"),
        ([("a", 0, 3, 3), ("a", 0, 3, 3)], "The source odd has two episodes 'a' in train"),
        ([("a", 0, 3, 3), ("a", 2, 5, 3)], "episode 'a' with a part 2 to 5 after 3: parts follow on one another"),
        ([("a", 1, 4, 3)], "episode 'a' with a part 1 to 4 after 0"),
        ([("a\x1b[2J", 0, 3, 3)], r"has an episode 'a.x1b\[2J': rename its file"),
        ([("a\udcff", 0, 3, 3)], "has an episode 'a.udcff': rename its file"),
        ([("a", 0, 0, 0)], "episode 'a' with a part 0 to 0 after 0"),
        ([("a", 0, 3, 4)], "episode 'a' with 4 given frames among 3"),
    ],
)
def test_parts_join_to_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[tuple[str, int, int, int]], words: str
) -> None:
    monkeypatch.setattr(Odd, "parts", lambda source, split: [Part(*p, 8) for p in parts] if split == "train" else [])
    with pytest.raises(ValueError, match=words):
        pack("odd", {}, tmp_path / "store")
    assert inside(tmp_path) == []


def test_other_options_than_a_source_has_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dancer has other options \(got an unexpected .* 'trian'\): train, val, "):
        pack("dancer", {"trian": 3}, tmp_path / "store")
    with pytest.raises(ValueError, match="workers is the number of processes, 1 or more, not -1"):
        pack("dancer", {"train": 3}, tmp_path / "store", workers=-1)
    assert inside(tmp_path) == []
