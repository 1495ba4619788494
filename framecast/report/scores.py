"""The page's tables of scores: every row with its interval, what a study says of them, what was published."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from framecast import protocols
from framecast.effects import Table
from framecast.metrics.interval import METHOD
from framecast.report import contents, words
from framecast.report.made import section, table

TITLES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "psnr less the first's": "PSNR less the first's (dB)"}
BEST_OF = {"psnr best of": "PSNR (dB), best of", "ssim best of": "SSIM, best of"}


def scores(groups: list[contents.Group]) -> str:
    """A table for each set of rules."""
    parts = []
    if len(groups) > 1:
        parts.append("<p>These were scored by different rules, so they do not stand in one table.</p>")
    for number, group in enumerate(groups):
        header, lines = group.table()
        several = sum(not row.measured.copy for row in group.rows) > 1
        kept = [k for k, name in enumerate(header) if several or name != "psnr less the first's"]
        names, cells = [_title(header[k]) for k in kept], [[line[k] for k in kept] for line in lines]
        some = f"Over {group.videos} sequences: mean, and in brackets its 95 % interval ({METHOD})."
        one = "Of one sequence: there is no interval."
        parts.append(
            f"<h3>{escape(words.rules(group))}</h3>"
            f'<figure><div class="chart" data-chart="whiskers" data-group="{number}"></div></figure>'
            f"{table('scores', names, cells, swatch=True, told=_interval)}"
            f'<p class="quiet">{some if group.videos > 1 else one}</p>{_published(group)}'
        )
    return section("scores", "Scores", "".join(parts))


def studied(tables: Sequence[Table]) -> str:
    """What a study says over its seeds."""
    parts = []
    for title, header, lines in tables:
        parts.append(f"<h3>{escape(title)}</h3>{table('scores', header, lines, told=_interval)}")
    note = '<p class="quiet">In brackets the 95 % interval over seeds (Student), differences taken seed by seed.</p>'
    return section("study", "What the study says", "".join(parts) + note if parts else "")


def _title(name: str) -> str:
    """A column's name for people."""
    what, _, count = name.rpartition(" ")
    return f"{BEST_OF[what]} {count}" if what in BEST_OF else TITLES.get(name, name)


def _interval(cell: str) -> str:
    """`mean (low to high)` with the interval in a softer voice."""
    mean, there, interval = escape(cell).replace("-", "\N{MINUS SIGN}").partition(" (")
    return mean + (f" <small>({interval}</small>" if there else "")


def _published(group: contents.Group) -> str:
    """The rows that belong to a built-in protocol, and in what the results above were made otherwise."""
    known = protocols.BUILT_IN.get(group.first.name)
    if known is None or not known.published:
        return ""
    rows = "".join(f"<li>{escape(row)}</li>" for row in known.rows())
    told = known.otherwise(group.first.rules)
    other = f"<p>The results above differ from that protocol in: {escape(told)}.</p>" if told else ""
    return f"<details><summary>Published under {escape(known.name)}</summary><ul>{rows}</ul>{other}</details>"
