"""The sixth layer of a Module: under which conditions a node runs."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mlrules_mcp.source.bindings import Position, start
from mlrules_mcp.source.tree import FUNCTIONS
from mlrules_mcp.source.values import Values

_MOST_EXITS = 100
_EXIT_CALLS = frozenset({"sys.exit", "os._exit", "os.abort", "builtins.exit", "builtins.quit", "pytest.skip"})


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition that had the truth value `holds` when the guarded node runs."""

    test: ast.expr
    holds: bool


class Guards(Values):
    """Values that know the branch conditions around a node."""

    def guards(self, node: ast.AST) -> Iterator[Guard]:
        """The conditions that a node runs under, from the inside out, through enclosing functions to the module.

        Counts `if`, `while`, conditional expressions, `and`/`or`, comprehension filters, guards of cases, assertions
        and early exits (`if not x: return`) that come before the node in its own or an enclosing block.
        """
        child = node
        for ancestor in self.ancestors(node):
            self._look()
            if isinstance(child, ast.stmt):
                yield from self._earlier_exits(ancestor, child)
            match ancestor:
                case ast.If(test=test, orelse=orelse) | ast.While(test=test, orelse=orelse) if child is not test:
                    yield from split_condition(test, not _stands_in(orelse, child))
                case ast.IfExp(test=test, body=body) if child is not test:
                    yield from split_condition(test, child is body)
                case ast.BoolOp(op=operator, values=values):
                    for earlier in values:
                        if earlier is child:
                            break
                        yield from split_condition(earlier, isinstance(operator, ast.And))
                case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                    if not isinstance(child, ast.comprehension):
                        for generator in ancestor.generators:
                            for test in generator.ifs:
                                yield from split_condition(test, True)
                case ast.match_case(guard=ast.expr() as test) if child is not test and isinstance(child, ast.stmt):
                    yield from split_condition(test, True)
            child = ancestor

    def _earlier_exits(self, parent: ast.AST, statement: ast.stmt) -> Iterator[Guard]:
        """The conditions that must have held, or not, for the statements of a block before this one to go on to it."""
        exits = self._exits_of(parent)
        before = bisect_left(exits, start(statement), key=lambda exit_: exit_[0])
        for _, field, guards in exits[max(before - _MOST_EXITS, 0) : before]:
            if _stands_in(getattr(parent, field), statement):
                yield from guards

    def _exits_of(self, parent: ast.AST) -> list[tuple[Position, str, list[Guard]]]:
        """What the statements of a node's blocks say about those behind them: where they start, their block, guards."""
        if parent not in self._exits:
            self._exits[parent] = [
                (start(statement), field, guards)
                for field in ("body", "orelse", "finalbody")
                if isinstance(block := getattr(parent, field, None), list)
                for statement in block
                if isinstance(statement, ast.If | ast.Assert) and (guards := list(self._passing(statement)))
            ]
        return self._exits[parent]

    @cached_property
    def _exits(self) -> dict[ast.AST, list[tuple[Position, str, list[Guard]]]]:
        return {}

    def _passing(self, statement: ast.If | ast.Assert) -> Iterator[Guard]:
        """The conditions under which a run goes on behind a statement."""
        if isinstance(statement, ast.Assert):
            yield from split_condition(statement.test, True)
            return
        current = statement
        while self.always_leaves(current.body):
            yield from split_condition(current.test, False)
            match current.orelse:
                case [ast.If() as current]:
                    continue
            return
        if current.orelse and self.always_leaves(current.orelse):
            yield from split_condition(current.test, True)

    def always_leaves(self, block: list[ast.stmt]) -> bool:
        """Whether a block ends by leaving: return, raise, continue, break or an exit call."""
        last = block[-1]
        while isinstance(last, ast.If) and last.orelse and self.always_leaves(last.body):
            last = last.orelse[-1]
        match last:
            case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
                return True
            case ast.With(body=body) | ast.AsyncWith(body=body):
                # What is raised inside may be caught by it: `with suppress(…)`, `with pytest.raises(…)`.
                return not isinstance(body[-1], ast.Raise) and self.always_leaves(body)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="skipTest"))):
                return True
            case ast.Expr(value=ast.Call(func=func)):
                return self.qualified_name(func) in _EXIT_CALLS
        return False

    def decorator_names(self, node: ast.AST) -> Iterator[str]:
        """The qualified names, or the bare text, of all decorators of the functions and classes around a node."""
        for around in (node, *self.ancestors(node)):
            if isinstance(around, (*FUNCTIONS, ast.ClassDef)):
                for decorator in around.decorator_list:
                    target = decorator.func if isinstance(decorator, ast.Call) else decorator
                    yield self.qualified_name(target) or ast.unparse(target)


def _stands_in(block: list[ast.stmt], statement: ast.AST) -> bool:
    """Whether a statement of a compound one stands in one of its blocks, told by where they start and end."""
    return bool(block) and start(block[0]) <= start(statement) <= start(block[-1])


def split_condition(test: ast.expr, holds: bool) -> Iterator[Guard]:
    """A condition as its parts: a true `a and b` makes both true, a false `a or b` both false, `not` turns round."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from split_condition(operand, not holds)
        case ast.BoolOp(op=ast.And(), values=values) if holds:
            for value in values:
                yield from split_condition(value, True)
        case ast.BoolOp(op=ast.Or(), values=values) if not holds:
            for value in values:
                yield from split_condition(value, False)
        case _:
            yield Guard(test, holds)
