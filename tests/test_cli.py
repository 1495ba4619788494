"""The command line as people meet it: help, kind errors, and the README's commands at a small size."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import status_of
from PIL import Image

from framecast import cli, models
from framecast.report.film import read_film

ROOT = Path(__file__).parent.parent


def test_help_is_quick_to_import_and_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    for file in (ROOT / "framecast" / "commands").glob("[a-z]*.py"):
        assert f"  {file.stem} " in said


@pytest.mark.parametrize("name", [p.stem for p in (ROOT / "framecast" / "commands").glob("[a-z]*.py")])
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"framecast {name}" in said
    assert "example" in said


def test_training_ends_with_what_was_learned(place: Path) -> None:
    found = json.loads((place / "run-robots" / "diagnosis.json").read_text())
    assert {"psnr", "shuffled", "zero", "posterior", "kl", "active", "sigma", "implied", "alone", "of", "words"} == set(
        found
    )
    assert found["of"] == "1 val episode, 3 frames"
    assert any("with the same ones backwards (there is one episode)" in line for line in found["words"])


@pytest.mark.slow
def test_a_run_by_minutes_says_when_it_has_hardly_begun(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--data", str(place / "robots"), "--out", str(tmp_path / "x"), "--minutes", "0.0001"]
    command += ["--anchor.widths", "[8,8,16]", "--anchor.blocks", "[1,1,1]", "--clip_length", "4", "--validations", "1"]
    assert cli.main(command) == 0
    assert "Only 1 step fitted into 0.0001 minutes" in capsys.readouterr().err


def test_numbers_in_a_config_file_need_no_quotes(place: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("beta: 0.5\nprecision: 32\nsteps: 1\nclip_length: 4\nvalidations: 0\n")
    command = ["train", "--data", str(place / "dances"), "--out", str(tmp_path / "x"), "--val_frames", "2"]
    assert cli.main([*command, "--config", str(tmp_path / "mine.yaml")]) == 0
    kept = yaml.safe_load((tmp_path / "x" / "config.yaml").read_text())
    assert (kept["beta"], kept["precision"]) == ("0.5", "32")


@pytest.mark.parametrize("name", [p.stem for p in (ROOT / "framecast" / "recipes").glob("*.yaml")])
def test_every_recipe_holds_settings_that_are_there(name: str) -> None:
    import argparse

    from framecast.commands import train

    early = dict.fromkeys(("model", "config", "minutes", "steps", "epochs"))
    parser = train._parser(argparse.Namespace(**early, recipe=name))
    values = train.load_recipe(name)
    assert values["model"] in models.available()
    assert (ROOT / "framecast" / "recipes" / f"{name}.yaml").read_text().startswith("# ")
    defaults = parser.get_defaults()
    assert all(defaults[key] == value for key, value in values.items() if not isinstance(value, dict))


def test_a_duration_said_replaces_the_recipes() -> None:
    import argparse

    from framecast.commands import train

    early = dict.fromkeys(("model", "config", "minutes", "steps", "epochs")) | {"steps": "5", "recipe": "pusht-latent"}
    parser = train._parser(argparse.Namespace(**early))
    assert parser.get_defaults()["minutes"] is None


@pytest.mark.slow
def test_a_config_of_a_run_repeats_it_and_the_command_line_overrides(place: Path, tmp_path: Path) -> None:
    config = str(place / "run-dances" / "config.yaml")
    assert cli.main(["train", "--config", config, "--out", str(tmp_path / "again"), "--steps", "2"]) == 0
    first, again = (yaml.safe_load(Path(p).read_text()) for p in (config, tmp_path / "again" / "config.yaml"))
    assert again.pop("steps") == 2
    assert first.pop("steps") == 3
    for changed in ("out", "made_with"):
        first.pop(changed, None), again.pop(changed, None)
    assert first == again


def test_evaluate_writes_numbers_figures_and_films(place: Path, tmp_path: Path) -> None:
    for store in ("dances", "robots"):
        out = tmp_path / store
        assert cli.main(["evaluate", str(place / f"run-{store}"), "--data", str(place / store), "--out", str(out)]) == 0
        found = json.loads((out / "results.json").read_text())
        assert set(found["table"]) == {"anchor", "copy first frame"}
        scored = found["episodes"][0]["scores"]["anchor"]["psnr"]
        assert len(scored) == found["episodes"][0]["frames"]
        assert np.isclose(
            np.mean([np.mean(e["scores"]["anchor"]["psnr"]) for e in found["episodes"]]),
            found["table"]["anchor"]["psnr"],
        )
        assert {film["who"] for film in found["films"]} == {"anchor"}
        assert all((out / film[key]).is_file() for film in found["films"] for key in ("truth", "prediction"))
        assert len(list(out.glob("*.gif"))) == 1
        assert len(list(out.glob("*.png"))) == 2


def test_predict_from_a_store_and_from_folders_draws_the_same(place: Path, tmp_path: Path) -> None:
    from framecast.store import Store

    run, store = str(place / "run-dances"), Store(place / "dances")
    episode = store.episode("test", 0)
    assert episode.condition is not None
    Image.fromarray(np.asarray(episode.frames[0])).save(tmp_path / "first.png")
    (tmp_path / "poses").mkdir()
    for t in range(12):
        Image.fromarray(np.asarray(episode.condition[t])).save(tmp_path / "poses" / f"frame{t}.png")
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    assert (
        cli.main(["predict", run, "--data", str(store.root), "--horizon", "11", "--samples", "2", "--out", str(one)])
        == 0
    )
    own = ["--frames", str(tmp_path / "first.png"), "--conditions", str(tmp_path / "poses")]
    assert cli.main(["predict", run, *own, "--samples", "2", "--out", str(two)]) == 0
    a, b = np.load(one)["frames"], np.load(two)["frames"]
    assert a.shape == (2, 11, 16, 32, 3)
    assert np.array_equal(a, b)


def test_samples_are_the_same_in_films_of_their_own_and_in_one_array(place: Path, tmp_path: Path) -> None:
    command = ["predict", str(place / "run-dances"), "--data", str(place / "dances"), "--split", "val"]
    command += ["--samples", "2"]
    assert cli.main([*command, "--out", str(tmp_path / "all.npz")]) == 0
    assert cli.main([*command, "--out", str(tmp_path / "one")]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.npz", "one-0", "one-1"]
    both = read_film(tmp_path / "all.npz")
    for k in range(2):
        assert np.array_equal(read_film(tmp_path / f"one-{k}"), both[k])


@pytest.mark.parametrize("suffix", [".gif", ".mp4", ".webp", ""])
def test_predict_writes_every_form(place: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"film{suffix}"
    command = [
        "predict",
        str(place / "run-dances"),
        "--data",
        str(place / "dances"),
        "--horizon",
        "5",
        "--out",
        str(out),
    ]
    assert cli.main(command) == 0
    assert len(read_film(out)) == 5


def commands_of(page: str) -> list[str]:
    """Every `framecast ...` and `python ...` line of the page's console blocks."""
    blocks = re.findall(r"```(?:console|bash|sh)\n(.*?)```", page, re.S)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("framecast ", "python "))]


SMALLER = [
    (r"^framecast demo( --compare)?", r"framecast demo\1 --minutes 0.02 --frames 60 --horizon 12 --size 16x32"),
    (r"--train \d+", "--train 60 --val 30 --size 16x32"),
    (r"pack dance (\S+)", r"pack dance \1 --size 16x32"),
    (r"--episodes \d+", "--episodes 10 --steps 16 --workers 1"),
    (r"--horizon 28 \S+ 10 --steps 16 --workers 1", "--horizon 8"),
    (r"--samples 20", "--samples 3"),
    (r"--minutes [\d.]+", "--minutes 0.02"),
    (r"study --recipe annealing", "study small.yaml"),
    (r" --pdf \S+", ""),  # tested where there is a browser
    (r"--recipe (\S+)", r"--recipe \1 --minutes 0.02 --val-frames 8"),
    (r"--fast_train", "--fast_train --num_epoch 1 --fast_train_epoch 1 --frame_H 16 --frame_W 32 --F_dim 16 --L_dim 8"
     " --N_dim 4 --D_out_dim 16 --device cpu --val_vi_len 8"),
    (r"Tester.py", "Tester.py --frame_H 16 --frame_W 32 --F_dim 16 --L_dim 8 --N_dim 4 --D_out_dim 16 --device cpu"),
    (r"^(framecast score .*)", r"\1 --size 16x32"),
    (r"^python (Trainer|Tester)\.py", rf"{sys.executable} {ROOT}/\1.py"),
    (r"^framecast ", f"{sys.executable} -m framecast.cli "),
]  # fmt: skip


def run_small(commands: list[str], folder: Path) -> None:
    for command in commands:
        small = command
        for pattern, replacement in SMALLER:
            small = re.sub(pattern, replacement, small)
        done = subprocess.run(small.split(), cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{small}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_commands_of_robot_pushing(tmp_path: Path) -> None:
    """From nothing to the page's result."""
    pytest.importorskip("gym_pusht")
    page = (ROOT / "docs" / "pushing.md").read_text()
    commands = commands_of(page[page.index("## From nothing") : page.index("### What if?")])
    assert len(commands) == 7
    run_small(commands, tmp_path)
    assert list((tmp_path / "runs/latent/evaluation-test").glob("strip-*.png"))


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "data" / "robot").mkdir(parents=True)
    random = np.random.default_rng(0)
    for k in range(4):
        film = {"image": random.integers(0, 255, (30, 16, 16, 3), np.uint8), "action": random.normal(size=(30, 4))}
        np.savez(tmp_path / "data" / "robot" / f"{k}.npz", **film)
    shipped = yaml.safe_load((ROOT / "framecast/recipes/studies/annealing.yaml").read_text())
    shipped["data"] |= {"train": 60, "val": 12}
    shipped["base"] |= {"steps": 2}
    shipped["vary"] = {key: shipped["vary"][key] for key in ("annealing",)}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(shipped))
    commands = commands_of((ROOT / "README.md").read_text())
    assert len(commands) >= 8
    if importlib.util.find_spec("gym_pusht") is None:  # an extra
        commands = [command for command in commands if "pusht" not in command]
    run_small(commands, tmp_path)
