"""Packing broken off and taken up again: the same bytes, or a fresh start, and never two at one place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packs import inside

from framecast import journal, packing
from framecast.journal import Journal, alone, stamp
from framecast.packing import pack
from framecast.sources import Part
from framecast.sources.npz import Npz
from framecast.store import Store
from framecast.values import Episode


def break_off(packed: Path, out: Path, after: int) -> list[str]:
    """Packs the robot's data until so many frames are done; returns what was told."""
    told: list[str] = []

    def stop(done: int, total: int) -> None:
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
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
@pytest.mark.parametrize(
    ("name", "keep"),
    [("pack.json", 0), ("pack.json", 1), ("store/train.frames.npy", 200), ("store/val.condition.npy", 0)],
)
def test_damaged_packing_starts_anew_and_says_so(packed: Path, tmp_path: Path, name: str, keep: int) -> None:
    break_off(packed, tmp_path / "store", 12)
    file = tmp_path / ".store.partial" / name
    file.write_bytes(file.read_bytes()[:keep])
    assert again(packed, tmp_path / "store") == [
        f"What is kept in {tmp_path / '.store.partial'} is damaged: packing starts anew."
    ]
    assert identical(tmp_path / "store", packed / "store")


@pytest.mark.usefixtures("inline")
def test_what_an_earlier_version_began_goes_on(packed: Path, tmp_path: Path) -> None:
    """Its record had no sizes."""
    break_off(packed, tmp_path / "store", 12)
    record = tmp_path / ".store.partial/pack.json"
    record.write_text(
        json.dumps({key: value for key, value in json.loads(record.read_text()).items() if key != "sizes"})
    )
    (told,) = again(packed, tmp_path / "store")
    assert told.startswith("Going on at ")
    assert identical(tmp_path / "store", packed / "store")


@pytest.mark.usefixtures("inline")
def test_without_a_journal_packing_starts_anew(packed: Path, tmp_path: Path) -> None:
    """The process was killed before the empty files were made."""
    break_off(packed, tmp_path / "store", 12)
    for name in ("pack.json", "journal"):
        (tmp_path / ".store.partial" / name).unlink()
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


def test_a_script_that_packs_as_it_is_read_is_told_so(tmp_path: Path) -> None:
    """Workers read the script again: it would begin another pack there."""
    script = tmp_path / "mine.py"
    options = "{'train': 40, 'val': 10, 'test': 1, 'size': '8x8'}"
    script.write_text(f"from framecast.packing import pack\npack('dancer', {options}, {str(tmp_path / 'store')!r})\n")
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "if __name__ == '__main__':" in ended.stderr.splitlines()[-1]
