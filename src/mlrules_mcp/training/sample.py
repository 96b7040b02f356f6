"""A small model that trains in a second, written the way the rules ask for: to be trained, and to be read.

It tells four waveforms apart (sine, triangle, square, sawtooth) of any frequency, phase and loudness under
noise. The data is made from a seed. The baseline to beat is chance: one in four.
"""

from __future__ import annotations

import math

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

WAVEFORMS = ("sine", "triangle", "square", "sawtooth")


def make_waveforms(examples: int, length: int, noise: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw waveforms of random shape, frequency, phase and loudness, under Gaussian noise.

    Args:
        examples: how many to draw.
        length: samples in each; they span 2 to 5 periods.
        noise: standard deviation of the noise; a waveform's amplitude is 0.5 to 1.5.
        generator: where the randomness comes from.

    Returns:
        The signals, float32 of shape (examples, 1, length), and their classes, int64 of shape (examples,),
        which index `WAVEFORMS`.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(examples, 1, generator=generator)

    turns = (uniform(2, 5) * torch.linspace(0, 1, length) + uniform(0, 1)) % 1
    shapes = (
        torch.sin(2 * math.pi * turns),
        4 * (turns - 0.5).abs() - 1,
        torch.where(turns < 0.5, 1.0, -1.0),
        2 * turns - 1,
    )
    classes = torch.randint(len(WAVEFORMS), (examples,), generator=generator)
    signals = uniform(0.5, 1.5) * torch.stack(shapes)[classes, torch.arange(examples)]
    return (signals + noise * torch.randn(examples, length, generator=generator)).unsqueeze(1), classes


class Waveforms(pl.LightningDataModule):
    """Made waveforms, split once into training (70 %), validation (15 %) and test data (15 %).

    Args:
        examples: how many waveforms to make.
        length: samples in each.
        noise: standard deviation of the noise.
        batch_size: examples in a batch.
        num_workers: processes that load batches; 0 loads them in the training process.
        seed: the data and its split follow from it.
    """

    def __init__(
        self,
        *,
        examples: int = 1024,
        length: int = 64,
        noise: float = 0.05,
        batch_size: int = 32,
        num_workers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.examples = examples
        self.length = length
        self.noise = noise
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed

    def setup(self, stage: str) -> None:
        """Make the data and split it: the same in every process and at every stage."""
        generator = torch.Generator().manual_seed(self.seed)
        dataset = TensorDataset(*make_waveforms(self.examples, self.length, self.noise, generator))
        self.training_data, self.validation_data, self.test_data = random_split(
            dataset, [0.7, 0.15, 0.15], generator=generator
        )

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The training data, in a new order each epoch."""
        return self._loader(self.training_data, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The validation data, which the best checkpoint is chosen by."""
        return self._loader(self.validation_data)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test data, to be looked at once, at the end."""
        return self._loader(self.test_data)

    def _loader(self, dataset: Dataset[tuple[Tensor, ...]], shuffle: bool = False) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            shuffle=shuffle,
            generator=torch.Generator().manual_seed(self.seed),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
        )


class WaveformClassifier(pl.LightningModule):
    """Two convolutions, an average over time and a linear layer.

    Args:
        channels: width of the first convolution; the second is twice as wide.
        dropout: share of the features dropped before the linear layer, in training.
        learning_rate: the highest rate of the one-cycle schedule.
        weight_decay: AdamW's decay.
    """

    def __init__(
        self,
        *,
        channels: int = 16,
        dropout: float = 0.1,
        learning_rate: float = 2e-2,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        # A batch norm follows each convolution and brings the bias.
        self.features = nn.Sequential(
            nn.Conv1d(1, channels, kernel_size=7, padding=3, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, 2 * channels, kernel_size=7, stride=2, padding=3, bias=False),
            nn.BatchNorm1d(2 * channels),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(2 * channels, len(WAVEFORMS))
        for layer in self.features:
            if isinstance(layer, nn.Conv1d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

        metrics = MetricCollection(
            {"accuracy": MulticlassAccuracy(len(WAVEFORMS)), "f1": MulticlassF1Score(len(WAVEFORMS))}
        )
        self.validation_metrics = metrics.clone(prefix="val_")
        self.test_metrics = metrics.clone(prefix="test_")

    def forward(self, signals: Tensor) -> Tensor:
        """Signals of shape (batch, 1, length) to logits of shape (batch, 4)."""
        logits: Tensor = self.classifier(self.features(signals))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of one batch."""
        signals, classes = batch
        loss = nn.functional.cross_entropy(self(signals), classes)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Logs the loss and the metrics over the validation data."""
        self._evaluate(batch, "val_loss", self.validation_metrics)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Logs the loss and the metrics over the test data."""
        self._evaluate(batch, "test_loss", self.test_metrics)

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The probability of each class, of shape (batch, 4)."""
        signals, _ = batch
        probabilities: Tensor = self(signals).softmax(dim=-1)
        return probabilities

    def _evaluate(self, batch: tuple[Tensor, Tensor], name: str, metrics: MetricCollection) -> None:
        signals, classes = batch
        logits = self(signals)
        self.log(name, nn.functional.cross_entropy(logits, classes), sync_dist=True)
        metrics.update(logits, classes)
        self.log_dict(metrics)  # Lightning computes and resets the metrics once an epoch, over all processes

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW under a one-cycle schedule that moves with every step."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.learning_rate, total_steps=int(self.trainer.estimated_stepping_batches)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_callbacks(self) -> ModelCheckpoint:
        """Keep the checkpoint that is most accurate on the validation data."""
        return ModelCheckpoint(monitor="val_accuracy", mode="max")
