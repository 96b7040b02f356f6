"""Makes a LightningModule of a plain nn.Module: a training step, a loss and an optimizer around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

LEARNING_RATE = 1e-3
TARGET_NAMES = ("target", "targets", "label", "labels", "y")


class Wrapper(pl.LightningModule):
    """A plain module under Adam; made by `wrapped`.

    Its loss is the one asked for, of the first output and the batch's last tensor; or else the one that the module
    returns itself; or else the mean squared distance of its outputs from random numbers, the same for each
    example: no training task, but a gradient for every output.
    """

    make: ClassVar[Callable[[], nn.Module]]
    loss_name: ClassVar[str | None]

    def __init__(self) -> None:
        super().__init__()
        self.module = type(self).make()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module returns."""
        return self.module(*args, **kwargs)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        args, kwargs, target = split(batch, self.loss_name is not None)
        outputs = self(*args, **kwargs)
        if self.loss_name is not None:
            return named_loss(self.loss_name, first_tensor(outputs), target)
        own = own_loss(outputs)
        return surrogate_loss(outputs) if own is None else own

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam([each for each in self.parameters() if each.requires_grad], lr=LEARNING_RATE)


def wrapped(cls: type, make: Callable[[], nn.Module], loss: str | None) -> type[Wrapper]:
    """A Wrapper class for modules of a class; its source is said to be that of the class, which is to blame.

    Args:
        cls: the user's class.
        make: makes one.
        loss: a function of torch.nn.functional, with or without `_loss`; None for the module's own or a surrogate.
    """
    members = {"make": staticmethod(make), "loss_name": loss, "__module__": cls.__module__, "__doc__": cls.__doc__}
    made: type[Wrapper] = type(cls.__name__, (Wrapper,), members)
    made.__qualname__ = cls.__qualname__
    return made


def split(batch: Any, with_target: bool) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """A batch as positional arguments, named arguments and, if asked for, the target: the last part, or one so named.

    Raises:
        ValueError: there is no target.
    """
    if isinstance(batch, Mapping):
        named = dict(batch)
        if not with_target:
            return (), named, None
        found = [name for name in TARGET_NAMES if name in named]
        if not found:
            raise ValueError(f"A batch for this loss needs one of: {', '.join(TARGET_NAMES)}; it has {list(named)}.")
        return (), named, named.pop(found[0])
    parts = tuple(batch) if isinstance(batch, list | tuple) else (batch,)
    if not with_target:
        return parts, {}, None
    if len(parts) < 2:
        raise ValueError("A batch for this loss needs its target as the last part, and it has one part alone.")
    return parts[:-1], {}, parts[-1]


def named_loss(name: str, output: Tensor, target: Tensor) -> Tensor:
    """The loss of that name; classes are in the output's second dimension, or in the last one of a sequence's."""
    function = getattr(functional, f"{name}_loss", None) or getattr(functional, name)
    if name in {"cross_entropy", "nll"} and output.dim() == 3 and output.shape[:2] == target.shape:
        output = output.transpose(1, 2)
    loss: Tensor = function(output, target)
    return loss


def own_loss(outputs: Any) -> Tensor | None:
    """The loss that a module returns with its outputs, as those of Hugging Face do; None if it returns none."""
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else getattr(outputs, "loss", None)
    return loss if isinstance(loss, Tensor) and loss.requires_grad and loss.dim() == 0 else None


def surrogate_loss(outputs: Any) -> Tensor:
    """The mean squared distance of all outputs that have a gradient from random numbers, the same for each example.

    Raises:
        ValueError: no output has a gradient.
    """
    losses = []
    for value in all_tensors(outputs):
        if value.requires_grad:
            real = torch.view_as_real(value) if value.is_complex() else value
            random = torch.randn(real.shape[1:], generator=torch.Generator().manual_seed(0))
            losses.append(functional.mse_loss(real, random.to(real).expand_as(real)))
    if not losses:
        raise ValueError("forward returns no tensor that has a gradient.")
    return torch.stack(losses).mean() if len(losses) > 1 else losses[0]


def first_tensor(outputs: Any) -> Tensor:
    """The tensor that a module returns first; `logits` of an object that has them."""
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    found = next(iter(all_tensors(outputs)), None)
    if found is None:
        raise ValueError(f"forward returns no tensor but {type(outputs).__name__}.")
    return found


def all_tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in what a module returns, however deep."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from all_tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from all_tensors(item)
    elif hasattr(value, "__dict__") and not isinstance(value, nn.Module):
        for item in vars(value).values():
            if isinstance(item, Tensor):
                yield item
