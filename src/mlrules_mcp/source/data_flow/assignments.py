"""What is assigned to variables, attributes, elements and columns."""

from __future__ import annotations

import ast

from mlrules_mcp.source.data_flow.columns import EVERY_COLUMN, only
from mlrules_mcp.source.data_flow.expressions import Expressions
from mlrules_mcp.source.data_flow.scopes import role_of_name
from mlrules_mcp.source.data_flow.selections import selected
from mlrules_mcp.source.data_flow.values import (
    Data,
    Instance,
    Items,
    Known,
    Mapping,
    Method,
    Unknown,
    Value,
    either,
    options,
)


class Assignments(Expressions):
    """Expressions, and what they are assigned to."""

    def _assignment(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.bind(target, value, node.value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.bind(node.target, self.evaluate(node.value), node.value)

    def _augmented(self, node: ast.AugAssign) -> None:
        left = self.evaluate(_loaded(node.target))
        right = self.evaluate(node.value)
        if isinstance(left, Items) and isinstance(right, Items):
            value: Value = Items(left.values + right.values, exact=left.exact and right.exact)
        elif any(isinstance(option, Data) for side in (left, right) for option in options(side)):
            value = self.arithmetic(self.data(left, node.value) or left, node.op, right, node.value)
        else:
            scored = self.scored(left, right)
            value = scored if scored.scores else Unknown(node, loops=self.loops_in((left, right)))
        self.bind(node.target, value, node.value)

    def bind(self, target: ast.expr, value: Value, node: ast.AST) -> None:
        """Assign a value to a target."""
        match target:
            case ast.Name(id=name):
                named = either([self.named(name, option, node) for option in options(value)])
                if isinstance(value, Unknown) and not value.name:
                    value.name = name
                self.scope.put(name, named)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self._unpack(targets, value, node)
            case ast.Starred(value=inner):
                self.bind(inner, value, node)
            case ast.Attribute(value=owner_node, attr=name):
                for owner in options(self.evaluate(owner_node)):
                    self._set_attribute(owner, name, self.named(name, value, node), target)
            case ast.Subscript(value=owner_node, slice=index):
                self._set_item(owner_node, index, value, target)

    def _set_attribute(self, owner: Value, name: str, value: Value, target: ast.expr) -> None:
        match owner:
            case Instance(attributes=attributes):
                attributes[name] = value
            case Unknown(parts=parts):
                parts[name] = value
            case Data() if name not in ("columns", "index", "shape", "name"):
                self.replace(owner, Data("assigned", target, (owner, *self.data_in([value])), only([name])))
            case Data() if name == "columns":
                self.replace(owner, Data("computed", target, (owner,)))

    def _set_item(self, owner_node: ast.expr, index_node: ast.expr, value: Value, target: ast.expr) -> None:
        index = self._index(index_node)
        owner = self.evaluate(owner_node)
        if isinstance(owner, Unknown) and owner.learner is None:
            owner_data = self.data(owner)
            self.replace(owner, owner_data or owner)
            owner = owner_data or owner
        owners, values = options(owner), options(value)
        for number, option in enumerate(owners):
            self._set_one(option, index, values[number] if len(values) == len(owners) > 1 else value, target)

    def _set_one(self, owner: Value, index: Value, value: Value, target: ast.expr) -> None:
        match owner:
            case Mapping(keys=keys, rest=rest):
                if isinstance(index, Known) and isinstance(index.value, str | int):
                    keys[index.value] = value
                else:
                    rest.append(value)
            case Items(values=values):
                position = index.value if isinstance(index, Known) else None
                if isinstance(position, int) and owner.exact and -len(values) <= position < len(values):
                    values[position] = value
                else:
                    values.append(value)
                    owner.exact = False
            case Data():
                self._set_columns(owner, index, value, target)
            case Method(owner=Data() as data, name="loc" | "iloc" | "at" | "iat" | "ix"):
                self._set_columns(data, index, value, target)
            case Instance(attributes=attributes) if isinstance(index, Known) and isinstance(index.value, str):
                attributes[index.value] = value

    def _set_columns(self, owner: Data, index: Value, value: Value, target: ast.expr) -> None:
        columns = selected(index)
        everything = columns is not None
        if columns is None and isinstance(index, Items) and len(index.values) == 2:
            columns = self.positions(index.values[1])
        found = self.data_in([value])
        table = owner
        if found and found[0].how == "statistic":
            found = [self.filled(owner, found, target)]
        if found and _is_empty(owner):
            # A table without rows gets those of its first column.
            owner = Data("derived", target, found[:1])
            self.replace(table, owner)
        named = EVERY_COLUMN if columns is None else columns
        if not everything:
            # Only some rows are set: what the columns held before is still there.
            found = [*found, Data("columns", target, (owner,), named)]
        self.replace(owner, Data("assigned", target, (owner, *found), named))

    def _unpack(self, targets: list[ast.expr], value: Value, node: ast.AST) -> None:
        if isinstance(value, Items) and value.exact and len(value.values) == len(targets):
            for target, each in zip(targets, value.values, strict=True):
                self.bind(target, each, node)
            return
        data = next((option for option in options(value) if isinstance(option, Data)), None)
        if isinstance(value, Items) and not value.exact:
            data = next((each for each in value.values if isinstance(each, Data)), data)
        if data is not None and self._unpack_split(targets, data, node):
            return
        for target in targets:
            self.bind(target, self._taken_out(value, data, node), node)

    def _taken_out(self, value: Value, data: Data | None, node: ast.AST) -> Value:
        if data is not None:
            return Data(data.how if data.how in ("rows", "read") else "derived", data.node, data.sources)
        if isinstance(value, Items) and value.values:
            return either(value.values)
        return Unknown(node, loops=self.loops_in([value]))

    def _unpack_split(self, targets: list[ast.expr], data: Data, node: ast.AST) -> bool:
        """`X_train, X_test, y_train, y_test = prepare(df)`: a split by its names, wherever it happens."""
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        found = {role_of_name(name) for name in names} - {None}
        if len(names) < len(targets) or len(found) < 2 or not data.sources or not isinstance(node, ast.Call):
            return False
        if "split" not in ast.unparse(node.func).lower():
            return False
        split = self.split(node, "named", data.sources)
        for target, name in zip(targets, names, strict=True):
            role = role_of_name(name)
            part = Data("part", node, (Data("derived", node, data.sources),), split=split, role=role)
            self.bind(target, part, node)
        return True

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            match target:
                case ast.Subscript(value=owner_node, slice=index_node):
                    columns = selected(self._index(index_node))
                    for owner in options(self.evaluate(owner_node)):
                        if isinstance(owner, Data) and columns is not None and columns.names is not None:
                            gone = EVERY_COLUMN.hiding(columns)
                            self.replace(owner, Data("columns", target, (owner,), gone))


def _loaded(target: ast.expr) -> ast.expr:
    """A target of an augmented assignment as the expression that reads it: its context is not asked for."""
    return target


def _is_empty(table: Data) -> bool:
    """Whether a table is made without anything in it."""
    match table.node:
        case ast.Call(args=[], func=ast.Attribute(attr="DataFrame") | ast.Name(id="DataFrame"), keywords=keywords):
            return table.how == "read" and all(keyword.arg != "data" for keyword in keywords)
    return False
