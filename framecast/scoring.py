"""Scores of a submission.csv beside the truth and the copy baseline.

They are of the predicted frames only: 629 of the 630 of a sequence, since the first one was given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framecast.metrics.frame import psnr, ssim
from framecast.sources._files import pictures_of
from framecast.sources._pictures import resize
from framecast.submission import LENGTH, read_submission

GIVEN = 35.0  # dB: a given frame that was copied, and perhaps resized by another program


@dataclass(frozen=True)
class Sequence:
    """The scores of a sequence's predicted frames (T - 1,), and of copying its first frame.

    `given` is the PSNR (dB) between the two first frames: 100 where the row is exactly the given frame.
    """

    name: str
    psnr: np.ndarray
    ssim: np.ndarray
    copy_psnr: np.ndarray
    copy_ssim: np.ndarray
    given: float


def score(prediction: np.ndarray, truth: np.ndarray, size: tuple[int, int], length: int = LENGTH) -> list[Sequence]:
    """PSNR and SSIM of every predicted frame, per sequence; the mean over frames is the caller's.

    PSNR is of each frame, on uint8 widened first. The first frame of a sequence was given and does not count.

    Args:
        prediction, truth: uint8 (rows, D), rows in C, H, W order.
        size: H x W.
        length: frames of a sequence, T.

    Raises:
        ValueError: D does not fit the size, rows are no whole sequences, or the two differ in shape.
    """
    channels_of(prediction.shape[1], size)
    for name, rows in (("submission", prediction), ("truth", truth)):
        whole_sequences(name, len(rows), length)
    if prediction.shape != truth.shape:
        told = " and ".join(f"{len(r) // length} sequences of {r.shape[1]} values a frame" for r in (prediction, truth))
        raise ValueError(f"Submission and truth differ: they have {told}.")
    own, copied = measured(prediction, truth, size, length), measured(copy_first(truth, length), truth, size, length)
    both = enumerate(zip(own, copied, strict=True))
    return [Sequence(str(i), p[1:], s[1:], cp[1:], cs[1:], given=float(p[0])) for i, ((p, s), (cp, cs)) in both]


def whole_sequences(name: str, rows: int, length: int) -> int:
    """How many sequences the rows are. Raises ValueError where they are no whole ones."""
    if length < 2 or rows % length or not rows:
        raise ValueError(f"The {name} has {rows} rows: no whole sequences of {length} frames. See --length.")
    return rows // length


def copy_first(truth: np.ndarray, length: int) -> np.ndarray:
    """The baseline as rows: every sequence's first frame, again and again."""
    return truth[::length].repeat(length, 0)


def measured(prediction: np.ndarray, truth: np.ndarray, size: tuple[int, int], length: int) -> np.ndarray:
    """PSNR and SSIM of every frame, the given ones too, of rows that fit: (sequences, 2, length)."""
    import torch

    def film(rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.require(rows, requirements=["C", "W"])).reshape(1, length, -1, *size)

    pairs = [(film(prediction[i : i + length]), film(truth[i : i + length])) for i in range(0, len(truth), length)]
    return np.array([[metric(p, t)[0].numpy() for metric in (psnr, ssim)] for p, t in pairs])


def not_given(given: Iterable[float]) -> list[str]:
    """What to say of the sequences whose first frame is not the given one, from its PSNR: a sentence at most."""
    odd = {number: value for number, value in enumerate(given) if value < GIVEN}
    if not odd:
        return []
    which, apart = ", ".join(map(str, odd)), ", ".join(f"{value:.1f}" for value in odd.values())
    return [
        f"the first frame of sequence{'s' * (len(odd) > 1)} {which} is not the given one ({apart} dB apart):"
        " are the values in C, H, W order, and the sequences in order?"
    ]


def channels_of(values: int, size: tuple[int, int], of: object = "the truth") -> int:
    """C of rows of D values. Raises ValueError where D is not that of 1 or 3 channels of that size."""
    channels, rest = divmod(values, size[0] * size[1])
    if rest or channels not in (1, 3):
        fits = f"frames of {size[0]}x{size[1]} have {3 * size[0] * size[1]}"
        raise ValueError(
            f"A row of {of} has {values} values; {fits}. Say the size of the frames with --size HEIGHTxWIDTH."
        )
    return channels


def truth_of(where: str | Path, size: tuple[int, int], channels: int = 3, length: int = LENGTH) -> np.ndarray:
    """The truth as rows, uint8 (rows, D).

    Args:
        where: a file like a submission, or a folder in the dance layout with test/test_truth/0, 1, ... of pictures, or
            that folder test_truth.
        size: H x W to which pictures are resized, as in packing.
        channels: C.
        length: frames that every sequence must have.

    Raises:
        FileNotFoundError: nothing is there, or no truth in it.
        ValueError: unreadable or missing pictures, another length; or as `read_submission`.
    """
    where = Path(where)
    if where.is_file():
        return read_submission(where)
    folder = where / "test" / "test_truth"
    if where.is_dir() and any(p.is_dir() and p.name.isdigit() for p in where.iterdir()):
        folder = where  # test_truth itself
    if not folder.is_dir():
        what = "has no folder test/test_truth" if where.is_dir() else "does not exist"
        allowed = "a .csv like a submission, or a folder that holds test/test_truth/0/*.png"
        raise FileNotFoundError(f"{where} {what}. The truth is {allowed}.")
    names = sorted((p for p in folder.iterdir() if p.is_dir() and p.name.isdigit()), key=lambda p: int(p.name))
    if not names:
        raise FileNotFoundError(f"{folder} holds no folder 0, 1, 2, ... of pictures.")
    rows = []
    for name in names:
        frames = pictures_of(name, channels)
        if len(frames) != length:
            raise ValueError(f"{name} holds {len(frames)} pictures, not the {length} of a sequence. See --length.")
        rows.append(resize(frames, size).transpose(0, 3, 1, 2).reshape(length, -1))
    return np.concatenate(rows)
