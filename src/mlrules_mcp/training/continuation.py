"""The first steps of a training's second epoch, reached without a stop or from a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from mlrules_mcp.training import compare
from mlrules_mcp.training.bench import Looked, tensors_of
from mlrules_mcp.training.errors import NotApplicableError
from mlrules_mcp.training.trials import Trials

STEPS = 5
FILE = "interrupted.ckpt"

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Continuation:
    """The first steps of the second epoch.

    Attributes:
        path: the checkpoint of the first epoch's end.
        losses: of the steps, float32 of shape (steps,), on the CPU.
        weights: the model's state after them.
        state: what there was before them, by kind: weights, optimizers, schedulers, attributes.
        batches: what the loader gave.
        data_order: `kept` if a fresh loader gives the batches in the same order, or `starts anew`; else empty.
    """

    path: Path
    losses: Tensor
    weights: Tensors
    state: Mapping[str, Mapping[str, Any]]
    batches: list[Any]
    data_order: str = ""

    def differs_from(self, other: Continuation) -> tuple[str, str]:
        """What was not the same before the steps, for people, and the model's attribute that it lies in, if in one."""
        for name, value in self.state["attributes"].items():
            if name in other.state["attributes"] and other.state["attributes"][name] != value:
                found = other.state["attributes"][name]
                return f"self.{name} is {found} where it was {value}, and is not in the checkpoint", name
        for kind in ("weights", "optimizers", "schedulers"):
            ours, theirs = (tensors_of("", _as_tensors(each.state[kind])) for each in (self, other))
            apart, name = compare.largest_difference(ours, theirs)
            if apart:
                return f"{kind} differ in {name.strip('.')}", name.strip(".") if kind == "weights" else ""
        return "something that is in no parameter, buffer, optimizer or scheduler differs", ""


def uninterrupted(trials: Trials) -> Continuation:
    """Train on after the first epoch, and leave a checkpoint of its end in the folder of the trials.

    Raises:
        NotApplicableError: the data comes from several loaders at once.
    """
    return _watched(trials, None)


def resumed(trials: Trials, before: Continuation) -> Continuation:
    """Train on from that checkpoint with a fresh model on the same batches; TrainingFailedError may pass through."""
    return _watched(trials, before)


def _watched(trials: Trials, before: Continuation | None) -> Continuation:
    path = before.path if before else trials.folder / FILE
    watcher = _Watcher(trials.seed, None if before else path, before.batches if before else [])
    trials.watch(watcher, tap=watcher.tap, resume=path if before else None, least_epochs=2)
    order = watcher.loader.order if watcher.loader else ""
    return Continuation(path, torch.stack(watcher.losses), watcher.weights, watcher.state, watcher.batches, order)


class _Watcher(Checkpoint):
    """Saves at the end of the first epoch, then follows the steps. A `Checkpoint` comes last at an epoch's end."""

    def __init__(self, seed: int, path: Path | None, batches: list[Any]) -> None:
        self.losses: list[Tensor] = []
        self.weights: Tensors = {}
        self.state: Mapping[str, Mapping[str, Any]] = {}
        self.batches = batches
        self.loader: _Tapped | None = None
        self._seed = seed
        self._path = path

    def tap(self, data: pl.LightningDataModule) -> None:
        """Stand between the data and the trainer."""
        original = data.train_dataloader

        def train_dataloader() -> Any:
            loader = original()
            if not hasattr(loader, "__iter__") or isinstance(loader, Mapping | list | tuple):
                raise NotApplicableError("The data comes from several loaders at once.")
            self.loader = _Tapped(loader, self.batches, replays=self._path is None)
            return self.loader

        data.train_dataloader = train_dataloader  # type: ignore[method-assign]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note what there is before the first step, and draw the same random numbers in each."""
        if trainer.current_epoch == 0:
            return
        if not self.losses:
            self.state = _state(trainer, pl_module)
        pl.seed_everything(self._seed + len(self.losses), workers=True, verbose=False)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss, and look at the weights after the last step."""
        if trainer.current_epoch == 0:
            return
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        self.losses.append(loss.detach().float().cpu() if isinstance(loss, Tensor) else torch.zeros(()))
        if len(self.losses) == STEPS or trainer.is_last_batch:
            self.weights = _copied(pl_module.state_dict())
            raise Looked

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, as a ModelCheckpoint would."""
        if self._path is not None:
            trainer.save_checkpoint(self._path)


class _Tapped:
    """A loader that keeps the first batches of an epoch, or gives those that another one kept."""

    def __init__(self, loader: Any, batches: list[Any], replays: bool) -> None:
        self.order = ""
        self._loader = loader
        self._batches = batches
        self._replays = replays

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        if self._replays:
            if not getattr(self._loader, "num_workers", 0):
                first, kept = (tensors_of("", each) for each in (next(iter(self._loader), None), self._batches[0]))
                same = compare.largest_difference(first, kept)[0] == 0
                self.order = "kept" if same else "starts anew"
            yield from copy.deepcopy(self._batches)
            return
        self._batches.clear()
        for batch in self._loader:
            if len(self._batches) < STEPS:
                self._batches.append(copy.deepcopy(batch))
            yield batch


def _state(trainer: pl.Trainer, model: pl.LightningModule) -> dict[str, dict[str, Any]]:
    schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
    return {
        "weights": dict(_copied(model.state_dict())),
        "optimizers": {str(i): copy.deepcopy(each.state_dict()) for i, each in enumerate(trainer.optimizers)},
        "schedulers": {str(i): copy.deepcopy(each.state_dict()) for i, each in enumerate(schedulers)},
        "attributes": _attributes(model),
    }


def _attributes(model: pl.LightningModule) -> dict[str, Any]:
    """The numbers that the model keeps in attributes of its own, by name; tensors outside of buffers as numbers."""
    ignored = {"training", *vars(pl.LightningModule())}
    found: dict[str, Any] = {}
    for name, value in vars(model).items():
        if name not in ignored and isinstance(value, bool | int | float | str):
            found[name] = value
        elif name not in ignored and isinstance(value, Tensor) and value.numel() == 1:
            found[name] = value.item()
    return found


def _as_tensors(value: Any) -> Any:
    """The same with its numbers as tensors."""
    if isinstance(value, Mapping):
        return {str(key): _as_tensors(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_tensors(each) for each in value]
    return torch.tensor(value, dtype=torch.float64) if isinstance(value, bool | int | float) else value


def _copied(state: Mapping[str, Any]) -> Tensors:
    return {key: value.detach().cpu().clone() for key, value in state.items() if isinstance(value, Tensor)}
