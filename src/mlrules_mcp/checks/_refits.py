"""Transformers that are fitted again on data that should only be transformed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow, shares_rows, target_columns
from mlrules_mcp.checks.check import safe
from mlrules_mcp.findings import Fix, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.events import Events, Fit
from mlrules_mcp.source.data_flow.lineage import learnt, named_column, roles, split_inputs
from mlrules_mcp.source.data_flow.values import Data

_PREPARING = re.compile(r"(Scaler|Encoder|Imputer|Vectorizer|Transformer|Discretizer|Binarizer|zscore|scale)$")
_TARGET = re.compile(r"(^|_)(y|labels?|targets?)(_|$)|^y", re.IGNORECASE)


def fitted_on_test(module: Module) -> Iterator[tuple[Fit, Fit | None]]:
    """The fits on test or validation data of what prepares data for a model, each with the fit for training."""
    events = module.fact(data_flow)
    judged = {fit for data in _judged(events) for _, fit in learnt(data)}
    seen: set[ast.expr] = set()
    for fit in events.fits:
        if fit.node in seen or not _prepares(fit) or not _is_apart(module, fit) or _is_target(module, fit):
            continue
        other = _fit_for_training(events, fit)
        told = other is not None and (other.learner is fit.learner or bool(_PREPARING.search(fit.what)))
        if fit in judged or (told and fit.learner is not None):
            seen.add(fit.node)
            yield fit, other


def refitted_for_prediction(module: Module) -> Iterator[tuple[Fit, Fit | None]]:
    """The fits on data that a model predicts which was trained on data from another fit, each with that one."""
    seen: set[ast.expr] = set()
    for prediction in module.fact(data_flow).predictions:
        trained = [fit for fit in prediction.fits if fit.features is not None]
        known = {fit: None for each in trained if each.features for _, fit in learnt(each.features, through_parts=True)}
        for _, fit in learnt(prediction.features):
            if fit.node in seen or fit in known or fit.learner is None or not _prepares(fit):
                continue
            if fit.features is None or roles(fit.features) or not shares_rows(fit, prediction.features):
                continue
            others = [each for each in known if each.what == fit.what]
            if (others and _same_data_is_not_trained_on(fit, trained)) or (
                not trained and _is_loaded(module, prediction.learner.node)
            ):
                seen.add(fit.node)
                yield fit, others[-1] if others else None


def transform_instead(module: Module, fit: Fit, other: Fit | None) -> Fix | None:
    """`fit_transform` -> `transform`, where the same object was fitted for training and the call sees no training
    data.
    """
    call = fit.node
    if other is None or other.learner is not fit.learner or fit.learner is None or not isinstance(call, ast.Call):
        return None
    calls = [each for each in module.fact(data_flow).fits if each.node is call]
    if any(roles(each.features) != roles(fit.features) for each in calls if each.features and fit.features):
        return None
    if other.node is call or not other.time < fit.time or len(call.args) + len(call.keywords) != 1:
        return None
    match call.func:
        case ast.Attribute(value=ast.Name() | ast.Attribute() as owner, attr="fit_transform"):
            return safe("Only transform", Replace(Span.of(call.func), f"{module.text(owner)}.transform"))
    return None


def _judged(events: Events) -> Iterator[Data]:
    """The data that models are scored on or asked about."""
    yield from (score.features for score in events.scores if score.features is not None)
    yield from (prediction.features for prediction in events.predictions)


def _prepares(fit: Fit) -> bool:
    if fit.learns in ("nothing", "unknown", "rows") or fit.features is None:
        return False
    trade = fit.learner.trade if fit.learner is not None else None
    return fit.learner is None or (trade is not None and trade.kind in ("transformer", "columns", "pipeline"))


def _is_apart(module: Module, fit: Fit) -> bool:
    """Whether a fit sees nothing but data for testing or for validation; of folds, one at a time."""
    if fit.features is None or roles(fit.features) not in ({"test"}, {"validation"}):
        return False
    of_folds = any(split.kind == "folds" for split in split_inputs(fit.features))
    return not of_folds or bool(module.enclosing_loops(fit.node))


def _is_target(module: Module, fit: Fit) -> bool:
    """Whether what is fitted on is what is to be predicted."""
    assert fit.features is not None
    column = named_column(fit.features)
    if column is not None and column[1] in module.fact(target_columns):
        return True
    return isinstance(fit.node, ast.Call) and any(
        isinstance(name, ast.Name) and _TARGET.search(name.id) for arg in fit.node.args[:1] for name in ast.walk(arg)
    )


def _fit_for_training(events: Events, fit: Fit) -> Fit | None:
    """The fit of the same object, or the same class, on the training part."""
    assert fit.features is not None
    others = [each for each in events.fits if each.features is not None and each is not fit and each.what == fit.what]
    training = [each for each in others if each.features is not None and roles(each.features) == {"train"}]
    if fit.learner is None:
        training = [
            each for each in training if each.features is not None and _column(each.features) == _column(fit.features)
        ]
    same = [each for each in training if each.learner is fit.learner and fit.learner is not None]
    found = same or training
    return found[-1] if found else None


def _column(data: Data) -> object:
    column = named_column(data)
    return column and column[1]


def _same_data_is_not_trained_on(fit: Fit, trained: list[Fit]) -> bool:
    return all(
        fit is not other for each in trained if each.features for _, other in learnt(each.features, through_parts=True)
    )


def _is_loaded(module: Module, node: ast.AST) -> bool:
    """Whether a model comes from a file."""
    match node:
        case ast.Call(func=func):
            return (module.qualified_name(func) or "").endswith((".load", ".loads", ".load_model", ".read_pickle"))
    return False
