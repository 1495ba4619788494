"""A grid of runs: planned, checked, carried out, taken up again."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from framecast import cli, effects, study
from framecast.atomic import held
from framecast.commands import study as command
from framecast.commands import train as command_train
from framecast.store import Store
from framecast.values import Condition, Spec

BASE = {
    "model": "anchor",
    "steps": 2,
    "clip_length": 4,
    "validations": 0,
    "anchor": {"widths": [8, 8, 8], "blocks": [1, 1, 1]},
}


def grid(data: str = "x", **changes: Any) -> dict[str, Any]:
    vary = {
        "annealing": {"none": {"beta": "1"}, "ramp": {"beta": "monotonic"}},
        "seed": {0: {"seed": 0}, 1: {"seed": 1}},
    }
    return {"data": data, "split": "val", "base": BASE, "vary": vary, **changes}


def test_every_combination_is_planned(tmp_path: Path) -> None:
    runs = study.plan(grid(), tmp_path)
    assert [run.name for run in runs] == ["none-0", "none-1", "ramp-0", "ramp-1"]
    assert runs[2].settings == {**BASE, "beta": "monotonic", "seed": 0, "data": "x"}
    assert runs[2].labels == {"annealing": "ramp", "seed": "0"}
    assert [run.name for run in study.plan(grid(vary={}), tmp_path)] == ["run"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bass": {}}, "no 'bass'; it has: data"),
        ({"vary": {"annealing": {"none": 1}}}, "vary, annealing: write each label with its options"),
        ({"vary": {"a": {"x y": {}, "x_y": {}}}}, r"one name \(x_y\)"),
        ({"vary": {"a": {"x": {"data": "y"}}}}, "share its data and folder: take 'data' out"),
        ({"base": {**BASE, "out": "y"}}, "take 'out' out of base and vary"),
    ],
)
def test_what_is_no_study(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        study.plan(grid(**changes), tmp_path)


def test_a_run_begun_with_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    runs = study.plan(grid(), tmp_path)
    study.prepare(runs)
    runs[0].out.mkdir()
    study.prepare(runs)
    with pytest.raises(ValueError, match="none-0 was begun with other settings"):
        study.prepare(study.plan(grid(base={**BASE, "steps": 3}), tmp_path))


def test_recordings_packed_otherwise_are_not_taken(dances: Store) -> None:
    command._pack({"source": "dancer", "train": 40, "size": "16x32"}, dances.root)
    with pytest.raises(ValueError, match="packed with another train. Give another --out"):
        command._pack({"source": "dancer", "train": 41}, dances.root)
    with pytest.raises(ValueError, match="packed with another source"):
        command._pack({"source": "npz"}, dances.root)


class TestCarryingOut:
    """With a stand-in for the child processes: what is done, what again, and what after a failure."""

    @pytest.fixture
    def said(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        said: list[tuple[str, ...]] = []

        def command(run: study.Planned, threads: int, running: set[Any], *arguments: str) -> int:
            said.append((run.name, *arguments[:2]))
            if run.name == "none-1":
                run.log.write_text("working\nthe disk is full\n\n")
                return 1
            if arguments[0] == "evaluate":
                run.results("val").parent.mkdir(parents=True)
                run.results("val").write_text("{}")
            return 0

        monkeypatch.setattr(study, "_command", command)
        return said

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_failed_run_does_not_stop_the_others(self, said: Any, tmp_path: Path, workers: int) -> None:
        runs, counts, words = study.plan(grid(), tmp_path), list[tuple[int, int]](), list[str]()
        failed = study.carry_out(runs, "val", workers, lambda *n: counts.append(n), words.append)
        assert [run.name for run in failed] == ["none-1"]
        assert counts == [(n, 4) for n in range(5)]
        assert words == [f"none-1 failed: the disk is full (all of it: {tmp_path / 'none-1.log'})"]
        assert len(said) == 7

    def test_finished_runs_are_not_repeated(self, said: list[tuple[str, ...]], tmp_path: Path) -> None:
        runs = study.plan(grid(), tmp_path)
        study.carry_out(runs, "val")
        said.clear()
        study.carry_out(runs, "val")
        assert [name for name, *_ in said] == ["none-1"]

    def test_interrupted_training_is_resumed_and_ended_training_scored(
        self, said: list[tuple[str, ...]], tmp_path: Path
    ) -> None:
        runs = study.plan(grid(), tmp_path)
        (runs[0].out / "checkpoints").mkdir(parents=True)
        (runs[0].out / "checkpoints" / "last.ckpt").touch()
        (runs[2].out / "samples").mkdir(parents=True)  # broken off before its first checkpoint
        runs[3].trained.touch()
        runs[3].out.mkdir()
        runs[1].trained.touch()  # and its folder was removed since
        study.carry_out(runs, "val")
        assert ("none-0", "train", "--resume") in said
        assert ("ramp-0", "train", "--config") in said
        assert not (runs[2].out / "samples").exists()
        assert [what for name, what, _ in said if name == "ramp-1"] == ["evaluate"]
        assert ("none-1", "train", "--config") in said

    def test_what_another_study_still_trains_is_left_to_it(self, said: list[tuple[str, ...]], tmp_path: Path) -> None:
        runs, words = study.plan(grid(), tmp_path), list[str]()
        (runs[0].out / "samples").mkdir(parents=True)
        with held(runs[0].out):
            failed = study.carry_out(runs, "val", tell=words.append)
        assert [run.name for run in failed] == ["none-0", "none-1"]
        assert f"Another process is at work in {runs[0].out}." in words[0]
        assert (runs[0].out / "samples").is_dir()
        assert "none-0" not in {name for name, *_ in said}


def test_the_last_words_of_a_process(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert study.last_line(log) == ""
    log.write_bytes(b"step 1\nfailed: \xff is no letter\n\n")
    assert study.last_line(log) == "failed: \ufffd is no letter"


def test_a_study_that_is_stopped_stops_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told once, and a study ends only when they have."""
    runs = study.plan(grid(), tmp_path)
    script = "import signal, time; signal.signal(15, lambda *_: (print('saved'), exit(3))); print('on', flush=True)"
    stand_in = tmp_path / "stand-in"
    stand_in.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c \"{script}; time.sleep(60)\"\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))

    def stop() -> None:
        while not all(run.log.is_file() and run.log.read_text() for run in runs[:2]):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        study.carry_out(runs, "val", 2)
    assert [run.log.read_text() for run in runs[:2]] == ["on\nsaved\n"] * 2
    assert not runs[2].log.exists()


def cell(likelihood: str, annealing: str, *psnr: float) -> effects.Cell:
    empty = np.zeros(0)
    return effects.Cell({"likelihood": likelihood, "annealing": annealing}, np.array(psnr), empty, empty)


def test_effects_are_taken_seed_by_seed_all_else_equal() -> None:
    """Seeds differ by 10 dB, which a paired difference does not see; two cells of four lack a partner in one place."""
    found = [
        cell("mse", "none", 10.0, 20.0, 30.0),
        cell("mse", "ramp", 11.0, 21.5, 30.5),
        cell("calibrated", "none", 15.0, 25.0, 35.0),
        cell("calibrated", "ramp", 15.0, 24.5, 34.5),
        cell("calibrated", "cycles", 18.0, 28.0, 38.0),
    ]
    told = {(e.factor, e.new, *e.within.values()): e for e in effects.effects(found)}
    assert set(told) == {
        ("likelihood", "calibrated"), ("likelihood", "calibrated", "none"), ("likelihood", "calibrated", "ramp"),
        ("annealing", "ramp"), ("annealing", "ramp", "mse"), ("annealing", "ramp", "calibrated"),
        ("annealing", "cycles"), ("annealing", "cycles", "calibrated"),
    }  # fmt: skip
    ramp = told["annealing", "ramp", "mse"]
    assert ramp.mean == pytest.approx(1.0)
    half = 4.302653 * np.std([1.0, 1.5, 0.5], ddof=1) / 3**0.5
    assert (ramp.low, ramp.high) == pytest.approx((1 - half, 1 + half))
    assert told["annealing", "ramp"].mean == pytest.approx((1 - 1 / 3) / 2)
    assert told["annealing", "cycles"] == replace(told["annealing", "cycles", "calibrated"], within={})
    assert told["annealing", "cycles"].low == pytest.approx(3.0)
    assert effects.effects([cell("mse", "none", 10.0), cell("mse", "ramp", 11.0)]) == []


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ({"model": "pose_cvae", "pose_cvae": {"N_dim": 2}}, "run: .*N_dim"),
        ({"model": "svg"}, "run: The model svg takes conditions of kind none, vector; this data has picture"),
        (
            {"model": "anchor", "anchor": {"widths": [-5, 8, 8]}},
            "run: --anchor.widths is a list of numbers of 1 or more",
        ),
        ({"model": "anchor", "beta": "-1"}, "run: --beta is 0 or more"),
    ],
)
def test_what_no_run_can_be_made_of_is_told_before_the_first(tmp_path: Path, base: dict[str, Any], words: str) -> None:
    (planned,) = study.plan({"data": "x", "base": {"steps": 1, **base}}, tmp_path)
    study.prepare([planned])
    with pytest.raises(ValueError, match=words):
        command._check(planned, Spec(16, 16, 3, Condition("picture", 3)))


@pytest.mark.slow
def test_the_shipped_studies_can_be_planned(tmp_path: Path) -> None:
    for file in command.RECIPES.glob("*.yaml"):
        asked = {**command_train.read_config(file), "data": "x"}
        runs = study.plan(asked, tmp_path)
        study.prepare(runs)
        for planned in runs:
            command._check(planned, Spec(16, 32, 3, Condition("picture", 3)))
        assert file.read_text().startswith("# ")


def test_either_a_file_or_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    for asked, words in (
        (["x.yaml", "--recipe", "annealing"], "give a file, or one of --recipe annealing"),
        ([], "give a file, or one of --recipe annealing"),
        (["--recipe", "annaeling"], "there is no study 'annaeling'; there are: annealing"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["study", *asked, "--out", "x"])
        assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_study_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two real runs in real processes, on recordings that the study packs; then a wrong option, which begins none."""
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
    asked = grid()
    asked["data"] = {"source": "dancer", "train": 20, "val": 6, "test": 1, "size": "16x32"}
    asked["vary"] = {"seed": asked["vary"]["seed"]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(asked))
    assert cli.main(["study", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out"), "--workers", "2"]) == 0
    said = capsys.readouterr().out
    assert "2 runs: 0, 1" in said
    assert said.count("anchor (") == 2
    assert said.count("copy first frame") == 1
    kept = json.loads((tmp_path / "out" / "study.json").read_text())
    assert [len(c["psnr"]) for c in kept["cells"]] == [2]
    assert [len(c["active"]) for c in kept["cells"]] == [2]
    asked["base"] = {**BASE, "bata": 1}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(asked))
    assert cli.main(["study", str(tmp_path / "wrong.yaml"), "--out", str(tmp_path / "wrong")]) == 1
    assert "no setting 'bata'" in capsys.readouterr().err
    assert not list((tmp_path / "wrong").glob("*.log"))


def test_runs_of_other_given_frames_are_refused_before_one_is_trained(dances: Store, tmp_path: Path) -> None:
    vary = {"context": {"one": {"context": 1}, "two": {"context": 2}}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(grid(data=str(dances.root), vary=vary)))
    with pytest.raises(ValueError, match="The runs have --context 1 and 2"):
        command.study(tmp_path / "study.yaml", tmp_path / "out", 1)
