"""Calls of functions, classes and methods, of the module and of libraries."""

from __future__ import annotations

import ast

from mlrules_mcp.source.data_flow.columns import only
from mlrules_mcp.source.data_flow.containers import CHOOSING_METHODS, Containers
from mlrules_mcp.source.data_flow.learners import LEARNER_METHODS
from mlrules_mcp.source.data_flow.operations import TABLE_METHODS
from mlrules_mcp.source.data_flow.scopes import Arguments, strings
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
    options,
)

_CHOOSING = frozenset(
    "builtins.max builtins.min builtins.sorted numpy.argmax numpy.argmin numpy.max numpy.min numpy.argsort numpy.amax "
    "numpy.amin".split()
)
# Calls of these read values and give nothing that matters.
_HARMLESS = frozenset("print len isinstance type display str repr id hasattr format input help any all bool".split())
_SAVING = frozenset("joblib.dump pickle.dump pickle.dumps cloudpickle.dump dill.dump skops.io.dump".split())
_THROUGH = frozenset("list tuple reversed iter set frozenset sorted tqdm trange".split())
_VARYING = frozenset(
    "builtins.range numpy.arange numpy.linspace numpy.logspace numpy.geomspace itertools.product".split()
)


class Calls(Containers):
    """Containers, and what is called with them."""

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
        scored = self.scored(*(each for value in arguments.values for each in self.scores_in(value)))
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
            if last == "sorted" and any(True for _ in self.scores_in(first)):
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
                if name in CHOOSING_METHODS:
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
        is_column = isinstance(place, ast.Attribute) and old.how == "columns" and old.node is place
        if is_column or isinstance(place, ast.Subscript):
            self.bind(place, new, place)
        else:
            self.replace(old, new)

    def _on_unknown(self, owner: Unknown, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        if name in LEARNER_METHODS and (owner.data is None or name.startswith(("fit", "predict"))):
            learner = self.learner(owner)
            assert learner is not None
            return self.learner_method(learner, name, arguments)
        if name in TABLE_METHODS or owner.data is not None:
            data = self.data(owner)
            assert data is not None
            return self._on_data(data, name, arguments)
        return self.unseen(node, [owner, *arguments.values])
