"""Made-up weights: of LPIPS's classifiers, and of a detector for FVD."""

from __future__ import annotations

import hashlib
import math
import warnings
from pathlib import Path

import torch
from torch import Tensor

VGG = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512]  # 0: pooled by two


def made_up(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random weights under the public names: of the classifier, and of its channels."""
    random = torch.Generator().manual_seed(0)
    if name == "AlexNet":
        layers = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    else:
        layers, before, index = {}, 3, 0
        for width in VGG:
            if width:
                layers[index] = (width, before, 3)
            before, index = width or before, index + (2 if width else 1)
    classifier = {"classifier.1.weight": torch.zeros(3)}
    for index, (out, into, side) in layers.items():
        scale = math.sqrt(2 / (into * side * side))
        classifier[f"features.{index}.weight"] = scale * torch.randn(out, into, side, side, generator=random)
        classifier[f"features.{index}.bias"] = 0.1 * torch.randn(out, generator=random)
    seen = [64, 192, 384, 256, 256] if name == "AlexNet" else [64, 128, 256, 512, 512]
    return classifier, {f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1, generator=random) for n, c in enumerate(seen)}


class Motion(torch.nn.Module):
    """Features of a clip: its first pixel's red, green and blue, and its mean change from frame to frame."""

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        assert rescale and resize and return_features
        step = (x[:, :, 1:] - x[:, :, :-1]).abs().mean((1, 2, 3, 4))
        return torch.cat([x[:, :, 0, 0, 0], step[:, None]], 1)


def scripted(path: Path, module: torch.nn.Module) -> str:
    """FILE@SHA256 of a TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), str(path))
    return f"{path}@{hashlib.sha256(path.read_bytes()).hexdigest()}"
