"""A score board as one page: no network, nothing in it that a name could start, readable on a phone and on paper."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from framecast.board import BASELINE, Board, Refused, Row
from framecast.metrics.frame import ends
from framecast.metrics.interval import METHOD
from framecast.report.document import document

BOX = 'viewBox="0 0 1000 100" preserveAspectRatio="none"'
POINTS = 105  # of a curve: 629 frames are drawn by the means of six


def page(board: Board) -> str:
    """The page; every text in it is escaped."""
    scored, refused = len(board.rows) - 1, len(board.refused)
    counted = f"{scored} hand-in{'s' if scored != 1 else ''} ranked" + (f", {refused} with faults" if refused else "")
    low, high, steps = _limits(np.concatenate([_curve(row) for row in board.rows]))
    body = f"""<header>
<h1>Score board</h1>
<p class="soft"><bdi>{escape(board.folder)}</bdi> · {counted} · made {escape(board.made)}</p>
</header>
<main>
{_chart(board, low, high, steps)}
{_table(board, low, high)}
{_refused(board.refused)}
{_rule(board)}
</main>"""
    return document(f"Score board: {board.folder}", "board", body)


# --- curves --------------------------------------------------------------------------------------------------------


def _curve(row: Row) -> np.ndarray:
    """PSNR along the film, the mean over sequences, neighbouring frames taken together."""
    curve = row.psnr.mean(0)
    return np.array([part.mean() for part in np.array_split(curve, min(POINTS, len(curve)))])


def _limits(values: np.ndarray) -> tuple[float, float, int]:
    """Round ends of an axis around the values, and its steps; exact frames (100 dB) leave it at its top."""
    shown = values[values < 99.5]
    low, high = (shown.min(), shown.max()) if shown.size else (99.0, 100.0)
    exponent = math.floor(math.log10(max(high - low, 0.6) / 6))
    sizes = [m * 10.0**e for e in (exponent, exponent + 1) for m in (1, 2, 5)]
    axes = [(begin := math.floor(low / size) * size, size, math.ceil((high - begin) / size - 1e-9)) for size in sizes]
    begin, size, steps = next(axis for axis in axes if axis[2] <= 6)
    return begin, begin + max(1, steps) * size, max(1, steps)


def _path(row: Row, low: float, high: float, attributes: str) -> str:
    """A curve in a box of 1000 x 100, the top being `high`."""
    heights = 100 * (1 - (_curve(row).clip(low, high) - low) / (high - low))
    across = (np.arange(len(heights)) + 0.5) / len(heights) * 1000
    points = " ".join(f"{x:.0f},{y:.1f}" for x, y in zip(across, heights, strict=True))
    return f'<path {attributes} d="M{points}"/>'


def _chart(board: Board, low: float, high: float, steps: int) -> str:
    """All curves on one pair of labelled axes: the picked one, the baseline, and the others faintly."""
    best = next((row for row in board.rows if row.rank), None)
    drawn = sorted(enumerate(board.rows), key=lambda pair: (pair[1] is best, not pair[1].rank))
    kind = {id(best): "on"}
    paths = [
        _path(row, low, high, f'id="c{i}" class="{kind.get(id(row), "") if row.rank else "copy"}"') for i, row in drawn
    ]
    marks = [(100 * i / steps, high - i * (high - low) / steps) for i in range(steps + 1)]
    up = [f'<text x="0" y="{y:.2f}%" dy=".3em">{round(value, 6):g}</text>' for y, value in marks]
    grid = [f'<path class="grid" d="M0,{y:.2f} 1000,{y:.2f}"/>' for y, _ in marks]
    frames = board.truth[1] - 1
    step = max(1, round(frames / 6 / (unit := 10 ** max(0, len(str(frames)) - 2))) * unit)
    along = [f'<text x="{100 * t / frames:.2f}%" y="1.1em">{t}</text>' for t in range(step, frames + 1, step)]
    picked = f'<span>{_sample("on")}<bdi id="shown">{_shown(best)}</bdi></span>' if best else ""
    return f"""<figure>
<p class="soft">PSNR (dB) of the predicted frames, the mean over {board.truth[0]} sequences.
<span class="tap">Tap a curve below to pick it.</span></p>
<div class="chart">
<svg class="up" aria-hidden="true">{"".join(up)}</svg>
<svg class="plot" {BOX} role="img" aria-label="PSNR over the predicted frames">
{"".join(grid)}<g id="lines">{"".join(paths)}</g></svg>
<svg class="along" aria-hidden="true">{"".join(along)}</svg>
</div>
<figcaption>{picked}<span>{_sample("copy")}{BASELINE}</span><span>{_sample("")}the others</span>
<span class="soft">along: predicted frame</span></figcaption>
</figure>"""


def _sample(kind: str) -> str:
    """A piece of a line, for the legend."""
    return f'<svg viewBox="0 0 30 10" aria-hidden="true"><path class="{kind}" d="M0,5 30,5"/></svg>'


def _shown(row: Row | None) -> str:
    return "" if row is None else escape(f"{row.name}, {row.mean:.2f} dB")


# --- table ---------------------------------------------------------------------------------------------------------


def _table(board: Board, low: float, high: float) -> str:
    last = f"last {ends(board.truth[1] - 1)}"
    sequences = [f"seq {i}" for i in range(board.truth[0])]
    heads = [_head("rank", "rank", up=True), _head("name", "name", up=True, words=True), _head("mean", "PSNR (dB)")]
    heads += [_head("ssim", "SSIM"), _head("last", last), *(_head("seq", name) for name in sequences)]
    plain = '<th scope="col" class="plain">curve</th><th scope="col" class="plain">sha256</th>'
    copied = next(row for row in board.rows if not row.rank)
    rows = [_row(i, row, copied, (low, high), [last, *sequences]) for i, row in enumerate(board.rows)]
    return f"<table>\n<thead><tr>{''.join(heads)}{plain}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table>"


def _head(kind: str, text: str, up: bool = False, words: bool = False) -> str:
    """A head that sorts; `second` is the direction of the second tap."""
    now = ' aria-sort="ascending"' if kind == "rank" else ""
    data = f'data-second="{"descending" if up else "ascending"}" data-words="{int(words)}"'
    return f'<th scope="col" class="{kind}" {data}{now}><button type="button">{text}</button></th>'


def _row(index: int, row: Row, copied: Row, limits: tuple[float, float], labels: list[str]) -> str:
    interval = "<span>{:.2f} to {:.2f}</span>".format(*row.interval) if row.interval else ""
    notes = "".join(f'<span class="note">{escape(note)}</span>' for note in row.notes)
    name = escape(row.name)
    cells = [
        _cell("rank", index, str(row.rank or "")),
        f'<td class="name" data-value="{name}"><bdi>{name}</bdi>{notes}</td>',
        _cell("mean", row.mean, f"<b>{row.mean:.2f}</b>{interval}", "PSNR (dB)"),
        _cell("ssim", row.ssim.mean(), f"{row.ssim.mean():.4f}", "SSIM"),
        _cell("last", row.last, f"{row.last:.2f}", labels[0]),
    ]
    for i, (value, label) in enumerate(zip(row.psnr.mean(1), labels[1:], strict=True)):
        cells.append(_cell("seq first" if i % 5 == 0 else "seq", value, f"{value:.2f}", label))
    lines = _path(copied, *limits, 'class="copy"') + (_path(row, *limits, 'class="on"') if row.rank else "")
    svg = f'<svg {BOX} aria-hidden="true">{lines}</svg>'
    button = f'<button type="button" aria-label="Pick the curve of {name}">{svg}</button>' if row.rank else svg
    cells += [f'<td class="curve">{button}</td>', f'<td class="sum"><code>{row.sha256[:12]}</code></td>']
    kind = "" if row.rank else ' class="baseline"'
    return f'<tr{kind} data-curve="c{index}" data-shown="{_shown(row)}">{"".join(cells)}</tr>\n'


def _cell(kind: str, value: float, text: str, label: str = "") -> str:
    told = f' data-label="{label}"' if label else ""
    return f'<td class="{kind}" data-value="{value:.6g}"{told}>{text}</td>'


# --- words ---------------------------------------------------------------------------------------------------------


def _refused(refused: tuple[Refused, ...]) -> str:
    """Hand-ins with faults, all of which are said by line."""
    if not refused:
        return ""
    told = []
    for one in refused:
        faults = "".join(f"<li>{escape(fault)}</li>" for fault in one.faults)
        sum_ = f' <code class="soft">{one.sha256[:12]}</code>' if one.sha256 else ""
        told.append(f'<div class="refused"><h3><bdi>{escape(one.name)}</bdi>{sum_}</h3><ul>{faults}</ul></div>')
    return f"<section>\n<h2>Not ranked: files with faults</h2>\n{''.join(told)}\n</section>"


def _rule(board: Board) -> str:
    sequences, length, values = board.truth
    count = ends(length - 1)
    told = f"""<li>The small numbers are the 95 % <b>interval</b> of the mean, over the {sequences} sequences
({METHOD}). It says how much hangs on which sequences these are; of few sequences it is rough.</li>
"""
    interval = told if sequences > 1 else ""
    return f"""<section>
<h2>How this is counted</h2>
<ul>
<li><b>PSNR</b> of a frame is −10 log10(MSE), with the mean squared error over its {values} values as whole numbers
0 to 255 divided by 255, and 100 dB at most. It is taken of every frame, then averaged over frames, then over the
{sequences} sequences.</li>
<li>The <b>first frame</b> of a sequence was given and does not count: {length - 1} of {length} frames do.</li>
{interval}<li><b>Last {count}</b>: PSNR of the last {count} frames of each sequence, where errors have added up.</li>
<li><b>SSIM</b>: Gaussian window of 11 x 11 with sigma 1.5, K1 0.01, K2 0.03, data range 1.</li>
<li><b>Rank</b> goes by mean PSNR; means that are equal to 0.01 dB share a rank. <b>Copying the first frame</b> stands
in its place without a rank: what stands below it scores worse than no prediction.</li>
<li><b>sha256</b>: the first twelve digits of each file's sum (<code>sha256sum FILE</code>). Of the truth's values:
<code>{board.truth_sha256[:12]}</code>.</li>
</ul>
</section>"""
