"""Drift with and without each cure: runs of equal minutes, one thread each, on the built-in dancer.

    python benchmarks/drift.py [--minutes 2.5] [--workers 2] [--size 32x64] [--work FOLDER] [--out FILE]
    python benchmarks/drift.py --page      only writes the table of --out into docs/drift.md

A narrow `pose_cvae` (widths below) is trained on 3,000 frames with teacher forcing alone, with each cure, with all of
them, and once more plainly with another seed, which tells how far two runs of one setting lie apart; `anchor` is the
model without feedback. The last checkpoints are measured: no run was chosen. Interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

from pages import DOCS, put, table

from framecast import checkpoint, drift, study
from framecast.atomic import replacing
from framecast.packing import pack
from framecast.progress import bar
from framecast.report.horizon import drift_figure
from framecast.store import Store
from framecast.training.run import provenance

ROOT = Path(__file__).parents[1]
WIDTHS = {"F_dim": 32, "L_dim": 16, "N_dim": 6, "D_out_dim": 48}
PLAIN = {"model": "pose_cvae", "pose_cvae": WIDTHS, "batch_size": 2, "clip_length": 12, "tfr": "1"}
CURES: dict[str, dict[str, Any]] = {
    "noise on the context": {"context_noise": 0.1},
    "first-frame anchor": {"anchored": True},
    "scheduled sampling": {"tfr": "linear", "tfr_draw": "frame"},
    "own rollouts": {"rollout_frames": 8},
}
RUNS: dict[str, dict[str, Any]] = {
    "no cure": PLAIN,
    "no cure, seed 1": {**PLAIN, "seed": 1},
    **{name: PLAIN | cure for name, cure in CURES.items()},
    "all four": {k: v for part in (PLAIN, *CURES.values()) for k, v in part.items()},
    "without feedback (anchor)": {"model": "anchor"},
}
COLUMNS = {  # of the page: title -> what is fed, key, format
    "PSNR (dB)": ("own", "psnr", "{:.2f}"),
    "true frames fed": ("true", "psnr", "{:.2f}"),
    "dB per 100 frames": ("own", "slope", "{:+.2f}"),
    "half-life (frames)": ("own", "half-life", "{:.0f}"),
    "colour off": ("own", "colour", "{:.1f}"),
    "sharpness": ("own", "sharpness", "{:.2f}"),
    "motion": ("own", "motion", "{:.2f}"),
    "colour off, beyond": ("own", "colour, beyond", "{:.1f}"),
    "sharpness, beyond": ("own", "sharpness, beyond", "{:.2f}"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.5, help="of training, each run")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--size", default="32x64")
    parser.add_argument("--horizon", type=int, default=1000, help="of which 629 frames have truth")
    parser.add_argument("--work", type=Path, default=Path("runs/drift"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "drift.json")
    parser.add_argument("--page", action="store_true", help="write the table into docs/drift.md and do nothing else")
    options = parser.parse_args()
    if options.page:
        write_page(json.loads(options.out.read_text()), options.out.with_suffix(".png"))
        return
    store = options.work / f"dancer-{options.size}"
    if not store.exists():
        pack("dancer", {"train": 3000, "val": 630, "test": 0, "seed": 0, "size": options.size}, store)
    runs = train(store, options)
    found = measure(Store(store), runs, options.horizon)
    about = {"minutes": options.minutes, "workers": options.workers, "threads": 1, "size": options.size}
    about |= {"date": datetime.date.today().isoformat(), "made_with": provenance()}
    with replacing(options.work / "drift.json") as partial:  # with all curves
        partial.write_text(json.dumps({**about, **found}))
    rows = {label: row for label, row in found["rows"].items() if row["fed"] != "true"}
    drift_figure(options.out.with_suffix(".png"), {**found, "rows": rows}, Store(store).spec.fps)
    with replacing(options.out) as partial:
        partial.write_text(json.dumps({**about, **{k: v for k, v in found.items() if k != "curves"}}, indent=1) + "\n")


def train(store: Path, options: argparse.Namespace) -> dict[str, study.Planned]:
    """Trains what is not trained yet."""
    base = {"minutes": options.minutes, "validations": 0}
    runs = study.plan({"data": str(store), "base": base, "vary": {"cure": RUNS}}, options.work)
    study.prepare(runs)
    with bar("runs", unit=" runs") as progress:
        failed = study.carry_out(runs, "val", options.workers, progress, threads=1)
    if failed:
        raise SystemExit(f"{len(failed)} runs failed; the same command tries them again.")
    return {run.labels["cure"]: run for run in runs}


def measure(store: Store, runs: dict[str, study.Planned], horizon: int) -> dict[str, Any]:
    """The drift of every run, with the steps it took."""
    loaded = {name: checkpoint.load(run.out) for name, run in runs.items()}
    with bar("predicting") as progress:
        result = drift.measure(
            {n: made.model for n, made in loaded.items()}, store, "val", 1, horizon, progress=progress
        )
    asked = {name: {k: v for k, v in run.settings.items() if k != "data"} for name, run in runs.items()}  # no place
    about = {
        "runs": {name: {"settings": asked[name], "steps": made.step} for name, made in loaded.items()},
        "protocol": drift.protocol_of(store, "val", 1, horizon, None).record(),
    }
    return drift.record(result, about)


def write_page(results: dict[str, Any], figure: Path) -> None:
    """The table of the page, from the results, and its figure where the run that drew it left one beside them."""
    put("drift.md", "python benchmarks/drift.py --page", page(results))
    if figure.is_file():  # it is not kept in git: the page has it
        with replacing(DOCS / "drift.png") as partial:
            partial.write_bytes(figure.read_bytes())


def page(results: dict[str, Any]) -> str:
    """As Markdown."""
    rows: dict[str, dict[str, Any]] = {}
    for label, row in results["rows"].items():
        rows.setdefault(row["who"], {})["true" if row["fed"] == "true" else "own"] = results["table"][label]
    lines = []
    for who, numbers in rows.items():
        steps = results["runs"].get(who, {}).get("steps", "")
        cells = [_cell(numbers.get(fed, {}).get(key, ""), form) for fed, key, form in COLUMNS.values()]
        lines.append([who, str(steps), *cells])
    header = [f"training, {results['minutes']:g} minutes", "steps", *COLUMNS]
    told = f"Measured on {results['date']}; runs at a time: {results['workers']}, one thread each; {results['size']}"
    made = f"{told}, torch {results['made_with']['torch']}."
    return f"{table(header, lines)}\n\n{made}\n\n![Drift of all runs](drift.png)"


def _cell(value: float | str, form: str) -> str:
    return value if isinstance(value, str) else form.format(value)


if __name__ == "__main__":
    main()
