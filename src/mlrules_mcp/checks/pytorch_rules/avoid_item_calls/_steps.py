"""Which code runs in every training step."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.guards import Guard
from mlrules_mcp.source.tree import FUNCTIONS, LOOPS
from mlrules_mcp.source.values import MODULE

# Loops that take one optimization step a turn but are few: full-batch training, reinforcement learning by episodes.
_EPOCH_WORD = pattern(r"epoch|episode|(^|_)ep(_|$)|trial|(^|_)run(_|$)|fold", re.IGNORECASE)
_STEPS_WORD = pattern(r"per_|iter|step|batch", re.IGNORECASE)  # iters_per_epoch
_EVERY_PROCESS_WORD = pattern(r"rank|main_process|is_master|is_primary|global_zero", re.IGNORECASE)
_TEST_FILE = pattern(r"(^|/)tests?/|(^|/)test_[^/]*$|_test\.py$")
_EVERY_STEP_WORD = pattern(r"amp|fp16|scaler|mixed|precision|autocast|cuda|distributed|world_size", re.IGNORECASE)


def runs_each_step(module: Module, node: ast.AST) -> bool:
    """Whether a node runs in every step of a training loop, or as often as the gradients are computed.

    Not what runs every so many steps, once an epoch, on an error, or in a test.
    """
    region = module.step_region(node)
    if region is None or not module.fact(_trains) or _is_test(module, node):
        return False
    if all(map(_turns_once_an_epoch, _loops(module, region))):
        return False
    for ancestor in module.ancestors(node):
        if ancestor is region:
            break
        if isinstance(ancestor, ast.ExceptHandler) or (isinstance(ancestor, ast.With) and _evaluates(module, ancestor)):
            return False
    conditions = {guard.test for guard in _guards(module, node, region) if not _holds_as_a_rule(module, node, guard)}
    return not conditions or any(
        conditions <= {guard.test for guard in _guards(module, call, region)}
        for call in module.backward_calls or module.optimizer_steps
        if module.is_inside(call, region)
    )


def _evaluates(module: Module, block: ast.With) -> bool:
    """Whether a block runs a model without gradients: evaluation between the steps of training."""
    contexts = [item.context_expr for item in block.items]
    return any(
        isinstance(context, ast.Call) and last_name(context.func) in {"no_grad", "inference_mode"}
        for context in contexts
    ) and any(isinstance(node, ast.Call) and runs_model(module, node) for node in module.walk(block.body))


def _trains(module: Module) -> bool:
    """Whether a module applies the gradients it computes; explaining and attacking a model only look at them."""
    return not module.backward_calls or any(
        attribute.attr.startswith(("step", "optimizer_step"))
        or (attribute.attr == "grad" and _updates(module.statement(attribute)))
        for attribute in module.nodes(ast.Attribute)
    )


def _updates(statement: ast.stmt) -> bool:
    """Whether a statement changes a parameter by hand: `w -= lr * w.grad`, `w.add_(w.grad, alpha=-lr)`."""
    match statement:
        case ast.AugAssign() | ast.Expr(value=ast.Call(func=ast.Attribute(attr="add_" | "sub_" | "addcdiv_"))):
            return True
    return False


def _guards(module: Module, node: ast.AST, region: ast.AST) -> Iterator[Guard]:
    """The conditions inside a region that a node of it runs under."""
    own = region.test if isinstance(region, ast.While) else None
    for guard in module.guards(node):
        if not module.is_inside(guard.test, region):
            break
        if own is None or not module.is_inside(guard.test, own):
            yield guard


def _holds_as_a_rule(module: Module, node: ast.AST, guard: Guard) -> bool:
    """Whether a condition is one that most steps meet: no early exit, no special case, not None, the main process."""
    match guard.test:
        case ast.Compare(ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return True
    if any(isinstance(part, ast.Mod) for part in ast.walk(guard.test)):
        return False
    owner = module.statement(guard.test)
    if not module.is_inside(node, owner) or _is_in_else(module, node, owner):
        return True
    text = ast.unparse(guard.test)
    return bool(_EVERY_PROCESS_WORD.search(text) or _EVERY_STEP_WORD.search(text))


def _is_in_else(module: Module, node: ast.AST, owner: ast.stmt) -> bool:
    if isinstance(owner, ast.If):
        return any(module.is_inside(node, statement) for statement in owner.orelse)
    return any(isinstance(part, ast.IfExp) and module.is_inside(node, part.orelse) for part in module.ancestors(node))


def _loops(module: Module, region: ast.AST) -> list[ast.AST]:
    """The loop that a step region is; of a step function, the training loops that call it."""
    if not isinstance(region, FUNCTIONS):
        return [region]
    calling = (
        module.enclosing_loop(call)
        for call in module.calls(region.name)
        if module.enclosing_function(call) is not region
    )
    return [loop for loop in calling if loop in module.step_regions] or [region]


def _turns_once_an_epoch(region: ast.AST) -> bool:
    match region:
        case ast.For(target=target, iter=ast.Call(func=ast.Name(id="range" | "trange"), args=[*limits])):
            head: list[ast.expr] = [target, *limits]
        case ast.For(target=target) | ast.AsyncFor(target=target):
            head = [target]
        case ast.While(test=test):
            head = [test]
        case _:
            return False
    return any(
        isinstance(node, ast.Name | ast.Attribute) and _counts_epochs(last_name(node) or "")
        for part in head
        for node in ast.walk(part)
    )


def runs_each_forward(module: Module, node: ast.AST) -> bool:
    """Whether a node runs in every call of a module's `forward` that computes gradients."""
    function, cls = module.enclosing_function(node), module.enclosing_class(node)
    return (
        function is not None
        and function.name == "forward"
        and cls is not None
        and module.is_subclass(cls, MODULE)
        and not any(module.is_inside(guard.test, function) for guard in module.guards(node))
        and not module.under_no_grad(node)
        and not _is_test(module, node)
    )


def _counts_epochs(name: str) -> bool:
    return bool(_EPOCH_WORD.search(name)) and not _STEPS_WORD.search(name)


def _is_test(module: Module, node: ast.AST) -> bool:
    return bool(_TEST_FILE.search(module.source.path)) or any(
        isinstance(ancestor, FUNCTIONS) and ancestor.name.startswith("test_") for ancestor in module.ancestors(node)
    )


def loop_targets(module: Module, node: ast.AST) -> Iterator[ast.expr]:
    """The targets of the `for` loops around a node that train, from the inside out."""
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, LOOPS) and ancestor in module.training_loops and not isinstance(ancestor, ast.While):
            yield ancestor.target
