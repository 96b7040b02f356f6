"""The Trainers of a file, what they train and how they are set up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.checks._lightning import TRAINER
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# What says how many devices a Trainer uses.
_ARGUMENTS = frozenset({"devices", "gpus", "num_nodes", "strategy", "accelerator", "tpu_cores", "num_processes"})
_SEVERAL = pattern(r"ddp|fsdp|deepspeed|horovod|xla")


class Fit(NamedTuple):
    """A call `trainer.fit(model, …)`.

    Attributes:
        trainer: the call that makes the Trainer; None where it is made elsewhere.
        model: what is trained; None where the call does not show it.
    """

    call: ast.Call
    trainer: ast.Call | None
    model: ast.expr | None


def trainers(module: Module) -> list[ast.Call]:
    """The calls that make a Lightning Trainer."""
    return [call for call in module.calls("Trainer") if module.is_call_to(call, TRAINER)]


def fits(module: Module) -> list[Fit]:
    """The calls that train with a Lightning Trainer made in this file."""
    return module.fact(_find_fits)


def _find_fits(module: Module) -> list[Fit]:
    return [Fit(call, trainer, argument(call, "model", 0)) for call, trainer in trainer_calls(module, "fit")]


def trainer_calls(module: Module, *methods: str) -> Iterator[tuple[ast.Call, ast.Call]]:
    """The calls of methods of a Trainer made in this file, each with the call that made it."""
    made = dict.fromkeys(trainers(module))
    if not made:
        return
    for call in module.calls(*methods):
        if isinstance(call.func, ast.Attribute):
            for origin in module.origins(call.func.value):
                if origin in made:
                    assert isinstance(origin, ast.Call)
                    yield call, origin
                    break


def class_of(module: Module, model: ast.expr | None) -> tuple[Module, ast.ClassDef] | None:
    """The class that a trained model is made from and the module it stands in, where the project shows one alone."""
    if local := local_class_of(module, model):
        return module, local
    names = {made and module.qualified_name(made) for made in _makers(module, model)}
    name = names.pop() if len(names) == 1 else None
    return module.class_elsewhere(name) if name else None


def local_class_of(module: Module, model: ast.expr | None) -> ast.ClassDef | None:
    """The class of this file that a trained model is made from, where there is one alone."""
    classes = {module.local_class(made) for made in _makers(module, model)}
    return classes.pop() if len(classes) == 1 else None


def _makers(module: Module, model: ast.expr | None) -> Iterator[ast.expr | None]:
    """What is called to make each value that a model may be; None where that does not show."""
    for origin in module.origins(model) if model is not None else ():
        match origin:
            case ast.Call(func=ast.Attribute(value=cls, attr="load_from_checkpoint")) | ast.Call(func=cls):
                yield cls
            case _:
                yield None


def is_trainer(module: Module, expression: ast.expr) -> bool:
    """Whether an expression is a Lightning Trainer made in this file."""
    return any(module.is_call_to(origin, TRAINER) for origin in module.origins(expression))


def uses_several_devices(module: Module) -> bool | None:
    """Whether the Trainers of a file use several devices; None where that does not show."""
    answers = [_devices(module, call) for call in trainers(module)]
    if True in answers:
        return True
    return None if None in answers or not answers else False


def _devices(module: Module, call: ast.Call) -> bool | None:
    arguments = {each.arg: each.value for each in call.keywords if each.arg in _ARGUMENTS}
    strategy = arguments.get("strategy")
    if strategy is not None and _SEVERAL.search(ast.unparse(strategy).lower()) and not isinstance(strategy, ast.IfExp):
        return True
    counts = [_count(arguments[name]) for name in ("devices", "gpus", "num_nodes", "tpu_cores") if name in arguments]
    if any(count is not None and count != 1 for count in counts):
        return True
    accelerator = arguments.get("accelerator")
    on_cpu = isinstance(accelerator, ast.Constant) and accelerator.value in ("cpu", "mps")
    if on_cpu or (counts and all(count == 1 for count in counts)):
        return False
    return None


def _count(value: ast.expr) -> int | None:
    """How many devices a value stands for; -1 for all, None where that does not show."""
    match value:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() as number):
            return number or 1
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
            return -1
        case ast.List(elts=devices):
            return len(devices)
    return None
