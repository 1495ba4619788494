"""Memory that a process has freed and will want again, and in which pages it lies."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h
HUGE_PAGES = 14  # MADV_HUGEPAGE of Linux's mman.h
PAGE, BLOCK, BLOCKS = 2**21, 2**31 - 2**22, 2  # bytes; a block stays below what mallopt takes as a threshold


def keep_freed() -> None:
    """Freed memory stays with the process, whose next tensors take it, and is given back when it ends.

    By itself glibc gives tensors over 32 MB back at once, and the system hands out zeroed pages in their place, one
    fault a page: at every step of a training anew. Elsewhere than under glibc nothing is changed.
    """
    if (libc := _glibc()) is not None:
        libc.mallopt(MMAP_THRESHOLD, 2**31 - 1)
        libc.mallopt(TRIM_THRESHOLD, -1)  # never


def in_huge_pages() -> None:
    """The next 4 GiB that are taken lie in pages of 2 MiB where Linux has them: for trainings, after `keep_freed`.

    Steps that walk through gigabytes spend less on looking up where these lie (`pose_cvae`: 4 to 9 %). The first steps
    take longer, about a second a gigabyte, which a short command would not earn back. Only addresses are taken here.
    """
    if (libc := _glibc()) is None:
        return
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    blocks = [start for _ in range(BLOCKS) if (start := libc.malloc(BLOCK))]  # fewer where there is a limit
    for start in blocks:
        libc.madvise(-(-start // PAGE) * PAGE, BLOCK - PAGE, HUGE_PAGES)
    for start in blocks:
        libc.free(start)


def _glibc() -> Any:
    """The C library of this process, where it is glibc; else None."""
    try:
        libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    except OSError:
        return None
    return libc if hasattr(libc, "mallopt") else None
