"""Recording: what the environment showed is what lies in the store, whoever recorded it and on how many cores."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import status_of

from framecast.cli import main
from framecast.packing import pack
from framecast.sources.gym import Gym
from framecast.store import Store

pytest.importorskip("gymnasium")

# Frame: red shows the last action (the seed, after the reset), green how many steps were taken.
TINY = """
import gymnasium
import numpy as np
from gymnasium import spaces

class Tiny(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    action_space = spaces.Box(-1, 1, (2,))
    observation_space = spaces.Box(0, 255, (1,))
    runs = 0

    def __init__(self, render_mode=None, ends=False, moody=False):
        self.render_mode, self.ends, self.moody = render_mode, ends, moody

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        Tiny.runs += 1
        self.red, self.green = int(self.np_random.integers(256)), 0
        self.last = int(self.np_random.integers(1, 12)) if self.ends else 10**6
        if self.moody:
            self.last = 3 + Tiny.runs % 40
        return np.zeros(1, np.float32), {}

    def step(self, action):
        value = np.ravel(action)[0]
        self.red = int(np.rint(127.5 + 127.5 * value)) if self.action_space.shape else 10 * int(value)
        self.green += 1
        return np.zeros(1, np.float32), 0.0, self.green >= self.last, False, {}

    def render(self):
        frame = np.zeros((20, 24, 3), np.uint8)
        frame[..., 0], frame[..., 1] = self.red, self.green
        return frame

class Keys(Tiny):
    action_space = spaces.Discrete(4, start=2)

class Whole(Tiny):
    metadata = {"render_modes": ["rgb_array"]}
    action_space = spaces.Box(0, 1, (3,), np.int64)

class Blind(Tiny):
    metadata = {"render_modes": ["ansi"]}

class Vague(Tiny):
    def render(self):
        return [np.zeros((20, 24, 3), np.uint8)]

class Many(Tiny):
    action_space = spaces.MultiBinary(3)

class Endless(Tiny):
    action_space = spaces.Box(-np.inf, np.inf, (2,))

class Glless(Tiny):
    def render(self):
        raise RuntimeError("no GL here")

class Lost(Tiny):
    def reset(self, **_):
        raise RuntimeError("no simulator")

class Shut(Tiny):
    def __init__(self, render_mode=None):
        raise RuntimeError("no licence")

class Stuck(Tiny):
    def step(self, action):
        raise RuntimeError("a joint broke")

for kind in (Tiny, Keys, Whole, Blind, Vague, Many, Endless, Glless, Lost, Shut, Stuck):
    gymnasium.register(f"{kind.__name__}-v0", entry_point=kind, max_episode_steps=5)
gymnasium.register("Short-v0", entry_point=Tiny, kwargs={"ends": True})
gymnasium.register("Moody-v0", entry_point=Tiny, kwargs={"moody": True})
"""


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module of environments that worker processes find too: they get this path."""
    folder = tmp_path_factory.mktemp("environments")
    (folder / "tiny_env.py").write_text(TINY)
    (folder / "broken_env.py").write_text("raise ValueError('half written')")
    (folder / "lacking_env.py").write_text("import no_such_library")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


def recorded(env: str, split: str = "train", **options: Any) -> list[Any]:
    source = Gym(f"tiny_env:{env}-v0", **{"episodes": 3, "steps": 12, "size": "20x24", **options})
    return list(source.episodes(split))


# ---------------------------------------------------------------- the source


def test_row_t_is_the_action_that_leads_to_frame_t_plus_1() -> None:
    (episode,) = recorded("Tiny", steps=30)
    frames, actions = episode.frames, episode.condition
    assert frames.shape == (30, 20, 24, 3) and actions.shape == (30, 2) and actions.dtype == np.float32
    assert np.array_equal(frames[1:, 0, 0, 0], np.rint(127.5 + 127.5 * actions[:-1, 0]))
    assert np.array_equal(frames[:, 0, 0, 1], np.arange(30)), "beyond the time limit of 5 too"
    source = Gym("tiny_env:Tiny-v0")
    spec = source.spec()
    assert (spec.height, spec.width, spec.channels, spec.fps) == (64, 64, 3, 20.0)
    assert (spec.condition.kind, spec.condition.size, spec.condition.names) == ("vector", 2, ("action",))
    assert "frame rate" not in source.about()


def test_every_second_step() -> None:
    (episode,) = recorded("Tiny", every=3)
    assert np.array_equal(episode.frames[:, 0, 0, 1], 3 * np.arange(12))
    assert Gym("tiny_env:Tiny-v0", every=4).spec().fps == 5.0


def test_discrete_actions_are_one_hot_and_held() -> None:
    (episode,) = recorded("Keys", steps=200)
    chosen = episode.condition.argmax(1)
    assert episode.condition.shape == (200, 4) and np.array_equal(episode.condition, np.eye(4)[chosen])
    assert set(chosen) == {0, 1, 2, 3}
    assert np.array_equal(episode.frames[1:, 0, 0, 0], 10 * (chosen[:-1] + 2)), "the environment counts from 2"
    assert Gym("tiny_env:Keys-v0").spec().condition.size == 4


def test_whole_number_actions_and_no_frame_rate() -> None:
    (episode,) = recorded("Whole", steps=40)
    assert set(np.unique(episode.condition)) == {0, 1}
    source = Gym("tiny_env:Whole-v0", episodes=1, steps=2)
    assert source.spec().fps == 30.0
    assert source.about()["frame rate"] == "the environment names none; 30 environment steps a second are taken"


def test_a_pack_notes_that_there_is_no_frame_rate(tmp_path: Path) -> None:
    options = {"env": "tiny_env:Whole-v0", "episodes": 2, "steps": 2, "size": "16x16"}
    told = pack("gym", options, tmp_path / "made", workers=1).index["about"]
    assert "frame rate" in told
    assert told["resized"] == "frames of 20 x 24 (H x W) to 16 x 16, another aspect ratio; --size 13x16 keeps it"


def test_no_condition() -> None:
    (episode,) = recorded("Tiny", condition="none")
    assert episode.condition is None and Gym("tiny_env:Tiny-v0", condition="none").spec().condition.kind == "none"


def test_an_episode_that_ends_early_is_short_and_said() -> None:
    source = Gym("tiny_env:Short-v0", episodes=20, steps=8, size="20x24")
    lengths = {}
    for split in ("train", "val", "test"):
        for part in source.parts(split):
            episode: Any = source.read(part)
            assert len(episode.frames) == len(episode.condition) == part.frames == part.stop
            assert np.array_equal(episode.frames[:, 0, 0, 1], np.arange(part.frames)), "no jump, and the end is shown"
            lengths[part.episode] = part.frames
    assert len(lengths) == 20 and min(lengths.values()) >= 2 and max(lengths.values()) == 8
    early = sum(length < 8 for length in lengths.values())
    assert early > 3
    assert source.about()["ended early"].startswith(f"{early} of 20 episodes, by the environment")


def test_an_environment_that_a_seed_does_not_determine() -> None:
    source = Gym("tiny_env:Moody-v0", episodes=3, steps=50, size="20x24")
    part = source.parts("train")[0]
    with pytest.raises(ValueError, match=r"episode 0: \d+ frames, but \d+ when it was run before .* repeatably"):
        source.read(part)


def test_splits() -> None:
    def numbers(episodes: int) -> list[list[int]]:
        source = Gym("pusht", episodes=episodes, steps=2)
        return [[part.where for part in source.parts(split)] for split in ("train", "val", "test")]

    assert numbers(20)[1:] == [[8, 18], [9, 19]] and len(numbers(20)[0]) == 16
    assert numbers(25)[1:] == [[8, 18], [9, 19]]
    assert numbers(4) == [[0, 1], [2], [3]] and numbers(2) == [[0], [1], []] and numbers(1) == [[0], [], []]


def test_a_seed_is_an_episode() -> None:
    (one,), (again,), (other,) = (recorded("Tiny", seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.frames, again.frames) and np.array_equal(one.condition, again.condition)
    assert not np.array_equal(one.frames[0], other.frames[0]), "the reset has another seed"
    assert not np.array_equal(one.condition, other.condition), "and so have the actions"
    two = recorded("Tiny", episodes=30)
    assert np.array_equal(two[0].frames, one.frames), "it does not depend on how many there are"
    assert len({episode.frames.tobytes() for episode in two}) == len(two) == 24


def test_workers_record_the_same(tmp_path: Path) -> None:
    options = {"env": "tiny_env:Short-v0", "episodes": 10, "steps": 9, "size": "16x16"}
    one, two = (pack("gym", options, tmp_path / str(n), workers=n) for n in (1, 2))
    assert one.index["files"] == two.index["files"] and len(one.index["files"]) == 6
    assert "ended early" in one.index["about"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "--episodes is 0; it must be 1 or more"),
        ({"steps": 1}, "--steps is 1; it must be 2 or more"),
        ({"every": 0}, "--every is 0"),
        ({"policy": "script"}, "--policy is one of random, scripted, not 'script'. Did you mean 'scripted'"),
        ({"policy": "scripted"}, "--policy scripted knows how to push in pusht, not .*Tiny-v0.*Take random"),
        ({"condition": "actoin"}, "--condition is action, position or none, not 'actoin'. Did you mean 'action'"),
        ({"condition": "action,position"}, "--condition position is known for pusht only"),
        ({"env": "tiny_env:Tony-v0"}, "no environment 'tiny_env:Tony-v0'. Did you mean 'Tiny-v0'"),
        ({"env": "no_such_module:Tiny-v0"}, "no_such_module is not installed. .*pip install no_such_module"),
        ({"env": "tiny_env:Blind-v0"}, r"Blind-v0 does not render rgb_array \(it renders ansi\)"),
        ({"env": "tiny_env:Vague-v0"}, r"Vague-v0 renders list; a frame must be uint8"),
        ({"env": "tiny_env:Many-v0"}, r"takes actions of MultiBinary\(3\); only Box and Discrete"),
        ({"env": "tiny_env:Endless-v0"}, "takes actions of Box.*without bounds"),
        ({"env": "tiny_env:Shut-v0"}, r"Shut-v0 does not start \(RuntimeError: no licence\)"),
        ({"env": "broken_env:Tiny-v0"}, r"broken_env does not load \(ValueError: half written\)"),
        ({"env": "lacking_env:Tiny-v0"}, "no_such_library is not installed. .*pip install no_such_library"),
        ({"env": "tiny_env:Glless-v0"}, r"Glless-v0 does not render \(RuntimeError: no GL here\). .*MUJOCO_GL"),
    ],
)
def test_faults(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gym(**{"env": "tiny_env:Tiny-v0", **options}).spec()


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Lost-v0", r"Lost-v0 fails in reset\(seed=\d+\) \(RuntimeError: no simulator\)"),
        ("Stuck-v0", r"Stuck-v0, episode 0, frame 1: its step fails \(RuntimeError: a joint broke\)"),
        ("Endless-v0", "without bounds"),
    ],
)
def test_faults_while_recording(env: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gym(f"tiny_env:{env}", episodes=1, steps=3).parts("train")


@pytest.mark.parametrize(("module", "env"), [("gymnasium", "tiny_env:Tiny-v0"), ("gym_pusht", "pusht")])
def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, module: str, env: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=re.escape(f'{module} is not installed. Install it with: pip install -e ".[')):
        Gym(env).spec()


# ---------------------------------------------------------------- the command


def test_the_command_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made"
    arguments = ["--env", "tiny_env:Keys-v0", "--episodes", "4", "--steps", "5", "--size", "16x16", "--workers", "1"]
    assert main(["record", *arguments, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "condition: vector of 4 numbers (action)" in told
    assert "environment: tiny_env:Keys-v0, random policy, 5 frames an episode" in told
    made = Store(out)
    assert {split: len(entries) for split, entries in made.entries.items()} == {"train": 2, "val": 1, "test": 1}
    assert (made.index["source"], made.index["options"]["env"]) == ("gym", "tiny_env:Keys-v0")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "give one environment: pusht, or another with --env Reacher-v5"),
        (["pusht", "--env", "Tiny-v0"], 2, "give one environment"),
        (["psht"], 2, "no recording 'psht'. Did you mean 'pusht'? Give --env psht for an environment's id"),
        (["pusht", "--epsodes", "3"], 2, "no option --epsodes. Did you mean '--episodes'"),
        (["pusht", "--episodes", "0"], 1, "--episodes is 0; it must be 1 or more"),
        (["--env", "tiny_env:Tiny-v0", "--policy", "scripted"], 1, "Take random"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    assert status_of(["record", *arguments, "--out", str(tmp_path / "made")]) == status
    assert list(tmp_path.iterdir()) == []
    assert message in capsys.readouterr().err


# ---------------------------------------------------------------- PushT itself


def test_pusht_as_it_is() -> None:
    pytest.importorskip("gym_pusht")
    options: dict[str, Any] = {"episodes": 2, "steps": 20, "condition": "action,position"}
    source = Gym("pusht", **options)
    spec = source.spec()
    assert (spec.height, spec.width, spec.fps) == (64, 64, 10.0)
    assert (spec.condition.size, spec.condition.names) == (4, ("action", "position"))
    assert Gym("gym_pusht/PushT-v0").spec().condition.names == ("action",)
    episode: Any = next(source.episodes("train"))
    again: Any = next(Gym("gym_pusht/PushT-v0", **options).episodes("train"))
    assert np.array_equal(episode.frames, again.frames) and np.array_equal(episode.condition, again.condition)
    blue = (episode.frames[..., 2] > 200) & (episode.frames[..., 0] < 130)  # RGB: the agent is royal blue
    for t in range(20):
        middle = 8 * (np.argwhere(blue[t]).mean(0)[::-1] + 0.5)
        assert np.abs(middle - episode.condition[t, 2:]).max() < 8, "the position is that of this frame"
    assert np.abs(episode.condition[0, :2] - episode.condition[0, 2:]).max() < 1, "it starts where it stands"


def test_pusht_is_pushed() -> None:
    pytest.importorskip("gym_pusht")
    source = Gym("pusht", episodes=8, steps=45, policy="scripted")
    moved = 0
    for part in source.parts("train"):
        first, *_, last = source.read(part).frames.astype(int)
        slate = [np.abs(frame - (119, 136, 153)).max(-1) < 40 for frame in (first, last)]
        moved += (slate[0] ^ slate[1]).sum() > 0.3 * slate[0].sum()
    assert moved >= 4, "of 6"
