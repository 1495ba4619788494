"""Drift against closed forms: films that darken, freeze and blur, and what is beyond a recording."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import WriteStore, status_of
from torch import Tensor

from framecast import cli, protocols
from framecast.drift import measure, to_and_fro
from framecast.metrics.horizon import NEVER_ABOVE, NOT_REACHED, distance, end, half_life, looks, slope
from framecast.models.base import Model
from framecast.packing import pack
from framecast.store import Store
from framecast.training import run
from framecast.training.settings import Settings
from framecast.values import Condition, Episode, Spec, Step

pytestmark = pytest.mark.usefixtures("float32")


def test_a_slope_is_per_hundred_frames() -> None:
    assert slope(30 - 0.02 * np.arange(629)) == pytest.approx(-2)
    assert slope(np.full(7, 30.0)) == pytest.approx(0)
    noisy = np.random.default_rng(0).normal(size=50)
    assert slope(noisy) == pytest.approx(100 * np.polyfit(np.arange(50), noisy, 1)[0])
    with pytest.raises(ValueError, match=r"two frames or more; this has the shape \(1,\)"):
        slope(np.ones(1))


def test_a_half_life_is_where_half_of_the_gain_is_left() -> None:
    # 10 dB above the floor at frame 1, 0.1 dB less with each: in the mean of frames 1 to 11 it is 9.5.
    falling = 30 - 0.1 * np.arange(200)
    assert half_life(falling, 20) == pytest.approx(1 + (10 - 9.5 / 2) / 0.1, abs=1)
    assert half_life(falling[:40], 20) == NOT_REACHED
    assert half_life(falling, 30) == NEVER_ABOVE
    blink = np.full(100, 30.0)
    blink[50] = 0  # one lost frame is no end: in a running mean it costs a quarter
    assert half_life(blink, 19.9) == NOT_REACHED
    assert half_life(np.array([30.0, 22, 21]), 20) == 2  # few frames are not averaged


def stripes(count: int, size: int = 16) -> np.ndarray:
    """A film of vertical stripes, 80 and 160 in turn, that stands still."""
    row = np.where(np.arange(size) % 2, 160, 80).astype(np.uint8)
    return np.broadcast_to(row[None, None, :, None], (count, size, size, 3)).copy()


def test_looks() -> None:
    film = stripes(5)
    still = looks(film, film[0])
    assert still.motion.tolist() == [0] * 5  # a frozen film
    assert np.unique(still.colour).tolist() == [120]
    assert still.energy.tolist() == [80.0**2] * 5  # across; none down
    darker = film - (2 * np.arange(1, 6, dtype=np.uint8))[:, None, None, None]
    dark = looks(darker, film[0])
    assert dark.motion.tolist() == [2] * 5
    assert dark.colour[:, 1].tolist() == [118, 116, 114, 112, 110]
    assert slope(distance(dark.colour, still.colour)) == pytest.approx(200)
    assert dark.energy.tolist() == still.energy.tolist()
    half = ((film.astype(int) + np.roll(film, 1, 2)) // 2).astype(np.uint8)  # blurred by half: the stripes are gone
    assert looks(half, half[0]).energy.tolist() == [0] * 5


def test_to_and_fro_turns_and_never_jumps() -> None:
    assert to_and_fro(4, 0, 10).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert to_and_fro(4, 5, 8).tolist() == [1, 0, 1]
    assert to_and_fro(1, 2, 5).tolist() == [0, 0, 0]
    assert np.abs(np.diff(to_and_fro(630, 0, 3000))).tolist() == [1] * 2999


def test_the_end() -> None:
    assert [end(n) for n in (629, 200, 199, 2)] == [slice(529, 629), slice(100, 200), slice(133, 199), slice(1, 2)]


class Fader(Model):
    """Draws what it is fed, darker by so many grey levels a frame; it writes down the conditions it is told."""

    def __init__(self, spec: Spec, less: float) -> None:
        super().__init__(spec)
        self.less, self.told = less, []

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (1,)

    def start(self, frames: Tensor, condition: Tensor | None) -> Tensor:
        return frames[:, -1]

    def look(
        self, state: Tensor, condition: Tensor | None, times: Tensor, truth: Tensor | None, given: int = 0
    ) -> tuple[Tensor, Tensor]:
        assert condition is not None
        self.told += condition[0, :, 0].tolist()
        return state, times

    def advance(self, state: Tensor, cue: Tensor, noise: Tensor) -> tuple[Tensor, Step]:
        frame = state - self.less / 255
        return frame, Step(frame)

    def feed(self, state: Tensor, frame: Tensor) -> Tensor:
        return frame

    def parallel(self, state: Tensor, cues: Tensor, noise: Tensor) -> tuple[Tensor, Step]:
        raise AssertionError("a model that feeds back was drawn at once where its own frames go back in")


FRAMES = 41


@pytest.fixture
def still(tmp_path: Path, write_store: WriteStore) -> Store:
    """One recording that stands still, with its number as the condition of every frame."""
    spec = Spec(16, 16, 3, Condition("vector", 1, ("number",)))
    numbers = np.arange(FRAMES, dtype=np.float32)[:, None]
    return write_store(tmp_path / "still", spec, {"val": [Episode("e", stripes(FRAMES), numbers)]})


def test_a_film_that_darkens(still: Store) -> None:
    model = Fader(still.spec, 1).eval()
    seen: list[tuple[int, int]] = []
    result = measure({"fader": model}, still, "val", horizon=60, progress=lambda d, t: seen.append((d, t)))
    table = result.table()
    free, forced = table["fader, own frames fed"], table["fader, true frames fed"]
    levels = np.arange(1, 41)
    dark = 20 * np.log10(255 / levels)
    assert free["psnr"] == pytest.approx(dark.mean(), abs=1e-3)
    assert free["slope"] == pytest.approx(100 * np.polyfit(levels, dark, 1)[0], abs=1e-2)
    assert free["colour drift"] == pytest.approx(100)
    assert free["colour"] == pytest.approx(levels[-13:].mean())
    assert free["sharpness"] == pytest.approx(1)
    assert free["colour, beyond"] == pytest.approx(np.arange(41, 61)[-6:].mean())
    assert free["colour drift, beyond"] == pytest.approx(100)
    assert free["sharpness, beyond"] == pytest.approx(1)
    assert result.rows[0].seen[0].motion == pytest.approx([1] * 60)  # also from one piece of a film to the next
    # A true frame is fed each time, so it is one level off for ever, and there is none beyond the recording.
    assert forced["psnr"] == pytest.approx(20 * math.log10(255))
    assert forced["slope"] == pytest.approx(0, abs=1e-9)
    assert forced["colour"] == pytest.approx(1)
    assert not [key for key in forced if "beyond" in key]
    assert {"copy first frame", "copy last frame, true frames fed"} < set(table)
    assert "copy last frame" not in table  # of one given frame it is the first
    assert table["copy first frame"]["psnr"] == pytest.approx(100)  # the bit-exact frame's
    total = 60 + 40 + 60 + 40
    assert seen[-1] == (total, total)
    assert sorted(seen) == seen


def test_conditions_are_told_to_and_fro(still: Store) -> None:
    model = Fader(still.spec, 0).eval()
    measure({"fader": model}, still, "val", context=2, horizon=100)
    beyond = [*range(2, FRAMES), *range(FRAMES - 2, -1, -1), *range(1, 100)]
    assert model.told[:100] == beyond[:100]
    assert model.told[100:] == list(range(2, FRAMES))  # the second time, with true frames fed


def test_two_given_frames_have_two_ways_to_be_copied(tmp_path: Path, write_store: WriteStore) -> None:
    film = stripes(9)
    film[1:] += (10 * np.arange(1, 9, dtype=np.uint8))[:, None, None, None]
    numbers = np.arange(9, dtype=np.float32)[:, None]
    spec = Spec(16, 16, 3, Condition("vector", 1, ("number",)))
    store = write_store(tmp_path / "s", spec, {"val": [Episode("e", film, numbers), Episode("f", film[:6], numbers)]})
    result = measure({}, store, "val", context=2)
    rows = {row.label: row.seen for row in result.rows}
    assert list(rows) == ["copy first frame", "copy last frame", "copy last frame, true frames fed"]
    off = {who: distance(seen[0].colour, result.truth[0].colour).tolist() for who, seen in rows.items()}
    assert off["copy first frame"] == [20, 30, 40, 50, 60, 70, 80]
    assert off["copy last frame"] == [10, 20, 30, 40, 50, 60, 70]
    assert off["copy last frame, true frames fed"] == [10] * 7
    assert [len(s.psnr) for s in rows["copy first frame"]] == [7, 4]
    curves = result.curves(result.rows[0])
    assert curves["colour"].tolist() == [0] * 7
    assert result.curves_of_truth()["colour"].tolist() == [20, 30, 40, 50, 60, 70, 80]
    table = result.table()
    assert table["copy first frame"]["motion"] == 0
    assert table["copy last frame, true frames fed"]["motion"] == pytest.approx(1)
    assert table["copy first frame"]["colour drift"] == pytest.approx(1000)


def test_bad_input(still: Store, tmp_path: Path, write_store: WriteStore) -> None:
    with pytest.raises(ValueError, match="--horizon must be 2 or more frames for a slope, not 0"):
        measure({}, still, "val", horizon=0)
    with pytest.raises(ValueError, match="'e' of .* has 1 frame after 40 given; a slope needs two. Give fewer"):
        measure({}, still, "val", context=40)
    with pytest.raises(ValueError, match="no frame after the first 41"):
        measure({}, still, "val", context=41)
    other = Fader(Spec(8, 8, 3, still.spec.condition), 0).eval()
    with pytest.raises(ValueError, match="trained on 8x8"):
        measure({"other": other}, still, "val")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and two runs: one that feeds back, and one that does not."""
    root = tmp_path_factory.mktemp("drift")
    store = pack("dancer", {"train": 40, "val": 12, "test": 0, "size": "16x32"}, root / "store", workers=1)
    small: dict[str, dict[str, Any]] = {
        "pose_cvae": {"F_dim": 16, "L_dim": 8, "N_dim": 4, "D_out_dim": 16},
        "anchor": {"widths": [8, 8, 16], "blocks": [1, 1, 1]},
    }
    for name, config in small.items():
        (root / name).mkdir()
        asked = Settings(steps=1, clip_length=4, validations=0, anchored=name == "pose_cvae")
        run.fit(store, asked, name, config, root / name, quiet=True)
    return root


def test_the_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(place / "pose_cvae"), str(place / "anchor")]
    assert cli.main(["drift", *runs, "--data", str(place / "store"), "--horizon", "20"]) == 0
    said = capsys.readouterr().out
    out = place / "pose_cvae" / "drift-val"
    found = json.loads((out / "drift.json").read_text())
    rules = protocols.checked(found["protocol"], "drift.json")
    assert (rules["horizon"], rules["context"]) == (20, 1)
    assert found["runs"]["pose_cvae"]["settings"]["anchored"] is True
    assert found["made_with"]["torch"] == torch.__version__
    rows = ["pose_cvae, own frames fed", "pose_cvae, true frames fed", "anchor", "copy first frame"]
    rows.append("copy last frame, true frames fed")
    assert list(found["table"]) == list(found["rows"]) == rows
    lengths = [(len(c.get("psnr", [])), len(c["colour"])) for c in found["curves"].values()]
    assert lengths == [(11, 20), (11, 11), (11, 20), (11, 20), (11, 11), (0, 11)]  # the last is the truth
    assert (out / "drift.png").stat().st_size > 10_000
    for row in rows:
        assert f"\n{row} " in said
    assert "beyond the recordings" in said
    assert set(found["rules"]) >= {"slope", "half-life", "beyond"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("drift {0}/anchor --data {0}/store --horizon 1", "--horizon must be 2 or more, not 1"),
        ("drift {0}/anchor {0}/anchor --data {0}/store", "Two runs are both called anchor (anchor)"),
        ("drift {0}/nothing --data {0}/store", "nothing does not exist"),
        ("drift {0}/anchor --data {0}/store --split test", "no 'test' episodes"),
        (
            "train --data {0}/store --out {0}/x --model anchor --steps 1 --context_noise 0.1",
            "the model anchor has none: it feeds nothing back",
        ),
    ],
)
def test_what_cannot_be_asked(place: Path, asked: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of([word.format(place) for word in asked.split()]) in (1, 2)
    assert words in capsys.readouterr().err
    assert not (place / "x").exists()
