"""What the variables of a followed program hold, and how a change of data reaches all who hold it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from mlrules_mcp.source.data_flow.events import Choice, CrossValidation, Events, Fit, Prediction, Score, Split
from mlrules_mcp.source.data_flow.values import (
    Data,
    Either,
    Instance,
    Items,
    Known,
    Learner,
    Mapping,
    Role,
    Trades,
    Unknown,
    Value,
    inside,
    merged,
    options,
)
from mlrules_mcp.source.gradients import Gradients

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ROLES: dict[str, Role] = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "tr": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "cv": "validation",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "te": "test",
    "holdout": "test",
}
_DEEPEST_REPLACEMENT = 2


class Scope:
    """The variables of the module, or of one run of a function."""

    __slots__ = ("names", "outer", "shared")

    def __init__(self, outer: Scope | None = None) -> None:
        self.names: dict[str, Value] = {}
        self.outer = outer
        self.shared: frozenset[str] = frozenset()  # declared `global` or `nonlocal`

    def get(self, name: str) -> Value | None:
        """What a variable holds, here or further out."""
        scope: Scope | None = self
        while scope is not None:
            if (value := scope.names.get(name)) is not None:
                return value
            scope = scope.outer
        return None

    def put(self, name: str, value: Value) -> None:
        """Let a variable hold a value."""
        scope = self
        while name in scope.shared and scope.outer is not None:
            scope = scope.outer
        scope.names[name] = value


class Frame(NamedTuple):
    """One run of a function: its variables and what it has returned and yielded so far."""

    function: ast.AST
    scope: Scope
    returned: list[Value]
    yielded: list[Value]


class Arguments(NamedTuple):
    """The values that a call passes."""

    positional: list[Value]
    keywords: dict[str, Value]
    node: ast.Call

    def get(self, name: str, position: int | None = None) -> Value | None:
        """The value for a parameter, by keyword or position; None if none shows."""
        if name in self.keywords:
            return self.keywords[name]
        if position is not None and position < len(self.positional):
            return self.positional[position]
        return None

    def constant(self, name: str, position: int | None = None) -> object:
        """The constant for a parameter; None for anything else."""
        value = self.get(name, position)
        return value.value if isinstance(value, Known) else None

    @property
    def values(self) -> list[Value]:
        """All of them."""
        return [*self.positional, *self.keywords.values()]


class Memory:
    """The state of a followed program.

    Attributes:
        module: the program.
        trades: what a library's class or function does, by its qualified name.
        events: what has happened to data so far.
        turns: of data that is compared with a setting, as with a threshold, the loops over that setting.
    """

    def __init__(self, module: Gradients, trades: Trades) -> None:
        self.module = module
        self.trades = trades
        self.events = Events([], [], [], [], [], [], [])
        self.globals = Scope()
        self.frames = [Frame(module.tree, self.globals, [], [])]
        self.loops: list[ast.AST] = []
        self.turns: dict[Data, frozenset[ast.AST]] = {}
        self.branch: tuple[tuple[ast.AST, int], ...] = ()
        self._branch_of: dict[Fit, tuple[tuple[ast.AST, int], ...]] = {}
        self._time = 0

    @property
    def scope(self) -> Scope:
        """The variables of the function that runs now."""
        return self.frames[-1].scope

    @property
    def now(self) -> int:
        """A time later than all before."""
        self._time += 1
        return self._time

    def evaluate(self, node: ast.expr) -> Value:
        """What an expression gives."""
        raise NotImplementedError

    def call(self, function: Value, arguments: Arguments) -> Value:
        """What a call gives."""
        raise NotImplementedError

    def bind(self, target: ast.expr, value: Value, node: ast.AST) -> None:
        """Assign a value to a target."""
        raise NotImplementedError

    # What happens

    def split(self, node: ast.expr, kind: str, inputs: Iterable[Data], name: str | None = None) -> Split:
        """Record a split."""
        split = Split(node, self.now, kind, tuple(inputs), name)
        self.events.splits.append(split)
        return split

    def fit(
        self,
        node: ast.expr,
        learner: Learner | None,
        learns: str,
        features: Data | None,
        target: Data | None,
        what: str,
    ) -> Fit:
        """Record a fit; a learner forgets the fits before that this one replaces whichever way the program went."""
        fit = Fit(node, self.now, learner, learns, features, target, what)
        self.events.fits.append(fit)
        self._branch_of[fit] = self.branch
        if learner is not None:
            depth = len(self.branch)
            learner.fits = [earlier for earlier in learner.fits if self._branch_of[earlier][:depth] != self.branch]
            learner.fits.append(fit)
            learner.every_fit.append(fit)
        return fit

    def score(
        self,
        node: ast.expr,
        learner: Learner,
        fits: tuple[Fit, ...],
        features: Data | None,
        metric: str,
        turns: frozenset[ast.AST] = frozenset(),
    ) -> Score:
        """Record a score; `turns` are the loops over settings that go into what is scored beside the model."""
        loops = (learner.loops | turns) & frozenset(self.loops)
        score = Score(node, self.now, learner, fits, features, metric, loops)
        self.events.scores.append(score)
        return score

    def prediction(self, node: ast.expr, learner: Learner, features: Data) -> Prediction:
        """Record a prediction."""
        prediction = Prediction(node, self.now, learner, tuple(learner.fits), features)
        self.events.predictions.append(prediction)
        return prediction

    def validation(
        self, node: ast.expr, learner: Learner | None, features: Data | None, target: Data | None, name: str
    ) -> None:
        """Record a cross-validation."""
        self.events.validations.append(CrossValidation(node, self.now, learner, features, target, name))

    def choice(self, node: ast.expr, scores: Iterable[Score]) -> None:
        """Record that the best of some scores is taken."""
        self.events.choices.append(Choice(node, self.now, tuple(scores)))

    # What values are

    def data(self, value: Value | None, node: ast.AST | None = None) -> Data | None:
        """A value as data; None for what can't be."""
        match value:
            case Data():
                return value
            case Unknown():
                if value.data is None:
                    value.data = self._unknown_data(value)
                return value.data
            case Either(options=values):
                found = [data for each in values if (data := self.data(each, node))]
                if len(found) <= 1:
                    return found[0] if found else None
                return Data("either", node or found[0].node, found)
            case Items(values=values) if len(values) < 50:
                found = [data for each in values if each.__class__ is Data and (data := self.data(each, node))]
                return Data("derived", node or found[0].node, found) if found else None
            case Mapping(keys=keys):
                found = [each for each in keys.values() if isinstance(each, Data)]
                return Data("joined", node or found[0].node, found) if found else None
        return None

    def _unknown_data(self, value: Unknown) -> Data:
        data = Data("read", value.node)
        role = role_of_name(value.name)
        return Data("named", value.node, (data,), role=role) if role else data

    def learner(self, value: Value | None) -> Learner | None:
        """A value as a learner; None for what can't be."""
        match value:
            case Learner():
                return value
            case Unknown():
                if value.learner is None:
                    value.learner = Learner(None, value.node, None, loops=value.loops)
                return value.learner
        return None

    def data_in(self, values: Iterable[Value]) -> list[Data]:
        """All data in some values."""
        found: dict[Data, None] = {}
        for value in values:
            if value.__class__ is Data:
                found[value] = None
            elif value.__class__ is Either:
                if any(option.__class__ is Data for option in options(value)) and (data := self.data(value)):
                    found[data] = None
                else:
                    found.update(dict.fromkeys(self.data_in(options(value))))
            elif value.__class__ is Items:
                found.update(dict.fromkeys(self.data_in(value.values)))
            elif value.__class__ is Mapping or value.__class__ is Instance:
                found.update(dict.fromkeys(part for part in inside(value) if part.__class__ is Data))
        return list(found)

    def loops_in(self, values: Iterable[Value]) -> frozenset[ast.AST]:
        """The loops over settings that some values change with."""
        loops: frozenset[ast.AST] = frozenset()
        for value in values:
            for part in inside(value):
                if isinstance(part, Unknown | Known | Learner):
                    loops |= part.loops
        return loops

    def replace(self, old: Value, new: Value) -> None:
        """Let every variable that holds a value hold another: what a change in place does."""
        seen: set[int] = set()
        for scope in self._live_scopes():
            for name, value in scope.names.items():
                if value is old:
                    scope.names[name] = new
                elif value.__class__ is not Data:
                    self._replace_inside(value, old, new, seen, _DEEPEST_REPLACEMENT)

    def _live_scopes(self) -> list[Scope]:
        scopes: dict[Scope, None] = {}
        for frame in self.frames:
            scope: Scope | None = frame.scope
            while scope is not None:
                scopes[scope] = None
                scope = scope.outer
        return list(scopes)

    def _replace_inside(self, value: Value, old: Value, new: Value, seen: set[int], depth: int) -> None:
        if not depth or id(value) in seen:
            return
        seen.add(id(value))
        match value:
            case Items(values=values):
                parts: Iterable[Value] = values
                value.values = [new if each is old else each for each in values]
            case Mapping(keys=keys):
                parts = keys.values()
                value.keys = {key: new if each is old else each for key, each in keys.items()}
            case Instance(attributes=attributes):
                parts = attributes.values()
                value.attributes = {key: new if each is old else each for key, each in attributes.items()}
            case Unknown(parts=attributes):
                parts = attributes.values()
                value.parts = {key: new if each is old else each for key, each in attributes.items()}
            case Either(options=parts):
                pass
            case _:
                return
        for part in parts:
            self._replace_inside(part, old, new, seen, depth - 1)

    def joined(self, first: dict[str, Value], second: dict[str, Value]) -> dict[str, Value]:
        """The variables after one of two branches."""
        names = dict(first)
        for name, value in second.items():
            other = names.get(name)
            if other is not value:
                names[name] = value if other is None else merged((other, value))
        return names

    def unseen(self, node: ast.expr, values: Iterable[Value]) -> Value:
        """What a function gives that can't be followed."""
        values = list(values)
        for value in values:
            for part in inside(value):
                if isinstance(part, Learner):
                    part.escaped = True
        found = self.data_in(values)
        if found:
            return Data("derived", node, found)
        return Unknown(node, loops=self.loops_in(values))


@lru_cache(maxsize=4096)
def role_of_name(name: str) -> Role | None:
    """The part of the data that a variable is called after: `X_test` is a test part; None where none or several
    show.
    """
    roles = {_ROLES[word] for each in _WORDS.findall(name) if (word := each.lower()) in _ROLES}
    return next(iter(roles)) if len(roles) == 1 else None


def known(value: Value | None) -> object:
    """The constant that a value is; None for anything else."""
    return value.value if isinstance(value, Known) else None


def strings(value: Value | None) -> list[str] | None:
    """The constant strings that a value holds: one, or a list of them; None if there is anything else."""
    match value:
        case Known(value=str(text)):
            return [text]
        case Items(values=values, exact=True):
            texts = [each.value for each in values if isinstance(each, Known) and isinstance(each.value, str)]
            return texts if len(texts) == len(values) else None
        case Either():
            found = [strings(option) for option in options(value)]
            return None if None in found else [text for texts in found for text in texts or ()]
    return None
