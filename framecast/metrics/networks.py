"""What LPIPS and FVD share: files of foreign weights, read only where their hash is known, and full precision.

A file's hash decides two things: that a number comes of the network whose name it bears, and that nothing is run which
nobody vouched for. What is hashed is what is loaded: the bytes are read once.
"""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import torch

HASH = re.compile(r"(.+)@([0-9a-fA-F]{64})")


@dataclass(frozen=True)
class Weights:
    """A file of weights, read and vouched for.

    Args:
        path: where it was.
        sha256: of all its bytes.
        known: what the file of that hash is known as; empty where the user typed the hash.
        content: its bytes, to be loaded.
    """

    path: Path
    sha256: str
    known: str
    content: io.BytesIO = field(repr=False)


def read(given: str, known: dict[str, str], option: str) -> Weights:
    """A file of weights, if its hash is known or is the one that was typed.

    Args:
        given: FILE, or FILE@SHA256 to vouch for another file.
        known: sha256 -> what that file is known as.
        option: of the command line, for the messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its hash is neither known nor the one typed.
    """
    typed = HASH.fullmatch(given)
    path = Path(typed[1] if typed else given)
    if not path.is_file():
        raise FileNotFoundError(
            f"{option} {given}: there is no such file. Give a file of weights, or FILE@SHA256 with 64 digits for one"
            " that framecast does not know."
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if typed and typed[2].lower() != found:
        raise ValueError(f"{path} has the sha256 {found}, not {typed[2]} as typed: it is another file, or damaged.")
    if not typed and found not in known:
        raise ValueError(
            f"{path} has the sha256 {found}, which is none that framecast knows ({', '.join(known.values())}): it is"
            f" another file, or damaged, and was not opened. If you trust it: {option} {path}@{found}"
        )
    return Weights(path, found, known.get(found, ""), io.BytesIO(content))


def full_precision() -> AbstractContextManager[None]:
    """Convolutions in single precision, on a GPU too: TF32 has ten bits, too few for a number to be compared."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
