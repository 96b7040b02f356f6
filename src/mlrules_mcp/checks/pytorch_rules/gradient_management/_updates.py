"""Where parameters are updated from their gradients, and what repeats it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import sites
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Loop
from mlrules_mcp.source.values import LIGHTNING_MODULE

_LBFGS = "torch.optim.LBFGS"


@dataclass(frozen=True, slots=True)
class Update:
    """A node that applies gradients.

    Attributes:
        node: `optimizer.step()`, `scaler.step(optimizer)`, or by hand `w -= lr * w.grad`, `w.data.sub_(lr * w.grad)`.
        target: the optimizer, or the tensor that is updated by hand.
        by_hand: whether no optimizer is used.
    """

    node: ast.Call | ast.AugAssign
    target: ast.expr
    by_hand: bool = False


def updates(module: Module) -> Iterator[Update]:
    """Every update of parameters in a module."""
    for call in module.optimizer_steps:
        yield Update(call, stepped_optimizer(call, module))
    for gradient in module.nodes(ast.Attribute):
        if gradient.attr == "grad" and isinstance(gradient.ctx, ast.Load):
            yield from _by_hand(gradient, module)


def stepped_optimizer(step: ast.Call, module: Module) -> ast.expr:
    """The optimizer that a call steps: `opt` of `opt.step()`, `scaler.step(opt)` and `xm.optimizer_step(opt)`."""
    assert isinstance(step.func, ast.Attribute)
    if step.args and (step.func.attr == "optimizer_step" or module.is_grad_scaler(step.func.value)):
        return step.args[0]
    return step.func.value


def _by_hand(gradient: ast.Attribute, module: Module) -> Iterator[Update]:
    """The update of a tensor from its own gradient, none if the gradient is read for something else."""
    tensor = ast.unparse(gradient.value)
    for ancestor in module.ancestors(gradient):
        updated: ast.expr
        match ancestor:
            case ast.AugAssign(target=updated, op=ast.Sub()):
                pass
            case ast.Call(func=ast.Attribute(value=updated, attr="sub_" | "add_")):
                pass
            case ast.stmt():
                return
            case _:
                continue
        if isinstance(updated, ast.Attribute) and updated.attr == "data":
            updated = updated.value
        if ast.unparse(updated) == tensor:
            yield Update(ancestor, updated, by_hand=True)
        return


def regions(update: Update, backward_sites: list[ast.AST], module: Module) -> Iterator[ast.AST]:
    """What repeats an update together with a backward pass.

    That is the closure of LBFGS, the innermost loop around both, or else the loops that call the update's function;
    for `training_step` of a LightningModule its class, whose other hooks run between the steps.

    Args:
        backward_sites: the sites (see `sites`) of the backward passes that count.
    """
    if (closure := _closure(update, module)) is not None and inside(closure, backward_sites, module):
        yield closure
    elif (own := _repeating_loop(update.node, update, backward_sites, module)) is not None:
        yield own
    elif (cls := _lightning_module(update, module)) is not None:
        if inside(cls, backward_sites, module):
            yield cls
    else:
        for site in sites(module, [update.node]):
            if (loop := _repeating_loop(site, update, backward_sites, module)) is not None:
                yield loop


def inside(region: ast.AST, nodes: Iterable[ast.AST], module: Module) -> bool:
    """Whether one of some nodes lies in a region."""
    return any(module.is_inside(node, region) for node in nodes)


def _closure(update: Update, module: Module) -> ast.AST | None:
    """The function that LBFGS calls several times a step."""
    match update.node:
        case ast.Call(args=[ast.Name() as name]) if module.is_instance(update.target, _LBFGS):
            definitions = [b.node for b in module.bindings_in_scope(name) if b.kind == "definition"]
            return definitions[0] if len(definitions) == 1 else None
    return None


def _lightning_module(update: Update, module: Module) -> ast.ClassDef | None:
    function, cls = module.enclosing_function(update.node), module.enclosing_class(update.node)
    if function is not None and function.name == "training_step" and cls is not None:
        return cls if module.is_subclass(cls, LIGHTNING_MODULE) else None
    return None


def _repeating_loop(site: ast.AST, update: Update, backward_sites: list[ast.AST], module: Module) -> Loop | None:
    for loop in module.enclosing_loops(site):
        if not _goes_over(loop, update.target) and inside(loop, backward_sites, module):
            return loop
    return None


def _goes_over(loop: Loop, target: ast.expr) -> bool:
    """Whether a loop updates something else each turn: `for opt in optimizers`."""
    if isinstance(loop, ast.While):
        return False
    names = {name.id for name in ast.walk(loop.target) if isinstance(name, ast.Name)}
    return any(isinstance(name, ast.Name) and name.id in names for name in ast.walk(target))
