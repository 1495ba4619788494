"""Measure drift: scores against the horizon and beyond it, own frames fed beside true ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.commands._parser import Parser, table
from framecast.progress import bar

EXAMPLE = "framecast drift runs/pose runs/anchor --data stores/dancer --split val --horizon 1000"
TITLES = {
    "psnr": "PSNR (dB)",
    "slope": "dB per 100 frames",
    "half-life": "half-life (frames)",
    "colour": "colour off",
    "colour drift": "per 100 frames",
    "sharpness": "sharpness",
    "motion": "motion",
}


def run(arguments: list[str]) -> int:
    parser = Parser(
        "drift", "Slope, half-life, colour and sharpness of rollouts, with own and with true frames fed.", EXAMPLE
    )
    parser.add_argument("run", type=str, nargs="+", help="run folders or checkpoints, side by side")
    parser.add_argument("--data", type=str, required=True, help="the packed store")
    parser.add_argument("--split", type=str, default="val", help="train, val or test (default: val)")
    parser.add_argument("--context", type=int, default=None, help="given frames (default: as the runs were trained)")
    parser.add_argument(
        "--horizon",
        type=int,
        default=None,
        help="frames to predict, also beyond the recordings (default: to their end)",
    )
    parser.add_argument("--episodes", type=int, default=None, help="episodes at most (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample that is drawn (default: 0)")
    parser.add_argument("--out", type=str, default=None, help="folder of the results (default: RUN/drift-SPLIT)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute")
    options = parser.parse(arguments)
    for name, least in (("context", 1), ("horizon", 2), ("episodes", 1)):
        if options[name] is not None and options[name] < least:
            parser.error(f"--{name} must be {least} or more, not {options[name]}")
    runs = [Path(path) for path in options.run]
    folder = runs[0] if runs[0].is_dir() else runs[0].parent
    drift(runs, options, Path(options.out) if options.out else folder / f"drift-{options.split}")
    return 0


def drift(runs: list[Path], options: Any, out: Path) -> None:
    """Measures, writes, draws and prints."""
    from framecast import checkpoint
    from framecast import drift as drifting
    from framecast.evaluate import write_json
    from framecast.report.horizon import drift_figure
    from framecast.store import Store
    from framecast.training.run import pick_device, provenance

    store = Store(options.data)
    loaded = checkpoint.load_all(runs, str(pick_device(options.device)))
    context = options.context or max(made.settings.get("context", 1) for made in loaded.values())
    models = {who: made.model for who, made in loaded.items()}
    asked = (store, options.split, context, options.horizon, options.episodes)
    with bar("predicting") as progress:
        result = drifting.measure(models, *asked, options.seed, progress)
    protocol = drifting.protocol_of(*asked)
    about = {
        "runs": {
            who: {"path": str(path), "step": made.step, "settings": made.settings}
            for path, (who, made) in zip(runs, loaded.items(), strict=True)
        },
        "protocol": protocol.record(),
        "data": str(store.root),
        "seed": options.seed,
        "made_with": provenance(),
    }
    found = drifting.record(result, about)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "drift.json", found)
    drift_figure(out / "drift.png", found, store.spec.fps)
    frames = sum(len(t.energy) for t in result.truth)
    print(
        f"{options.split} of {store.root}: {len(result.names)} episodes, {context} given and {frames} frames with"
        f" truth; protocol {protocol.name} ({protocol.hash()})"
    )
    show(found["table"])
    print(f"drift.json and drift.png are in {out}")


def show(rows: dict[str, dict[str, float | str]]) -> None:
    """The table, and beneath it the one of the frames beyond the truth, where there are."""
    for beyond in ("", ", beyond"):
        keys = [key for key in TITLES if any(key + beyond in numbers for numbers in rows.values())]
        if not keys:
            continue
        shown = {who: numbers for who, numbers in rows.items() if keys[0] + beyond in numbers}
        cells = [[who, *(_cell(key, numbers[key + beyond]) for key in keys)] for who, numbers in shown.items()]
        print(table(cells, ["beyond the recordings" if beyond else "", *(TITLES[key] for key in keys)]))


def _cell(key: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return (
        f"{value:.0f}"
        if key == "half-life"
        else f"{value:+.2f}"
        if "slope" in key or "drift" in key
        else f"{value:.2f}"
    )
