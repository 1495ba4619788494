"""Worker processes: results in order, faults that come through, and a killed one that is told."""

from __future__ import annotations

import os
import signal

import pytest

from framecast.workers import mapped


def square(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number * number


def killed(number: int) -> int:
    os.kill(os.getpid(), signal.SIGTERM)
    return number


def test_results_come_in_order_and_faults_come_through() -> None:
    found = []
    with pytest.raises(ValueError, match="three"):
        for value in mapped(square, [0, 1, 2, 3, 4], 2):
            found.append(value)
    assert found == [0, 1, 4]


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(OSError, match="A worker process ended before its work"):
        list(mapped(killed, [0, 1], 2))
