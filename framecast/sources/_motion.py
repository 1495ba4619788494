"""How the dancer moves: poses in phrases, a walk over the floor, a skeleton from both, and what swings after it.

Every number is looked up by (key, stream, index): the body at time t needs no time before it. n times at once;
lengths are in body heights, angles of tables in degrees.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

LAG = 14  # frames that cloth and hair remember
TALL = 0.8  # body height in picture heights

# Arms and legs as angles in degrees: elevation (0 hangs, 180 points up) and azimuth (0 outwards, 90 forwards) of the
# upper bone, then of the lower one; below zero the bone leans the other way.
ARMS = {
    "down": (10, 0, 14, 60), "low": (46, 0, 50, 20), "side": (88, 0, 90, 0), "vee": (130, 0, 138, 0),
    "up": (164, 0, 174, 0), "hip": (44, -25, 62, 170), "front": (85, 80, 88, 90), "cross": (55, 75, 95, 160),
    "back": (-30, 100, -35, 110), "flex": (92, 0, 172, 0), "out": (112, 0, 142, 0), "in": (112, 0, 208, 0),
    "head": (122, 10, 220, 20), "drop": (90, 0, 12, 0),
}  # fmt: skip
LEGS = {
    "stand": (4, 30, 2, 30), "wide": (21, 5, 18, 0), "tap": (30, 10, 31, 0), "ahead": (26, 85, 16, 80),
    "behind": (-12, 90, -34, 90), "knee": (82, 75, -8, 90), "kick": (80, 80, 86, 80), "fly": (66, 0, 70, 0),
    "swan": (-42, 80, -66, 90), "squat": (62, 40, -24, 50), "plie": (40, 20, -26, 30), "passe": (60, 10, -50, 0),
    "lunge": (46, 0, 4, 0), "reach": (42, 0, 40, 0),
}  # fmt: skip
# Bodies: roll to the left, bend forwards, twist of the shoulders, tilt and nod of the head (degrees), height of a
# jump and sideways sway of the hips (body heights).
BODIES = {
    "tall": (0, 0, 0, 0, 0, 0, 0), "left": (16, 0, 0, 12, 0, 0, 0.03), "right": (-16, 0, 0, -12, 0, 0, -0.03),
    "bow": (0, 62, 0, 0, 20, 0, 0), "arch": (0, -14, 0, 0, -18, 0, 0), "twist": (4, 6, 38, 0, 0, 0, 0),
    "turn": (-4, 6, -38, 0, 0, 0, 0), "air": (0, -3, 0, 0, -8, 0.12, 0), "tip": (26, 12, 0, 8, 0, 0, -0.02),
}  # fmt: skip
# Phrases of eight beats: left/right arm, and left/right leg:body; one name is both sides, and no body is tall.
ARM_PHRASES = (
    "down low side vee up vee side low",
    "hip/flex hip/out hip/in hip/out hip/in hip/out hip/flex down",
    "side/drop drop/side side/drop drop/side flex side drop down",
    "front side front cross side up side down",
    "up/down side down/up side up/down vee cross low",
    "head/hip head/side side/head hip/head vee up low hip",
    "back/front front/back back/front front/back back/front front/back low down",
    "flex up flex side flex up side low",
    "side/up up/side side/up up/side vee cross vee down",
    "down down low down hip hip low/down down",
    "out/in in/out out/in in/out out/in in/out up side",
)
LEG_PHRASES = (
    "stand/passe stand/passe stand/passe stand/passe stand/passe stand/passe stand stand",  # with a full turn
    "stand wide:left stand wide:right stand wide:left stand wide:right",
    "stand plie squat squat plie:twist wide:turn wide stand",
    "stand knee/stand kick/stand:arch stand stand/knee stand/kick:arch stand wide",
    "stand plie wide:air plie stand plie behind:air plie",
    "wide lunge/reach:left wide reach/lunge:right wide lunge/reach:tip wide stand",
    "stand wide wide:bow wide:bow wide:twist wide:arch stand stand",
    "stand tap/stand:right stand stand/tap:left stand ahead/stand:twist stand stand/ahead:turn",
    "stand swan/stand swan/stand:bow swan/stand:bow stand stand/fly:left stand/fly:left stand",
    "stand stand stand:left stand:left stand stand:right stand:right stand",
    "stand knee/stand:turn stand stand/knee:twist stand knee/stand:turn stand stand/knee:twist",
)
# Of the head: where it is from the neck (body heights).
HEAD = {
    "nose": (0, 0.082, 0.064), "chin": (0, 0.052, 0.024), "brow": (0, 0.096, 0.014), "skull": (0, 0.092, -0.018),
    "crown": (0, 0.122, -0.004), "bun": (0, 0.118, -0.075), "l_eye": (0.024, 0.098, 0.051),
    "r_eye": (-0.024, 0.098, 0.051), "l_ear": (0.054, 0.088, -0.004), "r_ear": (-0.054, 0.088, -0.004),
}  # fmt: skip
SWING = np.exp(-np.arange(LAG + 1) / 4.5) * np.cos(np.arange(LAG + 1) * 0.42)  # a damped pendulum's answer
SWING = (SWING / SWING.sum()).astype(np.float32)


def chance(key: int, stream: int, index: np.ndarray, width: int = 1) -> np.ndarray:
    """Uniform numbers in [0, 1) that belong to (key, stream, index), (len(index), width) (SplitMix64, Steele 2014)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    x = index.astype(np.int64).astype(np.uint64)[:, None] * golden
    x = x + np.arange(width, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)
    x = (x ^ np.uint64(key)) + np.full(1, stream, np.uint64) * np.uint64(0xA0761D6478BD642F) + golden
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def ease(u: np.ndarray) -> np.ndarray:
    """Minimum jerk from 0 to 1 (Flash and Hogan 1985)."""
    u = np.clip(u, 0, 1)
    return u**3 * (10 + u * (6 * u - 15))


def drift(key: int, stream: int, t: np.ndarray, period: float, width: int = 1) -> np.ndarray:
    """Smooth noise in [-1, 1], (n, width), a new value every `period` frames."""
    index = np.floor(t / period)
    a, b = (2 * chance(key, stream, index + i, width) - 1 for i in (0, 1))
    return a + (b - a) * ease(t / period - index)[:, None]


def _beats(
    key: int, stream: int, t: np.ndarray, length: float, uneven: float = 0.25
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """The beat each time falls in, and when a beat begins; each is early or late by up to `uneven`."""

    def begin(beat: np.ndarray) -> np.ndarray:
        return (beat + uneven * (2 * chance(key, stream, beat)[:, 0] - 1)) * length

    beat = np.floor(t / length)
    beat = beat - (t < begin(beat))
    return beat + (t >= begin(beat + 1)), begin


@lru_cache(maxsize=1)
def _phrases() -> tuple[np.ndarray, np.ndarray]:
    """Arms (2M, 8, 8) and legs with bodies (2M, 8, 15); the second half is mirrored."""

    def beat(text: str, limbs: dict[str, tuple[int, ...]]) -> list[float]:
        sides, _, body = text.partition(":")
        left, _, right = sides.partition("/")
        return [*limbs[left], *limbs[right or left], *(BODIES[body or "tall"] if limbs is LEGS else ())]

    arms = np.array([[beat(text, ARMS) for text in phrase.split()] for phrase in ARM_PHRASES], float)
    legs = np.array([[beat(text, LEGS) for text in phrase.split()] for phrase in LEG_PHRASES], float)
    swap = [4, 5, 6, 7, 0, 1, 2, 3]
    other = legs[:, :, [*swap, *range(8, 15)]] * ([1.0] * 8 + [-1, 1, -1, -1, 1, 1, -1])
    return np.concatenate([arms, arms[:, :, swap]]), np.concatenate([legs, other])


def _danced(key: int, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pose angles (n, 23) of the dance, and the angle (n,) of full turns on the spot."""
    arms, legs = _phrases()
    tempo = 10.5 + 3.5 * chance(key, 1, np.zeros(1))[0, 0]
    beat, begin = _beats(key, 2, t, tempo)
    keys = np.arange(beat.min() - 1, beat.max() + 3)
    phrase, within = np.floor_divide(keys, 8), np.mod(keys, 8).astype(int)
    chosen = chance(key, 3, phrase, 2)
    which = (chosen * (len(arms), len(legs))).astype(int)
    pose = np.concatenate([arms[which[:, 0], within], legs[which[:, 1], within]], axis=1)
    size = np.repeat([9.0, 4.0, 3.0, 0.006], (8, 8, 5, 2))
    pose = pose * (0.88 + 0.24 * chance(key, 4, keys)) + size * (2 * chance(key, 5, keys, 23) - 1)
    when = begin(keys)
    speed = np.zeros_like(pose)
    speed[1:-1] = 0.62 * (pose[2:] - pose[:-2]) / (when[2:] - when[:-2])[:, None]
    at = (beat - keys[0]).astype(int)
    span = (when[at + 1] - when[at])[:, None]
    u = (t - when[at])[:, None] / span
    hermite = (1 + 2 * u) * (1 - u) ** 2 * pose[at] + u**2 * (3 - 2 * u) * pose[at + 1]
    hermite += span * (u * (1 - u) ** 2 * speed[at] - u**2 * (1 - u) * speed[at + 1])
    first = np.floor_divide(beat, 8) * 8
    spins = (chance(key, 3, np.floor_divide(beat, 8), 2)[:, 1] * len(legs)).astype(int) % len(LEG_PHRASES) == 0
    turned = ease((t - begin(first + 1)) / (begin(first + 6) - begin(first + 1)))
    way = np.where(chance(key, 6, first)[:, 0] < 0.5, -1, 1)
    return hermite, 2 * np.pi * turned * spins * way


def _walked(key: int, t: np.ndarray, aspect: float) -> dict[str, np.ndarray]:
    """The path over the floor: x (picture heights), depth in [-1, 1], yaw, and the gait, each (n,)."""
    leg, begin = _beats(key, 7, t, 96.0, uneven=0.12)
    margin, lead = min(0.3, 0.35 * aspect), 12.0
    here, there = (chance(key, 8, leg + i, 4) for i in (0, 1))
    x0, x1 = (margin + (aspect - 2 * margin) * p[:, 0] for p in (here, there))
    span = begin(leg + 1) - begin(leg) - 2 * lead
    far = x1 - x0
    lasts = np.clip(np.abs(far) * 48, 16, span)
    since = t - begin(leg) - lead - (span - lasts) * here[:, 1]
    u = since / lasts
    gone = ease(u)
    steps = np.maximum(1, np.round(np.abs(far) / 0.34))
    weight = ease((since + 8) / 16) * ease((lasts - since + 8) / 16)
    base = [np.where(p[:, 2] < 0.14, 2.6, 0.75) * (2 * p[:, 3] - 1) for p in (here, there)]
    facing = ease((since + lead) / 18) * ease((lasts - since + lead) / 18) * ease(np.abs(far) / 0.5)
    yaw = base[0] + (base[1] - base[0]) * gone
    return {
        "x": x0 + far * gone,
        "depth": drift(key, 9, t, 140.0)[:, 0],
        "yaw": yaw + (1.35 * np.sign(far) - yaw) * facing,
        "weight": weight,
        "phase": np.pi * steps * gone,
        "pace": np.clip(4.5 * u * (1 - u), 0, 1) ** 2,
        "swing": np.arcsin(np.clip(np.abs(far) / steps / (2 * 0.47 * TALL), 0.0, 0.6)),
    }


def _aim(elevation: np.ndarray, azimuth: np.ndarray, side: float) -> np.ndarray:
    """Unit vectors (n, 3) of angles in degrees: x to the person's left, y up, z forwards."""
    e, a = np.radians(elevation), np.radians(azimuth)
    return np.stack([side * np.sin(e) * np.cos(a), -np.cos(e), np.sin(e) * np.sin(a)], -1)


def _turn(
    vector: np.ndarray, yaw: np.ndarray, pitch: np.ndarray | float = 0.0, roll: np.ndarray | float = 0.0
) -> np.ndarray:
    """Vectors (n, 3) rolled, pitched and yawed (radians)."""
    x, y, z = np.moveaxis(np.broadcast_to(vector, (len(yaw), 3)), -1, 0)
    x, y = x * np.cos(roll) + y * np.sin(roll), y * np.cos(roll) - x * np.sin(roll)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), z * np.cos(pitch) + y * np.sin(pitch)
    return np.stack([x * np.cos(yaw) + z * np.sin(yaw), y, z * np.cos(yaw) - x * np.sin(yaw)], -1)


def _limbs(pose: np.ndarray, walk: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Directions (n, 3) of the upper and lower bone of each limb: the dance folds away as the gait swings in."""
    limbs = {}
    weight, swing = walk["weight"], walk["swing"] * walk["weight"]
    for at, side, sign in ((0, "l", 1.0), (4, "r", -1.0)):
        stride = sign * np.sin(walk["phase"]) * swing
        bend = 0.95 * weight * walk["pace"] * np.clip(sign * np.cos(walk["phase"]), 0, 1) ** 1.5
        turns = {"upper": -stride, "lower": 0.35 * weight - 1.2 * stride, "thigh": stride, "shin": stride - bend}
        for i, (bone, turn) in enumerate(turns.items()):
            column = at + 2 * (i % 2) + 8 * (i // 2)
            rest, kept = (10.0, 0.1) if i < 2 else (1.0, 0.0)
            elevation = pose[:, column] + (rest - pose[:, column]) * weight * (1 - kept)
            x, y, z = _aim(elevation, pose[:, column + 1], sign).T
            down, ahead = np.cos(turn), np.sin(turn)
            limbs[f"{side}_{bone}"] = np.stack([x, y * down + z * ahead, z * down - y * ahead], -1)
    return limbs


def skeleton(key: int, t: np.ndarray, aspect: float) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Joints (n, 3) in body heights (x to the right, y up from the floor, z towards us), x on screen and scale (n,)."""
    pose, spun = _danced(key, t)
    walk = _walked(key, t, aspect)
    calm = 1 - 0.7 * walk["weight"]
    roll, pitch, twist, tilt, nod = (np.radians(pose[:, 16:21]) * calm[:, None]).T
    yaw = walk["yaw"] + spun
    limbs = _limbs(pose, walk)
    hang = [-(limbs[s + "_thigh"][:, 1] * 0.245 + limbs[s + "_shin"][:, 1] * 0.235) for s in "lr"]
    high = 0.5 * (hang[0] + hang[1] + np.hypot(hang[0] - hang[1], 0.02)) + 0.035
    high = high + np.maximum(pose[:, 21], 0) * (1 - walk["weight"])
    turn = yaw + twist * 0.8
    joint: dict[str, np.ndarray] = {}
    joint["pelvis"] = np.stack([pose[:, 22] * calm, high, 0 * high], -1)
    joint["neck"] = joint["pelvis"] + _turn(np.array([0, 0.295, 0.0]), turn, pitch, roll)
    joint["chest"] = joint["pelvis"] + _turn(np.array([0, 0.215, 0.01]), turn, pitch, roll)
    for s, sign in (("l", 1.0), ("r", -1.0)):
        joint[s + "_hip"] = joint["pelvis"] + _turn(np.array([sign * 0.058, 0, 0]), yaw)
        joint[s + "_knee"] = joint[s + "_hip"] + 0.245 * _turn(limbs[s + "_thigh"], yaw)
        joint[s + "_ankle"] = joint[s + "_knee"] + 0.235 * _turn(limbs[s + "_shin"], yaw)
        foot = _turn(np.array([sign * 0.3, 0, 1.0]), yaw)
        joint[s + "_heel"] = joint[s + "_ankle"] - 0.012 * foot - (0, 0.012, 0)
        joint[s + "_toe"] = joint[s + "_ankle"] + 0.068 * foot - (0, 0.018, 0)
        joint[s + "_shoulder"] = joint["neck"] + _turn(np.array([sign * 0.105, -0.022, 0]), turn, pitch, roll)
        joint[s + "_elbow"] = joint[s + "_shoulder"] + 0.165 * _turn(limbs[s + "_upper"], turn, pitch, roll)
        lower = _turn(limbs[s + "_lower"], turn, pitch, roll)
        joint[s + "_wrist"] = joint[s + "_elbow"] + 0.14 * lower
        joint[s + "_hand"] = joint[s + "_wrist"] + 0.045 * lower
    gaze = yaw + twist * 0.4
    for name, place in HEAD.items():
        joint[name] = joint["neck"] + _turn(np.array(place), gaze, 0.5 * pitch + nod, 0.6 * roll + tilt)
    return joint, walk["x"], TALL * (1 + 0.05 * walk["depth"])


def swinging(joint: dict[str, np.ndarray], x: np.ndarray, scale: np.ndarray, key: int, t: np.ndarray) -> None:
    """Adds hems and hair: they follow where the body was (a damped swing), and a breeze that no pose tells."""
    here = np.stack([x / scale, 0 * x, 0 * x], -1)
    breeze = drift(key, 20, t, 17.0, 4) * 0.6 + drift(key, 21, t, 45.0, 4)

    def trailing(points: np.ndarray, gain: float) -> np.ndarray:
        world = points + here
        past = sum(SWING[k] * np.roll(world, k, axis=0) for k in range(LAG + 1))
        lag = gain * (past - world)
        return lag / np.sqrt(1 + (np.linalg.norm(lag, axis=-1, keepdims=True) / 0.09) ** 2)

    knees = [joint[s + "_hip"] + 0.62 * (joint[s + "_knee"] - joint[s + "_hip"]) for s in "lr"]
    lag = trailing(joint["pelvis"], 0.9)
    for i, s in enumerate("lr"):
        out = (knees[i] - joint["pelvis"]) * (0.12, 0, 0.12)
        joint[s + "_hem"] = knees[i] + out + 0.6 * lag + np.stack([0.02 * breeze[:, i], 0 * x, 0 * x], -1)
    middle = (knees[0] + knees[1]) / 2
    joint["hem"] = middle + lag + np.stack([0.025 * breeze[:, 2], -0.012 + 0 * x, 0 * x], -1)
    away = joint["bun"] - joint["skull"]
    lag = trailing(joint["bun"], 1.1)
    sway = np.stack([0.03 * breeze[:, 3], 0 * x, 0 * x], -1)
    joint["curl"] = joint["bun"] + 0.35 * away + (0, -0.065, 0) + 0.45 * lag + 0.4 * sway
    joint["tip"] = joint["curl"] + (0, -0.085, 0) + lag + sway
