"""System B written plainly: SVG (Denton and Fergus 2018) and its training loop, from the paper and SPEC alone.

An oracle and an honest baseline for `framecast.models.svg`: it imports no framecast and walks a clip as the published
program does, frame by frame, with the encoder called on x_{t-1} and on x_t at every step. With `once` a true frame is
encoded once and kept for the next step: the same numbers in half of the encoder's time. Parity tests hand it the same
noise as the library; speed is compared against both ways.

In training mode batch norm sees one frame of every clip at a time; a library that encodes all frames in one call has
other statistics there and agrees in eval mode only.

Legend: B clips, T frames, C channels, S x S pixels (S = 64 or 128), D numbers of a condition, G features of a frame,
Z latent values. Frames are floats in [0, 1].
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

PARAMETERS = 22_831_747  # of Model(): SVG-LP, VGG, 64 pixels, 3 channels, no condition

Backbone = Literal["vgg", "dcgan"]
Prior = Literal["learned", "fixed", "none"]
Gaussian = tuple[Tensor, Tensor]  # mu and log variance, each (B, Z)
Memory = list[tuple[Tensor, Tensor]] | None  # h and c of each layer, each (B, rnn); None is zeros


def layer(conv: nn.Module, channels: int) -> list[nn.Module]:
    """A convolution, batch norm over its output, leaky ReLU."""
    return [conv, nn.BatchNorm2d(channels), nn.LeakyReLU(0.2, inplace=True)]


def vgg_layers(*channels: int) -> list[nn.Module]:
    """3x3 layers from each number of channels to the next: (B, first, H, W) -> (B, last, H, W)."""
    return [module for i, o in pairwise(channels) for module in layer(nn.Conv2d(i, o, 3, padding=1), o)]


def head(i: int, g: int) -> list[nn.Module]:
    """Features of a frame from a 4x4 map: (B, i, 4, 4) -> (B, G, 1, 1) in [-1, 1]."""
    return [nn.Conv2d(i, g, 4), nn.BatchNorm2d(g), nn.Tanh()]


def foot(g: int, o: int) -> list[nn.Module]:
    """A 4x4 map from features: (B, G, 1, 1) -> (B, o, 4, 4)."""
    return layer(nn.ConvTranspose2d(g, o, 4), o)


def vgg_encoder(size: int, c: int, g: int, w: int) -> list[list[nn.Module]]:
    """Blocks c1, c2, ...: each but the first halves the size by max-pool before its layers."""
    blocks = [
        vgg_layers(c, w, w),
        [nn.MaxPool2d(2), *vgg_layers(w, 2 * w, 2 * w)],
        [nn.MaxPool2d(2), *vgg_layers(2 * w, 4 * w, 4 * w, 4 * w)],
        [nn.MaxPool2d(2), *vgg_layers(4 * w, 8 * w, 8 * w, 8 * w)],
    ]
    if size == 128:
        blocks.append([nn.MaxPool2d(2), *vgg_layers(8 * w, 8 * w, 8 * w, 8 * w)])
    return [*blocks, [nn.MaxPool2d(2), *head(8 * w, g)]]


def vgg_decoder(size: int, c: int, g: int, w: int) -> list[list[nn.Module]]:
    """Blocks upc1, upc2, ...: each but the last doubles the size; each but the first takes a skip beside its input."""
    blocks = [[*foot(g, 8 * w), nn.Upsample(scale_factor=2)]]
    if size == 128:
        blocks.append([*vgg_layers(16 * w, 8 * w, 8 * w, 8 * w), nn.Upsample(scale_factor=2)])
    return [
        *blocks,
        [*vgg_layers(16 * w, 8 * w, 8 * w, 4 * w), nn.Upsample(scale_factor=2)],
        [*vgg_layers(8 * w, 4 * w, 4 * w, 2 * w), nn.Upsample(scale_factor=2)],
        [*vgg_layers(4 * w, 2 * w, w), nn.Upsample(scale_factor=2)],
        [*vgg_layers(2 * w, w), nn.ConvTranspose2d(w, c, 3, padding=1), nn.Sigmoid()],
    ]


def dcgan_encoder(size: int, c: int, g: int, w: int) -> list[list[nn.Module]]:
    """Blocks c1, c2, ...: each halves the size by a stride of 2."""
    channels = [c, w, 2 * w, 4 * w, 8 * w] + [8 * w] * (size == 128)
    blocks = [layer(nn.Conv2d(i, o, 4, stride=2, padding=1), o) for i, o in pairwise(channels)]
    return [*blocks, head(8 * w, g)]


def dcgan_decoder(size: int, c: int, g: int, w: int) -> list[list[nn.Module]]:
    """Blocks upc1, upc2, ...: each but the first takes a skip beside its input and doubles the size."""
    channels = [8 * w] * (size == 128) + [8 * w, 4 * w, 2 * w, w]
    blocks = [layer(nn.ConvTranspose2d(2 * i, o, 4, stride=2, padding=1), o) for i, o in pairwise(channels)]
    return [foot(g, 8 * w), *blocks, [nn.ConvTranspose2d(2 * w, c, 4, stride=2, padding=1), nn.Sigmoid()]]


BACKBONES = {"vgg": (vgg_encoder, vgg_decoder), "dcgan": (dcgan_encoder, dcgan_decoder)}


class Encoder(nn.Module):
    """Frame (B, C, S, S) -> features (B, G) and what each block but the last gave, the largest map first."""

    def __init__(self, blocks: list[list[nn.Module]]) -> None:
        super().__init__()
        for number, block in enumerate(blocks, 1):
            self.add_module(f"c{number}", nn.Sequential(*block))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for block in self.children():
            x = block(x)
            maps.append(x)
        return x.flatten(1), maps[:-1]


class Decoder(nn.Module):
    """Features (B, G) and the encoder's maps -> frame (B, C, S, S) in [0, 1]."""

    def __init__(self, blocks: list[list[nn.Module]]) -> None:
        super().__init__()
        for number, block in enumerate(blocks, 1):
            self.add_module(f"upc{number}", nn.Sequential(*block))

    def forward(self, g: Tensor, skips: list[Tensor]) -> Tensor:
        first, *others = self.children()
        x = first(g[:, :, None, None])
        for block, skip in zip(others, reversed(skips), strict=True):
            x = block(torch.cat([x, skip], dim=1))
        return x


class Recurrent(nn.Module):
    """A linear embedding and a stack of LSTM cells: (B, i), memory -> (B, rnn), memory."""

    def __init__(self, i: int, rnn: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Linear(i, rnn)
        self.lstm = nn.ModuleList(nn.LSTMCell(rnn, rnn) for _ in range(layers))

    def advance(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        x, after = self.embed(x), []
        for number, cell in enumerate(self.lstm):
            after.append(cell(x, None if memory is None else memory[number]))
            x = after[-1][0]
        return x, after


class FramePredictor(Recurrent):
    """[h_{t-1}, z_t, condition_{t-1}] (B, G + Z + D), memory -> g_t (B, G), memory."""

    def __init__(self, i: int, g: int, rnn: int, layers: int) -> None:
        super().__init__(i, rnn, layers)
        self.output = nn.Sequential(nn.Linear(rnn, g), nn.Tanh())

    def forward(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        out, memory = self.advance(x, memory)
        return self.output(out), memory


class GaussianLSTM(Recurrent):
    """h (B, G), memory -> a Gaussian of z, memory."""

    def __init__(self, g: int, z: int, rnn: int, layers: int) -> None:
        super().__init__(g, rnn, layers)
        self.mu_net = nn.Linear(rnn, z)
        self.logvar_net = nn.Linear(rnn, z)

    def forward(self, h: Tensor, memory: Memory) -> tuple[Gaussian, Memory]:
        out, memory = self.advance(h, memory)
        return (self.mu_net(out), self.logvar_net(out)), memory


class Model(nn.Module):
    """The five parts; with a fixed prior there is no `prior`, with none there is no `posterior` either and Z = 0.

    Args:
        backbone, size, channels: of the frames: vgg or dcgan, 64 or 128 pixels, 3 or 1 channels.
        condition: D, 0 for none.
        prior: learned (SVG-LP), fixed at N(0, I) (SVG-FP), or none (no latent: the deterministic baseline).
        g, z, rnn: width of a frame's features, of the latent, of the LSTMs.
        width: channels of the first block.
        n_past: frames given.
        last_frame_skip: skips from the newest frame, otherwise from the newest given one.
    """

    def __init__(
        self,
        backbone: Backbone = "vgg",
        size: int = 64,
        channels: int = 3,
        condition: int = 0,
        prior: Prior = "learned",
        g: int = 128,
        z: int = 64,
        rnn: int = 256,
        width: int = 64,
        n_past: int = 2,
        last_frame_skip: bool = False,
    ) -> None:
        super().__init__()
        self.z_dim = 0 if prior == "none" else z
        self.n_past, self.last_frame_skip = n_past, last_frame_skip
        encoder, decoder = BACKBONES[backbone]
        self.encoder = Encoder(encoder(size, channels, g, width))
        self.decoder = Decoder(decoder(size, channels, g, width))
        self.posterior = None if prior == "none" else GaussianLSTM(g, z, rnn, layers=1)
        self.prior = GaussianLSTM(g, z, rnn, layers=1) if prior == "learned" else None
        self.frame_predictor = FramePredictor(g + self.z_dim + condition, g, rnn, layers=2)


class Walker:
    """One walk of a batch through time: the memories of the LSTMs and the skips that are in use."""

    def __init__(self, model: Model, conditions: Tensor | None, once: bool = False) -> None:
        self.model, self.conditions, self.once = model, conditions, once
        self.kept: tuple[Tensor, tuple[Tensor, list[Tensor]]] | None = None  # the frame encoded last, and what it gave
        self.posterior: Memory = None
        self.prior: Memory = None
        self.predictor: Memory = None
        self.skips: list[Tensor] = []

    def encode(self, frame: Tensor) -> tuple[Tensor, list[Tensor]]:
        """h (B, G) and the skips of a frame."""
        if self.once and self.kept is not None and self.kept[0] is frame:
            return self.kept[1]
        self.kept = frame, self.model.encoder(frame)
        return self.kept[1]

    def see(self, frame: Tensor, t: int) -> Tensor:
        """h_{t-1} (B, G) of the frame before frame t; keeps its skips where they are wanted."""
        h, skips = self.encode(frame)
        if self.model.last_frame_skip or t <= self.model.n_past:
            self.skips = skips
        return h

    def infer(self, frame: Tensor) -> Gaussian:
        """q(z_t | x_1 .. x_t) from the true frame t."""
        if self.model.posterior is None:
            return standard_normal(frame, 0)
        q, self.posterior = self.model.posterior(self.encode(frame)[0], self.posterior)
        return q

    def expect(self, h: Tensor) -> Gaussian:
        """p(z_t | x_1 .. x_{t-1}), or N(0, I)."""
        if self.model.prior is None:
            return standard_normal(h, self.model.z_dim)
        p, self.prior = self.model.prior(h, self.prior)
        return p

    def predict(self, h: Tensor, z: Tensor, t: int) -> Tensor:
        """g_t (B, G)."""
        known = [] if self.conditions is None else [self.conditions[:, t - 1]]
        g, self.predictor = self.model.frame_predictor(torch.cat([h, z, *known], dim=1), self.predictor)
        return g

    def draw(self, g: Tensor) -> Tensor:
        """Frame t (B, C, S, S) in [0, 1]."""
        return self.model.decoder(g, self.skips)


def standard_normal(like: Tensor, z: int) -> Gaussian:
    """N(0, I) of z values for each of the batch; of none where there is no latent."""
    zeros = like.new_zeros(len(like), z)
    return zeros, zeros


def sample(gaussian: Gaussian, noise: Tensor) -> Tensor:
    """mu + sigma * noise, (B, Z)."""
    mu, logvar = gaussian
    return mu + torch.exp(logvar / 2) * noise


def kl_divergence(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) in nats: summed over latent values, averaged over the batch."""
    (mu, logvar), (mu_p, logvar_p) = q, p
    ratio = (logvar.exp() + (mu - mu_p).square()) / logvar_p.exp()
    return 0.5 * (logvar_p - logvar + ratio - 1).sum() / len(mu)


class Walk(NamedTuple):
    """What a walk gave for frames 1 .. T-1: frames (B, T-1, C, S, S), MSE per pixel (T-1) and KL in nats (T-1)."""

    frames: Tensor
    mse: Tensor
    kl: Tensor

    def loss(self, beta: float) -> Tensor:
        """The sum over t of MSE + beta * KL, as the paper minimises it; divided by T - 1, the mean over frames."""
        return (self.mse + beta * self.kl).sum()


def walk(
    model: Model,
    frames: Tensor,
    conditions: Tensor | None,
    noise: Tensor,
    teacher_forcing: Tensor | None = None,
    once: bool = False,
) -> Walk:
    """Predicts frames 1 .. T-1 of a clip, those that are given too, with latents from the posterior.

    A frame fed back is as the decoder gave it, not cut from the graph.

    Args:
        frames: (B, T, C, S, S).
        conditions: (B, T, D) or None; condition t-1 leads to frame t, so that the last one is not used.
        noise: (B, T-1, Z), standard normal; entry t-1 is of frame t.
        teacher_forcing: (B, T-1) bool: does the true frame t feed step t+1, otherwise the model's own (entry t-1)?
            None: always. Given frames (t < n_past) feed the truth whatever it says.
        once: encode each true frame once, not as the target of one step and the input of the next.
    """
    walker, true = Walker(model, conditions, once), frames.unbind(1)
    previous, drawn, mse, kl = true[0], [], [], []
    for t in range(1, frames.shape[1]):
        h = walker.see(previous, t)
        q, p = walker.infer(true[t]), walker.expect(h)
        frame = walker.draw(walker.predict(h, sample(q, noise[:, t - 1]), t))
        drawn.append(frame)
        mse.append(nnf.mse_loss(frame, true[t]))
        kl.append(kl_divergence(q, p))
        previous = true[t]
        if teacher_forcing is not None and t >= model.n_past:
            previous = torch.where(teacher_forcing[:, t - 1, None, None, None], previous, frame)
    return Walk(torch.stack(drawn, dim=1), torch.stack(mse), torch.stack(kl))


def make_optimizer(model: Model, lr: float = 2e-3) -> torch.optim.Adam:
    """Adam as SPEC has it."""
    return torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.999))


def training_step(
    model: Model,
    optimizer: torch.optim.Optimizer,
    frames: Tensor,
    conditions: Tensor | None,
    noise: Tensor,
    beta: float = 1e-4,
    teacher_forcing: Tensor | None = None,
    once: bool = False,
) -> dict[str, Tensor]:
    """One optimiser step in single precision; batch 8 and 12 frames in the baseline. Arguments as `walk`'s.

    Returns:
        Scalars without graph, from before the step: `loss` (the sum over t that is minimised), `mse` and `kl` (averaged
        over the T-1 predicted frames).
    """
    model.train()
    optimizer.zero_grad()
    done = walk(model, frames, conditions, noise, teacher_forcing, once)
    loss = done.loss(beta)
    loss.backward()
    optimizer.step()
    return {"loss": loss.detach(), "mse": done.mse.detach().mean(), "kl": done.kl.detach().mean()}


@torch.no_grad()
def generate(model: Model, frames: Tensor, conditions: Tensor | None, noise: Tensor) -> Tensor:
    """Free-running rollout from `n_past` true frames, in eval mode (and left in it).

    While frames are given z is the posterior's mean; from then on a sample of the prior, and own frames are fed back.

    Args:
        frames: (B, n_past or more, C, S, S); only the first n_past are read.
        conditions: (B, T-1 or more, D) or None, as `walk`'s.
        noise: (B, T-1, Z), which says T; entry t-1 is of frame t. The first n_past - 1 are not used.

    Returns:
        Frames n_past .. T-1, the predicted ones: (B, T - n_past, C, S, S) in [0, 1].
    """
    model.eval()
    walker = Walker(model, conditions)
    previous, drawn = frames[:, 0], []
    for t in range(1, noise.shape[1] + 1):
        h = walker.see(previous, t)
        p = walker.expect(h)
        if t < model.n_past:
            walker.predict(h, walker.infer(frames[:, t])[0], t)
            previous = frames[:, t]
        else:
            previous = walker.draw(walker.predict(h, sample(p, noise[:, t - 1]), t))
            drawn.append(previous)
    return torch.stack(drawn, dim=1)


class Batch(NamedTuple):
    """A made-up batch: frames (B, T, C, S, S), conditions (B, T, D) or None, noise (B, T-1, Z)."""

    frames: Tensor
    conditions: Tensor | None
    noise: Tensor


def make_batch(
    model: Model, clips: int = 8, length: int = 12, size: int = 64, channels: int = 3, condition: int = 0, seed: int = 0
) -> Batch:
    """Vectors for parity and speed, a pure function of the arguments: uniform frames, normal conditions and noise."""
    draw = torch.Generator().manual_seed(seed)
    frames = torch.rand(clips, length, channels, size, size, generator=draw)
    conditions = torch.randn(clips, length, condition, generator=draw) if condition else None
    return Batch(frames, conditions, torch.randn(clips, length - 1, model.z_dim, generator=draw))
