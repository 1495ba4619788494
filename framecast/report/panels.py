"""Films beside each other, named and captioned: condition | truth | prediction | error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from framecast.report.figures import ORANGE
from framecast.report.film import rgb

GROUND, INK, FAINT = (17, 18, 22), (244, 244, 240), (170, 172, 180)


@dataclass(frozen=True)
class Panels(Sequence[np.ndarray]):
    """Films beside each other under their names, drawn frame by frame when asked for; `np.asarray` draws them all.

    Args:
        panes: name -> uint8 (T, H, W, C), all of one T, H and W.
        scale: pixels a pixel becomes on each side.
        captions: name -> a text for every frame, right of the name.
        given: the first frames, that were given; they are outlined.
    """

    panes: Mapping[str, np.ndarray]
    scale: int
    captions: Mapping[str, Sequence[str]]
    given: int = 0

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H', W', 3)."""
        t, h, w, _ = next(iter(self.panes.values())).shape
        n = len(self.panes)
        return t, self._strip + h * self.scale, n * w * self.scale + (n - 1) * self._gap, 3

    @property
    def _font(self) -> int:
        """Text height in pixels, fit for the width of a pane."""
        width = next(iter(self.panes.values())).shape[2] * self.scale
        return int(np.clip(width / 14, 12, 18))

    @property
    def _strip(self) -> int:
        return round(1.7 * self._font)

    @property
    def _gap(self) -> int:
        return max(2, self._font // 3)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """Frame `index` as (H', W', 3), or of a slice (T', H', W', 3)."""
        if isinstance(index, slice):
            return np.stack([self[i] for i in range(*index.indices(len(self)))])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        _, height, width, _ = self.shape
        canvas = Image.new("RGB", (width, height), GROUND)
        draw = ImageDraw.Draw(canvas)
        left = 0
        for name, film in self.panes.items():
            pane = enlarge(film[index], self.scale)
            canvas.paste(Image.fromarray(pane), (left, self._strip))
            if index % len(self) < self.given:
                box = (left, self._strip, left + pane.shape[1] - 1, height - 1)
                draw.rectangle(box, outline=ORANGE, width=3)
            caption = str(self.captions[name][index]) if name in self.captions else ""
            self._label(draw, left, pane.shape[1], name, caption)
            left += pane.shape[1] + self._gap
        return np.asarray(canvas)

    def _label(self, draw: ImageDraw.ImageDraw, left: int, width: int, name: str, caption: str) -> None:
        """Name on the left and caption on the right of a pane's strip, the name shortened where both do not fit."""
        type_, margin, middle = font(self._font), self._font // 3, self._strip // 2
        room = width - 2 * margin - (draw.textlength(caption, type_) + margin if caption else 0)
        draw.text((left + margin, middle), fit(name, room, self._font), INK, type_, anchor="lm")
        draw.text((left + width - margin, middle), caption, FAINT, type_, anchor="rm")


def panels(
    panes: Mapping[str, np.ndarray],
    scale: int | None = None,
    captions: Mapping[str, Sequence[str]] | None = None,
    given: int = 0,
) -> Panels:
    """Films beside each other, in the order given, each under its name.

    Args:
        panes: name -> uint8 (T, H, W, C), C = 1 or 3; all of one T, H and W.
        scale: whole number to enlarge by; None: so that a pane is at least 160 pixels high.
        captions: name -> T texts, drawn beside the name.
        given: the first frames, that were given; they are outlined.

    Returns:
        A film of T frames (H', W', 3), drawn as they are asked for.

    Raises:
        ValueError: no panes, unequal films, captions of no pane or of another length, or a scale below 1.
    """
    if not panes:
        raise ValueError("Panels need at least one film.")
    sizes = {name: film.shape[:3] for name, film in panes.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"Films beside each other have one length and size (T, H, W); these are {told}.")
    for name, film in panes.items():
        if film.dtype != np.uint8 or film.ndim != 4 or film.shape[3] not in (1, 3) or not film.size:
            raise ValueError(f"A film is uint8 (T, H, W, C) with C = 1 or 3; {name} is {film.dtype} {film.shape}.")
    t, height, _ = next(iter(sizes.values()))
    wrong = [name for name, texts in (captions or {}).items() if name not in panes or len(texts) != t]
    if wrong:
        raise ValueError(f"Captions belong to a pane and have a text for each of its {t} frames; not so: {wrong}.")
    scale = scale if scale is not None else math.ceil(160 / height)
    if scale < 1:
        raise ValueError(f"The scale is a whole number from 1; this is {scale!r}.")
    return Panels(dict(panes), scale, dict(captions or {}), given)


def side_by_side(
    truth: np.ndarray,
    prediction: np.ndarray | Mapping[str, np.ndarray],
    scale: int | None = None,
    condition: np.ndarray | None = None,
    gain: float = 3.0,
    scores: bool = True,
    given: int = 0,
) -> Panels:
    """condition | truth | prediction | error: what a result looks like, with the PSNR of every frame.

    Args:
        truth: uint8 (T, H, W, C).
        prediction: uint8 (T, H, W, C), or name -> such frames to see several models, each with its error.
        scale: whole number to enlarge by; None: so that a pane is at least 160 pixels high.
        condition: uint8 pictures (T, H, W, C) for a first pane, or None.
        gain: what differences are multiplied by in the error picture; its label says so. 0: no error pictures.
        scores: draw the PSNR (dB) beside each prediction's name.
        given: the films' first frames, that were given; they are outlined and have no score.

    Returns:
        A film of T frames (H', W', 3), drawn as they are asked for.

    Raises:
        ValueError: as `panels`.
    """
    several = prediction if isinstance(prediction, Mapping) else {"prediction": prediction}
    panes = {"truth": truth} if condition is None else {"condition": condition, "truth": truth}
    captions: dict[str, list[str]] = {}
    for name, film in several.items():
        panes[name] = film
        if gain:
            of = f" of {name}" if len(several) > 1 else ""
            panes[f"error{of} x {gain:g}"] = error_picture(truth, film, gain)
        if scores:
            drawn = [f"{value:.1f} dB" for value in _psnr(film[given:], truth[given:])]
            captions[name] = ["given"] * given + drawn
    return panels(panes, scale, captions, given)


def error_picture(truth: np.ndarray, prediction: np.ndarray, gain: float = 3.0) -> np.ndarray:
    """|difference|, mean over the channels, times `gain`, on the perceptually even scale inferno (0 is black).

    Args:
        truth, prediction: uint8 (T, H, W, C).

    Returns:
        uint8 (T, H, W, 3).

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"Errors are between films of one shape; truth {truth.shape}, prediction {prediction.shape}.")
    colours = inferno()
    film = np.empty((*truth.shape[:3], 3), dtype=np.uint8)
    for t, (one, two) in enumerate(zip(truth, prediction, strict=True)):  # by frame: int16 copies of a film are large
        difference = np.abs(one.astype(np.int16) - two).mean(axis=-1)
        film[t] = colours[np.clip(difference * gain, 0, 255).round().astype(np.uint8)]
    return film


@lru_cache(maxsize=1)
def inferno() -> np.ndarray:
    from matplotlib import colormaps

    return colormaps["inferno"](np.arange(256), bytes=True)[:, :3]


def _psnr(prediction: np.ndarray, truth: np.ndarray) -> list[float]:
    """PSNR (dB) of every frame of uint8 (T, H, W, C)."""
    from framecast.metrics import psnr
    from framecast.values import tensor

    return psnr(tensor(prediction)[None], tensor(truth)[None])[0].tolist()


def enlarge(frame: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, C) as (H * scale, W * scale, 3), every pixel a square: what is seen is what was predicted."""
    return rgb(frame).repeat(scale, axis=0).repeat(scale, axis=1)


@lru_cache(maxsize=16)
def font(size: int) -> Any:
    """Pillow's own sans serif font in pixels."""
    return ImageFont.load_default(size=size)


def fit(text: str, room: float, size: int) -> str:
    """The text, cut and ended by two dots (the font has no ellipsis) where it is wider than `room` pixels."""
    if font(size).getlength(text) <= room:
        return text
    while text and font(size).getlength(text + "..") > room:
        text = text[:-1]
    return text.rstrip() + ".."
