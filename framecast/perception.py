"""LPIPS, FVD and MS-SSIM of an evaluation: by which weights, of which clips, and what is not computed and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from framecast.evaluate import Result, episodes_for
from framecast.metrics import fvd, perceptual
from framecast.metrics.extras import Extras
from framecast.metrics.frame import MS_SSIM_LEAST, ms_ssim
from framecast.metrics.perceptual import Lpips
from framecast.protocols import EVERY_SAMPLE, NOT, ONE_SAMPLE, Protocol
from framecast.store import Store


@dataclass(frozen=True)
class Distances:
    """FVD of every way to predict.

    Args:
        videos: how many real clips there are.
        features: of the detector.
        floor: of one random half of the real clips against the other.
        rows: way to predict -> its FVD.
    """

    videos: int
    features: int
    floor: float
    rows: dict[str, fvd.Distance]

    def words(self) -> list[str]:
        """What an FVD is to be read against."""
        half = self.videos // 2
        lines = [f"FVD of {self.videos} videos; real against real (halves, {half} against {half}): {self.floor:.1f}"]
        if self.videos <= self.features:
            lines.append(
                f"  {self.videos} videos are too few for {self.features} features: these FVDs are too high, the"
                " extrapolated ones less so. Compare at equal numbers of videos only."
            )
        return lines


@dataclass(frozen=True)
class Perception:
    """The metrics that can be computed.

    Args:
        lpips: where its weights are given.
        detector: where FVD's are.
        clip_rule: which clips FVD compares.
        extras: for `evaluate`.
    """

    lpips: Lpips | None
    detector: fvd.Detector | None
    clip_rule: str
    extras: Extras

    def rules(self) -> dict[str, str]:
        """What a protocol says: network, version, sha256 and clips, or that there were no weights."""
        return {
            "lpips": self.lpips.rule if self.lpips else NOT,
            "fvd": f"{self.clip_rule}; {self.detector.rule}" if self.detector else NOT,
        }

    def missing(self) -> list[str]:
        """What is not computed, and why."""
        found = [f"{key.upper()}: {NOT} (--{key} FILE)" for key, rule in self.rules().items() if rule == NOT]
        small = f"MS-SSIM: not computed: frames too small (at least {MS_SSIM_LEAST} pixels a side)"
        return found + ([] if "ms_ssim" in self.extras.frames else [small])

    def distances(self, result: Result, seed: int, progress: Callable[[int, int], None]) -> Distances | None:
        """FVD of every row of a result that was made with `extras`; the row's table then has it. None: no weights."""
        if self.detector is None:
            return None
        total = len(result.names) + len(result.scores)
        real, rows = [], {}
        for given, truth in zip(result.given, result.truth, strict=True):
            real.append(self.detector(np.concatenate([given, truth])[None])[0])
            progress(len(real), total)
        for who, scored in result.scores.items():
            made = np.stack([s.features for s in scored if s.features is not None])
            rows[who] = fvd.distance(np.stack(real), made, seed)
            result.whole[who] = {"fvd": rows[who].value, "fvd extrapolated": rows[who].extrapolated}
            progress(len(real) + len(rows), total)
        return Distances(len(real), real[0].size, fvd.floor(np.stack(real), seed), rows)


def prepare(
    store: Store,
    split: str,
    context: int,
    horizon: int | None,
    samples: int,
    most: int | None = None,
    named: Protocol | None = None,
    lpips: str | None = None,
    fvd_file: str | None = None,
    device: torch.device | str = "cpu",
) -> Perception:
    """Loads what is given, before anything is drawn.

    Args:
        store, split, context, horizon, samples, most: as `evaluate`.
        named: whose rule of clips holds; without it one sample of each video is taken.
        lpips, fvd_file: FILE or FILE@SHA256.
        device: where they compute.

    Raises:
        FileNotFoundError, ValueError: no such file or another hash; frames or clips that cannot be compared.
    """
    spec = store.spec
    frames = {"ms_ssim": ms_ssim} if min(spec.height, spec.width) >= MS_SSIM_LEAST else {}
    judge = perceptual.load(lpips, device) if lpips else None
    if judge:
        judge.check(spec.channels, spec.height, spec.width)
        frames = {**frames, "lpips": judge}
    if not fvd_file:
        return Perception(judge, None, "", Extras(frames))
    count = _clips(store, split, context, horizon, most)
    detector = fvd.load(fvd_file, device)
    every = named is not None and named.fvd == EVERY_SAMPLE
    rule = f"{count} x {samples} samples against {count} real clips, context frames included" if every else ONE_SAMPLE
    extras = Extras(frames, lambda clip: detector(clip[None])[0], samples if every else 1)
    return Perception(judge, detector, rule, extras)


def _clips(store: Store, split: str, context: int, horizon: int | None, most: int | None) -> int:
    """How many clips there are. Raises ValueError where they are too few, too short, or of several lengths."""
    lengths = [context + frames for *_, frames in episodes_for(store, split, context, horizon, most, True)]
    if min(lengths) < max(lengths):
        raise ValueError(
            f"FVD compares clips of one length; those of {split} have {min(lengths)} to {max(lengths)} frames. Give"
            f" --horizon {min(lengths) - context}."
        )
    if lengths[0] < fvd.LEAST_FRAMES:
        raise ValueError(
            f"FVD is of clips of at least {fvd.LEAST_FRAMES} frames; {context} given and {lengths[0] - context}"
            f" predicted ones are {lengths[0]}. Give a longer --horizon, or leave --fvd out."
        )
    return fvd.enough(len(lengths))
