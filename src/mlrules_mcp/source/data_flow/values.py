"""What a variable may hold when a program is followed without running it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from mlrules_mcp.source.data_flow.columns import EVERY_COLUMN, Columns

if TYPE_CHECKING:
    from mlrules_mcp.source.data_flow.events import Fit, Score, Split
    from mlrules_mcp.source.data_flow.scopes import Scope

# Hot: thousands of these are made for a file, so that they are plain classes.


class Value:
    """What an expression gives. Values are compared by identity."""

    __slots__ = ()


class Unknown(Value):
    """Something that can't be followed: a parameter, what an unseen function returns.

    It turns into data or a learner when it is used as one.

    Attributes:
        node: where it comes from.
        name: what the program calls it, where that is a parameter.
        loops: the loops over settings that its value changes with.
    """

    __slots__ = ("data", "learner", "loops", "name", "node", "parts")

    def __init__(self, node: ast.AST, name: str = "", loops: frozenset[ast.AST] = frozenset()) -> None:
        self.node = node
        self.name = name
        self.loops = loops
        self.data: Data | None = None
        self.learner: Learner | None = None
        self.parts: dict[str, Value] = {}


class Known(Value):
    """A constant.

    Attributes:
        loops: the loops over settings that it is a turn of.
    """

    __slots__ = ("loops", "value")

    def __init__(self, value: object, loops: frozenset[ast.AST] = frozenset()) -> None:
        self.value = value
        self.loops = loops


class Symbol(Value):
    """Something of a library, by its qualified name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Items(Value):
    """A list, tuple or set. Where it is not `exact`, its values come in some unknown number and order."""

    __slots__ = ("exact", "values")

    def __init__(self, values: list[Value], exact: bool = True) -> None:
        self.values = values
        self.exact = exact


class Mapping(Value):
    """A dictionary, by its constant keys; `rest` are values under other keys."""

    __slots__ = ("keys", "rest")

    def __init__(self, keys: dict[object, Value], rest: list[Value]) -> None:
        self.keys = keys
        self.rest = rest


class Function(Value):
    """A function or lambda of the module, with what its free names see and, for a method, its `self`."""

    __slots__ = ("node", "owner", "scope")

    def __init__(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope, owner: Value | None = None
    ) -> None:
        self.node = node
        self.scope = scope
        self.owner = owner


class Class(Value):
    """A class of the module."""

    __slots__ = ("node", "scope")

    def __init__(self, node: ast.ClassDef, scope: Scope) -> None:
        self.node = node
        self.scope = scope


class Instance(Value):
    """An object with attributes: of a class of the module, or what a library's loader returns (`cls` is None)."""

    __slots__ = ("attributes", "cls")

    def __init__(self, cls: Class | None, attributes: dict[str, Value]) -> None:
        self.cls = cls
        self.attributes = attributes


class Method(Value):
    """An attribute of a value that only its use explains: `df.drop`, `scaler.fit`, `df.iloc`."""

    __slots__ = ("name", "owner")

    def __init__(self, owner: Value, name: str) -> None:
        self.owner = owner
        self.name = name


class Either(Value):
    """One of several values."""

    __slots__ = ("options",)

    def __init__(self, options: tuple[Value, ...]) -> None:
        self.options = options


class ColumnNames(Value):
    """Names of columns of some data: `df.columns`, or a selection from it; `fits` are those that chose them."""

    __slots__ = ("columns", "data", "fits")

    def __init__(self, data: Data, columns: Columns = EVERY_COLUMN, fits: tuple[Fit, ...] = ()) -> None:
        self.data = data
        self.columns = columns
        self.fits = fits


class Scored(Value):
    """The result of scoring a model, or of reckoning with such results."""

    __slots__ = ("scores",)

    def __init__(self, scores: tuple[Score, ...]) -> None:
        self.scores = scores


class Folds(Value):
    """What a splitter's `split` gives: pairs of indices."""

    __slots__ = ("split",)

    def __init__(self, split: Split) -> None:
        self.split = split


Role: TypeAlias = Literal["train", "validation", "test"]
# How data came about. "copy", "columns", "assigned", "computed" and "transformed" have the rows of their sources.
How: TypeAlias = Literal[
    "read",  # from a file, a library's loader, or from nowhere that shows
    "named",  # called after a part of the data (`test_df`), while nothing shows how it was split off
    "part",  # one side of a split
    "rows",  # some of the rows, or all in another order
    "row",  # one row, as a loop over them gets it
    "repeated",  # rows that occur more than once, or are made from several
    "columns",  # some of the columns
    "assigned",  # the first source, with columns set to the second
    "joined",  # sources side by side
    "stacked",  # sources on top of each other
    "copy",  # the same values
    "computed",  # each row from the same row of the sources
    "either",  # one of the sources
    "derived",  # whatever a function that can't be seen makes of the sources
    "statistic",  # an aggregate over the rows of the source
    "aggregate",  # an aggregate over each group of rows of the source
    "transformed",  # what a fitted transformer makes of the source
    "predicted",  # what a fitted model says about the source
]


class Data(Value):
    """A data set, or a part of one, at one place of the program; never changed once made.

    Attributes:
        how: how it came about.
        node: the expression that makes it.
        sources: the data it is made from.
        columns: which columns are selected or set.
        fits: what the transformer or model that made it was fitted in.
        split: the split whose part it is.
        role: the part.
        is_learnt: whether a transformer may have made any of it.
    """

    __slots__ = ("columns", "fits", "how", "is_learnt", "looked_up", "node", "origins", "role", "sources", "split")

    def __init__(
        self,
        how: How,
        node: ast.AST,
        sources: Sequence[Data] = (),
        columns: Columns = EVERY_COLUMN,
        fits: tuple[Fit, ...] = (),
        split: Split | None = None,
        role: Role | None = None,
    ) -> None:
        self.how = how
        self.node = node
        self.sources = tuple(sources)
        self.columns = columns
        self.fits = fits
        self.split = split
        self.role = role
        self.is_learnt: bool = how == "transformed" or any(source.is_learnt for source in self.sources)
        self.origins: frozenset[Data] | None = None  # what `origins` has found
        self.looked_up: dict[tuple[bool, bool], tuple[tuple[Data, Columns], ...]] = {}  # what `visible` has found


class Trade(NamedTuple):
    """What a library's class or function does.

    Attributes:
        kind: `transformer`, `predictor`, `cluster`, `search`, `pipeline`, `columns`, `resampler`, `splitter`,
            `network`; of functions: `split`, `cross-validation`, `metric`, `dataset`, `scaling`, `clone`.
        learns: what fitting learns from the data: `nothing`, `vocabulary`, `statistics`, `target`, `rows`.
    """

    kind: str
    learns: str = "statistics"


Trades: TypeAlias = Callable[[str], Trade | None]


class Learner(Value):
    """An object with a `fit`.

    Attributes:
        name: the qualified name of its class; None for one that isn't seen.
        node: where it is made.
        trade: what it is; None where that isn't known.
        members: the learners inside, of a pipeline or a search.
        arguments: the values that it is made with.
        fits: the fits that may have been the last.
        escaped: whether an unseen function got hold of it.
        saved: whether it is written to a file.
    """

    __slots__ = ("arguments", "escaped", "every_fit", "fits", "loops", "members", "name", "node", "saved", "trade")

    def __init__(
        self,
        name: str | None,
        node: ast.AST,
        trade: Trade | None,
        members: tuple[Learner, ...] = (),
        arguments: tuple[Value, ...] = (),
        loops: frozenset[ast.AST] = frozenset(),
    ) -> None:
        self.name = name
        self.node = node
        self.trade = trade
        self.members = members
        self.arguments = arguments
        self.loops = loops
        self.fits: list[Fit] = []
        self.every_fit: list[Fit] = []
        self.escaped = False
        self.saved = False


def options(value: Value) -> tuple[Value, ...]:
    """The values that a value may be."""
    return value.options if value.__class__ is Either else (value,)


_MOST_OPTIONS = 8


def either(values: Sequence[Value]) -> Value:
    """One of several values, as one value."""
    if len(values) == 1:
        return values[0]
    flat = dict.fromkeys(option for value in values for option in options(value))
    if len(flat) == 1:
        return next(iter(flat))
    if flat and all(value.__class__ is Scored for value in flat):
        return Scored(tuple(score for value in flat for score in value.scores))  # type: ignore[attr-defined]
    return Either(tuple(flat)[:_MOST_OPTIONS])


def merged(values: Sequence[Value]) -> Value:
    """One of several values that a variable may hold after branches; data stays data."""
    one = either(values)
    if isinstance(one, Either) and all(isinstance(option, Data) for option in one.options):
        return Data("either", one.options[0].node, one.options)  # type: ignore[attr-defined,arg-type]
    return one


def inside(value: Value, depth: int = 3) -> Iterator[Value]:
    """A value and the values in it, through lists, dictionaries and objects."""
    yield value
    if not depth:
        return
    match value:
        case Either(options=values) | Items(values=values):
            parts = list(values)
        case Mapping(keys=keys, rest=rest):
            parts = [*keys.values(), *rest]
        case Instance(attributes=attributes):
            parts = list(attributes.values())
        case _:
            return
    for part in parts:
        yield from inside(part, depth - 1)
