"""The report: what it says of runs in any state, that nothing in a file can act, and that nothing leaves the page."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from runs import film, scored, trained

from framecast import cli, effects
from framecast.evaluate import Result, score
from framecast.report import contents, curves, folders, kept, paper
from framecast.report.page import page
from framecast.schedules import Progress, parse


@pytest.fixture
def run(tmp_path: Path) -> Path:
    scored(trained(tmp_path / "runs" / "one"))
    return tmp_path / "runs" / "one"


def shown(text: str) -> dict[str, Any]:
    """The data that a page draws."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


class Elements(HTMLParser):
    """All elements with their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] not in ("script", "style"):
            self.words += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


# --- the page ------------------------------------------------------------------------------------------------------


def test_a_page_shows_all_of_a_scored_run(run: Path) -> None:
    text = page(folders.find([run]), "A study")
    elements, data = Elements(text), shown(text)
    sections = [attributes["id"] for attributes in elements.of("section")]
    assert sections == ["scores", "films", "best-and-worst", "frames", "training", "latent", "made"]
    measured = json.loads((run / "evaluation-val" / "results.json").read_text())["table"]["pose_cvae"]
    assert f"{measured['psnr']:.2f}" in elements.words
    assert f"{measured['ssim']:.4f}" in elements.words
    assert "Over 3 sequences" in elements.words
    for words in ("abc1234", "cyclical:cycles=4", "--diagnose"):
        assert words in elements.words
    assert {f["tag"] for f in data["films"]} == {"best", "worst", ""}
    best = max(data["films"], key=lambda f: np.mean(f["psnr"]))
    assert best["tag"] == "best"
    assert set(data["sheets"]) == {f[key] for f in data["films"] for key in ("truth", "prediction")}
    assert data["training"][0]["total"][0] == [1, 1]
    assert len(bytes.fromhex(data["inferno"])) == 768


def test_a_page_asks_the_network_for_nothing_and_fits_a_phone(run: Path) -> None:
    text = page(folders.find([run]), "A study")
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)  # the name of SVG is no address
    elements = Elements(text)
    assert not [a for _, a in elements.found if {"src", "href", "style", "onclick", "onload"} & set(a)]
    metas = {a.get("name") or a.get("http-equiv"): a["content"] for a in elements.of("meta") if "content" in a}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    policy = metas["Content-Security-Policy"] or ""
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy and "*" not in policy
    assert len(re.findall(r"'sha256-[\w+/]{43}='", policy)) == 2


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def test_names_from_files_are_inert(tmp_path: Path) -> None:
    folder = trained(tmp_path / EVIL.replace("/", ""), rows=21, model=EVIL)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    aged(folder, 9999)  # so that the folder's name stands in a command
    with open(folder / "config.yaml", "a") as config:
        config.write(yaml.safe_dump({EVIL: EVIL, "tfr": EVIL, "made_with": {EVIL: EVIL}}))
    file = scored(folder)
    changed = json.loads(file.read_text())
    for each in (*changed["episodes"], *changed["films"]):
        each["name"] = EVIL
    changed["diagnosis"] = {EVIL: {"kl": [1.0], "active": 1, "words": [EVIL]}}
    file.write_text(json.dumps(changed))
    text = page(folders.find([folder]), EVIL)
    before, _, after = text.partition('<script type="application/json" id="data">')
    assert "<script" not in before and "<img" not in before
    assert "<" not in after.partition("</script>")[0]
    assert shown(text)["films"][0]["name"] == EVIL
    assert text.count("</script>") == 2


# --- runs in any state ---------------------------------------------------------------------------------------------


def aged(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / "metrics.csv", (then, then))


def test_a_run_without_evaluation_says_how_to_score_it(tmp_path: Path) -> None:
    found = folders.find([trained(tmp_path / "one")])
    assert found[0].state == ""
    assert "framecast evaluate" in found[0].notes[0] and "--data stores/x" in found[0].notes[0]
    text = page(found, "")
    assert 'id="training"' in text and 'id="films"' not in text and 'id="scores"' not in text


def test_a_run_that_died_or_goes_on_says_so_and_shows_what_is_there(tmp_path: Path) -> None:
    folder = trained(tmp_path / "one", rows=21)
    with open(folder / "metrics.csv", "a") as file:
        file.write("42,1.6")  # cut off in the middle of a row
    going = folders.find([folder])[0]
    assert "step 40, 40% of its training" in going.state and "still going" in going.state
    assert len(going.columns["step"]) == 21
    aged(folder, 3 * 3600)
    died = folders.find([folder])[0]
    assert "3 hours old" in died.state and "train it anew" in died.state
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    assert f"framecast train --resume {folder}" in folders.find([folder])[0].state
    text = page(folders.find([folder]), "")
    assert "interrupted, or died" in Elements(text).words
    (tmp_path / "one.log").write_text("step 40\nthe disk is full\n\n")
    assert "(its log ends: the disk is full)" in folders.find([folder])[0].state
    assert shown(text)["training"][0]["beta"][-1][0] == 100  # to come: drawn to the end that was asked for
    (folder / "cost.json").write_text(json.dumps({"state": "stopped", "step": 40}))
    assert "stopped by hand" in folders.find([folder])[0].state
    (folder / "nan").mkdir()
    (folder / "nan" / "step-41.pt").touch()
    assert "stopped at step 41, where the loss was not finite" in folders.find([folder])[0].state


def test_what_a_run_says_of_its_end_counts_more_than_its_last_row(tmp_path: Path) -> None:
    folder = trained(tmp_path / "one", rows=21)
    (folder / "cost.json").write_text(json.dumps({"state": "finished", "core_minutes": 2.5, "seconds": 75}))
    found = folders.find([folder])
    assert found[0].state == ""
    assert "2.5 core-minutes (1 min 15 s of training)" in Elements(page(found, "")).words


@pytest.mark.parametrize(
    ("changes", "done"),
    [({"steps": None, "minutes": 1.0}, 40 * 0.5 / 60), ({"steps": None, "epochs": 4.0}, 39 / 25 / 4), ({}, 0.4)],
)
def test_how_far_a_run_came_in_any_unit(changes: dict[str, Any], done: float, tmp_path: Path) -> None:
    found = folders.find([trained(tmp_path / "one", rows=21)])[0]
    found.config |= changes
    assert folders.share(found) == pytest.approx(done)


def test_results_of_an_older_schema_are_refused_in_words(run: Path) -> None:
    file = run / "evaluation-val" / "results.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in whole.items() if key not in ("films", "fps")}))
    found = folders.find([run])
    assert len(found[0].results) == 1 and "before framecast kept films" in found[0].notes[0]
    page(found, "")
    del whole["protocol"]
    file.write_text(json.dumps(whole))
    found = folders.find([run])
    assert not found[0].results and "Score the run again" in found[0].notes[0]
    assert "says by no protocol" in Elements(page(found, "")).words
    file.write_text("{")
    assert "damaged" in folders.find([run])[0].notes[0]


def test_numbers_that_are_none_do_not_stop_the_page(run: Path) -> None:
    (run / "diagnosis.json").write_text('{"kl": [NaN, 1.0], "active": 1, "words": ["a finding"]}')
    text = page(folders.find([run]), "")
    assert shown(text)["latents"][0]["kl"] == [None, 1.0]
    assert "a finding" in Elements(text).words


def test_a_folder_of_results_alone_is_shown_too(run: Path, tmp_path: Path) -> None:
    (run / "evaluation-val").rename(tmp_path / "result")
    found = folders.find([tmp_path / "result"])
    assert [row.label for row in contents.groups(found)[0].rows] == ["result: pose_cvae", "copy first frame"]
    assert len(shown(page(found, ""))["films"]) == 3


def test_damaged_settings_are_said(run: Path) -> None:
    (run / "config.yaml").write_text("a: [")
    found = folders.find([run])
    assert "damaged" in found[0].notes[0]
    page(found, "")


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        scored(trained(tmp_path / parent / "run"), shift=len(parent))
    found = folders.find([tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "a" / "run"])
    assert [each.label for each in found] == ["a/run", "b/run"]
    table = [row.label for row in contents.groups(found)[0].rows]
    assert table == ["a/run", "b/run", "copy first frame"]


def test_other_rules_have_a_table_of_their_own(tmp_path: Path) -> None:
    scored(trained(tmp_path / "one"))
    scored(trained(tmp_path / "two"), camera="left")
    text = page(folders.find([tmp_path]), "")
    assert len(Elements(text).of("table")) == 2
    assert "do not stand in one table" in text


@pytest.mark.parametrize(
    ("changes", "rows"), [({"beta": "1"}, ["one", "two"]), ({"beta": "1", "tfr": "0", "lr": 1}, None)]
)
def test_in_what_runs_differ(changes: dict[str, Any], rows: list[str] | None, tmp_path: Path) -> None:
    trained(tmp_path / "one")
    trained(tmp_path / "two", **changes)
    text = page(folders.find([tmp_path]), "").partition('class="settings"')[2].partition("</table>")[0]
    assert re.findall(r'<th scope="row">(.*?)</th>', text) == (rows or ["beta", "tfr", "lr"])
    assert "cyclical:cycles=4" in text and "stores/x" not in text


def test_a_study_shows_also_what_has_not_begun(tmp_path: Path) -> None:
    trained(tmp_path / "one")
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("{}")
    found = folders.find([tmp_path])
    assert [each.label for each in found] == ["one", "two"]
    assert "not begun" in found[1].state
    page(found, "")


@pytest.mark.parametrize(
    ("name", "words"), [("", "holds no run"), ("gone", "does not exist"), ("file", "is no folder")]
)
def test_what_is_no_run(name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["report", str(tmp_path / name), "--out", str(tmp_path / "r.html")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


# --- what is drawn -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["step", "epoch"])
@pytest.mark.parametrize("text", ["cyclical:cycles=4", "linear:from_epoch=1", "step:from_epoch=1", "0.3"])
def test_schedules_are_drawn_as_training_logged_them(text: str, unit: str, tmp_path: Path) -> None:
    folder = trained(tmp_path / "one", beta=text, epoch=25.0)
    found = folders.find([folder])[0]
    found.config["schedule_unit"] = unit
    if unit == "epoch":
        found.columns["epoch"] = [float(int(e)) for e in found.columns["epoch"]]
    clock, drawn = curves.Clock(found), parse(text)
    for step, logged in zip(found.columns["step"], found.columns["train/beta"], strict=True):
        now = Progress((step - 1) / 100, (step - 1) / 25, 4.0)
        expected = drawn(now.by_epoch()) if unit == "epoch" else logged
        assert drawn(clock.at(step - 1)) == pytest.approx(expected, abs=1e-6)
    points = np.array(curves.schedule(found, "beta"))
    assert points[0, 0] == 0 and points[-1, 0] == 100


def test_many_rows_are_thinned_and_keep_their_mean() -> None:
    values = np.arange(5000.0)
    points = np.array(curves.thin(values, values))
    assert len(points) == curves.POINTS
    assert np.allclose(points[:, 0], points[:, 1], atol=0.5)  # a step and its mean stay together
    assert points[0, 0] == values[:17].mean() and points[-1, 0] == values[-16:].mean()
    assert curves.thin(values[:3], values[:3]) == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 12, 24), (7, 24, 12), (30, 12, 12)])
def test_a_sheet_holds_every_frame_exactly(frames: int, height: int, width: int, tmp_path: Path) -> None:
    truth = np.random.default_rng(0).integers(0, 255, (frames, height, width, 1), dtype=np.uint8)
    result = Result(["a"], [truth], [None], [truth[:1]])
    result.scores["m"] = [score(truth, truth[::-1].copy())]
    (about,) = kept.keep(result, tmp_path)
    pixels = np.asarray(Image.open(tmp_path / about["prediction"]).convert("RGB"))
    back = kept.unfold(pixels, about["frames"], about["columns"], about["size"])
    assert np.array_equal(back, truth[::-1].repeat(3, axis=3))
    assert about["psnr"] == pytest.approx(result.scores["m"][0].psnr[0].tolist(), abs=1e-3)


def test_best_and_worst_are_kept_and_large_films_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = [film(4, n) for n in range(6)]
    result = Result([str(n) for n in range(6)], truth, [None] * 6, [t[:1] for t in truth])
    result.scores["m"] = [score(t, np.clip(t + np.uint8(9 - n), 0, 255)) for n, t in enumerate(truth)]
    worst, best = np.argsort([s.psnr.mean() for s in result.scores["m"]])[[0, -1]]
    monkeypatch.setattr(kept, "PIXELS", 3 * 12 * 24)
    films = kept.keep(result, tmp_path, films=1)
    assert {f["episode"] for f in films} == {0, int(worst), int(best)}
    assert {f["frames"] for f in films} == {3}
    kept.keep(result, tmp_path, films=1)  # again, over the first
    assert len(list((tmp_path / "films").iterdir())) == 2 * len(films)


def bytes_of(films: contents.Shown) -> int:
    return sum(len(base64.b64decode(sheet.partition(",")[2])) for sheet in films.sheets.values())


def test_films_stay_below_the_budget_and_what_is_left_out_is_said(run: Path) -> None:
    groups = contents.groups(folders.find([run]))
    exact = contents.films(groups)
    assert len(exact.films) == 3 and not exact.words
    packed = contents.films(groups, budget=bytes_of(exact) - 1)
    assert len(packed.films) == 3 and "compressed" in packed.words[0]
    few = contents.films(groups, budget=bytes_of(packed) // 3)
    assert 0 < len(few.films) < 3 and all(f["tag"] for f in few.films)
    assert "are left out" in few.words[-1]
    for file in (run / "evaluation-val" / "films").glob("000-*"):
        file.unlink()
    assert "files are gone" in contents.films(groups).words[0]


# --- the command ---------------------------------------------------------------------------------------------------


def test_what_a_study_says_stands_on_its_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = np.zeros(0)
    settings = [effects.Cell({"annealing": name}, np.array(psnr), empty, empty) for name, psnr in (
        ("none<b>", (20.0, 21.0, 22.0)), ("cyclical", (19.0, 20.0, 20.8)),
    )]  # fmt: skip
    effects.write(run.parent / "study.json", settings, effects.effects(settings), {})
    assert cli.main(["report", str(run.parent), "--markdown", str(run.parent / "all.md")]) == 0
    elements = Elements((run.parent / "report.html").read_text())
    assert not elements.of("b")
    for words in (elements.words, (run.parent / "all.md").read_text()):
        assert "3 seeds of each setting" in words
        assert re.search(r"21.00\s*\(18.52 to 23.48\)", words)
        assert re.search(r"[-\N{MINUS SIGN}]1.07\s*\([-\N{MINUS SIGN}]1.35 to [-\N{MINUS SIGN}]0.78\)", words)
    (run.parent / "study.json").write_text("{")
    assert cli.main(["report", str(run.parent)]) == 1
    assert "study.json is damaged" in capsys.readouterr().err


def test_the_command_writes_page_and_markdown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run.parent
    assert cli.main(["report", str(out), "--markdown", str(out / "r.md")]) == 0
    assert f"{out / 'report.html'}: 1 run," in capsys.readouterr().out
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    text = (out / "r.md").read_text()
    assert "| one |" in text and "| copy first frame |" in text
    pictures = re.findall(r"!\[.*?\]\(<(.*?)>\)", text)
    assert len(pictures) == 4 and all((out / name).is_file() for name in pictures)


def test_pdf_without_a_browser_says_how_to_get_one(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paper.shutil, "which", lambda name: None)
    assert cli.main(["report", str(run), "--pdf", "x.pdf"]) == 1
    assert "apt-get install chromium" in capsys.readouterr().err
    assert not (run / "report.html").exists()
