"""Where gradients are cleared."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.pytorch_rules.gradient_management._updates import Update, inside
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.values import OPTIMIZER

_CLEARS = pattern(r"(zero|clear|reset)_?(\w*_)?grad|post_accumulate_grad_hook", re.IGNORECASE)
_MAY_BE_OPTIMIZER = pattern(r"opt|adam|sgd|rms|lbfgs", re.IGNORECASE)
_KEEPS_GRADIENTS = pattern(
    r"lr|learning|rate|sched|warm|log|save|checkpoint|ckpt|state|print|report|clip|norm|unscale|step|len|float|str",
    re.IGNORECASE,
)


def clears(update: Update, module: Module) -> Iterator[ast.AST]:
    """What clears the gradients of an update, is called as if it did, or makes an optimizer, so perhaps parameters."""
    certain, called_so = module.fact(_clearing_nodes)
    yield from certain
    for attribute in called_so:
        if not _is_another(attribute.value, update, module):
            yield attribute


def _clearing_nodes(module: Module) -> tuple[list[ast.AST], list[ast.Attribute]]:
    """What clears gradients of some update, and what is called as if it cleared those of the object it belongs to."""
    certain: list[ast.AST] = [
        clear
        for clear in module.gradient_clears
        if not isinstance(clear, ast.Call) or module.called_name(clear) != "zero_grad"
    ]
    certain += [name for name in module.nodes(ast.Name) if _CLEARS.search(name.id)]
    certain += [assign for assign in module.nodes(ast.Assign) if _is_new_optimizer(assign, module)]
    return certain, [attribute for attribute in module.nodes(ast.Attribute) if _CLEARS.search(attribute.attr)]


def _is_new_optimizer(assign: ast.Assign, module: Module) -> bool:
    if not isinstance(assign.value, ast.Call) or module.called_name(assign.value) == "optimizers":
        return False
    # The names first: to follow the value of every target in a module is what this check would spend its time on.
    named = any(_MAY_BE_OPTIMIZER.search(last_name(target) or "") for target in assign.targets)
    return module.is_instance(assign.value, OPTIMIZER) or (named and any(map(module.is_optimizer, assign.targets)))


def _is_another(optimizer: ast.expr, update: Update, module: Module) -> bool:
    """Whether an optimizer is seen to have none of the parameters of the one that is stepped."""
    ours, theirs = owners(update.target, module), owners(optimizer, module)
    return bool(ours and theirs) and not any(
        f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.") for one in ours for other in theirs
    )


def owners(optimizer: ast.expr, module: Module) -> set[str]:
    """The models whose parameters an optimizer was made with; empty if they can't all be seen."""
    owners: set[str] = set()
    for origin in module.origins(optimizer):
        if not isinstance(origin, ast.Call) or not origin.args or not module.is_instance(origin, OPTIMIZER):
            return set()
        here = {
            ast.unparse(call.func.value)
            for call in ast.walk(origin.args[0])
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and "parameters" in call.func.attr
        }
        if not here:
            return set()
        owners |= here
    return owners


def cleared(region: ast.AST, update: Update, clear_sites: list[ast.AST], module: Module) -> bool:
    """Whether what a region repeats clears the gradients of an update, or may do so.

    Args:
        clear_sites: the sites (see `sites`) of what clears the gradients of the update (see `clears`).
    """
    if inside(region, clear_sites, module):
        return True
    return _is_bound_in(region, update.target, module) if update.by_hand else _may_clear(region, update, module)


def _is_bound_in(region: ast.AST, target: ast.expr, module: Module) -> bool:
    """Whether each turn of a loop has a new tensor."""
    roots = [name for name in ast.walk(target) if isinstance(name, ast.Name)]
    return any(
        binding.kind in {"assignment", "unpacking"} and module.is_inside(binding.node, region)
        for root in roots
        for binding in module.bindings_in_scope(root)
    )


def _may_clear(region: ast.AST, update: Update, module: Module) -> bool:
    """Whether a function from elsewhere is given the optimizer and may clear the gradients."""
    text = ast.unparse(update.target)
    for call in module.walk(region, into_functions=True):
        if not isinstance(call, ast.Call):
            continue
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(isinstance(value, ast.Name | ast.Attribute) and ast.unparse(value) == text for value in given):
            name = module.qualified_name(call.func) or ""
            known = name.startswith(("torch.", "builtins.")) or module.local_function(call) is not None
            if not known and not _KEEPS_GRADIENTS.search(last_name(call.func) or ""):
                return True
    return False
