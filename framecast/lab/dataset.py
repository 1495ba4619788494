"""DATASET, the course's folder: counted without reading a picture, and packed once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framecast import packing
from framecast.lab.flags import Options
from framecast.progress import bar
from framecast.sources import SPLITS
from framecast.sources.dance import Dance
from framecast.store import INDEX, Store


def packed(o: Options, out: Path) -> Store:
    """OUT/store, packed from DATASET once; again where the folder, the size or the files are not those it came from."""
    place = out / "store"
    options: dict[str, Any] = {"root": str(Path(o.DR).resolve()), "size": f"{o.frame_H}x{o.frame_W}"}
    wanted = counts(Dance(**options), SPLITS)
    if (place / INDEX).is_file():
        try:
            made = Store(place)
            have = {(s, e.name): (e.frames, e.conditions) for s, found in made.entries.items() for e in found}
            if made.index["options"] == options and have == wanted:
                print(f"The pictures are packed already, in {place}.")
                return made
        except ValueError:
            pass  # damaged, or of another version
        print(f"{place} does not hold these pictures at this size; they are packed again.")
        shutil.rmtree(place)
    with bar("packing") as progress:
        return packing.pack("dance", options, place, max(1, o.num_workers), progress)


def counts(source: Dance, splits: Sequence[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """(split, episode) -> its frames and its labels, without reading one."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for split in splits:
        for part in source.parts(split):
            frames, labels = found.get((split, part.episode), (0, 0))
            found[split, part.episode] = frames + part.frames, labels + part.stop - part.start
    return found
