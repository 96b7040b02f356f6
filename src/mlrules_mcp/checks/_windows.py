"""Windows over a series, one for each position, which share values with their neighbours."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function

_AS_ARRAY = frozenset({"array", "asarray", "stack", "reshape", "tensor", "Tensor", "FloatTensor", "expand_dims"})
_DEEPEST = 9


def overlapping_windows(module: Module, split: ast.expr) -> ast.expr | None:
    """Where the windows are made that a call splits, if each starts next to the one before."""
    if not isinstance(split, ast.Call) or not split.args:
        return None
    return next(_windows_in(module, split.args[0], None, _DEEPEST), None)


def _windows_in(module: Module, value: ast.expr, index: int | None, depth: int) -> Iterator[ast.expr]:
    if not depth:
        return
    match value:
        case ast.Name():
            yield from _appended(module, value)
            for binding in module.reaching(value):
                if binding.kind in ("assignment", "unpacking") and binding.value is not None:
                    yield from _windows_in(module, binding.value, binding.index, depth - 1)
        case ast.Call(args=[first, *_]) if module.called_name(value) in _AS_ARRAY and not _is_method(module, value):
            yield from _windows_in(module, first, index, depth - 1)
        case ast.Call(func=ast.Attribute(value=base, attr="reshape" | "astype")):
            yield from _windows_in(module, base, index, depth - 1)
        case ast.Call():
            function = module.local_function(value)
            if function is not None:
                yield from _returned(module, function, index, depth - 1)
        case ast.ListComp(elt=element, generators=[ast.comprehension(target=ast.Name(id=name), iter=positions)]):
            if _goes_one_by_one(module, positions) and (window := _window(element, name)) is not None:
                yield window


def _is_method(module: Module, call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and module.qualified_name(call.func) is None


def _returned(module: Module, function: Function, index: int | None, depth: int) -> Iterator[ast.expr]:
    """The windows among what a function returns, at a place of the tuple where one is asked for."""
    for node in module.walk(function):
        match node:
            case ast.Return(value=ast.Tuple(elts=values)) if index is not None and index < len(values):
                yield from _windows_in(module, values[index], None, depth)
            case ast.Return(value=ast.Name() | ast.Call() | ast.ListComp() as value):
                yield from _windows_in(module, value, index, depth)


def _appended(module: Module, name: ast.Name) -> Iterator[ast.expr]:
    """The windows that a loop appends to a list."""
    for call in module.calls("append"):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=other)), args=[element]) if other == name.id:
                pass
            case _:
                continue
        if module.enclosing_function(call) is not module.enclosing_function(name):
            continue
        for loop in module.enclosing_loops(call):
            match loop:
                case ast.For(target=ast.Name(id=position), iter=positions) if _goes_one_by_one(module, positions):
                    made = (_window(origin, position) for origin in module.origins(element))
                    yield from (window for window in made if window is not None)


def _goes_one_by_one(module: Module, positions: ast.expr) -> bool:
    """Whether a loop is over all positions: `range` without a step, or with a step of one."""
    if not module.is_call_to(positions, "builtins.range") or not isinstance(positions, ast.Call):
        return False
    match positions.args:
        case [_] | [_, _] | [_, _, ast.Constant(value=1)]:
            return True
    return False


def _window(element: ast.expr, position: str) -> ast.expr | None:
    """The slice of several values around a position: `x[i : i + n]`, `x[i - n : i]`."""
    for node in ast.walk(element):
        match node:
            case ast.Subscript(slice=ast.Slice() as bounds):
                pass
            case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice() as bounds, *_])):
                pass
            case _:
                continue
        low, high = bounds.lower, bounds.upper
        if low is None or high is None or not (_has(low, position) and _has(high, position)):
            continue
        if not (isinstance(low, ast.Name) and isinstance(high, ast.Name)):
            return node
    return None


def _has(bound: ast.expr, position: str) -> bool:
    # A product (`i * n`) starts each window where the last one ended.
    nodes = list(ast.walk(bound))
    return any(isinstance(node, ast.Name) and node.id == position for node in nodes) and not any(
        isinstance(node, ast.Mult) for node in nodes
    )
