"""LPIPS v0.1 (Zhang et al. 2018): the distance of two frames in the features of a classifier, in plain torch.

Frames go in at their own size, in [-1, 1], and are shifted and scaled as the classifier was trained. At five layers the
features of each position are divided by their length; the squared differences are weighed by channel, averaged over
positions and summed over layers. Lower is better.

The classifier is read from a file that the user gives; its convolutions are named as torchvision names them
(`features.0.weight` and so on). The weights of the channels, a few kilobytes, are those that torchmetrics carries.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from framecast.metrics.frame import per_frame
from framecast.metrics.networks import Weights, full_precision, read

KNOWN = {
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02": "alexnet-owt-7be5be79.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0": "vgg16-397923af.pth",
}
LINEAR = {
    "AlexNet": ("alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    "VGG16": ("vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of red, green and blue in [-1, 1]
TINY = 1e-10  # a position without any feature stays zero


def _alexnet() -> nn.Sequential:
    """Krizhevsky 2014, as torchvision numbers its layers, up to the last that LPIPS looks at."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(),
        nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip


def _vgg16() -> nn.Sequential:
    """Simonyan and Zisserman 2015, configuration D, likewise."""
    layers: list[nn.Module] = []
    before = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers += [nn.MaxPool2d(2)] if layers else []
        for _ in range(count):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Network:
    """A classifier: its layers, which of them are looked at, and the least side of a frame that reaches the last."""

    build: Callable[[], nn.Sequential]
    seen: tuple[int, ...]
    least: int


NETWORKS = {
    "AlexNet": Network(_alexnet, (1, 4, 7, 9, 11), 31),
    "VGG16": Network(_vgg16, (3, 8, 15, 22, 29), 16),
}


class Lpips:
    """The distance of every frame: two videos (B, T, C, H, W), floats in [0, 1] or uint8 -> (B, T) float64.

    Args:
        name: of the classifier, in `NETWORKS`.
        classifier: `features.N.weight` and `features.N.bias`; what else there is is not looked at.
        linear: `linN.model.1.weight`, (1, C, 1, 1), of the five layers.
        rule: what a protocol says of it.
        device: where it computes.

    Raises:
        ValueError: weights are missing or have other shapes.
    """

    def __init__(
        self,
        name: str,
        classifier: Mapping[str, Tensor],
        linear: Mapping[str, Tensor],
        rule: str = "",
        device: torch.device | str = "cpu",
    ) -> None:
        self.name, self.rule, self.device = name, rule, torch.device(device)
        self.network = NETWORKS[name]
        with torch.device("meta"):  # no numbers are drawn that are replaced at once
            self.layers = self.network.build().requires_grad_(False)
        shapes = {f"features.{key}": tuple(value.shape) for key, value in self.layers.state_dict().items()}
        features = _checked(classifier, shapes, name)
        self.layers.load_state_dict({k.removeprefix("features."): v for k, v in features.items()}, assign=True)
        self.layers.to(self.device)
        widths = [shapes[f"features.{layer - 1}.weight"][0] for layer in self.network.seen]
        shapes = {f"lin{n}.model.1.weight": (1, width, 1, 1) for n, width in enumerate(widths)}
        self.linear = [weight.to(self.device) for weight in _checked(linear, shapes, name).values()]
        self.shift, self.scale = (torch.tensor(v, device=self.device).view(3, 1, 1) for v in (SHIFT, SCALE))

    def __call__(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """LPIPS of every frame; grey frames count as red, green and blue.

        Raises:
            ValueError: as `psnr`; frames of two channels, or too small for the network.
        """
        self.check(*prediction.shape[-3:])
        return per_frame(self._of_frames, prediction, truth)

    def check(self, channels: int, height: int, width: int) -> None:
        """Whether frames of that size can be compared. Raises ValueError where they cannot."""
        if channels not in (1, 3):
            raise ValueError(f"LPIPS compares frames of 1 or 3 channels; these have {channels}.")
        if min(height, width) < self.network.least:
            raise ValueError(
                f"LPIPS by {self.name} needs frames of at least {self.network.least} pixels a side; these are"
                f" {height} x {width} (H x W). Enlarged frames would score otherwise, so leave --lpips out."
            )

    def _of_frames(self, one: Tensor, two: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> (N,)."""
        both = torch.cat([one, two]).to(self.device, torch.float32).expand(-1, 3, -1, -1)
        values = (2 * both - 1 - self.shift) / self.scale
        total = torch.zeros(len(one), device=self.device)
        linear = iter(self.linear)
        with full_precision():
            for index, layer in enumerate(self.layers):
                values = layer(values)
                if index in self.network.seen:
                    length = values.square().sum(1, keepdim=True).sqrt()
                    a, b = (values / (length + TINY)).split(len(one))
                    total += ((a - b).square() * next(linear)).sum(1).mean((1, 2))
        return total


def load(given: str, device: torch.device | str = "cpu") -> Lpips:
    """LPIPS of a classifier's file.

    Args:
        given: FILE, or FILE@SHA256; AlexNet or VGG16, told by its first layer.
        device: where it computes.

    Raises:
        FileNotFoundError, ValueError: as `networks.read`; no such weights, or torchmetrics' ones are not there.
    """
    weights = read(given, KNOWN, "--lpips")
    classifier = _tensors(weights)
    first = classifier.get("features.0.weight")
    side = first.shape[-1] if isinstance(first, Tensor) and first.ndim == 4 else 0
    name = {11: "AlexNet", 3: "VGG16"}.get(side)
    if name is None:
        raise ValueError(f"{weights.path} holds neither AlexNet nor VGG16 as torchvision names their weights.")
    file, wanted = LINEAR[name]
    spec = find_spec("torchmetrics")
    folder = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path()
    try:
        linear = _tensors(read(str(folder / "functional/image/lpips_models" / file), {wanted: file}, "LPIPS"))
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"LPIPS v0.1 has weights of its own, which torchmetrics carries; here they are missing or others ({error})"
            " Install torchmetrics again: pip install --force-reinstall --no-deps 'torchmetrics>=1.6,<2'"
        ) from None
    of = name if weights.known else f"{name} of other weights"
    return Lpips(name, classifier, linear, f"v0.1 {of}, sha256 {weights.sha256}, frames at their own size", device)


def _tensors(weights: Weights) -> dict[str, Any]:
    """The names and tensors of a file; nothing in it is run. Raises ValueError where it holds something else."""
    try:
        found = torch.load(weights.content, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{weights.path} is no file of named weights, as torch.save writes a state_dict.")
    return found


def _checked(weights: Mapping[str, Any], shapes: dict[str, tuple[int, ...]], name: str) -> dict[str, Tensor]:
    """The weights of these names and shapes, in single precision. Raises ValueError where one has another, or none."""
    for key, shape in shapes.items():
        have = tuple(weights[key].shape) if isinstance(weights.get(key), Tensor) else "missing"
        if have != shape:
            raise ValueError(f"{name} for LPIPS has {key} in the shape {shape}; here it is {have}.")
    return {key: weights[key].float() for key in shapes}
