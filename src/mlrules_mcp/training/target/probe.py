"""Takes a module's first steps on the CPU: whether it takes a batch at all, and how long a step lasts."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from mlrules_mcp.training.loggers import QuietLogger

STEPS = 2
# Torch broadcasts such targets and computes a loss that nobody meant.
_MISMATCH = r"Using a target size"


@dataclass(frozen=True, slots=True)
class Probe:
    """What the first steps showed.

    Attributes:
        error: what raised, None if nothing did.
        seconds: of the last step that was done; None if none was.
        finite: whether each loss was.
    """

    error: BaseException | None
    seconds: float | None
    finite: bool


def take_steps(
    model: Callable[[], pl.LightningModule], data: Callable[[], pl.LightningDataModule], *, seed: int, folder: Path
) -> Probe:
    """Train for two steps and say how it went.

    Args:
        model: makes the model.
        data: makes its data.
        seed: what the randomness follows from.
        folder: for what Lightning may write.
    """
    watcher = _Watcher()
    error: BaseException | None = None
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=_MISMATCH)
        try:
            pl.seed_everything(seed, workers=True, verbose=False)
            trainer = pl.Trainer(
                accelerator="cpu",
                devices=1,
                max_epochs=1,
                limit_train_batches=STEPS,
                limit_val_batches=1,
                num_sanity_val_steps=0,
                callbacks=[watcher],
                default_root_dir=folder,
                logger=QuietLogger(folder),
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(model(), data())
        except (Exception, SystemExit) as raised:
            error = raised
    return Probe(error, watcher.seconds, watcher.finite)


class _Watcher(pl.Callback):
    def __init__(self) -> None:
        self.seconds: float | None = None
        self.finite = True
        self._start = 0.0

    def on_train_batch_start(self, *args: Any) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, model: pl.LightningModule, outputs: Any, *args: Any) -> None:
        self.seconds = time.perf_counter() - self._start
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor) and not torch.isfinite(loss).all():
            self.finite = False


def fitting_length(seconds: float | None, budget: float = 2.0, most: int = 8) -> tuple[int, int]:
    """How many batches to train on, and how often, so that one training takes about the budget; at least two steps.

    Args:
        seconds: of a step; None if it is not known.
        budget: seconds for one training.
        most: batches.
    """
    steps = max(2, min(4 * most, math.floor(budget / seconds))) if seconds else 4
    batches = max(2, min(most, steps // 2))
    return batches, max(1, steps // batches)
