"""One contract for every schedule that is found: a new one is tested with nothing to register."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast import schedules
from framecast.schedules import Progress

NAMES = sorted(schedules.available())
ENDS = ("start", "stop", "value", "floor")
# Values that an option of that name can have; an option that is not here keeps its default.
unit = st.floats(0, 1)
RANGES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("start", "stop", "value", "floor", "ratio", "hold", "fall", "warmup", "step", "factor"), unit),
    "cycles": st.integers(1, 20),
    "per_epoch": st.integers(0, 5),
    **dict.fromkeys(("from_epoch", "first", "second"), st.floats(0, 20)),
}


@st.composite
def a_schedule(draw: st.DrawFn, name: str) -> schedules.Schedule:
    """A schedule of that name with drawn options."""
    kind = schedules.available()[name]
    return kind(**{f.name: draw(RANGES[f.name]) for f in fields(kind) if f.name in RANGES})


@st.composite
def a_progress(draw: st.DrawFn) -> Progress:
    epochs = draw(st.floats(1, 300))
    fraction = draw(unit)
    return Progress(fraction, fraction * epochs, epochs)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_schedules_stay_in_their_range_and_are_written_as_they_are_read(name: str, data: st.DataObject) -> None:
    schedule, progress = data.draw(a_schedule(name)), data.draw(a_progress())
    value = schedule(progress)
    with pytest.raises(FrozenInstanceError):
        setattr(schedule, fields(schedule)[0].name, 0)
    named = [getattr(schedule, f.name) for f in fields(schedule) if f.name in ENDS]
    assert named, f"{name} has none of the options that say where it ends: {', '.join(ENDS)}"
    # Some fall towards zero, or warm up from it, instead of having a second end.
    towards_zero = name == "milestones" or getattr(schedule, "warmup", 0) > 0
    assert math.isfinite(value)
    assert min([0.0, *named] if towards_zero else named) - 1e-9 <= value <= max(named) + 1e-9
    earlier = replace(progress, fraction=progress.fraction / 2, epoch=progress.epoch / 2)
    assert schedule(earlier) == schedules.parse(str(schedule))(earlier), "it depends on what it was asked before"
    assert schedule(progress) == value
    assert schedules.parse(str(schedule)) == schedule
