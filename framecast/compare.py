"""Results beside each other, with intervals; refused where they were not made by the same rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from framecast import protocols
from framecast.metrics.extras import LOWER, RULES
from framecast.metrics.interval import over_videos
from framecast.reading import read_json, reading
from framecast.values import is_copy

RESULTS = "results.json"


@dataclass(frozen=True)
class Measured:
    """One row of one result.

    Args:
        who: the model, with its file where several bear the name.
        file: the results it is from.
        videos: metric -> (V,), one number a video.
        whole: metric -> the one number of all videos together: FVD.
    """

    who: str
    file: Path
    videos: dict[str, np.ndarray]
    whole: dict[str, float]

    @property
    def copy(self) -> bool:
        """A copy baseline, which learns nothing."""
        return is_copy(self.who)


@dataclass(frozen=True)
class Loaded:
    """A results.json: its rules, the hash of them, its rows, and all that it holds."""

    file: Path
    name: str
    rules: dict[str, Any]
    hash: str
    rows: list[Measured]
    data: dict[str, Any]


def load(path: str | Path) -> Loaded:
    """A results.json, or the only one in a run folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: several, damaged, or without its protocol.
    """
    file = _file(Path(path))
    with reading(file, "Score the run again: framecast evaluate."):
        data = read_json(file)
        episodes = data["episodes"]
        rows = [Measured(who, file, _videos(episodes, who), _whole(row)) for who, row in data["table"].items()]
        if not all("psnr" in row.videos for row in rows):
            raise ValueError("a row has no PSNR")
    rules = protocols.checked(data.get("protocol"), str(file))
    record = data["protocol"]
    return Loaded(file, str(record.get("name")), rules, record["hash"], rows, data)


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist. Give a results.json, or a run folder that was evaluated.")
    found = sorted({*path.glob(RESULTS), *path.glob(f"evaluation-*/{RESULTS}")})
    if not found:
        raise FileNotFoundError(f"{path} holds no results. Score the run first: framecast evaluate {path} --data STORE")
    if len(found) > 1:
        raise ValueError(f"{path} holds several results; give one of: {', '.join(map(str, found))}.")
    return found[0]


def _videos(episodes: list[dict[str, Any]], who: str) -> dict[str, np.ndarray]:
    """Metric -> one number a video, as the table averages them."""
    series = [episode["scores"][who] for episode in episodes]
    metrics = [key for key in ("psnr", "ssim", *RULES) if key in series[0]]
    found = {key: np.array([np.mean(s[key]) for s in series]) for key in metrics}
    samples = [s["of each sample"] for s in series if len(s.get("of each sample", {}).get("psnr", ())) > 1]
    for key in metrics if samples else ():
        count = max(len(s[key]) for s in samples)
        found[f"{key} best of {count}"] = np.array([(min if key in LOWER else max)(s[key]) for s in samples])
    return found


def _whole(row: dict[str, float]) -> dict[str, float]:
    """The numbers of a table's row that no video has by itself."""
    return {key: float(value) for key, value in row.items() if key.startswith("fvd")}


def refuse_unequal(results: list[Loaded]) -> None:
    """Raises ValueError where two results were made by different rules; names each, with both values."""
    first = results[0]
    for other in results[1:]:
        if other.hash != first.hash:
            found = protocols.differences(first.rules, other.rules)
            told = "\n".join(f"  {key}: {one!r} | {two!r}" for key, (one, two) in found.items())
            raise ValueError(
                f"{first.file} and {other.file} were not made by the same rules, so their numbers cannot be compared:\n"
                f"{told}\nScore both in the same way, or see them apart with --anyway."
            )


def table(results: list[Loaded], level: float = 0.95) -> tuple[list[str], list[list[str]]]:
    """Header and rows: each row's means with their intervals, FVD (which has none, being one number of all videos), and
    how much more PSNR it has than the first row, by video."""
    rows = [row for result in results for row in result.rows]
    keys = list(dict.fromkeys(key for row in rows for key in row.videos))
    whole = list(dict.fromkeys(key for row in rows for key in row.whole))
    names = [row.who for row in rows]
    header = ["", *keys, *whole, "psnr less the first's"]
    lines = []
    for row in rows:
        who = row.who if names.count(row.who) == 1 else f"{row.who} ({row.file.parent})"
        cells = [_cell(key, row.videos.get(key), level) for key in keys]
        cells += [f"{row.whole[key]:.1f}" if key in row.whole else "" for key in whole]
        lines.append([who, *cells, _difference(rows[0], row, level)])
    return header, lines


def _cell(key: str, values: np.ndarray | None, level: float) -> str:
    if values is None:
        return ""
    return _told(values, level, ".2f" if key.startswith("psnr") else ".4f")


def _difference(first: Measured, row: Measured, level: float) -> str:
    one, two = first.videos["psnr"], row.videos["psnr"]
    if row is first or one.shape != two.shape:
        return ""
    return _told(two - one, level, "+.2f")  # video by video: what both find hard falls out


def _told(values: np.ndarray, level: float, form: str) -> str:
    """Mean and interval; of one video there is none."""
    mean = format(values.mean(), form)
    if len(values) < 2:
        return mean
    low, high = over_videos(values, level)
    return f"{mean} ({low:{form}} to {high:{form}})"
