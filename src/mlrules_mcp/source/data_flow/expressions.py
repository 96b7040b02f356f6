"""The values of expressions."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from mlrules_mcp.source.data_flow.calls import Calls
from mlrules_mcp.source.data_flow.columns import SOME_COLUMNS
from mlrules_mcp.source.data_flow.scopes import Arguments, known
from mlrules_mcp.source.data_flow.values import (
    Class,
    ColumnNames,
    Data,
    Either,
    Function,
    Instance,
    Items,
    Known,
    Learner,
    Mapping,
    Method,
    Scored,
    Symbol,
    Unknown,
    Value,
    either,
    merged,
    options,
)
from mlrules_mcp.source.names import canonical

_LAZY = frozenset({ast.Lambda, ast.FunctionDef})
_DEEPEST = 150


class Expressions(Calls):
    """Calls, and the values of all kinds of expressions."""

    _depth = 0

    def evaluate(self, node: ast.expr) -> Value:
        """What an expression gives."""
        method = _EVALUATORS.get(node.__class__)
        if self._depth > _DEEPEST:
            return Unknown(node)
        self._depth += 1
        value = method(self, node) if method is not None else self._other(node)
        self._depth -= 1
        return value

    def _other(self, node: ast.expr) -> Value:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) and child.__class__ not in _LAZY:
                self.evaluate(child)
        return Unknown(node)

    def _constant(self, node: ast.Constant) -> Value:
        return Known(node.value)

    def _name(self, node: ast.Name) -> Value:
        value = self.scope.get(node.id)
        if value is None:
            value = self._free(node)
        return value

    def _free(self, node: ast.Name) -> Value:
        name = self.module.qualified_name(node)
        if name is not None:
            return Symbol(name)
        if self.trades(node.id) is not None:
            return Symbol(node.id)
        value = Unknown(node, node.id)
        self.globals.names.setdefault(node.id, value)
        return self.globals.names[node.id]

    def _attribute(self, node: ast.Attribute) -> Value:
        owner = self.evaluate(node.value)
        if owner.__class__ is not Either:
            return self.attribute(owner, node.attr, node)
        return either([self.attribute(option, node.attr, node) for option in options(owner)])

    def attribute(self, owner: Value, name: str, node: ast.expr) -> Value:
        """`owner.name`, without a call."""
        match owner:
            case Symbol(name=package):
                return Symbol(canonical(f"{package}.{name}"))
            case Data():
                return self.table_attribute(owner, name, node)
            case Learner():
                return self.learner_attribute(owner, name, node)
            case Instance():
                return self._of_instance(owner, name, node)
            case Unknown() if self.is_called(node) or name in ("loc", "iloc"):
                return Method(owner, name)
            case Unknown():
                if name in ("values", "T", "columns", "index", "shape") and (data := self.data(owner)):
                    return self.table_attribute(data, name, node)
                return owner.parts.setdefault(name, Unknown(node, name))
            case ColumnNames() if name in ("values", "array"):
                return owner
        return Method(owner, name)

    def _of_instance(self, owner: Instance, name: str, node: ast.expr) -> Value:
        if owner.cls is None and ("grouped" in owner.attributes or "windows" in owner.attributes):
            return Method(owner, name)
        if (value := owner.attributes.get(name)) is not None:
            return value
        if owner.cls is not None:
            method = self.module.method(owner.cls.node, name)
            if method is not None:
                function = Function(method, owner.cls.scope, owner)
                is_property = any("property" in ast.unparse(each) for each in method.decorator_list)
                call = ast.Call(node, [], [])
                return (
                    self.call(function, Arguments([], {}, ast.copy_location(call, node))) if is_property else function
                )
            if self.is_called(node):
                return Method(owner, name)
        return owner.attributes.setdefault(name, Unknown(node, name))

    # Operators

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if left.__class__ is Scored or right.__class__ is Scored:
            return self.scored(left, right)
        for side in (left, right):
            if isinstance(side, ColumnNames):
                return ColumnNames(side.data, SOME_COLUMNS, side.fits)
        if isinstance(left, Items) and isinstance(right, Items) and isinstance(node.op, ast.Add):
            return Items(left.values + right.values, left.exact and right.exact)
        if isinstance(left, Items) and isinstance(node.op, ast.Mult):
            return Items(left.values * 2, exact=False)
        if isinstance(node.op, ast.Mod) and isinstance(left, Known):
            return Unknown(node)
        pair = [either(list(options(side))) for side in (left, right)]
        if any(isinstance(option, Data) for side in pair for option in options(side)):
            first = self.data(pair[0], node) if isinstance(pair[0], Either) else pair[0]
            return self.arithmetic(first or pair[0], node.op, pair[1], node)
        loops = self.loops_in((left, right))
        unknown = Unknown(node, loops=loops)
        for side in (left, right):
            if isinstance(side, Unknown) and side.data is not None:
                return Data("computed", node, (side.data,))
        return unknown

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(number := known(value), int | float):
            return Known(-number)
        if isinstance(value, Data):
            return Data("computed", node, (value,))
        return value if isinstance(value, Scored) else Unknown(node)

    def _compare(self, node: ast.Compare) -> Value:
        values = [self.evaluate(each) for each in (node.left, *node.comparators)]
        scored = self.scored(*values)
        if scored.scores:
            if self._decides(node) and not any(isinstance(each, ast.Constant) for each in node.comparators):
                self.choice(node, scored.scores)
            return Unknown(node)
        found = self.data_in(values)
        rows = [data for data in found if data.how != "statistic"]
        if not rows:
            return Unknown(node)
        compared = Data("computed", node, rows)
        if loops := self.loops_in(values):
            self.turns[compared] = loops
        return compared

    def _decides(self, node: ast.Compare) -> bool:
        if not isinstance(node.ops[0], ast.Gt | ast.GtE | ast.Lt | ast.LtE):
            return False
        parent = self.module.parent(node)
        while isinstance(parent, ast.BoolOp | ast.UnaryOp):
            parent = self.module.parent(parent)
        return isinstance(parent, ast.If | ast.IfExp)

    def _bool(self, node: ast.BoolOp) -> Value:
        return either([self.evaluate(value) for value in node.values])

    def _conditional(self, node: ast.IfExp) -> Value:
        self.evaluate(node.test)
        holds = self.truth(node.test)
        if holds is not None:
            return self.evaluate(node.body if holds else node.orelse)
        return merged([self.evaluate(node.body), self.evaluate(node.orelse)])

    def truth(self, test: ast.expr) -> bool | None:
        """Whether a condition holds, where constants and objects tell: `scaler is None`, `mode == "train"`."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                holds = self.truth(operand)
                return None if holds is None else not holds
            case ast.BoolOp(op=operator, values=parts):
                found = [self.truth(part) for part in parts]
                decisive = isinstance(operator, ast.Or)
                if decisive in found:
                    return decisive
                return None if None in found else not decisive
            case ast.Compare(
                left=ast.Name() | ast.Attribute() as left, ops=[operator], comparators=[ast.Constant(value=other)]
            ):
                return _compared(self.evaluate(left), operator, other)
            case ast.Name():
                value = self.evaluate(test)
                if isinstance(value, Known) and isinstance(value.value, bool | None):
                    return bool(value.value)
                return True if isinstance(value, Learner | Function | Class) else None
        return None

    # Others

    def _lambda(self, node: ast.Lambda) -> Value:
        return Function(node, self.scope)

    def _named(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.bind(node.target, value, node.value)
        return value

    def _await(self, node: ast.Await | ast.Starred) -> Value:
        return self.evaluate(node.value)

    def _yield(self, node: ast.Yield) -> Value:
        if node.value is not None:
            self.frames[-1].yielded.append(self.evaluate(node.value))
        return Unknown(node)


def _compared(value: Value, operator: ast.cmpop, other: object) -> bool | None:
    if isinstance(value, Known) and isinstance(value.value, str | bool | None):
        same = value.value == other
    elif other is None and isinstance(value, Learner | Function | Class | Items | Mapping | Data):
        same = False
    else:
        return None
    if isinstance(operator, ast.Is | ast.Eq):
        return same
    return not same if isinstance(operator, ast.IsNot | ast.NotEq) else None


_EVALUATORS: dict[type[ast.AST], Callable[[Expressions, Any], Value]] = {
    ast.Constant: Expressions._constant,
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Tuple: Expressions._sequence,
    ast.List: Expressions._sequence,
    ast.Set: Expressions._sequence,
    ast.Dict: Expressions._dict,
    ast.ListComp: Expressions._comprehension,
    ast.SetComp: Expressions._comprehension,
    ast.GeneratorExp: Expressions._comprehension,
    ast.DictComp: Expressions._dict_comprehension,
    ast.BinOp: Expressions._binary,
    ast.UnaryOp: Expressions._unary,
    ast.Compare: Expressions._compare,
    ast.BoolOp: Expressions._bool,
    ast.IfExp: Expressions._conditional,
    ast.Subscript: Expressions._subscript,
    ast.Call: Expressions._call,
    ast.Lambda: Expressions._lambda,
    ast.NamedExpr: Expressions._named,
    ast.Await: Expressions._await,
    ast.Starred: Expressions._await,
    ast.Yield: Expressions._yield,
}
