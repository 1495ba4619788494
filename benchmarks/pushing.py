"""`svg` (both priors) and `latent` on robot pushing, with and without actions: equal minutes on one machine.

    python benchmarks/pushing.py [--recordings FOLDER] [--minutes 2.5] [--work FOLDER] [--out FILE]
    python benchmarks/pushing.py --page      only writes the table of --out into docs/pushing.md

PushT: 500 scripted episodes of 60 frames, recorded by `framecast record`; scored on its test split, 2 frames given and
28 predicted. With FOLDER also BridgeData (the last five of 25 episodes left out; 2 given, 8 predicted) and Meta-World
(one episode of each task left out; 2 given, 28 predicted), with actions, and the one BAIR sequence there is, which is
trained on and scored: what is learned by heart. Every run is made as docs/pushing.md says, by its recipe and for the
same minutes, but without validation; its last checkpoint is scored: no run was chosen.
What FILE holds already is not run again; each row says what it was made with.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
from pathlib import Path
from typing import Any

from pages import put, table
from recordings import STORES, command

from framecast import checkpoint
from framecast.training.run import provenance

MODELS = {"svg, learned prior": "pusht-svg-lp", "svg, fixed prior": "pusht-svg-fp", "latent": "pusht-latent"}
ALONE = {"bair": ["npz", "--frames", "aux1_image"]}  # one sequence
PUSHT = ["record", "pusht", "--episodes", "500", "--policy", "scripted", "--seed", "0"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, default=None)
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--work", type=Path, default=Path("runs/pushing"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "pushing.json")
    parser.add_argument("--page", action="store_true", help="only write the table of --out into docs/pushing.md")
    options = parser.parse_args()
    if options.page:
        put("pushing.md", "python benchmarks/pushing.py --page", page(json.loads(options.out.read_text())["results"]))
        return
    done = json.loads(options.out.read_text())["results"] if options.out.is_file() else {}
    store = options.work / "pusht-store"
    if not store.exists():
        command(*PUSHT, "--out", str(store))
    wanted = [("pusht", store, "test", 28, model, recipe) for model, recipe in MODELS.items()]
    wanted += [
        ("pusht without actions", store, "test", 28, model, f"{recipe}-free") for model, recipe in MODELS.items()
    ]
    for name, source in {**STORES, **ALONE}.items() if options.recordings else ():
        store = options.work / f"{name}-store"
        if not store.exists():
            command("pack", source[0], str(options.recordings / name), *source[1:], "--out", str(store))
        horizon = 8 if name == "bridge" else 28
        split = "train" if name in ALONE else "val"
        wanted += [(name, store, split, horizon, model, MODELS[model]) for model in ("svg, learned prior", "latent")]
    for name, store, split, horizon, model, recipe in wanted:
        rows = done.setdefault(name, {})
        if model not in rows:
            shorter = [] if name.startswith("pusht") else ["--clip_length", "10"]
            rows |= compared(options, store, split, horizon, model, recipe, *shorter)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            about = {"minutes": options.minutes, "samples": options.samples, "episodes at most": options.episodes}
            options.out.write_text(json.dumps({**about, "results": done}, indent=1) + "\n")


def compared(
    options: argparse.Namespace, store: Path, split: str, horizon: int, model: str, recipe: str, *asked: str
) -> dict[str, dict[str, Any]]:
    """Trains and scores one run as the docs' page says: its row, and those of copying."""
    out = options.work / f"{store.name}-{recipe}"
    made = ["--minutes", str(options.minutes), "--validations", "0", *asked]
    command("train", "--recipe", recipe, "--data", str(store), "--out", str(out), *made)
    scored = ["--split", split, "--horizon", str(horizon), "--episodes", str(options.episodes)]
    command("evaluate", str(out), "--data", str(store), *scored, "--samples", str(options.samples), "--diagnose")
    found = json.loads((out / f"evaluation-{split}" / "results.json").read_text())
    who = next(iter(found["runs"]))
    run, diagnosis, rows = found["runs"][who], found["diagnosis"][who], found["table"]
    with open(out / "metrics.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    s, warms_up = run["settings"], checkpoint.load(out).model.warms_up
    drawn = s["clip_length"] - (1 if warms_up else s["context"])
    gain = None if diagnosis["shuffled"] is None else diagnosis["psnr"] - diagnosis["shuffled"]
    row = rows.pop(who) | {
        "condition gain (dB)": gain,
        "trained frames a second": float(last["step"]) * s["batch_size"] * drawn / float(last["seconds"]),
        "predicted frames a second": found["frames_per_second"][who],
        "steps": run["step"],
        "diagnosis": diagnosis,
        "made_with": {**provenance(), "date": datetime.date.today().isoformat()},
    }
    return {model: row, **rows}


SETS = {
    "pusht": "PushT with actions (8 test episodes; 2 given, 28 predicted)",
    "pusht without actions": "PushT without actions",
    "bridge": "BridgeData with actions (5 episodes left out; 2 given, 8 predicted)",
    "bair": "One real BAIR sequence with actions, learned by heart (2 given, 28 predicted)",
    "metaworld": "Meta-World with actions (one episode of each of 6 tasks left out; 2 given, 28 predicted)",
}
COLUMNS = {  # key -> title, format
    "psnr best of 20": ("PSNR best of 20", "{:.2f}"),
    "ssim best of 20": ("SSIM best of 20", "{:.4f}"),
    "psnr": ("PSNR, average sample", "{:.2f}"),
    "ssim": ("SSIM", "{:.4f}"),
    "diversity": ("diversity (0..255)", "{:.2f}"),
    "condition gain (dB)": ("condition gain (dB)", "{:.2f}"),
    "trained frames a second": ("trained frames a second", "{:.0f}"),
    "steps": ("steps", "{:d}"),
}


def page(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """As Markdown: a table for each store."""
    tables = []
    for name, title in SETS.items():
        rows = []
        for who in (*MODELS, "copy last frame"):
            numbers = results.get(name, {}).get(who)
            if numbers:
                cells = [f.format(numbers[k]) if numbers.get(k) is not None else "" for k, (_, f) in COLUMNS.items()]
                rows.append([who, *cells])
        tables.append(f"**{title}**\n\n{table(['', *(title for title, _ in COLUMNS.values())], rows)}")
    return "\n\n".join(tables)


if __name__ == "__main__":
    main()
