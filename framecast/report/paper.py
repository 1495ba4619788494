"""A report on paper and as text: printed by a browser, or Markdown with its figures beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from framecast.atomic import replacing, write_text
from framecast.effects import Table
from framecast.report import contents, words
from framecast.report.figures import psnr_figure, settings_figure
from framecast.report.folders import Run
from framecast.report.kept import unfold
from framecast.report.panels import error_picture
from framecast.report.sheets import strip

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
PATIENCE = 120  # seconds for one page


def browser() -> str:
    """The program that prints. Raises FileNotFoundError that says how to get one."""
    found = next((path for path in map(shutil.which, (*BROWSERS, MAC)) if path), None)
    if found is None:
        raise FileNotFoundError(
            "--pdf prints through Chromium or Chrome, and neither is found here. Install one (Debian and Ubuntu:"
            " apt-get install chromium), or leave --pdf out, open the page in any browser and print it there."
        )
    return found


def headless(program: str, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A browser without a window on a page, given time to draw it.

    Args:
        program: of `browser`.
        page: the HTML file.
        options: what it shall do, as --print-to-pdf=FILE.
    """
    root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []  # it refuses root otherwise
    fixed = ["--headless", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000", *root]
    return subprocess.run(
        [program, *fixed, *options, page.resolve().as_uri()], capture_output=True, text=True, timeout=PATIENCE
    )


def print_pdf(program: str, page: Path, path: Path) -> Path:
    """A page as PDF. Raises OSError with the browser's last words where it made none."""
    with replacing(path) as partial:
        done = headless(program, page, "--no-pdf-header-footer", f"--print-to-pdf={partial}")
        if not partial.is_file() or not partial.stat().st_size:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise OSError(f"{program} printed no PDF ({last}). Open {page} in a browser and print it there.")
    return path


def markdown(runs: list[Run], title: str, path: Path, studied: Sequence[Table] = ()) -> Path:
    """The scores, notices and costs as Markdown, with figures and strips as PNGs named after it."""
    groups = contents.groups(runs)
    lines = [f"# {_inert(title)}", ""]
    lines += [f"- **{_inert(run.label)}**: {_inert(text)}" for run in runs for text in [run.state, *run.notes] if text]
    for told, header, rows in studied:
        lines += ["", f"## {told}", "", *_table(header, rows)]
    for number, group in enumerate(groups):
        header, rows = group.table()
        lines += ["", f"## {_inert(words.rules(group))}", "", *_table(header, rows), ""]
        curves, fps = {row.label: row.curve() for row in group.rows}, group.first.data.get("fps")
        lines += _shown(psnr_figure(_beside(path, f"psnr-{number}"), curves, "", fps), "PSNR of every predicted frame")
    lines += _strips(path, groups)
    if contents.training(runs):
        lines += ["", "## Training", ""]
        rows = {run.label: run.columns for run in runs if any(k.startswith("train/") for k in run.columns)}
        figure = settings_figure(_beside(path, "training"), rows)
        lines += _shown(figure, "Losses, KL, PSNR, β and teacher forcing ratio")
    made = [[r.label, str(r.config.get("model", "")), str(r.made.get("commit", "")), words.cost(r)] for r in runs]
    lines += ["", "## What was run", "", *_table(["run", "model", "commit", "cost"], made), ""]
    write_text(path, "\n".join(lines))
    return path


def _inert(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in " ".join(text.split()))


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return f"| {' | '.join(map(_inert, cells))} |"

    return [line(header), f"| --- |{' ---: |' * (len(header) - 1)}", *map(line, rows)]


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}-{name}.png")


def _shown(picture: Path, text: str) -> list[str]:
    return [f"![{text}](<{picture.name}>)", ""]


def _strips(path: Path, groups: list[contents.Group]) -> list[str]:
    """Best and worst sequence of every row that has films."""
    lines: list[str] = []
    films = [film for film in contents.kept(groups) if film.tag and film.there()]
    for number, film in enumerate(films):
        about = film.about
        layout = (about["frames"], about["columns"], tuple(about["size"]))
        one, two = (unfold(_pixels(file), *layout) for file in film.files().values())
        rows = {"truth": one, "prediction": two, "error": error_picture(one, two)}
        times = np.unique(np.linspace(0, len(one) - 1, 8).astype(int)).tolist()
        name = f"{film.row.label}: {film.tag} sequence {about['name']}, {np.mean(about['psnr']):.2f} dB"
        picture = strip(_beside(path, f"strip-{number}"), rows, times, first=1)
        lines += [_inert(name), "", *_shown(picture, "truth, prediction, error")]
    return ["", "## Best and worst sequences", "", *lines] if lines else []


def _pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))
