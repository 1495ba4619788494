"""The built-in data set: a person dancing in a studio, with coloured skeletons as labels. No files are needed.

Frame t of a sequence is a pure function of (seed, sequence, t): motion, drifting light, swaying cloth and noise are
all looked up by index, none is carried along. A seed is one person in one studio; a sequence is one recording of both.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from framecast.sources import SPLITS, Part, Source
from framecast.sources import _studio as studio
from framecast.values import Condition, Episode, Spec, size_of

BLOCK = 32  # frames drawn together; a block is always drawn whole, so that its bytes depend on nothing else
PART = 256
TEST_FRAMES = 630
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
# Phrases of eight beats. Arms are left/right; legs are left/right/body.
ARM_PHRASES = (
    "down/down low/low side/side vee/vee up/up vee/vee side/side low/low",
    "hip/flex hip/out hip/in hip/out hip/in hip/out hip/flex down/down",
    "side/drop drop/side side/drop drop/side flex/flex side/side drop/drop down/down",
    "front/front side/side front/front cross/cross side/side up/up side/side down/down",
    "up/down side/side down/up side/side up/down vee/vee cross/cross low/low",
    "head/hip head/side side/head hip/head vee/vee up/up low/low hip/hip",
    "back/front front/back back/front front/back back/front front/back low/low down/down",
    "flex/flex up/up flex/flex side/side flex/flex up/up side/side low/low",
    "side/up up/side side/up up/side vee/vee cross/cross vee/vee down/down",
    "down/down down/down low/low down/down hip/hip hip/hip low/down down/down",
    "out/in in/out out/in in/out out/in in/out up/up side/side",
)
LEG_PHRASES = (
    "stand/passe/tall stand/passe/tall stand/passe/tall stand/passe/tall stand/passe/tall stand/passe/tall "
    "stand/stand/tall stand/stand/tall",  # the spin: see `turned`
    "stand/stand/tall wide/wide/left stand/stand/tall wide/wide/right stand/stand/tall wide/wide/left "
    "stand/stand/tall wide/wide/right",
    "stand/stand/tall plie/plie/tall squat/squat/tall squat/squat/tall plie/plie/twist wide/wide/turn wide/wide/tall "
    "stand/stand/tall",
    "stand/stand/tall knee/stand/tall kick/stand/arch stand/stand/tall stand/knee/tall stand/kick/arch "
    "stand/stand/tall wide/wide/tall",
    "stand/stand/tall plie/plie/tall wide/wide/air plie/plie/tall stand/stand/tall plie/plie/tall behind/behind/air "
    "plie/plie/tall",
    "wide/wide/tall lunge/reach/left wide/wide/tall reach/lunge/right wide/wide/tall lunge/reach/tip wide/wide/tall "
    "stand/stand/tall",
    "stand/stand/tall wide/wide/tall wide/wide/bow wide/wide/bow wide/wide/twist wide/wide/arch stand/stand/tall "
    "stand/stand/tall",
    "stand/stand/tall tap/stand/right stand/stand/tall stand/tap/left stand/stand/tall ahead/stand/twist "
    "stand/stand/tall stand/ahead/turn",
    "stand/stand/tall swan/stand/tall swan/stand/bow swan/stand/bow stand/stand/tall stand/fly/left stand/fly/left "
    "stand/stand/tall",
    "stand/stand/tall stand/stand/tall stand/stand/left stand/stand/left stand/stand/tall stand/stand/right "
    "stand/stand/right stand/stand/tall",
    "stand/stand/tall knee/stand/turn stand/stand/tall stand/knee/twist stand/stand/tall knee/stand/turn "
    "stand/stand/tall stand/knee/twist",
)
SWING = np.exp(-np.arange(LAG + 1) / 4.5) * np.cos(np.arange(LAG + 1) * 0.42)  # a damped pendulum's answer
SWING = (SWING / SWING.sum()).astype(np.float32)


def _key(seed: int, sequence: str | int) -> int:
    return int.from_bytes(blake2b(f"{seed}/{sequence}".encode(), digest_size=8).digest(), "little")


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
    arms = np.array(
        [[[*ARMS[a], *ARMS[b]] for a, b in (beat.split("/") for beat in p.split())] for p in ARM_PHRASES], float
    )
    legs = np.array(
        [
            [[*LEGS[a], *LEGS[b], *BODIES[c]] for a, b, c in (beat.split("/") for beat in p.split())]
            for p in LEG_PHRASES
        ],
        float,
    )
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
    """The path over the floor: x (picture heights), depth in [-1, 1], yaw, gait weight, phase, pace and swing, each (n,)."""
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
    face = {"nose": (0, 0.082, 0.064), "chin": (0, 0.052, 0.024), "brow": (0, 0.096, 0.014), "skull": (0, 0.092, -0.018)}
    face |= {"crown": (0, 0.122, -0.004), "bun": (0, 0.118, -0.075)}
    face |= {"l_eye": (0.024, 0.098, 0.056), "r_eye": (-0.024, 0.098, 0.056)}
    face |= {"l_ear": (0.054, 0.088, -0.004), "r_ear": (-0.054, 0.088, -0.004)}
    for name, place in face.items():
        joint[name] = joint["neck"] + _turn(np.array(place), gaze, 0.5 * pitch + nod, 0.6 * roll + tilt)
    return joint, walk["x"], TALL * (1 + 0.05 * walk["depth"])


def _swinging(joint: dict[str, np.ndarray], x: np.ndarray, scale: np.ndarray, key: int, t: np.ndarray) -> None:
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


def _body(key: int, start: int, stop: int, aspect: float) -> studio.Body:
    t = np.arange(start - LAG, stop, dtype=np.float64)
    joint, x, scale = skeleton(key, t, aspect)
    _swinging(joint, x, scale, key, t)
    points = np.stack([joint[name] for name in studio.JOINTS], 1)[LAG:]
    x, scale = x[LAG:, None], scale[LAG:, None]
    floor = 0.925 + 0.5 * (scale - TALL)
    px, height, depth = (points[..., i] * scale for i in range(3))
    screen = np.stack([x + px, floor - height + 0.16 * depth, depth], -1)
    above = np.maximum(height - 0.02, 0)
    ground = np.stack([x + px + 0.42 * above, floor + 0.16 * depth - 0.13 * above], -1)
    return studio.Body(*(a.astype(np.float32) for a in (screen, ground, above, scale[:, 0])))


def _light(key: int, start: int, stop: int, aspect: float, width: int) -> np.ndarray:
    """The drifting key light as a factor, (n, 3, 1, W)."""
    t = np.arange(start, stop, dtype=np.float64)
    level = 1 + 0.045 * drift(key, 30, t, 330.0) + 0.015 * drift(key, 31, t, 80.0)
    colour = level + 0.018 * drift(key, 32, t, 460.0, 3) * (1, 0.3, -1)
    across = np.linspace(-0.5, 0.5, width)
    return (colour[:, :, None, None] * (1 + 0.05 * drift(key, 33, t, 390.0)[:, None, None] * across)).astype(np.float32)


def _block(seed: int, key: int, index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    start, stop, aspect = index * BLOCK, (index + 1) * BLOCK, size[1] / size[0]
    body = _body(key, start, stop, aspect)
    picture = studio.studio(seed, size) * (1 - np.float32(0.42) * studio.shadow(body, size))
    picture = studio.person(picture, body, seed) * _light(key, start, stop, aspect, size[1])
    noise = np.random.Generator(np.random.Philox(key=[key, index])).standard_normal(picture.shape, np.float32)
    picture = np.clip(picture + np.float32(1.7) * noise, 0, 255) + np.float32(0.5)
    return np.ascontiguousarray(picture.astype(np.uint8).transpose(0, 2, 3, 1)), studio.label(body, size)


def draw(
    seed: int, sequence: str | int, start: int, stop: int, size: tuple[int, int] = (32, 64)
) -> tuple[np.ndarray, np.ndarray]:
    """Frames start..stop of a sequence and their labels, each uint8 (stop - start, H, W, 3).

    Frame t is a pure function of (seed, sequence, t) and size: the same bytes however a range is cut.
    """
    key = _key(seed, sequence)
    blocks = range(start // BLOCK, -(-stop // BLOCK))
    drawn = [_block(seed, key, index, size) for index in blocks]
    first = start - blocks.start * BLOCK
    frames, labels = (np.concatenate(each)[first : first + stop - start] for each in zip(*drawn, strict=True))
    return frames, labels


class Dancer(Source):
    """A person dancing in a studio, drawn as it is read.

    Args:
        train: frames of the one training episode.
        val: frames of the one validation episode.
        test: number of test episodes, each of 630 frames.
        seed: the person and the studio; and, with the name of the episode, the dance.
        size: height x width of frames and labels.
    """

    def __init__(self, train: int = 23410, val: int = 630, test: int = 5, seed: int = 0, size: str = "32x64"):
        for name, value in (("train", train), ("val", val), ("test", test), ("seed", seed)):
            if value < 0:
                raise ValueError(f"dancer's {name} is {value}; it must be 0 or more.")
        self.size = size_of(size) or (32, 64)
        self.seed = seed
        self.lengths = {
            "train": {"train": train} if train else {},
            "val": {"val": val} if val else {},
            "test": {str(i): TEST_FRAMES for i in range(test)},
        }

    def spec(self) -> Spec:
        return Spec(*self.size, 3, Condition("picture", 3), fps=30.0)

    def parts(self, split: str) -> list[Part]:
        if split not in SPLITS:
            raise ValueError(f"There is no split {split!r}; there are {', '.join(SPLITS)}.")
        return [
            Part(name, start, min(start + PART, length), min(PART, length - start))
            for name, length in self.lengths[split].items()
            for start in range(0, length, PART)
        ]

    def read(self, part: Part) -> Episode:
        return Episode(part.episode, *draw(self.seed, part.episode, part.start, part.stop, self.size))


def write(
    root: str | Path,
    train: int = 23410,
    val: int = 630,
    test: int = 5,
    seed: int = 0,
    size: str = "32x64",
    progress: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> Path:
    """Writes the data set as the course's folders of PNGs, plus test/test_truth; `progress` hears how many are done.

    Raises:
        FileExistsError: ROOT holds something already.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FileExistsError(f"{root} is not empty. Give a new folder, or remove this one first.")
    source = Dancer(train, val, test, seed, size)
    root.parent.mkdir(parents=True, exist_ok=True)
    partial_root = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".partial", dir=root.parent))
    jobs = [(split, part) for split in SPLITS for part in source.parts(split)]
    try:
        _each(partial(_save, partial_root, source), jobs, workers or os.cpu_count() or 1, progress)
        partial_root.chmod(0o755)
        if root.exists():
            root.rmdir()
        partial_root.rename(root)
    finally:
        shutil.rmtree(partial_root, ignore_errors=True)
    return root


def _each(
    task: Callable[[tuple[str, Part]], int], jobs: list, workers: int, progress: Callable[[int], None] | None
) -> None:
    tell = progress or (lambda count: None)
    if workers == 1 or len(jobs) == 1:
        for job in jobs:
            tell(task(job))
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))) as pool:
        for count in pool.imap_unordered(task, jobs):
            tell(count)


def _save(root: Path, source: Dancer, job: tuple[str, Part]) -> int:
    """One part's PNGs under root; returns its number of frames."""
    split, part = job
    frames, labels = draw(source.seed, part.episode, part.start, part.stop, source.size)
    inner = part.episode if split == "test" else ""
    folders = {"img": frames, "label": labels}
    if split == "test":
        folders = {"img": frames[: max(0, 1 - part.start)], "label": labels, "truth": frames}
    for kind, pictures in folders.items():
        folder = root / split / f"{split}_{kind}" / inner
        folder.mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{part.start + i}.png")
    return len(frames)
