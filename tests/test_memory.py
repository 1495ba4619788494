"""Freed memory is kept for the next tensors, and a training's lies in huge pages, where the system can be told so."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from framecast.memory import keep_freed

if sys.argv[1] == "kept":
    keep_freed()
for _ in range(3):
    np.ones(2**26, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(2**26, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_next_array_takes_the_pages_of_the_last() -> None:
    def faults(how: str) -> int:
        return int(subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True).stdout)

    assert faults("kept") * 10 < faults("given back")


HUGE = """
import numpy as np
from framecast.memory import in_huge_pages, keep_freed

def huge():
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith("AnonHugePages"))

def taken():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

keep_freed()
before, beside = huge(), taken()
in_huge_pages()
print(taken() - beside)
kept = np.ones(2**26, np.uint8)
print(huge() - before)
"""
CHOICE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not CHOICE.is_file() or "[never]" in CHOICE.read_text(), reason="no huge pages here")
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_next_array_lies_in_huge_pages() -> None:
    done = subprocess.run([sys.executable, "-c", HUGE], check=True, capture_output=True, text=True)
    taken, huge = map(int, done.stdout.split())  # KiB
    assert taken < 4096, "addresses alone"
    assert huge > 32 * 1024, "most of the array's 64 MiB"
