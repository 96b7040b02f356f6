from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules._numbers import numbers
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._loops import counts_epochs, rhythm
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._schedulers import (
    entry,
    lightning_schedules,
    schedule_steps,
)
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# What says how long a schedule runs, by its name and position.
_LENGTHS = {
    "CosineAnnealingLR": ("T_max", 1),
    "CosineAnnealingWarmRestarts": ("T_0", 1),
    "LinearLR": ("total_iters", 3),
    "PolynomialLR": ("total_iters", 1),
    "StepLR": ("step_size", 1),
}
_MOST_EPOCHS = 100  # a longer step size may count batches
_STRONGEST_DECAY = 0.99  # per batch this leaves 4e-5 of the rate after 1,000 batches


class EpochScheduleSteppedPerBatch(Check[ast.Module]):
    """A schedule that counts epochs, stepped for each batch.

    ## What it does
    Finds `scheduler.step()` in the loop over batches where the schedule is made for epochs: `T_max=num_epochs`,
    `StepLR(optimizer, 30)`, `MultiStepLR(optimizer, [30, 60, 90])`, `ExponentialLR(optimizer, 0.95)`. In Lightning,
    such a schedule with `"interval": "step"`.

    ## Why it matters
    The whole schedule is over within the first epoch: the learning rate is cut to nothing, or cosine annealing goes up
    and down again, while the loss curve only shows that the model stops learning.

    ## Do not flag
    Lengths made from the number of batches (`len(loader)`, steps), step sizes above 100 and decays close to 1, which
    may be meant for batches; steps under a condition; a loop that is the only one; values that don't show.

    ## Fix safety
    No fix: the step moves to the end of the epoch, or the length is multiplied by `len(loader)`.

    ## References
    - https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
    - https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html
    """

    examples = (
        Bad(
            """
            import torch

            num_epochs = 90
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=num_epochs)
            for epoch in range(num_epochs):
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                    «scheduler.step()»
            """
        ),
        Bad(
            """
            from torch import optim
            from torch.optim.lr_scheduler import MultiStepLR

            def train_epoch(model, loader, optimizer, scheduler):
                for batch in loader:
                    optimizer.zero_grad()
                    model(batch).backward()
                    optimizer.step()
                    «scheduler.step()»

            def main(model, loader):
                optimizer = optim.SGD(model.parameters(), lr=0.1)
                scheduler = MultiStepLR(optimizer, milestones=[30, 60, 80], gamma=0.1)
                for epoch in range(90):
                    train_epoch(model, loader, optimizer, scheduler)
            """
        ),
        Bad(
            """
            import torch
            from torch.optim.lr_scheduler import ExponentialLR, StepLR

            for epoch in range(20):
                for i, batch in enumerate(train_loader):
                    optimizer.zero_grad()
                    model(batch).backward()
                    optimizer.step()
                    «decay.step()»
                    ‹steps.step()›

            optimizer = torch.optim.Adam(model.parameters())
            decay = ExponentialLR(optimizer, gamma=0.95)
            steps = StepLR(optimizer, step_size=10)
            """
        ),
        Bad(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.AdamW(self.parameters())
                    schedule = «torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.trainer.max_epochs)»
                    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
            """
        ),
        Good(
            """
            import torch
            from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, StepLR

            steps_total = len(train_loader) * num_epochs
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            cosine = CosineAnnealingLR(optimizer, T_max=num_epochs)
            by_batch = CosineAnnealingLR(optimizer, T_max=num_epochs * len(train_loader))
            by_step = CosineAnnealingLR(optimizer, steps_total)
            slow = StepLR(optimizer, step_size=10000)
            smooth = ExponentialLR(optimizer, gamma=0.9999)
            unknown = StepLR(optimizer, args.lr_step, gamma=args.gamma)
            for epoch in range(num_epochs):
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                    by_batch.step()
                    by_step.step()
                    slow.step()
                    smooth.step()
                    unknown.step()
                cosine.step()
            """
        ),
        Good(
            """
            import torch

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 30)
            for epoch in range(100):
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
                scheduler.step()
            for step, batch in enumerate(train_loader):
                model(batch).backward()
                optimizer.step()
                if step == len(train_loader) - 1:
                    scheduler.step()
            """,
            why="One batch is the whole epoch, or the step waits for its end.",
        ),
        Good(
            """
            import lightning as L
            import torch
            from torch.optim.lr_scheduler import CosineAnnealingLR

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.AdamW(self.parameters())
                    schedule = CosineAnnealingLR(optimizer, T_max=self.trainer.estimated_stepping_batches)
                    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

            class Other(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.AdamW(self.parameters())
                    schedule = CosineAnnealingLR(optimizer, T_max=self.trainer.max_epochs)
                    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        for step in schedule_steps(module):
            counts_epochs_only = all(_counts_epochs(module, name, made) for name, made in step.schedules)
            if counts_epochs_only and rhythm(module, step.call) == "batch":
                yield self.finding(
                    module,
                    step.call,
                    "This schedule counts epochs but is stepped for each batch, so it is over within the first epoch. "
                    "Call `scheduler.step()` once, after the loop over the batches.",
                )
        for schedule in lightning_schedules(module):
            if _interval(module, schedule.settings) == "step" and _counts_epochs(module, schedule.name, schedule.made):
                yield self.finding(
                    module,
                    schedule.made,
                    'This schedule counts epochs, but `"interval": "step"` steps it for each batch, so it is over '
                    'within the first epochs. Write `"interval": "epoch"`, or give its length in batches.',
                )


def _interval(module: Module, settings: ast.Dict | None) -> str | None:
    match entry(settings, "interval") if settings else None:
        case ast.Constant(value=str() as interval):
            return interval
    return None


def _counts_epochs(module: Module, name: str, made: ast.Call) -> bool:
    """Whether a schedule is seen to be made for epochs."""
    if name == "MultiStepLR":
        milestones = _milestones(module, made)
        return bool(milestones) and max(milestones) <= _MOST_EPOCHS
    if name == "ExponentialLR":
        decay = numbers(module, argument(made, "gamma", 1))
        return bool(decay) and max(decay) <= _STRONGEST_DECAY
    if name not in _LENGTHS:
        return False
    length = argument(made, *_LENGTHS[name])
    if length is None:
        return False
    if name == "StepLR" and (found := numbers(module, length)):
        decay = numbers(module, argument(made, "gamma", 2)) if argument(made, "gamma", 2) is not None else [0.1]
        return max(found) <= _MOST_EPOCHS and bool(decay) and max(decay) <= _STRONGEST_DECAY
    return counts_epochs(module, length)


def _milestones(module: Module, made: ast.Call) -> list[float]:
    milestones = argument(made, "milestones", 1)
    found: list[float] = []
    for origin in module.origins(milestones) if milestones is not None else ():
        if not isinstance(origin, ast.List | ast.Tuple):
            return []
        for element in origin.elts:
            values = numbers(module, element)
            if not values:
                return []
            found += values
    return found
