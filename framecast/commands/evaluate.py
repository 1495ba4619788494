"""Score a run by free-running rollouts, beside the copy baselines; draws figures and films."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from framecast.commands._parser import Parser, table
from framecast.commands._rollouts import about, add_options, check_least, folder_of
from framecast.progress import bar
from framecast.protocols import BUILT_IN, find

EXAMPLE = "framecast evaluate runs/dancer --data stores/dancer --split val"
TITLES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "lpips": "LPIPS", "drift": "drift (dB)",
          "diversity": "diversity (0..255)", "fvd": "FVD", "fvd extrapolated": "FVD (extrapolated)"}  # fmt: skip
OF_SAMPLES = {"psnr": "PSNR (average sample)"} | {k: f"{TITLES[k]} (average)" for k in ("ssim", "ms_ssim", "lpips")}
FORMS = {"psnr": ".2f", "drift": "+.2f", "diversity": ".2f", "fvd": ".1f"}  # by a column's first word; others .4f


def run(arguments: list[str]) -> int:
    parser = Parser(
        "evaluate",
        "PSNR, SSIM and LPIPS of every predicted frame, FVD, drift, results.json, figures and films.",
        EXAMPLE,
    )
    add_options(parser, "frames to predict (default: all there are)", "evaluation")
    parser.add_argument("--protocol", type=str, default=None, help=f"rules by name: {', '.join(BUILT_IN)}")
    parser.add_argument("--samples", type=int, default=1, help="futures drawn of each episode (default: 1)")
    parser.add_argument("--diagnose", action="store_true", help="are the conditions and the latent used?")
    parser.add_argument("--lpips", type=str, default=None, help="AlexNet's or VGG16's weights: FILE, or FILE@SHA256")
    parser.add_argument("--fvd", type=str, default=None, help="I3D's TorchScript file: FILE, or FILE@SHA256")
    options = parser.parse(arguments)
    if options.protocol:
        named = find(options.protocol)
        for name in ("context", "horizon", "samples"):
            if f"--{name}" in parser.typed and options[name] != getattr(named, name):
                parser.error(f"--protocol {named.name} says --{name} {getattr(named, name)}; leave --{name} out")
            options[name] = getattr(named, name)
        options["split"] = options.split if "--split" in parser.typed else named.split
    check_least(parser, options, context=1, horizon=1, samples=1, episodes=1, seed=0)
    evaluate(options)
    return 0


def evaluate(options: Any) -> None:
    """Scores, prints, writes and draws."""
    from framecast import checkpoint, diagnose, perception
    from framecast import evaluate as evaluation
    from framecast.atomic import write_json
    from framecast.protocols.applied import applied, check
    from framecast.report.kept import keep
    from framecast.report.run import draw, training_figures
    from framecast.results import record
    from framecast.rollout import pick_device
    from framecast.store import Store
    from framecast.training.run import described

    store, out = Store(options.data), folder_of(options, "evaluation")
    device = str(pick_device(options.device))
    loaded = checkpoint.load_all(options.run, device)
    predictors = {who: made.model for who, made in loaded.items()}
    context = options.context or max(made.settings.get("context", 1) for made in loaded.values())
    named = find(options.protocol) if options.protocol else None
    if named:
        check(named, store, options.split, predictors, options.episodes)
    if options.diagnose:
        diagnose.check(store, options.split, context, options.horizon, options.episodes)
    asked = (store, options.split, context, options.horizon, options.samples, options.episodes)
    eyes = perception.prepare(*asked, named, options.lpips, options.fvd, device)
    trained = _trained([made.settings for made in loaded.values()])
    protocol = applied(*asked, named, trained, **eyes.rules())
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
            whole=True,
        )
    with bar("FVD", " steps") as progress:
        distances = eyes.distances(result, options.seed, progress)
    diagnoses = _diagnosed(loaded, result, store, options.seed) if options.diagnose else {}
    out.mkdir(parents=True, exist_ok=True)
    kept = about(options, loaded, store, protocol, context)
    if diagnoses:
        kept["diagnosis"] = {who: asdict(found) for who, found in diagnoses.items()}
    if distances:
        kept["fvd"] = asdict(distances)
    kept["films"] = keep(result, out)
    try:
        write_json(out / "results.json", record(result, kept))
    except BaseException:
        (out / "results.json").unlink(missing_ok=True)  # an older one, whose films are replaced
        raise
    files = draw(result, out, store.spec.fps)
    for run in map(Path, options.run):
        try:
            if run.is_dir():
                training_figures(run)
        except OSError as error:  # a run of somebody else's, which is only read
            print(f"{run}: training.png is not drawn anew ({error.strerror}).", file=sys.stderr)
    print(f"{options.split} of {store.root}: {_scored(result, store, options)}")
    print(f"protocol {protocol.name} ({protocol.hash()})")
    show(result)
    print("\n".join([*(distances.words() if distances else []), "; ".join(eyes.missing())]).rstrip())
    for who, found in diagnoses.items():
        latent = 0 not in loaded[who].model.noise_shape
        lines = [*found.words(), *described(loaded[who].settings, store.spec.values, latent)]
        print("\n".join([f"{who}:", *(f"  {line}" for line in lines)]))
    print(f"results.json, {len(files)} figures and films are in {out}")


def _diagnosed(loaded: dict[str, Any], result: Any, store: Any, seed: int) -> dict[str, Any]:
    """Of each run, whether it uses its conditions and its latent."""
    from framecast import diagnose
    from framecast.training.run import implied_sigma

    found = {}
    for who, made in loaded.items():
        print(f"diagnosing {who} ...")
        found[who] = diagnose.diagnose(who, made.model, result, seed, implied_sigma(made.settings, store.spec.values))
    return found


def _scored(result: Any, store: Any, options: Any) -> str:
    """How many episodes and frames were given and predicted, and which were left out."""
    lengths = sorted({len(truth) for truth in result.truth})
    predicted = " to ".join(dict.fromkeys(str(length) for length in (lengths[0], lengths[-1])))
    count, context = len(result.names), len(result.given[0])
    words = f"{count} episodes, of each" if count > 1 else "1 episode,"
    words += f" {context} given and {predicted} predicted frames"
    if options.samples > 1:
        words += f", {options.samples} samples"
    long = store.long_enough(options.split, context + (options.horizon or 1))
    if short := len(store.entries_of(options.split)) - len(long):
        words += f" ({short} episode{'s' * (short > 1)} shorter than that left out)"
    return words


def _trained(settings: list[dict[str, Any]]) -> str:
    """Given -> predicted frames of the training clips of all runs."""
    found = {
        f"{s['context']} -> {s['clip_length'] - s['context']}" if "context" in s else "not known" for s in settings
    }
    return ", ".join(sorted(found))


def show(result: Any) -> None:
    """The table: every way to predict, the copy baselines last."""
    found, titles = result.table(), TITLES | (OF_SAMPLES if result.samples > 1 else {})
    keys: list[str] = list(next(iter(found.values())))
    rows = []
    for who, numbers in found.items():
        cells = [format(numbers[key], FORMS.get(key.split()[0], ".4f")) for key in keys]
        rows.append([who, *cells, f"{result.speed[who]:,.0f}" if who in result.speed else ""])
    print(table(rows, ["", *(titles.get(key, key) for key in keys), "frames/s"]))
