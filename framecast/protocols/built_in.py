"""The protocols by name, and the published numbers that belong to each."""

from __future__ import annotations

from dataclasses import replace

from framecast.protocols.protocol import BEST, EVERY_SAMPLE, MEAN, NOT, ONE_SAMPLE, Protocol, Published
from framecast.values import nearest

SRVP = "arXiv 2002.09219 and its README"
IVIDEOGPT, MAGVIT = "arXiv 2405.15223, table 1", "arXiv 2212.05199, appendix B.3"


def _rows(source: str, rows: dict[str, tuple[float, ...]], second_hand: bool = False) -> tuple[Published, ...]:
    """Rows of PSNR, SSIM, LPIPS and FVD, or the first of them; a zero is a number that was not printed."""
    keys = ("psnr", "ssim", "lpips", "fvd")
    return tuple(
        Published(who, {k: v for k, v in zip(keys, values, strict=False) if v}, source, second_hand)
        for who, values in rows.items()
    )


_PUSHING = "BAIR robot pushing (softmotion30_44k), 256 videos"
_BAIR_BEST = Protocol(
    "bair-2-28-best100",
    f"{_PUSHING}, no actions",
    source="bair",
    size="64x64",
    condition="none",
    recordings="256 videos",
    camera="aux1",
    context=2,
    horizon=28,
    trained="2 -> 10",
    samples=100,
    select=BEST,
    psnr="channel",
    lpips="v0.1 AlexNet",
    fvd=ONE_SAMPLE,
    published=_rows(
        SRVP,
        {
            "SV2P": (20.39, 0.8169, 0.0912, 965),
            "SAVP": (18.44, 0.7887, 0.0634, 152),
            "SVG-LP": (18.95, 0.8058, 0.0609, 255),
            "SRVP": (19.59, 0.8196, 0.0574, 162),
        },
    )
    + _rows("arXiv 1904.12165", {"Hier-VRNN": (0, 0.822, 0.055, 143.4)}, second_hand=True)
    + _rows("arXiv 2108.02760", {"SLAMP": (19.67, 0.8175, 0.0596, 245)}, second_hand=True),
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
    published=_rows(
        IVIDEOGPT,
        {
            "VideoGPT": (0, 0, 0, 103.3),
            "MaskViT": (0, 0, 0, 93.7),
            "FitVid": (0, 0, 0, 93.6),
            "MCVD": (16.9, 0.780, 0, 89.5),
            "iVideoGPT": (20.4, 0.823, 0.095, 75.0),
        },
    )
    + _rows(MAGVIT, {"MAGVIT-L": (19.3, 0.787, 0.123, 62), "real training clips": (0, 0, 0, 64)}),
)
_BAIR_1_15_ACTIONS = replace(
    _BAIR_1_15,
    name="bair-1-15-actions",
    data=f"{_PUSHING}, actions",
    condition="vector",
    published=_rows(IVIDEOGPT, {"MaskViT": (0, 0, 0, 70.5), "iVideoGPT": (24.5, 0.902, 0.050, 60.8)}),
)
_DANCE = Protocol(
    "dance-629",
    "the course's dance, pose pictures",
    source="dance",
    recordings="5 videos",
    size="32x64",
    condition="picture",
    context=1,
    horizon=629,
    published=_rows(
        "measured from published predictions, mean of five test sequences",
        {
            "best": (36.41,),
            "second": (34.96,),
            "third": (32.36,),
            "fourth": (32.06,),
            "fifth": (30.43,),
            "repeating the first frame": (18.76,),
        },
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
    published=_rows("public reports of the course", {"students, typical": (21.0,), "students, best": (29.3,)}),
)
_KTH = replace(
    _BAIR_BEST,
    name="kth-10-30",
    data="KTH actions, grey, each film from its first frame (published: clips from anywhere in the films)",
    source="kth",
    recordings="",
    camera="",
    context=10,
    horizon=30,
    trained="10 -> 10",
    published=_rows(
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
    origin="MNIST",
    context=5,
    horizon=20,
    trained="5 -> 10",
    lpips=NOT,
    fvd=NOT,
    published=_rows("edouardelasalles/srvp issue 9", {"SRVP": (16.93, 0.7799)}),
)
_PUSHT = Protocol(
    "pusht-2-28",
    "PushT by framecast record pusht --episodes 500 --policy scripted --seed 0, actions",
    source="gym",
    recordings="50 videos",
    origin="gym_pusht/PushT-v0, scripted policy",
    size="64x64",
    condition="vector",
    context=2,
    horizon=28,
    trained="2 -> 10",
    samples=20,
    select=BEST,
)
BUILT_IN = {p.name: p for p in (_DANCE, _BAIR_BEST, _BAIR_1_15, _BAIR_1_15_ACTIONS, _COURSE, _KTH, _DIGITS, _PUSHT)}


def find(name: str) -> Protocol:
    """A built-in protocol. Raises ValueError with the nearest name."""
    if name not in BUILT_IN:
        raise ValueError(f"There is no protocol {name!r}.{nearest(name, BUILT_IN)} There are: {', '.join(BUILT_IN)}.")
    return BUILT_IN[name]
