"""What an evaluation may measure beside PSNR and SSIM, without knowing how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

LOWER = ("lpips",)  # of these less is better
RULES = {
    "ms_ssim": "per frame, window and constants of SSIM, five scales (Wang et al. 2003)",
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


NOTHING = Extras()
