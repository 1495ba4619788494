"""An evaluation as plain values: what results.json holds."""

from __future__ import annotations

from typing import Any

from framecast.evaluate import Result, Scored
from framecast.metrics.extras import RULES

PSNR_RULES = {
    "frame": "10 log10(1 / MSE) per frame over C, H, W of uint8 / 255, float64, MSE at least 1e-10",
    "channel": "10 log10(1 / MSE) per frame and channel over H, W of uint8 / 255, then the mean over channels, float64",
}


def record(result: Result, about: dict[str, Any]) -> dict[str, Any]:
    """The results as plain values, with the rules they were made by."""
    rules = {
        "psnr": PSNR_RULES[result.formula],
        "mean": "over the frames of an episode and its samples, then over episodes",
        "ssim": "per frame, Gaussian window 11, sigma 1.5, K1 0.01, K2 0.03, data_range 1",
        "drift": "mean PSNR of the first hundred predicted frames less that of the last hundred (thirds below 200)",
        **{key: RULES[key] for key in result.extras.frames},
    }
    if result.samples > 1:
        rules["best of N"] = "per metric and episode: the best of N samples' means over frames; then over episodes"
        rules["diversity"] = "root of the mean squared difference of two samples, grey levels 0..255, over all pairs"
    episodes = [
        {
            "name": name,
            "frames": len(result.truth[i]),
            "scores": {w: _series(s[i], result.samples) for w, s in result.scores.items()},
        }
        for i, name in enumerate(result.names)
    ]
    return {
        **about,
        "samples": result.samples,
        "rules": rules,
        "table": result.table(),
        "frames_per_second": result.speed,
        "episodes": episodes,
    }


def _series(scored: Scored, samples: int) -> dict[str, Any]:
    """Per frame, the mean over samples; of many samples also each one's mean over frames."""
    found: dict[str, Any] = {key: values.mean(0).tolist() for key, values in scored.series().items()}
    if samples > 1:
        each = {key: values.mean(1).tolist() for key, values in scored.series().items()}
        found |= {"of each sample": each, "diversity": scored.diversity}
    return found
