"""Writes what `framecast study --recipe annealing` has found into docs/annealing.md.

    framecast study --recipe annealing --out studies/annealing --workers 2
    python benchmarks/annealing.py studies/annealing

The numbers go to benchmarks/results/annealing.json too.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from pages import put, table

from framecast import effects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    study = parser.parse_args().study
    shutil.copy(study / "study.json", Path(__file__).parent / "results" / "annealing.json")
    told = effects.tables(*effects.read(study / "study.json"))
    text = "\n\n".join(f"**{title}**\n\n{table(header, rows)}" for title, header, rows in told)
    put("annealing.md", "python benchmarks/annealing.py STUDY", text)


if __name__ == "__main__":
    main()
