"""What training code keeps from one step to the next: sums, lists and the like that grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from mlrules_mcp.checks._losses import Losses, losses
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS, LOOPS, Function, Loop, code_of

_ADDING_METHODS = ("append", "appendleft", "extend")
_EMPTYING_METHODS = ("clear", "pop", "popleft", "reset")
_JOINING = ("torch.cat", "torch.concat", "torch.stack", "torch.hstack", "torch.vstack")


@dataclass(frozen=True, slots=True)
class Kept:
    """A place where a step of training adds a value to something that outlives the step.

    Attributes:
        place: the statement, or the call that appends.
        target: what grows: a name, an attribute or a subscript.
        value: what is added to it.
    """

    place: ast.stmt | ast.Call
    target: ast.expr
    value: ast.expr


def kept_values(module: Module) -> list[Kept]:
    """Every place where a training step adds to something that outlives it, in the order of the text by kind."""
    steps = _Steps(module, losses(module))
    return [
        kept
        for kept in _growing(module)
        if (region := steps.region(kept.place)) is not None
        and steps.outlive(kept, region)
        and not _is_something_else(module, kept)
    ]


def _growing(module: Module) -> Iterator[Kept]:
    for augmented in module.nodes(ast.AugAssign):
        if isinstance(augmented.op, ast.Add):
            yield Kept(augmented, augmented.target, augmented.value)
    for assign in module.nodes(ast.Assign):
        match assign:
            case ast.Assign(targets=[target], value=ast.BinOp() as value) if _mentions(value, target):
                yield Kept(assign, target, _without(value, target))
            case ast.Assign(targets=[target], value=ast.Call(args=[first, *_]) as call) if module.is_call_to(
                call, *_JOINING
            ) and _mentions(first, target):
                yield Kept(assign, target, _without(first, target))
            case ast.Assign(targets=[ast.Subscript(slice=index) as target], value=value) if _varies(index):
                yield Kept(assign, target, value)
    for call in module.calls(*_ADDING_METHODS):
        if isinstance(call.func, ast.Attribute) and call.args:
            yield Kept(call, call.func.value, call.args[-1])


def _varies(index: ast.expr) -> bool:
    return not isinstance(index, ast.Constant) and any(isinstance(node, ast.Name) for node in ast.walk(index))


def _mentions(expression: ast.expr, target: ast.expr) -> bool:
    if not isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
        return False
    text = code_of(target)
    return any(isinstance(node, type(target)) and code_of(node) == text for node in ast.walk(expression))


def _without(expression: ast.expr, target: ast.expr) -> ast.expr:
    """What is added to a target: `loss * n` for `total + loss * n`; the whole expression where that doesn't show."""
    text = code_of(target)
    match expression:
        case ast.BinOp(left=left, right=right) if code_of(left) == text:
            return right
        case ast.BinOp(left=left, op=ast.Add(), right=right) if code_of(right) == text:
            return left
    return expression


class _Steps:
    """The loops and functions that take training steps."""

    def __init__(self, module: Module, losses: Losses) -> None:
        self._module = module
        self._functions: set[Function] = set()
        self._loops: set[Loop] = set()
        self._renewals: dict[Loop | Function, list[_Renewal]] = {}
        for root in losses.roots:
            self._loops.update(module.enclosing_loops(root))
            if (function := module.enclosing_function(root)) is not None:
                self._functions.add(function)
        for function in self._functions:
            for call in module.calls(function.name):
                if module.local_function(call) is function:
                    self._loops.update(module.enclosing_loops(call))

    def region(self, node: ast.AST) -> Loop | Function | None:
        """The innermost loop or function around a node that takes a training step each time it runs."""
        for loop in self._module.enclosing_loops(node):
            if loop in self._loops:
                return loop
        function = self._module.enclosing_function(node)
        return function if function in self._functions else None

    def outlive(self, kept: Kept, region: Loop | Function) -> bool:
        """Whether a target still holds what it held when the region runs again."""
        root = kept.target
        texts = {code_of(root)}
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
            texts.add(code_of(root))
        if not isinstance(root, ast.Name):
            return False
        bindings = self._module.bindings_in_scope(root)
        if isinstance(region, FUNCTIONS) and any(b.scope is region and b.kind != "parameter" for b in bindings):
            return False
        if region not in self._renewals:
            self._renewals[region] = list(_renewals(self._module, region))
        statement = self._module.statement(kept.place)
        return not any(each.text in texts and each.statement is not statement for each in self._renewals[region])


@dataclass(frozen=True, slots=True)
class _Renewal:
    """What a statement of a region sets anew or empties, each time the region runs."""

    text: str
    statement: ast.stmt | None


def _renewals(module: Module, region: Loop | Function) -> Iterator[_Renewal]:
    for node in module.walk([*_targets(region), *region.body]):
        match node:
            case (
                ast.Name(ctx=ast.Store() | ast.Del())
                | ast.Attribute(ctx=ast.Store() | ast.Del())
                | ast.Subscript(ctx=ast.Store() | ast.Del())
            ):
                setter = module.statement(node)
                if not _is_growth(setter, node) and _always_runs(module, node, region):
                    yield _Renewal(code_of(node).partition("[:]")[0], setter)
            case ast.Call(func=ast.Attribute(value=emptied, attr=attr)) if attr in _EMPTYING_METHODS:
                if attr != "clear" or _always_runs(module, node, region):
                    yield _Renewal(code_of(emptied), None)


def _targets(region: Loop | Function) -> list[ast.AST]:
    return [region.target] if isinstance(region, ast.For | ast.AsyncFor) else []


def _is_growth(statement: ast.stmt, target: ast.expr) -> bool:
    match statement:
        case ast.AugAssign():
            return True
        case ast.Assign(value=value):
            return _mentions(value, target)
    return False


def _always_runs(module: Module, node: ast.AST, region: ast.AST) -> bool:
    for ancestor in module.ancestors(node):
        if ancestor is region:
            return True
        if isinstance(ancestor, (ast.If, ast.IfExp, ast.ExceptHandler, ast.Match, *LOOPS)):
            return False
    return False


def _is_something_else(module: Module, kept: Kept) -> bool:
    """Whether a target holds no more than so many values, no tensors, or is an object that may detach what it gets."""
    target = kept.target.value if isinstance(kept.target, ast.Subscript) else kept.target
    for origin in module.origins(target):
        if isinstance(origin, ast.Call):
            name = module.qualified_name(origin.func) or ""
            if name.startswith("numpy.") or (name == "collections.deque" and argument(origin, "maxlen", 1)):
                return True
            if isinstance(kept.place, ast.Call) and not name.startswith(("builtins.", "collections.")):
                return True
    return False
