"""`svg` (both priors) and `latent` on robot pushing, with and without actions: equal minutes on one machine.

    python benchmarks/pushing.py [--recordings FOLDER] [--minutes 3] [--work FOLDER] [--out FILE]

PushT: 500 scripted episodes of 60 frames, recorded by `framecast record`; scored on its test split, 2 frames given and
28 predicted. With FOLDER also BridgeData (the last five of 25 episodes left out; 2 given, 8 predicted) and Meta-World
(one episode of each task left out; 2 given, 28 predicted), with actions. Every run has the settings of its model's
recipe and is trained for the same minutes without validation, and its last checkpoint is scored: no run was chosen.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import sys
from pathlib import Path
from typing import Any

from framecast import checkpoint, cli
from framecast.diagnose import diagnose
from framecast.evaluate import evaluate
from framecast.store import Store
from framecast.training.run import provenance

MODELS = {
    "svg, learned prior": ["--model", "svg", "--svg.prior", "learned"],
    "svg, fixed prior": ["--model", "svg", "--svg.prior", "fixed"],
    "latent": ["--model", "latent"],
}
PUSHT = ["record", "pusht", "--episodes", "500", "--policy", "scripted", "--seed", "0"]
REAL = {
    "bridge": ["rlds", "--camera", "image_0", "--condition", "action", "--val", "*-0002[0-4]"],
    "metaworld": ["npz", "--frames", "observation", "--channels", "6:9", "--axes", "TCHW", "--val", "*_3_100"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, default=None)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--work", type=Path, default=Path("runs/pushing"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "pushing.json")
    options = parser.parse_args()
    results: dict[str, Any] = {"pusht": {}, "pusht without actions": {}}
    store = options.work / "pusht-store"
    if not store.exists():
        _run(*PUSHT, "--out", str(store))
    for model, asked in MODELS.items():
        results["pusht"] |= compared(options, store, "test", 28, model, asked)
        free = [*asked, "--conditions", "false"]
        results["pusht without actions"] |= compared(options, store, "test", 28, model, free)
    for name, source in REAL.items() if options.recordings else ():
        store = options.work / f"{name}-store"
        if not store.exists():
            _run("pack", source[0], str(options.recordings / name), *source[1:], "--out", str(store))
        results[name] = {}
        for model in ("svg, learned prior", "latent"):
            asked = [*MODELS[model], "--clip_length", "10"]
            results[name] |= compared(options, store, "val", 8 if name == "bridge" else 28, model, asked)
    about = {"minutes": options.minutes, "samples": options.samples, "episodes at most": options.episodes}
    about |= {"date": datetime.date.today().isoformat(), "made_with": provenance()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")


def compared(
    options: argparse.Namespace, store: Path, split: str, horizon: int, model: str, asked: list[str]
) -> dict[str, dict[str, Any]]:
    """Trains and scores one run: its row, and those of copying."""
    free = " without actions" if "--conditions" in asked else ""
    out = options.work / f"{store.name} {model}{free}".replace(" ", "-").replace(",", "")
    _run(
        "train",
        "--data",
        str(store),
        "--out",
        str(out),
        "--minutes",
        str(options.minutes),
        "--validations",
        "0",
        *asked,
    )
    loaded, opened = checkpoint.load(out), Store(store)
    asked_of = (opened, split, 2, horizon, options.episodes)
    result = evaluate({model: loaded.model}, *asked_of, samples=options.samples)
    found = diagnose(model, loaded.model, result)
    rows: dict[str, dict[str, Any]] = dict(result.table())
    with open(out / "metrics.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    s = loaded.settings
    drawn = s["clip_length"] - (1 if loaded.model.warms_up else s["context"])
    gain = None if found.shuffled is None else found.psnr - found.shuffled
    rows[model] |= {
        "condition gain (dB)": gain,
        "trained frames a second": float(last["step"]) * s["batch_size"] * drawn / float(last["seconds"]),
        "predicted frames a second": result.speed[model],
        "steps": loaded.step,
        "diagnosis": found.to_dict(),
    }
    print(f"{store.name}, {model}{free}: {rows[model]['psnr']:.2f} dB, gain {gain}", flush=True)
    return rows


def _run(*arguments: str) -> None:
    status = cli.main(list(arguments))
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
