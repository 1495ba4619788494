"""Moving digits and KTH's films, on synthetic files: what is drawn or read is right, and every fault names its file."""

from __future__ import annotations

import gzip
import os
import re
import struct
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from framecast.journal import stamp
from framecast.sources.digits import FASTEST, SIDE, Digits, flight, read_idx
from framecast.sources.kth import ACTIONS, Kth

# ---------------------------------------------------------------- digits

TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"


def idx(count: int, first: int = 0) -> bytes:
    """An IDX file whose picture i is a square of the value first + i."""
    pictures = np.zeros((count, SIDE, SIDE), np.uint8)
    pictures[:, 4:-4, 4:-4] = (first + np.arange(count))[:, None, None]
    return struct.pack(">4I", 2051, count, SIDE, SIDE) + pictures.tobytes()


def write_idx(root: Path, train: int = 40, test: int = 10, pack: bool = False) -> str:
    """Training pictures of the values 1.., test pictures of the values 101.."""
    for name, data in ((TRAIN, idx(train, 1)), (TEST, idx(test, 101))):
        path = root / (f"{name}.gz" if pack else name)
        path.write_bytes(gzip.compress(data) if pack else data)
    return str(root)


def values(source: Digits, split: str) -> set[int]:
    return {int(picture.max()) for picture in source.pictures[split]}


def test_flight_is_straight_between_walls_and_drawn_anew_at_them() -> None:
    hits, drawn = 0, []
    for seed in range(300):
        places = flight(60, 36, np.random.default_rng(seed))
        assert places.min() >= 0 and places.max() <= 36
        steps: np.ndarray = np.diff(places, axis=0)
        open_air = np.all((places > 0) & (places < 36), axis=1)
        assert np.abs(steps).max() <= FASTEST
        for t in range(1, len(steps) - 1):
            if open_air[t] and open_air[t + 1]:
                assert np.array_equal(steps[t - 1], steps[t]), "speed and direction are kept in the open"
            cut = open_air[t] & (np.abs(steps[t]) < np.abs(steps[t - 1]))
            for axis in np.flatnonzero(cut):  # it would have left the frame
                hits += 1
                assert steps[t + 1][axis] * steps[t - 1][axis] < 0, "it leaves the wall at once"
                drawn.append((abs(steps[t + 1][axis]), steps[t + 1][1 - axis]))
    away, along = (np.array(found) for found in zip(*drawn, strict=True))
    assert hits > 300
    for values, lowest in ((away, 1), (along, -FASTEST)):  # every speed about equally often
        counts = np.bincount(values - lowest, minlength=FASTEST - lowest + 1)
        assert len(counts) == FASTEST - lowest + 1 and counts.min() > 0.6 * counts.mean()


def test_flight_of_a_digit_as_large_as_the_frame() -> None:
    assert not flight(5, 0, np.random.default_rng(0)).any()


def test_digits_are_drawn_by_index(tmp_path: Path) -> None:
    root = write_idx(tmp_path)
    few, many = (Digits(train=n, val=2, test=2, steps=4, root=root) for n in (2, 5))
    one, again = few.read(few.parts("train")[1]), many.read(many.parts("train")[1])
    assert np.array_equal(one.frames, again.frames), "an episode does not depend on how many there are"
    assert one.frames.shape == (4, 64, 64, 1) and one.condition is None
    other = Digits(train=2, val=2, test=2, steps=4, root=root, seed=1)
    assert not np.array_equal(one.frames, other.read(other.parts("train")[1]).frames)
    assert not np.array_equal(one.frames, few.read(few.parts("train")[0]).frames)
    assert not np.array_equal(one.frames > 0, few.read(few.parts("val")[1]).frames > 0)


def test_digits_overlap_by_clamped_sums(tmp_path: Path) -> None:
    pictures = np.full((10, SIDE, SIDE), 200, np.uint8)
    (tmp_path / TEST).write_bytes(struct.pack(">4I", 2051, 10, SIDE, SIDE) + pictures.tobytes())
    source = Digits(train=1, steps=3, root=str(tmp_path), size=SIDE + 1)
    frames = next(source.episodes("train")).frames
    assert set(np.unique(frames)) <= {0, 200, 255} and (frames == 255).any()
    alone = Digits(train=1, steps=3, root=str(tmp_path), digits=1)
    frames = next(alone.episodes("train")).frames
    assert set(np.unique(frames)) == {0, 200} and ((frames == 200).sum((1, 2, 3)) == SIDE * SIDE).all()


@pytest.mark.parametrize("pack", [True, False])
def test_digits_of_both_mnist_files(tmp_path: Path, pack: bool) -> None:
    source = Digits(root=write_idx(tmp_path, pack=pack))
    train, val, test = (values(source, split) for split in ("train", "val", "test"))
    assert train | val == set(range(1, 41)) and not train & val and len(val) == 4
    assert test == set(range(101, 111))
    told = source.about()["digits"]
    assert TRAIN in told and "36 for train, 4 for val, 10 for test" in told
    assert (source.spec().channels, source.spec().condition.kind, source.spec().fps) == (1, "none", 10.0)


def test_digits_of_one_file_are_divided(tmp_path: Path) -> None:
    write_idx(tmp_path, train=50)
    (tmp_path / TEST).unlink()
    source = Digits(root=str(tmp_path))
    found = [values(source, split) for split in ("train", "val", "test")]
    assert [len(v) for v in found] == [40, 5, 5] and set.union(*found) == set(range(1, 51))


def test_digits_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    source = Digits(train=1, val=0, test=0)
    pictures = source.pictures["train"]
    assert pictures.shape[1:] == (SIDE, SIDE) and pictures.dtype == np.uint8
    assert not pictures[:, :4].any() and not pictures[:, :, -4:].any(), "a margin, as MNIST has it"
    assert (pictures.max((1, 2)) == 255).mean() > 0.99
    assert ((pictures > 0) & (pictures < 255)).mean() < 0.15, "strokes, not grey clouds"
    whole = {split: {p.tobytes() for p in found} for split, found in source.pictures.items()}
    assert not whole["train"] & whole["test"] and not whole["train"] & whole["val"]


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match=r'--root FOLDER, or: pip install -e "\.\[digits\]"'):
        Digits()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has 0 bytes, an IDX file begins with 16"),
        (struct.pack(">4I", 2049, 20, SIDE, SIDE) + bytes(20), r"begins with 2049, .* with 2051 \(labels: 2049\)"),
        (struct.pack(">4I", 2051, 20, 32, 32) + bytes(20 * 1024), "pictures of 32 x 32; MNIST's are 28 x 28"),
        (idx(20)[:-1], "15,679 bytes of pictures, its head promises 15,680"),
        (idx(20) + b"x", "15,681 bytes of pictures, its head promises 15,680"),
        (idx(9), "holds 9 pictures; at least 10"),
        (gzip.compress(idx(20))[:-20], "is damaged or cut off"),
    ],
)
def test_faults_of_idx_files(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / TRAIN).write_bytes(data)
    with pytest.raises(ValueError, match=f"{TRAIN}.*{message}"):
        read_idx(tmp_path / TRAIN)


def test_faults_of_digits(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"holds no {TRAIN} or {TEST}"):
        Digits(root=str(tmp_path))
    for name, value, least in (("steps", 1, 2), ("size", 28, 29), ("digits", 0, 1), ("train", -1, 0), ("seed", -1, 0)):
        with pytest.raises(ValueError, match=f"--{name} is {value}; it must be {least} or more"):
            Digits(**{name: value})  # type: ignore[arg-type]


def test_digits_are_stamped_by_their_files(tmp_path: Path) -> None:
    """So that a pack that was broken off does not go on with other ones."""
    where = Digits(root=write_idx(tmp_path), train=1).parts("train")[0].where
    before = stamp(where)
    os.utime(tmp_path / TRAIN, (1, 1))
    assert stamp(where) != before


# ---------------------------------------------------------------- KTH


def write_film(path: Path, grey: np.ndarray, codec: str = "ffv1") -> None:
    """Frames uint8 (T, H, W) as an .avi, without loss."""
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *grey.shape[1:], "gray" if codec == "ffv1" else "yuv420p"
        for frame in grey:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        film.mux(stream.encode())


def slopes(length: int, height: int = 120, width: int = 160) -> np.ndarray:
    """Brightness that rises to the right, and from frame to frame."""
    ramp = np.add.outer(10 * np.arange(length), np.arange(width))
    return np.repeat(ramp[:, None], height, axis=1).astype(np.uint8)


def write_kth(root: Path, persons: tuple[int, ...] = (1, 20, 25), length: int = 3, **options: Any) -> str:
    for action in ACTIONS:
        (root / action).mkdir()
        for person in persons if action == "boxing" else persons[:1]:
            write_film(root / action / f"person{person:02d}_{action}_d1_uncomp.avi", slopes(length, 12, 16), **options)
    return str(root)


def test_kth_splits_by_person(tmp_path: Path) -> None:
    source = Kth(write_kth(tmp_path, (1, 18, 19, 20, 21, 25)))
    persons = {split: [part.episode[:8] for part in source.parts(split)] for split in ("train", "val", "test")}
    assert persons["train"] == ["person01", "person18", *["person01"] * 5]
    assert persons["val"] == ["person19", "person20"] and persons["test"] == ["person21", "person25"]
    assert source.parts("val")[0].episode == "person19_boxing_d1"
    assert source.about()["persons"].startswith("train 1-18, val 19-20, test 21-25")
    spec = source.spec()
    assert (spec.height, spec.width, spec.channels, spec.fps, spec.condition.kind) == (64, 64, 1, 25.0, "none")


@pytest.mark.parametrize("size", [64, 128])
def test_kth_frames_are_grey_and_squeezed(tmp_path: Path, size: int) -> None:
    root = write_kth(tmp_path)
    write_film(tmp_path / "boxing" / "person01_boxing_d1_uncomp.avi", slopes(4))
    source = Kth(root, size)
    part = source.parts("train")[0]
    frames = source.read(part).frames
    assert frames.shape == (4, size, size, 1) and frames.dtype == np.uint8 and part.frames == 4
    columns = (np.arange(size) + 0.5) * 160 / size - 0.5  # the whole width, from edge to edge
    for t in range(4):
        assert np.abs(frames[t, :, :, 0] - (columns + 10 * t))[:, 3:-3].max() < 1.1


def test_kth_reads_mpeg4(tmp_path: Path) -> None:
    source = Kth(write_kth(tmp_path, codec="mpeg4", length=5))
    frames = next(source.episodes("test")).frames
    assert len(frames) == 5
    assert np.abs(np.diff(frames.astype(int).mean((1, 2, 3))) - 10).max() < 4


def claim(path: Path, frames: int) -> None:
    """Changes the number of frames that the headers of an .avi state (of the file and of the stream)."""
    data = bytearray(path.read_bytes())
    main, stream = data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32
    for at in (main, stream):
        data[at : at + 4] = struct.pack("<I", frames)
    path.write_bytes(bytes(data))


def test_kth_header_that_is_wrong_is_said(tmp_path: Path) -> None:
    root = write_kth(tmp_path)
    film = tmp_path / "boxing" / "person25_boxing_d1_uncomp.avi"
    claim(film, 7)
    source = Kth(root)
    with pytest.raises(ValueError, match=f"{re.escape(str(film))} has 3 frames.*its header says 7.*--count decoded"):
        source.read(source.parts("test")[0])
    counted = Kth(root, count="decoded")
    assert counted.parts("test")[0].frames == len(counted.read(counted.parts("test")[0]).frames) == 3


def test_kth_faults(tmp_path: Path) -> None:
    root = write_kth(tmp_path)
    with pytest.raises(ValueError, match="--size is 32; .* 64 or 128"):
        Kth(root, 32)
    with pytest.raises(ValueError, match="--count is one of header, decoded, not 'decode'. Did you mean 'decoded'"):
        Kth(root, count="decode")
    for name in ("person26_boxing_d1_uncomp.avi", "person02_walking_d1_uncomp.avi", "person2_boxing_d1_uncomp.avi"):
        wrong = tmp_path / "boxing" / name
        wrong.write_bytes(b"")
        with pytest.raises(ValueError, match=f"{name} is not called as KTH's films are, person01_boxing_d1_uncomp"):
            Kth(root)
        wrong.unlink()
    broken = tmp_path / "boxing" / "person01_boxing_d1_uncomp.avi"
    for data in (b"no film", b""):
        broken.write_bytes(data)
        for count in ("header", "decoded"):
            with pytest.raises(ValueError, match="person01_boxing_d1_uncomp.avi is no readable film.*Copy or unpack"):
                Kth(root, count=count).parts("train")
    for path in (tmp_path / "running").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="running holds no .*avi file"):
        Kth(root)
    (tmp_path / "running").rmdir()
    with pytest.raises(FileNotFoundError, match="has no folder running. KTH's films lie in six: boxing"):
        Kth(root)


def test_kth_film_of_several_sizes(tmp_path: Path) -> None:
    root = write_kth(tmp_path)
    path, packets = tmp_path / "boxing/person01_boxing_d1_uncomp.avi", []
    for side in (16, 32):
        with av.open(str(tmp_path / "part.avi"), "w") as film:
            stream: Any = film.add_stream("mjpeg", rate=25)
            stream.height, stream.width, stream.pix_fmt = side, side, "yuvj420p"
            picture = av.VideoFrame.from_ndarray(np.zeros((side, side), np.uint8), format="gray")
            packets += [bytes(packet) for packet in [*stream.encode(picture), *stream.encode()]]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuvj420p"
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, number, number
            film.mux(packet)
    source = Kth(root)
    part = next(p for p in source.parts("train") if "person01_boxing" in p.episode)
    with pytest.raises(ValueError, match=r"person01_boxing_d1_uncomp\.avi has frames of several sizes"):
        source.read(part)


def test_kth_in_a_folder_whose_name_has_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg takes what stands before it for a protocol."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "10:00").mkdir()
    write_kth(tmp_path / "10:00")
    assert len(Kth("10:00").parts("train")) == 6


def test_kth_film_that_is_cut_off(tmp_path: Path) -> None:
    root = write_kth(tmp_path, length=8)
    film = tmp_path / "boxing" / "person01_boxing_d1_uncomp.avi"
    data = film.read_bytes()
    film.write_bytes(data[: data.index(b"movi") + (len(data) - data.index(b"movi")) // 2])
    source = Kth(root)
    with pytest.raises(ValueError, match="person01_boxing_d1_uncomp.avi"):
        source.read(source.parts("train")[0])
