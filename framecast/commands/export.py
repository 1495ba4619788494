"""Write a store's episodes as files that other programs read: BAIR's two forms, or the dancers' pictures."""

from __future__ import annotations

from shlex import join, quote

from framecast.commands._parser import Parser
from framecast.progress import bar

EXAMPLE = "framecast export stores/bair --as bair-png --out data/bair"


def run(arguments: list[str]) -> int:
    from framecast import export
    from framecast.store import Store

    parser = Parser("export", "A store's frames and conditions as files; packing them gives the same store.", EXAMPLE)
    parser.add_argument("store", type=str, help="a packed store")
    parser.add_argument("--as", choices=list(export.FORMS), required=True, help="the form of the files")
    parser.add_argument("--out", type=str, required=True, help="the folder to make; must not exist yet")
    parser.add_argument("--split", type=str, default=None, help="train, val, test, several by commas (default: all)")
    parser.add_argument("--camera", type=str, default=None, help="bair-tfrecord: the frames' name (default: aux1)")
    parser.add_argument("--action", type=str, default=None, help="bair: the condition's columns of the action, as 0:4")
    parser.add_argument("--position", type=str, default=None, help="bair: those of the gripper's position, as 4:7")
    options = parser.parse(arguments)
    form = options["as"]
    splits = [split.strip() for split in options.split.split(",")] if options.split else None
    with bar("exporting") as progress:
        reading = export.export(
            Store(options.store),
            form,
            options.out,
            splits,
            options.camera,
            options.action,
            options.position,
            progress,
        )
    source = form.partition("-")[0]
    print(
        f"Written to {options.out}.\n"
        f"Read again with: framecast pack {source} {quote(options.out)} {join(reading)} --out stores/{source}"
    )
    return 0
