from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.checks.check import Bad, Check, Good, safe, suggested
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._loops import (
    asks_whether_there_is_one,
    optimizer_sites,
)
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._schedulers import (
    PLATEAU,
    ScheduleStep,
    optimizer_of,
    schedule_steps,
)
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding, Fix, InsertAfter, RemoveStatement, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import passes_unseen_arguments
from mlrules_mcp.source.tree import Loop

_TRAINS = pattern(r"(?i)train|fit|epoch")


class _Order(NamedTuple):
    """A schedule's step and what runs after it in the same block and steps the optimizer."""

    step: ast.stmt
    later: ast.stmt
    block: list[ast.stmt]


class SchedulerBeforeOptimizer(Check[ast.Module]):
    """A schedule that is stepped before the optimizer.

    ## What it does
    Finds training loops in which `scheduler.step()` runs before `optimizer.step()`, or before the loop or function
    that steps the optimizer.

    ## Why it matters
    The first value of the schedule is skipped: the first epoch or batch already trains with the second one, warmup
    and milestones come one too early, and PyTorch warns about the order. It was the right order before PyTorch 1.1.

    ## Do not flag
    `step(epoch)`, which sets the value for that epoch; a step under a condition (`if epoch > 0:`); an optimizer
    other than the schedule's; schedules that are not torch's, and ReduceLROnPlateau.

    ## Fix safety
    Safe where both stand one after the other: they change places, which mends the order and nothing else. Suggested
    at the top of a loop without `continue`: it moves to the end.

    ## References
    - https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
    """

    examples = (
        Bad(
            """
            import torch

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=1000)
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                «scheduler.step()»  # the rate
                optimizer.step()  # the weights
            """,
            safe_fix="""
            import torch

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=1000)
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()  # the rate
                scheduler.step()  # the weights
            """,
        ),
        Bad(
            """
            from torch import optim
            from torch.optim import lr_scheduler

            def train(model, loader, optimizer):
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()

            optimizer = optim.SGD(model.parameters(), lr=0.1)
            scheduler = lr_scheduler.StepLR(optimizer, 30)
            for epoch in range(100):
                «scheduler.step()»
                train(model, loader, optimizer)
                validate(model)
            """,
            suggested_fix="""
            from torch import optim
            from torch.optim import lr_scheduler

            def train(model, loader, optimizer):
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()

            optimizer = optim.SGD(model.parameters(), lr=0.1)
            scheduler = lr_scheduler.StepLR(optimizer, 30)
            for epoch in range(100):
                train(model, loader, optimizer)
                validate(model)
                scheduler.step()
            """,
        ),
        Bad(
            """
            import torch
            from torch.optim.lr_scheduler import MultiStepLR

            def fit(model, loaders):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scheduler = MultiStepLR(optimizer, [30, 60])
                for epoch in range(90):
                    for phase in ["train", "val"]:
                        if phase == "train":
                            «scheduler.step()»
                            model.train()
                        for x, y in loaders[phase]:
                            optimizer.zero_grad()
                            loss = criterion(model(x), y)
                            if phase == "train":
                                loss.backward()
                                optimizer.step()
            """
        ),
        Bad(
            """
            import torch
            from engine import evaluate, train_one_epoch

            def main(model, loader):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                lr_scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3)
                for epoch in range(10):
                    «lr_scheduler.step()»
                    train_one_epoch(model, optimizer, loader, epoch)
                    if epoch % 5:
                        continue
                    evaluate(model)
            """
        ),
        Bad(
            """
            import torch

            def fit(model, loader, decay):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 30) if decay else None
                for epoch in range(100):
                    if scheduler is not None:
                        «scheduler.step()»
                    for x, y in loader:
                        optimizer.zero_grad()
                        criterion(model(x), y).backward()
                        optimizer.step()
            """
        ),
        Good(
            """
            import torch

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 30)
            other = torch.optim.lr_scheduler.StepLR(optimizer, 30)
            third = torch.optim.lr_scheduler.StepLR(optimizer, 30)
            for epoch in range(100):
                other.step(epoch)
                if epoch > 0:
                    third.step()
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                scheduler.step()
                for x, y in second_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
            """,
            why="The epoch is given, the first one is left out, or the optimizer has been stepped before.",
        ),
        Good(
            """
            import torch
            from torch.optim.lr_scheduler import StepLR

            optimizer_g = torch.optim.Adam(generator.parameters())
            optimizer_d = torch.optim.Adam(discriminator.parameters())
            scheduler_d = StepLR(optimizer_d, 1000)
            for x in loader:
                optimizer_d.step()
                scheduler_d.step()
                optimizer_g.step()
            """,
            why="The optimizer that follows is another one.",
        ),
        Good(
            """
            import torch
            from myproject import NoamSchedule

            optimizer = torch.optim.Adam(model.parameters())
            scheduler = NoamSchedule(optimizer, warmup=4000)
            for x, y in loader:
                criterion(model(x), y).backward()
                scheduler.step()
                optimizer.step()
            """,
            why="A schedule that is not torch's may set the rate for the step that follows.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        for step in schedule_steps(module):
            if step.call.args or step.call.keywords or any(name == PLATEAU for name, _ in step.schedules):
                continue
            order = _order(module, step)
            if order is not None:
                yield self.finding(
                    module,
                    step.call,
                    "The schedule is stepped before the optimizer, so its first value is skipped and every change "
                    "comes one step too early. Call `scheduler.step()` after `optimizer.step()`.",
                    fix=_fix(module, step, order),
                )


def _order(module: Module, step: ScheduleStep) -> _Order | None:
    """What steps the optimizer later in the same turn of a loop, where nothing does before."""
    loops = module.enclosing_loops(step.call)
    if not loops:
        return None
    steps = [site for site in module.fact(optimizer_sites) if _may_step(module, site, step)]
    steps += _unseen(module, loops[-1], step)
    statement = module.statement(step.call)
    for loop in loops:
        inside = [site for site in steps if module.is_inside(site, loop)]
        if inside:
            return _compared(module, statement, inside, loop)
    return None


def _compared(module: Module, statement: ast.stmt, steps: list[ast.AST], loop: Loop) -> _Order | None:
    child: ast.stmt = statement
    while True:
        parent = module.parent(child)
        block = module.block(child)
        place = block.index(child)
        around = {_statement_in(module, step, block) for step in steps}
        places = [block.index(each) for each in around if each is not None]
        if places:
            later = min(places)
            return _Order(statement, block[later], block) if later > place else None
        if parent is loop or not isinstance(parent, ast.With | ast.Try | ast.If):
            return None
        if isinstance(parent, ast.If) and not (_is_phase(parent, module) or asks_whether_there_is_one(parent.test)):
            return None
        child = parent


def _is_phase(condition: ast.If, module: Module) -> bool:
    """Whether a condition asks for the training phase: `if phase == "train":`."""
    return "train" in module.text(condition.test) and isinstance(condition.test, ast.Compare)


def _statement_in(module: Module, node: ast.AST, block: list[ast.stmt]) -> ast.stmt | None:
    """The statement of a block that a node lies in."""
    for each in (node, *module.ancestors(node)):
        if isinstance(each, ast.stmt) and each in block:
            return each
    return None


def _may_step(module: Module, site: ast.AST, step: ScheduleStep) -> bool:
    """Whether a site steps the schedule's own optimizer, as far as it shows."""
    if passes_unseen_arguments(step.call):
        return False
    if not isinstance(site, ast.Call) or not isinstance(site.func, ast.Attribute):
        return True
    stepped = {module.text(site.func.value), *(module.text(argument) for argument in site.args)}
    wanted = {module.text(optimizer) for _, made in step.schedules if (optimizer := optimizer_of(made))}
    same_place = all(module.enclosing_function(made) is module.enclosing_function(site) for _, made in step.schedules)
    return not wanted or not same_place or bool(stepped & wanted)


def _unseen(module: Module, loop: Loop, step: ScheduleStep) -> Iterator[ast.AST]:
    """The functions of other files that are given the optimizer to train with."""
    optimizers = {module.text(optimizer) for _, made in step.schedules if (optimizer := optimizer_of(made))}
    for call in module.walk(loop.body):
        if isinstance(call, ast.Call) and _TRAINS.search(last_name(call.func) or ""):
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            if any(isinstance(value, ast.Name | ast.Attribute) and module.text(value) in optimizers for value in given):
                yield call


def _fix(module: Module, step: ScheduleStep, order: _Order) -> Fix | None:
    if not isinstance(order.step, ast.Expr) or order.step not in order.block:
        return None
    place = order.block.index(order.step)
    following = order.block[place + 1]
    if following is order.later and isinstance(following, ast.Expr) and _is_plain_step(following.value):
        first, second = order.step.value, following.value
        return safe(
            "Step the optimizer first",
            Replace(Span.of(first), module.text(second)),
            Replace(Span.of(second), module.text(first)),
        )
    loop = module.parent(order.step)
    last = order.block[-1]
    if not isinstance(loop, ast.For | ast.While) or last is order.step:
        return None
    if any(isinstance(node, ast.Continue) for node in module.walk(loop.body)):
        return None
    return suggested(
        "Step the schedule at the end of the loop",
        RemoveStatement(Span.of(order.step)),
        InsertAfter(Span.of(last), module.text(order.step.value)),
    )


def _is_plain_step(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(attr="step")):
            return True
    return False
