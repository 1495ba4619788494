"""`pose_cvae` is the course's network: the same names, numbers, losses, gradients and frames as a plain transcription.

In eval mode: the transcription encodes labels frame by frame, the library all at once, so that in training the batch
norm of the label encoder sees other batches.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import reference_pose_cvae as reference
import torch
from torch import Tensor

import framecast
from framecast import rollout
from framecast.models.pose_cvae import Config, PoseCVAE
from framecast.objective import Objective
from framecast.values import Clip, Condition, Spec

pytestmark = pytest.mark.usefixtures("float32")

SIZE = (16, 24)
SPEC = Spec(*SIZE, 3, Condition("picture", 3))
Pair = tuple[PoseCVAE, reference.Model]


@pytest.fixture(scope="module")
def pair() -> Pair:
    """The library's model and the transcription with the same weights, in eval mode, no statistic at its start."""
    torch.manual_seed(3)
    course = reference.Model()
    norm = course.label_transformation[2]
    norm.running_mean.normal_(0, 0.1)  # pyright: ignore
    norm.running_var.uniform_(0.5, 2)  # pyright: ignore
    model = PoseCVAE(SPEC)
    model.load_state_dict(course.state_dict())
    return model.eval(), course.eval()


def batch(clips: int = 2, length: int = 4) -> tuple[Clip, Tensor]:
    """A clip, and noise (B, T - 1, N, H, W)."""
    generator = torch.Generator().manual_seed(5)
    frames, labels = (torch.rand(clips, length, 3, *SIZE, generator=generator) for _ in range(2))
    noise = torch.randn(clips, length - 1, 12, *SIZE, generator=generator)
    return Clip(frames, labels, torch.arange(length).expand(clips, length)), noise


def test_names_and_parameters() -> None:
    model, course = PoseCVAE(Spec(32, 64, 3, Condition("picture", 3))), reference.Model()
    ours, theirs = ({key: value.shape for key, value in m.state_dict().items()} for m in (model, course))
    assert ours == theirs
    assert sum(p.numel() for p in model.parameters()) == 1_585_620 == reference.PARAMETERS


@pytest.mark.parametrize("forced", [True, False])
def test_loss_frames_and_gradients(pair: Pair, forced: bool) -> None:
    model, course = pair
    clip, noise = batch()
    beta = 1e-3
    assert clip.condition is not None
    model.zero_grad()
    course.zero_grad()
    mask = None if forced else torch.zeros(2, 3, dtype=torch.bool)
    trace = rollout.walk(model, clip, mask, noise)
    loss = Objective("mse")(trace, beta).total
    expected = reference.clip_loss(course, clip.frames, clip.condition, beta, forced, noise.transpose(0, 1))
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    loss.backward()
    expected.backward()
    wanted = dict(course.named_parameters())
    for key, parameter in model.named_parameters():
        # atol for gradients that cancel: a thousandth of the largest
        scale = float(wanted[key].grad.abs().max())  # type: ignore[union-attr]
        torch.testing.assert_close(parameter.grad, wanted[key].grad, rtol=1e-3, atol=1e-3 * scale + 1e-7, msg=key)
    torch.testing.assert_close(trace.frames, course_frames(course, clip, noise, forced), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def course_frames(course: reference.Model, clip: Clip, noise: Tensor, forced: bool) -> Tensor:
    """The frames on the way to the course's loss: (B, T - 1, C, H, W)."""
    assert clip.condition is not None
    previous, frames = clip.frames[:, 0], []
    for t in range(1, clip.frames.shape[1]):
        label = course.label_transformation(clip.condition[:, t])
        mu, logvar = course.posterior(course.frame_transformation(clip.frames[:, t]), label)
        z = mu + torch.exp(logvar / 2) * noise[:, t - 1]
        frames.append(course.decode(course.frame_transformation(previous), label, z))
        previous = clip.frames[:, t] if forced else frames[-1]
    return torch.stack(frames, 1)


def test_mixed_forcing_changes_clips_one_by_one(pair: Pair) -> None:
    model, course = pair
    clip, noise = batch()
    mask = torch.tensor([[True] * 3, [False] * 3])
    with torch.no_grad():
        frames = rollout.walk(model, clip, mask, noise).frames
    for one, forced in ((0, True), (1, False)):
        torch.testing.assert_close(frames[one], course_frames(course, clip, noise, forced)[one], rtol=1e-5, atol=1e-5)


def test_prediction(pair: Pair) -> None:
    model, course = pair
    clip, _ = batch(1, 6)
    assert clip.condition is not None
    noise = rollout.noise(model, [(9, 0, 0)], range(5))
    expected = reference.predict(course, clip.frames[:, 0], clip.condition, noise.transpose(0, 1))
    labels = clip.condition[:1].split([1, 2, 3], 1)
    drawn = torch.cat(list(rollout.roll(model, clip.frames[:1, :1], labels, keys=[(9, 0, 0)])), 1)
    assert float(expected.std()) > 0.01
    torch.testing.assert_close(drawn, expected, rtol=1e-5, atol=1e-5)


def test_course_checkpoints_predict(pair: Pair, tmp_path: Path) -> None:
    """As the course's program writes them, its model's state under `optimizer` by mistake."""
    model, course = pair
    path = tmp_path / "epoch=20.ckpt"
    weights = OrderedDict(course.state_dict())
    torch.save({"state_dict": weights, "optimizer": weights, "lr": 1e-3, "tfr": 0.5, "last_epoch": 20}, path)
    predictor = framecast.load(path, size=SIZE)
    assert (predictor.name, predictor.spec.condition.kind) == ("pose_cvae", "picture")
    assert isinstance(predictor.model, PoseCVAE)
    assert predictor.model.config == Config()
    clip, _ = batch(1, 4)
    assert clip.condition is not None
    first, labels = (x.mul(255).round().to(torch.uint8) for x in (clip.frames[0, :1], clip.condition[0]))
    drawn = predictor.predict(first.movedim(1, -1).numpy(), labels.movedim(1, -1).numpy(), seed=4)
    noise = rollout.noise(model, [(4, 0, 0)], range(3)).transpose(0, 1)
    expected = reference.predict(course, first.float() / 255, labels[None].float() / 255, noise)
    wanted = expected[0].mul(255).round().movedim(1, -1).numpy()
    assert drawn.shape == (3, *SIZE, 3)
    assert np.abs(drawn.astype(float) - wanted).max() <= 1  # a value may lie between two bytes


def test_other_widths_are_read_from_the_weights(tmp_path: Path) -> None:
    course = reference.Model(f_dim=16, l_dim=8, n_dim=4, d_out_dim=24)
    torch.save({"state_dict": course.state_dict(), "lr": 0.1}, tmp_path / "small.ckpt")
    model = framecast.load(tmp_path / "small.ckpt", size=SIZE).model
    assert isinstance(model, PoseCVAE)
    assert model.config == Config(F_dim=16, L_dim=8, N_dim=4, D_out_dim=24)
    assert torch.equal(model.Generator[0].block[1].conv.weight, course.Generator[0].block[1].conv.weight)


def test_free_running_training_stays_finite_where_the_network_is_unruly() -> None:
    """A network that doubles what goes in: without a bound its fifteenth frame is not a number."""
    model = PoseCVAE(SPEC).eval()
    with torch.no_grad():
        model.Generator[-1].weight.mul_(100)
    clip = Clip(torch.rand(1, 16, 3, *SIZE), torch.rand(1, 16, 3, *SIZE), torch.arange(16)[None])
    with torch.no_grad():
        trace = rollout.walk(model, clip, torch.zeros(1, 15, dtype=torch.bool), torch.randn(1, 15, *model.noise_shape))
    assert torch.isfinite(trace.frames).all()
