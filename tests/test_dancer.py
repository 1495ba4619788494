"""The built-in data set: every frame by its index alone, a believable person, and folders as the course has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framecast.sources import _motion, dancer
from framecast.sources.dancer import Dancer, draw, write


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """PSNR in dB of uint8 frames (n, H, W, C), one number a frame."""
    error = ((a.astype(np.float64) - b) ** 2).mean((1, 2, 3))
    return 10 * np.log10(255**2 / error)


@pytest.fixture(scope="module")
def val() -> tuple[np.ndarray, np.ndarray]:
    return draw(0, "val", 0, 630)


def test_a_frame_is_its_index(val: tuple[np.ndarray, np.ndarray]) -> None:
    for start, stop in ((0, 1), (31, 33), (100, 170), (629, 630)):
        for whole, piece in zip(val, draw(0, "val", start, stop), strict=True):
            assert np.array_equal(whole[start:stop], piece)


def test_far_frames_are_drawn_alone() -> None:
    assert np.array_equal(draw(0, "train", 1_000_010, 1_000_012)[0][1:], draw(0, "train", 1_000_011, 1_000_012)[0])


def test_seed_and_sequence_matter() -> None:
    frames, labels = draw(0, "val", 40, 44)
    for seed, sequence in ((1, "val"), (0, "train"), (0, "0")):
        other, bones = draw(seed, sequence, 40, 44)
        assert not np.array_equal(frames, other)
        assert not np.array_equal(labels, bones)
    assert np.array_equal(draw(0, 3, 0, 2)[0], draw(0, "3", 0, 2)[0])


@pytest.mark.parametrize("size", [(32, 64), (40, 48), (64, 64)])
def test_shapes(size: tuple[int, int]) -> None:
    for pictures in draw(0, "val", 5, 9, size):
        assert pictures.shape == (4, *size, 3)
        assert pictures.dtype == np.uint8


def test_an_empty_range_is_empty() -> None:
    assert draw(0, "val", 7, 7)[0].shape == (0, 32, 64, 3)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (5, 4)])
def test_an_impossible_range_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="frames"):
        draw(0, "val", start, stop)


def test_labels_are_coloured_bones_on_white(val: tuple[np.ndarray, np.ndarray]) -> None:
    labels = val[1].astype(int)
    assert (labels == 255).all(-1).mean() > 0.85
    coloured = (labels.max(-1) - labels.min(-1) > 100).sum((1, 2))
    assert coloured.min() > 20
    assert coloured.max() < 250


def test_the_label_lies_on_the_person(val: tuple[np.ndarray, np.ndarray]) -> None:
    frames, labels = val[0].astype(float), val[1].astype(float)
    away = np.abs(frames - np.median(frames, axis=0)).mean(-1)
    bones = labels.min(-1) < 60
    assert away[bones].mean() > 4 * away[~bones].mean()


def test_light_drifts_and_noise_flickers(val: tuple[np.ndarray, np.ndarray]) -> None:
    corner = val[0][:, :6, :6].astype(float)
    light = corner.mean((1, 2, 3))
    assert 0.01 < (light.max() - light.min()) / light.mean() < 0.2
    assert np.abs(np.diff(light)).max() < 2
    noise = (corner[1:] - corner[:-1]).std() / np.sqrt(2)
    assert 1.2 < noise < 2.4


def test_cloth_and_hair_move_where_the_pose_rests() -> None:
    """The same pose angles do not fix the picture: the breeze has its own stream of numbers."""
    t = np.arange(0.0, 200.0)
    joint, x, scale = _motion.skeleton(7, t, 2.0)
    one, other = dict(joint), dict(joint)
    _motion.swinging(one, x, scale, 7, t)
    _motion.swinging(other, x, scale, 8, t)
    gap = np.linalg.norm(one["tip"] - other["tip"], axis=-1)
    assert 0.005 < gap.mean() < 0.1


def test_motion_has_no_jumps(val: tuple[np.ndarray, np.ndarray]) -> None:
    assert psnr(val[0][1:], val[0][:-1]).min() > 20
    for sequence in range(4):
        key = dancer._key(0, sequence)
        joints = dancer._body(key, 0, 4000, 2.0).joints.astype(np.float64)
        assert np.abs(np.diff(joints, axis=0)).max() < 0.25
        assert np.abs(np.diff(joints, 2, axis=0)).max() < 0.14


def test_copying_scores_like_real_recordings(val: tuple[np.ndarray, np.ndarray]) -> None:
    assert 16.5 < psnr(val[0][1:], val[0][:1]).mean() < 21
    assert 28 < psnr(val[0][1:], val[0][:-1]).mean() < 36


def test_the_person_walks_the_width(val: tuple[np.ndarray, np.ndarray]) -> None:
    columns = np.nonzero((val[1].min(-1) < 128).any(1))[1]
    assert columns.min() < 12
    assert columns.max() > 51


def test_source() -> None:
    source = Dancer(train=600, val=40, test=2, size="16x32")
    spec = source.spec()
    assert (spec.height, spec.width, spec.channels, spec.condition.kind) == (16, 32, 3, "picture")
    assert [(p.start, p.stop, p.frames) for p in source.parts("train")] == [
        (0, 256, 256), (256, 512, 256), (512, 600, 88),
    ]  # fmt: skip
    assert [p.episode for p in source.parts("test") if p.start == 0] == ["0", "1"]
    (episode,) = source.episodes("val")
    assert episode.name == "val"
    assert episode.condition is not None
    assert np.array_equal(episode.frames, draw(0, "val", 0, 40, (16, 32))[0])


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="train is -1"):
        Dancer(train=-1)
    assert Dancer().parts("dev") == []


def test_write(tmp_path: Path) -> None:
    told: list[int] = []
    root = write(tmp_path / "data", train=20, val=5, test=1, size="16x32", progress=told.append, workers=1)
    names = {
        str(folder.relative_to(root)): len(list(folder.glob("*.png")))
        for folder in root.rglob("*")
        if folder.is_dir() and any(folder.glob("*.png"))
    }
    assert names == {
        "train/train_img": 20, "train/train_label": 20, "val/val_img": 5, "val/val_label": 5,
        "test/test_img/0": 1, "test/test_label/0": 630, "test/test_truth/0": 630,
    }  # fmt: skip
    assert sum(told) == 20 + 5 + 630
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    frames, labels = draw(0, "train", 0, 20, (16, 32))
    assert np.array_equal(np.asarray(Image.open(root / "train/train_img/19.png")), frames[19])
    assert np.array_equal(np.asarray(Image.open(root / "train/train_label/3.png")), labels[3])
    truth = draw(0, "0", 629, 630, (16, 32))[0][0]
    assert np.array_equal(np.asarray(Image.open(root / "test/test_truth/0/629.png")), truth)
    with pytest.raises(FileExistsError, match="not empty"):
        write(root, train=1, val=1, test=0)


def test_where_one_stands_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "link").symlink_to(tmp_path / "here")
    for root in (".", tmp_path / "link"):
        with pytest.raises(FileExistsError, match="cannot be replaced"):
            write(root, train=1, val=0, test=0, workers=1)
    assert (tmp_path / "link").is_symlink()


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "data", train=4, val=0, test=0, size="16x32", progress=stop, workers=1)
    assert list(tmp_path.iterdir()) == []
