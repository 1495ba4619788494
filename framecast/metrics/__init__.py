"""Pure functions of two videos, frame by frame first: (B, T, C, H, W) twice -> (B, T)."""

from framecast.metrics.frame import drift, ms_ssim, psnr, ssim

__all__ = ["drift", "ms_ssim", "psnr", "ssim"]
