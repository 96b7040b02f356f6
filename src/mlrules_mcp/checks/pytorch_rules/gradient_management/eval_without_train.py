from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Check, suggested
from mlrules_mcp.checks.pytorch_rules.gradient_management._eval_without_train_examples import EXAMPLES
from mlrules_mcp.checks.pytorch_rules.gradient_management._evaluations import (
    EVALUATES,
    chooses_mode,
    evaluating,
    goes_over_held_out,
    identifier,
)
from mlrules_mcp.checks.pytorch_rules.gradient_management._modes import (
    CALLED_ON_MODELS,
    Switch,
    depends_on_mode,
    gradients_off,
    runs,
    switches,
)
from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import gradient_sites, passed, sites
from mlrules_mcp.checks.pytorch_rules.gradient_management._updates import inside
from mlrules_mcp.findings import Finding, Fix, InsertBefore, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import Loop

_TRAIN = pattern(r"^(set_)?train(ing)?(_mode)?$|^unfreeze", re.IGNORECASE)
_MAY_TRAIN = pattern(r"(^|_)(train|fit)(_|$)|(run|one)_epoch", re.IGNORECASE)
_OTHER_MODEL = pattern(r"ema|averag|teacher|target|frozen|reference|swa", re.IGNORECASE)


class EvalWithoutTrain(Check[ast.Module]):
    """A model that is trained in evaluation mode.

    ## What it does
    Finds `model.eval()` that a training loop runs, itself or in a function it calls, where nothing in the loop
    calls `model.train()` before training goes on.

    ## Why it matters
    After the first validation dropout is off and batch normalization uses its old statistics instead of those of
    the batch, for all epochs to come. No error says so; the model overfits or stops getting better.

    ## Do not flag
    `model.train()` anywhere in the loop or in a function that it calls; evaluation mode that training is meant to
    have (switched on right before training, to freeze batch normalization); another model than the one that is
    trained, such as a teacher; a model made anew each turn; a loop that is left after the evaluation; models
    without layers that depend on the mode.

    ## Fix safety
    Suggested: the model may be meant to train in evaluation mode.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.train
    """

    examples = EXAMPLES

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        found = [switch for switch in switches(module) if switch.training is False and not chooses_mode(switch, module)]
        if not found or not module.backward_calls:
            return
        step_sites = sites(module, module.optimizer_steps)
        train_sites = sites(module, _train_switches(module))
        trained = _trained_models(module)
        for switch in found:
            names = {switch.model, *map(ast.unparse, _passed_models(switch, module))}
            last_names = {name.rpartition(".")[2] for name in names}
            if last_names.isdisjoint(trained) or any(map(_OTHER_MODEL.search, last_names)):
                continue
            if not _evaluates(switch, module) or not depends_on_mode(_models(switch, module), module):
                continue
            made_sites = sites(module, _made(last_names, module))
            for site in sites(module, [switch.node]):
                loop = _training_loop(site, module)
                if loop is None or not inside(loop, step_sites, module):
                    continue
                if inside(loop, train_sites, module) or inside(loop, made_sites, module):
                    continue
                if not _leaves(site, loop, module):
                    yield self.finding(
                        module,
                        switch.node,
                        "The model stays in evaluation mode after this, so the next turn of the training loop trains "
                        "it without dropout and with frozen batch statistics. Call `train()` on it before training "
                        "goes on.",
                        fix=_fix(switch, site, loop, module),
                        related=[(module.statement(site), "in this loop training goes on")]
                        if site is not switch.node
                        else [],
                    )
                    break


def _train_switches(module: Module) -> Iterator[ast.AST]:
    """What switches to training, or may do so elsewhere."""
    for attribute in module.nodes(ast.Attribute):
        if attribute.attr == "training" and isinstance(attribute.ctx, ast.Store):
            yield attribute
    for call in module.nodes(ast.Call):
        name = last_name(call.func) or ""
        if isinstance(call.func, ast.Attribute) and _TRAIN.search(name):
            yield call
        if _MAY_TRAIN.search(name) and _is_from_elsewhere(call, module):
            yield call


def _is_from_elsewhere(call: ast.Call, module: Module) -> bool:
    return module.local_function(call) is None and not (module.qualified_name(call.func) or "").startswith("torch.")


def _trained_models(module: Module) -> frozenset[str]:
    """The last names of everything that is called next to a backward pass: the trained models are among them."""
    names: set[str] = set()
    for backward in module.backward_calls:
        function = module.enclosing_function(backward)
        around = module.enclosing_loop(backward) or function or module.tree
        calls = [call for call in module.walk(around) if isinstance(call, ast.Call) and not module.under_no_grad(call)]
        called = {last_name(call.func) for call in calls}
        called |= {
            last_name(call.func.value)
            for call in calls
            if isinstance(call.func, ast.Attribute) and call.func.attr not in CALLED_ON_MODELS
        }
        if function is not None:
            called |= {last_name(value) for name in called if name for value in passed(module, function, name)}
        names.update(name for name in called if name)
    return frozenset(names)


def _passed_models(switch: Switch, module: Module) -> Iterator[ast.expr]:
    """What the callers of a function pass as the model that it switches."""
    function = module.enclosing_function(switch.node)
    if function is not None:
        yield from passed(module, function, switch.model)


def _models(switch: Switch, module: Module) -> list[ast.expr]:
    assert isinstance(switch.node.func, ast.Attribute)
    return list(_passed_models(switch, module)) or [switch.node.func.value]


def _evaluates(switch: Switch, module: Module) -> bool:
    """Whether an evaluation follows a switch; training right after it means that evaluation mode is wanted for it."""
    function = module.enclosing_function(switch.node)
    computing = module.fact(gradient_sites)
    if function is not None and EVALUATES.search(function.name):
        return computing.isdisjoint(module.walk(function))
    for statement in evaluating(switch, module):
        nodes = list(module.walk(statement))
        if not computing.isdisjoint(nodes):
            return False
        if next(runs(module, statement, [switch.model]), None) or any(_shows_evaluation(n, module) for n in nodes):
            return True
    return False


def _shows_evaluation(node: ast.AST, module: Module) -> bool:
    match node:
        case ast.For():
            return goes_over_held_out(node, module)
        case ast.Call(func=func):
            return bool(EVALUATES.search(last_name(func) or "")) or gradients_off(node, module)
    return False


def _made(names: set[str], module: Module) -> Iterator[ast.AST]:
    """Where models of some last names are made, so that they begin in training mode."""
    for target in module.nodes(ast.Name, ast.Attribute):
        if isinstance(getattr(target, "ctx", None), ast.Store) and identifier(target) in names:
            match module.statement(target):
                case ast.Assign(value=value) if not names.isdisjoint(_identifiers(value)):
                    continue
            yield target


def _identifiers(expression: ast.expr) -> set[str]:
    return {name for part in ast.walk(expression) if (name := identifier(part))}


def _training_loop(site: ast.AST, module: Module) -> Loop | None:
    """The innermost loop around an evaluation that computes gradients too."""
    computing = module.fact(gradient_sites)
    for loop in module.enclosing_loops(site):
        if inside(loop, computing, module):
            return loop
    return None


def _leaves(site: ast.AST, loop: Loop, module: Module) -> bool:
    """Whether an evaluation is the last thing a loop does: the loop is left after it, or it waits for the last turn."""
    child: ast.stmt = module.statement(site)
    while child is not loop:
        if isinstance(module.block(child)[-1], ast.Break | ast.Return | ast.Raise):
            return True
        parent = module.parent(child)
        match parent:
            case ast.If(test=ast.Compare(left=ast.Name(), ops=[ast.Eq()])):
                return True
            case ast.stmt():
                child = parent
            case _:
                return False
    return False


def _fix(switch: Switch, site: ast.AST, loop: Loop, module: Module) -> Fix | None:
    """Switch to training at the top of the loop, where the model's name there is known."""
    model = switch.model
    function = module.enclosing_function(switch.node)
    if function is not None and function is not module.enclosing_function(loop):
        given = list(passed(module, function, model))
        if given and not model.startswith("self."):
            call = module.parent(site)
            mine = [value for value in given if module.is_inside(value, call)] if call is not None else []
            if len(mine) != 1 or not isinstance(mine[0], ast.Name | ast.Attribute):
                return None
            model = ast.unparse(mine[0])
    return suggested(f"Switch {model} to training", InsertBefore(Span.of(loop.body[0]), f"{model}.train()"))
