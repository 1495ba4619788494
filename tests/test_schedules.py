"""Schedules: never out of their range, never turning where they should not, and the course's numbers exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast import schedules
from framecast.schedules import Cosine, Linear, Milestones, Monotonic, Phases, Progress, Schedule, Step

share = st.floats(0, 1)
epoch = st.floats(0, 20)


def at(schedule: Schedule, epoch: float, epochs: float) -> float:
    return schedule(Progress(min(1.0, epoch / epochs), epoch, epochs))


def along(schedule: Schedule, epochs: float, points: int = 100) -> np.ndarray:
    return np.array([at(schedule, i * epochs / points, epochs) for i in range(points + 1)])


RAMPS = st.one_of(
    st.builds(Monotonic, share, share, share),
    st.builds(Linear, share, share, epoch),
    st.builds(Phases, share, share, share, share),
    st.builds(Cosine, share, share),
)
STAIRS = st.one_of(st.builds(Step, share, epoch, share, share), st.builds(Milestones, share, epoch, epoch, share))


@settings(max_examples=150, deadline=None)
@given(RAMPS, st.floats(1, 50))
def test_ramps_never_turn_round(schedule: Any, epochs: float) -> None:
    values = along(schedule, epochs)
    assert (np.diff(values) * np.sign(schedule.stop - schedule.start) >= -1e-9).all()


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.builds(Monotonic, share, share, share), st.builds(Cosine, share, share)), st.floats(1, 50))
def test_ramps_arrive(schedule: Any, epochs: float) -> None:
    assert at(schedule, epochs, epochs) == pytest.approx(schedule.stop, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(STAIRS, st.floats(1, 50))
def test_stairs_never_rise(schedule: Schedule, epochs: float) -> None:
    assert (np.diff(along(schedule, epochs)) <= 1e-9).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 1), st.floats(0, 0.999), st.data())
def test_cycles_have_one_period(cycles: int, ratio: float, within: float, data: st.DataObject) -> None:
    schedule = schedules.Cyclical(cycles=cycles, ratio=ratio)
    cycle = data.draw(st.integers(0, cycles - 1))
    one, other = (schedule(Progress((c + within) / cycles)) for c in (0, cycle))
    assert one == pytest.approx(other, abs=1e-6 / ratio)
    assert one == pytest.approx(min(1.0, within / ratio), abs=1e-6 / ratio)
    assert schedule(Progress(1.0)) == 1.0


def test_every_cycle_begins_at_the_bottom() -> None:
    """Also where the fraction of a cycle's first step is rounded: 1/49 of training times 49 cycles is less than 1."""
    for cycles in range(1, 80):
        schedule = schedules.Cyclical(cycles)
        assert [schedule(Progress(cycle / cycles)) for cycle in range(cycles)] == pytest.approx([0] * cycles, abs=1e-6)


def test_step_decay_of_the_course() -> None:
    values = [at(Step(from_epoch=10, step=0.1), epoch + 0.5, 70) for epoch in range(25)]
    assert values[:10] == [1.0] * 10
    assert values[10:20] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    assert values[20:] == [0.0] * 5


def test_linear_after_a_hold() -> None:
    schedule = Linear(from_epoch=10)
    assert [at(schedule, e, 30) for e in (0, 10, 15, 20, 30)] == pytest.approx([1, 1, 0.75, 0.5, 0])


def test_a_phase_without_length_is_a_step() -> None:
    values = [at(Phases(hold=0.5, fall=0.0), epoch, 10) for epoch in (0, 4, 5, 9)]
    assert values == [1, 1, 0, 0]


def test_part_of_an_epoch_is_waited_for() -> None:
    values = [at(Step(from_epoch=2.5, step=0.1), epoch, 10) for epoch in (2, 2.9, 3, 4)]
    assert values == pytest.approx([1, 1, 0.9, 0.8])


def test_three_phases_of_300() -> None:
    schedule = Phases()
    assert [at(schedule, e, 300) for e in (0, 149, 150)] == pytest.approx([1, 1, 1])
    assert [at(schedule, e, 300) for e in (175, 200, 225)] == pytest.approx([0.75, 0.5, 0.25])
    assert [at(schedule, e, 300) for e in (250, 275, 300)] == pytest.approx([0, 0, 0], abs=1e-9)


def test_annealing_by_name() -> None:
    cyclical, monotonic = schedules.parse("cyclical"), schedules.parse("monotonic")
    assert (cyclical, monotonic) == (schedules.Cyclical(10, 0.5), schedules.Monotonic(0.25))
    for cycle in range(10):
        assert at(cyclical, 7 * cycle, 70) == 0
        assert at(cyclical, 7 * cycle + 1.75, 70) == pytest.approx(0.5)
        assert [at(cyclical, 7 * cycle + e, 70) for e in (3.6, 5, 6.9)] == [1, 1, 1]
    assert [monotonic(Progress(f)) for f in (0, 0.125, 0.25, 0.7, 1)] == pytest.approx([0, 0.5, 1, 1, 1])
    low = schedules.parse("monotonic:stop=0.001")
    assert low(Progress(0.9)) == 0.001
    assert schedules.parse("none")(Progress(0.0)) == 1


def test_cycles_inside_an_epoch() -> None:
    schedule = schedules.parse("cyclical:per_epoch=3,ratio=0.5")
    for epoch in (0, 4):
        values = [at(schedule, epoch + third / 3 + inside / 3, 10) for third in range(3) for inside in (0, 0.25, 0.75)]
        assert values == pytest.approx([0, 0.5, 1] * 3, abs=1e-6)


def test_learning_rates() -> None:
    rates = [at(schedules.parse("milestones"), e, 70) for e in (0, 1.9, 2, 4.9, 5, 60)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    cosine = schedules.parse("cosine:warmup=0.1")
    assert [cosine(Progress(f)) for f in (0.1, 0.55, 1)] == pytest.approx([1, 0.5, 0], abs=1e-9)
    assert 0 < cosine(Progress(0.0)) < 0.02
    assert cosine(Progress(0.0)) < cosine(Progress(0.05)) < 1


def test_by_epoch_moves_only_between_epochs() -> None:
    assert Progress(0.25, 2.5, 10).by_epoch() == Progress(0.2, 2, 10)
    assert Progress(0.29, 2.9, 10).by_epoch() == Progress(0.2, 2, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cyclic", "no schedule 'cyclic'. Did you mean 'cyclical'.*There are: none, .*or a number"),
        ("xyz", "no schedule 'xyz'. There are: none"),
        ("cyclical:cycle=4", "cyclical has no option 'cycle'. Did you mean 'cycles'.*It has: cycles, ratio"),
        ("cyclical:cycles=many", "cyclical:cycles takes a whole number, not 'many'"),
        ("cyclical:cycles=2.5", "cyclical:cycles takes a whole number, not '2.5'"),
        ("linear:stop", "linear:stop takes a number"),
        ("nan", "no schedule 'nan'.*or a number"),
        ("monotonic:stop=inf", "monotonic:stop takes a number, not 'inf'"),
    ],
)
def test_schedules_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedules.parse(text)


def test_schedules_are_read_as_written() -> None:
    assert schedules.parse("0.5") == schedules.Constant(0.5)
    assert schedules.parse(" linear:from_epoch=2.5, stop=0.1 ") == Linear(1.0, 0.1, 2.5)
    assert str(schedules.Cyclical(cycles=4)) == "cyclical:cycles=4"
    assert str(Step()) == "step"
    for schedule in (schedules.Cyclical(cycles=1_000_000), Step(from_epoch=2.5), Monotonic(ratio=0.123456789)):
        assert schedules.parse(str(schedule)) == schedule  # no digit is lost
