"""Vectors as conditions: what they have come to since the given frames, and the places that they mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from framecast.nets.conv import by_pixel

LAGS = (0.3, 0.6, 0.8)  # what is commanded happens late: shares of the past in running means of the vectors
TOGETHER = 64  # frames whose running means are computed at once, with as many products for each
NEAR = (0.5, 0.2, 0.08)  # of half a picture's side: how wide a point's surroundings are


@dataclass
class Past:
    """What vectors have come to: the newest (B, D), their sum since the given frames (B, D), their means (B, K, D)."""

    newest: Tensor
    total: Tensor
    late: Tensor

    @classmethod
    def begun(cls, vectors: Tensor) -> Past:
        """After the given frames' vectors (B, n, D)."""
        first = vectors[:, :1].expand(-1, len(LAGS), -1)  # what was before is not known: as if it had always been so
        late = running_means(vectors[:, : max(1, vectors.shape[1] - 1)], first)[:, -1]
        return cls(vectors[:, -1], torch.zeros_like(vectors[:, -1]), late)

    def told(self, vectors: Tensor) -> tuple[Past, Tensor]:
        """The past after vectors (B, S, D) that follow, and what is told of each of their frames (B, S, `told_size`).

        That is the vector that led to the frame, the sum and the running means of all that did, and the frame's own.
        """
        done = before_each(self.newest, vectors)
        total = 0.1 * done.cumsum(1) + self.total[:, None]  # where steps are differences their sum is the place
        late, known = [], self.late
        for piece in done.split(TOGETHER, 1):
            late.append(running_means(piece, known))
            known = late[-1][:, -1]
        every = torch.cat([done, total, torch.cat(late, 1).flatten(2), vectors], -1)
        return Past(vectors[:, -1], total[:, -1], known), every


def told_size(size: int) -> int:
    """How many numbers vectors of D numbers tell of a frame."""
    return (3 + len(LAGS)) * size


def before_each(first: Tensor, vectors: Tensor) -> Tensor:
    """The vector before each of (B, S, D); before the first of them was `first` (B, D)."""
    return torch.cat([first[:, None], vectors[:, :-1]], 1)


def at(values: Tensor, times: Tensor) -> Tensor:
    """(B, S, D) at times (B, T) -> (B, T, D)."""
    return values.gather(1, times[..., None].expand(-1, -1, values.shape[-1]))


def running_means(vectors: Tensor, before: Tensor) -> Tensor:
    """(B, T, D) -> (B, T, K, D): m_t = a m_{t-1} + (1 - a) v_t for each a of `LAGS`, from m (B, K, D) before them.

    A robot is not where it is sent to but on its way. In PushT the agent's place follows from the actions within 1.8
    pixels where only the last two are known, within 0.3 with two such means (linear fits).
    """
    lags = torch.tensor(LAGS, device=vectors.device)
    since = torch.arange(vectors.shape[1], device=vectors.device)[:, None]
    age = since[..., None] - since  # (T, S, 1)
    shares = torch.where(age >= 0, (1 - lags) * lags ** age.clamp(min=0), 0.0)[..., None]  # (T, S, K, 1)
    # Not as a product of matrices: bf16 would move the points by pixels.
    return (shares * vectors[:, None, :, None]).sum(2) + (lags ** (since + 1))[..., None] * before[:, None]


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
            maps = by_pixel(torch.cat([away.flatten(1, 2), *near], 1))
            features.append(F.silu(of_place(maps) + of_all(vectors)[..., None, None]))
        return features
