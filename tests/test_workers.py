"""Worker processes: results in order, faults that come through, and a killed one that is told."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from packs import Inline

from framecast import workers
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


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")
def test_workers_start_while_ctrl_c_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one that is still importing dies of it with a traceback of its own."""
    masks = []

    class Pool(Inline):
        def map(self, work: Any, jobs: Any, chunksize: int) -> Any:
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
            return super().map(work, jobs, chunksize)

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    assert list(mapped(square, [1, 2], 2)) == [1, 4]
    assert [signal.SIGINT in mask for mask in masks] == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(OSError, match="A worker process ended before its work"):
        list(mapped(killed, [0, 1], 2))
