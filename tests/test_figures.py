"""Figures, panels and sheets are pictures worth the name."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from recordings import moving_square

from framecast.report import figures, run, sheets
from framecast.report.figures import psnr_figure, settings_figure, training_figure
from framecast.report.panels import error_picture, panels, side_by_side
from framecast.report.sheets import contact_sheet, strip


def looks_like_a_picture(path: Path, width: int, height: int) -> bool:
    """Of at least this size, and neither blank nor of one colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L"))
    return pixels.shape[0] >= height and pixels.shape[1] >= width and pixels.std() > 5


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
    one, two = moving_square(3), moving_square(3, shift=20)[..., :1]
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
    truth, good, bad = (moving_square(3, shift=s)[..., :channels] for s in (0, 1, 20))
    one = side_by_side(truth, good)
    assert list(one.panes) == ["truth", "prediction", "error x 3"]
    assert one.shape[1] > 160  # 32 pixels five times, and the strip
    assert all(text.endswith(" dB") for text in one.captions["prediction"])
    two = side_by_side(truth, {"a": good, "b": bad}, scale=3, condition=moving_square(3), gain=5, scores=False)
    assert list(two.panes) == ["condition", "truth", "a", "error of a x 5", "b", "error of b x 5"]
    assert not two.captions
    score = {
        name: float(text.split()[0]) for name, (text, *_) in side_by_side(truth, {"a": good, "b": bad}).captions.items()
    }
    assert score["a"] > score["b"]
    assert side_by_side(truth, truth).captions["prediction"][0] == "100.0 dB"
    assert list(side_by_side(truth, {"a": good, "b": bad}, gain=0).panes) == ["truth", "a", "b"]


def test_given_frames_of_a_film_are_outlined_and_not_scored() -> None:
    film = side_by_side(moving_square(3), moving_square(3, shift=1), gain=0, given=1)
    assert film.captions["prediction"][0] == "given" and film.captions["prediction"][1].endswith(" dB")
    outlined = [tuple(frame[-1, 0]) == (230, 159, 0) and tuple(frame[-1, -1]) == (230, 159, 0) for frame in film]
    assert outlined == [True, False, False] and np.array_equal(film[0], film[-3])


def test_panels_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"one length and size.*\(3, 32, 64\).*\(2, 32, 64\)"):
        panels({"one": moving_square(3), "two": moving_square(2)})
    with pytest.raises(ValueError, match="float64"):
        panels({"one": moving_square(3) / 255})
    with pytest.raises(ValueError, match="at least one film"):
        panels({})
    with pytest.raises(ValueError, match="each of its 3 frames"):
        panels({"one": moving_square(3)}, captions={"one": ["too few"]})
    with pytest.raises(ValueError, match="whole number from 1"):
        panels({"one": moving_square(3)}, scale=0)
    with pytest.raises(IndexError):
        panels({"one": moving_square(3)})[3]


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


@pytest.mark.slow
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


def test_titles_with_dollars_are_no_formulas(tmp_path: Path) -> None:
    assert settings_figure(tmp_path / "runs.png", {"b$5_$6": log(), "b$_$": log()}, "a$_$").is_file()
    assert psnr_figure(tmp_path / "psnr.png", {"a": np.ones(5)}, "a$_$", 30.0).is_file()


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


def lines(monkeypatch: pytest.MonkeyPatch, path: Path, rows: list[dict[str, object]]) -> dict[str, Line2D]:
    """What a training figure draws, by the names of the lines."""
    kept: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))
    training_figure(path, rows)
    return {str(line.get_label()): line for axes in kept[0].axes for line in axes.get_lines()}


def test_a_short_run_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = [{"step": 1, "train/total": 2.0, "train/psnr": 10.0}]
    assert all(line.get_marker() == "o" for line in lines(monkeypatch, tmp_path / "one.png", one).values())
    assert lines(monkeypatch, tmp_path / "many.png", log(40))["total"].get_marker() == "None"


def test_what_moves_between_epochs_is_drawn_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for epoch, style in ((lambda k: k // 10, "steps-post"), (lambda k: k / 10, "default")):
        rows = [{"step": k + 1, "epoch": epoch(k), "train/beta": k // 10, "train/tfr": 1.0} for k in range(30)]
        assert lines(monkeypatch, tmp_path / "run.png", rows)["β"].get_drawstyle() == style


def test_a_log_axis_has_no_zeros_and_the_total_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weighted = [0.0, 0.0, 100.0, 50.0]
    rows = [
        {"step": k, "train/total": w + 0.1, "train/reconstruction": 0.1, "train/kl_weighted": w}
        for k, w in enumerate(weighted)
    ]
    drawn = lines(monkeypatch, tmp_path / "run.png", rows)
    np.testing.assert_array_equal(drawn["β · KL"].get_ydata(), [np.nan, np.nan, 100.0, 50.0])
    assert drawn["total"].get_linewidth() > 2 * drawn["β · KL"].get_linewidth()
    plain = [{"step": k, "train/total": w, "train/kl_weighted": 0.0} for k, w in enumerate([-1.0, -2.0])]
    np.testing.assert_array_equal(lines(monkeypatch, tmp_path / "plain.png", plain)["β · KL"].get_ydata(), [0.0, 0.0])


@pytest.mark.slow
def test_settings_stand_side_by_side(tmp_path: Path) -> None:
    runs = {"cyclical": log(), "none": [{k: v for k, v in row.items() if k != "train/beta"} for row in log()]}
    assert looks_like_a_picture(settings_figure(tmp_path / "runs.png", runs, "KL annealing"), 1000, 900)


def test_strip_holds_the_frames_asked_for(tmp_path: Path) -> None:
    truth, prediction = moving_square(), moving_square(shift=1)
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
        strip(tmp_path / "strip.png", {"a": moving_square(3), "b": moving_square(3, 16, 16)}, [1])


@pytest.mark.parametrize(("n", "kind"), [(1, "vector"), (3, "picture"), (2, "grey picture"), (12, "none")])
def test_contact_sheet(tmp_path: Path, n: int, kind: str) -> None:
    frames = moving_square(n)
    vectors = np.linspace(-1, 1, n * 7).reshape(n, 7)
    conditions = {"picture": frames, "grey picture": frames[..., :1], "vector": vectors, "none": None}[kind]
    path = contact_sheet(tmp_path / "sheet.png", frames, conditions, [str(k) for k in range(n)])
    assert looks_like_a_picture(path, 400, 150)


def test_contact_sheet_draws_all_numbers_on_one_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "save", lambda figure, path: figure)
    figure: Any = contact_sheet(tmp_path / "sheet.png", moving_square(2), np.tile(np.linspace(-9, 9, 20), (2, 1)))
    below = [axes for axes in figure.axes if axes.patches]
    assert [axes.get_ylim() for axes in below] == [(-3, 3)] * 2
    assert all(2 <= len(axes.get_xticks()) <= 8 for axes in below)
    assert "standard deviations" in figure.get_supxlabel()


def test_contact_sheet_refuses_unequal_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 frames"):
        contact_sheet(tmp_path / "sheet.png", moving_square(3), moving_square(2))


def test_files_of_episodes_have_names_of_their_own() -> None:
    names = ["x y", "x-y", "x.y", "x-y-1", "../z", "字" * 250, "w"]
    safe = run._file_names(names)
    assert safe == ["x-y", "x-y-1", "x-y-2", "x-y-1-3", "---z", "字" * 50, "w"]


@pytest.mark.parametrize("text", ["", "noise", "step,epoch\nx,y,z\n", "step\n" + 200_000 * "1"])
def test_metrics_that_are_none_are_told(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics.csv").write_text(text)
    run.training_figures(tmp_path)
    said = capsys.readouterr().err
    assert ("metrics.csv is damaged" in said and "the run itself is whole" in said) == ("\n" in text)
    assert not (tmp_path / "training.png").exists()
