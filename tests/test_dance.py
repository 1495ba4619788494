"""The course's folders: what is written comes back, and every fault names its file and what mends it."""

from __future__ import annotations

import pickle
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recordings import encode, moving_square, noise

from framecast.report.film import write_film
from framecast.sources.dance import CHUNK, Dance


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


def test_several_clips_lie_in_folders(dance: Path):
    for split, names in (("train", ("0", "1", "10", "2")), ("val", ("7",))):
        shutil.rmtree(dance / split, ignore_errors=True)
        for name in names:
            for kind in ("img", "label"):
                pictures(dance / f"{split}/{split}_{kind}/{name}", ["8.png", "9.png", "10.png"], seed=int(name))
    (dance / "train/train_img/notes.txt").write_text("filmed in May")
    source = pickle.loads(pickle.dumps(Dance(str(dance), size="8x16")))
    assert [part.episode for part in source.parts("train")] == ["0", "1", "2", "10"]
    assert [episode.name for episode in source.episodes("val")] == ["7"]
    for episode in source.episodes("train"):
        assert np.array_equal(episode.frames, noise(3, 8, 16, 3, seed=int(episode.name)))
    shutil.rmtree(dance / "train/train_label/10")
    with pytest.raises(FileNotFoundError, match="train_img/10 has no partner .*train_label/10. Every sequence needs"):
        source.parts("train")
    pictures(dance / "val/val_img", ["0.png"])
    with pytest.raises(ValueError, match=r"val_img holds pictures \(0.png\) and folders \(7\): it is one sequence or"):
        source.parts("val")


def test_clips_of_one_number_keep_their_order(dance: Path):
    shutil.rmtree(dance / "train")
    names = ("7", "007", "07", "0007")
    for name in names:
        for kind in ("img", "label"):
            pictures(dance / f"train/train_{kind}/{name}", ["0.png"])
    assert [part.episode for part in Dance(str(dance)).parts("train")] == sorted(names)


def test_folders_of_other_programs_are_no_clips(dance: Path):
    (dance / "train/train_img/@eaDir").mkdir()
    assert [part.episode for part in Dance(str(dance)).parts("train")] == ["train"]


def test_other_pictures_beside_pngs_are_not_lost_in_silence(dance: Path):
    picture = dance / "train/train_img/frame9.jpg"
    Image.new("RGB", (4, 4)).save(picture)
    with pytest.raises(ValueError, match=r"train_img holds frame9\.jpg beside \.png files"):
        Dance(str(dance)).parts("train")


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
        (_add("test/test_img/extra/frame0.png"), "test", "extra is not a sequence"),
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


def test_sixteen_bits_a_pixel_become_eight(dance: Path) -> None:
    source, path = Dance(str(dance), size="8x16"), dance / "train/train_label/frame3.png"
    shades = noise(8, 16, 1)[:, :, 0]
    Image.fromarray(shades.astype(np.uint16) * 257).save(path)
    seen = source.read(source.parts("train")[0])
    assert seen.condition is not None
    assert np.array_equal(seen.condition[3], np.repeat(shades[:, :, None], 3, 2))


def test_a_picture_of_impossible_size_is_named(dance: Path) -> None:
    source, path = Dance(str(dance)), dance / "train/train_label/frame3.png"
    whole = bytearray(path.read_bytes())
    whole[16:24] = (30000).to_bytes(4, "big") * 2  # width and height in the header
    whole[29:33] = zlib.crc32(whole[12:29]).to_bytes(4, "big")
    path.write_bytes(bytes(whole))
    with pytest.raises(ValueError, match="frame3.png is not a readable picture"):
        source.read(source.parts("train")[0])


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


def test_the_documentations_way_from_films_to_a_dance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
    (code,) = re.findall(r"```python\n(from pathlib.*?)```", page, re.S)
    monkeypatch.chdir(tmp_path)
    films = {"anna": moving_square(5), "anna-again": moving_square(4), "anna-later": moving_square(3)}
    for name, film in films.items():
        write_film(f"{name}.mp4", film, fps=25)
    exec(code, {})
    for split in ("train", "val"):
        shutil.copytree(f"data/anna/{split}/{split}_img", f"data/anna/{split}/{split}_label")
    source = Dance("data/anna", size="32x64", fps=25)
    assert source.about() == {}
    episodes = [episode for split in ("train", "val") for episode in source.episodes(split)]
    for episode, film in zip(episodes, films.values(), strict=True):
        assert np.abs(episode.frames.astype(int) - film).mean() < 8
