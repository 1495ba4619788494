"""Progress -> float: the KL weight beta, the teacher forcing ratio and the learning rate are all drawn by these.

A schedule is a frozen object. Training asks it, and the report draws it: there is no second description of a run.
What a moving beta makes of the bound is derivation (9), and a teacher forcing ratio below 1 derivation (10).
It is written `name` or `name:option=value,option=value`, for example `cyclical:cycles=4,ratio=0.5`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields

from framecast.values import nearest

SHARES = ("ratio", "hold", "fall", "warmup")  # options that are shares of training


@dataclass(frozen=True)
class Progress:
    """How far training has come: a fraction of the run in [0, 1], and epochs done of the epochs in all."""

    fraction: float
    epoch: float = 0.0
    epochs: float = 1.0

    def by_epoch(self) -> Progress:
        """The same, moving only from epoch to epoch."""
        epoch = math.floor(self.epoch)
        return Progress(min(1.0, epoch / self.epochs), epoch, self.epochs)


@dataclass(frozen=True)
class Calendar:
    """Steps and epochs. The first `shorts` epochs have `short` steps (the course's --fast_train), the others `full`."""

    full: int
    short: int
    shorts: int

    def epoch(self, steps: float) -> float:
        """Epochs done after that many steps."""
        head = self.shorts * self.short
        return steps / self.short if steps < head else self.shorts + (steps - head) / self.full

    def steps(self, epochs: int) -> int:
        """Steps of that many epochs."""
        return min(epochs, self.shorts) * self.short + max(0, epochs - self.shorts) * self.full


@dataclass(frozen=True)
class Schedule(ABC):
    """A value over the run."""

    @abstractmethod
    def __call__(self, progress: Progress) -> float:
        """The value at that progress."""

    def __str__(self) -> str:
        values = ((f, getattr(self, f.name)) for f in fields(self))
        changed = [f"{f.name}={_short(value)}" for f, value in values if value != f.default]
        return ":".join([name_of(type(self)), *([",".join(changed)] if changed else [])])


@dataclass(frozen=True)
class Constant(Schedule):
    """Always `value`. Annealing 'none' is `constant:value=1`."""

    value: float = 1.0

    def __call__(self, progress: Progress) -> float:
        return self.value


@dataclass(frozen=True)
class Monotonic(Schedule):
    """One ramp from `start` to `stop` over the first `ratio` of training, then flat (Fu et al. 2019, equation 7)."""

    ratio: float = 0.25
    start: float = 0.0
    stop: float = 1.0

    def __call__(self, progress: Progress) -> float:
        return _ramp(progress.fraction, self.ratio, self.start, self.stop)


@dataclass(frozen=True)
class Cyclical(Schedule):
    """`cycles` equal cycles over training, each a ramp over `ratio` of it, then flat at `stop` (Fu et al. 2019, eq. 6).

    With `per_epoch`, that many cycles inside every epoch instead.
    """

    cycles: int = 10
    ratio: float = 0.5
    start: float = 0.0
    stop: float = 1.0
    per_epoch: int = 0

    def __call__(self, progress: Progress) -> float:
        turns = progress.epoch * self.per_epoch if self.per_epoch else progress.fraction * self.cycles
        # The end of training is the end of the last cycle, not the start of another.
        within = 1.0 if progress.fraction >= 1 else round(turns, 9) % 1.0  # 1/49 * 49 is less than 1
        return _ramp(within, self.ratio, self.start, self.stop)


@dataclass(frozen=True)
class Step(Schedule):
    """`start` until epoch `from_epoch`, from then on `step` less with each epoch, not under `floor` (the course's)."""

    start: float = 1.0
    from_epoch: float = 10
    step: float = 0.1
    floor: float = 0.0

    def __call__(self, progress: Progress) -> float:
        falls = max(0, math.floor(progress.epoch) - math.ceil(self.from_epoch) + 1)
        return max(self.floor, self.start - self.step * falls)


@dataclass(frozen=True)
class Linear(Schedule):
    """`start` until epoch `from_epoch`, then straight to `stop` over the epochs that are left."""

    start: float = 1.0
    stop: float = 0.0
    from_epoch: float = 0

    def __call__(self, progress: Progress) -> float:
        left = max(progress.epochs - self.from_epoch, 1e-9)
        return _ramp((progress.epoch - self.from_epoch) / left, 1.0, self.start, self.stop)


@dataclass(frozen=True)
class Phases(Schedule):
    """Three phases by share of training: `hold` at `start`, then falling to `stop` over `fall`, then `stop`."""

    hold: float = 0.5
    fall: float = 1 / 3
    start: float = 1.0
    stop: float = 0.0

    def __call__(self, progress: Progress) -> float:
        return _ramp(progress.fraction - self.hold, self.fall, self.start, self.stop)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From `start` down a half cosine to `stop`, after a linear warm-up over the first `warmup` of training."""

    start: float = 1.0
    stop: float = 0.0
    warmup: float = 0.0

    def __call__(self, progress: Progress) -> float:
        if progress.fraction < self.warmup:
            return self.start * (progress.fraction + 1e-3) / (self.warmup + 1e-3)
        along = min(1.0, (progress.fraction - self.warmup) / max(1 - self.warmup, 1e-9))
        return self.stop + (self.start - self.stop) * 0.5 * (1 + math.cos(math.pi * along))


@dataclass(frozen=True)
class Milestones(Schedule):
    """`start`, multiplied by `factor` at epoch `first` and again at epoch `second` (the course's learning rate)."""

    start: float = 1.0
    first: float = 2
    second: float = 5
    factor: float = 0.1

    def __call__(self, progress: Progress) -> float:
        return self.start * self.factor ** ((progress.epoch >= self.first) + (progress.epoch >= self.second))


def _ramp(along: float, length: float, start: float, stop: float) -> float:
    share = float(along >= 0) if length <= 0 else min(1.0, max(0.0, along / length))
    return start + (stop - start) * share


def name_of(kind: type[Schedule]) -> str:
    """The name of a schedule class on the command line."""
    return kind.__name__.lower()


def available() -> dict[str, type[Schedule]]:
    """All schedules by name."""
    return {name_of(kind): kind for kind in Schedule.__subclasses__()}


def parse(text: str) -> Schedule:
    """A schedule from `name` or `name:option=value,...`; a bare number is that constant.

    Raises:
        ValueError: an unknown name or option, or a value that is no number; the message has what is allowed.
    """
    text = str(text).strip()
    with suppress(ValueError):
        return Constant(_number(text))
    name, _, rest = text.partition(":")
    if name == "none":
        return Constant(1.0)
    kinds = available()
    if name not in kinds:
        allowed = ", ".join(["none", *kinds])
        raise ValueError(f"There is no schedule {name!r}.{nearest(name, kinds)} There are: {allowed}, or a number.")
    kind = kinds[name]
    options = {f.name: f.default for f in fields(kind) if f.default is not MISSING}
    whole = {f.name for f in fields(kind) if f.type == "int"}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        option, _, value = item.partition("=")
        if option not in options:
            hint = nearest(option, options)
            raise ValueError(f"The schedule {name} has no option {option!r}.{hint} It has: {', '.join(options)}.")
        try:
            options[option] = int(value) if option in whole else _number(value)
        except ValueError:
            number = "whole number" if option in whole else "number"
            raise ValueError(f"{name}:{option} takes a {number}, not {value!r}.") from None
        if option in SHARES and not 0 <= options[option] <= 1:
            raise ValueError(f"{name}:{option} is a share of training, 0 to 1, not {value}.")
        if option == "cycles" and options[option] < 1:
            raise ValueError(f"{name}:{option} is 1 or more, not {value}.")
    return kind(**options)


def _number(text: str) -> float:
    """A finite number. Raises ValueError where it is none."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is not finite")
    return value


def _short(value: float) -> str:
    """A number in as few digits as bring it back whole."""
    short = f"{value:g}"
    return short if float(short) == value and not isinstance(value, int) else repr(value)
