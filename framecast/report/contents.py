"""What a report shows, as plain values: tables, curves, films. How it is said is in `page`, how it looks in static/."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from framecast import compare
from framecast.metrics.horizon import mean
from framecast.metrics.interval import over_videos
from framecast.report import curves
from framecast.report.folders import Run
from framecast.report.kept import FOLDER, is_sheet

BUDGET = 7_000_000  # bytes of pictures; written as text in a page they become 4/3 of that
QUALITIES = (None, 92, 75)  # of WebP; None: exact
TRAINING = ("total", "reconstruction", "kl", "kl_weighted", "psnr")


@dataclass
class Row:
    """One line of a table: its name in the report, and where it is from."""

    label: str
    result: compare.Loaded
    measured: compare.Measured

    @property
    def mean(self) -> float:
        """PSNR (dB) over the sequences."""
        return float(self.measured.videos["psnr"].mean())

    def above(self, other: Row) -> bool:
        """Told apart: the interval of the difference, sequence by sequence, lies above zero."""
        one, two = self.measured.videos["psnr"], other.measured.videos["psnr"]
        return one.shape == two.shape and len(one) > 1 and over_videos(one - two)[0] > 0

    def curve(self) -> list[float]:
        """PSNR of every predicted frame, the mean over the sequences."""
        episodes = self.result.data["episodes"]
        return mean([np.asarray(e["scores"][self.measured.who]["psnr"], float) for e in episodes]).round(3).tolist()

    def order(self) -> list[int]:
        """The sequences from the worst to the best."""
        return np.argsort(self.measured.videos["psnr"], kind="stable").tolist()


@dataclass
class Group:
    """Results that were made by the same rules, so that their numbers may stand in one column."""

    rows: list[Row] = field(default_factory=list)

    @property
    def first(self) -> compare.Loaded:
        """One of its results: the rules are those of all."""
        return self.rows[0].result

    @property
    def videos(self) -> int:
        """How many sequences were scored."""
        return len(self.first.data["episodes"])

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and cells; see `compare.table`."""
        rows = [replace(row.measured, who=row.label) for row in self.rows]
        return compare.table([replace(self.first, rows=rows)])


def groups(runs: list[Run]) -> list[Group]:
    """All results, by their rules; models first, then each copy baseline once."""
    found: dict[str, Group] = {}
    for run in runs:
        for result in run.results:
            models = [m for m in result.rows if not m.copy]
            alone = len(models) == 1 and run.config  # else a folder of results only: the model names the row
            again = sum(other.hash == result.hash for other in run.results) > 1
            for measured in result.rows:
                label = measured.who
                if not measured.copy:
                    label = run.label if alone else f"{run.label}: {measured.who}"
                    label += f" ({result.file.parent.name})" if again else ""
                group = found.setdefault(result.hash, Group())
                if label not in [other.label for other in group.rows]:
                    group.rows.append(Row(label, result, measured))
    for group in found.values():
        group.rows.sort(key=lambda row: row.measured.copy)  # stable: models keep their order
    return list(found.values())


def whiskers(group: Group) -> list[dict[str, Any]]:
    """Mean PSNR of each row with its interval, where there are sequences enough for one."""
    found = []
    for row in group.rows:
        values = row.measured.videos["psnr"]
        low, high = over_videos(values) if len(values) > 1 else (None, None)
        found.append({"label": row.label, "copy": row.measured.copy, "mean": row.mean, "low": low, "high": high})
    return found


def training(runs: list[Run]) -> list[dict[str, Any]]:
    """The losses of each run that has some, and its schedules."""
    found = []
    for run in runs:
        logged = {name: curves.training(run, f"train/{name}") for name in TRAINING}
        logged["val"] = curves.training(run, "val/psnr")
        if any(logged.values()):
            drawn = {name: curves.schedule(run, name) for name in curves.SCHEDULES}
            found.append({"label": run.label, "last": (run.columns.get("step") or [0])[-1], **logged, **drawn})
    return found


def latents(runs: list[Run]) -> list[dict[str, Any]]:
    """Nats of each latent channel, where a run was diagnosed, and the findings in words."""
    found = []
    for run in runs:
        for who, seen in run.diagnoses.items():
            label = run.label if len(run.diagnoses) == 1 else f"{run.label}: {who}"
            words = seen.get("words") or _words(seen)
            kl = [curves.short(float(v)) for v in seen.get("kl") or []]
            found.append({"label": label, "kl": kl, "active": seen.get("active", 0), "words": words})
    return found


def _words(seen: dict[str, Any]) -> list[str]:
    from framecast.diagnose import Diagnosis

    return Diagnosis(**{key: seen[key] for key in Diagnosis.__dataclass_fields__ if key in seen}).words()


@dataclass(frozen=True)
class Film:
    """A kept film: what is said of it, and its two pictures.

    Args:
        row: of the table that it belongs to.
        group: number of that table.
        tag: "best" or "worst" of its row's sequences by PSNR, or nothing.
        about: as `kept.keep` wrote it.
    """

    row: Row
    group: int
    tag: str
    about: dict[str, Any]

    def files(self) -> dict[str, Path]:
        """Its pictures, beside the results and nowhere else, whatever a results.json from elsewhere says."""
        folder = self.row.result.file.parent / FOLDER
        return {key: folder / Path(str(self.about[key])).name for key in ("truth", "prediction")}

    def there(self) -> bool:
        """Neither picture was removed since."""
        return all(map(is_sheet, self.files().values()))


def kept(found: list[Group]) -> list[Film]:
    """All films of results, the best and the worst of each row first (of a single sequence, that one)."""
    films = []
    for number, group in enumerate(found):
        for row in group.rows:
            order = row.order()
            tags = {order[0]: "worst", order[-1]: "best"} if len(order) > 1 else {order[0]: "only"}
            own = [about for about in row.result.data.get("films") or [] if about["who"] == row.measured.who]
            films += [Film(row, number, tags.get(about["episode"], ""), about) for about in own]
    return sorted(films, key=lambda film: not film.tag)


@dataclass
class Shown:
    """The films of a page: what they are, the pictures they are in, and what is said of those left out."""

    films: list[dict[str, Any]] = field(default_factory=list)
    sheets: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


def films(
    found: list[Group], budget: int = BUDGET, progress: Callable[[int, int], None] = lambda done, total: None
) -> Shown:
    """The kept films that a page has room for: exact where they fit, else compressed, else fewer.

    Args:
        found: of `groups`.
        budget: bytes of pictures.
        progress: called with the pictures packed and those in all.
    """
    all_ = kept(found)
    wanted, files = [], dict[str, Path]()
    for film in filter(Film.there, all_):
        keys = {key: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for key, file in film.files().items()}
        files |= {keys[key]: file for key, file in film.files().items()}  # equal pictures once
        about = {key: film.about[key] for key in ("name", "frames", "columns", "size", "psnr")}
        wanted.append({"label": film.row.label, "group": film.group, "tag": film.tag, **about, **keys})
    quality, packed = None, dict[str, bytes]()
    fits, used = wanted, set[str]()
    for quality in QUALITIES:
        for done, (key, file) in enumerate(files.items(), 1):
            packed[key] = _packed(file, quality)
            progress(done, len(files))
        fits, used = _that_fit(wanted, packed, budget)
        if len(fits) == len(wanted):
            break
    sheets = {key: f"data:image/webp;base64,{base64.b64encode(packed[key]).decode()}" for key in sorted(used)}
    return Shown(fits, sheets, _told(len(all_), len(wanted), len(fits), quality, budget))


def _told(all_: int, there: int, fits: int, quality: int | None, budget: int) -> list[str]:
    """What a reader of the films has to know."""
    words = []
    if there < all_:
        words.append(f"{all_ - there} films are left out: their files are gone. Score those runs again to have them.")
    if fits and quality:
        words.append(
            f"The films here are compressed (WebP, quality {quality}), which the error pictures show a little; every"
            " number was computed from the exact frames."
        )
    if fits < there:
        words.append(
            f"{there - fits} of {there} films are left out, so that the page stays below {budget * 4 / 3 / 1e6:.0f} MB;"
            " they are in the runs' evaluation folders."
        )
    return words


def _packed(file: Path, quality: int | None) -> bytes:
    if quality is None:
        return file.read_bytes()
    made = io.BytesIO()
    with Image.open(file) as picture:
        picture.save(made, "WEBP", quality=quality, method=4)
    return made.getvalue()


def _that_fit(
    wanted: list[dict[str, Any]], packed: dict[str, bytes], budget: int
) -> tuple[list[dict[str, Any]], set[str]]:
    """The first films whose pictures have room together, and the names of these."""
    fits, used, size = [], set[str](), 0
    for film in wanted:
        new = {film["truth"], film["prediction"]} - used
        more = sum(len(packed[key]) for key in new)
        if size + more <= budget:
            fits, used, size = [*fits, film], used | new, size + more
    return fits, used
