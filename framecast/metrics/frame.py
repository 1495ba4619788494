"""Metrics of single frames: two videos in, one number per frame out, averaged by nobody but the caller.

Both videos have the shape (B, T, C, H, W) and are floats, clamped to [0, 1] here, or uint8, widened here: the
difference of two uint8 tensors wraps around at 256 and has flattered published tables by 13 dB. The mean over a batch
of per-frame PSNRs is not the PSNR of the batch's pooled error; the second is never computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

FAR_OUTSIDE = 10.0  # no picture: what is this far above 1 is in other units, and clamping it would hide that
MSE_FLOOR = 1e-10  # 100 dB: a frame that is exact to the bit keeps the mean over a film finite
SSIM_WINDOW = 11  # pixels: the Gaussian of sigma 1.5 cut at 3.5 sigma
MS_SSIM_LEAST = 176  # pixels a side: halved four times, the frame still holds the window
CHUNK_VALUES = 2**18  # pixel values looked at together, 2 MiB in float64


def psnr(prediction: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of every frame in dB, for a data range of 1: -10 log10(MSE).

    The MSE is over the C x H x W values of one frame and never below 1e-10, so identical frames score 100 dB. NaN
    stays NaN.

    Args:
        prediction, truth: (B, T, C, H, W), floats (clamped to [0, 1]) or uint8.

    Returns:
        (B, T) float64 on the CPU.

    Raises:
        ValueError: the shapes differ, are no videos, or the type is neither float nor uint8.
    """
    return per_frame(_psnr_of_frames, prediction, truth)


def psnr_by_channel(prediction: Tensor, truth: Tensor) -> Tensor:
    """The mean over channels of each channel's PSNR in dB, of every frame: (B, T). What SRVP and others report.

    Never below `psnr`, as the logarithm is concave: on the same frames it is higher where channels err unequally.

    Args, raises: as `psnr`.
    """
    return per_frame(_psnr_of_channels, prediction, truth)


def ssim(prediction: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of every frame (Wang et al. 2004), at most 1.

    Gaussian window of 11 x 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03, data range 1; borders are mirrored, and the
    mean is over all C x H x W values of the frame (torchmetrics' rule; scikit-image leaves out five pixels a side).
    Exact to about 2e-5 on the CPU.

    Args:
        prediction, truth: (B, T, C, H, W), floats (clamped to [0, 1]) or uint8.

    Returns:
        (B, T) float64 on the CPU.

    Raises:
        ValueError: as `psnr`, or frames are smaller than the window.
    """
    if prediction.ndim == 5 and min(prediction.shape[-2:]) < SSIM_WINDOW:
        height, width = prediction.shape[-2:]
        raise ValueError(
            f"SSIM looks through a window of {SSIM_WINDOW} x {SSIM_WINDOW} pixels; these frames are only "
            f"{height} x {width} (H x W). Compare larger frames, or use PSNR."
        )
    return per_frame(_ssim_of_frames, prediction, truth)


def ms_ssim(prediction: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity at five scales of every frame (Wang et al. 2003), in [0, 1].

    The window and constants of `ssim`, each scale half the one before; contrast and structure of the first four and
    all of the fifth, to the powers 0.0448, 0.2856, 0.3001, 0.2363 and 0.1333, multiplied; a negative scale counts as 0.
    As torchmetrics has it: five pixels at each border do not count in the first four, in the fifth they see themselves
    mirrored. The paper leaves them out of all.

    Args:
        prediction, truth: (B, T, C, H, W), floats (clamped to [0, 1]) or uint8, of at least 176 x 176 pixels.

    Returns:
        (B, T) float64 on the CPU.

    Raises:
        ValueError: as `psnr`, or frames are too small for five scales; fewer scales would be another number.
    """
    if prediction.ndim == 5 and min(prediction.shape[-2:]) < MS_SSIM_LEAST:
        height, width = prediction.shape[-2:]
        raise ValueError(
            f"MS-SSIM has five scales, and needs frames of at least {MS_SSIM_LEAST} x {MS_SSIM_LEAST} pixels; these are"
            f" only {height} x {width} (H x W). Use SSIM."
        )
    return per_frame(_ms_ssim_of_frames, prediction, truth)


def drift(per_frame: Tensor | np.ndarray | Sequence[float]) -> float:
    """What a rollout loses on its way: the mean over its first hundred frames less that over its last hundred.

    Series shorter than 200 frames are compared by their first and last thirds (T // 3 frames, at least one), so that
    the two ends never overlap. Of a PSNR (dB) or SSIM, positive means that the film gets worse.

    Args:
        per_frame: (T,), one number per predicted frame.

    Raises:
        ValueError: the series is empty or has more than one axis.
    """
    series = np.asarray(per_frame, dtype=np.float64)
    if series.ndim != 1 or series.size == 0:
        raise ValueError(
            f"Drift is of one series (T,) with at least one frame; this has the shape {series.shape}. "
            "Of a batch (B, T), take one row or the mean over B first."
        )
    count = ends(series.size)
    return float(series[:count].mean() - series[-count:].mean())


def ends(frames: int) -> int:
    """How many frames of a series are its beginning and its end: a hundred, or a third of a short one."""
    return 100 if frames >= 200 else max(1, frames // 3)


def _psnr_of_frames(prediction: Tensor, truth: Tensor) -> Tensor:
    """(N, C, H, W) in [0, 1] -> (N,) dB."""
    mse = (prediction - truth).square().flatten(1).mean(1)
    return -10 * mse.clamp(min=MSE_FLOOR).log10()


def _psnr_of_channels(prediction: Tensor, truth: Tensor) -> Tensor:
    """(N, C, H, W) in [0, 1] -> (N,) dB."""
    mse = (prediction - truth).square().flatten(2).mean(2)
    return (-10 * mse.clamp(min=MSE_FLOOR).log10()).mean(1)


def _ssim_of_frames(prediction: Tensor, truth: Tensor) -> Tensor:
    """(N, C, H, W) in [0, 1] -> (N,)."""
    # imported here: torchmetrics takes seconds to load, and PSNR does without it
    from torchmetrics.functional.image import structural_similarity_index_measure

    prediction, truth = _for_ssim(prediction), _for_ssim(truth)
    value = structural_similarity_index_measure(
        prediction, truth, sigma=1.5, reduction="none", data_range=1.0, k1=0.01, k2=0.03
    )
    assert isinstance(value, Tensor)  # a pair only when asked for the full image
    return value


def _ms_ssim_of_frames(prediction: Tensor, truth: Tensor) -> Tensor:
    """(N, C, H, W) in [0, 1] -> (N,)."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    return multiscale_structural_similarity_index_measure(
        _for_ssim(prediction), _for_ssim(truth), reduction="none", data_range=1.0, normalize="relu"
    )


def _for_ssim(frames: Tensor) -> Tensor:
    """float32 on the CPU, where it is 30 times faster; not on a GPU, where that may mean TF32, as coarse as K2."""
    return frames.to(torch.float64 if frames.device.type == "cuda" else torch.float32)


def per_frame(metric: Callable[[Tensor, Tensor], Tensor], prediction: Tensor, truth: Tensor) -> Tensor:
    """`metric` of every frame, a few frames at a time: memory does not grow with the length of the film."""
    _check(prediction, truth)
    b, t = prediction.shape[:2]
    size = max(1, CHUNK_VALUES // prediction[0, 0].numel())
    chunks = zip(prediction.flatten(0, 1).split(size), truth.flatten(0, 1).split(size), strict=True)
    with torch.no_grad():
        values = [metric(_unit(p), _unit(q)).cpu() for p, q in chunks]
    return torch.cat(values).to(torch.float64).reshape(b, t)


def _unit(frames: Tensor) -> Tensor:
    """uint8 or float frames as floats in [0, 1], float64 where the device has it."""
    wide = torch.float32 if frames.device.type == "mps" else torch.float64
    return frames.to(wide).div_(255) if frames.dtype == torch.uint8 else frames.to(wide).clamp(0, 1)


def _check(prediction: Tensor, truth: Tensor) -> None:
    """The door: two videos of one shape, in a type whose range is known."""
    shapes = f"the prediction is {tuple(prediction.shape)}, the truth {tuple(truth.shape)}"
    if prediction.shape != truth.shape:
        raise ValueError(f"Two videos of one shape (B, T, C, H, W) are compared; {shapes}.")
    if prediction.ndim != 5 or prediction.numel() == 0:
        raise ValueError(f"A video is (B, T, C, H, W) with at least one frame; {shapes}.")
    for name, video in (("prediction", prediction), ("truth", truth)):
        if not (video.is_floating_point() or video.dtype == torch.uint8):
            raise ValueError(
                f"Frames are floats in [0, 1] or uint8 in 0..255; the {name} is {video.dtype}. "
                "Convert it first, since its range cannot be guessed."
            )
        if video.is_floating_point() and video.amax() > FAR_OUTSIDE:
            raise ValueError(
                f"Floats are in [0, 1], and clamped to it; the {name} reaches {float(video.amax()):.4g}, as frames in "
                "0..255 do. Divide them by 255, or give them as uint8."
            )
