"""Values in lists, tuples, dictionaries and selections of columns."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.source.data_flow.columns import SOME_COLUMNS, only
from mlrules_mcp.source.data_flow.learners import Learners
from mlrules_mcp.source.data_flow.scopes import Arguments, known, strings
from mlrules_mcp.source.data_flow.selections import selected
from mlrules_mcp.source.data_flow.values import (
    ColumnNames,
    Data,
    Either,
    Folds,
    Instance,
    Items,
    Known,
    Learner,
    Mapping,
    Method,
    Scored,
    Unknown,
    Value,
    either,
    options,
)

CHOOSING_METHODS = frozenset(
    {"index", "sort", "argmax", "argmin", "max", "min", "idxmax", "idxmin", "nlargest", "nsmallest"}
)


class Containers(Learners):
    """Learners, and the lists, tuples, dictionaries and names of columns that they are kept in."""

    # Displays and comprehensions

    def _sequence(self, node: ast.Tuple | ast.List | ast.Set) -> Value:
        values: list[Value] = []
        exact = True
        for element in node.elts:
            if isinstance(element, ast.Starred):
                inner = self.evaluate(element.value)
                if isinstance(inner, Items) and inner.exact:
                    values += inner.values
                else:
                    exact = False
                    values += inner.values if isinstance(inner, Items) else [inner]
            else:
                values.append(self.evaluate(element))
        return Items(values, exact)

    def _dict(self, node: ast.Dict) -> Value:
        result = Mapping({}, [])
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.evaluate(value_node)
            key = self.evaluate(key_node) if key_node is not None else None
            if isinstance(key, Known) and _is_hashable(key.value):
                result.keys[key.value] = value
            elif key is None and isinstance(value, Mapping):
                result.keys.update(value.keys)
            else:
                result.rest.append(value)
        return result

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
        before = dict(self.scope.names)
        names = self._column_comprehension(node)
        for generator in node.generators:
            element = self.element(self.evaluate(generator.iter), generator)
            self.bind(generator.target, element, generator.target)
            self.loops.append(generator)
            for test in generator.ifs:
                self.evaluate(test)
        value = self.evaluate(node.elt)
        del self.loops[-len(node.generators) :]
        self.scope.names.clear()
        self.scope.names.update(before)
        return names if names is not None else Items([value], exact=False)

    def _column_comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value | None:
        """`[c for c in df.columns if c != "y"]`."""
        match node:
            case ast.ListComp(
                elt=ast.Name(id=name),
                generators=[ast.comprehension(target=ast.Name(id=target), iter=iterable, ifs=ifs)],
            ) if name == target:
                columns = self.evaluate(iterable)
                if isinstance(columns, Data):
                    columns = ColumnNames(columns)
                if isinstance(columns, ColumnNames):
                    without: set[str] = set()
                    for test in ifs:
                        left_out = self._left_out(test, name)
                        if left_out is None:
                            return ColumnNames(columns.data, SOME_COLUMNS)
                        without.update(left_out)
                    return ColumnNames(columns.data, columns.columns.hiding(only(without)))
        return None

    def _left_out(self, test: ast.expr, name: str) -> list[str] | None:
        match test:
            case ast.Compare(left=ast.Name(id=left), ops=[ast.NotEq() | ast.NotIn()], comparators=[right]) if (
                left == name
            ):
                return strings(self.evaluate(right))
            case ast.BoolOp(op=ast.And(), values=parts):
                found = [self._left_out(part, name) for part in parts]
                return None if None in found else [each for names in found for each in names or ()]
        return None

    def _dict_comprehension(self, node: ast.DictComp) -> Value:
        before = dict(self.scope.names)
        for generator in node.generators:
            self.bind(generator.target, self.element(self.evaluate(generator.iter), generator), generator.target)
            self.loops.append(generator)
        self.evaluate(node.key)
        value = self.evaluate(node.value)
        del self.loops[-len(node.generators) :]
        self.scope.names.clear()
        self.scope.names.update(before)
        return Mapping({}, [value])

    def element(self, value: Value, loop: ast.AST) -> Value:
        """What a loop over a value gets at each turn."""
        match value:
            case Folds():
                return self.fold(value)
            case Items(values=values):
                if values and all(isinstance(each, Known) for each in values):
                    return self._setting(loop, values)
                if values and not value.exact and all(isinstance(each, Unknown) for each in values):
                    return Unknown(loop, loops=frozenset({loop}))
                return self._alternatives(values, loop)
            case Mapping(keys=keys):
                return either([Known(key) for key in keys]) if keys else Unknown(loop)
            case ColumnNames(columns=columns):
                if columns.names is not None and columns.known:
                    return either([Known(name) for name in columns.names]) if columns.names else Unknown(loop)
                return ColumnNames(value.data, SOME_COLUMNS)
            case Either(options=found):
                return either([self.element(each, loop) for each in found])
            case Data(node=ast.Call(func=ast.Attribute(attr="iterrows" | "itertuples" as way))):
                row = Data("row", value.node, value.sources)
                return row if way == "itertuples" else Items([Unknown(loop), row])
            case Data(how="part") | Data(how="read"):
                return Unknown(loop)
            case Data():
                return Data("derived", value.node, value.sources)
        return Unknown(loop, loops=frozenset({loop}))

    def _setting(self, loop: ast.AST, values: list[Value]) -> Value:
        if all(isinstance(known(each), str) for each in values):
            return either([Known(known(each), frozenset({loop})) for each in values])
        return Unknown(loop, loops=frozenset({loop}))

    def _alternatives(self, values: list[Value], loop: ast.AST) -> Value:
        """One of the values; of pairs (`for name, model in models`), a pair of alternatives."""
        pairs = [each for each in values if isinstance(each, Items) and each.exact]
        if values and len(pairs) == len(values) and len({len(pair.values) for pair in pairs}) == 1:
            columns = zip(*(pair.values for pair in pairs), strict=True)
            return Items([self._column(list(column), loop) for column in columns])
        return either(values) if values else Unknown(loop)

    def _column(self, values: list[Value], loop: ast.AST) -> Value:
        if len(values) > 1 and all(isinstance(each, Known) for each in values):
            return self._setting(loop, values)
        if all(isinstance(each, Unknown) and each.loops for each in values):
            return Unknown(loop, loops=frozenset({loop}))
        return either(values)

    # Elements

    def _subscript(self, node: ast.Subscript) -> Value:
        owner = self.evaluate(node.value)
        index = self._index(node.slice)
        return either([self.item(option, index, node) for option in options(owner)])

    def _index(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Slice):
            bounds = [
                self.evaluate(bound) if bound is not None else Known(None)
                for bound in (node.lower, node.upper, node.step)
            ]
            if all(isinstance(bound, Known) and isinstance(bound.value, int | None) for bound in bounds):
                return Known(slice(*(known(bound) for bound in bounds)))
            return Known(slice("?", "?"))
        if isinstance(node, ast.Tuple):
            return Items([self._index(each) for each in node.elts])
        value = self.evaluate(node)
        if isinstance(value, Either) and strings(value) is not None:
            return Items(list(value.options))  # a loop over names: in the end it is all of them
        return value

    def item(self, owner: Value, index: Value, node: ast.expr) -> Value:
        """`owner[index]`."""
        match owner:
            case Items(values=values):
                return self._element_at(owner, index, node) if values else Unknown(node)
            case Mapping(keys=keys, rest=rest):
                if isinstance(index, Known) and _is_hashable(index.value) and index.value in keys:
                    return keys[index.value]
                found = [*rest, *([] if isinstance(index, Known) else keys.values())]
                value = either(found) if found else Unknown(node)
                name = known(index)
                if not isinstance(name, str) or not rest:
                    return value
                if value.__class__ is Unknown:
                    return keys.setdefault(name, Unknown(node, name))
                return self.named(name, value, node)
            case Data():
                return either([self.subscript(owner, option, node) for option in options(index)])
            case Method(owner=Data() as data):
                return either([self.subscript(data, option, node, owner.name) for option in options(index)])
            case Method(owner=Unknown() as unknown, name="loc" | "iloc") if rows := self.data(unknown):
                return self.subscript(rows, index, node, owner.name)
            case Unknown():
                return self._of_unknown(owner, index, node)
            case Instance(attributes=attributes):
                if owner.cls is None and "windows" in attributes:
                    return owner
                if owner.cls is None and isinstance(grouped := attributes.get("grouped"), Data):
                    columns = selected(index)
                    taken = grouped if columns is None else Data("columns", node, (grouped,), columns)
                    return Instance(None, {"grouped": taken})
                key = known(index)
                return attributes.setdefault(key, Unknown(node)) if isinstance(key, str) else Unknown(node)
            case ColumnNames():
                return self._column_at(owner, index)
            case Learner():
                return owner
            case Scored():
                return owner
        return Unknown(node)

    def _column_at(self, owner: ColumnNames, index: Value) -> Value:
        match index:
            case ColumnNames(fits=fits) if fits:
                return ColumnNames(owner.data, SOME_COLUMNS, fits)
            case Known(value=slice(start=start, stop=stop, step=None)) if (
                all(bound is None or isinstance(bound, int) for bound in (start, stop)) and not owner.columns.names
            ):
                if owner.columns.without:
                    return ColumnNames(owner.data, SOME_COLUMNS)
                return ColumnNames(owner.data, owner.columns._replace(span=(start, stop)))
            case Known(value=int(position)) if not owner.columns.names and not owner.columns.without:
                return ColumnNames(owner.data, only([position]))
        return ColumnNames(owner.data, SOME_COLUMNS)

    def _element_at(self, owner: Items, index: Value, node: ast.expr) -> Value:
        position = known(index)
        if owner.exact and isinstance(position, int) and -len(owner.values) <= position < len(owner.values):
            return owner.values[position]
        if isinstance(position, slice):
            whole = owner.exact and all(
                bound is None or isinstance(bound, int) for bound in (position.start, position.stop)
            )
            return Items(owner.values[position], True) if whole else Items(owner.values, False)
        return either(owner.values)

    def _of_unknown(self, owner: Unknown, index: Value, node: ast.expr) -> Value:
        key = known(index)
        if owner.data is None and owner.learner is not None:
            return owner
        if (
            isinstance(key, str)
            and owner.data is None
            and not owner.name.lower().startswith(("df", "data", "train", "test", "x", "frame"))
        ):
            return owner.parts.setdefault(key, Unknown(node, key))
        data = self.data(owner)
        assert data is not None
        return self.subscript(data, index, node)

    # Methods

    def on_container(self, owner: Items | Mapping, name: str, arguments: Arguments) -> Value:
        """A method of a list, tuple, set or dictionary."""
        node, values = arguments.node, arguments.positional
        match owner, name:
            case Items(), "append" | "add" | "insert" if values:
                owner.values = [*owner.values, values[-1]][-40:]
                owner.exact = owner.exact and not self.module.enclosing_loops(node) and not self.branch
                return Known(None)
            case Items(), "extend" if values:
                more = values[0].values if isinstance(values[0], Items) else [values[0]]
                owner.values = [*owner.values, *more][-40:]
                return Known(None)
            case Items(), "remove":
                gone = known(values[0]) if values else None
                owner.values = [each for each in owner.values if known(each) != gone or gone is None]
                return Known(None)
            case Items(), "copy":
                return Items(owner.values[:], owner.exact)
            case Items(), "pop":
                return either(owner.values) if owner.values else Unknown(node)
            case Items(), _ if name in CHOOSING_METHODS:
                scored = self.scored(*self.scores_in(owner))
                if scored.scores:
                    self.choice(node, scored.scores)
                return Unknown(node)
            case Mapping(keys=keys, rest=rest), "items":
                pairs: list[Value] = [Items([Known(key), value]) for key, value in keys.items()]
                return Items(pairs + [Items([Unknown(node), value]) for value in rest])
            case Mapping(keys=keys, rest=rest), "values":
                return Items([*keys.values(), *rest], exact=not rest)
            case Mapping(keys=keys), "keys":
                return Items([Known(key) for key in keys])
            case Mapping(), "get" | "pop" if values:
                return self.item(owner, values[0], node)
            case Mapping(), "update" if values and isinstance(values[0], Mapping):
                owner.keys.update(values[0].keys)
                owner.rest += values[0].rest
                return Known(None)
        return Unknown(node)

    def _on_columns(self, owner: ColumnNames, name: str, arguments: Arguments) -> Value:
        gone = strings(arguments.get("labels", 0) or arguments.get("other", 0))
        if name in ("drop", "difference", "remove") and gone is not None:
            columns = owner.columns.hiding(only(gone))
            if name == "remove":
                self.replace(owner, ColumnNames(owner.data, columns))
            return ColumnNames(owner.data, columns)
        if name in ("tolist", "to_list", "copy", "astype", "to_numpy"):
            return owner
        return ColumnNames(owner.data, SOME_COLUMNS)

    def scored(self, *values: Value) -> Scored:
        """All scores of some values."""
        scores = {score: None for value in values if isinstance(value, Scored) for score in value.scores}
        return Scored(tuple(scores))

    def scores_in(self, value: Value) -> Iterator[Value]:
        """The scores in a value, through lists and dictionaries."""
        match value:
            case Scored():
                yield value
            case Items(values=values) | Either(options=values):
                for each in values:
                    yield from self.scores_in(each)
            case Mapping(keys=keys, rest=rest):
                for each in (*keys.values(), *rest):
                    yield from self.scores_in(each)
            case Method(owner=owner):
                yield from self.scores_in(owner)


def _is_hashable(value: object) -> bool:
    return isinstance(value, str | int | float | bool | None)
