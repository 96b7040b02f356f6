"""The second layer of a Module: which name is bound in which scope."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property

from mlrules_mcp.source.bindings import Binding, BindingKind, Scope, bound_names, read_binding, start
from mlrules_mcp.source.tree import FUNCTIONS, Function, Tree

__all__ = ["Binding", "BindingKind", "Scope", "Scopes"]

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = frozenset({*FUNCTIONS, ast.Lambda, ast.ClassDef, *COMPREHENSIONS})
_BINDERS = (
    ast.Name,
    ast.alias,
    *FUNCTIONS,
    ast.ClassDef,
    ast.arg,
    ast.ExceptHandler,
    ast.MatchAs,
    ast.MatchStar,
    ast.MatchMapping,
)


class Scopes(Tree):
    """A Tree that knows scopes and bindings."""

    def scope(self, node: ast.AST) -> Scope:
        """The scope that a node is evaluated in.

        Decorators, defaults, annotations, bases and the first iterable of a comprehension belong to the outer one.
        """
        parents = self._parents
        grandchild: ast.AST = node
        child: ast.AST = node
        current = parents.get(node)
        while current is not None:
            if current.__class__ in _SCOPES and _runs_inside(current, child, grandchild, node):
                return current  # type: ignore[return-value]
            grandchild, child, current = child, current, parents.get(current)
        return self.tree

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method of the module, in the order of the text."""
        functions: list[Function] = [*self.nodes(ast.FunctionDef), *self.nodes(ast.AsyncFunctionDef)]
        return sorted(functions, key=start)

    def function_at(self, line: int) -> Function | None:
        """The innermost function whose lines, decorators excepted, include a line of the parsed code (from 1)."""
        before = bisect_right(self.functions, line, key=lambda function: function.lineno)
        function = self.functions[before - 1] if before else None
        while function is not None and (function.end_lineno or 0) < line:
            function = next((outer for outer in self.ancestors(function) if isinstance(outer, FUNCTIONS)), None)
        return function

    @property
    def bindings(self) -> Mapping[str, list[Binding]]:
        """Every binding of the module by name, in the order of the text; read when a name is asked for."""
        return _Bindings(self)

    @cached_property
    def _binders(self) -> dict[str, list[ast.AST]]:
        """The nodes that bind, by the name they bind."""
        binders: defaultdict[str, list[ast.AST]] = defaultdict(list)
        for name in self.nodes(ast.Name):
            if name.ctx.__class__ is ast.Store:
                binders[name.id].append(name)
        for node in self.nodes(*_BINDERS[1:]):
            for bound in bound_names(node):
                binders[bound].append(node)
        return dict(binders)

    def _bindings_of(self, name: str) -> list[Binding]:
        if name not in self._known_bindings:
            found = (read_binding(node, name, self._parents, self._binding_scope) for node in self._binders[name])
            self._known_bindings[name] = sorted(filter(None, found), key=lambda binding: binding.end)
        return self._known_bindings[name]

    @cached_property
    def _known_bindings(self) -> dict[str, list[Binding]]:
        return {}

    def _binding_scope(self, node: ast.AST, name: str) -> Scope:
        """The scope of the variable that a name means at a node, if it is bound there."""
        scope = self.scope(node)
        if isinstance(self._parents.get(node), ast.NamedExpr):
            scope = self._outside_comprehensions(scope)
        return self._declared_elsewhere.get((scope, name), scope) if self._declared_elsewhere else scope

    def _outside_comprehensions(self, scope: Scope) -> Scope:
        while isinstance(scope, COMPREHENSIONS):
            scope = self.scope(scope)
        return scope

    @cached_property
    def _declared_elsewhere(self) -> dict[tuple[Scope, str], Scope]:
        """The scopes that `global` and `nonlocal` send a function's names to."""
        elsewhere: dict[tuple[Scope, str], Scope] = {
            (self.scope(statement), name): self.tree for statement in self.nodes(ast.Global) for name in statement.names
        }
        nonlocals = {(self.scope(node), name) for node in self.nodes(ast.Nonlocal) for name in node.names}
        for function, name in nonlocals:
            scope = self.scope(function)
            while not isinstance(scope, ast.Module) and ((scope, name) in nonlocals or not self._binds(scope, name)):
                scope = self.scope(scope)
            elsewhere[function, name] = scope
        return elsewhere

    def _binds(self, scope: Scope, name: str) -> bool:
        return not isinstance(scope, ast.ClassDef) and any(
            self.scope(node) is scope for node in self._binders.get(name, ())
        )

    def bindings_in_scope(self, name: ast.Name) -> list[Binding]:
        """All bindings of the variable that a name refers to, wherever in its scope; empty if it is not bound here."""
        if name.id not in self._binders:
            return []
        self._look()
        scopes = self._bindings_by_scope(name.id)
        scope: Scope = self._binding_scope(name, name.id)
        innermost = scope
        while True:
            # A class body's names are visible in the body itself, not in its methods.
            if scope in scopes and (not isinstance(scope, ast.ClassDef) or scope is innermost):
                return scopes[scope]
            if isinstance(scope, ast.Module):
                return []
            scope = self.scope(scope)

    def _bindings_by_scope(self, name: str) -> dict[Scope, list[Binding]]:
        if name not in self._by_scope:
            scopes: defaultdict[Scope, list[Binding]] = defaultdict(list)
            for binding in self._bindings_of(name):
                scopes[binding.scope].append(binding)
            self._by_scope[name] = dict(scopes)
        return self._by_scope[name]

    @cached_property
    def _by_scope(self) -> dict[str, dict[Scope, list[Binding]]]:
        return {}


class _Bindings(Mapping[str, list[Binding]]):
    """The bindings of a module by name, each name's read at its first use."""

    def __init__(self, scopes: Scopes) -> None:
        # Made anew for each use: a module that kept this would be a circle, which only the collector takes apart.
        self._scopes = scopes

    def __getitem__(self, name: str) -> list[Binding]:
        if name not in self._scopes._binders:
            raise KeyError(name)
        return self._scopes._bindings_of(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._scopes._binders)

    def __len__(self) -> int:
        return len(self._scopes._binders)

    def __contains__(self, name: object) -> bool:
        return name in self._scopes._binders


def _runs_inside(scope: ast.AST, child: ast.AST, grandchild: ast.AST, node: ast.AST) -> bool:
    """Whether a node below a scope node is evaluated in that scope, given the two nodes on the path to it."""
    if isinstance(scope, COMPREHENSIONS):
        return grandchild is not scope.generators[0].iter
    if node.__class__ is ast.arg:
        return True
    return child is scope.body if isinstance(scope, ast.Lambda) else isinstance(child, ast.stmt)
