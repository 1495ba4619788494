"""Measure drift: scores against the horizon and beyond it, own frames fed beside true ones."""

from __future__ import annotations

from typing import Any

from framecast.commands._parser import Parser, table
from framecast.commands._rollouts import about, add_options, check_least, folder_of
from framecast.progress import bar

EXAMPLE = "framecast drift runs/pose runs/anchor --data stores/dancer --split val --horizon 1000"
COLUMNS = {  # number -> its title, and how it is written
    "psnr": ("PSNR (dB)", ".2f"),
    "slope": ("dB per 100 frames", "+.2f"),
    "half-life": ("half-life (frames)", ".0f"),
    "colour": ("colour off", ".2f"),
    "colour drift": ("per 100 frames", "+.2f"),
    "sharpness": ("sharpness", ".2f"),
    "motion": ("motion", ".2f"),
}


def run(arguments: list[str]) -> int:
    parser = Parser(
        "drift", "Slope, half-life, colour and sharpness of rollouts, with own and with true frames fed.", EXAMPLE
    )
    add_options(parser, "frames to predict, also beyond the recordings (default: to their end)", "drift")
    options = parser.parse(arguments)
    check_least(parser, options, context=1, horizon=2, episodes=1, seed=0)
    drift(options)
    return 0


def drift(options: Any) -> None:
    """Measures, writes, draws and prints."""
    from framecast import checkpoint
    from framecast import drift as drifting
    from framecast.atomic import write_json
    from framecast.report.horizon import drift_figure
    from framecast.rollout import pick_device
    from framecast.store import Store

    store, out = Store(options.data), folder_of(options, "drift")
    loaded = checkpoint.load_all(options.run, str(pick_device(options.device)))
    context = options.context or max(made.settings.get("context", 1) for made in loaded.values())
    models = {who: made.model for who, made in loaded.items()}
    asked = (store, options.split, context, options.horizon, options.episodes)
    with bar("predicting") as progress:
        result = drifting.measure(models, *asked, options.seed, progress)
    protocol = drifting.protocol_of(*asked)
    found = drifting.record(result, about(options, loaded, store, protocol, context))
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
        keys = [key for key in COLUMNS if any(key + beyond in numbers for numbers in rows.values())]
        if not keys:
            continue
        shown = {who: numbers for who, numbers in rows.items() if keys[0] + beyond in numbers}
        cells = [[who, *(_cell(key, numbers[key + beyond]) for key in keys)] for who, numbers in shown.items()]
        print(table(cells, ["beyond the recordings" if beyond else "", *(COLUMNS[key][0] for key in keys)]))


def _cell(key: str, value: float | str) -> str:
    return value if isinstance(value, str) else format(value, COLUMNS[key][1])
