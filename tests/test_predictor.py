"""The door for prediction: shapes, sizes, pieces, and every wrong input in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from recordings import noise, vectors

import framecast
from framecast import models
from framecast.predictor import Predictor
from framecast.rollout import CHUNK
from framecast.sources._pictures import resize
from framecast.values import Condition, Kind, Spec

pytestmark = pytest.mark.usefixtures("float32")

SMALL: dict[Kind, tuple[str, dict[str, Any]]] = {
    "picture": ("pose_cvae", {"F_dim": 8, "L_dim": 4, "N_dim": 4, "D_out_dim": 8}),
    "vector": ("anchor", {"widths": [8, 8, 8], "blocks": [1, 1, 1], "latent": 2, "memory": 8}),
    "none": ("copy", {"which": "first"}),
}


def spec_of(kind: Kind, channels: int = 3) -> Spec:
    size = {"picture": 3, "vector": 2, "none": 0}[kind]
    return Spec(16, 24, channels, Condition(kind, size))


def predictor(kind: Kind, channels: int = 3) -> Predictor:
    torch.manual_seed(0)
    name, config = SMALL[kind]
    return Predictor(models.build(spec_of(kind, channels), name, config).eval(), name, {})


def conditions(kind: Kind, count: int) -> np.ndarray | None:
    return {"picture": noise(count, 16, 24, 3, seed=1), "vector": vectors(count, 2, seed=1), "none": None}[kind]


every_kind = pytest.mark.parametrize("kind", list(SMALL))


@every_kind
@pytest.mark.parametrize("channels", [3, 1])
def test_shapes(kind: Kind, channels: int) -> None:
    door, given = predictor(kind, channels), noise(2, 16, 24, channels)
    horizon = 4 if kind == "none" else None
    one = door.predict(given, conditions(kind, 6), horizon=horizon)
    assert one.dtype == np.uint8
    assert one.shape == (4, 16, 24, channels)
    several = door.predict(given, conditions(kind, 6), samples=3, horizon=horizon)
    assert several.shape == (3, 4, 16, 24, channels)
    assert np.abs(several[0].astype(int) - one).max() <= 1
    assert door.predict(given, conditions(kind, 6), horizon=3).shape == (3, 16, 24, channels)


@pytest.mark.parametrize("kind", ["picture", "vector"])
def test_a_sample_does_not_depend_on_the_others(kind: Kind) -> None:
    door, given = predictor(kind), noise(1, 16, 24, 3)
    five = door.predict(given, conditions(kind, 5), samples=5, seed=3).astype(int)
    assert np.abs(door.predict(given, conditions(kind, 5), samples=2, seed=3) - five[:2]).max() <= 1
    assert len({sample.tobytes() for sample in five}) == 5
    assert not np.array_equal(door.predict(given, conditions(kind, 5), seed=4), five[0])
    assert np.array_equal(
        door.predict(given, conditions(kind, 5), seed=3), door.predict(given, conditions(kind, 5), seed=3)
    )


def test_pictures_of_any_size_are_resized_as_in_packing() -> None:
    door, given, poses = predictor("picture"), noise(1, 40, 31, 3), noise(4, 50, 80, 3, seed=1)
    small = door.predict(resize(given, (16, 24)), resize(poses, (16, 24)))
    assert np.array_equal(door.predict(given, poses), small)
    assert np.array_equal(predictor("none").predict(given, horizon=1)[0], resize(given, (16, 24))[0])


def test_a_long_horizon_comes_in_pieces() -> None:
    door, known = predictor("vector"), conditions("vector", 71)
    pieces = list(door.stream(noise(1, 16, 24, 3), known, samples=2))
    assert [piece.shape for piece in pieces] == [(2, n, 16, 24, 3) for n in (32, 32, 6)]
    assert CHUNK == 32
    whole = door.predict(noise(1, 16, 24, 3), known, samples=2)
    assert np.array_equal(np.concatenate(pieces, 1), whole)


def test_the_mean_can_be_streamed() -> None:
    door, known = predictor("vector"), conditions("vector", 4)
    means = [np.concatenate(list(door.stream(noise(1, 16, 24, 3), known, seed=s, mean=True)), 1) for s in (0, 1)]
    assert np.array_equal(*means)
    assert not np.array_equal(means[0][0], door.predict(noise(1, 16, 24, 3), known))
    with pytest.raises(ValueError, match="leave samples=2 out"):
        door.stream(noise(1, 16, 24, 3), known, samples=2, mean=True)


def test_lists_and_whole_numbers_are_taken() -> None:
    door = predictor("vector")
    known = [[0, 1], [2, 3], [4, 5]]
    drawn = door.predict(noise(1, 16, 24, 3), known)  # type: ignore[arg-type]
    assert np.array_equal(drawn, door.predict(noise(1, 16, 24, 3), np.array(known, np.float64)))


@pytest.mark.parametrize(
    "frames",
    [
        noise(16, 24, 3),
        noise(1, 16, 24, 1),
        noise(0, 16, 24, 3),
        noise(1, 3, 16, 24),
        np.zeros((1, 16, 24, 3), np.float32),
    ],
)
def test_wrong_frames_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Given frames are uint8 of shape \(n, H, W, 3\) with n >= 1, not "):
        predictor("vector").stream(frames, conditions("vector", 4))  # before anything is drawn


def spoilt(bad: float) -> np.ndarray:
    values = np.zeros((50, 2))
    values[41, 1] = bad
    return values


@pytest.mark.parametrize(
    ("kind", "known", "options", "message"),
    [
        ("vector", None, {}, "needs conditions, for every frame a vector of 2 numbers; none were given"),
        ("picture", None, {"horizon": 3}, "needs conditions, for every frame a picture of 3 channels"),
        ("vector", np.zeros((4, 3)), {}, r"a vector of 2 numbers; these have shape \(4, 3\)"),
        ("vector", np.zeros(4), {}, r"these have shape \(4,\)"),
        ("vector", noise(4, 16, 24, 3), {}, "these have shape"),
        ("picture", np.zeros((4, 3)), {}, r"a picture of 3 channels; these have shape \(4, 3\)"),
        ("picture", noise(4, 16, 24, 1), {}, "these have shape"),
        ("picture", np.zeros((4, 16, 24, 3)), {}, "uint8 0..255 of one pixel or more, not float64"),
        ("vector", spoilt(np.nan), {}, r"NaN or infinite number, in row 41 \(from 0\) of 50"),
        ("vector", spoilt(-np.inf), {}, "NaN or infinite number, in row 41"),
        ("vector", spoilt(1e300), {}, "NaN or infinite number, in row 41"),
        ("vector", np.zeros((4, 2)), {"horizon": 4}, "4 frames to come need 5 conditions; there are 4"),
        ("vector", np.zeros((1, 2)), {}, "Nothing to predict: 1 frames and 1 conditions"),
        ("vector", np.zeros((4, 2)), {"horizon": 0}, "horizon is a whole number of 1 or more, not 0"),
        ("none", None, {"horizon": -2}, "horizon is a whole number of 1 or more, not -2"),
        ("none", None, {}, "trained without conditions; give `horizon`"),
        ("none", np.zeros((4, 2)), {}, "trained without conditions; give `horizon` in their place"),
        ("vector", np.zeros((4, 2)), {"horizon": 1.5}, "horizon is a whole number of 1 or more, not 1.5"),
        ("vector", np.zeros((4, 2)), {"samples": 0}, "samples is a whole number of 1 or more, not 0"),
        ("vector", np.zeros((4, 2)), {"samples": 1.5}, "samples is a whole number of 1 or more, not 1.5"),
        ("vector", np.zeros((4, 2)), {"seed": None}, "seed is a whole number of 0 or more, not None"),
    ],
)
def test_what_cannot_be_predicted_is_refused(kind: Kind, known: Any, options: dict[str, Any], message: str) -> None:
    """When it is asked for, not somewhere on the way."""
    with pytest.raises(ValueError, match=message):
        predictor(kind).stream(noise(1, 16, 24, 3), known, **options)


@pytest.mark.parametrize("row", [3, 40])
def test_a_frame_that_is_nan_is_named_and_not_black(row: int) -> None:
    known = conditions("vector", 50)
    assert known is not None
    known[row:] *= 1e30  # finite, and yet no model can do anything with it
    with pytest.raises(FloatingPointError, match=rf"Frame {row} \(from 0, .* Look at the conditions up to row {row}"):
        predictor("vector").predict(noise(2, 16, 24, 3), known, samples=2)


def test_a_model_in_training_mode_is_refused() -> None:
    door = predictor("vector")
    door.model.train()
    with pytest.raises(ValueError, match="training mode"):
        door.predict(noise(1, 16, 24, 3), conditions("vector", 4))


def test_what_is_no_array_is_refused_in_words() -> None:
    door = predictor("vector")
    frames, known = noise(1, 16, 24, 3), conditions("vector", 3)
    with pytest.raises(ValueError, match="Conditions are an array, and these cannot be made one"):
        door.predict(frames, [[0.0, 1.0], [2.0]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Given frames are an array, and these cannot be made one"):
        door.predict(torch.zeros(1, 16, 24, 3, requires_grad=True), known)  # type: ignore[arg-type]
    for name in ("samples", "seed", "horizon"):
        with pytest.raises(ValueError, match=f"{name} is a whole number of . or more, not True"):
            door.predict(frames, known, **{name: True})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="episode is a whole number of 0 or more, not -1"):
        door.stream(frames, known, episode=-1)
    with pytest.raises(ValueError, match="There is no device None"):
        framecast.load("anywhere", None)  # type: ignore[arg-type]
