from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._schedulers import PLATEAU, schedule_steps
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments


class PlateauWithoutMetric(Check[ast.Module]):
    """A ReduceLROnPlateau that is stepped without the metric it watches.

    ## What it does
    Finds `scheduler.step()` without an argument, or with the number of the epoch, where the scheduler is a
    `ReduceLROnPlateau`.

    ## Why it matters
    Without an argument the call raises a TypeError. The number of the epoch is taken for the metric: it only rises,
    so the learning rate is cut again and again although the model improves.

    ## Do not flag
    Other schedules, a variable that may hold either kind, and calls whose arguments don't show.

    ## Fix safety
    No fix: which value to watch has to be chosen.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
    """

    words = (PLATEAU,)
    examples = (
        Bad(
            """
            import torch

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min")
            for epoch in range(100):
                train(model, optimizer)
                val_loss = validate(model)
                «scheduler.step()»
            """
        ),
        Bad(
            """
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Trainer:
                def __init__(self, optimizer):
                    self.scheduler = ReduceLROnPlateau(optimizer, patience=3)

                def fit(self):
                    for epoch in range(self.epochs):
                        self.train_epoch()
                        «self.scheduler.step(epoch)»
            """
        ),
        Bad(
            """
            from torch.optim import lr_scheduler

            def train(model, optimizer, scheduler):
                for epoch, loader in enumerate(loaders):
                    fit(model, loader, optimizer)
                    «scheduler.step(epoch + 1)»

            train(model, optimizer, lr_scheduler.ReduceLROnPlateau(optimizer))
            """
        ),
        Good(
            """
            import torch
            from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

            plateau = ReduceLROnPlateau(optimizer)
            steps = StepLR(optimizer, 10)
            for epoch in range(100):
                train(model, optimizer)
                plateau.step(validate(model))
                plateau.step(metrics=validate(model), epoch=epoch)
                steps.step()
                optimizer.step()
            """
        ),
        Good(
            """
            from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

            scheduler = ReduceLROnPlateau(optimizer) if args.plateau else StepLR(optimizer, 10)
            for epoch in range(100):
                if args.plateau:
                    scheduler.step(train(model, optimizer))
                else:
                    scheduler.step()
            """,
            why="It may be the other kind.",
        ),
        Good(
            """
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            scheduler = ReduceLROnPlateau(optimizer)
            for epoch in range(100):
                arguments = train(model, optimizer)
                scheduler.step(*arguments)
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        for step in schedule_steps(module):
            if not step.only(PLATEAU) or passes_unseen_arguments(step.call):
                continue
            metric = argument(step.call, "metrics", 0)
            if metric is None:
                yield self.finding(
                    module,
                    step.call,
                    "`step()` of a ReduceLROnPlateau raises a TypeError without the value that it watches. Pass it: "
                    "`scheduler.step(val_loss)`.",
                    error=True,
                )
            elif _is_number_of_turn(module, metric):
                yield self.finding(
                    module,
                    step.call,
                    "ReduceLROnPlateau takes this number for the metric it watches; it only rises, so the learning "
                    "rate is cut again and again. Pass the validation loss instead.",
                )


def _is_number_of_turn(module: Module, metric: ast.expr) -> bool:
    """Whether a value counts the turns of a loop: from `range` or `enumerate`, perhaps with a number added."""
    match metric:
        case ast.BinOp(left=left, op=ast.Add(), right=ast.Constant()):
            return _is_number_of_turn(module, left)
        case ast.Name():
            bindings = module.reaching(metric)
            return bool(bindings) and all(
                binding.kind == "loop"
                and isinstance(binding.value, ast.Call)
                and (
                    (module.called_name(binding.value) in {"range", "trange"} and binding.index is None)
                    or (module.called_name(binding.value) == "enumerate" and binding.index == 0)
                )
                for binding in bindings
            )
    return False
