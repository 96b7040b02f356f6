"""Values followed through the parameters of a module's own functions to where they are called."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments
from mlrules_mcp.source.tree import FUNCTIONS, Function

_MOST_SOURCES = 40


def origins_through_calls(module: Module, expression: ast.expr) -> list[ast.expr]:
    """The expressions that a value may come from, as `Module.origins` gives them, with the parameters of functions
    and constructors of this module replaced by what their callers in it pass."""
    found: list[ast.expr] = []
    seen: set[ast.expr] = set()
    pending = [expression]
    while pending and len(seen) < _MOST_SOURCES:
        for origin in module.origins(pending.pop()):
            if origin in seen:
                continue
            seen.add(origin)
            passed = list(_passed(module, origin)) if isinstance(origin, ast.Name) else []
            pending.extend(passed)
            if not passed:
                found.append(origin)
    return found


def _passed(module: Module, name: ast.Name) -> Iterator[ast.expr]:
    """What the callers in this module pass for a parameter; nothing where one of them doesn't show it."""
    bindings = module.reaching(name)
    if len(bindings) != 1 or bindings[0].kind != "parameter" or not isinstance(bindings[0].scope, FUNCTIONS):
        return
    function = bindings[0].scope
    position = _position(module, function, name.id)
    if position is not None and position < 0:  # self
        return
    passed = [argument(call, name.id, position) for call in _calls_of(module, function)]
    if all(value is not None for value in passed):
        yield from (value for value in passed if value is not None)


def _position(module: Module, function: Function, parameter: str) -> int | None:
    names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
    if parameter not in names:
        return None
    is_method = isinstance(module.parent(function), ast.ClassDef)
    return names.index(parameter) - is_method


def _calls_of(module: Module, function: Function) -> Iterator[ast.Call]:
    cls = module.parent(function)
    if isinstance(cls, ast.ClassDef) and function.name == "__init__":
        calls = [call for call in module.calls(cls.name) if module.local_class(call.func) is cls]
    else:
        calls = [call for call in module.calls(function.name) if module.local_function(call) is function]
    yield from (call for call in calls if not passes_unseen_arguments(call))
