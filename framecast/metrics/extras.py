"""What an evaluation may measure beside PSNR and SSIM, without knowing how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

LOWER = ("lpips",)  # of these less is better
RULES = {
    "ms_ssim": (
        "per frame, window and constants of SSIM, five scales (Wang et al. 2003); 5 pixels at each border are left out"
        " of the first four and mirrored in the fifth (as torchmetrics)"
    ),
    "lpips": "per frame, by the network and weights that the protocol names; lower is better",
}


@dataclass(frozen=True)
class Extras:
    """Further metrics.

    Args:
        frames: name -> of two videos (B, T, C, H, W) the (B, T) numbers; the names are those of `RULES`.
        clip: of a whole clip with its given frames, uint8 (T, H, W, C), the features (D,).
        clips: how many samples of each video `clip` is asked of: the first ones, which no truth has chosen.
    """

    frames: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = field(default_factory=dict)
    clip: Callable[[np.ndarray], np.ndarray] | None = None
    clips: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError where a metric has no rule: a number that nobody can repeat is not kept."""
        for name in self.frames:
            if name not in RULES:
                raise ValueError(f"Say in RULES of metrics/extras.py by which rule {name!r} is computed (and in LOWER,"
                                 " if less of it is better).")  # fmt: skip

    def measured(self, prediction: Tensor, truth: Tensor) -> dict[str, np.ndarray]:
        """Name -> (B, T) float64. Raises ValueError naming a metric that gives something else."""
        found = {}
        for name, metric in self.frames.items():
            values = np.asarray(metric(prediction, truth), np.float64)
            if values.shape != tuple(prediction.shape[:2]) or not np.isfinite(values).all():
                raise ValueError(
                    f"The metric {name} gives {values.shape} with {int((~np.isfinite(values)).sum())} numbers that are"
                    f" not finite; a finite one for every frame is needed: {tuple(prediction.shape[:2])}."
                )
            found[name] = values
        return found


NOTHING = Extras()
