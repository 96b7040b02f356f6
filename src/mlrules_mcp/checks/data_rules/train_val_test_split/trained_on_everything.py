from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.checks._data import DATA, is_script, is_test_file
from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._loaders import Loader, loaders, part_of_name
from mlrules_mcp.checks._scores import is_predictor
from mlrules_mcp.checks._sklearn import SPLITTERS
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.lineage import ancestry
from mlrules_mcp.source.data_flow.values import Data

_SPLITS = ("random_split", "Subset", "train_test_split")
_JUDGED = pattern(r"(?i)accuracy|\brmse\b|\bmse\b|\bmae\b|squared|coef_|intercept_|feature_importances_")
_OTHER_PARTS = frozenset("eval_set validation_data validation_split valid_sets evals oob_score cv".split())


class _Whole(NamedTuple):
    """Training on rows that are tested on too.

    Attributes:
        place: what is trained on.
        test: what is tested on.
    """

    place: ast.expr
    test: ast.expr


class TrainedOnEverything(Check[ast.Module]):
    """Training on all rows, with none left to judge the model by.

    ## What it does
    Finds training loaders that load a whole data set of which a part is loaded for validation or testing, or that
    join the test set to the training set. As advice, it points at scripts that fit a model on all rows of a file, use
    or save it, and have no other data, no split and no score.

    ## Why it matters
    The model is tested on what it has learnt, so that the score tells how well it remembers; without any test nobody
    knows what it is good for.

    ## Do not flag
    Loaders with samplers, a last training on the training and validation parts, files that score or split anything,
    files that only define functions. Models of scikit-learn scored on rows they know are found by
    `scored-on-training-data`.

    ## Fix safety
    No fix: which part is to be kept out is not known.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split
    - https://scikit-learn.org/stable/modules/cross_validation.html
    """

    packages = DATA
    examples = (
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader, random_split

            train_set, val_set = random_split(dataset, [0.8, 0.2], generator=generator)
            train_loader = DataLoader(«dataset», batch_size=32, shuffle=True)
            val_loader = DataLoader(val_set, batch_size=32)
            """
        ),
        Bad(
            """
            from torch.utils.data import ConcatDataset, DataLoader

            train_loader = DataLoader(«ConcatDataset([train_set, test_set])», shuffle=True)
            test_loader = DataLoader(test_set)
            """
        ),
        Bad(
            """
            import joblib
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier

            df = pd.read_csv("churn.csv")
            model = RandomForestClassifier()
            «model.fit(df.drop(columns="churned"), df["churned"])»
            joblib.dump(model, "model.joblib")
            """,
            advice=True,
        ),
        Good(
            """
            from torch.utils.data import ConcatDataset, DataLoader, Subset, random_split

            train_set, val_set = random_split(dataset, [0.8, 0.2], generator=generator)
            train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
            val_loader = DataLoader(val_set, batch_size=32)
            final_train_loader = DataLoader(ConcatDataset([train_set, val_set]))
            test_loader = DataLoader(test_set)
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader, random_split

            train_set, val_set = random_split(train_set, [0.8, 0.2], generator=generator)
            train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
            val_loader = DataLoader(val_set, batch_size=32)
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader, Subset, SubsetRandomSampler

            train_loader = DataLoader(dataset, sampler=SubsetRandomSampler(train_indices))
            val_loader = DataLoader(Subset(dataset, val_indices))
            """
        ),
        Good(
            """
            import joblib
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import cross_val_score

            df = pd.read_csv("churn.csv")
            X, y = df.drop(columns="churned"), df["churned"]
            model = RandomForestClassifier()
            print(cross_val_score(model, X, y))
            joblib.dump(model.fit(X, y), "model.joblib")
            """,
            why="judged by cross-validation, and fitted on all rows for use",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LinearRegression

            train, test = pd.read_csv("train.csv"), pd.read_csv("test.csv")
            model = LinearRegression().fit(train[["area"]], train["price"])
            test["price"] = model.predict(test[["area"]])
            """,
            why="other rows are left for the test",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_file(module):
            return
        for whole in _loaded_whole(module):
            yield self.finding(
                module,
                whole.place,
                "The model is trained on all rows, those it is tested on among them, so that its score says how well "
                "it remembers. Load the training part only.",
                related=[(whole.test, "the rows that it is tested on")],
            )
        place = _never_judged(module)
        if place is not None:
            yield self.finding(
                module,
                place,
                "The model learns from every row, and no row is left to tell how good it is. Keep a test part out with "
                "`train_test_split`, or cross-validate the model first.",
                advice=True,
            )


def _loaded_whole(module: Module) -> Iterator[_Whole]:
    parts = [loader for loader in loaders(module) if not loader.sampled]
    trainings = [loader for loader in parts if loader.role == "train"]
    others = [loader for loader in parts if loader.role != "train"]
    for training in trainings if others else ():
        for other in others:
            if module.scope(training.call) is not module.scope(other.call):
                continue
            if _is_part_of(module, other.dataset, training.dataset) or _joins(module, training, other):
                yield _Whole(training.dataset, other.dataset)
                break


def _is_part_of(module: Module, part: ast.expr, whole: ast.expr) -> bool:
    """Whether a data set was split off another, which is not bound anew in between."""
    if not isinstance(part, ast.Name) or not isinstance(whole, ast.Name):
        return False
    bindings = module.reaching(part)
    return bool(bindings) and all(_splits_off(module, binding.value, whole) for binding in bindings)


def _splits_off(module: Module, value: ast.expr | None, whole: ast.Name) -> bool:
    if not isinstance(value, ast.Call) or module.called_name(value) not in _SPLITS or not value.args:
        return False
    base = value.args[0]
    if not isinstance(base, ast.Name) or base.id != whole.id:
        return False
    bindings = module.reaching(whole)
    return module.reaching(base) == bindings and all(binding.value is not value for binding in bindings)


def _joins(module: Module, training: Loader, other: Loader) -> bool:
    """Whether the training data is put together from several sets, the test set among them."""
    if other.role != "test" or not isinstance(other.dataset, ast.Name):
        return False
    for origin in module.origins(training.dataset):
        match origin:
            case ast.Call(args=[ast.List(elts=joined) | ast.Tuple(elts=joined)]):
                if module.called_name(origin) != "ConcatDataset":
                    continue
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                joined = [left, right]
            case _:
                continue
        name = other.dataset
        if any(
            isinstance(each, ast.Name) and each.id == name.id and module.reaching(each) == module.reaching(name)
            for each in joined
        ):
            return True
    return False


def _never_judged(module: Module) -> ast.expr | None:
    """Where a script fits a model on all rows of a file, if it has no other rows and judges nothing."""
    if not is_script(module) or module.calls("train_test_split", *SPLITTERS) or _names_other_parts(module):
        return None
    events = module.fact(data_flow)
    if events.splits or events.validations or events.scores or not events.fits or _measures(module):
        return None
    used = {prediction.learner for prediction in events.predictions}
    for fit in events.fits:
        if fit.learner is None or fit.features is None or fit.target is None or not is_predictor(fit.learner):
            continue
        if (fit.learner in used or fit.learner.saved) and _is_read_from_file(module, fit.features):
            return fit.node
    return None


def _names_other_parts(module: Module) -> bool:
    """Whether anything is called after a validation or test part, or given as such."""
    names = {node.id for node in module.nodes(ast.Name)} | {node.attr for node in module.nodes(ast.Attribute)}
    names |= {node.value for node in module.nodes(ast.Constant) if isinstance(node.value, str) and len(node.value) < 60}
    if any(part_of_name(name) in ("validation", "test") for name in names):
        return True
    return any(keyword.arg in _OTHER_PARTS for call in module.nodes(ast.Call) for keyword in call.keywords)


def _measures(module: Module) -> bool:
    """Whether a metric is imported, a model says how good it is, or what it has learnt is read off it."""
    if _JUDGED.search(module.source.code):
        return True
    if any("metrics" in (statement.module or "") for statement in module.nodes(ast.ImportFrom)):
        return True
    return bool(module.calls("score", "evaluate", "cross_val_score", "r2_score", "accuracy_score"))


def _is_read_from_file(module: Module, features: Data) -> bool:
    roots = [each for each in ancestry(features) if not each.sources]
    return bool(roots) and all(
        isinstance(root.node, ast.Call) and (module.called_name(root.node) or "").startswith("read_") for root in roots
    )
