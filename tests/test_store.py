"""The packed store: what goes in comes out, damage is named, and what is broken off is taken up again."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from framecast import journal, packing
from framecast.journal import Journal, alone, stamp
from framecast.packing import pack
from framecast.sources import Part, Source
from framecast.sources.dance import Dance
from framecast.sources.npz import Npz
from framecast.store import Store
from framecast.values import Condition, Episode, Spec


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def robot(root: Path, count: int = 4) -> Path:
    """A folder of .npz episodes of 5, 6, ... frames with actions; e1 is for validation."""
    root.mkdir()
    for i in range(count):
        action = np.random.default_rng(i).normal(2, 3, (5 + i, 2)).astype(np.float32)
        action[:, 1] = 0.5  # a number that never changes
        np.savez(root / f"e{i}.npz", frames=pixels(5 + i, 8, 10, 3, seed=i), action=action)
    return root


def dance(root: Path) -> Path:
    """The course's layout: 4 frames to train on, a test sequence of 1 frame and 3 labels."""
    folders = {"train/train_img": 4, "train/train_label": 4, "test/test_img/0": 1, "test/test_label/0": 3}
    for seed, (folder, count) in enumerate(folders.items()):
        (root / folder).mkdir(parents=True)
        for i, frame in enumerate(pixels(count, 12, 20, 3, seed=seed)):
            Image.fromarray(frame).save(root / folder / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with robot data and its store, packed by one worker."""
    root = tmp_path_factory.mktemp("packed")
    pack("npz", {"root": str(robot(root / "raw")), "val": "e1"}, root / "store", workers=1)
    return root


@pytest.fixture
def copied(packed: Path, tmp_path: Path) -> Path:
    """A store of one's own to damage."""
    return shutil.copytree(packed / "store", tmp_path / "store")


def inside(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


# ---------------------------------------------------------------- round trip


def same(one: Episode, two: Episode) -> bool:
    known = one.condition is two.condition is None or (
        one.condition is not None and two.condition is not None and np.array_equal(one.condition, two.condition)
    )
    return one.name == two.name and np.array_equal(one.frames, two.frames) and known


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
    with pytest.raises(ValueError, match=r"index.json is damaged. Pack the store again"):
        Store(copied)


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


class Inline:
    """A pool of processes that is none: the work is done here, where a test's own sources are known."""

    def __init__(
        self, workers: int, context: Any, initializer: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        initializer(*arguments)

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def map(self, work: Callable[[Any], Any], jobs: list[Any], chunksize: int) -> Any:
        return map(work, jobs)

    def shutdown(self, cancel_futures: bool = False) -> None:
        pass


class Odd(Source):
    """Episodes whose frames have the given heights; `promised` are listed of each, 3 are given."""

    def __init__(self, heights: tuple[int, ...] = (8, 8), promised: int = 3) -> None:
        self.heights, self.promised = heights, promised

    def spec(self) -> Spec:
        return Spec(8, 8, 3, Condition())

    def parts(self, split: str) -> list[Part]:
        return (
            [Part(f"e{i}", 0, self.promised, self.promised, h) for i, h in enumerate(self.heights)]
            if split == "train"
            else []
        )

    def read(self, part: Part) -> Episode:
        return Episode(part.episode, pixels(3, part.where, 8, 3), None)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(packing, "find", lambda name: {"odd": Odd, "npz": Npz}[name])


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


# ---------------------------------------------------------------- broken off and taken up again


class Killed(BaseException):
    """The process is gone: nothing is done about it."""


def break_off(packed: Path, out: Path, after: int, error: type[BaseException] = KeyboardInterrupt) -> list[str]:
    """Packs the robot's data until so many frames are done; returns what was told."""
    told: list[str] = []

    def stop(done: int, total: int) -> None:
        if done >= after:
            raise error

    with pytest.raises(error):
        pack("npz", {"root": str(packed / "raw"), "val": "e1"}, out, 1, stop, told.append)
    return told


def identical(one: Path, two: Path) -> bool:
    return inside(one) == inside(two) and all((one / n).read_bytes() == (two / n).read_bytes() for n in inside(one))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the episodes that are read."""
    names: list[str] = []
    read = Npz.read

    def noted(self: Npz, part: Part) -> Episode:
        names.append(part.episode)
        return read(self, part)

    monkeypatch.setattr(Npz, "read", noted)
    return names


def again(packed: Path, out: Path, **options: str) -> list[str]:
    """Packs the robot's data to its end; returns what was told."""
    told: list[str] = []
    pack("npz", {"root": str(packed / "raw"), "val": "e1"} | options, out, 1, tell=told.append)
    return told


@pytest.mark.usefixtures("inline")
def test_an_interrupted_pack_goes_on(packed: Path, tmp_path: Path, reads: list[str]) -> None:
    told = break_off(packed, tmp_path / "store", 12)  # e0 and e2, of 5 and 7 frames; all are 26
    assert told == [f"46 % is kept in {tmp_path}/.store.partial: the same command goes on there. Or remove it."]
    assert inside(tmp_path) == [".store.partial"]
    with pytest.raises(FileNotFoundError, match="is not a packed store"):
        Store(tmp_path / ".store.partial/store")
    assert reads == ["e0", "e2"]
    assert again(packed, tmp_path / "store") == [
        f"Going on at 46 %, where packing into {tmp_path}/store was broken off."
    ]
    assert reads == ["e0", "e2", "e3", "e1"]
    assert identical(tmp_path / "store", packed / "store")
    assert inside(tmp_path) == ["store"]


@pytest.mark.usefixtures("inline")
def test_a_pack_broken_off_while_finishing_goes_on(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    def stop(path: Path) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, "checksum", stop)
        break_off(packed, tmp_path / "store", 1000)
    assert inside(tmp_path) == [".store.partial"]
    assert again(packed, tmp_path / "store")[0].startswith("Going on at 100 %")
    assert len(reads) == 4
    assert identical(tmp_path / "store", packed / "store")


KILL = """
import os, signal, sys
from framecast import journal, packing
journal.PAUSE = 0

def kill(done, total):
    if done >= 12:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    packing.pack("npz", {"root": sys.argv[1], "val": "e1"}, sys.argv[2], 1, kill)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_pack_goes_on(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "kill.py").write_text(KILL)
    script = [sys.executable, str(tmp_path / "kill.py"), str(packed / "raw"), str(tmp_path / "store")]
    done = subprocess.run(script, capture_output=True, timeout=60)
    assert done.returncode == -9
    assert inside(tmp_path) == [".store.partial", "kill.py"]
    assert "index.json" not in inside(tmp_path / ".store.partial/store")
    assert again(packed, tmp_path / "store")[0].startswith("Going on at 46 %")  # and its lock is gone with it
    assert identical(tmp_path / "store", packed / "store")


@pytest.mark.usefixtures("inline")
def test_what_was_broken_off_with_other_options_starts_anew(packed: Path, tmp_path: Path, reads: list[str]) -> None:
    break_off(packed, tmp_path / "store", 12)
    told = again(packed, tmp_path / "store", val="e0")
    assert len(told) == 1 and "is of another pack (val e1, now e0): packing starts anew" in told[0]
    assert reads[2:] == ["e1", "e2", "e3", "e0"]
    assert len(Store(tmp_path / "store").entries_of("train")) == 3


@pytest.mark.usefixtures("inline")
def test_what_was_broken_off_of_another_source_starts_anew(packed: Path, tmp_path: Path) -> None:
    break_off(packed, tmp_path / "store", 12)
    told: list[str] = []
    pack("odd", {}, tmp_path / "store", tell=told.append)
    assert "(source npz, now odd)" in told[0]


@pytest.fixture
def own(packed: Path, tmp_path: Path) -> Path:
    """Robot data of one's own to change, in `raw`."""
    (tmp_path / "own").mkdir()
    shutil.copytree(packed / "raw", tmp_path / "own/raw")
    return tmp_path / "own"


@pytest.mark.usefixtures("inline")
def test_recordings_changed_meanwhile_are_read_again(own: Path, tmp_path: Path, reads: list[str]) -> None:
    break_off(own, tmp_path / "store", 12)
    arrays = dict(np.load(own / "raw/e2.npz"))
    arrays["frames"][0] ^= 255
    np.savez(own / "raw/e2.npz", **arrays)
    os.utime(own / "raw/e2.npz", ns=(1, 1))  # whatever the clock of the file system
    told = again(own, tmp_path / "store")
    assert "Going on at 19 %" in told[0] and "the files of 1 parts have changed and are read again" in told[0]
    assert reads[2:] == ["e2", "e3", "e1"]
    assert np.array_equal(Store(tmp_path / "store").episode("train", 1).frames, arrays["frames"])


@pytest.mark.usefixtures("inline")
def test_a_recording_more_starts_anew(own: Path, tmp_path: Path) -> None:
    break_off(own, tmp_path / "store", 12)
    shutil.copy(own / "raw/e3.npz", own / "raw/e4.npz")
    assert "(the recordings have changed since)" in again(own, tmp_path / "store")[0]
    assert len(Store(tmp_path / "store").entries_of("train")) == 4


@pytest.mark.usefixtures("inline")
def test_a_mended_file_is_enough(own: Path, tmp_path: Path, reads: list[str]) -> None:
    whole = dict(np.load(own / "raw/e3.npz"))
    np.savez(own / "raw/e3.npz", **whole | {"action": whole["action"] * np.nan})
    told: list[str] = []
    with pytest.raises(ValueError, match="e3.npz, array 'action' has NaN"):
        pack("npz", {"root": str(own / "raw"), "val": "e1"}, tmp_path / "store", 1, tell=told.append)
    assert "46 % is kept" in told[0]
    np.savez(own / "raw/e3.npz", **whole)
    again(own, tmp_path / "store")
    assert reads == ["e0", "e2", "e3", "e3", "e1"]
    Store(tmp_path / "store").verify()


@pytest.mark.usefixtures("inline")
def test_two_packs_at_one_place_do_not_meet(packed: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    break_off(packed, tmp_path / "store", 12)
    before = (tmp_path / ".store.partial/journal").read_bytes()
    with alone(tmp_path / ".store.partial", "busy"), pytest.raises(FileExistsError, match="Another process is packing"):
        again(packed, tmp_path / "store")
    assert (tmp_path / ".store.partial/journal").read_bytes() == before
    with (
        alone(tmp_path / ".new", "busy"),
        pytest.raises(FileExistsError, match="busy"),
        alone(tmp_path / ".new", "busy"),
    ):
        pass
    assert inside(tmp_path) == [".store.partial"]  # the lock of what was never begun is gone


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_without_a_record_packing_starts_anew(packed: Path, tmp_path: Path, text: str) -> None:
    """The process was killed before the empty files were made."""
    break_off(packed, tmp_path / "store", 12)
    (tmp_path / ".store.partial/pack.json").write_text(text)
    assert again(packed, tmp_path / "store") == []
    assert identical(tmp_path / "store", packed / "store")


def test_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "source").write_text("a")
    known = {n: tmp_path / "source" for n in range(5)}
    mark = stamp(known[0])
    one = Journal(tmp_path / "journal", tmp_path / "results")
    one.add(0, mark)
    assert not one.path.exists()  # not yet: the results are not on the disk
    monkeypatch.setattr(journal, "PAUSE", 0)
    one.add(3, mark)
    assert one.path.read_text() == f"0 {mark}\n3 {mark}\n"
    one.path.write_text(one.path.read_text() + f"4 {mark[:9]}")  # killed in the middle of a line
    two = Journal(tmp_path / "journal", tmp_path / "results")
    assert two.read(known) == 0 and two.done == {0, 3}
    two.add(4, mark)
    assert two.path.read_text() == f"0 {mark}\n3 {mark}\n4 {mark}\n"
    (tmp_path / "source").write_text("ab")
    assert Journal(tmp_path / "journal", tmp_path / "results").read(known) == 3


def test_stamps_see_what_changes(tmp_path: Path) -> None:
    folder, file = tmp_path / "a", tmp_path / "a/0.png"
    folder.mkdir()

    def marks() -> list[str]:
        return [stamp(str(file)), stamp([folder, 1]), stamp((3, [file], str(folder)))]

    file.write_text("one")
    seen = marks()
    assert marks() == seen
    file.write_text("longer")
    seen += marks()
    os.utime(file, ns=(1, 1))
    seen += marks()
    (folder / "1.png").write_text("another")
    seen += marks()[1:]
    file.unlink()
    seen += marks()
    assert seen[0] != seen[3] != seen[6] and seen[1] != seen[4] != seen[7] != seen[9] != seen[12]
    assert stamp(None) == stamp(tmp_path / "gone") == stamp([]) == seen[11]
