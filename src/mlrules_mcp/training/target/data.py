"""The user's own data, fit to be used by the checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader")


def without_workers(data: pl.LightningDataModule, on_workers: Callable[[int], None]) -> pl.LightningDataModule:
    """The same DataModule, whose loaders load in the process that trains: an error keeps the line that raised it.

    Args:
        data: the user's.
        on_workers: told how many workers a loader would have had, if any.
    """
    for name in _LOADERS:
        if is_overridden(name, data):
            setattr(data, name, _in_process(getattr(data, name), on_workers))
    return data


def own_data(model: pl.LightningModule, on_workers: Callable[[int], None]) -> pl.LightningDataModule | None:
    """A DataModule that asks a model of this class for its own loaders; None if it has none to train with."""
    names = [name for name in _LOADERS if is_overridden(name, model)]
    if "train_dataloader" not in names:
        return None

    def asking(name: str) -> Callable[[pl.LightningDataModule], Any]:
        def loader(self: pl.LightningDataModule) -> Any:
            assert self.trainer is not None
            return _reloaded(getattr(self.trainer.lightning_module, name)(), on_workers)

        return loader

    own: pl.LightningDataModule = type("OwnData", (pl.LightningDataModule,), {name: asking(name) for name in names})()
    return own


def _in_process(loader: Callable[..., Any], on_workers: Callable[[int], None]) -> Callable[..., Any]:
    @wraps(loader)
    def called(*args: Any, **kwargs: Any) -> Any:
        return _reloaded(loader(*args, **kwargs), on_workers)

    return called


def _reloaded(loaders: Any, on_workers: Callable[[int], None]) -> Any:
    """Loaders, in whatever they are nested, with their workers taken away."""
    if isinstance(loaders, DataLoader):
        if loaders.num_workers:
            on_workers(loaders.num_workers)
            # The constructor forbids these together with no workers, and Lightning may call it again.
            vars(loaders).update(num_workers=0, prefetch_factor=None, timeout=0, persistent_workers=False)
            saved = getattr(loaders, "__pl_saved_kwargs", None)
            for name in ("num_workers", "prefetch_factor", "timeout", "persistent_workers", "multiprocessing_context"):
                (saved or {}).pop(name, None)
    elif isinstance(loaders, CombinedLoader):
        _reloaded(loaders.iterables, on_workers)
    elif isinstance(loaders, Mapping):
        for each in loaders.values():
            _reloaded(each, on_workers)
    elif isinstance(loaders, list | tuple):
        for each in loaders:
            _reloaded(each, on_workers)
    return loaders
