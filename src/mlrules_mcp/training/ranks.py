"""A short training on the CPU in two processes, and the same one in one process."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from mlrules_mcp.training.errors import NotApplicableError, TrainingFailedError, quote
from mlrules_mcp.training.places import of_error
from mlrules_mcp.training.processes import run_together
from mlrules_mcp.training.trials import Subject, Trials

STEPS = 5
PROCESSES = 2
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rank:
    """What one process saw.

    Attributes:
        rank: its number.
        losses: of its batches, float32 of shape (steps,).
        weights: the trained parameters afterwards.
        metrics: what validation logged.
    """

    rank: int
    losses: Tensor
    weights: Mapping[str, Tensor]
    metrics: Mapping[str, float]


def together(trials: Trials) -> list[Rank]:
    """Train in two processes, each on every other batch.

    Raises:
        NotApplicableError: this machine can't do that, or the subject can't be sent to another process.
        TrainingFailedError: training raised.
    """
    subject = trials.subject
    try:
        sent = pickle.dumps(subject.remake or partial(_itself, subject))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise NotApplicableError(f"The model can't be made anew in another process: {quote(error)}.") from error
    found = run_together(_in_rank, (sent, trials.seed, trials.folder), count=PROCESSES, seconds=SECONDS)
    return [
        Rank(
            rank, torch.from_numpy(losses), {name: torch.from_numpy(value) for name, value in weights.items()}, metrics
        )
        for rank, (losses, weights, metrics) in enumerate(found)
    ]


def _itself(subject: Subject) -> Subject:
    return subject


def _in_rank(rank: int, sent: bytes, seed: int, folder: Path) -> tuple[Any, Any, Any]:
    """One of the processes: its losses, weights and metrics, as arrays and numbers."""
    subject = pickle.loads(sent)()
    arguments = {"strategy": DDPStrategy(process_group_backend="gloo"), "plugins": [TorchElasticEnvironment()]}
    done = _train(subject, seed, folder, slice(rank, None, PROCESSES), devices=PROCESSES, **arguments)
    # Tensors would be sent as files that are gone with this process.
    return done.losses.numpy(), {name: value.numpy() for name, value in done.weights.items()}, done.metrics


def alone(trials: Trials) -> list[Rank] | None:
    """Train in this process on both batches of each step: what each of the two has to see.

    None if the model runs its optimizers itself: nobody but itself can then accumulate gradients.
    """
    if not trials.first.model.automatic_optimization:
        return None
    arguments = {"accumulate_grad_batches": PROCESSES, "plugins": [LightningEnvironment()]}
    done = _train(trials.subject, trials.seed, trials.folder, slice(None), devices=1, **arguments)
    return [Rank(rank, done.losses[rank::PROCESSES], done.weights, done.metrics) for rank in range(PROCESSES)]


def _first(loader: Any) -> list[Any]:
    """The first batches for all processes, again from the first one where there are too few."""
    if isinstance(loader, Mapping | list | tuple):
        raise NotApplicableError("The data comes from several loaders at once.")
    batches = list(islice(loader, STEPS * PROCESSES))
    if not batches:
        raise NotApplicableError("The loader gives no batch.")
    return list(islice(cycle(batches), STEPS * PROCESSES))


class _Loader:
    """A loader that gives these batches."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(copy.deepcopy(self.batches))

    def __len__(self) -> int:
        return len(self.batches)


class _Losses(pl.Callback):
    """Notes the losses, and makes each step draw the same random numbers wherever it is taken."""

    def __init__(self, seed: int) -> None:
        self.losses: list[Tensor] = []
        self.metrics: dict[str, float] = {}
        self._seed = seed
        self._known: set[str] = set()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Draw anew."""
        pl.seed_everything(self._seed + batch_idx // trainer.accumulate_grad_batches, workers=True, verbose=False)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss, which Lightning has divided by the batches that are accumulated."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            self.losses.append(loss.detach().float().cpu() * trainer.accumulate_grad_batches)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what training has logged: its metrics are each process's own."""
        self._known = set(trainer.callback_metrics)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what validation has logged."""
        logged = trainer.callback_metrics.items()
        self.metrics = {name: float(value) for name, value in logged if name not in self._known}


def _train(subject: Subject, seed: int, folder: Path, part: slice, **arguments: Any) -> Rank:
    """Train a fresh model on the CPU, on a part of the first batches, then validate it on the same part of those.

    Raises:
        TrainingFailedError: something raised.
    """
    torch.set_num_threads(subject.threads or 1)
    watcher = _Losses(seed)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=STEPS,
        max_epochs=1,
        callbacks=[watcher],
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=folder / "ranks",
        enable_checkpointing=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **arguments,
    )
    try:
        pl.seed_everything(seed, workers=True, verbose=False)
        model, data = subject.model(), subject.data()
        _cut(data, part, seed)
        trainer.fit(model, data)
    except NotApplicableError:
        raise
    except (Exception, SystemExit) as error:
        raise TrainingFailedError(quote(error), of_error(error, subject.source)) from error
    weights = {name: value.detach().cpu() for name, value in model.named_parameters() if value.requires_grad}
    losses = torch.stack(watcher.losses) if watcher.losses else torch.zeros(0)
    return Rank(trainer.global_rank, losses, weights, watcher.metrics)


def _cut(data: pl.LightningDataModule, part: slice, seed: int) -> None:
    """Give a part of the first batches alone, of the training data and of the validation data.

    A strategy may draw random numbers before the data does: the order of the data is to follow from the seed.
    """

    def cut(original: Callable[[], Any]) -> _Loader:
        pl.seed_everything(seed, workers=True, verbose=False)
        return _Loader(_first(original())[part])

    for name in ("train_dataloader", "val_dataloader"):
        if is_overridden(name, data):
            setattr(data, name, partial(cut, getattr(data, name)))
