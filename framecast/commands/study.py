"""Train and score a grid of settings; interrupted, the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.commands._parser import Parser, table
from framecast.progress import bar

EXAMPLE = "framecast study --recipe annealing --out studies/annealing --workers 2"
RECIPES = Path(__file__).parent.parent / "recipes" / "studies"


def run(arguments: list[str]) -> int:
    parser = Parser("study", "A grid of runs, each in its own process, and one table of their scores.", EXAMPLE)
    known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
    what = "a YAML file: data, split, base (options of train), vary (the grid)"
    parser.add_argument("study", type=str, nargs="?", default=None, help=what)
    parser.add_argument("--recipe", type=str, default=None, help=f"in place of a file, one that comes along: {known}")
    parser.add_argument("--out", type=str, required=True, help="the study's folder; one that was begun is gone on with")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time (default: 1)")
    options = parser.parse(arguments)
    if options.workers < 1:
        parser.error(f"--workers must be 1 or more, not {options.workers}")
    if bool(options.study) == bool(options.recipe):
        parser.error(f"give a file, or one of --recipe {known}")
    file = Path(options.study) if options.study else RECIPES / f"{options.recipe}.yaml"
    if options.recipe and not file.is_file():
        parser.error(f"there is no study {options.recipe!r}; there are: {known}")
    return study(file, Path(options.out), options.workers)


def study(file: Path, out: Path, workers: int) -> int:
    """Plans, checks every run's settings, trains, scores and prints."""
    from framecast import study as studies
    from framecast.commands.train import read_config
    from framecast.store import Store

    asked = read_config(file)
    if not asked.get("data"):
        raise ValueError(f"{file} names no data: write `data: STORE`, the packed store that all runs train on.")
    split, data = str(asked.get("split", "val")), asked["data"]
    asked["data"] = str(out / "store") if isinstance(data, dict) else str(data)
    runs = studies.plan(asked, out)
    out.mkdir(parents=True, exist_ok=True)
    if isinstance(data, dict):
        _pack(data, out / "store")
    store = Store(asked["data"])
    store.entries_of(split)
    studies.prepare(runs)
    contexts = {_check(planned, store.spec) for planned in runs}
    if len(contexts) > 1:
        told = " and ".join(map(str, sorted(contexts)))
        raise ValueError(f"The runs have --context {told}. Scores after different given frames are not compared: make a"
                         " study for each.")  # fmt: skip
    print(f"{len(runs)} runs: {', '.join(planned.name for planned in runs)}")
    with bar("runs", unit=" runs") as progress:
        failed = studies.carry_out(runs, split, workers, progress)
    _show(runs, split)
    _conclude(runs, split, out / "study.json")
    if failed:
        print(f"{len(failed)} of {len(runs)} runs failed. The same command tries them again.")
    return 1 if failed else 0


def _pack(data: dict[str, Any], store: Path) -> None:
    """The study's own recordings, once."""
    from framecast.commands.pack import pack
    from framecast.store import Store

    options = {key: value for key, value in data.items() if key != "source"}
    if not store.exists():
        pack(options, str(data.get("source")), str(store), None)
        return
    index = Store(store).index
    changed = [key for key, value in options.items() if index["options"].get(key, value) != value]
    if changed or index["source"] != data.get("source"):
        what = changed[0] if changed else "source"
        raise ValueError(f"{store} was packed with another {what}. Give another --out, or remove it.")


def _check(planned: Any, spec: Any) -> int:
    """Every option of a run, and that its model can be made, before one is trained for an hour. Returns its context."""
    from argparse import Namespace

    from framecast.commands import train
    from framecast.training import run as training

    early = dict.fromkeys(("model", "recipe", "minutes", "steps", "epochs"))
    parser = train._parser(Namespace(**early, config=str(planned.config)))
    options = parser.parse(["--config", str(planned.config), "--out", str(planned.out)])
    try:
        settings, model, config, *_ = train._split(options.as_dict())
        training.check(settings, model)
        training.untrained(spec, model, config, settings)
    except ValueError as error:
        raise ValueError(f"{planned.name}: {error}") from None
    return settings.context


def _show(runs: list[Any], split: str) -> None:
    """One row a run, and the copy baselines once."""
    from framecast import compare
    from framecast.values import is_copy

    results = [compare.load(planned.results(split)) for planned in runs if planned.results(split).is_file()]
    if not results:
        return
    compare.refuse_unequal(results)
    header, rows = compare.table(results)
    models = [row for row in rows if not is_copy(row[0])]
    copies = {row[0].split(" (")[0]: row for row in rows if is_copy(row[0])}
    print(table([*models, *([name, *row[1:]] for name, row in copies.items())], header))


def _conclude(runs: list[Any], split: str, file: Path) -> None:
    """Over seeds: each setting's mean, and what every change did, all else equal. Printed, and kept in study.json."""
    from framecast import effects
    from framecast.training.run import provenance

    found = effects.cells(runs, split)
    changed = effects.effects(found)
    effects.write(file, found, changed, {"split": split, "made_with": provenance()})
    for title, header, rows in effects.tables(found, changed):
        print(f"\n{title}:\n{table(rows, header)}")
    print(f"All of it is in {file}. Next: framecast report {file.parent}")
