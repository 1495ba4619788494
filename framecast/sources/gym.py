"""Recordings from simulated environments: each episode is driven and filmed as it is read. `framecast record`."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from framecast.sources import Part, Source, at_least, finite
from framecast.sources._pictures import resize, resized
from framecast.sources._policies import MARGIN, Policy, Pushes, held, smooth
from framecast.values import Condition, Episode, Spec, nearest, size_of

if TYPE_CHECKING:
    import gymnasium

SHORT = {"pusht": "gym_pusht/PushT-v0"}
PUSHT = SHORT["pusht"]
EXTRA = '-e ".[envs]" (in the folder of framecast, which has pyproject.toml)'
HOMES = {"gym_pusht": ("gym_pusht", EXTRA), "ALE": ("ale_py", "ale-py")}  # namespace: module, package
POLICIES = ("random", "scripted")
CONDITIONS = ("action", "position")
RATE = 30.0  # pictures a second, where an environment does not say
HEADLESS = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}


class Gym(Source):
    """Episodes of a Gymnasium environment that renders rgb_array, simulated while they are read.

    Frame 0 is the reset, frame t + 1 what the action of frame t led to; the action of the last frame is drawn but not
    carried out. An episode that its environment ends (terminates) early ends with that frame and is shorter: lengths
    are found by simulating every episode once without pictures. Time limits end none, and PushT goes on after
    success. Of every ten episodes the ninth is for validation and the tenth for the test.

    Args:
        env: the environment's id (Reacher-v5, module:Name-v0 for one of your own), or pusht for gym_pusht/PushT-v0.
        episodes: how many; episode i is the same however many there are, once there are ten.
        steps: frames of an episode.
        policy: random (smooth; a discrete action is kept for some frames), or scripted (pusht: pushes the block).
        seed: of all episodes; each has its own, made of this and its number.
        condition: action, position (of the agent; pusht only), several by commas, or none. The action alone is the
            default: who plans knows what he will do, not where that will take him.
        every: environment steps per frame, with the same action.
        size: height x width to which frames are reduced, with an antialiasing filter.
    """

    example = "framecast pack gym pusht --policy scripted --out stores/pusht"

    def __init__(
        self,
        env: str,
        episodes: int = 500,
        steps: int = 60,
        policy: str = "random",
        seed: int = 0,
        condition: str = "action",
        every: int = 1,
        size: str = "64x64",
    ) -> None:
        at_least(episodes=(episodes, 1), steps=(steps, 2), seed=(seed, 0), every=(every, 1))
        self.env = SHORT.get(env, env)
        self.pusht = self.env == PUSHT
        self.count, self.steps, self.policy, self.seed, self.every = episodes, steps, policy, seed, every
        self.size = size_of(size) or (64, 64)
        self.conditions = [] if condition == "none" else [key.strip() for key in condition.split(",") if key.strip()]
        self._check()
        self._lengths: dict[int, int] = {}
        self._rate: float | None = RATE
        self._drawn: tuple[int, int] | None = None  # (H, W) of its pictures, once seen

    def _check(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(
                f"--policy is one of {', '.join(POLICIES)}, not {self.policy!r}.{nearest(self.policy, POLICIES)}"
            )
        if self.policy == "scripted" and not self.pusht:
            raise ValueError(
                f"--policy scripted knows how to push in pusht, not what {self.env} is about. Take random."
            )
        for key in self.conditions:
            if key not in CONDITIONS:
                raise ValueError(
                    f"--condition is {', '.join(CONDITIONS)} or none, not {key!r}.{nearest(key, CONDITIONS)}"
                )
            if key == "position" and not self.pusht:
                raise ValueError(
                    f"--condition position is known for pusht only, not for {self.env}. Take action or none."
                )

    def spec(self) -> Spec:
        """Starts the environment once to look at its actions and one picture.

        Raises:
            ValueError: it is not installed, unknown, renders no rgb_array, or takes actions of another kind.
        """
        env = self._start()
        try:
            observation, _ = self._reset(env, 0)
            self._frame(env, observation)
            sizes = {"action": _numbers(env.action_space, self.env), "position": 2}
            count = sum(sizes[key] for key in self.conditions)
            condition = Condition("vector", count, tuple(self.conditions)) if count else Condition()
            return Spec(*self.size, 3, condition, fps=float(self._rate or RATE) / self.every)
        finally:
            env.close()

    def about(self) -> dict[str, str]:
        told = {"environment": f"{self.env}, {self.policy} policy, {self.steps} frames an episode"}
        early = sum(length < self.steps for length in self._lengths.values())
        if early:
            shortest = min(self._lengths.values())
            told["ended early"] = (
                f"{early} of {self.count} episodes, by the environment; the shortest: {shortest} frames"
            )
        if self._rate is None:
            told["frame rate"] = f"the environment names none; {RATE:g} environment steps a second are taken"
        return told | (resized([self._drawn], self.size) if self._drawn else {})

    def parts(self, split: str) -> list[Part]:
        """One part an episode. Environments that may end an episode are simulated here once, without pictures."""
        numbers = [n for n in range(self.count) if _split(n, self.count) == split]
        if numbers and not self.pusht:
            missing = [n for n in numbers if n not in self._lengths]
            self._lengths.update({n: self._walk(n, filmed=False)[0] for n in missing})
        lengths = {n: self._lengths.get(n, self.steps) for n in numbers}
        return [Part(f"{n:05d}", 0, length, length, n) for n, length in lengths.items()]

    def read(self, part: Part) -> Episode:
        """Frames uint8 (T, H, W, 3) and condition float32 (T, D) of one episode, in an environment of its own.

        Raises:
            ValueError: as `spec`; or it ran otherwise than before, so that a seed does not determine it.
        """
        length, frames, rows = self._walk(part.where, filmed=True)
        if length != part.frames:
            raise ValueError(
                f"{self.env}, episode {part.where}: {length} frames, but {part.frames} when it was run before with the "
                f"same seed. Its reset(seed=...) does not determine what happens: it cannot be recorded repeatably."
            )
        condition = finite(np.stack(rows), f"{self.env}, episode {part.where}") if self.conditions else None
        return Episode(part.episode, np.stack(frames), condition)

    def _walk(self, number: int, filmed: bool) -> tuple[int, list[np.ndarray], list[np.ndarray]]:
        """Frames in all, and where they are wanted the frames and the rows of the condition."""
        reset_seed, drive_seed = np.random.SeedSequence([self.seed, number]).generate_state(2)
        env, length, ended, frames, rows = self._start(), 0, False, [], []
        try:
            observation, info = self._reset(env, int(reset_seed) >> 1)  # some environments take 31 bits
            act = self._driver(env, np.random.default_rng(drive_seed), info)
            while True:
                action = act(info)
                if filmed:
                    frames.append(self._frame(env, observation))
                    rows.append(self._row(env, observation, action))
                length += 1
                if length == self.steps or ended:
                    return length, frames, rows
                for _ in range(self.every):
                    try:
                        observation, _, ended, _, info = env.step(action)
                    except Exception as error:  # whatever a stranger's code raises
                        where = f"{self.env}, episode {number}, frame {length}"
                        raise ValueError(f"{where}: its step fails ({type(error).__name__}: {error}).") from error
                    ended = ended and not self.pusht
                    if ended:
                        break
        finally:
            env.close()

    def _driver(self, env: gymnasium.Env, rng: np.random.Generator, info: dict[str, Any]) -> Policy:
        if self.policy == "scripted":
            pushes = Pushes(rng)
            return lambda info: pushes(info).astype(np.float32)
        space: Any = env.action_space
        _numbers(space, self.env)  # refuses what nothing can be drawn from
        if hasattr(space, "n"):
            plan = iter(held(int(space.n), self.steps, rng) + space.start)
            return lambda info: int(next(plan))
        low, high, start = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64), None
        if self.pusht:  # its actions are places: the first one is where the agent stands, or it would leap
            low, high, start = low + MARGIN, high - MARGIN, np.asarray(info["pos_agent"])
        drawn = smooth(low, high, self.steps, rng, start).reshape(-1, *space.shape)
        if space.dtype.kind in "iu":
            drawn = np.rint(drawn)
        plan = iter(np.clip(drawn.astype(space.dtype), space.low, space.high))
        return lambda info: next(plan)

    def _row(self, env: gymnasium.Env, observation: Any, action: Any) -> np.ndarray:
        space: Any = env.action_space
        told = np.eye(space.n)[action - space.start] if hasattr(space, "n") else np.ravel(action)
        columns = {"action": told, "position": observation["agent_pos"] if self.pusht else ()}
        return np.concatenate([columns[key] for key in self.conditions] or [np.empty(0)])

    def _frame(self, env: gymnasium.Env, observation: Any) -> np.ndarray:
        """uint8 (H, W, 3). PushT's own render() marks the action with a cross: its observation does not."""
        try:
            frame = observation["pixels"] if self.pusht else env.render()
        except Exception as error:  # whatever a stranger's code raises
            raise ValueError(
                f"{self.env} does not render ({type(error).__name__}: {error}). Does it need a library for drawing"
                " without a screen? MUJOCO_GL=egl or osmesa chooses MuJoCo's."
            ) from error
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.shape[2:] != (3,):
            found = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise ValueError(
                f"{self.env} renders {found}; a frame must be uint8 (H, W, 3). Take an environment whose render() gives"
                " pictures where it is made with render_mode='rgb_array'."
            )
        self._drawn = frame.shape[:2]
        return resize(frame[None], self.size)[0]

    def _start(self) -> gymnasium.Env:
        """A fresh environment, ready to draw where there is no screen."""
        for key, value in HEADLESS.items():
            os.environ.setdefault(key, value)
        if sys.platform == "linux" and "DISPLAY" not in os.environ:
            os.environ.setdefault("MUJOCO_GL", "egl")
        gymnasium = _library("gymnasium", EXTRA)
        self._find(gymnasium)
        # Drawn at its full size of 512 and reduced by us: its own reduction has no filter, edges would flicker.
        own = (
            {"obs_type": "pixels_agent_pos", "observation_width": 512, "observation_height": 512} if self.pusht else {}
        )
        try:
            with warnings.catch_warnings():  # advice to those who train agents
                warnings.simplefilter("ignore")
                env = gymnasium.make(self.env, render_mode="rgb_array", disable_env_checker=True, **own)
        except (gymnasium.error.Error, ImportError) as error:
            raise ValueError(f"{self.env} does not start: {error}") from None
        except Exception as error:  # whatever an environment of a user's own does
            raise ValueError(f"{self.env} does not start ({type(error).__name__}: {error}).") from error
        self._rate = env.metadata.get("render_fps")
        if "rgb_array" not in env.metadata.get("render_modes", ()):
            env.close()
            modes = ", ".join(map(str, env.metadata.get("render_modes", ()))) or "nothing"
            raise ValueError(f"{self.env} does not render rgb_array (it renders {modes}): it cannot be filmed.")
        return env

    def _reset(self, env: Any, seed: int) -> Any:
        try:
            return env.reset(seed=seed)
        except Exception as error:  # likewise
            raise ValueError(f"{self.env} fails in reset(seed={seed}) ({type(error).__name__}: {error}).") from error

    def _find(self, gymnasium: Any) -> None:
        """Imports what holds the environment; raises ValueError where there is none of that name."""
        home, _, name = self.env.rpartition(":")
        space = name.split("/")[0] if "/" in name else ""
        if home or space in HOMES:
            _library(*((home, home) if home else HOMES[space]))
        if name not in gymnasium.registry:
            hint = nearest(name, [*gymnasium.registry, *SHORT])
            raise ValueError(f"There is no environment {self.env!r}.{hint} Its id is as in gymnasium.make(...).")


def _split(number: int, episodes: int) -> str:
    """The ninth of ten is val, the tenth test; of fewer than ten the last but one and the last."""
    from_end = 9 - number % 10 if episodes >= 10 else episodes - 1 - number
    if episodes < 3:
        return "val" if number else "train"
    return {0: "test", 1: "val"}.get(from_end, "train")


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        named = package if package != module else error.name  # a user's module may lack another
        raise ValueError(f"{error.name} is not installed. Install it with: pip install {named}") from None
    except ImportError as error:  # OpenCV without the system's libraries
        raise ValueError(
            f"{module} does not load ({error}). If libGL is what it misses: apt-get install libgl1 libglib2.0-0"
        ) from None
    except Exception as error:  # a module of a user's own
        raise ValueError(f"{module} does not load ({type(error).__name__}: {error}).") from error


def _numbers(space: Any, name: str) -> int:
    """D of an action: the numbers of a box, or one for each choice.

    Raises:
        ValueError: neither a bounded Box nor Discrete.
    """
    import gymnasium

    if isinstance(space, gymnasium.spaces.Discrete):
        return int(space.n)
    if not isinstance(space, gymnasium.spaces.Box):
        raise ValueError(f"{name} takes actions of {space}; only Box and Discrete are recorded.")
    if not space.is_bounded():
        raise ValueError(f"{name} takes actions of {space}: without bounds there is nothing to draw random ones from.")
    return int(np.prod(space.shape))
