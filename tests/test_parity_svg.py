"""`svg` is SVG as published: the same numbers, losses, gradients and frames as a plain transcription.

In eval mode: the transcription encodes frame by frame, the library all frames at once, so that in training the batch
norms see other batches.
"""

from __future__ import annotations

from typing import Any

import pytest
import reference_svg as reference
import torch
from torch import Tensor

from framecast import models, rollout
from framecast.models.base import Model
from framecast.objective import Objective
from framecast.values import Clip, Condition, Spec

pytestmark = pytest.mark.usefixtures("float32")

CONTEXT, LENGTH, ACTIONS = 2, 5, 3
Pair = tuple[Model, reference.Model]
CASES = {
    "vgg learned": {"backbone": "vgg", "prior": "learned"},
    "dcgan learned": {"backbone": "dcgan", "prior": "learned"},
    "dcgan fixed": {"backbone": "dcgan", "prior": "fixed"},
    "dcgan none": {"backbone": "dcgan", "prior": "none"},
    "dcgan newest skips": {"backbone": "dcgan", "prior": "learned", "last_frame_skip": True},
    "dcgan without actions": {"backbone": "dcgan", "prior": "learned", "actions": 0},
    "dcgan grey": {"backbone": "dcgan", "prior": "fixed", "channels": 1},
}


def in_order(model: Model) -> list[str]:
    """The library's keys in the transcription's order: a decoder's layers as they are passed through."""
    keys = list(model.state_dict())
    outer = [k for k in keys if k.startswith("decoder.") and not k.startswith(("decoder.joins", "decoder.tails"))]
    count = len(model.decoder.joins)  # type: ignore[union-attr, arg-type]
    inner = [
        k for n in range(count) for part in ("joins", "tails") for k in keys if k.startswith(f"decoder.{part}.{n}.")
    ]
    parts = [[k for k in keys if k.startswith(f"{p}.")] for p in ("encoder", "posterior", "prior", "frame_predictor")]
    return parts[0] + outer + inner + parts[1] + parts[2] + parts[3]


def paired(case: dict[str, Any]) -> Pair:
    """The library's model and the transcription with the same weights, in eval mode, no statistic at its start."""
    options = {"last_frame_skip": False, "channels": 3, "actions": ACTIONS, **case}
    channels, actions = options.pop("channels"), options.pop("actions")
    torch.manual_seed(3)
    theirs = reference.Model(n_past=CONTEXT, channels=channels, condition=actions, **options)
    for name, buffer in theirs.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.05)
        if name.endswith("running_var"):
            buffer.uniform_(0.3, 1)
    condition = Condition("vector", actions) if actions else Condition()
    ours = models.build(Spec(64, 64, channels, condition), "svg", options)
    values = [
        v
        for p in ("encoder", "decoder", "posterior", "prior", "frame_predictor")
        if (m := getattr(theirs, p)) is not None
        for v in m.state_dict().values()
    ]
    ours.load_state_dict(dict(zip(in_order(ours), values, strict=True)))
    return ours.eval(), theirs.eval()


SLOW = pytest.mark.slow  # mixed forcing is forced here, free there; VGG has six times the work of DCGAN


@pytest.fixture(
    scope="module", params=[pytest.param(case, marks=SLOW if case.startswith("vgg") else ()) for case in CASES]
)
def pair(request: pytest.FixtureRequest) -> Pair:
    return paired(CASES[request.param])


def batch(pair: Pair, clips: int = 2) -> tuple[Clip, Tensor]:
    """A clip, and noise (B, T - 1, Z)."""
    spec = pair[0].spec
    made = reference.make_batch(pair[1], clips, LENGTH, 64, spec.channels, spec.condition.size, seed=5)
    return Clip(made.frames, made.conditions, torch.arange(LENGTH).expand(clips, LENGTH)), made.noise


def test_parameters() -> None:
    model = models.build(Spec(64, 64, 3), "svg", {})
    assert sum(p.numel() for p in model.parameters()) == 22_831_747
    large = models.build(Spec(128, 128, 1), "svg", {"prior": "fixed"})
    theirs = reference.Model(size=128, channels=1, prior="fixed")
    assert sum(p.numel() for p in large.parameters()) == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize(
    "forced",
    [
        pytest.param(True, id="forced", marks=SLOW),
        pytest.param(None, id="mixed"),
        pytest.param(False, id="free", marks=SLOW),
    ],
)
def test_loss_and_frames(pair: Pair, forced: bool | None) -> None:
    ours, theirs = pair
    clip, noise = batch(pair)
    mask = torch.tensor([[True, False, True, False], [True, True, False, False]])
    mask = mask if forced is None else torch.full((2, LENGTH - 1), forced)
    with torch.no_grad():
        trace = rollout.walk(ours, clip, mask, noise, CONTEXT)
        walk = reference.walk(theirs, clip.frames, clip.condition, noise, mask)
    torch.testing.assert_close(trace.frames, walk.frames, atol=1e-5, rtol=0)
    losses = Objective("mse")(trace, beta=1e-2)
    torch.testing.assert_close(losses.total, walk.loss(1e-2) / (LENGTH - 1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(losses.terms["kl"], walk.kl.mean(), atol=1e-5, rtol=1e-4)


def test_gradients() -> None:
    pair = paired(CASES["dcgan learned"])
    clip, noise = batch(pair)
    Objective("mse")(rollout.walk(pair[0], clip, None, noise, CONTEXT), 1e-2).total.backward()
    (reference.walk(pair[1], clip.frames, clip.condition, noise).loss(1e-2) / (LENGTH - 1)).backward()
    ours = dict(pair[0].named_parameters())
    found = [ours[key].grad for key in in_order(pair[0]) if key in ours]
    wanted = [p.grad for part in ("encoder", "decoder", "posterior", "prior", "frame_predictor")
              for p in getattr(pair[1], part).parameters()]  # fmt: skip
    assert len(found) == len(wanted)
    for one, two in zip(found, wanted, strict=True):
        assert one is not None and two is not None
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-3)


def test_prediction(pair: Pair) -> None:
    """From the given frames alone; the rest may be anything."""
    ours, theirs = pair
    clip, _ = batch(pair, 1)
    given, coming = CONTEXT, LENGTH - CONTEXT
    noise = rollout.noise(ours, [(9, 0, 0)], range(coming))
    spoilt = clip.frames.clone()
    spoilt[:, given:] = float("nan")
    pieces: Any = [given, coming] if clip.condition is None else clip.condition.split([given, coming], 1)
    drawn = torch.cat(list(rollout.roll(ours, clip.frames[:, :given], pieces, [(9, 0, 0)])), 1)
    handed = torch.cat([torch.zeros(1, given - 1, *ours.noise_shape), noise], 1)
    with torch.no_grad():
        wanted = reference.generate(theirs, spoilt, clip.condition, handed)
    torch.testing.assert_close(drawn, wanted, atol=1e-5, rtol=0)
