"""Bindings: the places where names get values, each read from the node that binds."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mlrules_mcp.source.tree import FUNCTIONS

Scope: TypeAlias = (
    ast.Module
    | ast.FunctionDef
    | ast.AsyncFunctionDef
    | ast.Lambda
    | ast.ClassDef
    | ast.ListComp
    | ast.SetComp
    | ast.DictComp
    | ast.GeneratorExp
)
BindingKind: TypeAlias = Literal[
    "assignment", "unpacking", "augmented", "loop", "with", "parameter", "import", "definition", "other"
]
Position: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """One place where a name gets a value.

    `value` is the expression it is bound to, where the text shows one: the right side of an
    assignment, the iterable of a loop (`loop`), the context manager (`with`), the default of a
    parameter, or the whole right side of an unpacking, whose place is then `index`. `end` is the
    position (line, byte column) from which on the name has the value.
    """

    name: str
    kind: BindingKind
    node: ast.AST
    scope: Scope
    end: Position
    value: ast.expr | None = None
    index: int | None = None


def bound_names(node: ast.AST) -> tuple[str, ...]:
    """The names that a node binds by itself; names in targets of assignments count as nodes of their own."""
    match node:
        case ast.Name(ctx=ast.Store(), id=name) | ast.arg(arg=name):
            return (name,)
        case ast.alias(name=name, asname=asname):
            bound = asname or name.partition(".")[0]
            return () if bound == "*" else (bound,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return (name,)
        case ast.MatchMapping(rest=str(name)):
            return (name,)
    return ()


def read_binding(
    node: ast.AST, name: str, parents: Mapping[ast.AST, ast.AST], scope_of: Callable[[ast.AST, str], Scope]
) -> Binding | None:
    """The binding of a name that a node makes; None for a mere annotation.

    Args:
        scope_of: the scope that a name bound at a node belongs to.
    """
    match node:
        case ast.Name():
            return _of_target(node, parents, scope_of)
        case ast.arg():
            function = parents[parents[node]]
            assert isinstance(function, (*FUNCTIONS, ast.Lambda))
            return Binding(name, "parameter", node, function, end(node), _default(node, function.args))
        case ast.alias():
            statement = parents[node]
            return Binding(name, "import", node, scope_of(statement, name), end(statement))
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return Binding(name, "definition", node, scope_of(node, name), start(node))
        case ast.ExceptHandler():
            return Binding(name, "other", node, scope_of(node, name), start(node))
    return Binding(name, "other", node, scope_of(node, name), end(node))


def _default(parameter: ast.arg, arguments: ast.arguments) -> ast.expr | None:
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if arg is parameter:
            return default
    positional = [*arguments.posonlyargs, *arguments.args]
    for arg, default in zip(reversed(positional), reversed(arguments.defaults), strict=False):
        if arg is parameter:
            return default
    return None


def _of_target(
    name: ast.Name, parents: Mapping[ast.AST, ast.AST], scope_of: Callable[[ast.AST, str], Scope]
) -> Binding | None:
    """The binding by a name that something is assigned to."""
    scope = scope_of(name, name.id)
    path: list[int | None] = []
    target: ast.AST = name
    parent = parents[name]
    while isinstance(parent, ast.Tuple | ast.List | ast.Starred):
        if isinstance(parent, ast.Starred):
            path.append(None)
        else:
            path.append(_place(parent.elts, target))
        target, parent = parent, parents[parent]
    # Only a place in a flat unpacking says which part of the value the name gets.
    index = path[0] if len(path) == 1 else None
    match parent:
        case ast.Assign(value=value):
            if not path:
                return Binding(name.id, "assignment", name, scope, end(parent), value)
            if isinstance(value, ast.Tuple | ast.List) and index is not None and _is_plain(value, index):
                return Binding(name.id, "assignment", name, scope, end(parent), value.elts[index])
            return Binding(name.id, "unpacking", name, scope, end(parent), value, index)
        case ast.AnnAssign(value=value):
            return Binding(name.id, "assignment", name, scope, end(parent), value) if value else None
        case ast.AugAssign(value=value):
            return Binding(name.id, "augmented", name, scope, end(parent), value)
        case ast.NamedExpr(value=value):
            return Binding(name.id, "assignment", name, scope, end(parent), value)
        case ast.For(iter=value) | ast.AsyncFor(iter=value):
            return Binding(name.id, "loop", name, scope, end(value), value, index)
        case ast.comprehension(iter=value):
            return Binding(name.id, "loop", name, scope, start(parents[parent]), value, index)
        case ast.withitem(context_expr=value):
            return Binding(name.id, "with", name, scope, end(name), value, index)
    return Binding(name.id, "other", name, scope, end(name))


def _place(items: list[ast.expr], item: ast.AST) -> int | None:
    """The index of an item that its own position tells: none after a starred one."""
    for index, each in enumerate(items):
        if each is item:
            return index
        if isinstance(each, ast.Starred):
            return None
    return None


def _is_plain(value: ast.Tuple | ast.List, index: int) -> bool:
    return index < len(value.elts) and not any(isinstance(item, ast.Starred) for item in value.elts[: index + 1])


def start(node: ast.AST) -> Position:
    """Where a node starts: line from 1, column from 0 in bytes."""
    return (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))


def end(node: ast.AST) -> Position:
    """Where a node ends, exclusive."""
    return (getattr(node, "end_lineno", 0), getattr(node, "end_col_offset", 0))
