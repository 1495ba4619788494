"""Score a run by free-running rollouts, beside the copy baselines; draws figures and films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.commands._parser import Parser, table
from framecast.progress import bar

EXAMPLE = "framecast evaluate runs/dancer --data stores/dancer --split val"


def run(arguments: list[str]) -> int:
    parser = Parser(
        "evaluate", "PSNR and SSIM of every predicted frame, drift, results.json, figures and films.", EXAMPLE
    )
    parser.add_argument("run", type=str, nargs="+", help="run folders or checkpoints (several are put side by side)")
    parser.add_argument("--data", type=str, required=True, help="the packed store")
    parser.add_argument("--split", type=str, default="val", help="train, val or test (default: val)")
    parser.add_argument("--context", type=int, default=1, help="given frames (default: 1)")
    parser.add_argument("--horizon", type=int, default=629, help="frames to predict at most (default: 629)")
    parser.add_argument("--episodes", type=int, default=None, help="episodes at most (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (default: 0)")
    parser.add_argument("--out", type=str, default=None, help="folder of the results (default: RUN/evaluation-SPLIT)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute")
    options = parser.parse(arguments)
    for name in ("context", "horizon"):
        if options[name] < 1:
            parser.error(f"--{name} must be 1 or more, not {options[name]}")
    runs = [Path(path) for path in options.run]
    folder = runs[0] if runs[0].is_dir() else runs[0].parent
    out = Path(options.out) if options.out else folder / f"evaluation-{options.split}"
    evaluate(runs, options, out)
    return 0


def evaluate(runs: list[Path], options: Any, out: Path) -> Any:
    """Scores, prints, writes and draws."""
    from framecast import checkpoint
    from framecast import evaluate as evaluation
    from framecast.report.run import draw, training_figures
    from framecast.store import Store
    from framecast.training.run import pick_device, provenance

    store = Store(options.data)
    loaded = {str(run): checkpoint.load(run, str(pick_device(options.device))) for run in runs}
    names = {run: made.name for run, made in loaded.items()}
    if len(set(names.values())) < len(names):
        names = {run: f"{made.name} ({Path(run).name})" for run, made in loaded.items()}
    predictors = {names[run]: made.model for run, made in loaded.items()}
    with bar("predicting") as progress:
        result = evaluation.evaluate(
            predictors,
            store,
            options.split,
            options.context,
            options.horizon,
            options.episodes,
            options.seed,
            progress=lambda who, done, total: progress(done, total),
        )
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "runs": {
            names[run]: {"path": run, "step": made.step, "settings": made.settings} for run, made in loaded.items()
        },
        "data": str(store.root),
        "split": options.split,
        "context": options.context,
        "horizon": options.horizon,
        "seed": options.seed,
        "size": [store.spec.height, store.spec.width],
        "made_with": provenance(),
    }
    evaluation.write_json(out / "results.json", evaluation.record(result, about))
    files = draw(result, out, store.spec.fps)
    for run in runs:
        if run.is_dir():
            training_figures(run)
    frames = sum(len(t) for t in result.truth)
    print(
        f"{options.split} of {store.root}: {len(result.names)} episodes, {options.context} given and {frames} predicted"
        " frames"
    )
    show(result)
    print(f"results.json, {len(files)} figures and films are in {out}")
    return result


def show(result: Any) -> None:
    """The table: every way to predict, the copy baselines last."""
    rows = [
        [
            who,
            f"{n['psnr']:.2f}",
            f"{n['ssim']:.4f}",
            f"{n['drift']:+.2f}",
            f"{result.speed[who]:,.0f}" if "copy" not in who else "",
        ]
        for who, n in result.table().items()
    ]
    print(table(rows, ["", "PSNR (dB)", "SSIM", "drift (dB)", "frames/s"]))
