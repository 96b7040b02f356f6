"""Learning rate schedules: where they are made, stepped, and handed to Lightning."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.checks.lightning_rules._classes import lightning_modules, optimizes_by_hand, returned
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# torch.optim.lr_scheduler of 2.13, without the base classes.
_OF_TORCH = frozenset(
    "LambdaLR MultiplicativeLR StepLR MultiStepLR ConstantLR LinearLR ExponentialLR SequentialLR CosineAnnealingLR "
    "ChainedScheduler ReduceLROnPlateau CyclicLR CosineAnnealingWarmRestarts OneCycleLR PolynomialLR".split()
)
# transformers.optimization of 5.0: schedules that count batches.
_OF_TRANSFORMERS = frozenset(
    "get_scheduler get_constant_schedule get_constant_schedule_with_warmup get_linear_schedule_with_warmup "
    "get_cosine_schedule_with_warmup get_cosine_with_hard_restarts_schedule_with_warmup "
    "get_polynomial_decay_schedule_with_warmup get_inverse_sqrt_schedule".split()
)
PLATEAU = "ReduceLROnPlateau"


class ScheduleStep(NamedTuple):
    """A call `scheduler.step(…)` and the schedules that it is seen to step: their names and what made them."""

    call: ast.Call
    schedules: tuple[tuple[str, ast.Call], ...]

    def only(self, name: str) -> bool:
        """Whether it steps schedules of this name and no others."""
        return all(each == name for each, _ in self.schedules)


class LightningSchedule(NamedTuple):
    """A schedule that `configure_optimizers` returns.

    Attributes:
        made: the call that makes it.
        settings: the dictionary that it stands in as `"scheduler"`; None where it is returned bare.
        outer: the dictionary with `"lr_scheduler"` around it, where that is all that is returned.
    """

    name: str
    made: ast.Call
    settings: ast.Dict | None
    outer: ast.Dict | None


def schedule_name(module: Module, call: ast.expr) -> str | None:
    """The name of the schedule that a call makes, by the class of torch or the function of transformers."""
    if not isinstance(call, ast.Call):
        return None
    name = module.qualified_name(call.func) or ""
    package, _, last = name.rpartition(".")
    if package == "torch.optim.lr_scheduler" and last in _OF_TORCH:
        return last
    return last if name.startswith("transformers.") and last in _OF_TRANSFORMERS else None


def made_schedules(module: Module) -> list[tuple[str, ast.Call]]:
    """Every call that makes a schedule, with its name."""
    return module.fact(_find_made)


def _find_made(module: Module) -> list[tuple[str, ast.Call]]:
    calls = module.calls(*_OF_TORCH, *_OF_TRANSFORMERS)
    return [(name, call) for call in calls if (name := schedule_name(module, call))]


def schedule_steps(module: Module) -> list[ScheduleStep]:
    """Every call that steps schedules which are all made in this file."""
    return module.fact(_find_steps) if made_schedules(module) else []


def _find_steps(module: Module) -> list[ScheduleStep]:
    steps: list[ScheduleStep] = []
    for call in module.calls("step"):
        if isinstance(call.func, ast.Attribute):
            origins = [o for o in origins_through_calls(module, call.func.value) if not _is_nothing(o)]
            found = [(name, origin) for origin in origins if (name := schedule_name(module, origin))]
            if found and len(found) == len(origins):
                steps.append(ScheduleStep(call, tuple(found)))  # type: ignore[arg-type]
    return steps


def _is_nothing(origin: ast.expr) -> bool:
    return isinstance(origin, ast.Constant) and origin.value is None


def lightning_schedules(module: Module) -> list[LightningSchedule]:
    """The schedules that the LightningModules of a file return for automatic optimization."""
    return module.fact(_find_lightning)


def _find_lightning(module: Module) -> list[LightningSchedule]:
    if "configure_optimizers" not in module.source.code or not made_schedules(module):
        return []
    return [
        schedule
        for cls in lightning_modules(module)
        if (method := module.method(cls, "configure_optimizers")) and not optimizes_by_hand(module, cls)
        for statement in returned(module, method)
        if statement.value is not None
        for origin in module.origins(statement.value)
        for schedule in _in_result(module, origin)
    ]


def _in_result(module: Module, result: ast.expr) -> Iterator[LightningSchedule]:
    match result:
        case ast.Dict():
            yield from _in_dictionary(module, result, result)
        case ast.Tuple(elts=[optimizers, schedules]) | ast.List(elts=[optimizers, schedules]) if _is_list(
            module, optimizers
        ):
            for origin in module.origins(schedules):
                for each in origin.elts if isinstance(origin, ast.List) else [origin]:
                    yield from _configured(module, each, None)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for origin in (origin for element in elements for origin in module.origins(element)):
                if isinstance(origin, ast.Dict):
                    yield from _in_dictionary(module, origin, None)


def _is_list(module: Module, expression: ast.expr) -> bool:
    return all(isinstance(origin, ast.List) for origin in module.origins(expression))


def _in_dictionary(module: Module, result: ast.Dict, outer: ast.Dict | None) -> Iterator[LightningSchedule]:
    value = entry(result, "lr_scheduler")
    if value is not None:
        yield from _configured(module, value, outer)


def _configured(module: Module, value: ast.expr, outer: ast.Dict | None) -> Iterator[LightningSchedule]:
    for origin in module.origins(value):
        settings = origin if isinstance(origin, ast.Dict) else None
        scheduler = entry(settings, "scheduler") if settings else origin
        for made in module.origins(scheduler) if scheduler is not None else ():
            if isinstance(made, ast.Call) and (name := schedule_name(module, made)):
                yield LightningSchedule(name, made, settings, outer)


def entry(dictionary: ast.Dict, name: str) -> ast.expr | None:
    """The value of a key that stands in a dictionary."""
    for key, value in zip(dictionary.keys, dictionary.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == name:
            return value
    return None


def is_open(module: Module, dictionary: ast.Dict) -> bool:
    """Whether a dictionary may hold keys that don't stand in it: `**more`, or filled in later."""
    if None in dictionary.keys or any(not isinstance(key, ast.Constant) for key in dictionary.keys):
        return True
    match module.parent(dictionary):
        case ast.Assign(targets=[ast.Name(id=name)]):
            return any(
                isinstance(use, ast.Name)
                and use.id == name
                and isinstance(module.parent(use), ast.Subscript | ast.Attribute)
                for use in module.nodes(ast.Name)
            )
    return False


def optimizer_of(made: ast.Call) -> ast.expr | None:
    """The optimizer that a schedule is made for."""
    return argument(made, "optimizer", 0)
