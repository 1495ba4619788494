"""Films come back as they were written; figures are pictures worth the name."""

from __future__ import annotations

import csv
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framecast.report.figures import psnr_figure, settings_figure, training_figure
from framecast.report.film import check_suffix, read_film, write_film
from framecast.report.panels import error_picture, panels, side_by_side
from framecast.report.sheets import contact_sheet, strip


def film(t: int = 12, h: int = 32, w: int = 64, shift: int = 0) -> np.ndarray:
    """A red square moving over a grey ramp, uint8 (T, H, W, 3)."""
    frames = np.empty((t, h, w, 3), dtype=np.uint8)
    frames[:] = np.linspace(40, 200, h, dtype=np.uint8)[:, None, None]
    for k in range(t):
        left = (3 * k + shift) % (w - 8)
        frames[k, h // 4 : h // 4 + 8, left : left + 8] = (220, 30, 40)
    return frames


def far(one: np.ndarray, two: np.ndarray) -> float:
    """Mean distance of two films in grey levels."""
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


def looks_like_a_picture(path: Path, width: int, height: int) -> bool:
    """Of at least this size, and neither blank nor of one colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L"))
    return pixels.shape[0] >= height and pixels.shape[1] >= width and pixels.std() > 5


# --- films ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["film.npz", "film"])
@pytest.mark.parametrize("channels", [1, 3])
def test_npz_and_png_folders_are_exact(tmp_path: Path, name: str, channels: int) -> None:
    frames = film()[..., :channels]
    assert write_film(tmp_path / name, frames) == tmp_path / name
    assert np.array_equal(read_film(tmp_path / name), frames)
    assert [p.name for p in tmp_path.iterdir()] == [name]  # no scratch left beside it


def test_png_folders_are_ordered_by_number_and_replaced_whole(tmp_path: Path) -> None:
    write_film(tmp_path / "film", film(12))
    assert (tmp_path / "film" / "11.png").exists()
    write_film(tmp_path / "film", film(3, shift=9))
    assert np.array_equal(read_film(tmp_path / "film"), film(3, shift=9))


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds more than a film"):
        write_film(tmp_path, film())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_npz_holds_several_films_and_others_do_not(tmp_path: Path) -> None:
    films = np.stack([film(3), film(3, shift=5)])
    assert np.array_equal(read_film(write_film(tmp_path / "films.npz", films)), films)
    with pytest.raises(ValueError, match=r"\(3, 32, 64, 3\)"):
        write_film(tmp_path / "films.gif", films)


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "film.gif").mkdir()
    with pytest.raises(OSError):
        write_film(tmp_path / "film.gif", film(2))
    assert (tmp_path / "film.gif").is_dir()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
@pytest.mark.parametrize("channels", [1, 3])
def test_compressed_films_keep_count_and_colours(tmp_path: Path, suffix: str, channels: int) -> None:
    frames = film(h=64, w=96)[..., :channels]
    got = read_film(write_film(tmp_path / f"film{suffix}", frames, fps=25))
    assert got.shape == (12, 64, 96, 3)
    assert far(got, np.broadcast_to(frames, got.shape)) < 4


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
@pytest.mark.parametrize("times", [[0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 0, 0, 0], [0]])
def test_equal_neighbours_keep_their_time(tmp_path: Path, suffix: str, times: list[int]) -> None:
    frames = film(h=64)[times]
    got = read_film(write_film(tmp_path / f"film{suffix}", frames))
    assert got.shape == frames.shape
    assert far(got, frames) < 4


def test_a_gif_of_few_colours_is_exact_and_has_one_palette(tmp_path: Path) -> None:
    frames = film()
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
    with Image.open(write_film(tmp_path / "film.gif", film(3), fps)) as gif:
        assert gif.info["duration"] == step
        assert gif.info["loop"] == 0


def test_mp4_pads_odd_sizes(tmp_path: Path) -> None:
    frames = film(5, 33, 65)
    got = read_film(write_film(tmp_path / "film.mp4", frames))
    assert got.shape == (5, 34, 66, 3)
    assert far(got[:, :33, :65], frames) < 4
    assert far(got[:, 33], got[:, 32]) < 6


@pytest.mark.parametrize("name", ["film.mp4", "film", "film.gif", "film.webp", "film.npz"])
def test_iterators_are_films(tmp_path: Path, name: str) -> None:
    got = read_film(write_film(tmp_path / name, iter(film(4))))
    assert got.shape == (4, 32, 64, 3)


@pytest.mark.parametrize("name", ["film.mp4", "film"])
def test_long_films_are_written_in_constant_memory(tmp_path: Path, name: str) -> None:
    given: list[weakref.ref[np.ndarray]] = []

    def frames() -> Iterator[np.ndarray]:
        for k in range(20):
            frame = film(1, shift=k)[0].copy()
            given.append(weakref.ref(frame))
            yield frame
            del frame
            assert sum(frame() is not None for frame in given) <= 4  # the newest, the first, and no more

    assert len(read_film(write_film(tmp_path / name, frames()))) == 20


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "film.mp4", "film", "film.npz"])
def test_what_fails_leaves_nothing_and_spoils_nothing(tmp_path: Path, name: str) -> None:
    write_film(tmp_path / name, film(3))
    before = read_film(tmp_path / name)

    def broken() -> Iterator[np.ndarray]:
        yield film(1)[0]
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        write_film(tmp_path / name, broken())
    assert np.array_equal(read_film(tmp_path / name), before)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "name, frames, message",
    [
        ("film.mpg4", film(2), r"'\.mpg4'.*\.gif, \.webp, \.mp4, \.npz.*Did you mean film\.mp4\?"),
        ("film.docx", film(2), r"folder of PNG files\.$"),
        ("film.gif", film(0), "at least one frame"),
        ("film.gif", film(2) / 255.0, "float64"),
        ("film.gif", film(2)[..., :2], r"frame 0 is uint8 \(32, 64, 2\)"),
        ("film", [film(1)[0], film(1, 16, 16)[0]], "frame 1 is"),
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


# --- panels --------------------------------------------------------------------------------------------------------


def test_error_pictures_are_black_where_right_and_bright_where_wrong() -> None:
    truth = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    prediction = truth.copy()
    prediction[1, 0, 0] = 255
    prediction[1, 1, 1] = 20
    picture = error_picture(truth, prediction)
    assert picture.shape == (2, 4, 4, 3)
    assert picture[0].max() <= 4
    assert picture[1, 0, 0].min() > 150
    assert picture[1, 2, 2].sum() < picture[1, 1, 1].sum() < picture[1, 0, 0].sum()
    assert np.array_equal(picture, error_picture(prediction, truth))  # no wrapping around at 256
    assert error_picture(truth[..., :1], prediction[..., :1]).shape == (2, 4, 4, 3)
    with pytest.raises(ValueError, match="one shape"):
        error_picture(truth, prediction[:1])


def test_panels_show_every_pixel_beneath_a_strip() -> None:
    one, two = film(3), film(3, shift=20)[..., :1]
    drawn = panels({"one": one, "two": two}, scale=2, captions={"two": ["a", "b", "c"]})
    everything = np.asarray(drawn)
    assert everything.shape == drawn.shape == (len(drawn), *drawn[0].shape)
    assert everything.dtype == np.uint8
    assert np.array_equal(everything[-1], drawn[-1])
    assert np.array_equal(everything[1:], drawn[1:])
    strip_height = drawn.shape[1] - 64
    assert np.array_equal(drawn[1][strip_height::2, 0:128:2], one[1])
    assert np.array_equal(drawn[1][strip_height::2, -128::2], two[1].repeat(3, axis=2))
    assert drawn[1][:strip_height].max() > 200  # there is writing on the strip
    assert not np.array_equal(drawn[0][:strip_height], drawn[1][:strip_height])


@pytest.mark.parametrize("channels", [1, 3])
def test_side_by_side_of_one_and_of_two_models(channels: int) -> None:
    truth, good, bad = (film(3, shift=s)[..., :channels] for s in (0, 1, 20))
    one = side_by_side(truth, good)
    assert list(one.panes) == ["truth", "prediction", "error x 3"]
    assert one.shape[1] > 160  # 32 pixels five times, and the strip
    assert all(text.endswith(" dB") for text in one.captions["prediction"])
    two = side_by_side(truth, {"a": good, "b": bad}, scale=3, condition=film(3), gain=5, scores=False)
    assert list(two.panes) == ["condition", "truth", "a", "error of a x 5", "b", "error of b x 5"]
    assert not two.captions
    score = {
        name: float(text.split()[0]) for name, (text, *_) in side_by_side(truth, {"a": good, "b": bad}).captions.items()
    }
    assert score["a"] > score["b"]
    assert side_by_side(truth, truth).captions["prediction"][0] == "100.0 dB"
    assert list(side_by_side(truth, {"a": good, "b": bad}, gain=0).panes) == ["truth", "a", "b"]


def test_panels_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"one length and size.*\(3, 32, 64\).*\(2, 32, 64\)"):
        panels({"one": film(3), "two": film(2)})
    with pytest.raises(ValueError, match="float64"):
        panels({"one": film(3) / 255})
    with pytest.raises(ValueError, match="at least one film"):
        panels({})
    with pytest.raises(ValueError, match="each of its 3 frames"):
        panels({"one": film(3)}, captions={"one": ["too few"]})
    with pytest.raises(ValueError, match="whole number from 1"):
        panels({"one": film(3)}, scale=0)
    with pytest.raises(IndexError):
        panels({"one": film(3)})[3]


# --- figures -------------------------------------------------------------------------------------------------------


def log(n: int = 100) -> list[dict[str, object]]:
    """A metrics.csv as Lightning writes it: training and validation on rows of their own, blanks between."""
    columns = ("total", "reconstruction", "kl", "kl_weighted", "psnr", "beta", "tfr")
    rows: list[dict[str, object]] = [
        {"step": str(k), **{f"train/{c}": str((k % 7) / (k + 1)) for c in columns}, "val/psnr": ""} for k in range(n)
    ]
    return rows + [{"step": k, "val/psnr": 20 + k / n, **{f"train/{c}": "" for c in columns}} for k in range(9, n, 10)]


@pytest.mark.parametrize("frames", [1, 10, 629])
def test_psnr_figure(tmp_path: Path, frames: int) -> None:
    curve = 25 + np.sin(np.arange(frames))
    copies = np.r_[100.0, np.full(frames - 1, 18.0)]
    path = psnr_figure(tmp_path / "psnr.png", {"model": curve, "copy first": copies}, "Validation", fps=30)
    assert looks_like_a_picture(path, 1000, 500)
    assert [p.name for p in tmp_path.iterdir()] == ["psnr.png"]


def test_psnr_figure_refuses_what_is_no_series(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model \(2, 3\)"):
        psnr_figure(tmp_path / "psnr.png", {"model": np.zeros((2, 3))}, "")
    with pytest.raises(ValueError, match="there are none"):
        psnr_figure(tmp_path / "psnr.png", {}, "")


def test_training_figure_from_rows_columns_and_file(tmp_path: Path) -> None:
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(log()[0]))
        writer.writeheader()
        writer.writerows(log())
    with (tmp_path / "metrics.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    columns = {key: [row[key] for row in read] for key in read[0]}
    pictures = [training_figure(tmp_path / f"{k}.png", rows, "Run") for k, rows in enumerate((log(), read, columns))]
    assert looks_like_a_picture(pictures[0], 1000, 900)
    assert pictures[0].read_bytes() == pictures[1].read_bytes() == pictures[2].read_bytes()


def test_training_figure_skips_what_was_not_logged(tmp_path: Path) -> None:
    few = [
        {"step": row["step"], "train/total": -float(str(row["train/total"]))} for row in log(30) if row["train/total"]
    ]
    path = training_figure(tmp_path / "few.png", few)
    assert looks_like_a_picture(path, 1000, 300)
    with Image.open(path) as short, Image.open(training_figure(tmp_path / "all.png", log())) as tall:
        assert short.height < tall.height
    with pytest.raises(ValueError, match="train/total"):
        training_figure(tmp_path / "none.png", [{"step": 1, "other": 2}])
    with pytest.raises(ValueError, match="no column 'step'"):
        training_figure(tmp_path / "none.png", [{"train/total": 1}])


def test_settings_stand_side_by_side(tmp_path: Path) -> None:
    runs = {"cyclical": log(), "none": [{k: v for k, v in row.items() if k != "train/beta"} for row in log()]}
    assert looks_like_a_picture(settings_figure(tmp_path / "runs.png", runs, "KL annealing"), 1000, 900)


def test_strip_holds_the_frames_asked_for(tmp_path: Path) -> None:
    truth, prediction = film(), film(shift=1)
    rows = {"truth": truth, "prediction": prediction, "error": error_picture(truth, prediction)}
    path = strip(tmp_path / "strip.png", rows, [0, 4, 11], first=1, scale=2)
    pixels = np.asarray(Image.open(path))
    width, height = 64 * 2 + 4, 32 * 2 + 4
    cell = pixels[-3 * height : -2 * height, -width:][:-4:2, :-4:2]
    assert np.array_equal(cell, truth[11])
    outlined = np.asarray(Image.open(strip(tmp_path / "given.png", rows, [0, 1, 11], scale=2, given=1)))
    plain = np.asarray(Image.open(strip(tmp_path / "plain.png", rows, [0, 1, 11], scale=2)))
    changed = np.flatnonzero((outlined != plain).any((0, 2)))
    left = plain.shape[1] - 3 * width
    assert left <= changed.min() and changed.max() < left + width  # only in the column of the given frame
    with pytest.raises(ValueError, match=r"frames 0 to 11.*\[-1, 12\]"):
        strip(tmp_path / "strip.png", rows, [-1, 5, 12], first=1)
    with pytest.raises(ValueError, match="one size"):
        strip(tmp_path / "strip.png", {"a": film(3), "b": film(3, 16, 16)}, [1])


@pytest.mark.parametrize("n", [1, 3, 12])
@pytest.mark.parametrize("kind", ["picture", "grey picture", "vector", "none"])
def test_contact_sheet(tmp_path: Path, n: int, kind: str) -> None:
    frames = film(n)
    vectors = np.linspace(-1, 1, n * 7).reshape(n, 7)
    conditions = {"picture": frames, "grey picture": frames[..., :1], "vector": vectors, "none": None}[kind]
    path = contact_sheet(tmp_path / "sheet.png", frames, conditions, [str(k) for k in range(n)])
    assert looks_like_a_picture(path, 400, 150)


def test_contact_sheet_refuses_unequal_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 frames"):
        contact_sheet(tmp_path / "sheet.png", film(3), film(2))
