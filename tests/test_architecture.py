"""The house keeps its rooms: who may import whom (DESIGN, the doors), no cycle, no cupboard, a light front door."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "framecast"

# The data's journey. A file imports from its own room and from rooms above it, never from one below.
ORDER = (
    "atomic", "reading", "memory", "progress", "workers", "journal", "values", "sources", "store", "export",
    "spread", "parts", "packing", "data", "nets", "schedules", "objective", "models", "rollout", "checkpoint",
    "predictor", "training", "metrics", "selftest", "protocols", "evaluate", "results", "perception", "diagnose",
    "drift", "compare", "study", "effects", "submission", "scoring", "board", "report", "serve", "lab", "commands",
    "cli",
)  # fmt: skip
# Doors that are walled up although the order would let them stand.
CLOSED = {
    "models": {"data", "store", "sources", "objective", "training", "metrics", "cli", "serve", "evaluate", "report"},
    "nets": {"models", "values", "sources", "store", "data"},
    "metrics": set(ORDER) - {"metrics"},
    "objective": {"models", "nets", "store", "data", "sources"},
    "schedules": {"data", "store", "sources", "nets"},
    "report": {"training"},
    "serve": {"training"},
    "evaluate": {"training"},
    "training": {"metrics", "evaluate", "report"},
}
LIBRARIES_NOT_IN = {
    "sources": {"torch", "lightning", "matplotlib"},
    "store": {"torch", "lightning", "matplotlib"},
    "parts": {"torch", "lightning", "matplotlib"},
    "packing": {"torch", "lightning", "matplotlib"},
    "schedules": {"torch", "lightning", "numpy"},
    "models": {"lightning"},
    "nets": {"lightning"},
    "rollout": {"lightning"},
    "objective": {"lightning"},
    "cli": {"torch", "numpy", "lightning", "matplotlib", "PIL", "av"},
}
FILES = sorted(HOUSE.rglob("*.py"))
MODULES = {
    ".".join(("framecast", *p.relative_to(HOUSE).with_suffix("").parts)).removesuffix(".__init__"): p for p in FILES
}


def room(module: str) -> str:
    """framecast.models.base -> models; the front door itself has no name."""
    return module.partition(".")[2].partition(".")[0]


def imported(path: Path) -> Iterator[str]:
    """The whole names that a file imports, inside functions too; `from framecast import models` is framecast.models."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import; write it out"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


WALKED = [(module, target) for module, path in MODULES.items() for target in imported(path)]
OWN = [(module, target) for module, target in WALKED if target.partition(".")[0] == "framecast"]


def test_the_walk_sees_the_imports() -> None:
    """Were nothing found, all else here would hold."""
    assert ("framecast.models.base", "framecast.values") in OWN
    assert ("framecast.checkpoint", "framecast.models") in OWN
    assert ("framecast.commands.train", "framecast.training.run") in OWN  # inside a function
    assert ("framecast.values", "torch") in WALKED


def test_every_room_has_its_place() -> None:
    unplaced = {room(module) for module in MODULES} - {"", *ORDER}
    assert not unplaced, f"say in ORDER of tests/test_architecture.py where these stand: {unplaced}"


def test_nobody_looks_down() -> None:
    place = {name: index for index, name in enumerate(ORDER)}
    down = [
        f"{module} imports {target}"
        for module, target in OWN
        if room(module) in place and room(target) in place and place[room(target)] > place[room(module)]
    ]
    assert not down


def test_closed_doors() -> None:
    assert not [f"{m} imports {t}" for m, t in OWN if room(t) in CLOSED.get(room(m), set())]


def test_nobody_imports_the_command_line() -> None:
    assert not [f"{m} imports {t}" for m, t in OWN if room(t) in ("cli", "lab") and room(m) != room(t)]


def test_nobody_inside_uses_the_front_door() -> None:
    """`framecast` itself is for users; inside, a file names the room. The version is all that is asked for there."""
    asked = [m for m, t in OWN if t == "framecast" and m != "framecast"]
    assert set(asked) <= {"framecast.cli"}


def test_libraries_stay_in_their_rooms() -> None:
    found = [(m, t) for m, t in WALKED if t.partition(".")[0] in LIBRARIES_NOT_IN.get(room(m), set())]
    assert not [f"{m} imports {t}" for m, t in found]


def test_no_cycle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, target in OWN:
        if module != "framecast" and target != "framecast":  # the front door opens when it is asked
            graph[module].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"files import each other: {' -> '.join(error.args[1])}")


def test_no_cupboards() -> None:
    names = {"util", "utils", "helper", "helpers", "misc", "common", "tools", "lib"}
    assert not [str(path) for path in FILES if path.stem.strip("_") in names or path.parent.name in names]


def loaded(code: str, names: tuple[str, ...]) -> set[str]:
    """Which of the libraries are loaded after the code has run in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint('loaded:', *sorted(set(sys.modules) & {set(names)!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], [], ["nonsense"], ["--version"]])
def test_the_front_door_is_light(arguments: list[str]) -> None:
    code = f"from framecast.cli import main\nmain({arguments!r})"
    assert loaded(code, ("torch", "numpy", "lightning", "matplotlib", "PIL", "av", "yaml", "json")) == set()


def test_packing_loads_no_torch() -> None:
    """A worker process that packs starts in a tenth of a second, not in two."""
    names = [m for m in MODULES if room(m) in ("sources", "store", "packing")]
    heavy = ("torch", "lightning", "matplotlib")
    assert loaded("import " + ", ".join(names), (*heavy, "numpy")) == {"numpy"}


def test_settings_load_nothing_heavy() -> None:
    assert (
        loaded("import framecast.training.settings, framecast.schedules", ("torch", "lightning", "matplotlib")) == set()
    )


@pytest.mark.parametrize("file", sorted((HOUSE.parent / "benchmarks" / "results").glob("*.json")), ids=lambda f: f.stem)
def test_results_of_benchmarks_name_no_place_of_a_machine(file: Path) -> None:
    def words(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (w for k, v in value.items() for w in (str(k), *words(v)))
        elif isinstance(value, list):
            yield from (w for v in value for w in words(v))
        elif isinstance(value, str):
            yield value

    assert not [word for word in words(json.loads(file.read_text())) if Path(word).is_absolute()]
