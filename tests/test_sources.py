"""Sources are found by file name, and split by patterns."""

from __future__ import annotations

import pytest

from framecast.sources import available, find, split_of
from framecast.sources.dance import Dance
from framecast.sources.npz import Npz
from framecast.sources.rlds import Rlds


def test_sources_are_found_by_file_name():
    assert {"dance", "npz", "rlds"} <= set(available())
    assert (find("dance"), find("npz"), find("rlds")) == (Dance, Npz, Rlds)


def test_split_patterns():
    names = [f"task_{i}" for i in range(20)]
    assert split_of(names, None, None)["val"] == ["task_9", "task_19"]
    split = split_of(names, "task_1?, task_3", "task_13")
    assert split["test"] == ["task_13"]
    assert len(split["val"]) == 10 and "task_3" in split["val"] and "task_13" not in split["val"]
    with pytest.raises(ValueError, match="--val 'x.' matches none of the 20 episodes"):
        split_of(names, "x*", None)
    with pytest.raises(ValueError, match="nothing is left to train on"):
        split_of(names, None, "*")
    with pytest.raises(ValueError, match="nothing is left for val"):
        split_of(names, "task_3", "task_3")
