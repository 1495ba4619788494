"""What both programs do at the terminal: say the device, show how far they are, and leave with a line and a status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from framecast.lab.flags import Options
from framecast.memory import keep_freed


def leave(program: str, work: Callable[[], int]) -> None:
    """Works; says what goes wrong in a line, and leaves with a status that is not 0."""
    keep_freed()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as in `cli`
    try:
        status = work()
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        status = 130
    except (ValueError, OSError, FloatingPointError) as error:
        if os.environ.get("FRAMECAST_TRACEBACK"):
            raise
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}."
        print(f"{program}: {text}", file=sys.stderr)
        status = 1
    if status:
        sys.exit(status)


def device(o: Options) -> str:
    """Picks the device, and says which and why. Raises ValueError where there is none of that name."""
    from framecast.rollout import pick_device

    picked = pick_device(o.device or "auto").type
    why = "" if o.device else " (torch sees a GPU)" if picked == "cuda" else " (torch sees no GPU)"
    print(f"device: {picked}{why}")
    if o.gpu > 1:
        print(f"--gpu {o.gpu}: framecast uses one GPU.")
    return picked
