"""What `anchor` draws a frame from (`latent` without the second): the given frame's pixels, moved ones and new ones."""

from __future__ import annotations

import pytest
import torch

from framecast.nets.conv import FLOW, MixingDecoder, moved


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, 0), (0, -2), (-1, 4)])
def test_a_flow_of_whole_pixels_fetches_those_pixels(right: int, down: int) -> None:
    pictures = torch.rand(2, 3, 8, 12)
    flow = torch.tensor([2 * right / 12, 2 * down / 8]).view(1, 2, 1, 1).expand(2, 2, 8, 12)
    rows, columns = ((torch.arange(n) + by).clamp(0, n - 1) for n, by in ((8, down), (12, right)))
    torch.testing.assert_close(moved(pictures, flow), pictures[:, :, rows][:, :, :, columns])


def decoder(moves: bool = True) -> MixingDecoder:
    torch.manual_seed(0)
    return MixingDecoder(3, (8, 16), (1, 1), patch=2, told=False, moves=moves)


def drawn(made: MixingDecoder, frame: torch.Tensor) -> torch.Tensor:
    features = [torch.zeros(len(frame), 8, 4, 6), torch.zeros(len(frame), 16, 2, 3)]
    return made(frame, features, [], torch.randn(len(frame), 5, 16, 1, 1).expand(-1, -1, -1, 2, 3))


@pytest.mark.parametrize("moves", [False, True])
def test_a_decoder_begins_near_a_copy(moves: bool) -> None:
    frame = torch.rand(2, 3, 8, 12)
    error = (drawn(decoder(moves), frame) - frame[:, None]).square().mean()
    assert 0 < error < 0.2 * (frame - 0.5).square().mean()


def test_each_share_draws_its_own_pixels() -> None:
    """With all weight on one of the three: the frame, the frame moved, a colour."""
    frame = torch.rand(2, 3, 8, 12)
    made, parts = decoder(), (3 * 4, 4, 4, 2 * 4)  # colour, its share, that of what moved, flow; patches of 2 x 2
    torch.nn.init.zeros_(made.out.weight)
    assert made.out.bias is not None
    colour, new, pulled, flow = made.out.bias.data.split(parts)
    colour.fill_(0.25)
    flow[:4] = 2 * 2 / 12 / FLOW  # two pixels to the right
    wanted = {(-99.0, -99.0): frame, (99.0, -99.0): torch.full_like(frame, 0.75)}
    wanted[-99.0, 99.0] = frame[..., (torch.arange(12) + 2).clamp(max=11)]
    for (of_new, of_moved), expected in wanted.items():
        new.fill_(of_new)
        pulled.fill_(of_moved)
        torch.testing.assert_close(drawn(made, frame), expected[:, None].expand(-1, 5, -1, -1, -1))
