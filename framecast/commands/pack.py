"""Pack recordings into a store that trains fast (framecast pack SOURCE --help for a source's options)."""

from __future__ import annotations

import sys
from typing import Any

from framecast.commands._parser import Parser
from framecast.progress import bar

EXAMPLES = {
    "bair": "framecast pack bair data/softmotion30_44k --camera aux1 --condition both --out stores/bair",
    "dance": "framecast pack dance data/dance --out stores/dance",
    "dancer": "framecast pack dancer --train 3000 --out stores/dancer",
    "digits": "framecast pack digits --train 2000 --out stores/digits",
    "gym": "framecast pack gym pusht --policy scripted --out stores/pusht",
    "kth": "framecast pack kth data/kth --size 64 --out stores/kth",
    "npz": "framecast pack npz data/metaworld --frames observation --channels 6:9 --axes TCHW --out stores/metaworld",
    "rlds": "framecast pack rlds data/bridge --camera image_0 --condition action --out stores/bridge",
}


def run(arguments: list[str]) -> int:
    from framecast import sources
    from framecast.values import nearest

    names = sources.available()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(names))
        return 0
    name = arguments[0]
    if name not in names:
        hint = nearest(name, names)
        print(f"framecast pack: there is no source {name!r}.{hint} There are: {', '.join(names)}.", file=sys.stderr)
        return 2
    kind = sources.find(name)
    parser = Parser(
        f"pack {name}",
        (kind.__doc__ or "").splitlines()[0],
        EXAMPLES.get(name, f"framecast pack {name} ROOT --out STORE"),
    )
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
        f"Packed into {out}. Next: framecast info {out}\n"
        f"                      or: framecast train --data {out} --out runs/first --minutes 5"
    )
    return 0


def tell(words: str) -> None:
    """A line on stderr, above the progress bar if one is drawn."""
    from tqdm import tqdm

    tqdm.write(words, file=sys.stderr)


def _overview(names: list[str]) -> str:
    from framecast import sources

    rows = "\n".join(f"  {n:8} {(sources.find(n).__doc__ or '').splitlines()[0]}" for n in names)
    examples = "\n".join(f"  {EXAMPLES[n]}" for n in names if n in EXAMPLES)
    usage = "usage: framecast pack SOURCE [ROOT] --out STORE [options of the source]"
    return f"{usage}\n\nsources:\n{rows}\n\nexamples:\n{examples}"
