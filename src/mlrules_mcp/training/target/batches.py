"""Makes batches from a specification: for a module that comes without data."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mlrules_mcp.training.errors import TrainingError

BATCHES = 8


def make(spec: Any, generator: torch.Generator) -> Any:
    """A batch from its specification.

    A tensor is `{"shape": [8, 3, 32, 32], "dtype": "float32", "low": …, "high": …}`: drawn from the standard normal
    distribution, or uniformly from `low` to `high` where one of them is given; integers and booleans uniformly
    from `low` (0) to below `high` (2). Lists and objects are batches with such parts; any other value is itself.

    Raises:
        TrainingError: PyTorch has no such dtype, or the bounds are empty.
    """
    if isinstance(spec, list):
        return [make(part, generator) for part in spec]
    if not isinstance(spec, dict):
        return spec
    if "shape" not in spec:
        return {name: make(part, generator) for name, part in spec.items()}
    return _tensor(spec, generator)


def _tensor(spec: dict[str, Any], generator: torch.Generator) -> Tensor:
    shape, dtype = spec["shape"], getattr(torch, str(spec.get("dtype", "float32")), None)
    if not isinstance(dtype, torch.dtype):
        raise TrainingError("bad-argument", f"batch: PyTorch has no dtype {spec['dtype']!r}.")
    try:
        if not (dtype.is_floating_point or dtype.is_complex):
            low, high = int(spec.get("low", 0)), int(spec.get("high", 2))
            return torch.randint(low, high, shape, generator=generator).to(dtype)
        if spec.keys() & {"low", "high"}:
            start, end = float(spec.get("low", 0.0)), float(spec.get("high", 1.0))
            return (start + (end - start) * torch.rand(shape, generator=generator)).to(dtype)
        if dtype.is_complex:
            return torch.randn(shape, generator=generator, dtype=dtype)
        return torch.randn(shape, generator=generator).to(dtype)
    except RuntimeError as error:
        raise TrainingError("bad-argument", f"batch: no tensor can be made of {spec}: {error}.") from None


class _Batches(Dataset[Any]):
    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        return self.batches[index]


class MadeData(pl.LightningDataModule):
    """Batches of one specification: `BATCHES` to train on, again in each epoch, and two others to validate on.

    Args:
        spec: see `make`.
        seed: what the numbers follow from.
    """

    def __init__(self, spec: Any, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        made = [make(spec, generator) for _ in range(BATCHES + 2)]
        self.training, self.validation = _Batches(made[:BATCHES]), _Batches(made[BATCHES:])

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches to train on."""
        return DataLoader(self.training, batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """The batches to validate on."""
        return DataLoader(self.validation, batch_size=None)
