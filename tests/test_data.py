"""Batches: a pure function of seed and number, of clips that lie in one episode. Pixels carry episode and time."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import WriteStore

from framecast.data import Batches, ClipData, Sampling, Stream
from framecast.store import Store
from framecast.values import Clip, Condition, Episode, Kind, Spec

LENGTHS = (9, 3, 6)  # of the episodes: the second is shorter than a clip
CONDITIONS: dict[Kind, Condition] = {
    "picture": Condition("picture", 3),
    "vector": Condition("vector", 2),
    "none": Condition(),
}


def coded(kind: Kind, episode: int, length: int) -> Episode:
    """Frame t of episode e is (e, t, 7) in every pixel; its condition is (e, t, 9), or the numbers e and t."""
    codes = np.stack([np.full(length, episode), np.arange(length)], 1)
    frames = np.empty((length, 8, 8, 3), np.uint8)
    frames[..., :2], frames[..., 2] = codes[:, None, None], 7
    condition = None
    if kind == "picture":
        condition = frames.copy()
        condition[..., 2] = 9
    elif kind == "vector":
        condition = codes.astype(np.float32)
    return Episode(f"e{episode}", frames, condition)


@pytest.fixture(scope="module")
def coded_stores(write_store: WriteStore, tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Store]:
    root = tmp_path_factory.mktemp("coded")
    return {
        kind: write_store(
            root / kind, Spec(8, 8, 3, condition), {"train": [coded(kind, e, n) for e, n in enumerate(LENGTHS)]}
        )
        for kind, condition in CONDITIONS.items()
    }


def codes(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Episode and time of every frame, each (B, T), by its pixels."""
    assert clip.frames.dtype == torch.uint8
    assert (clip.frames[:, :, 2] == 7).all()
    assert (clip.frames == clip.frames[..., :1, :1]).all()
    return clip.frames[:, :, 0, 0, 0].numpy(), clip.frames[:, :, 1, 0, 0].numpy()


def known(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Episode and time of the condition that `times` gives to every frame, each (B, T)."""
    assert clip.condition is not None
    rows = torch.stack([c[t] for c, t in zip(clip.condition, clip.times, strict=True)])
    if rows.dim() == 3:
        return rows[..., 0].int().numpy(), rows[..., 1].int().numpy()
    assert (rows[:, :, 2] == 9).all()
    return rows[:, :, 0, 0, 0].numpy(), rows[:, :, 1, 0, 0].numpy()


def equal(one: Clip, two: Clip) -> bool:
    same = one.condition is None and two.condition is None
    if one.condition is not None and two.condition is not None:
        same = torch.equal(one.condition, two.condition)
    return same and torch.equal(one.frames, two.frames) and torch.equal(one.times, two.times)


every_kind = pytest.mark.parametrize("kind", list(CONDITIONS))
both_samplings = pytest.mark.parametrize("sampling", ["window", "scattered"])


@every_kind
@both_samplings
def test_a_batch_is_its_number(coded_stores: dict[Kind, Store], kind: Kind, sampling: Sampling) -> None:
    first = Batches(coded_stores[kind], "train", 3, 4, seed=5, sampling=sampling)
    forwards = [first[k] for k in range(6)]
    again = Batches(Store(coded_stores[kind].root), "train", 3, 4, seed=5, sampling=sampling)
    backwards = [again[k] for k in reversed(range(6))][::-1]
    assert all(equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    other = Batches(coded_stores[kind], "train", 3, 4, seed=6, sampling=sampling)
    assert not all(equal(first[k], other[k]) for k in range(6))
    assert not all(equal(forwards[0], batch) for batch in forwards[1:])


@every_kind
@both_samplings
def test_clips_lie_in_one_episode_with_their_own_conditions(
    coded_stores: dict[Kind, Store], kind: Kind, sampling: Sampling
) -> None:
    batches = Batches(coded_stores[kind], "train", 4, 5, sampling=sampling)
    for k in range(60):
        clip = batches[k]
        assert clip.frames.shape == (4, 5, 3, 8, 8)
        assert clip.times.shape == (4, 5)
        episode, time = codes(clip)
        assert (episode == episode[:, :1]).all()
        assert all(len(set(row)) == 5 for row in time.tolist()), "a frame comes twice"
        if sampling == "window":
            assert (np.diff(time) == 1).all()
            assert (clip.times == torch.arange(5)).all()
        elif kind == "vector":  # only later frames can be reached by actions
            assert (np.diff(time) > 0).all()
            assert np.array_equal(time - time[:, :1], clip.times.numpy())
        if kind == "none":
            assert clip.condition is None
        else:
            assert all(np.array_equal(a, b) for a, b in zip(known(clip), (episode, time), strict=True))


def test_vectors_of_scattered_clips_are_all_that_came_before(coded_stores: dict[Kind, Store]) -> None:
    """The model needs every action since the first frame, not only those of the frames it draws."""
    batches = Batches(coded_stores["vector"], "train", 4, 3, sampling="scattered")
    for k in range(40):
        clip = batches[k]
        episode, time = codes(clip)
        assert clip.condition is not None
        for b in range(4):
            until = int(clip.times[b, -1]) + 1
            assert clip.condition[b, :until, 1].tolist() == list(range(time[b, 0], time[b, 0] + until))
            assert (clip.condition[b, :until, 0] == int(episode[b, 0])).all()


def test_given_frames_of_scattered_clips_follow_one_another(coded_stores: dict[Kind, Store]) -> None:
    """Where vectors lead on from them: rows after the given ones must be those of the frames after them."""
    batches = Batches(coded_stores["vector"], "train", 4, 5, sampling="scattered", context=3)
    for k in range(40):
        clip = batches[k]
        _, time = codes(clip)
        assert (clip.times[:, :3] == torch.arange(3)).all()
        assert (np.diff(time) > 0).all()
        assert np.array_equal(time - time[:, :1], clip.times.numpy())
        assert clip.condition is not None
        for b in range(4):
            rows = clip.condition[b, 3 : int(clip.times[b, -1]) + 1, 1].tolist()
            assert rows == list(range(time[b, 2] + 1, time[b, -1] + 1))


def test_scattered_clips_with_vectors_are_half_near(write_store: WriteStore, tmp_path: Path) -> None:
    """What comes next matters most; drawn evenly, one frame in thirty-three would be among the next three."""
    long = {"train": [coded("vector", 0, 100)]}
    store = write_store(tmp_path / "long", Spec(8, 8, 3, CONDITIONS["vector"]), long)
    batches = Batches(store, "train", 8, 3, sampling="scattered")
    later = np.concatenate([batches[k].times[:, 1:].numpy().ravel() for k in range(60)])
    assert 0.1 < (later <= 3).mean() < 0.5
    assert (later > 70).mean() > 0.05


@every_kind
def test_every_start_is_drawn_about_equally(coded_stores: dict[Kind, Store], kind: Kind) -> None:
    batches = Batches(coded_stores[kind], "train", 10, 4)
    starts: Counter[Any] = Counter()
    for k in range(120):
        episode, time = codes(batches[k])
        starts.update(zip(episode[:, 0].tolist(), time[:, 0].tolist(), strict=True))
    expected = {(e, t) for e, n in enumerate(LENGTHS) for t in range(n - 4 + 1)}  # none of the short episode
    assert set(starts) == expected
    assert min(starts.values()) > 0.7 * 1200 / len(expected)


@pytest.mark.parametrize("kind", ["picture", "none"])
def test_scattered_clips_take_all_frames_in_any_order(coded_stores: dict[Kind, Store], kind: Kind) -> None:
    batches = Batches(coded_stores[kind], "train", 10, 4, sampling="scattered")
    pairs = set()
    for k in range(150):
        episode, time = codes(batches[k])
        pairs |= {(e, a, b) for e, row in zip(episode[:, 0].tolist(), time.tolist(), strict=True) for a, b in [row[:2]]}
    assert pairs == {(e, a, b) for e in (0, 2) for a in range(LENGTHS[e]) for b in range(LENGTHS[e]) if a != b}


def test_a_clip_may_fill_its_episode(coded_stores: dict[Kind, Store]) -> None:
    for kind in CONDITIONS:
        for sampling in ("window", "scattered"):
            episode, time = codes(Batches(coded_stores[kind], "train", 2, 9, sampling=sampling)[0])
            assert (episode == 0).all()
            assert all(sorted(row) == list(range(9)) for row in time.tolist())


def test_clips_that_do_not_fit_are_refused(coded_stores: dict[Kind, Store]) -> None:
    store = coded_stores["picture"]
    with pytest.raises(ValueError, match=f"Clips of 10 .* {store.root} has 9 frames. Give a smaller --clip_length"):
        Batches(store, "train", 2, 10)
    with pytest.raises(ValueError, match="no 'val' episodes"):
        Batches(store, "val", 2, 4)


@both_samplings
def test_partial_takes_the_beginning(coded_stores: dict[Kind, Store], sampling: Sampling) -> None:
    batches = Batches(coded_stores["picture"], "train", 8, 4, sampling=sampling, partial=0.5)
    seen = {(e, t) for k in range(60) for c in [codes(batches[k])] for e, t in zip(*(x.flat for x in c), strict=True)}
    # Half of 9 is 4; of 6 it would be 3, but an episode keeps room for one clip.
    assert seen == {(0, t) for t in range(4)} | {(2, t) for t in range(4)}
    assert len(Batches(coded_stores["picture"], "train", 1, 4, partial=0.5)) < len(
        Batches(coded_stores["picture"], "train", 1, 4)
    )


def test_a_test_sequence_counts_its_given_frames(write_store: WriteStore, tmp_path: Path) -> None:
    """Frames that are not given cannot be in a clip, though their conditions are there."""
    whole = coded("picture", 0, 8)
    short = Episode("e0", whole.frames[:5], whole.condition)
    store = write_store(
        tmp_path / "store", Spec(8, 8, 3, CONDITIONS["picture"]), {"test": [short, coded("picture", 1, 6)]}
    )
    batches = Batches(store, "test", 8, 4)
    for k in range(20):
        episode, time = codes(batches[k])
        assert np.array_equal(known(batches[k])[0], episode)
        assert np.array_equal(known(batches[k])[1], time)
    with pytest.raises(ValueError, match="has 6 frames"):
        Batches(store, "test", 2, 7)


def test_an_epoch_is_every_frame_about_once(coded_stores: dict[Kind, Store]) -> None:
    assert len(Batches(coded_stores["none"], "train", 2, 3)) == (9 + 3 + 6) // 6
    assert len(Batches(coded_stores["none"], "train", 64, 3)) == 1


def test_the_stream_goes_on_where_training_stands(coded_stores: dict[Kind, Store]) -> None:
    batches = Batches(coded_stores["vector"], "train", 2, 4, seed=1)
    taken = list(islice(Stream(batches, lambda: 3), 2))
    assert equal(taken[0], batches[3])
    assert equal(taken[1], batches[4])
    loaded = list(islice(ClipData(batches).train_dataloader(), 2))
    assert all(equal(loaded[k], batches[k]) for k in range(2))
