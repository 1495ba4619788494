"""The report's page: nothing in a file can act, nothing leaves the page, and what is drawn."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from elements import Elements, shown
from PIL import Image
from runs import aged, film, scored, trained

from framecast import cli, effects
from framecast.evaluate import Result, score
from framecast.report import contents, curves, folders, kept, paper
from framecast.report.page import page
from framecast.schedules import Progress, parse


@pytest.fixture
def run(tmp_path: Path) -> Path:
    scored(trained(tmp_path / "runs" / "one"))
    return tmp_path / "runs" / "one"


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
    result = Result(["a"], [truth], [None], [truth[:1]], [0])
    result.scores["m"] = [score(truth, truth[::-1].copy())]
    (about,) = kept.keep(result, tmp_path)
    pixels = np.asarray(Image.open(tmp_path / about["prediction"]).convert("RGB"))
    back = kept.unfold(pixels, about["frames"], about["columns"], about["size"])
    assert np.array_equal(back, truth[::-1].repeat(3, axis=3))
    assert about["psnr"] == pytest.approx(result.scores["m"][0].psnr[0].tolist(), abs=1e-3)


def test_best_and_worst_are_kept_and_large_films_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = [film(4, n) for n in range(6)]
    result = Result([str(n) for n in range(6)], truth, [None] * 6, [t[:1] for t in truth], list(range(6)))
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


def test_a_page_takes_in_no_file_but_the_films_of_its_evaluation(run: Path) -> None:
    secrets = [run / "secret.txt", run / "evaluation-val" / "films" / "secret.txt", run.parent / "secret.png"]
    for secret in secrets:
        secret.write_text("my password")
    file = run / "evaluation-val" / "results.json"
    changed = json.loads(file.read_text())
    for about, named in zip(changed["films"], ("../secret.txt", "films/secret.txt", secrets[2]), strict=True):
        about["truth"] = str(named)
    file.write_text(json.dumps(changed))
    found = contents.films(contents.groups(folders.find([run])))
    assert not found.films and not found.sheets
    assert "3 films are left out" in found.words[0]


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
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
