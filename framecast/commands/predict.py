"""Draw the frames to come from given frames and conditions; writes GIF, WebP, MP4, PNG folder or npz."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from framecast.commands._parser import Parser
from framecast.progress import bar

EXAMPLE = "framecast predict runs/dancer --data stores/dancer --split test --episode 0 --out dance.gif"
MORE = "framecast predict runs/dancer --frames first.png --conditions poses/ --samples 3 --out dance.mp4"


def run(arguments: list[str]) -> int:
    parser = Parser(
        "predict",
        "Predicts from a store or from your own files, any length, at constant memory.",
        f"{EXAMPLE}\n         {MORE}",
    )
    parser.add_argument("run", type=str, help="a run folder or checkpoint")
    parser.add_argument("--data", type=str, default=None, help="take frames and conditions from this store")
    parser.add_argument("--split", type=str, default="test", help="of the store (default: test)")
    parser.add_argument("--episode", type=int, default=0, help="number of its episode (default: 0)")
    parser.add_argument(
        "--frames",
        type=str,
        default=None,
        help="the given frames: a picture, a folder of numbered pictures, or .npy/.npz of uint8 (n, H, W, C)",
    )
    parser.add_argument(
        "--conditions",
        type=str,
        default=None,
        help="one for every frame, given or to come: pictures as for --frames, or rows of numbers: .npy/.npz/.csv",
    )
    parser.add_argument(
        "--context", type=int, default=None, help="given frames taken from the store (default: as trained)"
    )
    parser.add_argument(
        "--horizon", type=int, default=None, help="frames to come (default: as many as there are conditions)"
    )
    parser.add_argument("--samples", type=int, default=1, help="futures to draw (default: 1); files get -0, -1, ...")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (default: 0)")
    parser.add_argument(
        "--mean", action="store_true", help="the prior's mean in place of samples: the likeliest future"
    )
    parser.add_argument(
        "--out",
        type=str,
        required=True,
        help="a file .gif, .webp, .mp4 or .npz (an older one is replaced), or a new folder for PNGs",
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute")
    options = parser.parse(arguments)
    if options.data is None and options.frames is None:
        parser.error("give --data STORE, or --frames with your own pictures")
    if options.data is not None and (options.frames or options.conditions):
        parser.error("frames and conditions come from --data, or from --frames and --conditions: give one or the other")
    if options.data is None and (of_store := sorted(parser.typed & {"--context", "--split", "--episode"})):
        name = of_store[0]
        parser.error(f"{name} is of a store; with --frames all pictures given are given frames: leave {name} out")
    if options.mean and options.samples > 1:
        parser.error(f"--mean draws one future, the likeliest: leave --samples {options.samples} out, or --mean")
    predict(options)
    return 0


def predict(options: Any) -> None:
    """Loads, predicts and writes."""
    from framecast.predictor import load
    from framecast.report.film import check_place, check_suffix

    check_suffix(options.out)  # before an hour of work, not after
    for path in _files(Path(options.out), options.samples):
        check_place(path)
    predictor = load(options.run, options.device)
    context = predictor.settings.get("context", 1) if options.context is None else options.context
    frames, conditions = _inputs(options, predictor.spec, context)
    asked = (options.samples, options.seed, options.horizon, options.mean, options.episode if options.data else 0)
    stream = predictor.stream(frames, conditions, *asked)  # refuses what does not fit; draws nothing yet
    _say_squeezed({"given frames": frames, "condition pictures": conditions}, predictor.spec)
    total = options.horizon or len(conditions) - len(frames)  # type: ignore[arg-type]
    with bar("predicting") as progress:
        files = _write(
            Path(options.out), stream, options.samples, predictor.spec.fps, lambda done: progress(done, total)
        )
    print(f"{total} frames in {', '.join(map(str, files))}")


def _inputs(options: Any, spec: Any, context: int) -> tuple[np.ndarray, np.ndarray | None]:
    from framecast.sources._files import pictures_of, vectors_of
    from framecast.store import Store

    if options.data is None:
        frames = pictures_of(options.frames, spec.channels)
        if options.conditions is not None and spec.condition.kind == "none":
            raise ValueError("This model was trained without conditions: leave --conditions out, and give --horizon.")
        if options.conditions is None:
            return frames, None
        vector = spec.condition.kind == "vector"
        return frames, vectors_of(options.conditions) if vector else pictures_of(
            options.conditions, spec.condition.size
        )
    store = Store(options.data)
    count = len(store.entries_of(options.split))
    if not 0 <= options.episode < count:
        raise ValueError(f"--episode {options.episode}: {options.split} has episodes 0 to {count - 1}.")
    episode = store.episode(options.split, options.episode)
    if not 1 <= context <= len(episode.frames):
        raise ValueError(f"--context {context}: this episode gives 1 to {len(episode.frames)} frames.")
    return np.asarray(episode.frames[:context]), None if spec.condition.kind == "none" else episode.condition


def _say_squeezed(given: dict[str, np.ndarray | None], spec: Any) -> None:
    """On stderr, where pictures lose their aspect ratio: right only if those of the training did so too."""
    from framecast.sources._pictures import squeezed

    for what, pictures in given.items():
        if pictures is None or pictures.ndim != 4 or not pictures.size:
            continue
        height, width = pictures.shape[1:3]
        if squeezed((height, width), (spec.height, spec.width)):
            print(
                f"The {what} of {height} x {width} (H x W) are resized to the run's {spec.height} x {spec.width}, "
                "another aspect ratio: right if the recordings it learned from were squeezed alike; else crop them.",
                file=sys.stderr,
            )


def _files(path: Path, samples: int) -> list[Path]:
    """A film for each sample; npz holds them all."""
    if samples == 1 or path.suffix == ".npz":
        return [path]
    return [path.with_name(f"{path.stem}-{k}{path.suffix}") for k in range(samples)]


def _write(path: Path, stream: Iterator[np.ndarray], samples: int, fps: float, progress: Any) -> list[Path]:
    """One film, written as it is drawn; or K, laid by on the disk until all are drawn."""
    from framecast.report.film import Spool, write_film

    def pieces() -> Iterator[np.ndarray]:
        done = 0
        for piece in stream:
            yield piece
            done += piece.shape[1]
            progress(done)

    files = _files(path, samples)
    if samples == 1:
        write_film(path, (frame for piece in pieces() for frame in piece[0]), fps)
        return files
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        drawn = [Spool(Path(scratch) / str(k)) for k in range(samples)]
        for piece in pieces():
            for film, more in zip(drawn, piece, strict=True):
                film.add(more)
        if len(files) == 1:
            write_film(path, (frame for film in drawn for frame in film), fps, films=samples)
        else:
            for file, film in zip(files, drawn, strict=True):
                write_film(file, film, fps)
    return files
