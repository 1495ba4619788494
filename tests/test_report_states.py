"""What the report says of runs in any state: not scored, died, going on, damaged, of one name, not yet begun."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import WriteStore
from elements import Elements, shown
from runs import aged, film, scored, trained

from framecast import cli
from framecast.report import contents, folders
from framecast.report.page import page
from framecast.values import Episode, Spec


@pytest.fixture
def run(tmp_path: Path) -> Path:
    scored(trained(tmp_path / "runs" / "one"))
    return tmp_path / "runs" / "one"


def test_a_run_without_evaluation_says_how_to_score_it(tmp_path: Path) -> None:
    found = folders.find([trained(tmp_path / "one")])
    assert found[0].state == ""
    assert "framecast evaluate" in found[0].notes[0] and "--data stores/x" in found[0].notes[0]
    text = page(found, "")
    assert 'id="training"' in text and 'id="films"' not in text and 'id="scores"' not in text


def test_it_is_scored_on_a_split_that_its_store_has(tmp_path: Path, write_store: WriteStore) -> None:
    write_store(tmp_path / "store", Spec(12, 24), {"train": [Episode("0", film(2, 0), None)]})
    run = trained(tmp_path / "one", data=str(tmp_path / "store"))
    assert folders.find([run])[0].notes[0].endswith("--split train")


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
        (tmp_path / f"{name}.yaml").write_text("data: stores/x")
    (tmp_path / "study.yaml").write_text("data: stores/x\nvary: {}")
    (tmp_path / "notes.yaml").write_text("a: [")
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
