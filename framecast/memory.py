"""Memory that a process has freed and will want again."""

from __future__ import annotations

import sys

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h


def keep_freed() -> None:
    """Freed memory stays with the process, whose next tensors take it, and is given back when it ends.

    By itself glibc gives tensors over 32 MB back at once, and the system hands out zeroed pages in their place, one
    fault a page: at every step of a training anew. Elsewhere than under glibc nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return
    mallopt(MMAP_THRESHOLD, 2**31 - 1)
    mallopt(TRIM_THRESHOLD, -1)  # never
