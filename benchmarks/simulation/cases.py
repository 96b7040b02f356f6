"""What the simulated device is compared with plain CPU training on: models, each with a batch and a loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - as everyone writes it
from models import (
    GAN,
    VAE,
    Attention,
    Cells,
    Checkpointed,
    Contrastive,
    Diffusion,
    Experts,
    Graph,
    Language,
    Metric,
    Packed,
    Penalised,
    Policy,
    Recurrent,
    Residual,
    Speech,
    UNet,
    ViT,
)
from torch import Tensor, nn


class Case(NamedTuple):
    """A model and what its loss is.

    Attributes:
        make: makes the model; it is moved to the device afterwards.
        batch: makes tensors on the CPU, which are moved to the device.
        loss: the loss of the model on a batch, of no dimensions.
        optimizer: makes the optimizer of the model's parameters.
    """

    make: Callable[[], nn.Module]
    batch: Callable[[], tuple[Tensor, ...]]
    loss: Callable[[Any, tuple[Tensor, ...]], Tensor]
    optimizer: Callable[[Any], torch.optim.Optimizer] = partial(torch.optim.AdamW, lr=1e-3)


def _regression(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    return F.mse_loss(model(batch[0]), batch[1])


def _classification(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    return F.cross_entropy(model(batch[0]).flatten(0, -2), batch[1].flatten())


def _mean(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    value: Tensor = model(*batch)
    return value.float().pow(2).mean()


def _table(classes: int = 0) -> tuple[Tensor, Tensor]:
    x = torch.randn(64, 20)
    return x, torch.randint(classes, (64,)) if classes else x[:, :1]


def _images(classes: int = 4, size: int = 16) -> tuple[Tensor, Tensor]:
    return torch.randn(16, 3, size, size), torch.randint(classes, (16,))


def _tokens() -> tuple[Tensor, Tensor]:
    return torch.randint(32, (16, 24)), torch.randint(32, (16, 24))


def _series(size: int = 8) -> tuple[Tensor, Tensor]:
    x = torch.randn(16, 24, size)
    return x, x.sum(-1, keepdim=True)


def _mlp(
    activation: Callable[[], nn.Module] = nn.ReLU, out: int = 1, extra: Callable[[], nn.Module] = nn.Identity
) -> nn.Module:
    return nn.Sequential(nn.Linear(20, 64), extra(), activation(), nn.Linear(64, 64), activation(), nn.Linear(64, out))


def _cnn(extra: Callable[[], nn.Module] = nn.Identity, pool: Callable[[int], nn.Module] = nn.MaxPool2d) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        extra(),
        nn.ReLU(),
        pool(2),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


def _lightning_transformer() -> nn.Module:
    from lightning.pytorch.demos.transformer import Transformer  # noqa: PLC0415

    model: nn.Module = Transformer(vocab_size=32, ninp=32, nhead=4, nhid=32, nlayers=1, dropout=0.0)
    return model


def _boring() -> nn.Module:
    from lightning.pytorch.demos.boring_classes import BoringModel  # noqa: PLC0415

    model: nn.Module = BoringModel()
    return model


def _waveforms() -> nn.Module:
    from mlrules_mcp.training.sample import WaveformClassifier  # noqa: PLC0415

    return WaveformClassifier()


def _with_metric(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    from torchmetrics.classification import MulticlassAccuracy  # noqa: PLC0415

    scores = model(batch[0])
    accuracy = MulticlassAccuracy(4).to(scores.device)(scores, batch[1])
    loss: Tensor = F.cross_entropy(scores, batch[1]) + 0 * accuracy
    return loss


_four = partial(_table, 4)
_sgd = partial(torch.optim.SGD, lr=1e-2, momentum=0.9)

MODELS: dict[str, Case] = {
    "mlp": Case(_mlp, _table, _regression),
    "mlp, dropout": Case(partial(_mlp, nn.ReLU, 1, partial(nn.Dropout, 0.2)), _table, _regression),
    "mlp, batch norm": Case(partial(_mlp, nn.ReLU, 1, partial(nn.BatchNorm1d, 64)), _table, _regression),
    "mlp, layer norm, GELU": Case(partial(_mlp, nn.GELU, 1, partial(nn.LayerNorm, 64)), _table, _regression),
    "mlp, weight norm": Case(
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(20, 1))), _table, _regression
    ),
    "classifier": Case(partial(_mlp, out=4), _four, _classification),
    "SGD": Case(_mlp, _table, _regression, _sgd),
    "SGD, foreach": Case(_mlp, _table, _regression, partial(_sgd, foreach=True)),
    "Adam, foreach": Case(_mlp, _table, _regression, partial(torch.optim.Adam, lr=1e-3, foreach=True)),
    "AdamW, fused": Case(_mlp, _table, _regression, partial(torch.optim.AdamW, lr=1e-3, fused=True)),
    "RMSprop": Case(_mlp, _table, _regression, partial(torch.optim.RMSprop, lr=1e-3)),
    "Adagrad": Case(_mlp, _table, _regression, partial(torch.optim.Adagrad, lr=1e-2)),
    "cnn": Case(_cnn, _images, _classification),
    "cnn, batch norm": Case(partial(_cnn, partial(nn.BatchNorm2d, 16)), _images, _classification),
    "cnn, group norm, average pool": Case(
        partial(_cnn, partial(nn.GroupNorm, 4, 16), nn.AvgPool2d), _images, _classification
    ),
    "residual network": Case(Residual, _images, _classification),
    "conv1d": Case(
        lambda: nn.Sequential(nn.Conv1d(24, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)),
        lambda: (_series()[0], torch.randint(4, (16,))),
        _classification,
    ),
    "conv3d": Case(
        lambda: nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 216, 4)),
        lambda: (torch.randn(4, 1, 8, 8, 8), torch.randint(4, (4,))),
        _classification,
    ),
    "U-Net": Case(UNet, _images, _mean),
    "ViT": Case(ViT, _images, _classification),
    "language model": Case(Language, _tokens, _classification),
    "attention": Case(Attention, _series, _regression),
    "multi-head attention": Case(
        lambda: Recurrent(nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True), 8),
        _series,
        lambda model, batch: F.mse_loss(model.head(model.layer(batch[0], batch[0])), batch[1]),
    ),
    "embedding bag": Case(
        lambda: nn.Sequential(nn.EmbeddingBag(32, 8), nn.Linear(8, 4)),
        lambda: (torch.randint(32, (16, 5)), torch.randint(4, (16,))),
        _classification,
    ),
    "rnn": Case(lambda: Recurrent(nn.RNN(8, 16, batch_first=True), 16), _series, _regression),
    "lstm": Case(lambda: Recurrent(nn.LSTM(8, 16, 2, batch_first=True, dropout=0.1), 16), _series, _regression),
    "gru, bidirectional": Case(
        lambda: Recurrent(nn.GRU(8, 16, batch_first=True, bidirectional=True), 32), _series, _regression
    ),
    "lstm cell": Case(lambda: Cells(nn.LSTMCell(8, 16)), lambda: (_series()[0], torch.randn(16, 6, 1)), _regression),
    "gru cell": Case(lambda: Cells(nn.GRUCell(8, 16)), lambda: (_series()[0], torch.randn(16, 6, 1)), _regression),
    "packed lstm": Case(Packed, _series, _mean),
    "speech, CTC": Case(Speech, _series, _mean),
    "VAE": Case(VAE, _table, _mean),
    "GAN": Case(GAN, _table, _mean),
    "diffusion": Case(Diffusion, _table, _mean),
    "graph, scatter": Case(Graph, _table, _regression),
    "triplets": Case(Metric, _table, _mean),
    "contrastive": Case(Contrastive, _table, _mean),
    "policy gradient": Case(Policy, _table, _mean),
    "mixture of experts": Case(Experts, _table, _regression),
    "checkpointing": Case(Checkpointed, _table, _regression),
    "gradient penalty": Case(Penalised, _table, _mean),
    "complex spectrum": Case(
        lambda: nn.Linear(13, 1),
        _series,
        lambda model, batch: F.mse_loss(model(torch.fft.rfft(batch[0], dim=1).abs().transpose(1, 2)), batch[1][:, :8]),
    ),
    "Lightning's Transformer": Case(
        _lightning_transformer, _tokens, lambda model, batch: F.nll_loss(model(*batch), batch[1].flatten())
    ),
    "Lightning's BoringModel": Case(
        _boring, lambda: (torch.randn(8, 32),), lambda model, batch: model.training_step(batch[0], 0)["loss"]
    ),
    "waveforms, torchmetrics": Case(
        _waveforms, lambda: (torch.randn(16, 1, 64), torch.randint(4, (16,))), _with_metric
    ),
}
