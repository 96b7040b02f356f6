"""Targets that are still among the features."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._scores import is_predictor
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.columns import EVERY_COLUMN, Columns, Name
from mlrules_mcp.source.data_flow.lineage import ancestry, row_sources
from mlrules_mcp.source.data_flow.values import Data, Learner

# Transformers that keep the columns they get, one for one.
_KEEPS_COLUMNS = (
    "StandardScaler MinMaxScaler MaxAbsScaler RobustScaler PowerTransformer QuantileTransformer Normalizer Binarizer "
    "SimpleImputer KNNImputer IterativeImputer Imputer OrdinalEncoder LabelEncoder PolynomialFeatures fillna "
    "statistics scale "
    "zscore SMOTE RandomOverSampler RandomUnderSampler ADASYN"
).split()
# Methods and functions that give each row its own value again in another form, from that row alone.
_REWRITING = frozenset(
    "log log1p log2 log10 sqrt exp expm1 map replace astype apply fillna cut qcut to_numeric abs round where clip "
    "isin factorize "
    "get_dummies mask square".split()
)
_MOST = 500


def targets_in_features(module: Module) -> Iterator[tuple[ast.expr, ast.AST, Name]]:
    """Where a model is fitted on features that hold its target: the call, where the target is taken, and its column."""
    events = module.fact(data_flow)
    pairs = [(fit.node, fit.learner, fit.features, fit.target) for fit in events.fits]
    pairs += [(each.node, each.learner, each.features, each.target) for each in events.validations]
    found: dict[ast.expr, list[tuple[Data, ast.AST, Name] | None]] = {}
    for node, learner, features, target in pairs:
        if learner is not None and features is not None and target is not None and _takes_all_columns(learner):
            found.setdefault(node, []).append(_held_target(features, target))
    for node, held in found.items():
        # Whichever way the program comes here.
        if held[0] is not None and None not in held and not _is_made_up(module, held[0][0]):
            yield node, *held[0][1:]


def _held_target(features: Data, target: Data) -> tuple[Data, ast.AST, Name] | None:
    """Where the target is taken that the features still hold, and its column."""
    places = dict(_places(target))
    if places:
        for table, columns in held(features):
            for (place, name), taken in places.items():
                if place is table and columns.holds(name) == "yes":
                    return table, taken.node, name
    return None


def _is_made_up(module: Module, table: Data) -> bool:
    """Whether the numbers are random, so that the target has to be made of them."""
    return any(
        isinstance(each.node, ast.Call) and (module.qualified_name(each.node.func) or "").startswith("numpy.random.")
        for each in ancestry(table)
        if not each.sources
    )


def _takes_all_columns(learner: Learner) -> bool:
    """Whether a model sees every column that it is given: a predictor, perhaps behind scalers."""
    if learner.trade is None or not is_predictor(learner):
        return False
    return all(
        (member.trade is not None and (member.trade.kind == "predictor" or _name(member) in _KEEPS_COLUMNS))
        or _takes_all_columns(member)
        for member in learner.members
    )


def _name(learner: Learner) -> str:
    return (learner.name or "").rpartition(".")[2]


def _places(target: Data) -> Iterator[tuple[tuple[Data, Name], Data]]:
    """The tables that the target is a column of, each with the column's name, and the selection that takes it."""
    pending = [target]
    seen = set(pending)
    for current in pending:
        if len(pending) > _MOST:
            return
        if current.how == "columns" and current.columns.names is not None and len(current.columns.names) == 1:
            name = next(iter(current.columns.names))
            if current.columns.known:
                for table, value in _versions(current.sources[0], name):
                    yield (table, name), current
                    if value is not None and value not in seen:
                        seen.add(value)
                        pending.append(value)
            continue
        passed_on = current.how in ("copy", "part", "named", "rows")
        passed_on = passed_on or (current.how == "computed" and _is_rewritten(current))
        if passed_on and len(current.sources) == 1 and current.sources[0] not in seen:
            seen.add(current.sources[0])
            pending.append(current.sources[0])


def _versions(table: Data, name: Name) -> Iterator[tuple[Data, Data | None]]:
    """A table and those that it comes from while a column stays the same, each with what the column was set to
    there.
    """
    current: Data | None = table
    while current is not None:
        if current.how == "assigned" and current.columns.names is not None and current.columns.known:
            if name in current.columns.names:
                yield (
                    current,
                    current.sources[1] if len(current.sources) == 2 and len(current.columns.names) == 1 else None,
                )
                return
        elif current.how == "assigned" and current.columns.holds(name) != "no":
            yield current, None
            return
        yield current, None
        if current.how not in ("copy", "rows", "part", "named", "assigned", "columns"):
            return
        if current.how == "columns" and current.columns.holds(name) != "yes":
            return
        current = current.sources[0] if current.sources else None


def _is_rewritten(data: Data) -> bool:
    """Whether each value is made from the one in its place by something that gives no other row away."""
    match data.node:
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _REWRITING
        case ast.Compare() | ast.BinOp() | ast.UnaryOp():
            return True
    return False


def held(features: Data) -> Iterator[tuple[Data, Columns]]:
    """The tables that all columns of the features are from for certain, with the columns that are still there."""
    current, columns = features, EVERY_COLUMN
    for _ in range(_MOST):
        yield current, columns
        if current.how == "columns":
            columns = columns.of(current.columns)
        elif current.how == "assigned":
            columns = columns.hiding(current.columns)
        elif current.how == "transformed":
            if not current.fits or any(fit.what not in _KEEPS_COLUMNS for fit in current.fits):
                return
            columns = columns if columns == EVERY_COLUMN else columns._replace(known=False)
        elif current.how not in ("copy", "rows", "part", "named", "repeated"):
            return
        sources = row_sources(current)
        if len(sources) != 1:
            return
        current = sources[0]
