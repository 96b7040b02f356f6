"""How what is learnt from data, or chosen by it, gets into the data that is to judge it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._programs import imports_test_framework
from mlrules_mcp.checks._sklearn import HOLDOUT_SPLITTERS, SEARCHES, SPLITTERS, trade
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.columns import Name
from mlrules_mcp.source.data_flow.events import GROUPED, CrossValidation, Events, Fit, Split
from mlrules_mcp.source.data_flow.lineage import ancestry, learnt, named_column, origins, roles, row_sets, split_inputs
from mlrules_mcp.source.data_flow.program import follow
from mlrules_mcp.source.data_flow.values import Data

_CALLS = (
    "fit",
    "fit_transform",
    "fit_predict",
    "fit_resample",
    "fit_sample",
    "train_test_split",
    "cross_val_score",
    "cross_validate",
    "cross_val_predict",
    "predict",
    "set_params",
    *SEARCHES,
    *SPLITTERS,
)


def data_flow(module: Module) -> Events:
    """What a module does to data; nothing for tests and where it has none of the calls that matter."""
    if not module.calls(*_CALLS) or is_test(module):
        return Events([], [], [], [], [], [], [])
    return follow(module, trade)


def is_test(module: Module) -> bool:
    """Whether a module tests code: what it fits models on is made up."""
    return imports_test_framework(module) or "sklearn.utils._testing" in module.source.code


def is_holdout(split: Split) -> bool:
    """Whether a split gives one training and one test part, rather than folds."""
    return split.kind != "folds" or (split.name or "").rpartition(".")[2] in HOLDOUT_SPLITTERS


def is_part(data: Data) -> bool:
    """Whether data was split off before."""
    return any(each.how == "part" for each in ancestry(data))


def shares_rows(fit: Fit, data: Data) -> bool:
    """Whether what a fit has learnt from comes from where the data comes from."""
    if fit.features is None:
        return False
    return not origins(data).isdisjoint(origins(fit.features))


def learnt_before(data: Data, targets: frozenset[Name]) -> Iterator[Fit]:
    """The fits whose results are in data, since it was split off if it was, and that have seen the same rows."""
    seen: set[Fit] = set()
    for _, fit in learnt(data):
        if fit not in seen and fit.learns not in ("nothing", "unknown") and shares_rows(fit, data):
            column = named_column(fit.features) if fit.features is not None else None
            of_target = column is not None and column[1] in targets
            if (fit.what == GROUPED and not of_target) or (of_target and not _is_of_groups(fit)):
                continue
            seen.add(fit)
            yield fit


def _is_of_groups(fit: Fit) -> bool:
    """Whether means of groups are put to each row, which tells about targets what encoding them does not."""
    match fit.node:
        case ast.Call(func=ast.Attribute(attr="transform")):
            return fit.learner is None
    return fit.what == GROUPED


_TARGET_NAMES = frozenset({"target", "label", "labels", "y", "class"})


def target_columns(module: Module) -> frozenset[Name]:
    """The names of columns that a module trains models to predict."""
    names: set[Name] = set(_TARGET_NAMES)
    for fit in module.fact(data_flow).fits:
        if fit.target is not None:
            for data in ancestry(fit.target):
                if data.how == "columns" and data.columns.names is not None and len(data.columns.names) == 1:
                    names |= data.columns.names
    return frozenset(names)


def fitted_before_split(module: Module) -> dict[Fit, Split]:
    """The fits on all rows before a holdout split, each with the split."""
    found: dict[Fit, Split] = {}
    targets = module.fact(target_columns)
    for split in module.fact(data_flow).splits:
        if not is_holdout(split) or (split.kind == "named" and split.roles == {"train"}):
            continue
        for data in split.inputs[: max(1, len(split.inputs) - 1)]:
            if not is_part(data):
                for fit in learnt_before(data, targets):
                    found.setdefault(fit, split)
    for trained in module.fact(data_flow).fits:
        if trained.features is None or trained.learner is None:
            continue
        for fit in learnt_before(trained.features, targets):
            if fit not in found and (seen := _split_that_is_undone(fit, trained.features)):
                found[fit] = seen
    return found


def _split_that_is_undone(fit: Fit, data: Data) -> Split | None:
    """The split into training and test rows whose test rows a fit has seen, of training data made with it."""
    if fit.features is None or roles(data) != {"train"}:
        return None
    for split in split_inputs(data):
        if is_holdout(split) and split.kind != "named":
            rows = row_sets(fit.features)
            test = any(each.split is split and each.role != "train" for each in rows)
            return split if test or rows & row_sets(split.inputs[0]) else None
    return None


def fitted_before_validation(module: Module) -> dict[Fit, tuple[Split | CrossValidation, bool]]:
    """The fits on all rows that folds are then made of: each with the folds, and whether a part was kept out of
    both.
    """
    found: dict[Fit, tuple[Split | CrossValidation, bool]] = {}
    events = module.fact(data_flow)
    targets = module.fact(target_columns)
    validations: list[tuple[Split | CrossValidation, Data]] = [
        (split, split.inputs[0]) for split in events.splits if not is_holdout(split) and split.inputs
    ]
    validations += [(each, each.features) for each in events.validations if each.features is not None]
    before_split = fitted_before_split(module)
    for event, data in validations:
        for fit in learnt_before(data, targets):
            if fit not in before_split:
                found.setdefault(fit, (event, is_part(data)))
    return found
