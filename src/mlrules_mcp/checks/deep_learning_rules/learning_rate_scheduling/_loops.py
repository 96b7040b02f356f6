"""How often a schedule is stepped: once for each batch or once for each epoch."""

from __future__ import annotations

import ast
from typing import Literal

from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import sites
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Loop

_BATCHES = pattern(r"(?i)load|batch|(^|_|\W)(dl|iter|iterator|dataset|data|train|train_set|trainset)\d?(\W|$)")
_LENGTH = pattern(r"(?i)\blen\(|step|iter(?!tools)|batch|total_updates")
_ALL_BATCHES = pattern(
    r"(?i)\blen\((?![\w.]*(data|set|epochs)\))|estimated_stepping_batches|num_training_batches|n(um)?_batches|"
    r"(steps|iters|iterations|batches)_per_epoch|total_updates"
)
_EPOCHS = pattern(r"(?i)epoch")


def optimizer_sites(module: Module) -> frozenset[ast.AST]:
    """Where optimizers are stepped, and where the functions of the file that do it are called. To be asked for as a
    fact."""
    return frozenset(sites(module, module.optimizer_steps))


def rhythm(module: Module, step: ast.Call) -> Literal["batch", "epoch"] | None:
    """How often a schedule's step runs; None where it hangs on a condition, or the loops don't show it."""
    for site in _with_callers(module, step):
        loops = module.enclosing_loops(site)
        if _is_conditional(module, site, loops[0] if loops else None):
            return None
        if loops:
            return _of_loop(module, site, loops[0])
    return None


def _with_callers(module: Module, step: ast.Call) -> list[ast.AST]:
    """A call, and if its function has one caller in the file, that call."""
    found: list[ast.AST] = [step]
    function = module.enclosing_function(step)
    while function is not None and len(found) < 3 and not module.enclosing_loops(found[-1]):
        callers = [call for call in module.calls(function.name) if module.local_function(call) is function]
        if len(callers) != 1:
            break
        found.append(callers[0])
        function = module.enclosing_function(callers[0])
    return found


def _is_conditional(module: Module, site: ast.AST, loop: Loop | None) -> bool:
    """Whether a node runs in some turns of a loop only, or in some calls of its function."""
    around = loop or module.enclosing_function(site) or module.tree
    return any(
        module.is_inside(guard.test, around) and not asks_whether_there_is_one(guard.test)
        for guard in module.guards(site)
    )


def asks_whether_there_is_one(test: ast.expr) -> bool:
    """`if scheduler is not None:`, `if scheduler:`."""
    match test:
        case ast.Compare(ops=[ast.IsNot() | ast.Is()], comparators=[ast.Constant(value=None)]) | ast.Name():
            return True
    return False


def _of_loop(module: Module, site: ast.AST, loop: Loop) -> Literal["batch", "epoch"] | None:
    if goes_over_epochs(module, loop, site):
        return "epoch"
    steps = [each for each in module.fact(optimizer_sites) if module.is_inside(each, loop) and each is not site]
    direct = all(module.enclosing_loop(each) is loop and not _has_loop(module, each) for each in steps)
    return "batch" if steps and direct and isinstance(loop, ast.For) and _goes_over_batches(module, loop) else None


def goes_over_epochs(module: Module, loop: Loop, besides: ast.AST | None = None) -> bool:
    """Whether the optimizer is stepped in a loop, and only in loops inside it.

    Args:
        besides: a step that does not count.
    """
    steps = [each for each in module.fact(optimizer_sites) if each is not besides and module.is_inside(each, loop)]
    return bool(steps) and all(module.enclosing_loop(each) is not loop or _has_loop(module, each) for each in steps)


def _has_loop(module: Module, site: ast.AST) -> bool:
    """Whether a site is a mention of a function that steps the optimizer in a loop of its own."""
    call = module.parent(site)
    if not isinstance(call, ast.Call) or call.func is not site:
        return False
    function = module.local_function(call)
    return function is not None and any(
        module.is_inside(each, function) and module.enclosing_loop(each) is not None
        for each in module.fact(optimizer_sites)
    )


def _goes_over_batches(module: Module, loop: ast.For) -> bool:
    text = module.text(loop.iter)
    return bool(_BATCHES.search(text)) and not _EPOCHS.search(text)


def counts_batches(module: Module, expression: ast.expr) -> bool:
    """Whether a number is made from the number of batches in an epoch."""
    return any(_ALL_BATCHES.search(text) for text in _texts(module, expression))


def counts_epochs(module: Module, expression: ast.expr) -> bool:
    """Whether a number is one of epochs, by its name, and has not been multiplied by batches."""
    texts = _texts(module, expression)
    return any(_EPOCHS.search(text) for text in texts) and not any(_LENGTH.search(text) for text in texts)


def _texts(module: Module, expression: ast.expr) -> list[str]:
    """How an expression is written, and what it comes from."""
    return [module.text(expression), *(module.text(origin) for origin in module.origins(expression))]
