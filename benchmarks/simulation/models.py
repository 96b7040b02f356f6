"""Small models of many kinds."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as everyone writes it
from torch import Tensor, nn


class Recurrent(nn.Module):
    """A recurrent layer and a linear one."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, features) to (batch, time, 1)."""
        value: Tensor = self.head(self.layer(x)[0])
        return value


class Cells(nn.Module):
    """A recurrent cell, stepped by hand."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, 8) to (batch, time, 1)."""
        state: Any = None
        outputs = []
        for step in x[:, :6].unbind(1):
            state = self.cell(step, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        value: Tensor = self.head(torch.stack(outputs, 1))
        return value


class Packed(nn.Module):
    """Sequences of different lengths, packed."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(batch, time, 8) to the error."""
        lengths = torch.arange(len(x), 0, -1) + 8
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        output, _ = nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0], batch_first=True)
        value: Tensor = self.head(output) - y[:, : output.shape[1]]
        return value


class Language(nn.Module):
    """A causal language model of Transformer layers."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.tokens = nn.Embedding(32, 32)
        self.positions = nn.Parameter(torch.zeros(24, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(32, 32)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, time) to logits of (batch, time, 32)."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=tokens.device)
        value: Tensor = self.head(self.layers(self.tokens(tokens) + self.positions, mask=mask, is_causal=True))
        return value


class Attention(nn.Module):
    """Attention by the plain function, with a mask of its own."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 48)
        self.head = nn.Linear(16, 1)
        self.register_buffer("mask", torch.ones(24, 24).tril().bool())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, 8) to (batch, time, 1)."""
        q, k, v = self.project(x).view(*x.shape[:2], 3, 2, 8).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        value: Tensor = self.head(mixed.transpose(1, 2).flatten(2))
        return value


class ViT(nn.Module):
    """Patches, a class token and Transformer layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True), 1)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 16, 16) to logits of (batch, 4)."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        value: Tensor = self.head(self.layers(torch.cat([self.token.expand(len(x), -1, -1), patches], 1))[:, 0])
        return value


class UNet(nn.Module):
    """Down, up, and a connection across."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU())
        self.middle = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.InstanceNorm2d(16), nn.ReLU())
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.head = nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """(batch, 3, h, w) to (batch, 1, h, w)."""
        down = self.down(x)
        up = F.interpolate(self.up(self.middle(down)), size=down.shape[-2:], mode="bilinear")
        value: Tensor = self.head(torch.cat([down, up], 1)).sigmoid()
        return value


class Residual(nn.Module):
    """Two residual blocks with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)) for _ in range(2)
        )
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 16, 16) to logits of (batch, 4)."""
        x = self.stem(x)
        for block in self.blocks:
            x = F.relu(x + block(x))
        value: Tensor = self.head(x.mean((2, 3)))
        return value


class VAE(nn.Module):
    """An encoder, a draw and a decoder; returns the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(20, 8), nn.Linear(4, 20)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """(batch, 20) to the terms of the loss."""
        mean, log_variance = self.encoder(x).chunk(2, -1)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum(-1)
        value: Tensor = (self.decoder(drawn) - x).pow(2).sum(-1).sqrt() + 0.01 * divergence
        return value


class Diffusion(nn.Module):
    """One step of denoising diffusion; returns the error of the predicted noise."""

    kept: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.cumprod(1 - torch.linspace(1e-4, 0.02, 50), 0))
        self.net = nn.Sequential(nn.Linear(21, 64), nn.SiLU(), nn.Linear(64, 20))

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """(batch, 20) to (batch, 20)."""
        times = torch.randint(0, 50, (len(x),), device=x.device)
        kept = self.kept[times].unsqueeze(-1)
        noise = torch.randn_like(x)
        noisy = kept.sqrt() * x + (1 - kept).sqrt() * noise
        value: Tensor = self.net(torch.cat([noisy, times.unsqueeze(-1) / 50], -1)) - noise
        return value


class GAN(nn.Module):
    """A generator's and a discriminator's loss in one."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = (
            nn.Linear(4, 20),
            nn.Sequential(nn.Linear(20, 16), nn.LeakyReLU(), nn.Linear(16, 1)),
        )

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """(batch, 20) to the sum of both losses."""
        fake = self.generator(torch.randn(len(x), 4, device=x.device))
        real_score, fake_score = self.discriminator(x), self.discriminator(fake.detach())
        return (
            F.binary_cross_entropy_with_logits(real_score, torch.ones_like(real_score))
            + F.binary_cross_entropy_with_logits(fake_score, torch.zeros_like(fake_score))
            + F.softplus(-self.discriminator(fake)).mean()
        )


class Graph(nn.Module):
    """Messages along edges, summed by scatter."""

    edges: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.message, self.head = nn.Linear(40, 20), nn.Linear(20, 1)
        self.register_buffer("edges", torch.randint(64, (2, 200)))

    def forward(self, x: Tensor) -> Tensor:
        """(nodes, 20) to (nodes, 1)."""
        source, target = self.edges
        messages = F.elu(self.message(torch.cat([x[source], x[target]], -1)))
        summed = torch.zeros_like(x).index_add(0, target, messages)
        degree = torch.zeros(len(x), device=x.device).scatter_add_(0, target, torch.ones_like(target, dtype=x.dtype))
        value: Tensor = self.head(summed / degree.clamp(min=1).unsqueeze(-1))
        return value


class Metric(nn.Module):
    """Embeddings trained by a triplet loss."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(20, 8)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """(batch, 20) to the loss."""
        embedded = F.normalize(self.net(x), dim=-1)
        anchor, positive, negative = embedded[:20], embedded[20:40], embedded[40:60]
        return F.triplet_margin_loss(anchor, positive, negative) + torch.cdist(anchor, negative).mean()


class Contrastive(nn.Module):
    """InfoNCE with a masked diagonal."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(20, 8)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """(batch, 20) to the loss."""
        embedded = F.normalize(self.net(x), dim=-1)
        similar = embedded @ embedded.T / 0.1
        similar = similar.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), float("-inf"))
        return F.cross_entropy(similar, torch.arange(len(x), device=x.device).roll(1))


class Policy(nn.Module):
    """A step of policy gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(20, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """States (batch, 20) to the loss."""
        policy: Any = torch.distributions.Categorical(logits=self.net(x))
        action = policy.sample()
        value: Tensor = -(policy.log_prob(action) * y[:, 0]).mean() - 0.01 * policy.entropy().mean()
        return value


class Experts(nn.Module):
    """A mixture of experts with a choice of the best two."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(20, 4), nn.ModuleList(nn.Linear(20, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 20) to (batch, 1)."""
        weights, chosen = self.gate(x).softmax(-1).topk(2, -1)
        outputs = torch.stack([expert(x) for expert in self.experts], 1).squeeze(-1)
        value: Tensor = (weights * outputs.gather(1, chosen)).sum(-1, keepdim=True)
        return value


class Speech(nn.Module):
    """Characters from frames, by the CTC loss."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.GRU(8, 16, bidirectional=True)
        self.head = nn.Linear(32, 12)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """(batch, 24, 8) to the loss."""
        scores = self.head(self.net(x.transpose(0, 1))[0]).log_softmax(-1)
        targets = torch.arange(1, 6, device=x.device).repeat(len(x), 1)
        lengths = torch.full((len(x),), 24), torch.full((len(x),), 5)
        return F.ctc_loss(scores, targets, *lengths)


class Checkpointed(nn.Module):
    """Activations that are computed twice to save memory."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.head = (
            nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 20)),
            nn.Linear(20, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 20) to (batch, 1)."""
        from torch.utils.checkpoint import checkpoint  # noqa: PLC0415

        value: Tensor = self.head(checkpoint(self.net, x, use_reentrant=False))
        return value


class Penalised(nn.Module):
    """A gradient penalty, which takes gradients of gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """(batch, 20) to the penalty and the score."""
        x = x.clone().requires_grad_()
        score = self.net(x)
        (grad,) = torch.autograd.grad(score.sum(), x, create_graph=True)
        value: Tensor = (grad.norm(dim=-1) - 1).pow(2) + score.squeeze(-1)
        return value
