"""Work on all cores, in processes that leave Ctrl-C to their parent and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, TypeVar

Job = TypeVar("Job")
Done = TypeVar("Done")


def mapped(
    work: Callable[[Job], Done],
    jobs: Sequence[Job],
    workers: int,
    chunk: int = 1,
    begin: Callable[..., None] | None = None,
    given: tuple[Any, ...] = (),
) -> Iterator[Done]:
    """What `work` makes of each job, in their order, as it is done.

    Args:
        work: a function at the top of a module; it and the jobs are sent to the processes.
        jobs: what is to be done.
        workers: processes at most.
        chunk: jobs that a process takes at a time.
        begin: called with `given` as each process begins.

    Raises:
        OSError: a process was killed; the others end. What `work` raises comes through.
    """
    # Fresh interpreters: a fork of a process that runs torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _begin, (begin, given)) as pool:
        try:
            with _deaf():
                results = pool.map(work, jobs, chunksize=chunk)
            yield from results
        except BrokenProcessPool:
            raise OSError(
                "A worker process ended before its work (out of memory?). Try again with fewer (`pack --workers 1`)."
                " A script of your own does this under `if __name__ == '__main__':`, as workers read the script again."
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C waits; what is started meanwhile does not hear it, also before it can say so itself."""
    if not hasattr(signal, "pthread_sigmask"):  # not a Unix
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(begin: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    if begin is not None:
        begin(*given)
    parent = multiprocessing.parent_process()
    if parent is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent says what is to be done
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """Ends this worker with its parent: were that killed, it would wait for ever, or write where others now work."""
    wait([sentinel])
    os._exit(1)
