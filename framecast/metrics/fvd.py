"""FVD (Unterthiner et al. 2018): how far two sets of clips lie apart, in the features of a video classifier.

Of few clips FVD is too high, by about 1 / N: a model's and the data's own. Two numbers keep it honest: the FVD of one
half of the real clips against the other, which would be zero of endless clips, and the line through FVDs of fewer clips
over 1 / N, followed to 0 (Chong and Forsyth 2020). Lower is better.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framecast.metrics.networks import full_precision, read

KNOWN = {"bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2": "i3d_torchscript.pt"}
LEAST_FRAMES = 10  # of a clip: fewer do not reach I3D's last layer
LEAST_CLIPS = 16  # of a set: halves of fewer say nothing
AT_ONCE = 4  # clips in the detector together: memory does not grow with their number
SPLITS = 5  # draws that a mean is taken of
SIZES = 5  # numbers of clips that the line goes through, from half of them to all


class Detector:
    """Features of clips, by a network that takes (N, 3, T, H, W) floats in 0..255 and scales and resizes them itself.

    Args:
        network: called with `rescale=True, resize=True, return_features=True`; answers (N, D).
        rule: what a protocol says of it.
        device: where it is.
    """

    def __init__(self, network: Callable[..., Tensor], rule: str = "", device: torch.device | str = "cpu") -> None:
        self.network, self.rule, self.device = network, rule, torch.device(device)

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """The features of clips, batch by batch.

        Args:
            clips: (N, T, H, W, C), uint8; grey ones count as red, green and blue.

        Returns:
            (N, D) float64.

        Raises:
            ValueError: clips of another form, of fewer than 10 frames, or features that are none.
        """
        if clips.ndim != 5 or clips.dtype != np.uint8 or clips.shape[-1] not in (1, 3):
            raise ValueError(f"FVD is of clips (N, T, H, W, 1 or 3), uint8; these are {clips.shape}, {clips.dtype}.")
        if clips.shape[1] < LEAST_FRAMES:
            raise ValueError(f"FVD is of clips of at least {LEAST_FRAMES} frames; these have {clips.shape[1]}.")
        batches = [clips[n : n + AT_ONCE] for n in range(0, len(clips), AT_ONCE)]
        features = np.concatenate([self._of(batch) for batch in batches])
        if features.ndim != 2 or len(features) != len(clips) or not np.isfinite(features).all():
            raise ValueError(f"The FVD detector answers {features.shape} for {len(clips)} clips, or NaN: it is no I3D.")
        return features

    def _of(self, clips: np.ndarray) -> np.ndarray:
        frames = torch.from_numpy(np.ascontiguousarray(clips.transpose(0, 4, 1, 2, 3)))
        frames = frames.to(self.device, torch.float32).expand(-1, 3, -1, -1, -1)
        with torch.no_grad(), full_precision():
            return self.network(frames, rescale=True, resize=True, return_features=True).double().cpu().numpy()


def load(given: str, device: torch.device | str = "cpu") -> Detector:
    """A detector out of a TorchScript file.

    Such a file is a program. It is opened only where its hash is known, or was typed by the user, who then vouches.

    Args:
        given: FILE, or FILE@SHA256.
        device: where it computes.

    Raises:
        FileNotFoundError, ValueError: as `networks.read`; or it is no TorchScript file.
    """
    weights = read(given, KNOWN, "--fvd")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.load.* is deprecated", category=DeprecationWarning)
        try:
            network = torch.jit.load(weights.content, map_location=torch.device(device)).eval()
        except RuntimeError:
            needed = ", ".join(KNOWN.values())
            raise ValueError(f"{weights.path} is no TorchScript file. FVD needs {needed}.") from None
    rule = f"{'I3D' if weights.known else 'another detector'}, sha256 {weights.sha256}, scales and resizes by itself"
    return Detector(network, rule, device)


def frechet(one: np.ndarray, two: np.ndarray) -> float:
    """The Frechet distance of two Gaussians with the means and covariances of the features, in float64.

    |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2). With C = F'F the last trace is the sum of the singular values of
    F1 F2' (the eigenvalues of C1 C2 are their squares), so that no root is taken of a matrix that rounding has made
    indefinite.

    Args:
        one, two: (N, D) and (M, D).

    Raises:
        ValueError: fewer than two rows, or unequal D.
    """
    if one.ndim != 2 or two.ndim != 2 or one.shape[1] != two.shape[1] or min(len(one), len(two)) < 2:
        raise ValueError(f"Two sets of at least two features are compared; these are {one.shape} and {two.shape}.")
    a, b = _factor(one), _factor(two)
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    value = np.square(one.mean(0) - two.mean(0)).sum() + np.square(a).sum() + np.square(b).sum() - 2 * shared
    return max(float(value), 0.0)  # rounding only


def _factor(features: np.ndarray) -> np.ndarray:
    """(k, D) F with F'F the covariance, k = min(N, D)."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return centred if len(centred) <= centred.shape[1] else np.asarray(np.linalg.qr(centred, mode="r"))


@dataclass(frozen=True)
class Distance:
    """FVD of a set of videos.

    Args:
        value: of all.
        extrapolated: to endlessly many videos; below zero where chance has it.
        by_videos: number of videos -> mean FVD of so many.
    """

    value: float
    extrapolated: float
    by_videos: dict[int, float]


def distance(real: np.ndarray, made: np.ndarray, seed: int = 0) -> Distance:
    """FVD of all videos, and its estimate of endlessly many.

    Args:
        real: (V, D) features of the true clips.
        made: (V, K, D) features of K clips of each video.
        seed: of the videos that are drawn for smaller sets: a real clip with what was made of its video.

    Raises:
        ValueError: fewer than `LEAST_CLIPS` videos, or unequal numbers of them.
    """
    count = enough(len(real))
    if made.ndim != 3 or len(made) != count:
        raise ValueError(f"Clips were made of {made.shape[0]} videos, and {count} are real: give the same ones.")
    random = np.random.default_rng(seed)
    sizes = np.unique(np.linspace(count / 2, count, SIZES).round().astype(int))
    points = {}
    for size in sizes.tolist():
        drawn = [random.permutation(count)[:size] for _ in range(1 if size == count else SPLITS)]
        points[size] = float(np.mean([frechet(real[d], made[d].reshape(-1, made.shape[2])) for d in drawn]))
    line = np.polyfit(1 / sizes, list(points.values()), 1)
    return Distance(points[count], float(line[1]), points)


def floor(real: np.ndarray, seed: int = 0) -> float:
    """FVD of one random half of the real clips, (V, D), against the other: the mean of a few splits.

    Raises:
        ValueError: fewer than `LEAST_CLIPS`.
    """
    half = enough(len(real)) // 2
    random = np.random.default_rng(seed)
    drawn = [random.permutation(len(real)) for _ in range(SPLITS)]
    return float(np.mean([frechet(real[d[:half]], real[d[half : 2 * half]]) for d in drawn]))


def enough(clips: int) -> int:
    """The number of clips; ValueError where it is too small to say anything."""
    if clips < LEAST_CLIPS:
        raise ValueError(
            f"FVD of {clips} videos says nothing: give at least {LEAST_CLIPS} (papers: 256), or leave --fvd out."
        )
    return clips
