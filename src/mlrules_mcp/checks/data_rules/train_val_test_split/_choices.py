"""What is chosen by the score on test data: the checkpoint that is kept, and when training stops."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._loaders import part_of_name
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import LOOPS

_BEST = pattern(r"(?i)(^|_)(best|max|min|lowest|highest)|best$")
_SCORE = pattern(
    r"(?i)acc|loss|score|f1|auc|iou|map|mse|mae|rmse|err|psnr|ssim|bleu|dice|metric|prec|recall|result|perf"
)
_SAVES = frozenset(
    "save save_checkpoint save_model save_pretrained save_weights save_state_dict state_dict deepcopy save_network "
    "save_networks save_checkpoints".split()
)
_SCORES = ("predict", "score", "evaluate", "predict_proba", "decision_function", "predict_classes")


def chosen_by_test_score(module: Module) -> Iterator[ast.Compare]:
    """The comparisons of a score on test data with the best so far after which a model is kept."""
    for compare in module.nodes(ast.Compare):
        if len(compare.ops) != 1 or not isinstance(compare.ops[0], ast.Gt | ast.Lt | ast.GtE | ast.LtE):
            continue
        left, right = compare.left, compare.comparators[0]
        for best, score in ((left, right), (right, left)):
            if not _BEST.search(last_name(best) or "") or _BEST.search(last_name(score) or ""):
                continue
            if _is_test_score(module, score, best) and _keeps_model(module, compare):
                yield compare


def _is_test_score(module: Module, score: ast.expr, best: ast.expr) -> bool:
    """Whether a score is on test data, by its name, what made it, or the loop around."""
    name = last_name(score) or ""
    words = [name, last_name(best) or ""]
    if any(part_of_name(each) in ("validation", "train") for each in words):
        return False
    if not _SCORE.search(name):
        return False
    bindings = module.reaching(score) if isinstance(score, ast.Name) else []
    values = [binding.value for binding in bindings if binding.value is not None]
    if part_of_name(name) == "test":
        return not any(_parts_given(value) & {"validation", "train"} for value in values)
    if not isinstance(score, ast.Name):
        return False
    if any(isinstance(value, ast.Call) for value in values):
        return len(bindings) == len(values) and all(_is_given_test_data(value) for value in values)
    return _loops_over_test_data(module, score)


def _is_given_test_data(value: ast.expr) -> bool:
    """Whether a call computes something from test data and no other: `evaluate(model, test_loader)`."""
    return _parts_given(value) == {"test"}


def _parts_given(value: ast.expr) -> set[str]:
    """The parts of the data that a call is given, by what they are called."""
    if not isinstance(value, ast.Call):
        return set()
    given = [*value.args, *(keyword.value for keyword in value.keywords)]
    return {part for each in given if (part := part_of_name(last_name(each) or "")) is not None}


def _loops_over_test_data(module: Module, score: ast.expr) -> bool:
    """Whether the function around evaluates on a loader that is called after test data, and on no other."""
    function = module.enclosing_function(score)
    if function is None:
        return False
    roles = {
        part_of_name(node.id)
        for loop in module.walk(function)
        if isinstance(loop, LOOPS) and not isinstance(loop, ast.While)
        for node in ast.walk(loop.iter)
        if isinstance(node, ast.Name)
    }
    return roles - {None} == {"test"}


def _keeps_model(module: Module, compare: ast.Compare) -> bool:
    """Whether a model is saved or copied when a comparison holds."""
    parent = module.parent(compare)
    if isinstance(parent, ast.BoolOp):
        compare_or_both: ast.AST = parent
        parent = module.parent(parent)
    else:
        compare_or_both = compare
    match parent:
        case ast.If(test=test, body=body) if test is compare_or_both:
            return any(_saves(module, node) for node in module.walk(body))
        case ast.Assign(targets=[ast.Name(id=name)]) if "best" in name.lower():
            return any(_is_given(call, name) for call in module.calls(*_SAVES))
    return False


def _saves(module: Module, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and module.called_name(node) in _SAVES


def _is_given(call: ast.Call, name: str) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(isinstance(value, ast.Name) and value.id == name for value in given)


def stopped_by_test_data(module: Module) -> Iterator[ast.expr]:
    """The test data by which a fit is stopped early, and which is scored afterwards."""
    for call in module.calls("fit", "fit_generator"):
        data = _watched(call)
        if data is None or part_of_name(data.id) != "test" or not _stops(module, call):
            continue
        if any(_is_on(each, data.id) for each in module.calls(*_SCORES)):
            yield data
    for call in module.calls("train"):
        if module.qualified_name(call.func) in ("lightgbm.train", "xgboost.train") and _stops(module, call):
            yield from _watched_set(module, call)


def _watched_set(module: Module, call: ast.Call) -> Iterator[ast.expr]:
    """The set of test data that boosting watches to stop, and that is predicted afterwards."""
    sets = argument(call, "valid_sets") or argument(call, "evals", 3)
    for origin in module.origins(sets) if sets is not None else ():
        last = origin.elts[-1] if isinstance(origin, ast.List | ast.Tuple) and origin.elts else None
        data = last.elts[0] if isinstance(last, ast.Tuple) and last.elts else last
        if not isinstance(data, ast.Name) or part_of_name(data.id) != "test":
            continue
        made = [each.args[0] for each in module.origins(data) if isinstance(each, ast.Call) and each.args]
        names = {data.id, *(each.id for each in made if isinstance(each, ast.Name))}
        if any(_is_on(each, name) for each in module.calls("predict") for name in names):
            yield data


def _watched(call: ast.Call) -> ast.Name | None:
    """The data that a fit is judged by: that of the last pair of an `eval_set`, or of `validation_data`."""
    given = argument(call, "eval_set") or argument(call, "validation_data")
    while isinstance(given, ast.List) and given.elts:
        given = given.elts[-1]
    if isinstance(given, ast.Tuple) and given.elts:
        given = given.elts[-1] if isinstance(given.elts[-1], ast.Tuple) else given.elts[0]
        given = given.elts[0] if isinstance(given, ast.Tuple) and given.elts else given
    return given if isinstance(given, ast.Name) else None


def _stops(module: Module, call: ast.Call) -> bool:
    """Whether a fit stops early, or keeps the best model on the way."""
    if _is_set(argument(call, "early_stopping_rounds")) or _is_set(argument(call, "use_best_model")):
        return True
    callbacks = argument(call, "callbacks")
    if callbacks is not None:
        for origin in module.origins(callbacks):
            items = origin.elts if isinstance(origin, ast.List | ast.Tuple) else [origin]
            if any(_is_stopper(module, made) for item in items for made in module.origins(item)):
                return True
    if isinstance(call.func, ast.Attribute):
        for origin in module.origins(call.func.value):
            if isinstance(origin, ast.Call) and _is_set(argument(origin, "early_stopping_rounds")):
                return True
    return False


def _is_stopper(module: Module, made: ast.expr) -> bool:
    if not isinstance(made, ast.Call):
        return False
    name = module.called_name(made)
    if name == "ModelCheckpoint":
        return _is_set(argument(made, "save_best_only"))
    return name in ("EarlyStopping", "early_stopping")


def _is_set(value: ast.expr | None) -> bool:
    return value is not None and not (isinstance(value, ast.Constant) and value.value in (None, False))


def _is_on(call: ast.Call, name: str) -> bool:
    return any(isinstance(value, ast.Name) and value.id == name for value in call.args[:2])
