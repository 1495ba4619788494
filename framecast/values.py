"""Plain values that cross rooms, and the one legend of shapes.

B clips · T frames · C channels · H x W pixels · D numbers of a vector condition · Z latent values · K samples.
Frames are uint8 on disk and at the doors, and floats in [0, 1] inside models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from importlib import import_module
from inspect import isabstract
from math import inf, isfinite
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Kind = Literal["picture", "vector", "none"]
Sampling = Literal["window", "scattered"]
Kin = TypeVar("Kin")


@dataclass(frozen=True)
class Condition:
    """What is known about every frame to come.

    Args:
        kind: a picture per frame, a vector per frame, or nothing.
        size: channels of the picture, or D of the vector; 0 for none.
        names: of a vector: where its numbers come from, for people.
        mean, std: of a vector: per number, over the training split; models standardise with them.
    """

    kind: Kind = "none"
    size: int = 0
    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where it cannot be."""
        if type(self.size) is not int or self.size < 0 or (self.kind == "none") != (self.size == 0):
            raise ValueError(
                f"a condition {self.kind} of size {self.size!r}: a picture or vector has 1 or more, none has 0"
            )
        if self.kind not in ("picture", "vector", "none"):
            raise ValueError(f"a condition is a picture, vector or none, not {self.kind!r}")
        if (
            any(len(x) not in (0, self.size) for x in (self.mean, self.std))
            or not all(isfinite(m) for m in self.mean)
            or not all(0 < s < inf for s in self.std)
        ):
            raise ValueError(
                f"a condition of size {self.size} has as many means and spreads above 0, all of them finite"
            )

    def __str__(self) -> str:
        if self.kind == "none":
            return "none"
        what = f"picture of {self.size} channels" if self.kind == "picture" else f"vector of {self.size} numbers"
        return what + (f" ({', '.join(self.names)})" if self.names else "")


@dataclass(frozen=True)
class Spec:
    """What every episode of a source or store looks like."""

    height: int
    width: int
    channels: int = 3
    condition: Condition = field(default_factory=Condition)
    fps: float = 30.0

    def __post_init__(self) -> None:
        """Raises ValueError where it cannot be."""
        if any(type(n) is not int or n < 1 for n in (self.height, self.width)) or self.channels not in (1, 3):
            raise ValueError(
                f"frames of {self.height!r} x {self.width!r} (H x W) pixels and {self.channels!r} channels: sides are "
                f"whole numbers (int) of 1 or more, channels 1 or 3"
            )
        if not 0 < self.fps < inf:
            raise ValueError(f"{self.fps!r} frames a second: a rate is above 0")

    @property
    def values(self) -> int:
        """D = C * H * W, the number of values in a frame."""
        return self.channels * self.height * self.width

    def to_dict(self) -> dict[str, Any]:
        """As plain lists, numbers and texts, for JSON and checkpoints."""
        data = asdict(self)
        data["condition"] = {k: list(v) if isinstance(v, tuple) else v for k, v in data["condition"].items()}
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Spec:
        """The inverse of `to_dict`."""
        condition: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["condition"].items()}
        return cls(**{**data, "condition": Condition(**condition)})


@dataclass(frozen=True)
class Episode:
    """One recording: frames uint8 (T, H, W, C) and conditions (T, H, W, C) uint8, (T, D) float32, or None.

    A test episode may hold fewer frames than conditions: those that are given.
    """

    name: str
    frames: np.ndarray
    condition: np.ndarray | None


@dataclass
class Clip:
    """A batch for a model.

    Args:
        frames: (B, T, C, H, W); uint8 on its way to the device, floats in [0, 1] after `to_float`.
        condition: (B, S, C, H, W) pictures or (B, S, D) vectors, S >= T, or None.
        times: (B, T): which condition belongs to each frame; the ones before it are the frame's past.
    """

    frames: torch.Tensor
    condition: torch.Tensor | None
    times: torch.Tensor

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Clip:
        """The clip on another device."""
        condition = None if self.condition is None else self.condition.to(device, non_blocking=non_blocking)
        return Clip(self.frames.to(device, non_blocking=non_blocking), condition, self.times.to(device))

    def to_float(self) -> Clip:
        """uint8 frames and pictures as floats in [0, 1]; floats stay as they are."""
        return replace(self, frames=unit(self.frames), condition=unit(self.condition))


def unit(values: Any) -> Any:
    """uint8 0..255 as floats in [0, 1]; anything else (floats, None) unchanged."""
    if values is None or values.is_floating_point():
        return values
    return values.float().div_(255)


@dataclass
class Gaussian:
    """A diagonal Gaussian by mean and log variance, any shape (B, ...)."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        """mean + sigma * noise with sigma = exp(log_variance / 2) (Kingma, Welling 2014, 2.4); derivation (8)."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def kl(self, prior: Gaussian | None = None) -> torch.Tensor:
        """KL(self || prior) in nats per latent value, same shape; prior None is N(0, I) (Kingma, Welling 2014, B)."""
        if prior is None:  # derivation (7); with a prior, derivation (6)
            return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)
        gap = self.log_variance - prior.log_variance
        distance = (self.mean - prior.mean).square() * (-prior.log_variance).exp()
        return 0.5 * (gap.exp() + distance - 1 - gap)


@dataclass
class Step:
    """What a model says of one frame: the frame (B, C, H, W), and its latent's distributions where it has them."""

    frame: torch.Tensor
    posterior: Gaussian | None = None
    prior: Gaussian | None = None


@dataclass
class Trace:
    """A walked clip: predicted and true frames (B, T, C, H, W), Gaussians (B, T, ...) (prior None: N(0, I))."""

    frames: torch.Tensor
    truth: torch.Tensor
    posterior: Gaussian | None = None
    prior: Gaussian | None = None


@dataclass
class Losses:
    """The bound of a Trace, term by term; `total` is minimised, the rest is for the log (units in `objective`)."""

    total: torch.Tensor
    terms: dict[str, torch.Tensor]


def size_of(text: str | Sequence[int] | None) -> tuple[int, int] | None:
    """'32x64' (H x W) as (32, 64).

    Raises:
        ValueError: the text is no such size.
    """
    if text is None:
        return None
    parts = text.lower().split("x") if isinstance(text, str) else [str(n) for n in text]
    if len(parts) != 2 or not all(p.strip().isdigit() and int(p) >= 8 for p in parts):
        raise ValueError(f"A size is written HEIGHTxWIDTH, each at least 8, for example 32x64; this is {text!r}.")
    return int(parts[0]), int(parts[1])


def nearest(word: str, allowed: Iterable[str]) -> str:
    """' Did you mean ...?' where a word is close to an allowed one, else nothing."""
    close = get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def is_copy(who: str) -> bool:
    """Whether a row of results of that name is a copy baseline (`evaluate.copies`), which learns nothing."""
    return who.startswith("copy ")


def find_class(package: str, name: str, names: list[str], base: type[Kin]) -> type[Kin]:
    """The class in the file of that name in a package.

    Raises:
        ValueError: it is not among `names`, or no such class is in it; says which there are, and the nearest.
    """
    if name not in names:
        what = base.__name__.lower()
        raise ValueError(f"There is no {what} {name!r}.{nearest(name, names)} There are: {', '.join(names)}.")
    return class_of(import_module(f"{package}.{name}"), base)


def class_of(module: ModuleType, base: type[Kin]) -> type[Kin]:
    """The subclass of `base` that a file is about: of those made there, the last that is not abstract.

    Raises:
        ValueError: there is none.
    """
    made = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, base)]
    whole = [v for v in made if v.__module__ == module.__name__ and not isabstract(v) and v.__name__[0] != "_"]
    if not whole:
        raise ValueError(f"{module.__file__} holds no whole subclass of {base.__name__}: does it define all methods?")
    return whole[-1]


def tensor(values: np.ndarray) -> torch.Tensor:
    """Frames or conditions as models take them: pictures uint8 (..., H, W, C) -> (..., C, H, W), vectors as is."""
    import torch

    made = torch.from_numpy(np.require(values, requirements=["C", "W"]))  # copies a memory map, which is read-only
    return made.movedim(-1, -3) if values.dtype == np.uint8 else made.float()
