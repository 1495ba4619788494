"""Films in and out (GIF, WebP, MP4, PNG folder, npz), and panels beside each other.

Frames are uint8 (T, H, W, C), C = 3 colours or 1 grey. Anything that yields frames (H, W, C) one by one is a film too:
MP4 and PNG folders are written from it in constant memory.
"""

from __future__ import annotations

import difflib
import io
import itertools
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageSequence

Frames = Iterable[np.ndarray]  # an array (T, H, W, C), a `Panels`, or an iterator of (H, W, C)

PALETTE_PIXELS = 400_000  # looked at to choose a GIF's colours
GROUND, INK, FAINT = (17, 18, 22), (244, 244, 240), (170, 172, 180)


# --- writing -------------------------------------------------------------------------------------------------------


def write_film(path: str | Path, frames: Frames, fps: float = 30.0) -> Path:
    """Write a film in the form its suffix names, whole or not at all.

    - `.gif`: one palette of at most 255 colours for the whole film, no dithering, so nothing flickers. GIF counts time
      in steps of 10 ms: a frame lasts 1/fps rounded to that, at least 20 ms (browsers slow down anything faster), so
      30 fps plays at 33.3.
    - `.webp`: animated, quality 90; a frame lasts 1/fps rounded to 1 ms.
    - `.mp4`: H.264, 4:2:0; odd sizes grow by one repeated row or column.
    - `.npz`: the key `frames`, exact; several films (K, T, H, W, C) as well.
    - no suffix: a folder of `0.png`, `1.png`, ..., exact. An older film in that folder is replaced.

    Args:
        path: where to; its folder is made.
        frames: uint8 (T, H, W, C), or an iterator of (H, W, C), C = 1 or 3.
        fps: frames per second; npz and PNG folders do not keep it.

    Returns:
        The path.

    Raises:
        ValueError: an unknown suffix, no frames, frames of another type or of unequal sizes.
    """
    path, suffix = Path(path), check_suffix(path)
    if not fps > 0:
        raise ValueError(f"A film plays at more than 0 frames per second; this is {fps!r}.")
    if not suffix and path.is_dir() and not all(p.suffix == ".png" and p.stem.isdigit() for p in path.iterdir()):
        raise ValueError(f"{path} holds more than a film of N.png files. Name another folder, or empty this one.")
    with replacing(path) as partial:
        WRITERS[suffix](partial, _checked(frames, axes=(3, 4) if suffix == ".npz" else (3,)), fps)
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file or folder to; it takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        partial = Path(scratch) / path.name
        yield partial
        for file in sorted(partial.iterdir()) if partial.is_dir() else [partial]:
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
        if partial.is_dir() and path.is_dir():
            os.replace(path, Path(scratch) / "older")  # a folder that is not empty cannot be replaced in one move
        os.replace(partial, path)


def _write_gif(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    film = [_rgb(frame) for frame in frames]
    colours = _palette(film)
    first, *rest = _indexed(film, colours)
    step = max(20, 10 * round(100 / fps))
    options: dict[str, Any] = {"palette": colours.tobytes(), "comment": _mark(len(film), step), "optimize": True}
    first.save(path, "GIF", save_all=True, append_images=rest, duration=step, loop=0, disposal=1, **options)


def _palette(film: Sequence[np.ndarray]) -> np.ndarray:
    """Up to 255 colours (n, 3) for a whole film, by median cut of pixels from up to 64 of its frames."""
    sample = [film[i].reshape(-1, 3) for i in np.unique(np.linspace(0, len(film) - 1, 64).round().astype(int))]
    stride = math.ceil(sum(map(len, sample)) / PALETTE_PIXELS)
    pixels = np.concatenate([s[k % stride :: stride] for k, s in enumerate(sample)])
    chosen = Image.fromarray(pixels[None]).quantize(255, Image.Quantize.MEDIANCUT, kmeans=2).getpalette()
    return np.unique(np.asarray(chosen, dtype=np.uint8).reshape(-1, 3), axis=0)


def _indexed(film: Sequence[np.ndarray], colours: np.ndarray) -> Iterator[Image.Image]:
    """The frames in the nearest of `colours`; each colour met is looked for once (Pillow's own search is off by 6)."""
    palette = colours.astype(np.float32)
    found = np.full(2**24, -1, dtype=np.int16)
    for frame in film:
        red, green, blue = np.moveaxis(frame.astype(np.int32), -1, 0)
        codes = red << 16 | green << 8 | blue
        new = np.unique(codes[found[codes] < 0])
        for part in np.array_split(new, math.ceil(len(new) / 2**15) or 1):
            met = np.stack([part >> 16, part >> 8 & 255, part & 255], axis=1).astype(np.float32)
            found[part] = ((palette**2).sum(1) - 2 * met @ palette.T).argmin(1)
        picture = Image.fromarray(found[codes].astype(np.uint8))
        picture.putpalette(colours.tobytes())
        yield picture


def _mark(count: int, step: int) -> bytes:
    """Left in the file, since writers merge equal neighbours and durations alone do not tell how many there were."""
    return b"framecast frames=%d step_ms=%d" % (count, step)


def _write_webp(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    first, *rest = (Image.fromarray(_rgb(frame)) for frame in frames)
    step = max(1, round(1000 / fps))
    options: dict[str, Any] = {"quality": 90, "method": 4, "xmp": _mark(1 + len(rest), step)}
    first.save(path, "WEBP", save_all=True, append_images=rest, duration=step, loop=0, **options)


def _write_mp4(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    import av  # here, since it brings ffmpeg along

    first = next(frames)
    height, width = (n + n % 2 for n in first.shape[:2])
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "16", "preset": "medium"}
        # said in the file, since players otherwise guess the matrix from the picture's size, and guess differently
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 1, 1, 1, 1
        for frame in itertools.chain([first], frames):
            padding = [(0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)]
            picture = av.VideoFrame.from_ndarray(np.pad(_rgb(frame), padding, mode="edge"), format="rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode(None))


def _write_pngs(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    path.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame[:, :, 0] if frame.shape[2] == 1 else frame).save(path / f"{number}.png")


def _write_npz(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    np.savez_compressed(path, frames=np.stack(list(frames)))


WRITERS: dict[str, Callable[[Path, Iterator[np.ndarray], float], None]] = {
    ".gif": _write_gif,
    ".webp": _write_webp,
    ".mp4": _write_mp4,
    ".npz": _write_npz,
    "": _write_pngs,
}


def check_suffix(path: str | Path) -> str:
    """The suffix a film's name ends in, in small letters; before an hour of work, not after it.

    Raises:
        ValueError: there is no such kind of film.
    """
    path = Path(path)
    suffix, allowed = path.suffix.lower(), [known for known in WRITERS if known]
    if suffix in WRITERS:
        return suffix
    nearest = difflib.get_close_matches(suffix, allowed, n=1, cutoff=0.5)
    hint = f" Did you mean {path.with_suffix(nearest[0]).name}?" if nearest else ""
    raise ValueError(
        f"{path.name} has the suffix {path.suffix!r}; films are {', '.join(allowed)}, "
        f"or a name without a suffix for a folder of PNG files.{hint}"
    )


def _checked(frames: Frames, axes: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The frames as they come, each one looked at."""
    shape = None
    for number, frame in enumerate(frames):
        shape = shape or frame.shape
        if frame.dtype != np.uint8 or frame.ndim not in axes or frame.shape[-1] not in (1, 3):
            raise ValueError(
                f"A frame is uint8 (H, W, C) with C = 1 or 3; frame {number} is {frame.dtype} {frame.shape}."
            )
        if frame.shape != shape:
            raise ValueError(f"All frames of a film have one size; frame {number} is {frame.shape}, frame 0 {shape}.")
        yield np.ascontiguousarray(frame)
    if shape is None:
        raise ValueError("A film has at least one frame; there are none.")


def _rgb(frame: np.ndarray) -> np.ndarray:
    """(H, W, 1 or 3) as (H, W, 3)."""
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame


# --- reading -------------------------------------------------------------------------------------------------------


def read_film(path: str | Path) -> np.ndarray:
    """A film as uint8 (T, H, W, C), with merged frames of GIF and WebP repeated for as long as they last.

    An MP4 comes back at its even size; grey films come back grey from npz and PNG only.

    Raises:
        ValueError: an unknown suffix, or a folder without N.png files.
    """
    path, suffix = Path(path), check_suffix(path)
    if suffix == ".npz":
        return np.load(path)["frames"]
    if suffix == ".mp4":
        import av

        with av.open(str(path)) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    if suffix:
        return _read_animation(path)
    files = sorted((p for p in path.glob("*.png") if p.stem.isdigit()), key=lambda p: int(p.stem))
    if not files:
        raise ValueError(f"{path} holds no pictures 0.png, 1.png, ....")
    pictures = np.stack([np.asarray(Image.open(io.BytesIO(file.read_bytes()))) for file in files])
    return pictures if pictures.ndim == 4 else pictures[..., None]


def _read_animation(path: Path) -> np.ndarray:
    with Image.open(path) as film:
        mark = film.info.get("comment", b"") + film.info.get("xmp", b"")
        shots = [(np.asarray(f.convert("RGB")), int(f.info.get("duration", 0))) for f in ImageSequence.Iterator(film)]
    ours = re.search(rb"framecast frames=(\d+) step_ms=(\d+)", mark)
    if ours and len(shots) == 1:  # a still film: WebP drops even its duration
        return np.repeat(shots[0][0][None], int(ours[1]), axis=0)
    step = max(1, int(ours[2]) if ours else math.gcd(*(lasting for _, lasting in shots)))
    return np.concatenate([np.repeat(shot[None], max(1, round(lasting / step)), axis=0) for shot, lasting in shots])


# --- panels --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panels(Sequence[np.ndarray]):
    """Films beside each other under their names, drawn frame by frame when asked for; `np.asarray` draws them all.

    Args:
        panes: name -> uint8 (T, H, W, C), all of one T, H and W.
        scale: pixels a pixel becomes on each side.
        captions: name -> a text for every frame, right of the name.
    """

    panes: Mapping[str, np.ndarray]
    scale: int
    captions: Mapping[str, Sequence[str]]

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
    panes: Mapping[str, np.ndarray], scale: int | None = None, captions: Mapping[str, Sequence[str]] | None = None
) -> Panels:
    """Films beside each other, in the order given, each under its name.

    Args:
        panes: name -> uint8 (T, H, W, C), C = 1 or 3; all of one T, H and W.
        scale: whole number to enlarge by; None: so that a pane is at least 160 pixels high.
        captions: name -> T texts, drawn beside the name.

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
    return Panels(dict(panes), scale, dict(captions or {}))


def side_by_side(
    truth: np.ndarray,
    prediction: np.ndarray | Mapping[str, np.ndarray],
    scale: int | None = None,
    labels: tuple[str, str, str] = ("truth", "prediction", "error"),
    condition: np.ndarray | None = None,
    gain: float = 3.0,
    scores: bool = True,
) -> Panels:
    """condition | truth | prediction | error: what a result looks like, with the PSNR of every frame.

    Args:
        truth: uint8 (T, H, W, C).
        prediction: uint8 (T, H, W, C), or name -> such frames to see several models, each with its error.
        scale: whole number to enlarge by; None: so that a pane is at least 160 pixels high.
        labels: names of truth, prediction (of a single one) and error.
        condition: uint8 pictures (T, H, W, C) for a first pane, or None.
        gain: what differences are multiplied by in the error picture; its label says so.
        scores: draw the PSNR (dB) beside each prediction's name.

    Returns:
        A film of T frames (H', W', 3), drawn as they are asked for.

    Raises:
        ValueError: as `panels`.
    """
    several = prediction if isinstance(prediction, Mapping) else {labels[1]: prediction}
    panes = {} if condition is None else {"condition": condition}
    panes[labels[0]] = truth
    captions: dict[str, list[str]] = {}
    for name, film in several.items():
        error = f"{labels[2]} x {gain:g}" if len(several) == 1 else f"{labels[2]} of {name} x {gain:g}"
        panes[name], panes[error] = film, error_picture(truth, film, gain)
        if scores:
            captions[name] = [f"{value:.1f} dB" for value in _psnr(film, truth)]
    return panels(panes, scale, captions)


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
    colours = _inferno()
    film = np.empty((*truth.shape[:3], 3), dtype=np.uint8)
    for t, (one, two) in enumerate(zip(truth, prediction, strict=True)):  # by frame: int16 copies of a film are large
        difference = np.abs(one.astype(np.int16) - two).mean(axis=-1)
        film[t] = colours[np.clip(difference * gain, 0, 255).round().astype(np.uint8)]
    return film


@lru_cache(maxsize=1)
def _inferno() -> np.ndarray:
    from matplotlib import colormaps

    return colormaps["inferno"](np.arange(256), bytes=True)[:, :3]


def _psnr(prediction: np.ndarray, truth: np.ndarray) -> list[float]:
    """PSNR (dB) of every frame of uint8 (T, H, W, C)."""
    from framecast.metrics import psnr
    from framecast.values import tensor

    return psnr(tensor(prediction)[None], tensor(truth)[None])[0].tolist()


def enlarge(frame: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, C) as (H * scale, W * scale, 3), every pixel a square: what is seen is what was predicted."""
    return _rgb(frame).repeat(scale, axis=0).repeat(scale, axis=1)


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
