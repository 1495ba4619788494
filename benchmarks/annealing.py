"""Writes what `framecast study --recipe annealing` has found into docs/annealing.md.

    framecast study --recipe annealing --out studies/annealing --workers 2
    python benchmarks/annealing.py studies/annealing

The numbers go to benchmarks/results/annealing.json, the figure (losses, KL, beta and teacher forcing of all settings,
as the report has it) to docs/annealing.png.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from pages import DOCS, put, table

from framecast import effects
from framecast.report import folders, paper


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    study = parser.parse_args().study
    shutil.copy(study / "study.json", Path(__file__).parent / "results" / "annealing.json")
    told = effects.tables(*effects.read(study / "study.json"))
    text = "\n\n".join(f"**{title}**\n\n{table(header, rows)}" for title, header, rows in told)
    put("annealing.md", "python benchmarks/annealing.py STUDY", text)
    first = [run for run in folders.find([study]) if run.label.endswith("-0")]  # of each setting its first seed
    with tempfile.TemporaryDirectory() as place:
        paper.markdown(first, "annealing", Path(place) / "a.md")
        shutil.copy(Path(place) / "a-training.png", DOCS / "annealing.png")


if __name__ == "__main__":
    main()
