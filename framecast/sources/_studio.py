"""What the dancer data set looks like: the studio, the person in it, and the coloured skeleton of the labels.

Lengths are in picture heights, so a picture of any size shows the same scene. n frames · P parts · J joints.
Everything is drawn with one brush, a tapered capsule, in small windows around each part, all n frames at once.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

# The first 18 are OpenPose's (COCO order); the rest only shape the person.
JOINTS = (
    "nose", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "r_hip", "r_knee",
    "r_ankle", "l_hip", "l_knee", "l_ankle", "r_eye", "l_eye", "r_ear", "l_ear", "pelvis", "crown", "chin", "brow",
    "skull", "bun", "r_hand", "l_hand", "r_toe", "l_toe", "r_heel", "l_heel", "chest", "r_hem", "l_hem", "hem",
    "curl", "tip",
)  # fmt: skip
INDEX = {name: i for i, name in enumerate(JOINTS)}
HORIZON = 0.74  # where the wall meets the floor
LIGHT = (-0.62, -0.78)  # towards the key light: from the left, above


class Body(NamedTuple):
    """A person at n times: joints (n, J, 3) as x to the right, y down, both on screen, and depth towards us.

    ground (n, J, 2): where each joint's cast shadow falls; height (n, J) above the floor; scale (n,): height of body.
    """

    joints: np.ndarray
    ground: np.ndarray
    height: np.ndarray
    scale: np.ndarray


class Strokes(NamedTuple):
    """Tapered capsules from `a` to `b` (n, P, 2), with radii (n, P) and colours (n, P, C), in painting order.

    opacity (n, P); soft (n, P): half width of the edge in pixels; flat (n, P): 1 cuts the ends square;
    relief (n, P) or None: how much brighter the side towards the light is.
    """

    a: np.ndarray
    b: np.ndarray
    start: np.ndarray
    end: np.ndarray
    colour: np.ndarray
    opacity: np.ndarray
    soft: np.ndarray
    flat: np.ndarray
    relief: np.ndarray | None = None


def paint(canvas: np.ndarray, strokes: Strokes) -> np.ndarray:
    """The strokes over canvas (n, C, H, W), lengths in pixels; a new canvas of that shape."""
    count, channels, height, width = canvas.shape
    reach = np.abs(strokes.a - strokes.b).max(-1) + 2 * np.maximum(strokes.start, strokes.end) + 2 * strokes.soft
    side = int(np.ceil(reach.max())) + 3
    pad = side + 2
    wide = np.pad(canvas, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    s = wide.strides
    shape = (count, height + 2 * pad - side, width + 2 * pad - side, channels, side, side)
    windows = as_strided(wide, shape, (s[0], s[2], s[3], s[1], s[2], s[3]))
    corner = np.floor((strokes.a + strokes.b) / 2 - side / 2).astype(np.int64) + pad
    corner = np.clip(corner, 0, (shape[2] - 1, shape[1] - 1))
    grid = np.arange(side, dtype=np.float32) + np.float32(0.5 - pad)
    frames = np.arange(count)
    for p in range(strokes.a.shape[1]):
        x, y = corner[:, p, 0], corner[:, p, 1]
        cover, shade = _capsule(strokes, p, x[:, None] + grid, y[:, None] + grid)
        under = windows[frames, y, x]
        over = strokes.colour[:, p, :, None, None] * shade[:, None] - under
        over *= cover[:, None]
        windows[frames, y, x] = under + over
    return wide[:, :, pad:-pad, pad:-pad]


def _capsule(strokes: Strokes, p: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and shade (n, w, w) of stroke p at pixel centres x (n, w), y (n, w)."""
    a, start, soft = strokes.a[:, p], strokes.start[:, p, None, None], strokes.soft[:, p, None, None]
    along = strokes.b[:, p] - a
    length = np.maximum((along * along).sum(-1, keepdims=True), np.float32(1e-6))
    px, py, scaled = x - a[:, :1], y - a[:, 1:], along / length
    position = (px * scaled[:, :1])[:, None, :] + (py * scaled[:, 1:])[:, :, None]
    nearest = np.clip(position, 0, 1)
    dx = px[:, None, :] - nearest * along[:, :1, None]
    dy = py[:, :, None] - nearest * along[:, 1:, None]
    radius = start + nearest * (strokes.end[:, p, None, None] - start)
    cover = np.clip((radius - np.sqrt(dx * dx + dy * dy)) / (2 * soft) + np.float32(0.5), 0, 1)
    if strokes.flat[:, p].any():
        ends = np.minimum(position, 1 - position) * np.sqrt(length)[:, :, None]
        cover *= np.clip(ends + np.float32(0.5) + 1e4 * (1 - strokes.flat[:, p, None, None]), 0, 1)
    cover *= strokes.opacity[:, p, None, None]
    if strokes.relief is None:
        return cover, np.ones((1, 1, 1), np.float32)
    facing = (dx * np.float32(LIGHT[0]) + dy * np.float32(LIGHT[1])) / radius
    return cover, 1 + strokes.relief[:, p, None, None] * np.clip(facing, -1, 1)


# Of the person: from joint, to joint, radii at both (in body heights), colour, nearer by (body heights), square ends.
PARTS = (
    ("r_hip", "r_knee", 0.052, 0.039, "legs", -0.02, 1),
    ("l_hip", "l_knee", 0.052, 0.039, "legs", -0.02, 1),
    ("r_knee", "r_ankle", 0.037, 0.023, "legs", 0.0, 0),
    ("l_knee", "l_ankle", 0.037, 0.023, "legs", 0.0, 0),
    ("r_heel", "r_toe", 0.024, 0.018, "shoes", 0.01, 0),
    ("l_heel", "l_toe", 0.024, 0.018, "shoes", 0.01, 0),
    ("pelvis", "hem", 0.070, 0.088, "skirt", 0.02, 1),
    ("r_hip", "r_hem", 0.058, 0.072, "skirt", 0.03, 1),
    ("l_hip", "l_hem", 0.058, 0.072, "skirt", 0.03, 1),
    ("r_shoulder", "r_hip", 0.038, 0.052, "shirt", 0.0, 0),
    ("l_shoulder", "l_hip", 0.038, 0.052, "shirt", 0.0, 0),
    ("chest", "pelvis", 0.078, 0.062, "shirt", 0.012, 0),
    ("r_shoulder", "l_shoulder", 0.032, 0.032, "shirt", 0.01, 0),
    ("r_hip", "l_hip", 0.056, 0.056, "belt", 0.025, 0),
    ("neck", "chin", 0.028, 0.026, "skin", 0.0, 0),
    ("r_shoulder", "r_elbow", 0.034, 0.027, "sleeve", 0.01, 0),
    ("l_shoulder", "l_elbow", 0.034, 0.027, "sleeve", 0.01, 0),
    ("r_elbow", "r_wrist", 0.025, 0.019, "skin", 0.01, 0),
    ("l_elbow", "l_wrist", 0.025, 0.019, "skin", 0.01, 0),
    ("r_wrist", "r_hand", 0.022, 0.016, "skin", 0.012, 0),
    ("l_wrist", "l_hand", 0.022, 0.016, "skin", 0.012, 0),
    ("brow", "chin", 0.048, 0.040, "skin", 0.0, 0),
    ("skull", "crown", 0.060, 0.060, "hair", 0.0, 0),
    ("bun", "curl", 0.028, 0.026, "hair", -0.005, 0),
    ("curl", "tip", 0.026, 0.01, "hair", -0.005, 0),
    ("r_eye", "r_eye", 0.0075, 0.0075, "eyes", 0.03, 0),
    ("l_eye", "l_eye", 0.0075, 0.0075, "eyes", 0.03, 0),
)
LIMBS = (
    "neck r_shoulder, neck l_shoulder, r_shoulder r_elbow, r_elbow r_wrist, l_shoulder l_elbow, l_elbow l_wrist, "
    "neck r_hip, r_hip r_knee, r_knee r_ankle, neck l_hip, l_hip l_knee, l_knee l_ankle, "
    "neck nose, nose r_eye, r_eye r_ear, nose l_eye, l_eye l_ear"
)
CASTS = "neck pelvis, r_hip r_knee, l_hip l_knee, r_knee r_ankle, l_knee l_ankle, r_shoulder r_elbow, r_elbow r_hand, "
CASTS += "l_shoulder l_elbow, l_elbow l_hand, chin crown, r_shoulder r_hip, l_shoulder l_hip, pelvis hem, "
CASTS += "r_heel r_toe, l_heel l_toe"


def _pairs(text: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = [pair.split() for pair in text.split(", ")]
    return np.array([INDEX[a] for a, _ in pairs]), np.array([INDEX[b] for _, b in pairs])


def _full(value: float, like: np.ndarray) -> np.ndarray:
    return np.full(like.shape[:2], value, np.float32)


def person(canvas: np.ndarray, body: Body, seed: int) -> np.ndarray:
    """The person over canvas (n, 3, H, W), far parts first."""
    start = np.array([INDEX[part[0]] for part in PARTS])
    end = np.array([INDEX[part[1]] for part in PARTS])
    first, last, tint, nearer, flat = (np.array([part[i] for part in PARTS]) for i in range(2, 7))
    size = canvas.shape[2]
    scale = body.scale[:, None]
    depth = (body.joints[:, start, 2] + body.joints[:, end, 2]) / 2 + nearer * scale
    order = np.argsort(depth, axis=1, kind="stable")
    rows = np.arange(len(order))[:, None]
    radius = (np.stack([first, last])[:, order] * scale * size).astype(np.float32)
    full = np.maximum(radius, np.float32(0.5))
    faint = np.where(tint == "eyes", 2.0, 1.0)[order]
    colours = look(seed)
    a, b = (body.joints[rows, index[order], :2] * size for index in (start, end))
    palette = np.stack([colours[name] for name in tint])[order]
    opacity = ((radius / full).min(0) ** faint).astype(np.float32)
    soft = _full(0.5, order)
    relief = np.where(np.isin(tint, ("shirt", "skirt", "belt")), 0.1, 0.3).astype(np.float32)[order]
    return paint(
        canvas, Strokes(a, b, full[0], full[1], palette, opacity, soft, flat[order].astype(np.float32), relief)
    )


def shadow(body: Body, size: tuple[int, int]) -> np.ndarray:
    """How much of the key light the person takes from each pixel, (n, 1, H, W) in [0, 1]."""
    a, b = _pairs(CASTS)
    high = (body.height[:, a] + body.height[:, b]) / 2
    soft = ((0.012 + 0.075 * high) * size[0]).astype(np.float32)
    radius = (np.float32(0.03) * body.scale[:, None] * size[0] + 0 * high).astype(np.float32)
    opacity = (0.75 / (1 + 2.2 * high)).astype(np.float32)
    colour = np.ones((*high.shape, 1), np.float32)
    ground = body.ground * size[0]
    strokes = Strokes(ground[:, a], ground[:, b], radius, radius, colour, opacity, soft, _full(0, high))
    return paint(np.zeros((len(high), 1, *size), np.float32), strokes)


def label(body: Body, size: tuple[int, int]) -> np.ndarray:
    """The skeleton on white ground, uint8 (n, H, W, 3): 17 bones in their own hues and a dot at each of 18 joints."""
    a, b = _pairs(LIMBS)
    dots = np.unique(np.concatenate([a, b]))
    count, bones = len(body.joints), len(a)
    bone = [colorsys.hsv_to_rgb(i / bones, 1.0, 0.92) for i in range(bones)]
    dot = [colorsys.hsv_to_rgb((i + 0.5) / len(dots), 1.0, 0.75) for i in range(len(dots))]
    colour = np.broadcast_to(np.array(bone + dot, np.float32) * 255, (count, bones + len(dots), 3))
    points = body.joints[..., :2] * np.float32(size[0])
    start, end = points[:, np.concatenate([a, dots])], points[:, np.concatenate([b, dots])]
    thick = np.repeat(np.array([0.62, 0.72], np.float32) * size[0] / 32, (bones, len(dots)))
    radius = np.broadcast_to(thick, start.shape[:2])
    white = np.full((count, 3, *size), 255, np.float32)
    ones = _full(1, start)
    ground = paint(white, Strokes(start, end, radius, radius, colour, ones, ones / 2, 0 * ones))
    return np.ascontiguousarray((ground + np.float32(0.5)).astype(np.uint8).transpose(0, 2, 3, 1))


@lru_cache(maxsize=8)
def look(seed: int) -> dict[str, np.ndarray]:
    """The colours (3,) float32 0..255 of one seed's person."""
    rng = np.random.default_rng([seed, 1])

    def colour(hue: float, saturation: float, value: float) -> np.ndarray:
        return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32) * 255

    hue, tone = rng.random(), rng.random()
    skirt = hue + rng.choice([0.0, 0.33, 0.5, 0.58])
    return {
        "skin": colour(0.06, 0.32 + 0.3 * tone, 0.92 - 0.45 * tone),
        "hair": colour(0.07, 0.55, 0.14 + 0.25 * rng.random()),
        "eyes": colour(0.06, 0.4, 0.12),
        "shirt": colour(hue, 0.62, 0.70),
        "sleeve": colour(hue, 0.62, 0.64),
        "belt": colour(skirt, 0.6, 0.36),
        "skirt": colour(skirt, 0.6, 0.40),
        "legs": colour(0.62, 0.35, 0.22 + 0.10 * rng.random()),
        "shoes": colour(rng.random(), 0.5, 0.3),
    }


@lru_cache(maxsize=8)
def studio(seed: int, size: tuple[int, int]) -> np.ndarray:
    """The empty studio under its key light, (3, H, W) float32 0..255; drawn four times as large and averaged."""
    rng = np.random.default_rng([seed, 2])
    fine = 4
    height, width = size[0] * fine, size[1] * fine
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / height, indexing="ij")
    u = x / (width / height)
    warm, hue = rng.random(), rng.random()
    wall = np.array(colorsys.hsv_to_rgb(hue, 0.05 + 0.10 * warm, 0.81))
    wood = np.array(colorsys.hsv_to_rgb(0.07 + 0.03 * warm, 0.36, 0.70))
    floor = y > HORIZON
    glow = (
        1.04 - 0.30 * u + 0.16 * np.exp(-(((u - 0.3) / 0.25) ** 2) - ((y - 0.2) / 0.4) ** 2) - 0.10 * np.abs(y - 0.35)
    )
    picture = (
        np.where(floor[..., None], wood, wall)
        * np.where(floor, 0.80 + 0.6 * (y - HORIZON) + 0.1 * (1 - u), glow)[..., None]
    )
    away = 0.16 / np.maximum(y - HORIZON + 0.12, 0.02)
    plank = np.abs(((u - 0.5) * 9 * away + 0.5) % 1 - 0.5) > 0.46
    picture *= np.where(floor & plank, 0.93, 1.0)[..., None]
    panes = (np.abs(u - 0.16 - 0.1 * y) < 0.085) & (np.abs(y - 0.3) < 0.2)
    bars = (np.abs(u - 0.16 - 0.1 * y) < 0.006) | (np.abs(y - 0.3) < 0.012)
    picture *= np.where(panes & ~bars, 1.14, 1.0)[..., None]
    at, tint = 0.70 + 0.12 * rng.random(), np.array(colorsys.hsv_to_rgb(rng.random(), 0.5, 0.62))
    poster = (np.abs(u - at) < 0.055) & (np.abs(y - 0.27) < 0.14)
    picture[poster] = (tint * (0.85 + 0.35 * np.abs(y - 0.22)[..., None] * 2))[poster]
    rail = (np.abs(y - 0.50) < 0.009) | ((np.abs((u * 4) % 1 - 0.5) < 0.012) & (y > 0.5) & ~floor)
    picture[rail & ~floor] *= 0.62
    skirting = (y > HORIZON - 0.035) & ~floor
    picture[skirting] *= 0.80
    picture *= np.where(floor, 1 - 0.25 * np.exp(-(y - HORIZON) / 0.02), 1.0)[..., None]
    small = picture.reshape(size[0], fine, size[1], fine, 3).mean((1, 3))
    return np.ascontiguousarray(np.clip(small, 0, 1).transpose(2, 0, 1).astype(np.float32) * 255)
