"""Training loops that accumulate the gradients of several batches for one step of the optimizer."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function, Loop

_ACCUMULATION = pattern(r"accum|micro|grad_?acc", re.IGNORECASE)
_LOADER = pattern(r"loader|(^|\W|_)(batches|dl)\b", re.IGNORECASE)
_ENDLESS = pattern(r"cycle|count\(|infinite|islice|repeat")


@dataclass(frozen=True, slots=True)
class Group:
    """Batches whose gradients are accumulated for one step.

    Attributes:
        region: the loop or function that runs once for each batch.
        size: how many batches there are in a group.
        leaves_rest: the step that batches at the end may be left without.
    """

    region: Loop | Function
    size: ast.expr
    leaves_rest: ast.Call | None


def accumulated_group(module: Module, backward: ast.Call) -> Group | None:
    """The group of batches that a backward call accumulates the gradients of; None where each batch has its step."""
    region = module.enclosing_loop(backward) or module.enclosing_function(backward)
    if region is None:
        return None
    steps = [step for step in module.optimizer_steps if module.is_inside(step, region)]
    if not steps:
        return _micro_steps(module, backward, region)
    conditions = [condition for step in steps if (condition := _every(module, step, region)) is not None]
    if len(conditions) < len(steps) or _every(module, backward, region) is not None:
        return None
    clears = [clear for clear in module.gradient_clears if module.is_inside(clear, region)]
    if any(_every(module, clear, region) is None for clear in clears):
        return None
    modulo, alone = conditions[0]
    if isinstance(modulo.right, ast.Constant) and modulo.right.value == 1:
        return None
    return Group(region, modulo.right, steps[0] if alone and _may_leave_rest(module, region, modulo) else None)


def _every(module: Module, node: ast.AST, region: ast.AST) -> tuple[ast.BinOp, bool] | None:
    """The `i % k` that decides whether a node runs, and whether nothing else does; None where there is none."""
    for guard in module.guards(node):
        if not module.is_inside(guard.test, region):
            return None
        tests = module.values_of(guard.test) if isinstance(guard.test, ast.Name) else [guard.test]
        for test in tests:
            for part in ast.walk(test):
                if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod):
                    return part, not any(isinstance(other, ast.BoolOp) for other in ast.walk(test))
    return None


def _may_leave_rest(module: Module, region: Loop | Function, modulo: ast.BinOp) -> bool:
    """Whether a region is a loop over a loader that counts anew each time, and nothing cares for what is left over."""
    if not isinstance(region, ast.For | ast.AsyncFor):
        return False
    over = ast.unparse(region.iter)
    counters = {name.id for name in ast.walk(region.target) if isinstance(name, ast.Name)}
    counts = any(isinstance(name, ast.Name) and name.id in counters for name in ast.walk(modulo.left))
    function = module.enclosing_function(region)
    end = region.end_lineno or region.lineno
    later = any(step.lineno > end and module.enclosing_function(step) is function for step in module.optimizer_steps)
    if later or not counts or not _LOADER.search(over) or _ENDLESS.search(over):
        return False
    size = ast.unparse(modulo.right)
    breaks = [node for node in module.walk(region.body) if isinstance(node, ast.Break)]
    return not any(size in ast.unparse(guard.test) for node in breaks for guard in module.guards(node))


def _micro_steps(module: Module, backward: ast.Call, region: Loop | Function) -> Group | None:
    """The group of a loop `for micro_step in range(accumulation_steps)`, after which the optimizer steps."""
    match region:
        case ast.For(iter=ast.Call(func=ast.Name(id="range"), args=[size])):
            around = module.enclosing_loop(region) or module.enclosing_function(region)
            if around is None or any(module.is_inside(clear, region) for clear in module.gradient_clears):
                return None
            if _ACCUMULATION.search(ast.unparse(size)) and any(
                module.is_inside(s, around) for s in module.optimizer_steps
            ):
                return Group(region, size, None)
    return None
