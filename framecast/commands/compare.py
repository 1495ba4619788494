"""Put results side by side with confidence intervals; refuse results of different rules."""

from __future__ import annotations

from framecast.commands._parser import Parser, table

EXAMPLE = "framecast compare runs/latent runs/svg"


def run(arguments: list[str]) -> int:
    parser = Parser("compare", "Results side by side, with intervals over videos.", EXAMPLE)
    parser.add_argument("results", type=str, nargs="+", help="results.json files, or evaluated run folders")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals (default: 0.95)")
    parser.add_argument("--anyway", action="store_true", help="print results of different rules, each by itself")
    options = parser.parse(arguments)
    if not 0 < options.level < 1:
        parser.error(f"--level lies between 0 and 1, not {options.level}")
    compare(options.results, options.level, options.anyway)
    return 0


def compare(paths: list[str], level: float, anyway: bool) -> None:
    """Loads, checks and prints."""
    from framecast import compare as comparing
    from framecast import protocols

    results = [comparing.load(path) for path in paths]
    if not anyway:
        comparing.refuse_unequal(results)
    groups = [[r for r in results if r.hash == key] for key in dict.fromkeys(r.hash for r in results)]
    for group in groups:
        first = group[0]
        print(f"protocol {first.name} ({first.hash}): {_words(first.rules)}")
        header, rows = comparing.table(group, level)
        print(table(rows, header))
        named = protocols.BUILT_IN.get(first.name)
        if named and named.published:
            print("\n".join(f"  published: {row}" for row in named.rows()))
            if told := named.otherwise(first.rules):
                print(f"  the results above differ from that protocol in: {told}")
        if group is not groups[-1]:
            print()


def _words(rules: dict[str, object]) -> str:
    horizon = rules["horizon"] or "all"
    told = f"{rules['data']}; {rules['split']}, {rules['recordings']}; {rules['context']} given, {horizon} predicted"
    return f"{told}; {rules['samples']} samples; PSNR by {rules['psnr']}"
