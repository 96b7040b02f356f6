"""What becomes of a tensor: whether it is trained with, and whether it stays in float64."""

from __future__ import annotations

import ast
import re

from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument

_LOSS_FUNCTION = pattern(r"(^|_)(criterion|loss|loss_fn|loss_func|loss_function)$")
_NARROWING = frozenset({"float", "half", "bfloat16", "long", "int", "bool", "byte", "short", "type", "type_as"})
# Weights for sampling are doubles by custom, and a logged number harms nobody.
_OTHER_USE = pattern(r"sampler|weight|prob|multinomial|bincount|(^|_)log(_|$)|freq", re.IGNORECASE)


def feeds_training(module: Module, value: ast.expr, *, hops: int = 2) -> bool:
    """Whether a value is trained with: a training step calls a model or a loss with it, a TensorDataset holds it, or
    it becomes a parameter. Follows it through indexing, moves and variables."""
    if module.under_no_grad(value):
        return False
    whole: ast.expr = value
    while True:
        match parent := module.parent(whole):
            case ast.Subscript(value=base) | ast.Attribute(value=base) if base is whole:
                whole = parent
            case ast.Call(func=func) if func is whole and isinstance(func, ast.Attribute):
                whole = parent
            case ast.keyword() | ast.Starred():
                parent = module.parent(parent)
                return isinstance(parent, ast.Call) and _trains_with(module, parent)
            case ast.Call(func=func):
                return func is not whole and _trains_with(module, parent)
            case ast.Assign(targets=[ast.Name() as target]) if hops:
                return any(feeds_training(module, read, hops=hops - 1) for read in reads(module, target))
            case _:
                return False


def _trains_with(module: Module, call: ast.Call) -> bool:
    name = module.qualified_name(call.func)
    if name in {"torch.utils.data.TensorDataset", "torch.nn.Parameter"}:
        return True
    if name == "torch.autograd.Variable":
        return argument(call, "requires_grad") is not None
    is_loss = bool(_LOSS_FUNCTION.search(last_name(call.func) or ""))
    return (is_loss or runs_model(module, call)) and module.step_region(call) is not None


def reads(module: Module, target: ast.Name) -> list[ast.Name]:
    """The uses of a variable that can see what is assigned to it here."""
    return [
        name
        for name in module.nodes(ast.Name)
        if name.id == target.id
        and isinstance(name.ctx, ast.Load)
        and any(binding.node is target for binding in module.reaching(name))
    ]


def stays_wide(module: Module, call: ast.Call) -> bool:
    """Whether a tensor is seen to be kept in float64: nothing narrows it, and it is no weight for sampling."""
    whole: ast.expr = call
    while True:
        match parent := module.parent(whole):
            case ast.Attribute(attr=method) if method in _NARROWING:
                return False
            case ast.Call(func=func) if func is whole:
                if _may_narrow(module, parent):
                    return False
                whole = parent
            case ast.Attribute() | ast.Subscript():
                whole = parent
            case ast.Assign(targets=[(ast.Name() | ast.Attribute()) as target]):
                return not _is_narrowed_later(module, target)
            case ast.Call(func=func) if _OTHER_USE.search(last_name(func) or ""):
                return False
            case _:
                return True


def _may_narrow(module: Module, call: ast.Call) -> bool:
    """Whether `x.to(…)` may change a dtype and not just the device."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "to":
        return False
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(
        "dtype" in ast.unparse(value) or (module.qualified_name(value) or "").startswith("torch.") for value in given
    ) or any(keyword.arg == "dtype" for keyword in call.keywords)


def _is_narrowed_later(module: Module, target: ast.Name | ast.Attribute) -> bool:
    text = ast.unparse(target)
    if _OTHER_USE.search(text):
        return True
    return any(
        isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value) == text
        and (call.func.attr != "to" or _may_narrow(module, call))
        for call in module.calls(*_NARROWING, "to")
    )
