"""Bad input at the command line: one clear error, and nothing is left or lost."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from conftest import status_of

from framecast import checkpoint, cli, packing

FAULTS = {
    "trian": (2, "Did you mean 'train'?"),
    "pack dancr --out x": (2, "Did you mean 'dancer'?"),
    "pack npz nowhere --out x": (1, "nowhere does not exist"),
    "pack dancer --out {dances}": (1, "exists already"),
    "pack dancer --trian 3 --out x": (2, "Did you mean '--train'?"),
    "info nowhere": (1, "nowhere does not exist"),
    "train --data {dances} --out x --stepz 3": (2, "Did you mean '--steps'?"),
    "train --data {dances} --out x --step 3": (2, "there is no option --step. Did you mean '--steps'?"),
    "train --data {dances} --out x --steps three": (2, "--steps takes a whole number"),
    "train --data {dances} --out x --steps 3 --optim Adm": (2, "Did you mean 'Adam'?"),
    "train --data {dances} --out x --steps 3 --model anchr": (1, "Did you mean 'anchor'?"),
    "train --data {dances} --out x --recipe dancer-ancor --steps 3": (1, "Did you mean 'dancer-anchor'?"),
    "train --data {dances} --out x": (1, "one of --minutes, --steps or --epochs"),
    "train --data {dances} --out x --steps 3 --clip-length 99": (1, "Clips of 99 frames do not fit"),
    "train --data {dances} --out {run} --steps 3": (1, "framecast train --resume"),
    "train --data {dances} --out x --steps 3 --model copy": (1, "nothing to learn"),
    "train --resume nowhere": (1, "is no run folder"),
    "train --resume": (1, "framecast train --resume runs/dancer"),
    "info {dances} --out sheet.txt": (2, "--out is a picture (.png"),
    "train --resume {run} --steps 3": (1, "drop --steps"),
    "train --data {dances} --out x --steps 3 --config nowhere.yaml": (1, "nowhere.yaml"),
    "evaluate {run} --data {robots}": (1, "was trained with the condition picture"),
    "evaluate {run} --data {dances} --split tset": (1, "no 'tset' episodes"),
    "evaluate {dances} --data {dances}": (1, "holds no checkpoints"),
    "evaluate {run} --data {dances} --context 99": (1, "no frame after the first 99"),
    "evaluate {run} --data {dances} --horizon 0": (2, "--horizon must be 1 or more"),
    "drift {run} --data {dances} --seed -1": (2, "--seed must be 0 or more"),
    "demo --out x --horizon 1000": (2, "--horizon is 1 to 629"),
    "demo --out x --size 8x8": (2, "--size 8x8: sides of 11 pixels or more"),
    "demo --out x --minutes 0": (2, "--minutes must be above 0"),
    "predict {run} --frames a.png --episode 7 --out f.gif": (2, "--episode is of a store"),
    "report {run} --out {run}": (2, "--out is a file such as report.html"),
    "evaluate {run} --data {dances} --out {dances}/index.json/x": (
        1,
        "index.json is a file, and a folder is to be made",
    ),
    "score a.csv --truth t.csv --out a.csv": (2, "--out a.csv would replace a.csv, which is read"),
    "score --board hands --truth t.csv --out t.html": (2, "--out t.html would replace t.csv, which is read"),
    "predict {run} --data {dances} --out film.gfi": (1, "Did you mean film.gif?"),
    "predict {run} --data {dances} --split val --episode 7 --out f.gif": (1, "episodes 0 to 0"),
    "predict {run} --data {dances} --split val --horizon 99 --out f.gif": (1, "need 100 conditions"),
    "predict {run} --data {robots} --split val --out f.gif": (1, "picture of 3 channels"),
    "predict {run} --data {dances} --split val --samples 0 --out f.gif": (1, "samples is a whole number of 1 or more"),
    "predict {run} --out f.gif": (2, "give --data STORE, or --frames"),
    "predict {run} --data {dances} --frames mine --out f.gif": (2, "give one or the other"),
    "predict {run} --data {dances} --split val --context 0 --out f.gif": (1, "--context 0"),
    "predict {run} --data {dances} --split val --seed -1 --out f.gif": (1, "seed is a whole number of 0 or more"),
    "predict {run} --data {dances} --split val --out {dances}": (1, "is a folder that exists already"),
    "evaluate {run} --data {dances} --out {run}": (1, "exists already"),
    "evaluate {run} --data {dances} --seed -1": (2, "--seed must be 0 or more"),
    "pack dancer --out x --workers 0": (2, "--workers must be 1 or more"),
    "synth dancer x --train 0 --val 0 --test 0": (1, "Nothing to draw"),
    "train --data {dances} --out x --steps 3 --svg.z 0 --model svg": (1, "--svg.z is 1 or more"),
}


@pytest.mark.parametrize("command", FAULTS)
def test_one_clear_error(
    command: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = command.format(dances=place / "dances", robots=place / "robots", run=place / "run-dances")
    status, words = FAULTS[command]
    found = status_of(filled.split())
    said = capsys.readouterr().err
    assert found == status, said
    assert words in said
    assert "Traceback" not in said
    assert not any(tmp_path.iterdir()), "a command that was refused leaves nothing"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("optim: Adm", "mine.yaml: --optim is one of Muon, AdamW, Adam, not 'Adm'. Did you mean 'Adam'?"),
        ("schedule_unit: epochs", "--schedule_unit is one of step, epoch"),
        ("steps: abc", "--steps takes a whole number"),
        ("lr: fast", "--lr takes a number"),
        ("conditions: maybe", "--conditions takes true or false"),
        ("anchor: 5", "holds settings of that model"),
        ("model: 5", "There is no model '5'"),
        ("batch_size:", "batch_size has no value in a recipe or config file"),
        ("optim: ", "optim has no value"),
        ("lr: {}", "lr in a recipe or config file holds a value"),
        (
            "lr: 0.1\nsteps: 3\nlr: 0.2",
            "mine.yaml cannot be read ('lr' stands there twice, the second time on line 3). It",
        ),
        ("anchor: {latent: 1, latent: 2}", "'latent' stands there twice, the second time on line 1"),
        ("3: 4", "There is no setting 3 in a recipe"),
        ("stepz: 3", "There is no setting 'stepz' in a recipe or config file. Did you mean 'steps'?"),
        ("- 3", "mine.yaml cannot be read (it should hold names and values, not a list)"),
        ("[" * 5000, "mine.yaml cannot be read (nested too deeply)"),
        ("lr: !!python/object/apply:os.getcwd []", "mine.yaml cannot be read (no readable YAML: could not determine"),
    ],
)
def test_words_in_a_config_file_are_checked(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    (tmp_path / "mine.yaml").write_text(f"{line}\n")
    command = ["train", "--data", str(place / "dances"), "--out", str(tmp_path / "x")]
    assert status_of([*command, "--config", str(tmp_path / "mine.yaml")])
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lr: abc", "config.yaml: --lr takes a number, not 'abc'"),
        ("steps: -7", "--steps must be above 0"),
        ("seed: -5", "--seed is 0 or more"),
        ("minutes: 1", "one of --minutes, --steps or --epochs; given: --minutes and --steps"),
        ("stepz: 3", "no setting 'stepz'"),
        ("device: {}", "device in a recipe or config file holds a value"),
    ],
)
def test_a_run_goes_on_with_settings_that_can_be(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    shutil.copytree(place / "run-dances", tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    key = line.split(":")[0]
    kept = [old for old in config.read_text().splitlines() if not old.startswith(f"{key}:")]
    config.write_text("\n".join([*kept, line]))
    assert status_of(["train", "--resume", str(tmp_path / "run")])
    assert words in capsys.readouterr().err


def test_a_run_whose_settings_were_changed_says_so(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may go on longer, and a finished one whose cost.json is gone is finished."""
    shutil.copytree(place / "run-dances", tmp_path / "run")
    (tmp_path / "run" / "cost.json").unlink()
    assert cli.main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert "was changed" not in capsys.readouterr().err
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("steps: 3\n", "steps: 4\n"))
    assert cli.main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert "config.yaml was changed since the run began: steps 3 to 4. It goes on so." in capsys.readouterr().err
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "last.ckpt").step == 4


def test_frames_that_cannot_be_scored_are_told_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packing.pack("dancer", {"train": 20, "val": 4, "test": 0, "size": "8x16"}, tmp_path / "store", workers=1)
    assert cli.main(["train", "--data", str(tmp_path / "store"), "--out", str(tmp_path / "run"), "--steps", "1"]) == 1
    assert "holds frames of 8 x 16 pixels (H x W), and validation scores frames of 11" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "command", ["pack dancer --train 20 --val 2 --test 1 --out {}", "synth dancer {} --train 3 --val 2"]
)
def test_a_place_without_permission_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root may write everywhere, so the refusal is the system's words, not its deed."""
    make = Path.mkdir

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        if "closed" in str(self):
            raise PermissionError(13, "Permission denied", str(self))
        make(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert cli.main(command.format(tmp_path / "closed" / "there").split()) == 1
    said = capsys.readouterr().err
    assert "no permission for" in said
    assert "closed" in said
    assert "Choose another place" in said
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system says of an open file has no name."""

    def full(self: Path, *_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    assert cli.main(["synth", "dancer", str(tmp_path / "x"), "--train", "3"]) == 1
    assert "the disk is full. Nothing half-written is left" in capsys.readouterr().err
    assert cli.main(f"pack dancer --train 3 --out {tmp_path}/there/store".split()) == 1
    assert f"the disk is full while writing {tmp_path}/there/store. Nothing" in capsys.readouterr().err
