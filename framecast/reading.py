"""JSON and YAML files read back: what is damaged is one clear error that names the file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What reading values of an unexpected kind ends in, anywhere. RecursionError: nested without end.
BROKEN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, csv.Error)


@contextmanager
def reading(path: Path, advice: str, what: str = "is damaged") -> Iterator[None]:
    """What fails in the block is the file's fault: ValueError with its name, what it is, why, and what to do."""
    try:
        yield
    except BROKEN as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        if isinstance(error, KeyError):
            why = f"it has no {why}"
        raise ValueError(f"{path} {what} ({why or type(error).__name__}). {advice}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A file of one JSON object. Raises ValueError where it is none."""
    return _mapping(json.loads(path.read_text()))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of `name: value` lines; an empty one has none. Nothing but plain values is made of it.

    Raises:
        ValueError: it is none, or says a name twice.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses what YAML would let pass in silence: of two lines of one name the last would count."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            names = [key.value for key, _ in node.value if isinstance(key.value, str)]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"{twice!r} stands there twice, the second time on line {_line(node, twice)}")
            return super().construct_mapping(node, deep)

    try:
        values = yaml.load(path.read_text(), Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"no readable YAML: {' '.join(str(error).split())}") from None
    return _mapping({} if values is None else values)


def _line(node: Any, name: str) -> int:
    return [key.start_mark.line + 1 for key, _ in node.value if key.value == name][1]


def _mapping(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"it should hold names and values, not a {type(values).__name__}")
    return values
