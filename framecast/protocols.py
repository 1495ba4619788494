"""Named, frozen, hashed evaluation protocols, and the published numbers that belong to each.

The same weights scored 18.95 dB or 22.70 dB under two rules. A result therefore carries every rule that it was made by,
and a hash of them: numbers stand in one column only where the hashes are the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from framecast.values import nearest

Psnr = Literal["frame", "channel"]
MEAN = "mean over samples, frames and videos"
BEST = "best of the samples by its mean over frames, for each metric and video; then the mean over videos"
SSIM = "Gaussian 11 x 11, sigma 1.5, K1 0.01, K2 0.03, data range 1, borders mirrored, all values of a frame"
NOT = "not computed: no weights"
ONE_SAMPLE = "one random sample a video, context frames included"
EVERY_SAMPLE = "256 x 100 samples against 256 real clips"
SRVP = "arXiv 2002.09219 and its README"
IVIDEOGPT, MAGVIT = "arXiv 2405.15223, table 1", "arXiv 2212.05199, appendix B.3"


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
        recordings: exactly which ones: how many, and a checksum of their frames; filled in where a store is scored.
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

    def rules(self) -> dict[str, Any]:
        """What decides the score, as plain values."""
        return {key: value for key, value in asdict(self).items() if key not in ("name", "published")}

    def hash(self) -> str:
        """Twelve letters that stand for the rules: equal only where all rules are."""
        return hashed(self.rules())

    def record(self) -> dict[str, Any]:
        """For results.json."""
        return {"name": self.name, "hash": self.hash(), **self.rules()}


def hashed(rules: dict[str, Any]) -> str:
    """Of rules as plain values, whatever the order of their keys."""
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def checked(record: dict[str, Any], where: str) -> dict[str, Any]:
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


def find(name: str) -> Protocol:
    """A built-in protocol. Raises ValueError with the nearest name."""
    if name not in BUILT_IN:
        raise ValueError(f"There is no protocol {name!r}.{nearest(name, BUILT_IN)} There are: {', '.join(BUILT_IN)}.")
    return BUILT_IN[name]


def _four(source: str, rows: dict[str, tuple[float, ...]], second_hand: bool = False) -> tuple[Published, ...]:
    """Rows of PSNR, SSIM, LPIPS and FVD; a zero is a number that was not printed."""
    keys = ("psnr", "ssim", "lpips", "fvd")
    return tuple(
        Published(who, {k: v for k, v in zip(keys, values, strict=True) if v}, source, second_hand)
        for who, values in rows.items()
    )


_PUSHING = "BAIR robot pushing (softmotion30_44k), 256 videos"
_BAIR_BEST = Protocol(
    "bair-2-28-best100",
    f"{_PUSHING}, no actions",
    source="bair",
    size="64x64",
    condition="none",
    camera="aux1",
    context=2,
    horizon=28,
    trained="2 -> 10",
    samples=100,
    select=BEST,
    psnr="channel",
    lpips="v0.1 AlexNet",
    fvd=ONE_SAMPLE,
    published=_four(
        SRVP,
        {
            "SV2P": (20.39, 0.8169, 0.0912, 965),
            "SAVP": (18.44, 0.7887, 0.0634, 152),
            "SVG-LP": (18.95, 0.8058, 0.0609, 255),
            "SRVP": (19.59, 0.8196, 0.0574, 162),
        },
    )
    + _four("arXiv 1904.12165", {"Hier-VRNN": (0, 0.822, 0.055, 143.4)}, second_hand=True)
    + _four("arXiv 2108.02760", {"SLAMP": (19.67, 0.8175, 0.0596, 245)}, second_hand=True),
)
_BAIR_1_15 = replace(
    _BAIR_BEST,
    name="bair-1-15",
    context=1,
    horizon=15,
    trained="",
    select=MEAN,
    psnr="frame",
    lpips="version not known",
    fvd=EVERY_SAMPLE,
    published=_four(
        IVIDEOGPT,
        {
            "VideoGPT": (0, 0, 0, 103.3),
            "MaskViT": (0, 0, 0, 93.7),
            "FitVid": (0, 0, 0, 93.6),
            "MCVD": (16.9, 0.780, 0, 89.5),
            "iVideoGPT": (20.4, 0.823, 0.095, 75.0),
        },
    )
    + _four(MAGVIT, {"MAGVIT-L": (19.3, 0.787, 0.123, 62), "real training clips": (0, 0, 0, 64)}),
)
_BAIR_1_15_ACTIONS = replace(
    _BAIR_1_15,
    name="bair-1-15-actions",
    data=f"{_PUSHING}, actions",
    condition="vector",
    published=_four(IVIDEOGPT, {"MaskViT": (0, 0, 0, 70.5), "iVideoGPT": (24.5, 0.902, 0.050, 60.8)}),
)
_DANCE = Protocol(
    "dance-629",
    "the course's dance, pose pictures",
    source="dance",
    size="32x64",
    condition="picture",
    context=1,
    horizon=629,
    published=tuple(
        Published(who, {"psnr": score}, "measured from published predictions, mean of five test sequences")
        for who, score in (
            ("best", 36.41),
            ("second", 34.96),
            ("third", 32.36),
            ("fourth", 32.06),
            ("fifth", 30.43),
            ("repeating the first frame", 18.76),
        )
    ),
)
_COURSE = Protocol(
    "bair-2-10-course",
    "BAIR robot pushing (softmotion30_44k), actions and gripper positions",
    source="bair",
    size="64x64",
    condition="vector",
    context=2,
    horizon=10,
    trained="2 -> 10",
    published=(
        Published("students, typical", {"psnr": 21.0}, "public reports of the course"),
        Published("students, best", {"psnr": 29.3}, "public reports of the course"),
    ),
)
_KTH = replace(
    _BAIR_BEST,
    name="kth-10-30",
    data="KTH actions, grey",
    source="kth",
    camera="",
    context=10,
    horizon=30,
    trained="10 -> 10",
    published=_four(
        SRVP,
        {
            "SV2P": (28.19, 0.838, 0.2049, 636),
            "SAVP": (26.51, 0.7564, 0.1120, 374),
            "SVG-LP": (28.06, 0.8438, 0.0923, 377),
            "SRVP": (29.69, 0.8697, 0.0736, 222),
        },
    ),
)
_DIGITS = replace(
    _KTH,
    name="digits-5-20",
    data="stochastic moving digits, grey, 25 frames",
    source="digits",
    context=5,
    horizon=20,
    trained="5 -> 10",
    lpips=NOT,
    fvd=NOT,
    published=(Published("SRVP", {"psnr": 16.93, "ssim": 0.7799}, "edouardelasalles/srvp issue 9"),),
)
_PUSHT = Protocol(
    "pusht-2-28",
    "PushT by framecast record pusht --episodes 500 --policy scripted --seed 0, actions",
    source="gym",
    size="64x64",
    condition="vector",
    context=2,
    horizon=28,
    trained="2 -> 10",
    samples=20,
    select=BEST,
)
BUILT_IN = {p.name: p for p in (_DANCE, _BAIR_BEST, _BAIR_1_15, _BAIR_1_15_ACTIONS, _COURSE, _KTH, _DIGITS, _PUSHT)}
