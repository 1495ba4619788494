"""Convolution blocks of framecast's own models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name for it)

from framecast.nets.fused import doubled, enlarging

FLOW = 0.25  # half sides of a picture that a pixel is moved by where the net says 1


def by_pixel(x: Tensor) -> Tensor:
    """(N, C, H, W) laid out in memory by pixel (channels last), which convolutions on CPUs and GPUs are faster with."""
    return x.contiguous(memory_format=torch.channels_last)


def in_time(*parts: Tensor) -> Tensor:
    """Features (B, T_i, C, H, W) put together along time, by pixel as they lie in memory.

    PyTorch by itself would join tensors of five axes by plane, and all that reads them would be by plane.
    """
    return torch.cat([x.movedim(2, -1) for x in parts], 1).movedim(-1, 2)


class Norm(nn.GroupNorm):
    """Group normalisation with about 8 channels a group. A norm per pixel in its place cost 2 dB.

    It is computed in float32 whatever comes in: on a CPU that is five times as fast as in bf16, and more exact.
    """

    def __init__(self, channels: int) -> None:
        groups = next(g for g in range(max(1, channels // 8), 0, -1) if channels % g == 0)
        super().__init__(groups, channels)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.float()).to(input.dtype)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that takes a batch of a single value as it does when predicting: that has no spread."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() == self.num_features:
            mean, variance = self.running_mean, self.running_var
            return F.batch_norm(input, mean, variance, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(input)


class Enlarge(nn.Conv2d):
    """3 x 3 with zeros around, of the picture enlarged twice (nearest): (N, i, H, W) -> (N, o, 2 H, 2 W)."""

    def forward(self, input: Tensor) -> Tensor:
        return doubled(input, self, lambda: enlarging(self.weight), self.bias)


class Residual(nn.Module):
    """x + conv(silu(conv(norm(x)))), (N, C, H, W) to the same shape. Starts as the identity.

    One norm a block: beside convolutions in bf16 norms are not cheap.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(self.norm(x))))


class Pyramid(nn.Module):
    """A picture (N, C, H, W) to features (N, widths[i], H / (patch 2^i), W / (patch 2^i)), finest first."""

    def __init__(self, channels: int, widths: Sequence[int], patch: int, blocks: Sequence[int]) -> None:
        super().__init__()
        self.patch = patch
        self.stem = nn.Conv2d(channels * patch * patch, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(
            nn.Sequential(*[Residual(w) for _ in range(n)]) for w, n in zip(widths, blocks, strict=True)
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(self, picture: Tensor) -> list[Tensor]:
        x = self.stem(by_pixel(F.pixel_unshuffle(picture, self.patch)))
        features = [self.levels[0](x)]
        for down, level in zip(self.downs, self.levels[1:], strict=True):
            features.append(level(down(features[-1])))
        return features


def one_below(widths: Sequence[int]) -> list[int]:
    """Residual blocks of a light `Pyramid`: none, but one on the coarsest level."""
    return [0] * (len(widths) - 1) + [1]


def padded(pictures: Tensor, side: int) -> Tensor:
    """(N, C, H, W) with the edges repeated to the right and below until both sides are multiples of `side`."""
    down, right = -pictures.shape[-2] % side, -pictures.shape[-1] % side
    return F.pad(pictures, (0, right, 0, down), mode="replicate") if down or right else pictures


def moved(pictures: Tensor, flow: Tensor) -> Tensor:
    """Each pixel of (N, C, H, W) fetched from as far as the flow (N, 2, H, W) says: right and down, in half sides."""
    height, width = pictures.shape[-2:]
    # Centres of pixels, from -1 to 1 over the picture.
    down, right = (torch.linspace(1 / n - 1, 1 - 1 / n, n, device=flow.device) for n in (height, width))
    here = torch.stack([right.expand(height, width), down[:, None].expand(height, width)], -1)
    return F.grid_sample(pictures, here + flow.movedim(1, -1), padding_mode="border", align_corners=False)


class MixingDecoder(nn.Module):
    """A given frame drawn on: each pixel is the frame's own, a new one, or between them.

    Args:
        channels: C of the frames.
        widths: channels of the levels, finest first.
        blocks: residual blocks of each level.
        patch: pixels of a side that the finest level packs together.
        told: whether each frame also has features of its own at every level.
        moves: whether pixels of the given frame can also move, by a flow (as in Finn et al. 2016). What is moved keeps
            its looks, which few recordings do not teach to draw.
    """

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        patch: int,
        told: bool,
        moves: bool = False,
    ) -> None:
        super().__init__()
        self.patch, self.moves = patch, moves
        self.from_anchor = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)
        self.from_condition = nn.ModuleList(nn.Conv2d(w, w, 1) for w in (widths if told else ()))
        self.ups = nn.ModuleList(Enlarge(b, a, 3, padding=1) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.levels = nn.ModuleList(
            nn.Sequential(*[Residual(w) for _ in range(n)]) for w, n in zip(widths, blocks, strict=True)
        )
        self.norm = Norm(widths[0])
        # Per pixel: the new colour; how much it counts, and the moved one, beside the frame's own; the flow.
        self.parts = [channels, 1 + moves, 2 * moves]
        self.out = nn.Conv2d(widths[0], sum(self.parts) * patch * patch, 3, padding=1)
        # It begins near a copy of the given frame, which little motion makes hard to beat, and without any flow.
        assert self.out.bias is not None
        with torch.no_grad():
            _, shares, flow = self.out.bias.split([n * patch * patch for n in self.parts])
            shares.fill_(-2.0)
            flow.zero_()
            self.out.weight[self.out.out_channels - len(flow) :] = 0.0

    def forward(self, frame: Tensor, anchor: list[Tensor], condition: list[Tensor], bottom: Tensor) -> Tensor:
        """Draws all frames of a clip.

        Args:
            frame: (B, C, H, W), the given one.
            anchor: its features by level, finest first.
            condition: each frame's features (B, T, w, h, w) by level, or an empty list.
            bottom: (B, T, w, h, w): what the coarsest level begins with; h and w may be 1.

        Returns:
            (B, T, C, H, W).
        """
        clips, times = bottom.shape[:2]
        x = bottom.flatten(0, 1)
        for level in reversed(range(len(anchor))):
            if level < len(anchor) - 1:
                x = self.ups[level](x)
            still = self.from_anchor[level](anchor[level])  # once a clip, not once a frame
            if condition:
                x = x + self.from_condition[level](condition[level].flatten(0, 1))
            x = (x.unflatten(0, (clips, times)) + still[:, None]).flatten(0, 1)
            x = self.levels[level](by_pixel(x))
        # From here on by plane: what follows takes one or a few channels at a time.
        drawn = F.pixel_shuffle(self.out(F.silu(self.norm(x))).contiguous(), self.patch).float()
        new, shares, flow = drawn.split(self.parts, 1)
        given, new = frame.float().repeat_interleave(times, 0), new + 0.5
        if self.moves:
            own, of_new, of_moved = F.pad(shares, (0, 0, 0, 0, 1, 0)).softmax(1).split(1, 1)
            mixed = given * own + new * of_new + moved(given, FLOW * flow) * of_moved
        else:
            of_new = shares.sigmoid()
            mixed = given * (1 - of_new) + new * of_new
        return mixed.unflatten(0, (clips, times))
