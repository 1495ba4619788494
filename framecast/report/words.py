"""What the page and the Markdown say in the same words."""

from __future__ import annotations

from framecast.report.contents import Group
from framecast.report.folders import Run


def rules(group: Group) -> str:
    """The rules of a table in a line."""
    known, name = group.first.rules, group.first.name
    horizon = known.get("horizon") or max(int(e["frames"]) for e in group.first.data["episodes"])
    samples = f", {known['samples']} samples of each" if known.get("samples", 1) > 1 else ""
    named = "" if name == "own" else f"{name}: "
    return f"{named}{known.get('split')}, {known.get('context')} given, {horizon} predicted{samples}"


def cost(run: Run) -> str:
    """Core-minutes and memory, as far as the run recorded them."""
    if not run.cost:
        seconds = [s for s in run.columns.get("seconds", []) if s == s]  # NaN is no time
        return f"{_time(seconds[-1])} of training; core-minutes and memory not recorded" if seconds else "not recorded"
    minutes = run.cost.get("core_minutes", 0)
    told = [f"{minutes:.{0 if minutes >= 10 else 1}f} core-minutes ({_time(run.cost.get('seconds', 0))} of training)"]
    for key, where in (("peak_memory_mb", "memory"), ("peak_gpu_memory_mb", "GPU memory")):
        told += [f"{run.cost[key]:,.0f} MB of {where} at most"] if run.cost.get(key) else []
    return ", ".join(told)


def _time(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
