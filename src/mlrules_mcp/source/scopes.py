"""The second layer of a Module: which name is bound where, and which bindings reach a use."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from mlrules_mcp.source.tree import FUNCTIONS, LOOPS, Function, Tree

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

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (ast.Module, *FUNCTIONS, ast.Lambda, ast.ClassDef, *_COMPREHENSIONS)


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
    end: tuple[int, int]
    value: ast.expr | None = None
    index: int | None = None


class Scopes(Tree):
    """A Tree that knows scopes and bindings."""

    def scope(self, node: ast.AST) -> Scope:
        """The scope that a node is evaluated in (decorators, defaults and bases belong to the outer one)."""
        child: ast.AST = node
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, (*FUNCTIONS, ast.Lambda)):
                if child is ancestor.args and not self._is_parameter(node):
                    child = ancestor
                    continue
                if isinstance(ancestor, ast.Lambda) or child is ancestor.args or child in ancestor.body:
                    return ancestor
            elif isinstance(ancestor, ast.ClassDef):
                if child in ancestor.body:
                    return ancestor
            elif isinstance(ancestor, _SCOPES):
                return ancestor
            child = ancestor
        return self.tree

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method of the module, in the order of the text."""
        functions: list[Function] = [*self.nodes(ast.FunctionDef), *self.nodes(ast.AsyncFunctionDef)]
        return sorted(functions, key=_start)

    def function_at(self, line: int) -> Function | None:
        """The innermost function whose lines, decorators excepted, include a line of the parsed code (from 1)."""
        around = [function for function in self.functions if function.lineno <= line <= (function.end_lineno or 0)]
        return around[-1] if around else None

    def _is_parameter(self, node: ast.AST) -> bool:
        return isinstance(node, ast.arg)

    @cached_property
    def bindings(self) -> dict[str, list[Binding]]:
        """Every binding of the module by name, in the order of the text."""
        found: defaultdict[str, list[Binding]] = defaultdict(list)
        for binding in self._find_bindings():
            found[binding.name].append(binding)
        for bindings in found.values():
            if len(bindings) > 1:
                bindings.sort(key=lambda binding: binding.end)
        return dict(found)

    @cached_property
    def _declared_elsewhere(self) -> dict[tuple[ast.AST, str], Scope]:
        """The scopes that `global` and `nonlocal` send a function's names to."""
        elsewhere: dict[tuple[ast.AST, str], Scope] = {}
        for node in self.nodes(ast.Global):
            for name in node.names:
                elsewhere[self.scope(node), name] = self.tree
        for statement in self.nodes(ast.Nonlocal):
            function = self.scope(statement)
            for name in statement.names:
                elsewhere[function, name] = self.scope(function)
        return elsewhere

    def _binding_scope(self, node: ast.AST, name: str) -> Scope:
        scope = self.scope(node)
        return self._declared_elsewhere.get((scope, name), scope) if self._declared_elsewhere else scope

    def _find_bindings(self) -> Iterator[Binding]:
        for name in self.nodes(ast.Name):
            if isinstance(name.ctx, ast.Store):
                yield self._name_binding(name)
        for statement in self.nodes(ast.Import, ast.ImportFrom):
            assert isinstance(statement, ast.Import | ast.ImportFrom)
            for alias in statement.names:
                name_bound = alias.asname or alias.name.partition(".")[0]
                if name_bound != "*":
                    yield Binding(
                        name_bound,
                        "import",
                        alias,
                        self._binding_scope(statement, name_bound),
                        _end(statement),
                    )
        for definition in (*self.functions, *self.nodes(ast.ClassDef)):
            scope = self._binding_scope(definition, definition.name)
            yield Binding(definition.name, "definition", definition, scope, _start(definition))
        for arguments in self.nodes(ast.arguments):
            yield from self._parameters(arguments)
        for handler in self.nodes(ast.ExceptHandler):
            if handler.name:
                yield Binding(handler.name, "other", handler, self.scope(handler), _start(handler))
        for pattern in self.nodes(ast.MatchAs, ast.MatchStar):
            assert isinstance(pattern, ast.MatchAs | ast.MatchStar)
            if pattern.name:
                yield Binding(pattern.name, "other", pattern, self.scope(pattern), _end(pattern))

    def _parameters(self, arguments: ast.arguments) -> Iterator[Binding]:
        function = self._parents[arguments]
        assert isinstance(function, (*FUNCTIONS, ast.Lambda))
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults: dict[str, ast.expr | None] = {
            arg.arg: default for arg, default in zip(reversed(positional), reversed(arguments.defaults), strict=False)
        }
        defaults |= {arg.arg: value for arg, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)}
        variadic = [arg for arg in (arguments.vararg, arguments.kwarg) if arg]
        for arg in (*positional, *arguments.kwonlyargs, *variadic):
            yield Binding(arg.arg, "parameter", arg, function, _end(arg), defaults.get(arg.arg))

    def _name_binding(self, name: ast.Name) -> Binding:
        scope = self._binding_scope(name, name.id)
        target: ast.AST = name
        index: int | None = None
        parent = self._parents[name]
        while isinstance(parent, ast.Tuple | ast.List | ast.Starred):
            if isinstance(parent, ast.Starred):
                index = None
            else:
                index = next(number for number, item in enumerate(parent.elts) if item is target)
            target, parent = parent, self._parents[parent]
        match parent:
            case ast.Assign(value=value):
                if index is None and target is name:
                    return Binding(name.id, "assignment", name, scope, _end(parent), value)
                return self._unpacked(name, scope, parent, value, index)
            case ast.AnnAssign(value=value):
                return Binding(name.id, "assignment" if value else "other", name, scope, _end(parent), value)
            case ast.AugAssign(value=value):
                return Binding(name.id, "augmented", name, scope, _end(parent), value)
            case ast.NamedExpr(value=value):
                while isinstance(scope, _COMPREHENSIONS):
                    scope = self.scope(scope)
                return Binding(name.id, "assignment", name, scope, _end(parent), value)
            case ast.For(iter=value) | ast.AsyncFor(iter=value):
                return Binding(name.id, "loop", name, scope, _end(name), value, index)
            case ast.comprehension(iter=value):
                return Binding(name.id, "loop", name, scope, _start(self._parents[parent]), value, index)
            case ast.withitem(context_expr=value):
                return Binding(name.id, "with", name, scope, _end(name), value, index)
        return Binding(name.id, "other", name, scope, _end(name))

    def _unpacked(
        self, name: ast.Name, scope: Scope, statement: ast.Assign, value: ast.expr, index: int | None
    ) -> Binding:
        flat = isinstance(self._parents[self._parents[name]], ast.Assign)
        if flat and index is not None and isinstance(value, ast.Tuple | ast.List):
            starred = any(isinstance(item, ast.Starred) for item in value.elts)
            if not starred and index < len(value.elts):
                return Binding(name.id, "assignment", name, scope, _end(statement), value.elts[index])
        return Binding(name.id, "unpacking", name, scope, _end(statement), value, index if flat else None)

    def bindings_in_scope(self, name: ast.Name) -> list[Binding]:
        """All bindings of the variable that a name refers to, wherever in its scope; empty if it is not bound here."""
        candidates = self.bindings.get(name.id)
        if not candidates:
            return []
        scope: Scope = self._binding_scope(name, name.id)
        innermost = scope
        while True:
            # A class body's names are visible in the body itself, not in its methods.
            if not isinstance(scope, ast.ClassDef) or scope is innermost:
                here = [binding for binding in candidates if binding.scope is scope]
                if here:
                    return here
            if isinstance(scope, ast.Module):
                return []
            scope = self.scope(scope)

    def reaching(self, name: ast.Name) -> list[Binding]:
        """The bindings whose value a use of a name can see, in the order of the text.

        Within one scope an unconditional assignment hides what came before, the branches of an
        `if` are kept apart, and an assignment later in a loop reaches the next turn. From within a
        nested function every binding of the outer variable counts.
        """
        bindings = self.bindings_in_scope(name)
        if len(bindings) <= 1 or bindings[0].scope is not self._function_scope(name):
            return bindings
        use = _start(name)
        loops = self.enclosing_loops(name)
        reaching: list[Binding] = []
        for binding in bindings:
            if binding.end <= use:
                if binding.kind != "augmented" and self._dominates(binding.node, name):
                    reaching.clear()
                    # What a later turn of a loop binds is hidden by what the loop binds before the use.
                    loops = [loop for loop in loops if not self.is_inside(binding.node, loop)]
                elif self._exclusive(binding.node, name):
                    continue
                reaching.append(binding)
            elif any(self.is_inside(binding.node, loop) for loop in loops):
                reaching.append(binding)
        return reaching

    def _function_scope(self, node: ast.AST) -> Scope:
        scope = self.scope(node)
        while isinstance(scope, _COMPREHENSIONS):
            scope = self.scope(scope)
        return scope

    def _dominates(self, earlier: ast.AST, later: ast.AST) -> bool:
        """Whether `earlier` has always run when `later` runs: its block is one that `later` lies in."""
        if isinstance(earlier, ast.arg):
            return True
        around_later = set(self.ancestors(later))
        child, parent = earlier, self._parents.get(earlier)
        while parent is not None:
            if parent in around_later:
                return not _may_skip(parent, child) or self._branch(parent, child) == self._branch(
                    parent, self._child_towards(parent, later)
                )
            if isinstance(parent, (ast.If, ast.IfExp, ast.BoolOp, ast.Try, ast.ExceptHandler, ast.Match, *LOOPS)) and (
                _may_skip(parent, child)
            ):
                return False
            child, parent = parent, self._parents.get(parent)
        return True

    def _exclusive(self, one: ast.AST, other: ast.AST) -> bool:
        """Whether two nodes lie in different branches of one `if`, so that one run meets only one of them."""
        around_other = set(self.ancestors(other))
        child = one
        for parent in self.ancestors(one):
            if parent in around_other:
                if not isinstance(parent, ast.If | ast.IfExp):
                    return False
                branches = {
                    self._branch(parent, child),
                    self._branch(parent, self._child_towards(parent, other)),
                }
                return branches == {"body", "orelse"}
            child = parent
        return False

    def _child_towards(self, ancestor: ast.AST, node: ast.AST) -> ast.AST:
        child = node
        while self._parents[child] is not ancestor:
            child = self._parents[child]
        return child

    def _branch(self, parent: ast.AST, child: ast.AST) -> str:
        for field in ("body", "orelse", "handlers", "finalbody", "cases", "test"):
            value = getattr(parent, field, None)
            if value is child or (isinstance(value, list) and child in value):
                return field
        return ""


def _may_skip(parent: ast.AST, child: ast.AST) -> bool:
    """Whether `parent` may run without running its part `child`."""
    match parent:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            return child is not test
        case ast.For(iter=iterable, target=target) | ast.AsyncFor(iter=iterable, target=target):
            return child is not iterable and child is not target
        case ast.BoolOp(values=values):
            return child is not values[0]
        case ast.Try(body=body, finalbody=finalbody):
            return child not in body and child not in finalbody
        case ast.ExceptHandler() | ast.Match():
            return True
    return False


def _start(node: ast.AST) -> tuple[int, int]:
    return (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))


def _end(node: ast.AST) -> tuple[int, int]:
    return (getattr(node, "end_lineno", 0), getattr(node, "end_col_offset", 0))
