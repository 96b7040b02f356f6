"""A callback that watches a training and writes down what the checks ask for, without slowing it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.optim import Optimizer

from mlrules_mcp.training import devices

NO_GRADIENT = -1.0


class Recorder(pl.Callback):
    """Collects losses, gradient norms, validation values and speed; nothing is copied from the device meanwhile.

    Args:
        device: the kind of device, whose work is awaited where the clock is read.
    """

    def __init__(self, device: str) -> None:
        self.metric: str | None = None
        self.mode: str | None = None
        self.validation: list[float] = []
        self.parameters: list[str] = []
        self.rates_by_epoch: list[list[float]] = []
        self._device = device
        self._losses: list[Tensor] = []
        self._norms: list[tuple[list[int], Tensor]] = []
        self._clock_started: float | None = None
        self._timed_steps = 0
        self._timed_seconds = 0.0

    @property
    def losses(self) -> Tensor:
        """The training losses, float32 of shape (steps,), on the CPU; empty if the steps returned none."""
        if not self._losses:
            return torch.zeros(0)
        return torch.stack(self._losses).float().cpu()

    @property
    def gradient_norms(self) -> Tensor:
        """The 2-norm of each parameter's gradient before each optimizer step, `NO_GRADIENT` where there was none.

        Float32 of shape (optimizer steps, parameters), on the CPU, columns in the order of `parameters`.
        """
        norms = torch.full((len(self._norms), len(self.parameters)), NO_GRADIENT)
        for row, (columns, values) in enumerate(self._norms):
            norms[row, columns] = values.float().cpu()
        return norms

    @property
    def rates(self) -> list[float]:
        """The learning rate of each step of the first optimizer, and of its first group of parameters."""
        return [rate for epoch in self.rates_by_epoch for rate in epoch]

    @property
    def steps_per_second(self) -> float | None:
        """Loading, forward, backward and step, without the first step and without validation."""
        return self._timed_steps / self._timed_seconds if self._timed_seconds else None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note which parameters are to be trained."""
        self.parameters = [name for name, value in pl_module.named_parameters() if value.requires_grad]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to note an epoch's rates."""
        self.rates_by_epoch.append([])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock, except for the first step, which pays for everything that is set up once."""
        if self._losses and self._clock_started is None:
            devices.synchronize(self._device)
            self._clock_started = time.perf_counter()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Note the norms of the gradients that the optimizer is about to use, and the first optimizer's rate."""
        if optimizer is trainer.optimizers[0]:
            self.rates_by_epoch[-1].append(float(optimizer.param_groups[0]["lr"]))
        columns, norms = [], []
        values = dict(pl_module.named_parameters())
        for column, name in enumerate(self.parameters):
            gradient = values[name].grad
            if gradient is not None:
                dense = gradient.coalesce().values() if gradient.is_sparse else gradient
                columns.append(column)
                norms.append(torch.linalg.vector_norm(dense.detach()))
        self._norms.append((columns, torch.stack(norms) if norms else torch.zeros(0)))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            self._losses.append(loss.detach())
        if self._clock_started is not None:
            self._timed_steps += 1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._stop_clock()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._stop_clock()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the value of the metric that checkpoints are chosen by, or else of the first one logged."""
        if self.metric is None:
            checkpoint = trainer.checkpoint_callback
            if isinstance(checkpoint, ModelCheckpoint) and checkpoint.monitor in trainer.callback_metrics:
                self.metric, self.mode = checkpoint.monitor, checkpoint.mode
            else:
                self.metric = next(iter(trainer.callback_metrics), None)
        if self.metric in trainer.callback_metrics:
            self.validation.append(float(trainer.callback_metrics[self.metric]))

    def _stop_clock(self) -> None:
        if self._clock_started is not None:
            devices.synchronize(self._device)
            self._timed_seconds += time.perf_counter() - self._clock_started
            self._clock_started = None
