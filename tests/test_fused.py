"""Fused convolutions equal the plain ones, and are used in rollouts only."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from framecast import models
from framecast.nets import winograd
from framecast.nets.conv import Enlarge
from framecast.nets.fused import conv, gate, normed, packing
from framecast.rollout import roll
from framecast.values import Condition, Spec

LAYERS = {
    "1x1": lambda: nn.Conv2d(8, 12, 1),
    "3x3": lambda: nn.Conv2d(8, 12, 3, padding=1),
    "depthwise": lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_gradients_the_same_numbers_come_out(kind, dtype):
    torch.manual_seed(0)
    layer, x = LAYERS[kind](), torch.randn(3, 8, 6, 10)
    beside = torch.randn(3, layer.out_channels, 6, 10)
    with torch.no_grad(), packing({}), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = conv(layer, x), conv(layer, x, slope=0.2), conv(layer, x, plus=beside)
    plain = layer(x)
    for got, wanted in zip(found, (plain, F.leaky_relu(plain, 0.2), plain + beside), strict=True):
        assert got.dtype == dtype
        torch.testing.assert_close(
            got.float(), wanted, atol=1e-5 if dtype == torch.float32 else 4e-2, rtol=0, check_stride=False
        )


def test_the_gate_is_one_half_times_the_other():
    torch.manual_seed(0)
    layer, x = nn.Conv2d(8, 12, 1), torch.randn(2, 8, 4, 4)
    a, b = layer(x).chunk(2, 1)
    wanted = a * F.leaky_relu(b, 0.1)
    torch.testing.assert_close(gate(layer, x, 0.1), wanted)
    with torch.no_grad(), packing({}):
        torch.testing.assert_close(gate(layer, x, 0.1), wanted, atol=1e-5, rtol=0, check_stride=False)


@pytest.mark.parametrize(("count", "side"), [(3, (8, 12)), (30, (16, 16))])  # the latter in three pieces
def test_wide_convolutions_go_by_tiles(count: int, side: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer, norm = nn.Conv2d(256, 288, 3, padding=1), nn.BatchNorm2d(288).eval()
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2)
    x = torch.randn(count, 256, *side)
    assert winograd.fits(layer, x)
    assert winograd.is_wide(layer.weight)
    with torch.no_grad():
        wanted = F.leaky_relu(norm(layer(x)), 0.2)
        for form in (x, x.contiguous(memory_format=torch.channels_last)):
            packed = {}
            with packing(packed):
                found = normed(layer, norm, form, 0.2)
            assert [key[1] for key in packed] == ["by tiles"]
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4, check_stride=False)


@pytest.mark.parametrize(("inner", "outer"), [(64, 72), (128, 264)])  # the weight's gradient by tiles; all of it
def test_training_by_tiles_is_training(inner: int, outer: int) -> None:
    """Results and gradients, of several pieces and at the edges, by the plain convolution in double precision."""
    torch.manual_seed(0)
    layer = nn.Conv2d(inner, outer, 3, padding=1)
    assert winograd.is_wide(layer.weight) == (inner == 128)
    for form in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(21, inner, 8, 28).contiguous(memory_format=form).requires_grad_()
        given = torch.randn(21, outer, 8, 28).contiguous(memory_format=form)
        assert winograd.pays_in_training(layer, x)
        found = conv(layer, x, slope=0.2)
        got = torch.autograd.grad(found, [x, layer.weight, layer.bias], given)
        exact = copy.deepcopy(layer).double()
        plain = x.detach().double().requires_grad_()
        wanted = exact(plain) * torch.where(found > 0, 1.0, 0.2)  # a rounding must not decide on which side of 0
        right = torch.autograd.grad(wanted, [plain, exact.weight, exact.bias], given.double())
        for a, b in zip((found, *got), (wanted, *right), strict=True):
            assert a.shape == b.shape
            assert (a - b).norm() / b.norm() < 1e-5


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Conv2d(64, 64, 3, padding=1), torch.ones(1, 64, 8, 6)),
        (nn.Conv2d(64, 64, 3, padding=1), torch.ones(1, 64, 8, 8, dtype=torch.bfloat16)),
        (nn.Conv2d(64, 32, 3, padding=1), torch.ones(1, 64, 8, 8)),
        (nn.Conv2d(64, 64, 3), torch.ones(1, 64, 8, 8)),
        (nn.Conv2d(64, 64, 3, 2, 1), torch.ones(1, 64, 8, 8)),
        (nn.Conv2d(64, 64, 3, 1, 1, bias=False), torch.ones(1, 64, 8, 8)),
        (nn.Conv2d(128, 128, 3, 1, 1, groups=2), torch.ones(1, 128, 8, 8)),
        (nn.ConvTranspose2d(64, 64, 3, 1, 1), torch.ones(1, 64, 8, 8)),
    ],
)
def test_other_convolutions_do_not(layer: nn.Module, x: torch.Tensor) -> None:
    assert not winograd.fits(layer, x)


def test_bf16_is_never_by_tiles() -> None:
    layer, x = nn.Conv2d(64, 64, 3, padding=1), torch.ones(1, 64, 64, 64)
    assert winograd.pays_in_training(layer, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not winograd.fits(layer, x)


def test_a_rollout_after_a_step_of_training_uses_the_new_weights():
    spec = Spec(8, 8, 3, Condition("picture", 3))
    model = models.build(spec, "pose_cvae", {"F_dim": 16, "L_dim": 8, "N_dim": 4, "D_out_dim": 16}).eval()
    frames, conditions = torch.rand(1, 1, 3, 8, 8), [torch.rand(1, 1, 3, 8, 8), torch.rand(1, 2, 3, 8, 8)]

    def drawn():
        return next(iter(roll(model, frames, conditions)))

    before = drawn()
    assert torch.equal(before, drawn())
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)  # leaves no trace in the weights' versions
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    fresh = copy.deepcopy(model)
    assert not torch.equal(drawn(), before)
    with torch.no_grad():
        assert torch.equal(drawn(), next(iter(roll(fresh, frames, conditions))))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_enlarging_and_convolving_is_one_transposed_convolution(dtype):
    """Values, and the gradients of the input and of the 3 x 3 weights, at every edge."""
    torch.manual_seed(0)
    layer, x = Enlarge(8, 12, 3, padding=1), torch.randn(3, 8, 5, 7, requires_grad=True)
    wanted = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), wanted)
    beside = torch.randn_like(wanted)
    for got, true in zip(*(torch.autograd.grad(y, [x, layer.weight], beside) for y in (layer(x), wanted)), strict=True):
        torch.testing.assert_close(got, true, atol=1e-4, rtol=1e-4)
    with torch.no_grad(), packing({}), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        packed = layer(x), layer(x)
    for found in packed:
        assert found.dtype == dtype
        torch.testing.assert_close(
            found.float(), wanted.detach(), atol=1e-5 if dtype == torch.float32 else 4e-2, rtol=0, check_stride=False
        )
