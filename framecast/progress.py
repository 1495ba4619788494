"""Progress bars with time left: one line on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class _Lines:
    """A log file has no line to write over: every state gets a line of its own."""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def made(**options: Any) -> Any:
    """A tqdm bar on stderr, drawn a few times a second where somebody watches, every 20 s where nobody does."""
    from tqdm import tqdm

    watched = sys.stderr.isatty()
    pause = 0.2 if watched else 20.0
    return tqdm(mininterval=pause, maxinterval=pause, file=sys.stderr if watched else _Lines(), **options)  # type: ignore[arg-type]


@contextmanager
def bar(what: str, unit: str = " frames") -> Iterator[Callable[[int, int], None]]:
    """A progress bar; call it with the number done and the number in all."""
    shown: Any = None  # made on the first call, so that what fails before it shows no empty bar

    def update(done: int, total: int) -> None:
        nonlocal shown
        if shown is None:
            shown = made(desc=what, total=total, unit=unit)
        if shown.total != total or done < shown.n:
            shown.reset(total)
        shown.update(done - shown.n)

    try:
        yield update
    finally:
        if shown is not None:
            shown.close()
