"""The report reads what Trainer.py leaves."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from elements import shown

from framecast.lab import record
from framecast.report import contents, curves, folders
from framecast.report.page import page

pytestmark = pytest.mark.slow  # a training by Trainer.py stands before all of them


def test_a_report_reads_a_run_of_the_course(trained: Path) -> None:
    (run,) = folders.find([trained])
    assert (run.state, run.notes, run.config["model"]) == ("", [], "pose_cvae")
    (group,) = contents.groups([run])
    assert [row.label for row in group.rows] == ["out", "copy first frame"]
    assert len(group.rows[0].curve()) == 11
    steps = run.columns["step"]
    for name in curves.SCHEDULES:
        at = dict(curves.schedule(run, name))
        logged = {k: v for k, v in zip(steps, run.columns[f"train/{name}"], strict=True) if v == v}
        where = np.array(sorted(at))
        for step, value in logged.items():  # of the short first epoch, and of the others
            assert at[where[where <= step - 1].max()] == pytest.approx(value, rel=1e-4), (name, step)
    text = page(folders.find([trained]), "")
    assert "drawn by the schedules themselves" in text and "<dt>commit</dt>" in text
    assert shown(text)["films"] and "copying scores" in text


def test_runs_of_the_course_stand_side_by_side(trained: Path, tmp_path: Path) -> None:
    for kind in ("None", "Monotonic"):
        shutil.copytree(trained, tmp_path / kind, ignore=shutil.ignore_patterns("store", "checkpoints", "*.ckpt"))
        settings = record.read(trained) | {"kl_anneal_type": kind, "save_root": kind}
        (tmp_path / kind / "lab.yaml").write_text(yaml.safe_dump(settings))
    runs = folders.find([tmp_path])
    assert [row.label for row in contents.groups(runs)[0].rows] == ["Monotonic", "None", "copy first frame"]
    settings = page(runs, "").partition('class="settings"')[2].partition("</table>")[0]
    assert re.findall(r'<th scope="row">(.*?)</th>', settings) == ["Monotonic", "None"]  # one column: the flag
    assert "kl_anneal_type" in settings


def test_a_stopped_run_of_the_course_says_how_it_goes_on(trained: Path, tmp_path: Path) -> None:
    rows = (trained / "metrics.csv").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.csv").write_text("".join(rows[:3]))
    (tmp_path / "cost.json").write_text('{"state": "stopped", "step": 2}')
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    had = record.read(trained)
    changed = had | {"earlier": [{"until_step": 1, "lr": 0.5}]}
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(changed))
    (run,) = folders.find([tmp_path])
    assert "20% of its training" in run.state and run.state.endswith(f"To go on: {had['go_on']}")
    assert "Until step 1 it had --lr 0.5" in run.notes[0] and "--data STORE" in run.notes[1]
    (tmp_path / "store").mkdir()
    assert f"--data {tmp_path / 'store'} --split val" in folders.find([tmp_path])[0].notes[1]
    without = {key: value for key, value in had.items() if key not in ("framecast", "go_on")}  # of an earlier framecast
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(without))
    assert "drawn by the schedules" not in page(folders.find([tmp_path]), "")
    (tmp_path / "lab.yaml").write_text("a: [")
    assert "lab.yaml is damaged" in folders.find([tmp_path])[0].notes[0]
