"""Do the metrics hold on this machine? Known pairs of films, and what is expected of each."""

from __future__ import annotations

import math

from framecast.commands._parser import Parser, table

EXAMPLE = "framecast selftest"


def run(arguments: list[str]) -> int:
    parser = Parser("selftest", "Scores pairs of films whose scores are known in closed form.", EXAMPLE)
    parser.parse(arguments)
    from framecast import selftest

    found = selftest.cases()
    rows = [[c.pair, c.metric, _words(c.expected), _words(c.found), "holds" if c.holds else "FAILS"] for c in found]
    print(table(rows, ["pair", "metric", "expected", "found", ""]))
    failed = [c for c in found if not c.holds]
    if failed:
        print(f"{len(failed)} of {len(found)} do not hold: scores of this machine cannot be trusted. Please report it.")
        return 1
    print(f"All {len(found)} hold.")
    return 0


def _words(values: list[float]) -> str:
    if any(math.isnan(v) for v in values):
        return "refused"
    return " ".join(f"{round(v, 2) + 0.0:.2f}" for v in values)  # without a minus before zero
