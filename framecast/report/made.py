"""What was run, for the page: settings, protocol, versions, commit, machine and cost."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import yaml

from framecast.report import words
from framecast.report.contents import Group
from framecast.report.folders import Run


def table(
    kind: str, names: list[str], lines: list[list[str]], swatch: bool = False, told: Callable[[str], str] = escape
) -> str:
    """A table under its columns' names, the first of which is that of the rows; cells know theirs, for phones.

    Rows that the figures know have a `swatch` of their colour; `told` makes HTML of a cell.
    """
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = ""
    for first, *rest in lines:
        named = zip(names[1:], rest, strict=True)
        cells = "".join(f'<td data-name="{escape(name)}"><span>{told(cell)}</span></td>' for name, cell in named)
        rows += f'<tr><th scope="row">{colour(first) if swatch else ""}{escape(first)}</th>{cells}</tr>'
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def colour(label: str) -> str:
    """A dot of the colour that a run or row has in all figures."""
    return f'<i class="swatch" data-series="{escape(label)}"></i>'


def section(name: str, title: str, body: str) -> str:
    """A part of the page; nothing where there is nothing in it."""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{body}</section>' if body else ""


def what_was_run(runs: list[Run], groups: list[Group]) -> str:
    """In what the runs differ; each run's settings, versions, machine and cost; the rules of each table."""
    parts = [_differences(runs), *(_run(run) for run in runs)]
    for group in groups:
        first = group.first
        rules = _pairs({"name": first.name, "hash": first.hash, **first.rules})
        parts.append(
            f"<details><summary>Protocol {escape(first.name)} ({escape(first.hash)})</summary>{rules}</details>"
        )
    return "".join(parts)


def _differences(runs: list[Run]) -> str:
    """The settings that are not the same in all runs: what a study varies."""
    flat = [_flat(run.config) for run in runs]
    keys = [key for key in dict.fromkeys(k for f in flat for k in f) if len({str(f.get(key)) for f in flat}) > 1]
    if len(runs) < 2 or not keys:
        return ""
    cells = ([run.label, *(str(f.get(key, "")) for key in keys)] for run, f in zip(runs, flat, strict=True))
    lines = [["", *keys], *cells]
    if len(keys) > len(runs):  # as many columns as there are runs, then
        lines = [list(column) for column in zip(*lines, strict=True)]
    return f"<h3>In what the runs differ</h3>{table('settings', lines[0], lines[1:])}"


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return found


def _run(run: Run) -> str:
    facts = {"folder": str(run.folder), "cost": words.cost(run), **run.made}
    for result in run.results:
        done = result.data.get("frames_per_second") or {}
        speed = ", ".join(f"{who} {value:,.0f} frames/s" for who, value in done.items())
        facts[f"scored {result.data.get('split', '')}"] = f"{result.file.parent.name}; {speed or 'speed not recorded'}"
    text = yaml.safe_dump(run.config, sort_keys=False) if run.config else "no config.yaml"
    return (
        f"<details><summary>{colour(run.label)}{escape(run.label)} <small>{escape(words.cost(run))}</small></summary>"
        f"{_pairs(facts)}<pre>{escape(text)}</pre></details>"
    )


def _pairs(facts: dict[str, Any]) -> str:
    """Names and values; what is empty is not shown."""
    shown = [(str(k), str(v)) for k, v in facts.items() if v not in ("", None)]
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in shown) + "</dl>"
