"""One file a model; the file's name is the model's name at the command line."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import asdict
from typing import Any

from framecast.models.base import Model
from framecast.values import Spec, find_class, nearest


def available() -> list[str]:
    """The names of the models, from the files of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")


def find(name: str) -> type[Model]:
    """The model class in the file of that name.

    Raises:
        ValueError: there is no such model; the message has those there are, and the nearest.
    """
    return find_class(__name__, name, available(), Model)


def config_of(name: str) -> type[Any]:
    """The `Config` dataclass that stands above a model's class."""
    find(name)
    return importlib.import_module(f"{__name__}.{name}").Config


def build(spec: Spec, name: str, config: dict[str, Any]) -> Model:
    """The model of that name for data of that spec, with its settings as plain values.

    Raises:
        ValueError: an unknown setting, or a condition that the model does not take.
    """
    kind = config_of(name)
    known = kind.__dataclass_fields__
    for key in config:
        if key not in known:
            raise ValueError(
                f"The model {name} has no setting {key!r}.{nearest(key, known)} It has: {', '.join(known)}."
            )
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    return find(name)(spec, kind(**settings))  # type: ignore[call-arg]


def check(name: str, config: dict[str, Any]) -> None:
    """That sizes are sizes: whole numbers of a model's settings are 1 or more, lists not empty, levels as many.

    Raises:
        ValueError: names the first that is not.
    """
    for key, value in config.items():
        listed = isinstance(value, list | tuple)
        least, many = int(key != "blocks"), list(value) if listed else [value]  # a level may have no block
        if not many or any(isinstance(v, int) and not isinstance(v, bool) and v < least for v in many):
            what = "a list of numbers of " if listed else ""
            raise ValueError(f"--{name}.{key} is {what}{least} or more, not {value}.")
    levels = {key: len(config[key]) for key in ("widths", "blocks") if key in config}
    if len(set(levels.values())) > 1:
        raise ValueError(f"--{name}.widths and --{name}.blocks have a number for each level; they have {levels}.")


def has_latent(name: str, config: dict[str, Any]) -> bool:
    """Whether a model of these settings draws a latent. A `Config` that can do without has a `has_latent`."""
    return getattr(config_of(name)(**config), "has_latent", True)


def plain(config: Any) -> dict[str, Any]:
    """A config as lists, numbers and texts, for YAML and checkpoints."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}
