"""`anchor` and `pose_cvae` on real robot recordings: equal minutes, predicting from one frame and the actions.

    python benchmarks/recordings.py RECORDINGS [--minutes 5] [--work FOLDER] [--out benchmarks/results/recordings.json]

RECORDINGS holds `bridge/` (TFRecords; the last five of 25 episodes are left out) and `metaworld/` (npz; one episode of
each task is left out). Both models see the same store, the same episodes left out and the same minutes; scores are of
free-running rollouts over the episodes left out, beside the copy baseline.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

from framecast import cli
from framecast.training.run import provenance

STORES = {
    "bridge": ["rlds", "--camera", "image_0", "--condition", "action", "--val", "*-0002[0-4]"],
    "metaworld": ["npz", "--frames", "observation", "--channels", "6:9", "--axes", "TCHW", "--val", "*_3_100"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--work", type=Path, default=Path("runs/recordings"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "recordings.json")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for name, (source, *asked) in STORES.items():
        store = options.work / f"{name}-store"
        if not store.exists():
            command("pack", source, str(options.recordings / name), *asked, "--out", str(store))
        runs = []
        for model, shorter in (("anchor", []), ("pose_cvae", ["--clip_length", "8"])):
            runs.append(options.work / f"{name}-{model}")
            made = ["--data", str(store), "--out", str(runs[-1]), "--model", model, *shorter]
            command("train", *made, "--minutes", str(options.minutes), "--val_frames", "30")
        scored = options.work / f"{name}-result"
        command("evaluate", *map(str, runs), "--data", str(store), "--split", "val", "--out", str(scored))
        found = json.loads((scored / "results.json").read_text())
        episodes = [episode["name"] for episode in found["episodes"]]
        results[name] = {key: found[key] for key in ("table", "frames_per_second")} | {"episodes": episodes}
    about = {"minutes": options.minutes, "date": datetime.date.today().isoformat(), "made_with": provenance()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")


def command(*arguments: str) -> None:
    """Does as the command line does; a failure ends the benchmark."""
    status = cli.main(list(arguments))
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
