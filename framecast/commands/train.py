"""Train a model on a store; go on with an interrupted run by --resume RUN."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

from framecast.commands._parser import Parser
from framecast.reading import read_yaml, reading
from framecast.store import Store

EXAMPLE = "framecast train --data stores/dancer --model anchor --minutes 5 --out runs/dancer"
FEW_STEPS = 50
RECIPES = Path(__file__).parent.parent / "recipes"


class _Early(argparse.ArgumentParser):
    """Reads the options that decide which others there are."""

    def error(self, message: str) -> NoReturn:
        """As the other faults are said: what is wrong, and the example."""
        raise ValueError(f"{message}.\nexample: {EXAMPLE}\n         framecast train --resume runs/dancer")


def run(arguments: list[str]) -> int:
    first = _Early(add_help=False, allow_abbrev=False)
    for option in ("--model", "--recipe", "--config", "--resume", "--minutes", "--steps", "--epochs"):
        first.add_argument(option)
    early, _ = first.parse_known_args(arguments)
    if early.resume:
        others = [a for a in arguments if a.startswith("-") and not a.startswith("--resume")]
        if others:
            raise ValueError(
                f"--resume goes on with the run's own settings and takes no other option; drop {others[0]}."
            )
        return resume(Path(early.resume))
    parser = _parser(early)
    options = parser.parse(arguments)
    for name in ("data", "out"):
        if not options[name]:
            parser.error(f"--{name} is missing")
    return train(*_split(options.as_dict()))


def _parser(early: argparse.Namespace) -> Parser:
    """The parser with all options, its defaults those of the model's recipe, --recipe and --config, in that order."""
    from framecast import models

    layers = [load_recipe(early.recipe)] if early.recipe else []
    layers += [read_config(Path(early.config))] if early.config else []
    model = str(early.model or next((layer["model"] for layer in reversed(layers) if "model" in layer), "anchor"))
    models.find(model)
    own = [load_recipe(model)] if model in recipes() else []
    values: dict[str, Any] = {"model": model}
    for layer in own + layers:
        values |= layer
    if early.minutes or early.steps or early.epochs:  # said here, so a recipe's duration does not hold
        values = {key: value for key, value in values.items() if key not in ("minutes", "steps", "epochs")}
    return _with(values, " and ".join(filter(None, (early.recipe and f"the recipe {early.recipe}", early.config))))


def _with(values: dict[str, Any], where: str) -> Parser:
    """The parser of all options, whose defaults are these values, which were read there."""
    from framecast import models
    from framecast.training.settings import Settings

    parser = Parser("train", "Trains a model on a store and keeps everything of the run in one folder.", EXAMPLE)
    parser.add_argument("--data", type=str, default=None, help="the packed store")
    parser.add_argument("--out", type=str, default=None, help="the run's folder; must not exist yet")
    parser.add_argument("--model", type=str, default="anchor", help=f"one of: {', '.join(models.available())}")
    parser.add_argument("--recipe", type=str, default=None, help=f"named settings: {', '.join(recipes())}")
    parser.add_argument("--config", type=str, default=None, help="a YAML file of these options")
    parser.add_argument("--resume", type=str, default=None, help="go on with this run; no other option is needed")
    parser.add_class_arguments(Settings)
    for name in models.available():
        if dataclasses.fields(models.config_of(name)):
            parser.add_class_arguments(models.config_of(name), name)
    flat = _flatten(values)
    _check_keys(flat, parser)
    # Read as the command line would, or words would pass unchecked: jsonargparse looks at no default that is text.
    parser.where = f"in {where}: " if where else ""
    read = parser.parse([f"--{key}={value}" for key, value in flat.items() if value is not None])
    parser.where = ""
    parser.set_defaults({key: None if value is None else read[key] for key, value in flat.items()})
    return parser


def _flatten(values: dict[str, Any]) -> dict[str, Any]:
    from framecast import models

    flat: dict[str, Any] = {}
    for key, value in values.items():
        if (key in models.available()) != isinstance(value, dict):
            takes = "a value" if isinstance(value, dict) else "settings of that model, `name: value` lines"
            raise ValueError(f"{key} in a recipe or config file holds {takes}.")
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _check_keys(flat: dict[str, Any], parser: Parser) -> None:
    from framecast.values import nearest

    known = [a.dest for a in parser._actions if a.dest not in ("help", "recipe", "config", "resume")]
    for key in flat:
        if key not in known:
            raise ValueError(f"There is no setting {key!r} in a recipe or config file.{nearest(str(key), known)}")
        if flat[key] is None and parser.get_default(key) is not None:
            raise ValueError(f"{key} has no value in a recipe or config file. Give it one, or leave the line out.")


def _split(options: dict[str, Any]) -> tuple[Any, str, dict[str, Any], Path, Path]:
    from framecast import models
    from framecast.training.settings import Settings

    settings = {f.name: options[f.name] for f in dataclasses.fields(Settings)}
    config = models.plain(models.config_of(options["model"])(**(options.get(options["model"]) or {})))
    return Settings(**settings), options["model"], config, Path(options["data"]), Path(options["out"])


def recipes() -> list[str]:
    """The names of the shipped recipes."""
    return sorted(p.stem for p in RECIPES.glob("*.yaml"))


def load_recipe(name: str) -> dict[str, Any]:
    """A shipped recipe. Raises ValueError with the nearest name."""
    from framecast.values import nearest

    if name not in recipes():
        raise ValueError(f"There is no recipe {name!r}.{nearest(name, recipes())} There are: {', '.join(recipes())}.")
    return read_config(RECIPES / f"{name}.yaml")


def read_config(path: Path) -> dict[str, Any]:
    """A YAML file of options. Raises ValueError where it is none."""
    with reading(path, "It holds `option: value` lines, each option once.", "cannot be read"):
        values = read_yaml(path)
    return {key: value for key, value in values.items() if key != "made_with"}


def train(settings: Any, model: str, config: dict[str, Any], data: Path, out: Path) -> int:
    """A new run."""
    from framecast.training import run as training

    training.check(settings, model)
    store = Store(data)
    resolved = {"data": str(data), "model": model, **dataclasses.asdict(settings), model: config}
    return _fit(store, settings, model, config, out, {k: v for k, v in resolved.items() if v is not None})


def resume(out: Path) -> int:
    """Goes on with an interrupted run."""
    from framecast import checkpoint, models
    from framecast.training import run as training

    if (lab := out / "lab.yaml").is_file() and not (out / training.CONFIG).is_file():
        again = read_config(lab).get("go_on") or "Trainer.py with the flags of lab.yaml, and --ckpt_path"
        raise ValueError(f"{out} is a run of the course's Trainer.py, which goes on by itself: {again}")
    file = out / training.CONFIG
    if not file.is_file():
        raise FileNotFoundError(
            f"{out} is no run folder: it has no {training.CONFIG}. Give the --out of an earlier run."
        )
    if not (out / "checkpoints" / "last.ckpt").is_file():
        raise FileNotFoundError(
            f"{out} has no checkpoints/last.ckpt yet, so there is nothing to resume. Remove it and train anew."
        )
    values = read_config(file)
    for key in ("model", "data"):
        if key not in values:
            raise ValueError(f"{file} has no {key!r}: it is not the whole configuration of a run.")
    models.find(str(values["model"]))
    settings, model, config, data, _ = _split(_with({**values, "out": str(out)}, str(file)).parse([]).as_dict())
    training.check(settings, model)
    last = out / "checkpoints" / "last.ckpt"
    before, now = checkpoint.hyper_parameters(last, checkpoint.read(last))["settings"], dataclasses.asdict(settings)
    if changed := [f"{key} {before[key]} to {now[key]}" for key in now if before.get(key, now[key]) != now[key]]:
        print(f"{file} was changed since the run began: {', '.join(changed)}. It goes on so.", file=sys.stderr)
    return _fit(Store(data), settings, model, config, out, None)


def _fit(
    store: Any, settings: Any, model: str, config: dict[str, Any], out: Path, resolved: dict[str, Any] | None
) -> int:
    from framecast import models
    from framecast.metrics.frame import SSIM_WINDOW
    from framecast.report.run import training_figures, validator
    from framecast.training import cost
    from framecast.training import run as training

    print(training.describe(settings, store.spec.values, models.has_latent(model, config)))
    validate, val = None, store.entries.get("val")
    if val and store.long_enough("val", settings.context + 1):
        if min(store.spec.height, store.spec.width) < SSIM_WINDOW:
            raise ValueError(
                f"{store.root} holds frames of {store.spec.height} x {store.spec.width} pixels (H x W), and validation "
                f"scores frames of {SSIM_WINDOW} or more a side (SSIM). Pack them larger, with --size 16x16."
            )
        validate = validator(store, out / "samples", settings.val_frames, settings.val_episodes, settings.context)
    else:
        short = f" of more than {settings.context} frames" if val else ""
        said = f"The store has no val episodes{short}: the run is not validated, and `last` is its only checkpoint."
        print(said, file=sys.stderr)
    keeper = training.fit(store, settings, model, config, out, validate, resume=resolved is None, resolved=resolved)
    training_figures(out)
    if keeper.interrupted:
        print(f"Saved. To go on: {keeper.hint}")
        return 130
    steps = cost.read(out).get("step", FEW_STEPS)  # unknown of a finished run whose file is gone
    if settings.minutes is not None and steps < FEW_STEPS:
        print(
            f"Only {steps} step{'s' * (steps > 1)} fitted into {settings.minutes:g} minutes: what follows is of"
            " a model that has hardly begun to learn. Give more --minutes, a smaller --batch_size or --clip_length, or"
            " another --model.",
            file=sys.stderr,
        )
    if validate:
        try:
            _doctor(store, settings, model, out)
        except FloatingPointError as error:
            print(f"What was learned could not be measured. {error}", file=sys.stderr)
    samples = "samples, " if (out / "samples").is_dir() else ""  # kept by validations
    print(f"Trained. Everything is in {out} (config, metrics.csv, checkpoints, {samples}training.png).")
    run, data = quote(str(out)), quote(str(store.root))
    print(f"Next: framecast evaluate {run} --data {data} --split {'val' if validate else 'train'}")
    return 0


def _doctor(store: Any, settings: Any, model: str, out: Path) -> None:
    """Does what was trained use its conditions and its latent? Printed, and kept in diagnosis.json."""
    from framecast import checkpoint
    from framecast.atomic import write_json
    from framecast.diagnose import diagnose
    from framecast.evaluate import evaluate
    from framecast.training.run import implied_sigma

    loaded = checkpoint.load(out)
    frames, episodes = min(settings.val_frames, 100), min(settings.val_episodes, 4)
    rows = {model: loaded.model}
    result = evaluate(rows, store, "val", settings.context, frames, episodes, settings.seed, baselines=False)
    found = diagnose(model, loaded.model, result, settings.seed, implied_sigma(loaded.settings, store.spec.values))
    several = len(result.names) > 1
    of = f"{len(result.names)} val episode{'s' * several}, {len(result.truth[0])} frames{' of each' * several}"
    write_json(out / "diagnosis.json", {**dataclasses.asdict(found), "of": of, "words": found.words()})
    print("\n".join([f"What was learned ({of}):", *(f"  {line}" for line in found.words())]))
