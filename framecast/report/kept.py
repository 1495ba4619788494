"""Films kept exactly beside an evaluation, each as one picture of all frames, so that a report can show any of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from framecast.atomic import replacing
from framecast.evaluate import Result
from framecast.report.film import rgb
from framecast.values import is_copy

FOLDER = "films"
PIXELS = 2**23  # of a sheet at most: what a phone's browser decodes without trouble
SIDE = 16383  # pixels, the most that WebP has


def models_of(result: Result) -> list[str]:
    """The rows that are no copy baselines."""
    return [who for who in result.scores if not is_copy(who)]


def keep(result: Result, out: Path, films: int = 5) -> list[dict[str, Any]]:
    """Keeps truth and predictions of the first episodes, and of each model's best and worst one by PSNR.

    Args:
        result: of `evaluate`.
        out: folder of the evaluation; what is in its `films` is replaced.
        films: how many of the first episodes.

    Returns:
        for results.json: of each film its episode, model, files, and the PSNR of its frames (of many samples the best
        one is kept).
    """
    chosen = set(range(min(films, len(result.names))))
    for who in models_of(result):
        order = np.argsort([scored.psnr.mean() for scored in result.scores[who]])
        chosen |= {int(order[0]), int(order[-1])}
    found = []
    with replacing(out / FOLDER) as folder:
        folder.mkdir()
        for i in sorted(chosen):
            truth = _write(folder / f"{i:03}-truth.webp", result.truth[i])
            for k, who in enumerate(models_of(result)):
                scored = result.scores[who][i]
                prediction = _write(folder / f"{i:03}-{k}.webp", scored.frames)
                best = scored.psnr[scored.psnr.mean(1).argmax()]
                about = {"episode": i, "name": result.names[i], "who": who, "truth": truth, "prediction": prediction}
                found.append({**about, **_layout(scored.frames), "psnr": [round(float(v), 3) for v in best]})
    return found


def _layout(film: np.ndarray) -> dict[str, Any]:
    """Where frame t of a sheet lies: row t // columns, column t % columns. A film that is too large is cut."""
    frames, height, width = film.shape[:3]
    frames = max(1, min(frames, PIXELS // (height * width)))
    columns = max(1, min(frames, SIDE // width, round(math.sqrt(frames * height / width))))
    return {"frames": frames, "columns": columns, "size": [height, width]}


def _write(path: Path, film: np.ndarray) -> str:
    sheet(film).save(path, "WEBP", lossless=True, quality=0, method=0)
    return f"{FOLDER}/{path.name}"


def sheet(film: np.ndarray) -> Image.Image:
    """All frames of uint8 (T, H, W, C) in one picture, by `_layout`."""
    where = _layout(film)
    frames, columns, (height, width) = where["frames"], where["columns"], where["size"]
    picture = np.zeros((math.ceil(frames / columns) * height, columns * width, 3), np.uint8)
    for t in range(frames):
        y, x = height * (t // columns), width * (t % columns)
        picture[y : y + height, x : x + width] = rgb(film[t])
    return Image.fromarray(picture)


def is_sheet(file: Path) -> bool:
    """Whether a file is there, and a WebP picture."""
    if not file.is_file():
        return False
    with file.open("rb") as begin:
        head = begin.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


def unfold(picture: np.ndarray, frames: int, columns: int, size: tuple[int, int]) -> np.ndarray:
    """The film (T, H, W, 3) of a sheet."""
    height, width = size
    rows = picture.shape[0] // height
    grid = picture[: rows * height, : columns * width].reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    return grid.reshape(-1, height, width, 3)[:frames]
