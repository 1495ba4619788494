"""A protocol: every rule that decides a score, frozen, with a hash.

The same weights scored 18.95 dB or 22.70 dB under two rules. A result therefore carries every rule that it was made by,
and a hash of them: numbers stand in one column only where the hashes are the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from framecast.sources import SPLITS

Psnr = Literal["frame", "channel"]
MEAN = "mean over samples, frames and videos"
BEST = "best of the samples by its mean over frames, for each metric and video; then the mean over videos"
SSIM = "Gaussian 11 x 11, sigma 1.5, K1 0.01, K2 0.03, data range 1, borders mirrored, all values of a frame"
NOT = "not computed: no weights"
ONE_SAMPLE = "one random sample a video, context frames included"
EVERY_SAMPLE = "256 x 100 samples against 256 real clips"
TRAINED = r"(\d+ -> \d+|not known)"  # given -> predicted frames of a run's clips; of several runs by commas


@dataclass(frozen=True)
class Published:
    """One published row, as it is printed there.

    Args:
        who: the model.
        scores: metric -> value.
        source: where it is from.
        second_hand: read in another paper than its own.
    """

    who: str
    scores: dict[str, float]
    source: str
    second_hand: bool = False


@dataclass(frozen=True)
class Protocol:
    """Everything that decides a score, save the model.

    Args:
        name: for people; not part of the hash.
        data: the recordings, in words.
        source: of `framecast pack`, that reads them; empty: any.
        size: H x W of the frames; empty: any.
        condition: the kind that the model is told of each frame; empty: whatever there is.
        split: which of them.
        recordings: exactly which ones: how many, where that is known, and filled in where a store is scored, with a
            checksum of their frames.
        origin: what they were recorded from (an environment) or drawn with (digits), where the source has several.
        camera: where there are several.
        context: given frames.
        horizon: predicted frames; None: all there are.
        trained: given -> predicted frames of its training clips; empty: whatever it was.
        samples: N drawn of each video.
        select: how N samples become one number.
        counted: which frames are scored.
        psnr: the MSE is over all values of a `frame`, or a PSNR is taken of each `channel` and averaged.
        data_range: of pixels, for PSNR and SSIM.
        ssim: window and constants.
        lpips: version, network and hash of its weights, or `NOT`.
        fvd: clip and context rule, and hash of its detector; likewise.
        published: rows that belong to it; not part of the hash.
    """

    name: str
    data: str
    source: str = ""
    size: str = ""
    condition: str = ""
    split: str = "test"
    recordings: str = ""
    origin: str = ""
    camera: str = ""
    context: int = 1
    horizon: int | None = None
    trained: str = ""
    samples: int = 1
    select: str = MEAN
    counted: str = "predicted frames"
    psnr: Psnr = "frame"
    data_range: float = 1.0
    ssim: str = SSIM
    lpips: str = NOT
    fvd: str = NOT
    published: tuple[Published, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError where a rule is none that a score can be made by."""
        known = {
            "condition": ("", "picture", "vector", "none"),
            "split": SPLITS,
            "select": (MEAN, BEST),
            "psnr": get_args(Psnr),
            "counted": ("predicted frames", "predicted frames with truth"),  # and of drift, beyond the recordings
            "data_range": (1.0,),
            "ssim": (SSIM, NOT),
        }
        for key, allowed in known.items():
            if (value := getattr(self, key)) not in allowed:
                raise ValueError(f"The protocol {self.name} has {key} {value!r}; it is one of {allowed}.")
        for key in ("context", "horizon", "samples"):
            value = getattr(self, key)
            if not (key == "horizon" and value is None) and (type(value) is not int or value < 1):
                raise ValueError(f"The protocol {self.name} has {key} {value!r}; it is a whole number of 1 or more.")
        for key, form, example in (("size", r"\d+x\d+", "64x64"), ("trained", f"{TRAINED}(, {TRAINED})*", "2 -> 10")):
            if (value := getattr(self, key)) and not re.fullmatch(form, value):
                raise ValueError(f"The protocol {self.name} has {key} {value!r}; it is written so: {example}.")

    def rules(self) -> dict[str, Any]:
        """What decides the score, as plain values."""
        return {key: value for key, value in asdict(self).items() if key not in ("name", "published")}

    def hash(self) -> str:
        """Twelve letters that stand for the rules: equal only where all rules are."""
        return hashed(self.rules())

    def rows(self) -> list[str]:
        """The published rows in words, their numbers named as a table of results names them."""
        best = f" best of {self.samples}" if self.select == BEST else ""
        found = []
        for row in self.published:
            scores = ", ".join(f"{key}{'' if key == 'fvd' else best} {value:g}" for key, value in row.scores.items())
            found.append(f"{row.who}: {scores} ({row.source}{', read second-hand' if row.second_hand else ''})")
        return found

    def otherwise(self, rules: dict[str, Any]) -> str:
        """In what a result's rules are not these, in words; nothing where they are."""
        found = differences(self.rules(), rules)
        for key in ("recordings", "origin"):  # of a result they say more: a checksum, how many digits
            if getattr(self, key) and str(rules.get(key)).startswith(f"{getattr(self, key)}, "):
                found.pop(key, None)
        not_known = "what is not on record"
        return "; ".join(
            f"{key} {here!r} for {repr(there) if there else not_known}" for key, (there, here) in found.items()
        )

    def record(self) -> dict[str, Any]:
        """For results.json."""
        return {"name": self.name, "hash": self.hash(), **self.rules()}


def hashed(rules: dict[str, Any]) -> str:
    """Of rules as plain values, whatever the order of their keys."""
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def checked(record: Any, where: str) -> dict[str, Any]:
    """The rules of a record out of a file.

    Raises:
        ValueError: it has none, or they are not what its hash says (edited by hand).
    """
    if not isinstance(record, dict) or "hash" not in record:
        raise ValueError(f"{where} says by no protocol how it was made. Score the run again with framecast evaluate.")
    rules = {key: value for key, value in record.items() if key not in ("name", "hash")}
    if hashed(rules) != record["hash"]:
        raise ValueError(f"{where}: its rules are not those of its hash {record['hash']}; it was edited after scoring.")
    return rules


def differences(one: dict[str, Any], two: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The rules in which two sets differ, by name."""
    keys = [f.name for f in fields(Protocol) if f.name in one or f.name in two]
    return {key: (one.get(key), two.get(key)) for key in keys if one.get(key) != two.get(key)}
