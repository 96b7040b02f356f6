"""One batch on the bench: a fresh model and its first batch, on the device, for checks that need no whole training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from mlrules_mcp.training.errors import NotApplicableError


@dataclass(frozen=True, slots=True)
class Bench:
    """A fresh model and its first training batch, in the midst of a training that goes no further.

    Attributes:
        model: on the device, in training mode, attached to the trainer.
        batch: on the device, as the training step gets it.
        trainer: with the model's optimizers.
        device: the kind of device.
        seed: what the random draws of each loss follow from.
    """

    model: pl.LightningModule
    batch: Any
    trainer: pl.Trainer
    device: str
    seed: int

    def loss(self, batch: Any = None, seed: int | None = None) -> Tensor:
        """The training step's loss for a batch, by default the first one; the same draws for the same seed.

        Raises:
            NotApplicableError: the step returns no loss that gradients could come from, or takes its own steps.
        """
        if not self.model.automatic_optimization:
            raise NotApplicableError("The training step runs its optimizers itself.")
        torch.manual_seed(self.seed if seed is None else seed)
        given = (self.batch if batch is None else batch,)
        takes_index = is_param_in_hook_signature(self.model.training_step, "batch_idx", min_args=2)
        result = self.trainer.strategy.training_step(*given, *([0] if takes_index else []))
        loss = result.get("loss") if isinstance(result, Mapping) else result
        if not isinstance(loss, Tensor) or not loss.requires_grad:
            raise NotApplicableError("The training step returns no loss that has a gradient.")
        return loss

    def gradients(self, batch: Any = None, seed: int | None = None, scale: float = 1.0) -> tuple[float, Tensor]:
        """The loss of a batch and the gradients of all parameters in a row, float64 of shape (numbers,), on the CPU.

        While they are computed, the gradients are so many times as large as `scale` says, as under a GradScaler.
        """
        self.model.zero_grad()
        loss = self.loss(batch, seed)
        (loss * scale).backward()  # type: ignore[no-untyped-call]
        trained = [each for each in self.model.parameters() if each.requires_grad]
        row = [(torch.zeros_like(each) if each.grad is None else each.grad.to_dense()).flatten() for each in trained]
        return loss.item(), torch.cat([each.detach().cpu().double() for each in row]) / scale

    def forward_input(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that `forward` is called with: by the training step, or else `example_input_array`.

        Raises:
            NotApplicableError: neither tells.
        """
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        hook = self.model.register_forward_pre_hook(
            lambda module, args, kwargs: calls.append((args, kwargs)), with_kwargs=True
        )
        try:
            self.loss()
        finally:
            hook.remove()
        if calls:
            return calls[0]
        example = self.model.example_input_array
        if example is None:
            raise NotApplicableError("The training step does not call forward, and there is no example_input_array.")
        if isinstance(example, dict):
            return (), example
        return (example if isinstance(example, tuple) else (example,)), {}


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Nothing is dropped meanwhile; all else stays as in training."""
    drops = [each for each in model.modules() if isinstance(each, _DropoutNd | nn.MultiheadAttention)]
    drops = [each for each in drops if each.training]
    recurrent = [(each, each.dropout) for each in model.modules() if isinstance(each, nn.RNNBase)]
    for drop in drops:
        drop.training = False
    for layer, _ in recurrent:
        layer.dropout = 0.0
    try:
        yield
    finally:
        for drop in drops:
            drop.training = True
        for layer, share in recurrent:
            layer.dropout = share


def tensors_of(name: str, value: object) -> dict[str, Tensor]:
    """The tensors in a value, however deep in lists and dictionaries, by where they are; on the CPU."""
    if isinstance(value, Tensor):
        return {name: value.detach().cpu()}
    items = value.items() if isinstance(value, Mapping) else enumerate(value if isinstance(value, list | tuple) else ())
    return {key: tensor for part, item in items for key, tensor in tensors_of(f"{name}.{part}", item).items()}


class Looked(Exception):
    """What was to be seen has been seen."""


class Looker(pl.Callback):
    """Ends a training at its first batch, once `look` has returned."""

    def __init__(self, device: str, seed: int, look: Callable[[Bench], Any]) -> None:
        self.seen: Any = None
        self._device = device
        self._seed = seed
        self._look = look

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look, and raise Looked."""
        self.seen = self._look(Bench(pl_module, batch, trainer, self._device, self._seed))
        raise Looked
