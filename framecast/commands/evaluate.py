"""Score a run by free-running rollouts, beside the copy baselines; draws figures and films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.commands._parser import Parser, table
from framecast.progress import bar
from framecast.protocols import BUILT_IN, find

EXAMPLE = "framecast evaluate runs/dancer --data stores/dancer --split val"


def run(arguments: list[str]) -> int:
    parser = Parser(
        "evaluate",
        "PSNR, SSIM and LPIPS of every predicted frame, FVD, drift, results.json, figures and films.",
        EXAMPLE,
    )
    parser.add_argument("run", type=str, nargs="+", help="run folders or checkpoints (several are put side by side)")
    parser.add_argument("--data", type=str, required=True, help="the packed store")
    parser.add_argument("--protocol", type=str, default=None, help=f"rules by name: {', '.join(BUILT_IN)}")
    parser.add_argument("--split", type=str, default="val", help="train, val or test (default: val)")
    parser.add_argument("--context", type=int, default=None, help="given frames (default: as the run was trained)")
    parser.add_argument("--horizon", type=int, default=None, help="frames to predict (default: all there are)")
    parser.add_argument("--samples", type=int, default=1, help="futures drawn of each episode (default: 1)")
    parser.add_argument("--lpips", type=str, default=None, help="AlexNet's or VGG16's weights: FILE, or FILE@SHA256")
    parser.add_argument("--fvd", type=str, default=None, help="I3D's TorchScript file: FILE, or FILE@SHA256")
    parser.add_argument("--diagnose", action="store_true", help="are the conditions and the latent used?")
    parser.add_argument("--episodes", type=int, default=None, help="episodes at most (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (default: 0)")
    parser.add_argument("--out", type=str, default=None, help="folder of the results (default: RUN/evaluation-SPLIT)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute")
    options = parser.parse(arguments)
    if options.protocol:
        named = find(options.protocol)
        said = [a.split("=")[0] for a in arguments]
        for name in ("context", "horizon", "samples"):
            if f"--{name}" in said and options[name] != getattr(named, name):
                parser.error(f"--protocol {named.name} says --{name} {getattr(named, name)}; leave --{name} out")
            options[name] = getattr(named, name)
        options["split"] = options.split if "--split" in said else named.split
    for name in ("context", "horizon", "samples", "episodes"):
        if options[name] is not None and options[name] < 1:
            parser.error(f"--{name} must be 1 or more, not {options[name]}")
    runs = [Path(path) for path in options.run]
    folder = runs[0] if runs[0].is_dir() else runs[0].parent
    out = Path(options.out) if options.out else folder / f"evaluation-{options.split}"
    evaluate(runs, options, out)
    return 0


def evaluate(runs: list[Path], options: Any, out: Path) -> Any:
    """Scores, prints, writes and draws."""
    from framecast import checkpoint, perception
    from framecast import diagnose as diagnosis
    from framecast import evaluate as evaluation
    from framecast.report.kept import keep
    from framecast.report.run import draw, training_figures
    from framecast.store import Store
    from framecast.training.run import described, implied_sigma, pick_device, provenance

    store = Store(options.data)
    device = str(pick_device(options.device))
    loaded = checkpoint.load_all(runs, device)
    predictors = {who: made.model for who, made in loaded.items()}
    context = options.context or max(made.settings.get("context", 1) for made in loaded.values())
    _check_horizon(store, options.split, context, options.horizon)
    named = find(options.protocol) if options.protocol else None
    if named:
        evaluation.check_protocol(named, store, options.split, predictors, options.episodes)
    asked = (store, options.split, context, options.horizon, options.samples, options.episodes)
    eyes = perception.prepare(*asked, named, options.lpips, options.fvd, device)
    trained = _trained([made.settings for made in loaded.values()])
    protocol = evaluation.protocol_of(*asked, named, trained, **eyes.rules())
    with bar("predicting") as progress:
        result = evaluation.evaluate(
            predictors,
            store,
            options.split,
            context,
            options.horizon,
            options.episodes,
            options.seed,
            progress=lambda who, done, total: progress(done, total),
            samples=options.samples,
            formula=protocol.psnr,
            extras=eyes.extras,
        )
    with bar("FVD", " steps") as progress:
        distances = eyes.distances(result, options.seed, progress)
    diagnoses = {}
    if options.diagnose:
        for who, made in loaded.items():
            sigma = implied_sigma(made.settings, store.spec.values)
            print(f"diagnosing {who} ...")
            diagnoses[who] = diagnosis.diagnose(who, made.model, result, options.seed, sigma)
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "runs": {
            who: {"path": str(run), "step": made.step, "settings": made.settings}
            for run, (who, made) in zip(runs, loaded.items(), strict=True)
        },
        "protocol": protocol.record(),
        "data": str(store.root),
        "split": options.split,
        "context": context,
        "horizon": options.horizon,
        "seed": options.seed,
        "size": [store.spec.height, store.spec.width],
        "fps": store.spec.fps,
        "made_with": provenance(),
    }
    if diagnoses:
        about["diagnosis"] = {who: found.to_dict() for who, found in diagnoses.items()}
    if distances:
        about["fvd"] = distances.to_dict()
    about["films"] = keep(result, out)
    evaluation.write_json(out / "results.json", evaluation.record(result, about))
    files = draw(result, out, store.spec.fps)
    for run in runs:
        if run.is_dir():
            training_figures(run)
    frames = sum(len(t) for t in result.truth)
    drawn = "" if options.samples == 1 else f", {options.samples} samples of each"
    print(
        f"{options.split} of {store.root}: {len(result.names)} episodes, {context} given and {frames} predicted"
        f" frames{drawn}; protocol {protocol.name} ({protocol.hash()})"
    )
    show(result)
    print("\n".join([*(distances.words() if distances else []), "; ".join(eyes.missing())]).rstrip())
    for who, made in loaded.items():
        if found := diagnoses.get(who):
            words = [*found.words(), *described(made.settings, store.spec.values)]
            print("\n".join([f"{who}:", *(f"  {line}" for line in words)]))
    print(f"results.json, {len(files)} figures and films are in {out}")
    return result


def _trained(settings: list[dict[str, Any]]) -> str:
    """Given -> predicted frames of the training clips of all runs."""
    found = {
        f"{s['context']} -> {s['clip_length'] - s['context']}" if "context" in s else "not known" for s in settings
    }
    return ", ".join(sorted(found))


def _check_horizon(store: Any, split: str, context: int, horizon: int | None) -> None:
    """Truth is needed for every frame that is asked for."""
    room = max(entry.frames for entry in store.entries_of(split)) - context
    if horizon is not None and horizon > room:
        raise ValueError(
            f"--horizon {horizon}: the longest {split} episode of {store.root} has {room} frames after {context} given"
            f" ones, and a score needs the truth. Give at most {room}; `framecast predict` goes on for as long as you"
            " like."
        )


def show(result: Any) -> None:
    """The table: every way to predict, the copy baselines last."""
    forms = {"psnr": "{:.2f}", "drift": "{:+.2f}", "diversity": "{:.2f}", "fvd": "{:.1f}"}
    titles: dict[str, str] = {
        "psnr": "PSNR (dB)",
        "ssim": "SSIM",
        "ms_ssim": "MS-SSIM",
        "lpips": "LPIPS",
        "drift": "drift (dB)",
        "diversity": "diversity (0..255)",
        "fvd": "FVD",
        "fvd extrapolated": "FVD (extrapolated)",
    }
    table_of = result.table()
    keys = list(next(iter(table_of.values())))
    if result.samples > 1:
        titles |= {"psnr": "PSNR (average sample)"} | {
            k: f"{titles[k]} (average)" for k in ("ssim", "ms_ssim", "lpips")
        }
    rows = [
        [
            who,
            *(forms.get(key.split()[0], "{:.4f}").format(numbers[key]) for key in keys),
            f"{result.speed[who]:,.0f}" if who in result.speed else "",
        ]
        for who, numbers in table_of.items()
    ]
    header = ["", *keys, "frames/s"]
    print(table(rows, [str(titles.get(key, key)) for key in header]))
