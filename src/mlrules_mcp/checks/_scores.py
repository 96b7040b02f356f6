"""On which rows models are scored, and what is chosen by it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow, is_holdout, is_part
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.events import Choice, Fit, Score
from mlrules_mcp.source.data_flow.lineage import ancestry, is_within, roles, row_sets, split_inputs
from mlrules_mcp.source.data_flow.values import Data, Learner
from mlrules_mcp.source.gradients import last_name

_PREDICTORS = ("predictor", "search", "pipeline")
# Their largest value is no best score: it is the middle of a colour scale.
_TABLES = frozenset({"confusion_matrix", "multilabel_confusion_matrix", "classification_report"})
_OTHER_DATA = frozenset({"eval_set", "validation_data", "validation_split", "valid_sets", "X_val", "evals"})


def is_predictor(learner: Learner) -> bool:
    """Whether a learner is seen to be a classifier or regressor, or a pipeline or search with one."""
    trade = learner.trade
    if trade is None or trade.kind not in _PREDICTORS:
        return False
    return trade.kind == "predictor" or not learner.members or any(map(is_predictor, learner.members))


def scored_on_known_rows(module: Module) -> Iterator[tuple[Score, Fit]]:
    """The scores on test parts of what the model was fitted on as a whole, each with that fit."""
    for score in _scores_of_predictors(module):
        if score.features is None or not roles(score.features) & {"test", "validation"}:
            continue
        if "train" in roles(score.features) or not _is_split_off(score.features):
            continue
        fits = [fit for fit in score.fits if fit.features is not None]
        if fits and len(fits) == len(score.fits) and all(_knows(fit, score.features) for fit in fits):
            yield score, fits[-1]


def _is_split_off(data: Data) -> bool:
    """Whether every row of data is in the test part of a split that shows."""
    return all(each.how == "part" and each.role != "train" for each in row_sets(data))


def _knows(fit: Fit, data: Data) -> bool:
    """Whether a fit has seen all of the rows that a test part was taken from."""
    return fit.features is not None and is_within(data, fit.features)


def only_scored_on_training_data(module: Module) -> Iterator[tuple[Score, Fit]]:
    """The scores of models on what they were fitted on, in a module that scores nothing on other data."""
    events = module.fact(data_flow)
    scores = list(_scores_of_predictors(module))
    if events.validations or any(not is_holdout(split) for split in events.splits):
        return
    if any(learner.escaped or _validates_itself(learner) for learner in events.learners) or _stops_early(module):
        return
    on_training = [(score, fit) for score in scores if (fit := _fitted_on_the_same(score)) is not None]
    if len(on_training) == len(scores) == len(events.scores):
        yield from on_training[:1]


def _scores_of_predictors(module: Module) -> Iterator[Score]:
    for score in module.fact(data_flow).scores:
        if is_predictor(score.learner):
            yield score


def _fitted_on_the_same(score: Score) -> Fit | None:
    """The fit on the very rows that a score is taken on."""
    for fit in score.fits:
        if score.features is None or fit.features is None or any(map(_is_parameter, row_sets(score.features))):
            continue
        if row_sets(score.features) == row_sets(fit.features):
            return fit
    return None


def _is_parameter(data: Data) -> bool:
    """Whether data is what a function is given whose callers don't show: they may score it on other data."""
    return isinstance(data.node, ast.arg) or any(isinstance(each.node, ast.arg) for each in ancestry(data))


def _validates_itself(learner: Learner) -> bool:
    """Whether a model cross-validates as it is fitted: `LassoCV`."""
    return (learner.name or "").endswith("CV")


def _stops_early(module: Module) -> bool:
    """Whether a fit is given other data to watch, or a model its out-of-bag rows."""
    names = {keyword.arg for call in module.nodes(ast.Call) for keyword in call.keywords}
    return bool(names & _OTHER_DATA) or "oob_score" in names


def chosen_on_test(module: Module) -> Iterator[tuple[Choice, Score, bool]]:
    """The choices of a setting, or of a model, by its score on test data, each with such a score.

    The last says whether it is a setting that a loop varies.
    """
    for choice in module.fact(data_flow).choices:
        scores = [
            score
            for score in choice.scores
            if score.metric not in _TABLES and _is_on_test(score) and _is_followed(score)
        ]
        if len(scores) < len(choice.scores) or not scores:
            continue
        varied = [score for score in scores if score.loops]
        if varied or (len({score.learner for score in scores}) > 1 and not _only_sorts(choice)):
            yield choice, (varied or scores)[0], bool(varied)


def _only_sorts(choice: Choice) -> bool:
    """Whether models are put in order, as for a table of results."""
    return isinstance(choice.node, ast.Call) and last_name(choice.node.func) in (
        "sorted",
        "sort",
        "sort_values",
        "nlargest",
    )


def compared_on_test(module: Module) -> Iterator[Score]:
    """The scores on test data of a model whose settings a loop varies, one for each loop."""
    seen: set[ast.AST] = set()
    for score in module.fact(data_flow).scores:
        if score.loops - seen and score.metric not in _TABLES and _is_on_test(score) and _is_followed(score):
            seen |= score.loops
            yield score


def _is_followed(score: Score) -> bool:
    """Whether a score is of a known kind of model that was fitted on other rows."""
    trade = score.learner.trade
    return trade is not None and trade.kind in _PREDICTORS and bool(score.fits)


def _is_on_test(score: Score) -> bool:
    """Whether a score is on a test part, which was not split off a training part itself, and is no fold."""
    if score.features is None or roles(score.features) != {"test"}:
        return False
    splits = list(split_inputs(score.features))
    if not splits or not is_holdout(splits[0]):
        return False
    return not any("train" in roles(data) and is_part(data) for data in splits[0].inputs[:1])
