"""The values of expressions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from mlrules_mcp.source.data_flow.columns import SOME_COLUMNS, only
from mlrules_mcp.source.data_flow.learners import LEARNER_METHODS, Learners
from mlrules_mcp.source.data_flow.scopes import Arguments, known, strings
from mlrules_mcp.source.data_flow.values import (
    Class,
    ColumnNames,
    Data,
    Either,
    Folds,
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
    inside,
    merged,
    options,
)
from mlrules_mcp.source.names import canonical

_LAZY = frozenset({ast.Lambda, ast.FunctionDef})
_CHOOSING = frozenset(
    "builtins.max builtins.min builtins.sorted numpy.argmax numpy.argmin numpy.max numpy.min numpy.argsort numpy.amax "
    "numpy.amin".split()
)
_CHOOSING_METHODS = frozenset(
    {"index", "sort", "argmax", "argmin", "max", "min", "idxmax", "idxmin", "nlargest", "nsmallest"}
)
# Calls of these read values and give nothing that matters.
_HARMLESS = frozenset("print len isinstance type display str repr id hasattr format input help any all bool".split())
_SAVING = frozenset("joblib.dump pickle.dump pickle.dumps cloudpickle.dump dill.dump skops.io.dump".split())
_THROUGH = frozenset("list tuple reversed iter set frozenset sorted tqdm trange".split())
_VARYING = frozenset(
    "builtins.range numpy.arange numpy.linspace numpy.logspace numpy.geomspace itertools.product".split()
)


_DEEPEST = 150


class Expressions(Learners):
    """Learners, and the values of all kinds of expressions."""

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
            case Unknown() if self._is_called(node) or name in ("loc", "iloc"):
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
            if self._is_called(node):
                return Method(owner, name)
        return owner.attributes.setdefault(name, Unknown(node, name))

    # Containers

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

    # Operators

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if left.__class__ is Scored or right.__class__ is Scored:
            return self._scored(left, right)
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

    def _scored(self, *values: Value) -> Scored:
        scores = {score: None for value in values if isinstance(value, Scored) for score in value.scores}
        return Scored(tuple(scores))

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(number := known(value), int | float):
            return Known(-number)
        if isinstance(value, Data):
            return Data("computed", node, (value,))
        return value if isinstance(value, Scored) else Unknown(node)

    def _compare(self, node: ast.Compare) -> Value:
        values = [self.evaluate(each) for each in (node.left, *node.comparators)]
        scored = self._scored(*values)
        if scored.scores:
            if self._decides(node) and not any(isinstance(each, ast.Constant) for each in node.comparators):
                self.choice(node, scored.scores)
            return Unknown(node)
        found = self.data_in(values)
        rows = [data for data in found if data.how != "statistic"]
        return Data("computed", node, rows) if rows else Unknown(node)

    def _decides(self, node: ast.Compare) -> bool:
        if not isinstance(node.ops[0], ast.Gt | ast.GtE | ast.Lt | ast.LtE):
            return False
        parent = self.module.parent(node)
        while isinstance(parent, ast.BoolOp | ast.UnaryOp):
            parent = self.module.parent(parent)
        return isinstance(parent, ast.If | ast.IfExp)

    def _bool(self, node: ast.BoolOp) -> Value:
        return either([self.evaluate(value) for value in node.values])

    def _if(self, node: ast.IfExp) -> Value:
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
                return either(found) if found else Unknown(node)
            case Data():
                return either([self.subscript(owner, option, node) for option in options(index)])
            case Method(owner=Data() as data):
                return either([self.subscript(data, option, node, owner.name) for option in options(index)])
            case Method(owner=Unknown() as unknown, name="loc" | "iloc") if rows := self.data(unknown):
                return self.subscript(rows, index, node, owner.name)
            case Unknown():
                return self._of_unknown(owner, index, node)
            case Instance(attributes=attributes):
                if owner.cls is None and ("grouped" in attributes or "windows" in attributes):
                    return owner
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

    # Calls

    def _call(self, node: ast.Call) -> Value:
        function = self.evaluate(node.func)
        arguments = self._arguments(node)
        if function.__class__ is not Either:
            return self.call(function, arguments)
        return either([self.call(option, arguments) for option in options(function)])

    def _arguments(self, node: ast.Call) -> Arguments:
        positional: list[Value] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                value = self.evaluate(argument.value)
                positional += value.values if isinstance(value, Items) and value.exact else [value]
            else:
                positional.append(self.evaluate(argument))
        keywords: dict[str, Value] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is not None:
                keywords[keyword.arg] = value
            elif isinstance(value, Mapping):
                keywords.update({key: each for key, each in value.keys.items() if isinstance(key, str)})
            else:
                keywords["**"] = value
        return Arguments(positional, keywords, node)

    def call(self, function: Value, arguments: Arguments) -> Value:
        """What a call gives."""
        match function:
            case Function():
                return self.run(function, arguments)
            case Class():
                return self.instance(function, arguments)
            case Symbol(name=name):
                return self._library(name, arguments)
            case Method(owner=owner, name=name):
                return self._method(owner, name, arguments)
        if isinstance(function, Learner):
            function.escaped = True
            return function if not self.data_in(arguments.values) else self.unseen(arguments.node, arguments.values)
        return self.unseen(arguments.node, [function, *arguments.values])

    def run(self, function: Function, arguments: Arguments) -> Value:
        """What a call of a function of the module gives."""
        raise NotImplementedError

    def instance(self, cls: Class, arguments: Arguments) -> Value:
        """What a call of a class of the module gives."""
        raise NotImplementedError

    def bind(self, target: ast.expr, value: Value, node: ast.AST) -> None:
        """Assign a value to a target."""
        raise NotImplementedError

    def _library(self, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        trade = self.trades(name)
        if trade is not None:
            return self.make(name, trade, arguments)
        package, _, last = name.rpartition(".")
        if package in ("builtins", "tqdm", "tqdm.auto", "tqdm.notebook", "itertools", "functools") or name in _VARYING:
            found = self._builtin(last, name, arguments)
            if found is not None:
                return found
        if name in _SAVING:
            for part in (part for value in arguments.values for part in inside(value)):
                if isinstance(part, Learner):
                    part.saved = True
            return Unknown(node)
        scored = self._scored(*(each for value in arguments.values for each in self._scores_in(value)))
        if scored.scores:
            if name in _CHOOSING and not isinstance(self.module.parent(node), ast.BinOp):
                self.choice(node, scored.scores)
            return scored
        if last in ("mean", "sum", "average", "count_nonzero") and arguments.positional:
            first = arguments.positional[0]
            if isinstance(first, Data) and (by_hand := self.scored_by_hand(first, node)) is not None:
                return by_hand
        found = self.table_function(name, arguments)
        return found if found is not None else self.unseen(node, arguments.values)

    def _scores_in(self, value: Value) -> Iterator[Value]:
        match value:
            case Scored():
                yield value
            case Items(values=values) | Either(options=values):
                for each in values:
                    yield from self._scores_in(each)
            case Mapping(keys=keys, rest=rest):
                for each in (*keys.values(), *rest):
                    yield from self._scores_in(each)
            case Method(owner=owner):
                yield from self._scores_in(owner)

    def _builtin(self, last: str, name: str, arguments: Arguments) -> Value | None:
        values, node = arguments.positional, arguments.node
        first = values[0] if values else None
        if last in _HARMLESS:
            return Unknown(node)
        if name in _VARYING and name != "itertools.product":
            return Items([Known(0), Known(1)], exact=False)
        match last, first:
            case "product", _:
                return Items([Items([self.element(value, node) for value in values])], exact=False)
            case "enumerate", Value():
                return Items([Items([Unknown(node), self.element(first, node)])], exact=False)
            case "zip", Value():
                exact = [each.values for each in values if isinstance(each, Items) and each.exact]
                if len(exact) == len(values) and len({len(each) for each in exact}) == 1:
                    return Items([Items(list(row)) for row in zip(*exact, strict=True)])
                return Items([Items([self.element(each, node) for each in values])], exact=False)
            case "next", Value():
                return self.element(first, node)
            case "dict", _:
                keywords: dict[object, Value] = dict(arguments.keywords.items())
                return Mapping(keywords, values[:])
        if last in _THROUGH and isinstance(first, Items | Folds | Mapping | ColumnNames | Instance):
            if last == "sorted" and any(True for _ in self._scores_in(first)):
                return None
            return first
        if last == "list" and first is None:
            return Items([])
        return None

    def _method(self, owner: Value, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        match owner:
            case Learner():
                return self.learner_method(owner, name, arguments)
            case Data():
                return self._on_data(owner, name, arguments)
            case Unknown():
                return self._on_unknown(owner, name, arguments)
            case Instance(attributes={"grouped": Data() as data}):
                return self.grouped(data, name, arguments)
            case Instance(attributes={"windows": Data() as data}):
                return Data("computed", node, (data,))
            case Items() | Mapping():
                return self.on_container(owner, name, arguments)
            case ColumnNames():
                return self._on_columns(owner, name, arguments)
            case Scored(scores=scores):
                if name in _CHOOSING_METHODS:
                    self.choice(node, scores)
                return owner
            case Instance() if name in LEARNER_METHODS:
                return self._on_instance(owner, name, arguments)
        return self.unseen(node, [owner, *arguments.values])

    def _on_instance(self, owner: Instance, name: str, arguments: Arguments) -> Value:
        """A method that an object of a class of the module inherits: of its own transformer or model."""
        return self.unseen(arguments.node, [owner, *arguments.values])

    def _on_data(self, owner: Data, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        if name in ("mean", "sum") and (by_hand := self.scored_by_hand(owner, node)) is not None:
            return by_hand
        result = self.table_method(owner, name, arguments)
        if (arguments.constant("inplace") is True or name in ("pop", "sort")) and isinstance(node.func, ast.Attribute):
            changed = result
            if name == "pop" and isinstance(result, Data):
                changed = Data(
                    "columns",
                    node,
                    (owner,),
                    result.columns._replace(names=None, without=result.columns.names or frozenset()),
                )
            self.change(node.func.value, owner, changed)
        elif name == "insert" and (columns := strings(arguments.get("column", 1))):
            inserted = self.data_in([arguments.get("value", 2) or Unknown(node)])
            self.replace(owner, Data("assigned", node, (owner, *inserted), only(columns)))
        return result

    def change(self, place: ast.expr, old: Data, new: Value) -> None:
        """Let what stands at a place be changed in place."""
        if isinstance(place, ast.Subscript):
            self.bind(place, new, place)
        else:
            self.replace(old, new)

    def _on_unknown(self, owner: Unknown, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        if name in LEARNER_METHODS and (owner.data is None or name.startswith(("fit", "predict"))):
            learner = self.learner(owner)
            assert learner is not None
            return self.learner_method(learner, name, arguments)
        if name in _TABLE_METHODS or owner.data is not None:
            data = self.data(owner)
            assert data is not None
            return self._on_data(data, name, arguments)
        return self.unseen(node, [owner, *arguments.values])

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
            case Items(), _ if name in _CHOOSING_METHODS:
                scored = self._scored(*self._scores_in(owner))
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


def _is_hashable(value: object) -> bool:
    return isinstance(value, str | int | float | bool | None)


_TABLE_METHODS = frozenset(
    "drop dropna fillna copy head tail sample groupby merge astype select_dtypes reset_index set_index drop_duplicates "
    "sort_values apply map isnull isna mean median std values to_numpy reshape toarray query assign rename "
    "iterrows".split()
)

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
    ast.IfExp: Expressions._if,
    ast.Subscript: Expressions._subscript,
    ast.Call: Expressions._call,
    ast.Lambda: Expressions._lambda,
    ast.NamedExpr: Expressions._named,
    ast.Await: Expressions._await,
    ast.Starred: Expressions._await,
    ast.Yield: Expressions._yield,
}
