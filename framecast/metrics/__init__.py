"""Pure functions of two videos, frame by frame first: (B, T, C, H, W) twice -> (B, T)."""

from framecast.metrics.frame import drift, psnr, ssim

__all__ = ["drift", "psnr", "ssim"]
