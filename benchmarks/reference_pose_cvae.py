"""System A written plainly: the course's pose CVAE and its training loop, transcribed from SPEC and nothing else.

An oracle and an honest baseline for `framecast.models.pose_cvae`: it imports no framecast, holds the network of SPEC's
appendix under the same parameter names (so course checkpoints load), and walks a clip as the course's program does,
frame by frame with both encoders called at every step. Parity tests hand it the same noise as the library; speed is
compared against it as it stands.

Legend: B clips, T frames, C = 3 channels, H x W pixels, N latent channels. Frames and labels are floats in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

PARAMETERS = 1_585_620  # of Model() with its defaults, from SPEC


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions plus the input: (B, i, H, W) -> (B, o, H, W)."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, padding=1)
        self.conv2 = nn.Conv2d(o, o, 3, padding=1)
        self.skip = nn.Conv2d(i, o, 1) if i != o else None

    def forward(self, x: Tensor) -> Tensor:
        out = nnf.leaky_relu(self.conv1(x), 0.01)
        out = nnf.leaky_relu(self.conv2(out), 0.01)
        return out + (x if self.skip is None else self.skip(x))


class DepthConv(nn.Module):
    """1x1, depthwise 3x3, 1x1, plus the input: (B, i, H, W) -> (B, o, H, W)."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(i, i, 1), nn.LeakyReLU(0.01))
        self.depth_conv = nn.Conv2d(i, i, 3, padding=1, groups=i)
        self.conv2 = nn.Conv2d(i, o, 1)
        self.adaptor = nn.Conv2d(i, o, 1) if i != o else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.depth_conv(self.conv1(x)))
        return out + (x if self.adaptor is None else self.adaptor(x))


class ConvFFN(nn.Module):
    """A gated pointwise layer plus the input: (B, c, H, W) -> (B, c, H, W)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c, 4 * c, 1)
        self.conv_out = nn.Conv2d(2 * c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.conv(x).chunk(2, dim=1)
        return x + self.conv_out(a * nnf.leaky_relu(b, 0.1))


class DepthConvBlock(nn.Module):
    """DepthConv, then ConvFFN: (B, i, H, W) -> (B, o, H, W)."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.block = nn.Sequential(DepthConv(i, o), ConvFFN(o))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


def frame_encoder(f: int) -> nn.Sequential:
    """Frame (B, 3, H, W) -> features (B, f, H, W)."""
    return nn.Sequential(
        ResidualBlock(3, f // 8),
        DepthConvBlock(f // 8, f // 8),
        ResidualBlock(f // 8, f // 4),
        DepthConvBlock(f // 4, f // 4),
        ResidualBlock(f // 4, f // 2),
        DepthConvBlock(f // 2, f // 2),
        nn.Conv2d(f // 2, f, 3, padding=1),
    )


def label_encoder(ll: int) -> nn.Sequential:
    """Label (B, 3, H, W) -> features (B, ll, H, W)."""
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, ll // 2, 7),
        nn.BatchNorm2d(ll // 2),
        nn.LeakyReLU(1.0),  # the identity; kept because the course's key numbering counts it
        ResidualBlock(ll // 2, ll),
    )


def gaussian_predictor(i: int, n: int) -> nn.Sequential:
    """Frame and label features (B, i, H, W) -> mu and log variance, stacked (B, 2n, H, W)."""
    return nn.Sequential(
        ResidualBlock(i, n // 4),
        DepthConvBlock(n // 4, n // 4),
        ResidualBlock(n // 4, n // 2),
        DepthConvBlock(n // 2, n // 2),
        ResidualBlock(n // 2, n),
        nn.LeakyReLU(1.0),
        nn.Conv2d(n, 2 * n, 1),
    )


def decoder_fusion(i: int, d: int) -> nn.Sequential:
    """Frame features, label features and z, stacked (B, i, H, W) -> (B, d, H, W)."""
    return nn.Sequential(
        DepthConvBlock(i, i),
        ResidualBlock(i, i // 4),
        DepthConvBlock(i // 4, i // 2),
        ResidualBlock(i // 2, i // 2),
        DepthConvBlock(i // 2, d // 2),
        nn.Conv2d(d // 2, d, 1),
    )


def generator(d: int) -> nn.Sequential:
    """Fused features (B, d, H, W) -> frame (B, 3, H, W), unbounded."""
    return nn.Sequential(
        DepthConvBlock(d, d),
        ResidualBlock(d, d // 2),
        DepthConvBlock(d // 2, d // 2),
        ResidualBlock(d // 2, d // 4),
        DepthConvBlock(d // 4, d // 4),
        ResidualBlock(d // 4, d // 8),
        DepthConvBlock(d // 8, d // 8),
        nn.Conv2d(d // 8, 3, 1),
    )


class Model(nn.Module):
    """The five parts under the course's names.

    Args:
        f_dim, l_dim, n_dim, d_out_dim: channels of frame features, label features, latent and fusion output.
    """

    def __init__(self, f_dim: int = 128, l_dim: int = 32, n_dim: int = 12, d_out_dim: int = 192) -> None:
        super().__init__()
        self.n_dim = n_dim
        self.frame_transformation = frame_encoder(f_dim)
        self.label_transformation = label_encoder(l_dim)
        self.Gaussian_Predictor = gaussian_predictor(f_dim + l_dim, n_dim)
        self.Decoder_Fusion = decoder_fusion(f_dim + l_dim + n_dim, d_out_dim)
        self.Generator = generator(d_out_dim)

    def posterior(self, frame: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """q(z | x_t, label_t) from features: mu and log variance, each (B, N, H, W)."""
        mu, logvar = self.Gaussian_Predictor(torch.cat([frame, label], dim=1)).chunk(2, dim=1)
        return mu, logvar

    def decode(self, previous: Tensor, label: Tensor, z: Tensor) -> Tensor:
        """Frame t (B, 3, H, W) from the previous frame's features, the label's, and z."""
        return self.Generator(self.Decoder_Fusion(torch.cat([previous, label, z], dim=1)))


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)) in nats: summed over latent values, averaged over the batch."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum() / mu.shape[0]


def clip_loss(
    model: Model, frames: Tensor, labels: Tensor, beta: float, teacher_forcing: bool, noise: Tensor | None = None
) -> Tensor:
    """MSE + beta * KL, averaged over frames 1 .. T-1 of a clip; arguments as `training_step`'s.

    A frame fed back is as the generator gave it, neither clamped nor cut from the graph.
    """
    b, t_len, _, h, w = frames.shape
    if noise is None:
        noise = torch.randn(t_len - 1, b, model.n_dim, h, w, device=frames.device)
    loss = frames.new_zeros(())
    previous = frames[:, 0]
    for t in range(1, t_len):
        label = model.label_transformation(labels[:, t])
        mu, logvar = model.posterior(model.frame_transformation(frames[:, t]), label)
        z = mu + torch.exp(logvar / 2) * noise[t - 1]
        frame = model.decode(model.frame_transformation(previous), label, z)
        loss = loss + nnf.mse_loss(frame, frames[:, t]) + beta * kl_divergence(mu, logvar)
        previous = frames[:, t] if teacher_forcing else frame
    return loss / (t_len - 1)


def make_optimizer(model: Model, lr: float = 1e-3) -> torch.optim.Adam:
    """Adam as the course's program has it."""
    return torch.optim.Adam(model.parameters(), lr=lr)


def training_step(
    model: Model,
    optimizer: torch.optim.Optimizer,
    frames: Tensor,
    labels: Tensor,
    beta: float,
    teacher_forcing: bool,
    noise: Tensor | None = None,
) -> Tensor:
    """One optimiser step in single precision, gradient norm clipped at 1.

    Args:
        frames, labels: (B, T, 3, H, W), T = 16 in the course.
        beta: weight of the KL.
        teacher_forcing: feed the true previous frame, otherwise the model's own.
        noise: (T-1, B, N, H, W), standard normal; drawn here when None.

    Returns:
        The loss before the step, a scalar without graph.
    """
    model.train()
    optimizer.zero_grad()
    loss = clip_loss(model, frames, labels, beta, teacher_forcing, noise)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def predict(model: Model, first_frame: Tensor, labels: Tensor, noise: Tensor | None = None) -> Tensor:
    """Free-running rollout from one true frame, in eval mode (and left in it).

    Args:
        first_frame: (B, 3, H, W).
        labels: (B, T, 3, H, W); label 0 belongs to the first frame and is not used.
        noise: (T-1, B, N, H, W), the z ~ N(0, I) of each frame; drawn here when None.

    Returns:
        (B, T-1, 3, H, W) in [0, 1]; the clamped frame is the one fed back.
    """
    model.eval()
    b, t_len, _, h, w = labels.shape
    previous, frames = first_frame, []
    for t in range(1, t_len):
        z = torch.randn(b, model.n_dim, h, w, device=labels.device) if noise is None else noise[t - 1]
        label = model.label_transformation(labels[:, t])
        previous = model.decode(model.frame_transformation(previous), label, z).clamp(0, 1)
        frames.append(previous)
    return torch.stack(frames, dim=1)
