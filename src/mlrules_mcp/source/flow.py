"""The third layer of a Module: which bindings a use of a name can see."""

from __future__ import annotations

import ast
from bisect import bisect_right
from functools import cached_property
from typing import Literal, TypeAlias

from mlrules_mcp.source.bindings import Binding, start
from mlrules_mcp.source.scopes import COMPREHENSIONS, Scopes
from mlrules_mcp.source.tree import FUNCTIONS, LOOPS

# Whether an earlier binding has run when a use runs, in the same turn of the loops around both.
_Before: TypeAlias = Literal["always", "maybe", "never"]

_MOST_REACHING = 100
_TRIES = (ast.Try, ast.TryStar)


class Flow(Scopes):
    """Scopes that know the order in which things run."""

    def reaching(self, name: ast.Name) -> list[Binding]:
        """The bindings whose value a use of a name can see, in the order of the text.

        Within one scope an unconditional assignment hides what came before, branches that exclude each
        other are kept apart, and an assignment later in a loop reaches the next turn. From within a
        nested function every binding of the outer variable counts.
        """
        if name not in self._reaching:
            self._reaching[name] = self._find_reaching(name)
        return self._reaching[name]

    @cached_property
    def _reaching(self) -> dict[ast.Name, list[Binding]]:
        return {}

    def _find_reaching(self, name: ast.Name) -> list[Binding]:
        bindings = self.bindings_in_scope(name)
        if len(bindings) <= 1:
            return bindings
        if bindings[0].scope is not self._outside_comprehensions(self.scope(name)):
            return bindings[-_MOST_REACHING:]
        towards_use = self._path(name)
        earlier = bisect_right(bindings, start(name), key=lambda binding: binding.end)
        loops = self.enclosing_loops(name)
        reaching: list[Binding] = []
        in_another_turn = bindings[earlier:]
        for binding in reversed(bindings[:earlier]):
            before = self._runs_before(binding.node, towards_use)
            if before == "never":
                in_another_turn.append(binding)
                continue
            reaching.append(binding)
            if before == "always" and binding.kind != "augmented":
                # What a later turn of a loop binds is hidden by what the loop binds before the use.
                loops = [loop for loop in loops if not self.is_inside(binding.node, loop)]
                break
            if len(reaching) == _MOST_REACHING:
                break
        if loops:
            reaching += [binding for binding in in_another_turn if self.is_inside(binding.node, loops[-1])]
        return sorted(reaching, key=lambda binding: binding.end)

    def _path(self, node: ast.AST) -> dict[ast.AST, ast.AST]:
        """The nodes around a node, each with the part of it that the node lies in; the node itself with itself."""
        path = {node: node}
        child = node
        for ancestor in self.ancestors(node):
            path[ancestor] = child
            child = ancestor
        return path

    def _runs_before(self, binder: ast.AST, towards_use: dict[ast.AST, ast.AST]) -> _Before:
        """Whether a node that binds has run when a use, given by the path to it, runs later in the same scope."""
        self._look()
        before: _Before = "always"
        child, parent = binder, self._parents[binder]
        while parent not in towards_use:
            if isinstance(parent, (*FUNCTIONS, ast.Lambda)):
                return "maybe"  # a `global` or `nonlocal` of a function: it runs whenever that is called
            if before == "never" and isinstance(parent, (*LOOPS, *_TRIES)):
                before = "maybe"  # what leaves a block may go on behind the loop or in a handler
            if _leaves(parent, child):
                before = "never"
            elif before == "always" and not _always_runs(parent, child):
                before = "maybe"
            child, parent = parent, self._parents[parent]
        use = towards_use[parent]
        if before == "never":
            goes_on = isinstance(parent, _TRIES) or (isinstance(parent, LOOPS) and use in parent.orelse)
            return "maybe" if goes_on else "never"
        together = _runs_with(parent, child, use)
        return before if together == "always" else together


def _always_runs(parent: ast.AST, child: ast.AST) -> bool:
    """Whether `parent` can't be passed without running its part `child`."""
    match parent:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            return child is test
        case ast.For(iter=iterable) | ast.AsyncFor(iter=iterable):
            return child is iterable
        case ast.BoolOp(values=values):
            return child is values[0]
        case (
            ast.Try(body=body, orelse=orelse, finalbody=finalbody)
            | ast.TryStar(body=body, orelse=orelse, finalbody=finalbody)
        ):
            if child in body or child in orelse:
                return all(_always_leaves(handler.body) for handler in parent.handlers)
            return child in finalbody
        case ast.Match(subject=subject):
            return child is subject
    return not isinstance(parent, COMPREHENSIONS)


def _runs_with(parent: ast.AST, earlier: ast.AST, later: ast.AST) -> _Before:
    """Whether one part of `parent` has run when another, later in the text, runs."""
    match parent:
        case ast.If(test=test) | ast.IfExp(test=test) if earlier is not test:
            return "always" if _branch(parent, earlier) == _branch(parent, later) else "never"
        case ast.For() | ast.AsyncFor() | ast.While() if later in parent.orelse:
            return "always" if earlier in parent.orelse or _always_runs(parent, earlier) else "maybe"
        case ast.Match(cases=cases) if earlier in cases:
            return "never"
        case ast.Try() | ast.TryStar():
            return _tried_with(parent, earlier, later)
    return "always"


def _tried_with(parent: ast.Try | ast.TryStar, earlier: ast.AST, later: ast.AST) -> _Before:
    first, second = _branch(parent, earlier), _branch(parent, later)
    if first == second and first != "handlers":
        return "always"
    if first == "body" and second == "orelse":
        return "always"
    if first == "handlers" and second in ("handlers", "orelse"):
        return "always" if earlier is later else "never"
    return "maybe"


def _branch(parent: ast.AST, child: ast.AST) -> str:
    """The field of a compound statement or a conditional expression that holds one of its parts."""
    if not isinstance(child, ast.stmt | ast.ExceptHandler):
        return next((field for field in ("body", "orelse") if getattr(parent, field, None) is child), "")
    # The blocks follow each other in the text, so their first statements tell, and long ones cost nothing.
    for field in ("finalbody", "orelse", "handlers"):
        block = getattr(parent, field, None)
        if block and start(block[0]) <= start(child):
            return field
    return "body"


def _leaves(parent: ast.AST, child: ast.AST) -> bool:
    """Whether the block of `parent` that holds `child` ends by leaving what is around it."""
    return isinstance(child, ast.stmt) and _always_leaves(getattr(parent, _branch(parent, child)))


def _always_leaves(block: list[ast.stmt]) -> bool:
    return isinstance(block[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)
