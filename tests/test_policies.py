"""Policies that recordings are driven by: smooth, held and pushing actions."""

from __future__ import annotations

import numpy as np

from framecast.sources._policies import MARGIN, Pushes, held, smooth


def test_smooth_actions_stay_inside_and_do_not_jump() -> None:
    low, high = np.array([-1.0, 0.0]), np.array([1.0, 512.0])
    for seed in range(20):
        drawn = smooth(low, high, 100, np.random.default_rng(seed))
        assert drawn.shape == (100, 2) and (drawn >= low).all() and (drawn <= high).all()
        assert (np.abs(np.diff(drawn, axis=0)) <= 0.26 * (high - low)).all(), "1.5 / 6 of the way at most"
        assert (drawn.std(0) > 0.1 * (high - low)).all()
    begun = smooth(low, high, 5, np.random.default_rng(0), np.array([0.5, 7.0]))
    assert np.array_equal(begun[0], [0.5, 7.0])


def test_held_actions() -> None:
    chosen = held(5, 400, np.random.default_rng(0))
    assert chosen.shape == (400,) and set(chosen) == set(range(5))
    changes = np.flatnonzero(np.diff(chosen)) + 1
    assert np.diff(changes).min() >= 2 and 40 < len(changes) < 110


def test_pushes_go_round_and_push() -> None:
    """In a toy: the agent goes half way to its target, and a disc of radius 70 gives way to it."""
    moved, pushed, walked = [], 0.0, 0.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        agent, angle = rng.uniform(60, 450, 2), rng.uniform(-3, 3)
        block = begun = rng.uniform(150, 360, 2)
        pushes = Pushes(np.random.default_rng(seed))
        for _ in range(60):
            off = 45 * np.array([-np.sin(angle), np.cos(angle)])
            target = pushes({"pos_agent": agent, "block_pose": (*(block - off), angle)})
            assert target.shape == (2,) and (target >= 0).all() and (target <= 512).all()
            agent = agent + 0.5 * (target - agent)
            assert (agent > MARGIN - 25).all() and (agent < 512 - MARGIN + 25).all()
            gap = block - agent
            if np.linalg.norm(gap) < 70:
                step = agent + 70 * gap / np.linalg.norm(gap) - block
                block = block + step
                walked += np.linalg.norm(step)
                if pushes.end is not None and pushes.away is not None:
                    pushed -= step @ pushes.away
        moved.append(np.linalg.norm(block - begun))
    assert np.mean(np.array(moved) > 60) >= 0.7
    assert pushed > 0.8 * walked, "most of what it moves it pushes, and that away from where it began"
