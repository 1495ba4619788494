"""One self-contained page of runs: looked at on a phone, handed in, shown. It asks the network for nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from typing import Any

from framecast.effects import Table
from framecast.report import contents, scores, words
from framecast.report.curves import SCHEDULES
from framecast.report.document import document
from framecast.report.folders import Run
from framecast.report.made import colour, section, what_was_run
from framecast.report.panels import inferno

UNITS = {"mse": "mean squared error", "calibrated": "nats per pixel value", "learned": "nats per pixel value"}
GAIN = 3  # of the error pictures


def page(
    runs: list[Run],
    title: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    studied: Sequence[Table] = (),
) -> str:
    """The whole page.

    Args:
        runs: of `folders.find`.
        title: of the page.
        progress: called with the pictures packed and those in all.
        studied: of `effects.tables`, where these are the runs of studies.
    """
    groups, latents, curves = contents.groups(runs), contents.latents(runs), contents.training(runs)
    films = contents.films(groups, progress=progress)
    shown = {
        "series": _series(runs, groups),
        "groups": [_curves(group) for group in groups],
        "training": curves,
        "unit": _unit(runs),
        "films": films.films,
        "sheets": films.sheets,
        "latents": latents,
        "inferno": inferno().tobytes().hex(),
        "gain": GAIN,
    }
    sections = [
        _notices(runs),
        scores.studied(studied),
        scores.scores(groups),
        _films(films, groups),
        _frames(groups),
        _training(runs, curves),
        _latents(latents),
        section("made", "What was run", what_was_run(runs, groups)),
    ]
    head = _head(runs, groups, title)
    data = json.dumps(_finite(shown), separators=(",", ":"))
    return document(title, "page", _body(head + "".join(sections), data))


def _body(content: str, data: str) -> str:
    inert = data.replace("<", "\\u003c")  # no name can end the element that it stands in
    return f"""<main>
<noscript><p class="notices">Figures and films are drawn by a script in this page, and scripts are off.</p></noscript>
{content}
</main>
<script type="application/json" id="data">{inert}</script>"""


def _finite(value: Any) -> Any:
    """The same with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- data ----------------------------------------------------------------------------------------------------------


def _series(runs: list[Run], groups: list[contents.Group]) -> dict[str, int]:
    """A colour for each name, the same in all figures; copy baselines have their own, grey."""
    rows = [row.label for group in groups for row in group.rows if not row.measured.copy]
    names = dict.fromkeys([*rows, *(run.label for run in runs)])
    return {name: number for number, name in enumerate(names)}


def _curves(group: contents.Group) -> dict[str, Any]:
    lines = [{"label": row.label, "copy": row.measured.copy, "psnr": row.curve()} for row in group.rows]
    return {"lines": lines, "whiskers": contents.whiskers(group), "fps": group.first.data.get("fps")}


def _unit(runs: list[Run]) -> str:
    """Of the losses that are drawn on one axis."""
    units = {UNITS.get(str(run.config.get("objective")), "") for run in runs if run.columns}
    return units.pop() if len(units) == 1 else "unit of each objective"


# --- sections ------------------------------------------------------------------------------------------------------


def _head(runs: list[Run], groups: list[contents.Group], title: str) -> str:
    when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M")
    models = sorted({str(run.config["model"]) for run in runs if "model" in run.config})
    told = [f"{len(runs)} run{'s' * (len(runs) > 1)}", *(["model " + ", ".join(models)] if models else []), when]
    lead = "".join(f'<p class="lead">{_lead(group, len(groups) > 1)}</p>' for group in groups)
    return f'<header><h1>{escape(title)}</h1><p class="quiet">{escape(" · ".join(told))}</p>{lead}</header>'


def _lead(group: contents.Group, named: bool) -> str:
    """The highest mean, whether the next one is told apart from it, and what copying scores."""
    rows = sorted((row for row in group.rows if not row.measured.copy), key=lambda row: -row.mean)
    copies = [row.mean for row in group.rows if row.measured.copy]
    said = ""
    if rows:
        best = rows[0]
        said = f"<strong>{escape(best.label)}</strong> predicts at <strong>{best.mean:.2f} dB</strong>"
        same = [escape(row.label) for row in rows[1:] if not best.above(row)]
        apart = "" if group.videos > 1 else " (one sequence tells nothing apart)"
        said += f", the highest of {len(rows)}{apart}" if len(rows) > 1 else ""
        if same and group.videos > 1:
            said += f"; {', '.join(same)} {'are' if len(same) > 1 else 'is'} not told apart from it"
    if not said:
        return ""
    said = f"{escape(words.rules(group))}: {said}" if named else said
    return said + (f"; copying scores {max(copies):.2f} dB" if copies else "") + "."


def _notices(runs: list[Run]) -> str:
    items = [(run.label, text) for run in runs for text in ([run.state] if run.state else []) + run.notes]
    told = "".join(f"<li><strong>{escape(label)}</strong>: {escape(text)}</li>" for label, text in items)
    return f'<aside class="notices" aria-label="What is missing"><ul>{told}</ul></aside>' if told else ""


def _films(films: contents.Shown, groups: list[contents.Group]) -> str:
    if not films.films:
        return ""
    notes = "".join(f'<p class="quiet">{escape(text)}</p>' for text in films.words)
    sampled = any(group.first.rules.get("samples", 1) > 1 for group in groups)
    best = '<p class="quiet">Of many samples the best by PSNR is shown, with its own curve.</p>' if sampled else ""
    player = """<div class="player" id="player" tabindex="0" role="group" aria-label="Player">
<div class="choices"><label>Setting <select id="setting"></select></label>
<label>Sequence <select id="sequence"></select></label></div>
<div class="panes" id="panes"></div>
<div class="transport"><button id="play" type="button" aria-label="Play">▶</button>
<input id="scrub" type="range" min="0" value="0" step="1" aria-label="Frame">
<output id="where" for="scrub"></output></div>
<div class="chart" id="curve"></div>
<p class="quiet keys">Space plays, ← and → step, Home and End jump. The curve can be dragged.</p></div>"""
    strips = f'<p class="quiet">From above: truth, prediction, error × {GAIN}.</p><div id="strips"></div>'
    return (
        section("films", "Truth, prediction, error", player + best + notes)
        + section("best-and-worst", "Best and worst sequences", strips)
    )  # fmt: skip


def _frames(groups: list[contents.Group]) -> str:
    several = len(groups) > 1
    parts = (
        (f"<h3>{escape(words.rules(group))}</h3>" if several else "")
        + f'<figure><div class="legend" data-legend="{number}"></div>'
        f'<div class="chart" data-chart="frames" data-group="{number}"></div></figure>'
        for number, group in enumerate(groups)
    )
    return section("frames", "PSNR of every predicted frame", "".join(parts))


def _training(runs: list[Run], curves: list[dict[str, Any]]) -> str:
    if not curves:
        return ""
    note = "Of long runs a point is the mean of its neighbours."
    if any(run[name] for run in curves for name in SCHEDULES):
        note = f"β and the teacher forcing ratio are drawn by the schedules themselves; dotted: still to come. {note}"
    unused = [run.label for run in runs if run.config.get("model") and not _feeds_back(str(run.config["model"]))]
    if unused:
        note += f" {', '.join(unused)}: no frame is fed back, so that ratio changes nothing."
    return section(
        "training",
        "Training",
        '<figure><div class="legend" data-legend="training"></div><div class="grid" data-chart="training"></div>'
        f'<figcaption class="quiet">{escape(note)}</figcaption></figure>',
    )


def _feeds_back(model: str) -> bool:
    from framecast import models

    return model not in models.available() or models.find(model).feeds_back


def _latents(latents: list[dict[str, Any]]) -> str:
    parts = []
    for number, seen in enumerate(latents):
        told = "".join(f"<li>{escape(str(line).strip())}</li>" for line in seen["words"])
        bars = f'<div class="chart" data-chart="latent" data-latent="{number}"></div>' if seen["kl"] else ""
        units = f'<p class="quiet">{seen["active"]} of {len(seen["kl"])} units active</p>' if seen["kl"] else ""
        name = f"{colour(seen['label'])}{escape(seen['label'])}"
        parts.append(f"<figure><h3>{name}</h3>{units}{bars}<ul>{told}</ul></figure>")
    command = "<code>framecast evaluate RUN --data STORE --diagnose</code>"
    absent = f"<p>Not looked at yet. KL of each dimension, active units and what they mean: {command}</p>"
    return section("latent", "Is the latent used?", f'<div class="grid">{"".join(parts)}</div>' if parts else absent)
