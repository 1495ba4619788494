"""Arrays in npz files: what is written comes back, and every fault names its file and what mends it."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from recordings import noise, vectors

from framecast.sources.npz import Npz


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


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
        ({"frames": "frame"}, r"one.npz holds no array 'frame'. Did you mean 'frames'\? Choose with --frames"),
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
    with pytest.raises(ValueError, match=r"b.npz holds .*\(8, 9, 3, 2\) but .*a.npz \(8, 8, 3, 2\).*Take it out"):
        Npz(str(tmp_path)).parts("val")


def test_npz_files_of_several_sizes_need_one(tmp_path: Path):
    for k, width in enumerate((8, 16)):
        save(tmp_path / f"{k}.npz", frames=noise(4, 8, width, 3))
    with pytest.raises(ValueError, match=r"1.npz holds .*Take it out, resize all with --size, or give a narrower"):
        Npz(str(tmp_path), condition="none").parts("val")
    source = Npz(str(tmp_path), condition="none", size="8x16")
    assert [next(source.episodes(split)).frames.shape for split in ("train", "val")] == [(4, 8, 16, 3)] * 2
    assert source.about() == {"resized": "frames of 8 x 8 (H x W) to 8 x 16, another aspect ratio"}


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
    whole = bytearray(save(path, frames=noise(4, 8, 8, 3), action=vectors(4, 2)).read_bytes())
    for head, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # each file's own header, and the archive's list
        for at in (m.start() for m in re.finditer(re.escape(head), bytes(whole))):
            whole[at + flags] |= 1
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="one.npz.*is encrypted"):
        Npz(str(path)).parts("train")
    np.savez(path, frames=np.array([{}], object))
    with pytest.raises(ValueError, match="one.npz, array 'frames'"):
        Npz(str(path), condition="none").spec()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match="holds no .*npz file"):
        Npz(str(empty))


def test_npz_of_one_name_are_refused(tmp_path: Path):
    for name in ("a.npz", "a.NPZ"):
        with open(tmp_path / name, "wb") as file:
            np.savez(file, frames=noise(4, 8, 8, 3), action=vectors(4, 2))
    with pytest.raises(ValueError, match="are one episode by name. Rename one"):
        Npz(str(tmp_path))
