"""Fused convolutions equal the plain ones, and are used in rollouts only."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from framecast import models
from framecast.nets.conv import Enlarge
from framecast.nets.fused import conv, gate, packing
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
