"""Who moves in a recording: smooth random actions for any environment, and scripted pushes for PushT.

A policy is called once a frame, in order, with what the environment tells (`info`), and returns the action.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Policy = Callable[[dict[str, Any]], Any]
MARGIN = 50.0  # PushT's agent goes through walls, and squeezes the T into them: targets keep away (of 512)
ROOM = 100.0  # nor is the T pushed nearer to a wall than this, by its middle
REACH = 118.0  # from the middle of the T to an agent that stands clear of it whichever way it lies
CENTRE = np.array([0.0, 45.0])  # the T's centre of mass, seen from the point that PushT calls its position


def smooth(
    low: np.ndarray, high: np.ndarray, steps: int, rng: np.random.Generator, start: np.ndarray | None = None
) -> np.ndarray:
    """Actions (steps, D) in the box that glide from `start` through random points, 6 to 16 steps apart; float64."""
    points, times = [rng.uniform(low, high) if start is None else start], [0]
    while times[-1] < steps:
        times.append(times[-1] + int(rng.integers(6, 17)))
        points.append(rng.uniform(low, high))
    now = np.arange(steps)
    after = np.searchsorted(times, now, side="right")
    left, right = np.array(times)[after - 1], np.array(times)[after]
    share = ((now - left) / (right - left))[:, None]
    ease = share * share * (3 - 2 * share)  # arrives and leaves at rest, so no action jumps
    passed = np.stack(points)
    return passed[after - 1] + ease * (passed[after] - passed[after - 1])


def held(count: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Choices 0..count - 1, int (steps,), each kept for 2 to 8 steps."""
    lengths = rng.integers(2, 9, steps)
    return np.repeat(rng.integers(0, count, steps), lengths)[:steps]


class Pushes:
    """PushT: goes round the T to a point across from a random goal, pushes it there, and looks for another.

    Actions are targets of the agent, float64 (2,) in 0..512.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.lead = rng.uniform(35, 60)  # how far the target runs ahead; the agent makes about half of it a frame
        self.end: np.ndarray | None = None  # where the agent stops pushing; None while it goes to its place
        self.away: np.ndarray | None = None  # from the T towards the place where the push begins, length 1

    def __call__(self, info: dict[str, Any]) -> np.ndarray:
        agent, block = np.asarray(info["pos_agent"]), centre(info["block_pose"])
        if self.end is not None and (np.linalg.norm(self.end - agent) < 15 or self._at_wall(block)):
            self.end = self.away = None
        if self.away is None:
            self.away = self._choose(block)
        if self.end is None:
            place = _inside(block + REACH * self.away)
            if np.linalg.norm(place - agent) > 20:
                return self._towards(agent, self._round(agent, block, place))
            self.end = _inside(block + self.away * -self.rng.uniform(30, 110))
        return self._towards(agent, self.end)

    def _choose(self, block: np.ndarray) -> np.ndarray:
        """A random direction with room behind the T to stand and room before it to push."""
        angles = self.rng.uniform(-np.pi, np.pi, 16)
        ways = np.stack([np.cos(angles), np.sin(angles)], 1)
        places, goals = block + REACH * ways, block - 110 * ways
        lost = np.abs(places - _inside(places)).sum(1) + np.abs(goals - _inside(goals, ROOM)).sum(1)
        return ways[int(np.argmin(np.where(lost == 0, 0, lost)))]  # the first without loss: random, as they are

    def _at_wall(self, block: np.ndarray) -> bool:
        """Whether pushing on brings the T too close to a wall."""
        assert self.away is not None
        ahead = block - 20 * self.away
        return bool((np.abs(ahead - _inside(ahead, ROOM)) > np.abs(block - _inside(block, ROOM))).any())

    def _round(self, agent: np.ndarray, block: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The next point of a way to `place` that keeps clear of the T."""
        along = place - agent
        share = np.clip((block - agent) @ along / max(along @ along, 1e-9), 0, 1)
        if np.linalg.norm(agent + share * along - block) > 0.8 * REACH:
            return place
        here, there = (np.arctan2(*(point - block)[::-1]) for point in (agent, place))
        turn = (there - here + np.pi) % (2 * np.pi) - np.pi
        angle = here + np.clip(turn, -0.6, 0.6)
        return _inside(block + REACH * np.array([np.cos(angle), np.sin(angle)]))

    def _towards(self, agent: np.ndarray, goal: np.ndarray) -> np.ndarray:
        way = goal - agent
        ahead = agent + way * min(1.0, self.lead / max(float(np.linalg.norm(way)), 1e-9))
        return np.clip(ahead + self.rng.normal(0, 2, 2), 0, 512)


def centre(pose: Any) -> np.ndarray:
    """The middle of the T (x, y) from PushT's (x, y, angle)."""
    x, y, angle = pose
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ CENTRE
    return np.array([x, y]) + turned


def _inside(points: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    return np.clip(points, margin, 512 - margin)
