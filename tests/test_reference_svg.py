"""The plain transcription of SVG is what SPEC says: its size, its shapes, its loop, and what may reach a prediction."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import reference_svg as reference
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

D = 3


def small(**changes: Any) -> reference.Model:
    """A narrow model with running statistics that are not at their start, in eval mode."""
    torch.manual_seed(1)
    options: dict[str, Any] = {"backbone": "dcgan", "g": 8, "z": 4, "rnn": 8, "width": 4, "condition": D} | changes
    model = reference.Model(**options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # pyright: ignore
            module.running_var.uniform_(0.01, 0.1)  # pyright: ignore
    return model.eval()


def vectors(model: reference.Model, length: int = 6, clips: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Frames, conditions and noise of a clip."""
    frames, conditions, noise = reference.make_batch(model, clips, length, condition=D)
    assert conditions is not None
    return frames, conditions, noise


def count(**options: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in reference.Model(**options).parameters())


# ---------------------------------------------------------------- the network


def test_parameters() -> None:
    assert count() == 22_831_747 == reference.PARAMETERS
    gaussian = (128 * 256 + 256) + 4 * 256 * (256 + 256 + 2) + 2 * (256 * 64 + 64)
    assert count(condition=7) - count() == 7 * 256
    assert count() - count(prior="fixed") == gaussian
    assert count(prior="fixed") - count(prior="none") == gaussian + 64 * 256  # z enters the frame predictor too


def test_parts() -> None:
    parts = {"encoder", "decoder", "posterior", "prior", "frame_predictor"}
    assert {name for name, _ in small().named_children()} == parts
    assert {name for name, _ in small(prior="fixed").named_children()} == parts - {"prior"}
    assert {name for name, _ in small(prior="none").named_children()} == parts - {"prior", "posterior"}
    assert {name.partition(".")[0] for name in imported()} == {"__future__", "itertools", "torch", "typing"}


def imported() -> list[str]:
    nodes = list(ast.walk(ast.parse(Path(str(reference.__file__)).read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return names + [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("backbone", ["vgg", "dcgan"])
@torch.no_grad()
def test_shapes(backbone: reference.Backbone, size: int, channels: int) -> None:
    model = small(backbone=backbone, size=size, channels=channels)
    h, skips = model.encoder(torch.rand(2, channels, size, size))
    assert h.shape == (2, 8) and bool((h.abs() <= 1).all())
    largest = size if backbone == "vgg" else size // 2
    wide = [4, 8, 16, 32] + [32] * (size == 128)
    assert [tuple(s.shape) for s in skips] == [(2, c, largest >> i, largest >> i) for i, c in enumerate(wide)]
    frame = model.decoder(h, skips)
    assert frame.shape == (2, channels, size, size) and 0 <= frame.min() < frame.max() <= 1


def test_each_skip_and_the_features_reach_the_frame() -> None:
    model = small(backbone="vgg")
    h, skips = model.encoder(torch.rand(2, 3, 64, 64))
    inputs = [t.detach().requires_grad_() for t in (h, *skips)]
    model.decoder(inputs[0], inputs[1:]).sum().backward()
    assert all(t.grad is not None and t.grad.abs().sum() > 0 for t in inputs)


@torch.no_grad()
def test_cells_are_a_stacked_lstm() -> None:
    predictor = small().frame_predictor
    lstm = nn.LSTM(8, 8, num_layers=2)
    for number, cell in enumerate(predictor.lstm):
        for name, value in cell.named_parameters():
            getattr(lstm, f"{name}_l{number}").copy_(value)
    x, memory, given = torch.randn(5, 2, 8 + 4 + D), None, []
    for step in x:
        g, memory = predictor(step, memory)
        given.append(g)
    torch.testing.assert_close(torch.stack(given), predictor.output[0](lstm(predictor.embed(x))[0]).tanh())


def test_kl_closed_form() -> None:
    mu, logvar, mu_p, logvar_p = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q, p = (Normal(m, (v / 2).exp()) for m, v in ((mu, logvar), (mu_p, logvar_p)))
    expected = kl_divergence(q, p).sum(1).mean()
    torch.testing.assert_close(reference.kl_divergence((mu, logvar), (mu_p, logvar_p)), expected)


# ---------------------------------------------------------------- the loop


@torch.no_grad()
def test_first_step_by_hand() -> None:
    model = small()
    frames, conditions, noise = vectors(model, length=2)
    walked = reference.walk(model, frames, conditions, noise)
    (h, skips), (target, _) = model.encoder(frames[:, 0]), model.encoder(frames[:, 1])
    assert model.posterior is not None and model.prior is not None
    (q, _), (p, _) = model.posterior(target, None), model.prior(h, None)
    z = q[0] + q[1].exp().sqrt() * noise[:, 0]
    frame = model.decoder(model.frame_predictor(torch.cat([h, z, conditions[:, 0]], 1), None)[0], skips)
    torch.testing.assert_close(walked.frames[:, 0], frame)
    torch.testing.assert_close(walked.kl[0], reference.kl_divergence(q, p))


@torch.no_grad()
def test_loss_is_the_sum_over_time() -> None:
    model = small(prior="fixed")
    frames, conditions, noise = vectors(model)
    walked = reference.walk(model, frames, conditions, noise)
    per_frame = (walked.frames - frames[:, 1:]).square().mean((0, 2, 3, 4))
    torch.testing.assert_close(walked.mse, per_frame)
    assert walked.kl.shape == (5,) and bool((walked.kl > 0).all())
    torch.testing.assert_close(walked.loss(0.3), per_frame.sum() + 0.3 * walked.kl.sum())


@pytest.mark.parametrize(("newest", "expected"), [(True, [0, 1, 2, 3, 4]), (False, [0, 1, 1, 1, 1])])
@torch.no_grad()
def test_where_skips_come_from_and_how_often_frames_are_encoded(newest: bool, expected: list[int]) -> None:
    model = small(last_frame_skip=newest)
    frames, conditions, noise = vectors(model)
    maps = [model.encoder(frame)[1][0] for frame in frames.unbind(1)]
    used, calls = [], []
    model.decoder.register_forward_pre_hook(lambda _, inputs: used.append(inputs[1][0]))
    model.encoder.register_forward_hook(lambda *_: calls.append(1))
    reference.walk(model, frames, conditions, noise)
    assert [next(i for i, m in enumerate(maps) if torch.equal(m, skip)) for skip in used] == expected
    assert len(calls) == 2 * 5


def test_frames_encoded_once_give_the_same_numbers() -> None:
    """In training mode too: batch norm sees the same frames."""
    grads, calls = [], []
    for once in (False, True):
        model = small().train()
        model.encoder.register_forward_hook(lambda *_, once=once: calls.append(once))
        reference.walk(model, *vectors(model), once=once).loss(0.1).backward()
        grads.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(grads[0], grads[1])
    assert (calls.count(False), calls.count(True)) == (2 * 5, 6)


@torch.no_grad()
def test_teacher_forcing_is_per_clip_and_step() -> None:
    model = small(last_frame_skip=True)
    frames, conditions, noise = vectors(model)

    def drawn(mask: Tensor | None) -> Tensor:
        return reference.walk(model, frames, conditions, noise, mask).frames

    never = torch.zeros(2, 5, dtype=torch.bool)
    forced, free = drawn(None), drawn(never)
    torch.testing.assert_close(drawn(~never), forced)
    torch.testing.assert_close(free[:, :2], forced[:, :2])  # frames 1 and 2 follow given ones
    assert not torch.isclose(free[:, 2:], forced[:, 2:]).all((2, 3, 4)).any()
    mixed = drawn(torch.tensor([[True] * 5, [False] * 5]))
    torch.testing.assert_close(mixed, torch.stack([forced[0], free[1]]))
    last = never.clone()
    last[:, 3] = True  # the true frame 4 goes in, so that only frame 5 differs from the free walk
    torch.testing.assert_close(drawn(last)[:, :4], free[:, :4])
    assert not torch.equal(drawn(last)[:, 4], free[:, 4])


@torch.no_grad()
def test_a_condition_leads_to_the_next_frame() -> None:
    model = small()
    frames, conditions, noise = vectors(model)
    before = reference.walk(model, frames, conditions, noise).frames
    conditions[:, 2] += 1
    changed = (reference.walk(model, frames, conditions, noise).frames != before).flatten(2).any(2).any(0)
    assert changed.tolist() == [False, False, True, True, True]  # of frames 1 .. 5


@pytest.mark.parametrize(
    ("backbone", "prior"),
    [pytest.param("vgg", "learned", marks=pytest.mark.slow), ("dcgan", "fixed"), ("dcgan", "none")],
)
def test_training_lowers_the_loss(backbone: reference.Backbone, prior: reference.Prior) -> None:
    model = small(backbone=backbone, prior=prior)
    optimizer = reference.make_optimizer(model)
    frames, conditions, noise = vectors(model, length=4)
    dark, free = 0.2 * frames, torch.zeros(2, 3, dtype=torch.bool)  # the untrained decoder draws grey
    given = [reference.training_step(model, optimizer, dark, conditions, noise, 1e-4, free) for _ in range(12)]
    assert model.training and not given[0]["loss"].requires_grad
    torch.testing.assert_close(given[0]["loss"], 3 * (given[0]["mse"] + 1e-4 * given[0]["kl"]))
    assert given[-1]["loss"] < 0.8 * given[0]["loss"]
    assert (given[0]["kl"] == 0) == (prior == "none")


def test_gradients_reach_every_parameter() -> None:
    model = small()
    frames, conditions, noise = vectors(model)
    reference.walk(model, frames, conditions, noise).loss(1.0).backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]


# ---------------------------------------------------------------- prediction


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("prior", ["learned", "fixed", "none"])
def test_prediction_sees_no_future(prior: reference.Prior, newest: bool) -> None:
    model = small(prior=prior, last_frame_skip=newest, n_past=3)
    frames, conditions, noise = vectors(model, length=7)
    before = reference.generate(model, frames, conditions, noise)
    assert before.shape == (2, 4, 3, 64, 64)
    frames[:, 3:], conditions[:, 6:], noise[:, :2] = torch.nan, torch.nan, torch.nan
    torch.testing.assert_close(reference.generate(model, frames, conditions, noise), before, rtol=0, atol=0)
    frames[:, 1] = 0  # what is given matters
    assert not torch.equal(reference.generate(model, frames, conditions, noise), before)


@pytest.mark.parametrize("prior", ["learned", "fixed"])
def test_noise_moves_its_frame_and_those_after(prior: reference.Prior) -> None:
    model = small(prior=prior)
    frames, conditions, noise = vectors(model)
    before = reference.generate(model, frames, conditions, noise)
    noise[:, 3] += 1  # of frame 4
    changed = (reference.generate(model, frames, conditions, noise) != before).flatten(2).any(2).any(0)
    assert changed.tolist() == [False, False, True, True]  # of frames 2 .. 5


@pytest.mark.parametrize("newest", [True, False])
def test_without_a_latent_prediction_is_the_free_walk(newest: bool) -> None:
    model = small(prior="none", last_frame_skip=newest)
    frames, conditions, noise = vectors(model)
    assert noise.shape == (2, 5, 0)
    with torch.no_grad():
        walked = reference.walk(model, frames, conditions, noise, torch.zeros(2, 5, dtype=torch.bool))
    torch.testing.assert_close(reference.generate(model, frames, conditions, noise), walked.frames[:, 1:])


def test_prediction_draws_from_the_prior_and_warms_with_the_posteriors_mean() -> None:
    """Where posterior and prior are one constant Gaussian, prediction is the free walk, given frames without noise."""
    model = small()
    for part in (model.posterior, model.prior):
        assert part is not None
        for net, bias in ((part.mu_net, 0.5), (part.logvar_net, -1.0)):
            nn.init.zeros_(net.weight)
            nn.init.constant_(net.bias, bias)
    frames, conditions, noise = vectors(model)
    noise[:, 0] = 0
    with torch.no_grad():
        walked = reference.walk(model, frames, conditions, noise, torch.zeros(2, 5, dtype=torch.bool))
    assert walked.kl.abs().max() < 1e-6
    torch.testing.assert_close(reference.generate(model, frames, conditions, noise), walked.frames[:, 1:])


def test_the_prior_is_warmed_too() -> None:
    model = small(n_past=3)
    calls = []
    for name in ("prior", "posterior", "frame_predictor", "decoder"):
        getattr(model, name).register_forward_hook(lambda *_, name=name: calls.append(name))
    reference.generate(model, *vectors(model, length=7))
    counts = {name: calls.count(name) for name in calls}
    assert counts == {"prior": 6, "posterior": 2, "frame_predictor": 6, "decoder": 4}


def test_prediction_does_not_depend_on_batch_mates() -> None:
    model = small()
    frames, conditions, noise = vectors(model, clips=3)
    together = reference.generate(model.train(), frames, conditions, noise)
    alone = reference.generate(model.train(), frames[:1], conditions[:1], noise[:1])
    torch.testing.assert_close(together[:1], alone)
