"""Films in and out: GIF, WebP, MP4, PNG folder, npz.

Frames are uint8 (T, H, W, C), C = 3 colours or 1 grey. Anything that yields frames (H, W, C) one by one is a film too:
all but WebP are written from it in constant memory.
"""

from __future__ import annotations

import difflib
import io
import itertools
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import GifImagePlugin, Image, ImageSequence

from framecast.atomic import replacing

Frames = Iterable[np.ndarray]  # an array (T, H, W, C), a `Panels`, or an iterator of (H, W, C)

PALETTE_PIXELS = 400_000  # looked at to choose a GIF's colours
GIF_LASTS = 655_350  # ms, the longest that a GIF can hold a frame


class Spool(Sequence[np.ndarray]):
    """Frames laid by in a file, until all are known; each is read when it is asked for.

    A mapped file would count as memory for all that it has shown.

    Args:
        path: of the file, which is whoever made it's to remove.
        frames: to begin with.
    """

    def __init__(self, path: Path, frames: Frames = ()) -> None:
        self.path, self.length = path, 0
        self.shape: tuple[int, ...] = ()
        self.add(frames)

    def add(self, frames: Frames) -> None:
        """Further frames, all uint8 of one shape."""
        with self.path.open("ab") as file:
            for frame in frames:
                file.write(np.ascontiguousarray(frame).data)
                self.shape, self.length = frame.shape, self.length + 1

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self.length:
            raise IndexError(index)
        size = math.prod(self.shape)
        return np.fromfile(self.path, np.uint8, size, offset=index * size).reshape(self.shape)


# --- writing -------------------------------------------------------------------------------------------------------


def check_place(path: str | Path) -> Path:
    """Where a film may be written: an older file is replaced, a folder is not. Raises FileExistsError."""
    path = Path(path)
    if path.is_dir() and (path.suffix or any(path.iterdir())):
        raise FileExistsError(f"{path} is a folder that exists already. Give another --out, or empty and remove it.")
    if path.is_file() and not path.suffix:
        raise FileExistsError(f"{path} is a file, and PNGs go to a folder. Give another --out, or remove it.")
    return path


def write_film(path: str | Path, frames: Frames, fps: float = 30.0, films: int = 1) -> Path:
    """Write a film in the form its suffix names, whole or not at all.

    - `.gif`: one palette of at most 255 colours for the whole film, no dithering, so nothing flickers. GIF counts time
      in steps of 10 ms: a frame lasts 1/fps rounded to that, at least 20 ms (browsers slow down anything faster), so
      30 fps plays at 33.3.
    - `.webp`: animated, quality 90; a frame lasts 1/fps rounded to 1 ms.
    - `.mp4`: H.264, 4:2:0; odd sizes grow by one repeated row or column.
    - `.npz`: the key `frames`, exact; of several films (K, T, H, W, C).
    - no suffix: a folder of `0.png`, `1.png`, ..., exact. The folder must be new or empty.

    Args:
        path: where to; its folder is made.
        frames: uint8 (T, H, W, C), or an iterator of (H, W, C), C = 1 or 3.
        fps: frames per second; npz and PNG folders do not keep it.
        films: npz only: the frames are those of so many films of one length, one film after another.

    Returns:
        The path.

    Raises:
        ValueError: an unknown suffix, no frames, frames of another type or of unequal sizes.
        FileExistsError: a folder with something in it, or a folder where a file is to be.
    """
    path, suffix = check_place(path), check_suffix(path)
    if not 1000 / GIF_LASTS < fps < math.inf:
        raise ValueError(f"A film plays at more than {1000 / GIF_LASTS:.3f} frames per second; this is {fps!r}.")
    with replacing(path) as partial:
        if suffix == ".npz":
            _write_npz(partial, _checked(frames), films)
        else:
            WRITERS[suffix](partial, _checked(frames), fps)
    return path


def _write_gif(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    """Frame by frame, as Pillow's own writer holds them all: what has changed since the last one, the rest clear."""
    film = Spool(path.with_name("frames.raw"), map(rgb, frames))  # the colours are chosen from the whole film
    colours = _palette(film)
    clear, step = len(colours), max(20, 10 * round(100 / fps))
    canvas = Image.new("P", (film.shape[1], film.shape[0]))
    canvas.putpalette(colours.tobytes() + bytes(3))
    with path.open("wb") as file:
        header, _ = GifImagePlugin.getheader(canvas, info={"loop": 0, "comment": _mark(len(film), step)})
        file.writelines(header)
        before = None
        for shown, times in _runs(_indexed(film, colours), GIF_LASTS // step):
            changed = np.ones_like(shown, bool) if before is None else shown != before
            down, across = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
            (top, bottom), (left, right) = ((a[0], a[-1] + 1) if len(a) else (0, 1) for a in (down, across))
            new = np.where(changed, shown, np.uint8(clear))[top:bottom, left:right]
            options = {"duration": times * step, "disposal": 1, "transparency": clear}
            file.writelines(GifImagePlugin.getdata(Image.fromarray(new), (int(left), int(top)), **options))
            before = shown
        file.write(b";")


def _runs(frames: Iterable[np.ndarray], most: int) -> Iterator[tuple[np.ndarray, int]]:
    """Every frame that differs from the one before it, and how many times it stands, at most so many at a time."""
    shown, times = None, 0
    for frame in frames:
        if shown is not None and (times == most or not np.array_equal(frame, shown)):
            yield shown, times
            times = 0
        shown, times = frame, times + 1
    if shown is not None:
        yield shown, times


def _palette(film: Sequence[np.ndarray]) -> np.ndarray:
    """Up to 255 colours (n, 3) for a whole film, by median cut of pixels from up to 64 of its frames."""
    sample = [film[i].reshape(-1, 3) for i in np.unique(np.linspace(0, len(film) - 1, 64).round().astype(int))]
    stride = math.ceil(sum(map(len, sample)) / PALETTE_PIXELS)
    pixels = np.concatenate([s[k % stride :: stride] for k, s in enumerate(sample)])
    chosen = Image.fromarray(pixels[None]).quantize(255, Image.Quantize.MEDIANCUT, kmeans=2).getpalette()
    return np.unique(np.asarray(chosen, dtype=np.uint8).reshape(-1, 3), axis=0)


def _indexed(film: Sequence[np.ndarray], colours: np.ndarray) -> Iterator[np.ndarray]:
    """The frames as places (H, W) of the nearest of `colours`; each colour met is looked for once (Pillow's own search
    is off by 6).
    """
    palette = colours.astype(np.float32)
    found = np.full(2**24, -1, dtype=np.int16)
    for frame in film:
        red, green, blue = np.moveaxis(frame.astype(np.int32), -1, 0)
        codes = red << 16 | green << 8 | blue
        new = np.unique(codes[found[codes] < 0])
        for part in np.array_split(new, math.ceil(len(new) / 2**15) or 1):
            met = np.stack([part >> 16, part >> 8 & 255, part & 255], axis=1).astype(np.float32)
            found[part] = ((palette**2).sum(1) - 2 * met @ palette.T).argmin(1)
        yield found[codes].astype(np.uint8)


def _mark(count: int, step: int) -> bytes:
    """Left in the file, since writers merge equal neighbours and durations alone do not tell how many there were."""
    return b"framecast frames=%d step_ms=%d" % (count, step)


def _write_webp(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    first, *rest = (Image.fromarray(rgb(frame)) for frame in frames)
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
            picture = av.VideoFrame.from_ndarray(np.pad(rgb(frame), padding, mode="edge"), format="rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode(None))


def _write_pngs(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    path.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame[:, :, 0] if frame.shape[2] == 1 else frame).save(path / f"{number}.png")


def _write_npz(path: Path, frames: Iterator[np.ndarray], films: int) -> None:
    """As `np.savez_compressed` does, frame by frame."""
    film = Spool(path.with_name("frames.raw"), frames)
    shape = (films, len(film) // films, *film.shape) if films > 1 else (len(film), *film.shape)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("frames.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for frame in film:
            file.write(frame.data)


WRITERS: dict[str, Callable[[Path, Iterator[np.ndarray], float], None]] = {
    ".gif": _write_gif,
    ".webp": _write_webp,
    ".mp4": _write_mp4,
    "": _write_pngs,
}
SUFFIXES = (*WRITERS, ".npz")


def check_suffix(path: str | Path) -> str:
    """The suffix a film's name ends in, in small letters; before an hour of work, not after it.

    Raises:
        ValueError: there is no such kind of film.
    """
    path = Path(path)
    suffix, allowed = path.suffix.lower(), [known for known in SUFFIXES if known]
    if suffix in SUFFIXES:
        return suffix
    nearest = difflib.get_close_matches(suffix, allowed, n=1, cutoff=0.5)
    hint = f" Did you mean {path.with_suffix(nearest[0]).name}?" if nearest else ""
    raise ValueError(
        f"{path.name} has the suffix {path.suffix!r}; films are {', '.join(allowed)}, "
        f"or a name without a suffix for a folder of PNG files.{hint}"
    )


def _checked(frames: Frames) -> Iterator[np.ndarray]:
    """The frames as they come, each one looked at."""
    shape = None
    for number, frame in enumerate(frames):
        shape = shape or frame.shape
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] not in (1, 3):
            raise ValueError(
                f"A frame is uint8 (H, W, C) with C = 1 or 3; frame {number} is {frame.dtype} {frame.shape}."
            )
        if frame.shape != shape:
            raise ValueError(f"All frames of a film have one size; frame {number} is {frame.shape}, frame 0 {shape}.")
        yield np.ascontiguousarray(frame)
    if shape is None:
        raise ValueError("A film has at least one frame; there are none.")


def rgb(frames: np.ndarray) -> np.ndarray:
    """Pictures (..., 1 or 3) as (..., 3)."""
    return np.repeat(frames, 3, axis=-1) if frames.shape[-1] == 1 else frames


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
