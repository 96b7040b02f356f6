"""Transformers that are fitted by hand, beside the model that gets their output."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow, fitted_before_split, fitted_before_validation, target_columns
from mlrules_mcp.checks._scores import is_predictor
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.events import Fit, Prediction, Score
from mlrules_mcp.source.data_flow.lineage import learnt, named_column, origins, roles, visible
from mlrules_mcp.source.data_flow.values import Data, Learner


def not_transformed(module: Module) -> Iterator[tuple[ast.expr, Fit]]:
    """Where a model gets data that did not go through the transformer whose output it was trained on: with its fit."""
    events = module.fact(data_flow)
    used: list[Prediction | Score] = [
        *events.predictions,
        *(score for score in events.scores if score.metric == "score"),
    ]
    seen: set[ast.expr] = set()
    for use in used:
        if use.features is None or use.node in seen or not is_predictor(use.learner) or not use.fits:
            continue
        missing = [_missing(module, fit, use.features) for fit in use.fits]
        if all(missing) and isinstance(use.node, ast.Call) and (fit := missing[-1]) is not None:
            seen.add(use.node)
            yield (use.node.args[0] if use.node.args else use.node), fit


def _missing(module: Module, trained: Fit, data: Data) -> Fit | None:
    """The fit of a transformer that training data went through on every way, and this data on none."""
    if trained.features is None or not _shows(data) or not _shows(trained.features):
        return None
    if not roles(data) and not origins(data) & origins(trained.features):
        return None  # perhaps made up to fit: points of a grid
    if any(True for _ in learnt(data, through_parts=True)):
        return None
    fits = [fit for _, fit in learnt(trained.features, through_parts=True) if _is_transformer(module, fit)]
    return fits[0] if fits else None


def _shows(data: Data) -> bool:
    """Whether every step that made data can be followed to where it is read."""
    hows = {each.how for each, _ in visible(data, through_parts=True)}
    return not hows & {"derived", "either", "stacked", "repeated", "assigned"}


def _is_transformer(module: Module, fit: Fit) -> bool:
    """Whether a fit is of a transformer of features, made by hand."""
    if fit.learner is None or fit.learner.trade is None or fit.learner.trade.kind not in ("transformer", "columns"):
        return False
    column = named_column(fit.features) if fit.features is not None else None
    return fit.learns in ("statistics", "vocabulary", "target") and not (
        column and column[1] in module.fact(target_columns)
    )


def _is_trained(learner: Learner, data: Data) -> bool:
    """Whether a model is trained on data, for use on other data: of clusterings, those of a training part."""
    if learner.trade is not None and learner.trade.kind == "cluster":
        return roles(data) == {"train"}
    return is_predictor(learner)


def by_hand(module: Module) -> Iterator[tuple[Fit, bool]]:
    """The fits of transformers whose output a model is trained on, and whether the model is saved without them."""
    saves_some = any(learner.saved for learner in module.fact(data_flow).learners if not is_predictor(learner))
    loads = bool(module.calls("load_model", "load", "loads"))  # what is saved is a copy for the next run
    leaking = {*fitted_before_split(module), *fitted_before_validation(module)}
    seen: set[Fit] = set()
    for trained in module.fact(data_flow).fits:
        if trained.learner is None or trained.features is None or not _is_trained(trained.learner, trained.features):
            continue
        for _, fit in learnt(trained.features):
            if fit in seen or fit in leaking or fit.learner is None or not _is_transformer(module, fit):
                continue
            seen.add(fit)
            if not fit.learner.saved:
                yield fit, trained.learner.saved and not saves_some and not loads
