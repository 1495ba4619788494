"""What the commands that roll runs out over a store share: which runs, which episodes, and what is kept of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from framecast.atomic import check_free
from framecast.commands._parser import Parser


def add_options(parser: Parser, horizon: str, kept: str) -> None:
    """RUN ..., --data, --split and the like.

    Args:
        parser: of the command.
        horizon: what its --horizon is.
        kept: the folder of its results in the first run's, before the split's name.
    """
    parser.add_argument("run", type=str, nargs="+", help="run folders or checkpoints (several are put side by side)")
    parser.add_argument("--data", type=str, required=True, help="the packed store")
    parser.add_argument("--split", type=str, default="val", help="train, val or test (default: val)")
    parser.add_argument("--context", type=int, default=None, help="given frames (default: as the run was trained)")
    parser.add_argument("--horizon", type=int, default=None, help=horizon)
    parser.add_argument("--episodes", type=int, default=None, help="episodes at most (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (default: 0)")
    parser.add_argument("--out", type=str, default=None, help=f"folder of the results (default: RUN/{kept}-SPLIT)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to compute")


def check_least(parser: Parser, options: Any, **least: int) -> None:
    """Leaves in words where an option is below the least that makes sense."""
    for name, value in least.items():
        if options[name] is not None and options[name] < value:
            parser.error(f"--{name} must be {value} or more, not {options[name]}")


def folder_of(options: Any, kept: str) -> Path:
    """Where the results go: by default beside the run, where newer ones take the older one's place.

    Raises:
        FileExistsError: --out is a file, or a folder with something in it.
        NotADirectoryError, PermissionError: it could not be made there; said before an hour of work, not after.
    """
    first = Path(options.run[0])
    out = Path(options.out or (first if first.is_dir() else first.parent) / f"{kept}-{options.split}")
    if options.out:
        check_free(out)
    there = next(path for path in (out, *out.resolve().parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(out))
    if not os.access(there, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(out))
    return out


def about(options: Any, loaded: dict[str, Any], store: Any, protocol: Any, context: int) -> dict[str, Any]:
    """What every file of results says of itself: runs, rules, recordings, versions."""
    from framecast.training.run import provenance

    return {
        "runs": {
            who: {"path": run, "step": made.step, "settings": made.settings}
            for run, (who, made) in zip(options.run, loaded.items(), strict=True)
        },
        "protocol": protocol.record(),
        "data": str(store.root),
        "split": options.split,
        "context": context,
        "horizon": options.horizon,
        "seed": options.seed,
        "size": [store.spec.height, store.spec.width],
        "fps": store.spec.fps,
        "made_with": provenance(),
    }
