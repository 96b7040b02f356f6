"""The sixth layer of a Module: under which conditions a node runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from mlrules_mcp.source.tree import FUNCTIONS
from mlrules_mcp.source.values import Values

_EXIT_CALLS = frozenset({"sys.exit", "os._exit", "builtins.exit", "builtins.quit", "pytest.skip"})


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition that had the truth value `holds` when the guarded node runs."""

    test: ast.expr
    holds: bool


class Guards(Values):
    """Values that know the branch conditions around a node."""

    def guards(self, node: ast.AST) -> Iterator[Guard]:
        """The conditions that a node runs under, from the inside out, through enclosing functions to the module.

        Counts `if`, `while`, conditional expressions, `and`/`or`, comprehension filters, assertions and early
        exits (`if not x: return`) that come before the node in its own or an enclosing block.
        """
        child = node
        for ancestor in self.ancestors(node):
            match ancestor:
                case ast.If(test=test, body=body) | ast.While(test=test, body=body) if child is not test:
                    yield from split_condition(test, child in body)
                case ast.IfExp(test=test, body=body) if child is not test:
                    yield from split_condition(test, child is body)
                case ast.BoolOp(op=operator, values=values):
                    for earlier in values[: values.index(child)]:  # type: ignore[arg-type]
                        yield from split_condition(earlier, isinstance(operator, ast.And))
                case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                    if not isinstance(child, ast.comprehension):
                        for generator in ancestor.generators:
                            for test in generator.ifs:
                                yield from split_condition(test, True)
            if isinstance(child, ast.stmt):
                yield from self._earlier_exits(ancestor, child)
            child = ancestor

    def _earlier_exits(self, parent: ast.AST, statement: ast.stmt) -> Iterator[Guard]:
        for field in ("body", "orelse", "finalbody"):
            block = getattr(parent, field, None)
            if not isinstance(block, list) or statement not in block:
                continue
            for earlier in block[: block.index(statement)]:
                match earlier:
                    case ast.If(test=test, body=body, orelse=orelse):
                        if self.always_leaves(body):
                            yield from split_condition(test, False)
                        elif orelse and self.always_leaves(orelse):
                            yield from split_condition(test, True)
                    case ast.Assert(test=test):
                        yield from split_condition(test, True)

    def always_leaves(self, block: list[ast.stmt]) -> bool:
        """Whether a block ends by leaving: return, raise, continue, break or an exit call."""
        match block[-1]:
            case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
                return True
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
