from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._schedulers import made_schedules
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE

# What can be done with a schedule without stepping it or handing it on.
_LOOKS = frozenset(
    "get_last_lr get_lr state_dict load_state_dict last_epoch base_lrs optimizer print_lr milestones gamma T_max "
    "_last_lr num_bad_epochs best patience".split()
)
_HARMLESS_CALLS = frozenset({"print", "type", "id", "len", "isinstance", "repr", "str", "del"})


class SchedulerNeverStepped(Check[ast.Module]):
    """A learning rate schedule that nothing steps.

    ## What it does
    Finds schedules of `torch.optim.lr_scheduler`, or of transformers, that are made where the file trains and are
    then neither stepped nor handed to anything; and those that `configure_optimizers` makes but does not return.

    ## Why it matters
    The learning rate stays what it was. A run that relies on decay ends noisy and worse, one that relies on warmup
    trains at the start value all the way, and nothing says so.

    ## Do not flag
    Schedules that are passed on, returned or kept in a container; files that don't step an optimizer, whose caller
    may step the schedule too; tests.

    ## Fix safety
    No fix: whether to step once an epoch or once a batch hangs on what the schedule counts.

    ## References
    - https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
    """

    speaks_of_absence = True
    examples = (
        Bad(
            """
            import torch

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = «torch.optim.lr_scheduler.StepLR(optimizer, step_size=30)»
            for epoch in range(100):
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                print(scheduler.get_last_lr())
            """
        ),
        Bad(
            """
            from torch import optim
            from torch.optim.lr_scheduler import CosineAnnealingLR

            class Trainer:
                def __init__(self, model, epochs):
                    self.optimizer = optim.AdamW(model.parameters())
                    self.scheduler = «CosineAnnealingLR(self.optimizer, T_max=epochs)»

                def train_step(self, x, y):
                    self.optimizer.zero_grad()
                    self.loss(self.model(x), y).backward()
                    self.optimizer.step()

                def save(self, path):
                    return {"schedule": self.scheduler.state_dict()}
            """
        ),
        Bad(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
                    scheduler = «torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)»
                    return optimizer
            """
        ),
        Bad(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
                    self.scheduler = «torch.optim.lr_scheduler.StepLR(optimizer, 10)»
                    return optimizer
            """
        ),
        Bad(
            """
            import torch
            from torch.optim.lr_scheduler import StepLR

            def train(model, loader):
                optimizer = torch.optim.Adam(model.parameters())
                «StepLR(optimizer, 10)»
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
            """
        ),
        Good(
            """
            import torch
            from torch.optim import lr_scheduler

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            first = lr_scheduler.LinearLR(optimizer)
            second = lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
            both = lr_scheduler.SequentialLR(optimizer, [first, second], milestones=[5])
            for epoch in range(100):
                optimizer.step()
                both.step()
            """,
            why="The first two are parts of the third.",
        ),
        Good(
            """
            import torch
            from torch.optim.lr_scheduler import StepLR

            def train_epoch(optimizer, schedule):
                optimizer.step()
                schedule.step()

            def main():
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                schedule = StepLR(optimizer, 30)
                train_epoch(optimizer, schedule)

            def make(optimizer):
                schedule = StepLR(optimizer, 30)
                return optimizer, schedule
            """,
            why="Passed on and returned.",
        ),
        Good(
            """
            from torch.optim.lr_scheduler import StepLR

            class Experiment:
                def __init__(self, optimizer):
                    self.schedule = StepLR(optimizer, 30)
                    self.hooks = []
            """,
            why="Whoever trains with it may step it from outside.",
        ),
        Good(
            """
            import lightning as L
            import torch
            from torch.optim.lr_scheduler import StepLR

            class Gan(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters())
                    schedule = StepLR(optimizer, 30)
                    return {"optimizer": optimizer, "lr_scheduler": schedule}

                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    optimizer.step()
            """
        ),
        Good(
            """
            import torch
            from torch.optim.lr_scheduler import StepLR

            class Trainer:
                def __init__(self, model):
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.lr_scheduler = StepLR(self.optimizer, 30)

                def train(self):
                    self.optimizer.step()
                    for name in ("optimizer", "lr_scheduler"):
                        getattr(self, name).step()
            """,
            why="Attributes are reached by their names.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        made = made_schedules(module)
        if not made or is_test(module):
            return
        for _, call in made:
            for_lightning = _in_configure_optimizers(module, call)
            if not for_lightning and not module.optimizer_steps:
                continue
            if not _is_handed_on(module, call, for_lightning):
                yield self.finding(
                    module,
                    call,
                    "Lightning steps only the schedules that `configure_optimizers` returns, so the learning rate "
                    'never changes. Return `{"optimizer": optimizer, "lr_scheduler": scheduler}`.'
                    if for_lightning
                    else "Nothing steps this schedule, so the learning rate never changes. Call its `step()` after "
                    "`optimizer.step()`, once for each epoch or batch, whichever it counts.",
                )


def _in_configure_optimizers(module: Module, call: ast.Call) -> bool:
    function, cls = module.enclosing_function(call), module.enclosing_class(call)
    if function is None or cls is None or function.name != "configure_optimizers":
        return False
    return module.is_subclass(cls, LIGHTNING_MODULE)


def _is_handed_on(module: Module, call: ast.Call, for_lightning: bool) -> bool:
    """Whether a schedule is stepped, or goes where it may be."""
    match module.parent(call):
        case ast.Expr() as statement:
            # The last line of a notebook's cell may just be shown.
            return module.location(statement).cell is not None
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return any(_is_used(module, use) for use in module.nodes(ast.Name) if use.id == name)
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)]):
            cls = module.enclosing_class(call)
            return (
                any(_is_used(module, use) for use in module.nodes(ast.Attribute) if use.attr == name)
                or any(node.value == name for node in module.nodes(ast.Constant))
                or cls is None
                or not (for_lightning or any(module.is_inside(step, cls) for step in module.optimizer_steps))
            )
    return True


def _is_used(module: Module, use: ast.Name | ast.Attribute) -> bool:
    """Whether a mention of a schedule steps it or hands it on."""
    if not isinstance(use.ctx, ast.Load):
        return False
    match module.parent(use):
        case ast.Attribute(attr=name):
            return name not in _LOOKS
        case ast.Call(func=function, args=args) as call if use in args and function is not use:
            return module.called_name(call) not in _HARMLESS_CALLS
        case ast.FormattedValue() | ast.Expr():
            return False
    return True
