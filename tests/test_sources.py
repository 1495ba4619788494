"""Sources are found by file name, and split by patterns."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import packs
import pytest
from recordings import moving_square

from framecast import packing, workers
from framecast.report.film import write_film
from framecast.sources import Source, available, find, split_of
from framecast.sources._pictures import resized, squeezed
from framecast.sources.dance import Dance
from framecast.sources.npz import Npz
from framecast.sources.rlds import Rlds
from framecast.values import class_of


def test_sources_are_found_by_file_name():
    assert {"dance", "npz", "rlds"} <= set(available())
    assert (find("dance"), find("npz"), find("rlds")) == (Dance, Npz, Rlds)


def test_the_class_of_a_file_is_its_last_whole_one():
    module = ModuleType("toy")
    for name, base, body in (("_Shared", Npz, {}), ("Toy", Npz, {}), ("Half", Source, {}), ("_Last", Dance, {})):
        setattr(module, name, type(name, (base,), {"__module__": "toy", **body}))
    module.Dance = Dance  # imported there  # type: ignore[attr-defined]
    assert class_of(module, Source).__name__ == "Toy"
    module.__file__, module.Toy = "toy.py", None  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"toy.py holds no whole subclass of Source: does it define all methods\?"):
        class_of(module, Source)
    with pytest.raises(ValueError, match="There is no source 'dancr'. Did you mean 'dancer'"):
        find("dancr")


def test_split_patterns():
    names = [f"task_{i}" for i in range(20)]
    assert split_of(names, None, None)["val"] == ["task_9", "task_19"]
    split = split_of(names, "task_1?, task_3", "task_13")
    assert split["test"] == ["task_13"]
    assert len(split["val"]) == 10 and "task_3" in split["val"] and "task_13" not in split["val"]
    with pytest.raises(ValueError, match="--val 'x.' matches none of the 20 episodes"):
        split_of(names, "x*", None)
    assert split_of(["a[1]", "b", "c"], "a[1]", None)["val"] == ["a[1]"]
    with pytest.raises(ValueError, match="nothing is left to train on"):
        split_of(names, None, "*")
    with pytest.raises(ValueError, match="nothing is left for val"):
        split_of(names, "task_3", "task_3")


@pytest.mark.parametrize(
    ("found", "size", "way"),
    [
        ((360, 640), (64, 64), "; --size 36x64 keeps it"),
        ((480, 640), (32, 64), "; --size 48x64 keeps it"),
        ((640, 360), (32, 64), "; --size 64x36 keeps it"),
        ((100, 1600), (64, 64), "; --size 8x128 keeps it"),  # no side of a store is below 8
    ],
)
def test_a_lost_aspect_ratio_is_told(found: tuple[int, int], size: tuple[int, int], way: str):
    first = f"frames of {found[0]} x {found[1]} (H x W) to {size[0]} x {size[1]}, another aspect ratio"
    assert resized([found, found], size) == {"resized": first + way}


@pytest.mark.parametrize(
    ("found", "size"),
    [
        ((36, 64), (36, 64)),
        ((1080, 1920), (36, 64)),
        ((512, 1024), (32, 64)),
        ((480, 854), (9, 16)),
        ((65, 64), (8, 8)),
    ],
)
def test_an_aspect_ratio_is_kept_but_for_rounding(found: tuple[int, int], size: tuple[int, int]):
    assert not squeezed(found, size) and resized([found], size) == {}


def test_the_documentations_source_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
    (code,) = re.findall(r'```python\n("""GIFs.*?)```', page, re.S)
    module = ModuleType("gifs")
    exec(code, vars(module))
    module.Gifs.__module__ = "gifs"
    gifs = class_of(module, Source)
    films = [moving_square(n, 64, 64) for n in (5, 4)]
    for name, film in zip(("a", "b"), films, strict=True):
        write_film(tmp_path / "gifs" / f"{name}.gif", film)
    monkeypatch.setattr(packing, "find", lambda name: gifs)
    monkeypatch.setattr(workers, "ProcessPoolExecutor", packs.Inline)
    store = packing.pack("gifs", {"root": str(tmp_path / "gifs")}, tmp_path / "store")
    assert {split: [e.name for e in found] for split, found in store.entries.items()} == {"train": ["a"], "val": ["b"]}
    for split, film in zip(("train", "val"), films, strict=True):
        assert np.array_equal(store.episode(split, 0).frames, film)
