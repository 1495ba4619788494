"""framecast: given a frame or a few, and a condition for every frame to come, draw the future.

import framecast
predictor = framecast.load("runs/dancer")
film = predictor.predict(frames, conditions)    # uint8 (n, H, W, C) and (n + horizon, ...) -> (horizon, H, W, C)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Clip", "Predictor", "__version__", "load"]

if TYPE_CHECKING:
    from framecast.predictor import Predictor, load
    from framecast.values import Clip


def __getattr__(name: str) -> Any:
    # Late, so that `framecast --help` does not wait for torch.
    if name in ("Predictor", "load"):
        from framecast import predictor

        return getattr(predictor, name)
    if name == "Clip":
        from framecast.values import Clip

        return Clip
    raise AttributeError(f"module 'framecast' has no attribute {name!r}")
