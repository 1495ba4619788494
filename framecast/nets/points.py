"""Vectors that are places."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

NEAR = (0.5, 0.2, 0.08)  # of half a picture's side: how wide a point's surroundings are


class Points(nn.Module):
    """Vectors (N, D) as features by level: what is done to a scene mostly is done at a place.

    Each vector is read as a few points of the picture; every pixel sees how far it is from them.

    Args:
        size: D.
        widths: channels of the levels, finest first.
        picture: H x W.
        patch: pixels of a side that the finest level packs together, as `Pyramid` does.
        count: points.
    """

    def __init__(
        self, size: int, widths: tuple[int, ...], picture: tuple[int, int], patch: int, count: int = 4
    ) -> None:
        super().__init__()
        unit = patch * 2 ** (len(widths) - 1)
        self.sides = [-(-side // unit) * unit // patch for side in picture]
        self.count = count
        # They begin as the vector's numbers in pairs (right, down): often those are places already. No nn.Linear: Muon
        # would turn all of them by the same amount at every step, and they must come to rest.
        self.points = nn.Parameter(0.03 * torch.randn(2 * count, size))
        self.offset = nn.Parameter(torch.zeros(2 * count))
        with torch.no_grad():
            for point in range(count):
                self.points[2 * point, (2 * point + 1) % size] += 1
                self.points[2 * point + 1, 2 * point % size] += 1
        self.vector = nn.ModuleList(nn.Linear(size, w) for w in widths)
        maps = count * (2 + len(NEAR))
        self.place = nn.ModuleList(nn.Conv2d(maps, w, 1) for w in widths)

    def forward(self, vectors: Tensor) -> list[Tensor]:
        with torch.autocast(vectors.device.type, enabled=False):
            points = 0.5 * F.linear(vectors.float(), self.points, self.offset).unflatten(-1, (self.count, 2, 1, 1))
        features = []
        for level, (of_place, of_all) in enumerate(zip(self.place, self.vector, strict=True)):
            height, width = (side >> level for side in self.sides)
            down = torch.linspace(-1, 1, height, device=vectors.device)[:, None].expand(height, width)
            right = torch.linspace(-1, 1, width, device=vectors.device).expand(height, width)
            away = torch.stack([down, right]) - points  # (N, count, 2, h, w)
            squared = away.square().sum(2)
            near = [(-squared / (2 * s * s)).exp() for s in NEAR]
            maps = torch.cat([away.flatten(1, 2), *near], 1)
            features.append(F.silu(of_place(maps) + of_all(vectors)[..., None, None]))
        return features
