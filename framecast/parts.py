"""What a pack is made of: the parts that a source lists, checked, and the place of each in the store."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from framecast.journal import digest
from framecast.sources import Part
from framecast.store import UNREADABLE, VERSION, Entry
from framecast.values import Spec


@dataclass(frozen=True)
class Job:
    """One part, its number, the places where its frames and conditions go, and its rows of condition."""

    root: Path
    number: int
    split: str
    part: Part
    frame: int
    condition: int
    rows: int

    @property
    def frames(self) -> int:
        return self.part.stop - self.part.start


class Task:
    """All that a pack is about: where from, where to, and its jobs."""

    def __init__(
        self,
        out: Path,
        source: str,
        options: dict[str, Any],
        about: dict[str, str],
        spec: Spec,
        plan: dict[str, list[Part]],
    ) -> None:
        self.out, self.partial = out, out.with_name(f".{out.name}.partial")
        self.root = self.partial / "store"
        self.source, self.options, self.about, self.spec, self.plan = source, options, about, spec, plan
        self.jobs: list[Job] = []
        for split, parts in plan.items():
            frame = condition = 0
            for part in parts:
                rows = part.stop - part.start if spec.condition.size else 0
                self.jobs.append(Job(self.root, len(self.jobs), split, part, frame, condition, rows))
                frame, condition = frame + part.frames, condition + part.stop - part.start
        self.frames = sum(job.frames for job in self.jobs)

    def origin(self) -> dict[str, Any]:
        """Of the index: what says where the store came from."""
        options = {k: str(v) if isinstance(v, Path) else v for k, v in self.options.items()}
        return {"version": VERSION, "source": self.source, "options": options, "about": self.about}

    def record(self) -> dict[str, Any]:
        """What must be the same for a pack to be taken up."""
        parts = (f"{job.split} {job.frame} {job.condition} {job.part}" for job in self.jobs)
        return self.origin() | {"spec": self.spec.to_dict(), "parts": digest(parts)}


def check(source: str, split: str, parts: list[Part]) -> None:
    """Raises ValueError where the parts of a split do not join to whole episodes, one after another."""
    seen: set[str] = set()
    newest, stop = None, 0
    for part in parts:
        if UNREADABLE.search(part.episode):
            raise ValueError(
                f"The source {source} has an episode {part.episode!r}: rename its file, to what can be read."
            )
        if part.start == 0 and part.episode in seen:
            raise ValueError(
                f"The source {source} has two episodes {part.episode!r} in {split}: each has its own name."
            )
        begin = stop if part.episode == newest else 0
        if part.start != begin or part.stop <= begin:
            raise ValueError(
                f"The source {source} lists {split}, episode {part.episode!r} with a part {part.start} to {part.stop} "
                f"after {begin}: parts follow on one another, from 0."
            )
        if not 0 <= part.frames <= part.stop - part.start:
            raise ValueError(
                f"The source {source} lists {split}, episode {part.episode!r} with {part.frames} given frames among "
                f"{part.stop - part.start}."
            )
        seen.add(part.episode)
        newest, stop = part.episode, part.stop


def layout(parts: list[Part]) -> list[Entry]:
    """The episodes of a split, made of its parts, one after another."""
    entries: list[Entry] = []
    frame = condition = 0
    for name, group in groupby(parts, key=lambda part: part.episode):
        pieces = list(group)
        frames, conditions = sum(p.frames for p in pieces), sum(p.stop - p.start for p in pieces)
        entries.append(Entry(name, frame, frames, condition, conditions))
        frame, condition = frame + frames, condition + conditions
    return entries
