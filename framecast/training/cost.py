"""What a run has cost: time, core-minutes and memory, kept in its folder as cost.json."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from framecast.atomic import write_json
from framecast.reading import BROKEN, read_json

FILE = "cost.json"


def read(folder: Path) -> dict[str, Any]:
    """What the parts of a run before a resume have cost; nothing where there is no readable file."""
    try:
        found = read_json(folder / FILE)
    except (OSError, *BROKEN):
        return {}
    numbers = (value for key, value in found.items() if key != "state")
    return found if all(isinstance(n, int | float) and n >= 0 for n in numbers) else {}


def write(folder: Path, before: dict[str, Any], seconds: float, step: int, state: str) -> None:
    """Adds this part to those before it.

    Args:
        folder: of the run.
        before: of `read`, when this part began.
        seconds: of training, the parts before included.
        step: where the run stands.
        state: "training", "finished" or "stopped" (by Ctrl-C, after saving).
    """
    threads = torch.get_num_threads()
    own = max(0.0, seconds - before.get("seconds", 0.0))
    found = {
        "seconds": round(seconds, 1),
        "core_minutes": round(before.get("core_minutes", 0.0) + own * threads / 60, 3),
        "peak_memory_mb": max(before.get("peak_memory_mb", 0), _peak()),
        "step": step,
        "state": state,
    }
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        gpu = round(torch.cuda.max_memory_allocated() / 1e6)
        found["peak_gpu_memory_mb"] = max(before.get("peak_gpu_memory_mb", 0), gpu)
    write_json(folder / FILE, found)


def _peak() -> int:
    """The largest resident memory of this process so far, in MB (10^6 bytes); 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # not a Unix
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)
