"""Where models are evaluated, and whether it is sure that gradients aren't wanted there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlrules_mcp.checks.pytorch_rules.gradient_management._modes import (
    Switch,
    gradients_off,
    is_module,
    models,
    runs,
    switches,
)
from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import gradient_sites, sites
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import FUNCTIONS, LOOPS, Function

_TEST_FILE = pattern(r"(^|/)(tests?|testing)/|(^|/)test_\w+\.py$|_test\.py$|conftest")
_HELD_OUT = pattern(
    r"(^|_)(val|valid|validation|test|testing|eval|evaluation|dev|holdout)_?(data)?_?"
    r"(loaders?|dl|ds|set|data|iter|iterator|batches|generator|queue)$"
    r"|load\w*_(val|valid|validation|test|eval|dev)$",
    re.IGNORECASE,
)
_LOADER = pattern(r"load|(^|_)(batch(es)?|dl)$", re.IGNORECASE)
EVALUATES = pattern(
    r"(^|_)(eval|evaluat\w*|valid\w*|val|test\w*|infer\w*|predict\w*|accuracy|score)(_|$)", re.IGNORECASE
)
_GRADIENTS = pattern(
    r"backward|requires_grad|autograd|^grads?$|retain_grad|saliency|attack|adversarial|attribut|explain", re.IGNORECASE
)
_EXPORTS = ("torch.jit.trace", "torch.onnx.", "torch.export.", "torch.fx.", "torch.profiler.")
_MADE_UP = frozenset(
    "rand randn randint zeros ones empty full arange randn_like rand_like ones_like zeros_like".split()
)
_NOT_DIFFERENTIABLE = frozenset(
    "item tolist numpy detach argmax topk cpu multinomial save_image make_grid imshow".split()
)


_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A statement that evaluates a model.

    Attributes:
        run: the first call of the model in it.
        region: what is done with the results: the statement and those after it.
    """

    statement: ast.stmt
    run: ast.Call
    region: list[ast.stmt]


def is_test_file(module: Module) -> bool:
    """Whether a module holds unit tests, whose models are small and whose modes are chosen."""
    return bool(_TEST_FILE.search(module.source.path))


def evaluations(module: Module) -> Iterator[Evaluation]:
    switched = switches(module)
    trained = {switch.model for switch in switched if switch.training is not False}
    for switch in switched:
        if switch.training is False and not chooses_mode(switch, module):
            if switch.model not in trained:
                yield from _in_other_functions(switch, module)
            region = list(evaluating(switch, module))
            for statement in region:
                if (run := next(runs(module, statement, [switch.model]), None)) is not None:
                    yield Evaluation(statement, run, _used_in(statement, region))
    known = models(module)
    for loop in module.nodes(ast.For):
        if goes_over_held_out(loop, module):
            run = next(runs(module, loop.body, known), None) or next(runs(module, loop.body), None)
            if run is not None:
                yield Evaluation(loop, run, _used_in(loop, module.block(loop)))


def _in_other_functions(switch: Switch, module: Module) -> Iterator[Evaluation]:
    """Where a model that is only ever evaluated, an attribute or a global, runs in functions that return no tensors."""
    function, cls = module.enclosing_function(switch.node), module.enclosing_class(switch.node)
    if function is None and cls is None:
        others = [other for other in module.functions if _is_global(switch.model, other, module)]
    elif function is not None and cls is not None and switch.model.startswith("self.") and not is_module(cls, module):
        others = [method for method in module.methods(cls) if method is not function]
    else:
        return
    for other in others:
        for statement in other.body:
            run = next(runs(module, statement, [switch.model]), None)
            if run is not None and not _NOT_DIFFERENTIABLE.isdisjoint(map(identifier, module.walk(other))):
                yield Evaluation(statement, run, _used_in(statement, other.body))
                break


def _is_global(model: str, function: Function, module: Module) -> bool:
    names = [node for node in module.walk(function.body) if isinstance(node, ast.Name) and node.id == model]
    return bool(names) and all(b.scope is module.tree for b in module.bindings_in_scope(names[0]))


def _used_in(statement: ast.stmt, block: list[ast.stmt]) -> list[ast.stmt]:
    """A statement and those after it that may use its results: other loops run the model again."""
    return [statement, *(each for each in block[block.index(statement) + 1 :] if not isinstance(each, LOOPS))]


def chooses_mode(switch: Switch, module: Module) -> bool:
    """Whether a switch is one branch of a choice between training and evaluation."""
    for ancestor in module.ancestors(switch.node):
        if isinstance(ancestor, ast.IfExp):
            return True
        if isinstance(ancestor, ast.If):
            called = (last_name(node.func) for node in module.walk(ancestor) if isinstance(node, ast.Call))
            if "train" in called:
                return True
    return False


def evaluating(switch: Switch, module: Module) -> Iterator[ast.stmt]:
    """The statements that run after a switch to evaluation, up to one that switches back to training."""
    child = module.statement(switch.node)
    while True:
        block, parent = module.block(child), module.parent(child)
        for statement in block[block.index(child) + 1 :]:
            if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                continue
            for node in module.walk(statement):
                if isinstance(node, ast.Call) and re.search("^(train|fit)", last_name(node.func) or ""):
                    return
            yield statement
        if not isinstance(parent, ast.With | ast.AsyncWith | ast.Try | ast.If):
            return
        child = parent


def goes_over_held_out(loop: ast.For, module: Module) -> bool:
    """Whether a loop goes over validation or test data, or over any batches in a function named for evaluation."""
    function = module.enclosing_function(loop)
    names = []
    for node in ast.walk(loop.iter):
        if isinstance(node, ast.Name | ast.Attribute):
            names.append(last_name(node) or "")
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            names.append(f"{last_name(node.value)}_{node.slice.value!s}")
    if any(map(_HELD_OUT.search, names)):
        return True
    return function is not None and bool(EVALUATES.search(function.name)) and any(map(_LOADER.search, names))


def is_wanted(evaluation: Evaluation, module: Module) -> bool:
    """Whether it is sure that gradients need not be recorded: what is done with the results needs none."""
    run, function = evaluation.run, module.enclosing_function(evaluation.run)
    nodes = list(module.walk(evaluation.region))
    computing = module.fact(gradient_sites)
    if not computing.isdisjoint(nodes) or _is_tried_out(run, module) or _is_frozen(run, module):
        return False
    names = [name for node in nodes if (name := identifier(node))]
    around = list(module.walk(function, into_functions=True)) if function else nodes
    if any(map(_GRADIENTS.search, names)) or any(_exports(node, module) for node in nodes):
        return False
    if computing.isdisjoint(around) and any(_GRADIENTS.search(name) for node in around if (name := identifier(node))):
        return False
    if not _shows_evaluation(evaluation, function, names) or _is_unit_test(function, around):
        return False
    return not any(gradients_off(site, module) or _is_forward(site, module) for site in sites(module, [run]))


def identifier(node: ast.AST) -> str | None:
    if isinstance(node, ast.keyword):
        return node.arg
    return last_name(node) if isinstance(node, ast.expr) else None


def _shows_evaluation(evaluation: Evaluation, function: Function | None, names: list[str]) -> bool:
    """Whether results are measured or shown, by the name of the function, the data, or what they are turned into."""
    if function is None or EVALUATES.search(function.name) or function.name == "main":
        return True
    if not _NOT_DIFFERENTIABLE.isdisjoint(names):
        return True
    loop = evaluation.statement
    return isinstance(loop, ast.For) and any(
        _LOADER.search(name) for node in ast.walk(loop.iter) if (name := identifier(node))
    )


def _is_unit_test(function: Function | None, around: list[ast.AST]) -> bool:
    return (
        function is not None
        and function.name.startswith("test_")
        and any(isinstance(node, ast.Assert) or "assert" in (identifier(node) or "") for node in around)
    )


def _is_tried_out(run: ast.Call, module: Module) -> bool:
    """Whether a model runs on made-up input only, or to see the shape of its output, or isn't a model of torch."""
    values = [*run.args, *(keyword.value for keyword in run.keywords)]
    inputs = [value for value in values if not isinstance(value, ast.Constant)]
    if inputs and all(_is_made_up(value, module, 0) for value in inputs):
        return True
    for ancestor in module.ancestors(run):
        match ancestor:
            case ast.Attribute(attr="shape" | "size") | ast.Call(func=ast.Attribute(attr="from_numpy")):
                return True
            case ast.stmt():
                return False
    return False


def _is_made_up(value: ast.expr, module: Module, depth: int) -> bool:
    """Whether a value comes from random numbers or the like, perhaps through functions."""
    origins = module.origins(value)
    return depth < _DEEPEST and all(
        any(isinstance(part, ast.Call) and last_name(part.func) in _MADE_UP for part in ast.walk(origin))
        or (
            isinstance(origin, ast.Call)
            and bool(inputs := _inputs(origin, module))
            and all(_is_made_up(value, module, depth + 1) for value in inputs)
        )
        for origin in origins
    )


def _inputs(call: ast.Call, module: Module) -> list[ast.expr]:
    """What a call computes its result from: the object of a method, or else its arguments."""
    if isinstance(call.func, ast.Attribute) and module.qualified_name(call.func) is None:
        return [call.func.value]
    return call.args


def _exports(node: ast.AST, module: Module) -> bool:
    return isinstance(node, ast.Call) and (module.qualified_name(node.func) or "").startswith(_EXPORTS)


def _is_frozen(run: ast.Call, module: Module) -> bool:
    """Whether all parameters of a model are frozen somewhere, so that nothing is recorded."""
    model, frozen = last_name(run.func), False
    for node in module.nodes(ast.Attribute):
        if node.attr not in {"requires_grad_", "requires_grad"}:
            continue
        loop = module.enclosing_loop(node)
        owner = [node.value, loop.iter] if isinstance(loop, ast.For) else [node.value]
        if any(identifier(part) == model for expression in owner for part in ast.walk(expression)):
            match module.parent(node):
                case ast.Assign(value=ast.Constant(value=False)) | ast.Call(args=[ast.Constant(value=False)]):
                    frozen = True
                case ast.Assign(value=ast.Constant(value=True)):
                    return False
    return frozen


def _is_forward(node: ast.AST, module: Module) -> bool:
    """Whether a node runs in a `forward` or the like, whose caller decides whether gradients are recorded."""
    function, cls = module.enclosing_function(node), module.enclosing_class(node)
    if function is None or cls is None:
        return False
    return function.name in {"forward", "training_step"} or (function.name == "__call__" and is_module(cls, module))
