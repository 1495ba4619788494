"""Pack recordings into a store that trains fast (framecast pack SOURCE --help for a source's options)."""

from __future__ import annotations

import sys
from shlex import quote
from typing import Any

from framecast.commands._parser import Parser
from framecast.progress import bar


def run(arguments: list[str]) -> int:
    from framecast import sources

    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    name = arguments[0]
    try:
        kind = sources.find(name)
    except ValueError as error:
        print(f"framecast pack: {error}", file=sys.stderr)
        return 2
    parser = Parser(f"pack {name}", _what(kind), kind.example)
    keys = parser.add_class_arguments(kind, as_positional=True)
    parser.add_argument(
        "--out",
        type=str,
        required=True,
        help="the store's folder; must not exist yet (broken off, the same command goes on)",
    )
    parser.add_argument("--workers", type=int, default=None, help="processes; one per core if not given")
    options = parser.parse(arguments[1:])
    if options.workers is not None and options.workers < 1:
        parser.error(f"--workers must be 1 or more, not {options.workers}")
    return pack({key: options[key] for key in keys}, name, options.out, options.workers)


def pack(options: dict[str, Any], source: str, out: str, workers: int | None) -> int:
    """Packs, and says what came of it."""
    from framecast import packing

    with bar(f"packing {source}") as progress:
        made = packing.pack(source, options, out, workers, progress, tell)
    for split, entries in made.entries.items():
        print(f"{split:6} {len(entries):6} episodes {sum(e.frames for e in entries):8} frames")
    print(f"{made.spec.height} x {made.spec.width}, condition: {made.spec.condition}")
    for key, value in made.index["about"].items():
        print(f"{key}: {value}")
    print(
        f"Packed into {out}. Next: framecast info {quote(out)}\n"
        f"                      or: framecast train --data {quote(out)} --out runs/first --minutes 5"
    )
    return 0


def tell(words: str) -> None:
    """A line on stderr, above the progress bar if one is drawn."""
    from tqdm import tqdm

    tqdm.write(words, file=sys.stderr)


def _overview() -> str:
    from framecast import sources

    kinds = {name: sources.find(name) for name in sources.available()}
    rows = "\n".join(f"  {name:8} {_what(kind)}" for name, kind in kinds.items())
    examples = "\n".join(f"  {kind.example}" for kind in kinds.values())
    usage = "usage: framecast pack SOURCE [ROOT] --out STORE [options of the source]"
    return f"{usage}\n\nsources:\n{rows}\n\nexamples:\n{examples}"


def _what(kind: type[Any]) -> str:
    """The first line of what a class says of itself."""
    return next(iter((kind.__doc__ or "").splitlines()), "")
