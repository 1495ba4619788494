"""The loop over time: what it feeds, how much it holds, and what it refuses.

Equalities are in test_contract_models and test_contract_rollouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from framecast import models, rollout
from framecast.models.base import Model
from framecast.values import Clip, Condition, Gaussian, Spec, Step

pytestmark = pytest.mark.usefixtures("float32")


@dataclass
class Cue:
    """A frame's number, and its truth where it was given."""

    number: Tensor
    truth: Tensor | None = None
    posterior: Gaussian | None = None


class Counter(Model):
    """Draws the frame before plus one hundredth, plus a thousandth of the noise: what was fed can be read off.

    It also counts how many frames were looked at.
    """

    looked = 0

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (1,)

    def start(self, frames: Tensor, condition: Tensor | None) -> Tensor:
        return frames[:, -1]

    def look(
        self, state: Tensor, condition: Tensor | None, times: Tensor, truth: Tensor | None, given: int = 0
    ) -> tuple[Tensor, Cue]:
        self.looked += times.shape[1]
        return state, Cue(times, truth)

    def advance(self, state: Tensor, cue: Cue, noise: Tensor) -> tuple[Tensor, Step]:
        frame = state + 0.01 + 0.001 * noise[:, :, None, None]
        return frame, Step(frame)

    def force(self, state: Tensor, cue: Cue, mask: Tensor) -> Tensor:
        assert cue.truth is not None
        return torch.where(mask[:, None, None, None], cue.truth, state)

    def parallel(self, state: Tensor, cues: Cue, noise: Tensor) -> tuple[Tensor, Step]:
        assert cues.truth is not None
        return cues.truth[:, -1], Step(
            torch.cat([state[:, None], cues.truth[:, :-1]], 1) + 0.01 + 0.001 * noise[..., None, None]
        )


@pytest.fixture
def counter() -> Counter:
    return Counter(Spec(8, 8, 1)).eval()


def still(clips: int = 2, length: int = 5) -> Clip:
    """True frames of 0, 0.1, 0.2, ..."""
    frames = torch.arange(length) / 10
    return Clip(
        frames[None, :, None, None, None].expand(clips, length, 1, 8, 8),
        None,
        torch.arange(length).expand(clips, length),
    )


def levels(frames: Tensor) -> list[Any]:
    return frames[:, :, 0, 0, 0].tolist()


def test_the_mask_says_what_is_fed_next(counter: Counter) -> None:
    forced = torch.tensor([[True, False, True, False], [False, False, False, True]])
    frames = rollout.walk(counter, still(), forced, torch.zeros(2, 4, 1)).frames
    assert levels(frames)[0] == pytest.approx([0.01, 0.11, 0.12, 0.31])  # after frame t the truth is t / 10
    assert levels(frames)[1] == pytest.approx([0.01, 0.02, 0.03, 0.04])


def test_always_forced_is_the_parallel_path(counter: Counter) -> None:
    for forced in (None, torch.ones(2, 4, dtype=torch.bool)):
        frames = rollout.walk(counter, still(), forced, torch.zeros(2, 4, 1)).frames
        assert levels(frames)[1] == pytest.approx([0.01, 0.11, 0.21, 0.31])


def test_context_is_given_and_not_predicted(counter: Counter) -> None:
    trace = rollout.walk(counter, still(length=6), None, torch.zeros(2, 3, 1), context=3)
    assert levels(trace.truth)[0] == pytest.approx([0.3, 0.4, 0.5])
    assert levels(trace.frames)[0] == pytest.approx([0.21, 0.31, 0.41])


def test_a_gradient_goes_back_through_what_is_fed() -> None:
    """Free running trains through its own frames; a forced frame cuts the way."""
    for forced, expected in ((False, [1.0, 1.0, 1.0]), (True, [0.0, 1.0, 1.0])):
        noise = torch.zeros(1, 3, 1, requires_grad=True)
        mask = torch.tensor([[forced, False, False]])
        last = rollout.walk(Counter(Spec(8, 8, 1)), still(1, 4), mask, noise).frames[0, -1]
        last.mean().backward()
        assert noise.grad is not None
        assert (noise.grad.flatten() / 0.001).tolist() == pytest.approx(expected)


def test_rolling_is_lazy(counter: Counter) -> None:
    """Neither conditions nor frames are held for longer than their piece."""
    asked: list[int] = []

    def pieces() -> Iterator[int]:
        for count in (1, 4, 4, 4):
            asked.append(count)
            yield count

    rolling = rollout.roll(counter, torch.zeros(1, 1, 1, 8, 8), pieces())
    first = next(rolling)
    assert first.shape == (1, 4, 1, 8, 8)
    assert (asked, counter.looked) == ([1, 4], 4)
    assert sum(len(piece[0]) for piece in rolling) == 8
    assert counter.looked == 12


def test_rolling_feeds_its_own_frames(counter: Counter) -> None:
    given = torch.zeros(1, 1, 1, 8, 8)
    drawn = torch.cat(list(rollout.roll(counter, given, [1, 3, 2], keys=[(4, 0, 0)], mean=True)), 1)
    assert levels(drawn)[0] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    sampled = torch.cat(list(rollout.roll(counter, given + 0.5, [1, 3, 2], keys=[(4, 0, 0)])), 1)
    noise = rollout.noise(counter, [(4, 0, 0)], range(5)).flatten()
    expected = 0.5 + 0.01 * torch.arange(1, 6) + 0.001 * noise.cumsum(0)
    assert levels(sampled)[0] == pytest.approx(expected.tolist(), abs=1e-5)


def test_the_mean_is_one_for_all_seeds_and_samples() -> None:
    model = models.build(Spec(16, 24, 3), "anchor", {"widths": (8, 8, 8), "blocks": (1, 1, 1), "latent": 2}).eval()
    first = torch.rand(1, 1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    keys = [[(seed, 0, 0), (seed, 1, 0)] for seed in (0, 1)]
    means = [torch.cat(list(rollout.roll(model, first, [1, 3], some, mean=True))) for some in keys]
    assert torch.equal(means[0], means[1])
    torch.testing.assert_close(means[0][0], means[0][1])
    (drawn,) = rollout.roll(model, first, [1, 3], [(0, 0, 0), (0, 1, 0)])
    assert not torch.allclose(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], means[0][0])


def test_drawn_frames_are_clamped(counter: Counter) -> None:
    (drawn,) = rollout.roll(counter, torch.full((1, 1, 1, 8, 8), 0.985), [1, 4], mean=True)
    assert levels(drawn)[0] == pytest.approx([0.995, 1, 1, 1])


class Breaks(Counter):
    """A Counter whose second row is NaN from the third frame of a piece on."""

    def advance(self, state: Tensor, cue: Cue, noise: Tensor) -> tuple[Tensor, Step]:
        state, step = super().advance(state, cue, noise)
        broken = (cue.number >= 2) & (torch.arange(len(cue.number)) == 1)
        return state, Step(torch.where(broken[:, None, None, None], torch.nan, step.frame))


def test_a_frame_that_is_nan_is_named_and_not_black() -> None:
    model, given = Breaks(Spec(4, 4, 1, Condition("none"))).eval(), torch.zeros(1, 2, 1, 4, 4)
    drawn = rollout.roll(model, given, iter([2, 2, 3]), [(0, 0, 7), (0, 1, 7)])
    assert next(drawn).isfinite().all()
    with pytest.raises(FloatingPointError, match=r"Frame 6 \(from 0, .*\) of sample 1 of episode 7 .* own recordings"):
        next(drawn)


def test_a_model_in_training_mode_is_refused(counter: Counter) -> None:
    counter.train()
    with pytest.raises(ValueError, match=r"training mode; call model.eval\(\)"):
        next(rollout.roll(counter, torch.zeros(1, 1, 1, 8, 8), [1, 2]))


def test_rolling_keeps_no_graph() -> None:
    spec = Spec(8, 8, 3, Condition("vector", 2))
    model = models.build(spec, "pose_cvae", {"F_dim": 8, "L_dim": 4, "N_dim": 4, "D_out_dim": 8}).eval()
    (drawn,) = rollout.roll(model, torch.zeros(1, 1, 3, 8, 8), [torch.zeros(1, 1, 2), torch.zeros(1, 3, 2)])
    assert not drawn.requires_grad
