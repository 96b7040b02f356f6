from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules._numbers import numbers
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._loops import counts_batches, counts_epochs, rhythm
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._schedulers import (
    LightningSchedule,
    entry,
    is_open,
    lightning_schedules,
    schedule_steps,
)
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

# What says how long a schedule runs, by its name and position.
_LENGTHS = {
    "CosineAnnealingLR": ("T_max", 1),
    "LinearLR": ("total_iters", 3),
    "PolynomialLR": ("total_iters", 1),
    "get_linear_schedule_with_warmup": ("num_training_steps", 2),
    "get_cosine_schedule_with_warmup": ("num_training_steps", 2),
    "get_polynomial_decay_schedule_with_warmup": ("num_training_steps", 2),
    "get_scheduler": ("num_training_steps", 3),
}


# How the number of all batches is called, which the functions of transformers want.
_STEPS = pattern(r"(?i)(max|total|num|n|train|training|optimization)_(train(ing)?_|optimization_)?(steps|iters)\b")


class BatchScheduleSteppedPerEpoch(Check[ast.Module]):
    """A schedule that counts batches, stepped once an epoch.

    ## What it does
    Finds `scheduler.step()` in the loop over epochs where the schedule is made for batches:
    `OneCycleLR(…, steps_per_epoch=len(loader))`, `T_max=epochs * len(loader)`, a warmup schedule of transformers with
    the number of all batches. In Lightning, such a schedule that is returned without `"interval": "step"`.

    ## Why it matters
    The schedule gets through only a small part of its length: a one-cycle or warmup schedule never leaves its low
    start, and a decay never comes.

    ## Do not flag
    `steps_per_epoch=1`, lengths that count epochs or don't show how they are made, steps under a condition.

    ## Fix safety
    No fix: the step moves into the loop over the batches, or the length loses its factor.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#configure-optimizers
    """

    examples = (
        Bad(
            """
            import torch
            from torch.optim.lr_scheduler import OneCycleLR

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = OneCycleLR(optimizer, max_lr=0.1, steps_per_epoch=len(train_loader), epochs=10)
            for epoch in range(10):
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                «scheduler.step()»
            """
        ),
        Bad(
            """
            import torch
            from transformers import get_linear_schedule_with_warmup

            def train(model, loader, optimizer):
                for batch in loader:
                    optimizer.zero_grad()
                    model(**batch).loss.backward()
                    optimizer.step()

            total_steps = len(loader) * epochs
            optimizer = torch.optim.AdamW(model.parameters())
            scheduler = get_linear_schedule_with_warmup(optimizer, 0, total_steps)
            for epoch in range(epochs):
                train(model, loader, optimizer)
                «scheduler.step()»
            """
        ),
        Bad(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
                    schedule = «torch.optim.lr_scheduler.OneCycleLR(
                        optimizer, max_lr=0.1, total_steps=self.trainer.estimated_stepping_batches
                    )»
                    return [optimizer], [schedule]
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl
            from torch.optim import AdamW
            from transformers import get_cosine_schedule_with_warmup

            class Classifier(pl.LightningModule):
                def configure_optimizers(self):
                    optimizer = AdamW(self.parameters())
                    schedule = «get_cosine_schedule_with_warmup(optimizer, 100, self.hparams.total_steps)»
                    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "frequency": 1}}
            """
        ),
        Good(
            """
            import torch
            from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            by_batch = OneCycleLR(optimizer, max_lr=0.1, steps_per_epoch=len(loader), epochs=10)
            by_epoch = OneCycleLR(optimizer, max_lr=0.1, steps_per_epoch=1, epochs=10)
            epochs_in_all = OneCycleLR(optimizer, max_lr=0.1, total_steps=num_epochs)
            cosine = CosineAnnealingLR(optimizer, T_max=10)
            for epoch in range(10):
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                    by_batch.step()
                by_epoch.step()
                epochs_in_all.step()
                cosine.step()
            """
        ),
        Good(
            """
            import lightning as L
            import torch
            from torch.optim.lr_scheduler import OneCycleLR

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
                    schedule = OneCycleLR(optimizer, max_lr=0.1, total_steps=self.trainer.estimated_stepping_batches)
                    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

            class Other(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
                    schedule = OneCycleLR(optimizer, max_lr=0.1, total_steps=self.trainer.max_epochs)
                    return [optimizer], [schedule]

            class Third(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
                    return [optimizer], [OneCycleLR(optimizer, max_lr=0.1, total_steps=self.hparams.schedule_steps)]
            """,
            why="With steps, for epochs, and for steps that may be epochs.",
        ),
        Good(
            """
            import torch
            from torch.optim.lr_scheduler import CosineAnnealingLR

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            schedule = CosineAnnealingLR(optimizer, T_max=max_steps)
            for step in range(max_steps):
                batch = next(batches)
                optimizer.zero_grad()
                model(batch).backward()
                optimizer.step()
                schedule.step()
            """,
            why="The loop counts batches.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        for step in schedule_steps(module):
            counts_batches_only = all(_counts_batches(module, name, made) for name, made in step.schedules)
            if counts_batches_only and rhythm(module, step.call) == "epoch":
                yield self.finding(
                    module,
                    step.call,
                    "This schedule counts batches but is stepped once an epoch, so it hardly gets past its start. "
                    "Call `scheduler.step()` in the loop over the batches, after `optimizer.step()`.",
                )
        for schedule in lightning_schedules(module):
            if _once_an_epoch(module, schedule) and _counts_batches(module, schedule.name, schedule.made):
                yield self.finding(
                    module,
                    schedule.made,
                    "Lightning steps a schedule once an epoch unless told otherwise, and this one counts batches, "
                    'so it hardly gets past its start. Return `{"scheduler": scheduler, "interval": "step"}`.',
                )


def _once_an_epoch(module: Module, schedule: LightningSchedule) -> bool:
    if schedule.settings is None:
        return True
    match entry(schedule.settings, "interval"):
        case None:
            return not is_open(module, schedule.settings)
        case ast.Constant(value="epoch"):
            return True
    return False


def _counts_batches(module: Module, name: str, made: ast.Call) -> bool:
    """Whether a schedule is seen to be made for batches."""
    if passes_unseen_arguments(made):
        return False
    if name == "OneCycleLR":
        return _one_cycle_counts_batches(module, made)
    if name not in _LENGTHS:
        return False
    length = argument(made, *_LENGTHS[name])
    if length is None or counts_epochs(module, length):
        return False
    return counts_batches(module, length) or (name.startswith("get_") and bool(_STEPS.search(module.text(length))))


def _one_cycle_counts_batches(module: Module, made: ast.Call) -> bool:
    if (per_epoch := argument(made, "steps_per_epoch", 4)) is not None:
        return numbers(module, per_epoch) != [1.0] and not isinstance(per_epoch, ast.Constant)
    total = argument(made, "total_steps", 2)
    return total is not None and counts_batches(module, total) and "epoch" not in module.text(total)
