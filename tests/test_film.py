"""Films come back as they were written."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recordings import moving_square

from framecast.report.film import check_suffix, read_film, write_film


def far(one: np.ndarray, two: np.ndarray) -> float:
    """Mean distance of two films in grey levels."""
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


@pytest.mark.parametrize("name", ["film.npz", "film"])
@pytest.mark.parametrize("channels", [1, 3])
def test_npz_and_png_folders_are_exact(tmp_path: Path, name: str, channels: int) -> None:
    frames = moving_square()[..., :channels]
    assert write_film(tmp_path / name, frames) == tmp_path / name
    assert np.array_equal(read_film(tmp_path / name), frames)
    assert [p.name for p in tmp_path.iterdir()] == [name]  # no scratch left beside it


def test_png_folders_are_ordered_by_number_and_never_replaced(tmp_path: Path) -> None:
    write_film(tmp_path / "film", moving_square(12))
    assert (tmp_path / "film" / "11.png").exists()
    with pytest.raises(FileExistsError, match="exists already"):  # they may be somebody's recordings
        write_film(tmp_path / "film", moving_square(3, shift=9))
    assert np.array_equal(read_film(tmp_path / "film"), moving_square(12))


def test_films_do_not_take_the_place_of_folders_nor_folders_of_files(tmp_path: Path) -> None:
    (tmp_path / "film.gif").mkdir()
    (tmp_path / "notes").write_text("years of work")
    for name in ("film.gif", "notes"):
        with pytest.raises(FileExistsError, match="Give another --out"):
            write_film(tmp_path / name, moving_square(2))
    assert (tmp_path / "notes").read_text() == "years of work"


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="exists already"):
        write_film(tmp_path, moving_square())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_npz_holds_several_films_and_others_do_not(tmp_path: Path) -> None:
    films = np.stack([moving_square(3), moving_square(3, shift=5)])
    assert np.array_equal(read_film(write_film(tmp_path / "films.npz", np.concatenate(films), films=2)), films)
    with pytest.raises(ValueError, match=r"\(3, 32, 64, 3\)"):
        write_film(tmp_path / "films.gif", films)


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "film.gif").mkdir()
    with pytest.raises(OSError):
        write_film(tmp_path / "film.gif", moving_square(2))
    assert (tmp_path / "film.gif").is_dir()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
@pytest.mark.parametrize("channels", [1, 3])
def test_compressed_films_keep_count_and_colours(tmp_path: Path, suffix: str, channels: int) -> None:
    frames = moving_square(h=64, w=96)[..., :channels]
    got = read_film(write_film(tmp_path / f"film{suffix}", frames, fps=25))
    assert got.shape == (12, 64, 96, 3)
    assert far(got, np.broadcast_to(frames, got.shape)) < 4


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
@pytest.mark.parametrize("times", [[0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 0, 0, 0], [0]])
def test_equal_neighbours_keep_their_time(tmp_path: Path, suffix: str, times: list[int]) -> None:
    frames = moving_square(h=64)[times]
    got = read_film(write_film(tmp_path / f"film{suffix}", frames))
    assert got.shape == frames.shape
    assert far(got, frames) < 4


def test_a_still_may_stand_longer_than_a_gif_can_hold_a_frame(tmp_path: Path) -> None:
    frames = moving_square(2, h=8, w=16)
    path = write_film(tmp_path / "film.gif", (frames[k // 700] for k in range(1400)), fps=1)
    with Image.open(path) as gif:
        lasts = [gif.seek(k) or gif.info["duration"] for k in range(gif.n_frames)]  # type: ignore[attr-defined]
    assert lasts == [655_000, 45_000] * 2
    got = read_film(path)
    assert got.shape == (1400, 8, 16, 3)
    assert np.array_equal(got[[0, 699, 700, 1399]], frames[[0, 0, 1, 1]])


def test_a_gif_of_few_colours_is_exact_and_has_one_palette(tmp_path: Path) -> None:
    frames = moving_square()
    path = write_film(tmp_path / "film.gif", frames)
    assert np.array_equal(read_film(path), frames)
    with Image.open(path) as gif:
        for number in range(12):
            gif.seek(number)
            assert gif.tile[0].args[0] == 8  # eight bits a pixel, and no palette of the frame's own:
            assert gif.disposal_method in (0, 1)
    assert local_palettes(path.read_bytes()) == 0


def local_palettes(data: bytes) -> int:
    """How many frames of a GIF bring a colour table of their own (GIF89a, section 20)."""
    place = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    count = 0
    while data[place] != 0x3B:
        place += 2 if data[place] == 0x21 else 10
        if data[place - 10] == 0x2C:
            packed = data[place - 1]
            count += packed >> 7
            place += 1 + (3 * 2 ** ((packed & 7) + 1) if packed >> 7 else 0)
        while data[place]:
            place += data[place] + 1
        place += 1
    return count


@pytest.mark.parametrize("fps, step", [(30, 30), (25, 40), (10, 100), (1000, 20)])
def test_gif_time_is_rounded_to_ten_milliseconds(tmp_path: Path, fps: int, step: int) -> None:
    with Image.open(write_film(tmp_path / "film.gif", moving_square(3), fps)) as gif:
        assert gif.info["duration"] == step
        assert gif.info["loop"] == 0


def test_mp4_pads_odd_sizes(tmp_path: Path) -> None:
    frames = moving_square(5, 33, 65)
    got = read_film(write_film(tmp_path / "film.mp4", frames))
    assert got.shape == (5, 34, 66, 3)
    assert far(got[:, :33, :65], frames) < 4
    assert far(got[:, 33], got[:, 32]) < 6


@pytest.mark.parametrize("name", ["film.mp4", "film", "film.gif", "film.webp", "film.npz"])
def test_iterators_are_films(tmp_path: Path, name: str) -> None:
    got = read_film(write_film(tmp_path / name, iter(moving_square(4))))
    assert got.shape == (4, 32, 64, 3)


@pytest.mark.parametrize("name", ["film.mp4", "film", "film.gif", "film.npz"])
def test_long_films_are_written_in_constant_memory(tmp_path: Path, name: str) -> None:
    given: list[weakref.ref[np.ndarray]] = []

    def frames() -> Iterator[np.ndarray]:
        for k in range(20):
            frame = moving_square(1, shift=k)[0].copy()
            given.append(weakref.ref(frame))
            yield frame
            del frame
            assert sum(frame() is not None for frame in given) <= 4  # the newest, the first, and no more

    assert len(read_film(write_film(tmp_path / name, frames()))) == 20


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "film.mp4", "film", "film.npz"])
def test_what_fails_leaves_nothing_and_spoils_nothing(tmp_path: Path, name: str) -> None:
    if name != "film":
        write_film(tmp_path / name, moving_square(3))
    before = [(p.name, p.read_bytes()) for p in tmp_path.iterdir()]

    def broken() -> Iterator[np.ndarray]:
        yield moving_square(1)[0]
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        write_film(tmp_path / name, broken())
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == before


@pytest.mark.parametrize(
    "name, frames, message",
    [
        ("film.mpg4", moving_square(2), r"'\.mpg4'.*\.gif, \.webp, \.mp4, \.npz.*Did you mean film\.mp4\?"),
        ("film.docx", moving_square(2), r"folder of PNG files\.$"),
        ("film.gif", moving_square(0), "at least one frame"),
        ("film.gif", moving_square(2) / 255.0, "float64"),
        ("film.gif", moving_square(2)[..., :2], r"frame 0 is uint8 \(32, 64, 2\)"),
        ("film", [moving_square(1)[0], moving_square(1, 16, 16)[0]], "frame 1 is"),
    ],
)
def test_the_door_says_what_is_wrong(tmp_path: Path, name: str, frames: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_film(tmp_path / name, frames)  # pyright: ignore[reportArgumentType]
    assert not list(tmp_path.iterdir())


def test_check_suffix() -> None:
    assert [check_suffix(name) for name in ("a.GIF", "b/c.mp4", Path("folder"))] == [".gif", ".mp4", ""]
    with pytest.raises(ValueError, match=r"a\.give.*Did you mean a\.gif"):
        check_suffix("a.give")
