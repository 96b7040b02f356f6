from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import is_test
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.evaluation_rules.multiple_metrics._predictions import decided
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import code_of

_MICRO = ("f1_score", "precision_score", "recall_score", "fbeta_score")
_SEVERAL_LABELS = pattern(r"(?i:multi_?label|MultiLabelBinarizer|multi_?output|OneVsRest)")


class MicroAverageBesideAccuracy(Check[ast.Call]):
    """A micro-average that is reported beside accuracy, which is the same number.

    ## What it does
    Finds `f1_score`, `precision_score` and `recall_score` with `average="micro"` on the very labels and predictions
    that `accuracy_score`, or another of them with `average="micro"`, is computed on as well.

    ## Why it matters
    Where each sample has one class, every false positive is another class's false negative: micro-averaged precision,
    recall and F1 all equal accuracy. The report shows one number several times, as if several metrics agreed, and says
    nothing of rare classes.

    ## Do not flag
    Several labels for each sample, a choice of classes (`labels=`), predictions that don't come from a classifier's
    `predict` or an `argmax`, and tests.

    ## Fix safety
    Suggested: `average="macro"` gives every class the same weight; `"weighted"` may be what is meant.

    ## References
    - https://scikit-learn.org/stable/modules/model_evaluation.html#multiclass-and-multilabel-classification
    """

    names = frozenset(_MICRO)
    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import accuracy_score, f1_score

            predicted = LogisticRegression().fit(X_train, y_train).predict(X_test)
            print(accuracy_score(y_test, predicted))
            print(«f1_score(y_test, predicted, average="micro")»)
            """,
            suggested_fix="""
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import accuracy_score, f1_score

            predicted = LogisticRegression().fit(X_train, y_train).predict(X_test)
            print(accuracy_score(y_test, predicted))
            print(f1_score(y_test, predicted, average="macro"))
            """,
        ),
        Bad(
            """
            import numpy as np
            from sklearn import metrics

            def report(model, X, y):
                classes = np.argmax(model.predict(X), axis=1)
                precision = «metrics.precision_score(y, classes, average="micro")»
                recall = ‹metrics.recall_score(y, classes, average="micro")›
                return precision, recall
            """,
            suggested_fix="""
            import numpy as np
            from sklearn import metrics

            def report(model, X, y):
                classes = np.argmax(model.predict(X), axis=1)
                precision = metrics.precision_score(y, classes, average="macro")
                recall = metrics.recall_score(y, classes, average="macro")
                return precision, recall
            """,
        ),
        Good(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import accuracy_score, f1_score

            predicted = LogisticRegression().fit(X_train, y_train).predict(X_test)
            print(accuracy_score(y_test, predicted), f1_score(y_test, predicted, average="macro"))
            print(f1_score(y_test, predicted, labels=[1, 2], average="micro"))
            print(f1_score(y_other, predicted, average="micro"))
            predicted = LogisticRegression(C=10).fit(X_train, y_train).predict(X_test)
            print(f1_score(y_test, predicted, average="micro"))
            """
        ),
        Good(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.metrics import accuracy_score, f1_score
            from sklearn.preprocessing import MultiLabelBinarizer

            Y = MultiLabelBinarizer().fit_transform(tags)
            predicted = RandomForestClassifier().fit(X_train, Y_train).predict(X_test)
            print(accuracy_score(Y_test, predicted), f1_score(Y_test, predicted, average="micro"))
            """,
            "several labels for each sample: accuracy counts whole rows",
        ),
        Good(
            """
            from sklearn.metrics import accuracy_score, f1_score

            print(accuracy_score(y, outputs > 0.5), f1_score(y, outputs > 0.5, average="micro"))
            """,
            "may be several labels",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not _is_micro(module, node) or _SEVERAL_LABELS.search(module.source.code) or is_test(module):
            return
        predicted = argument(node, "y_pred", 1)
        if predicted is None or not _is_one_class(module, predicted) or not _has_twin(module, node):
            return
        yield self.finding(
            module,
            node,
            "With one class for each sample a micro-average is accuracy under another name, so this repeats a number "
            'that is reported already. Use `average="macro"` or `"weighted"`.',
            fix=suggested('Use average="macro"', SetArgument(Span.of(node), "average", '"macro"')),
        )


def _is_micro(module: Module, call: ast.Call) -> bool:
    average = argument(call, "average")
    return (
        isinstance(average, ast.Constant)
        and average.value == "micro"
        and argument(call, "labels", 2) is None
        and (module.qualified_name(call.func) or "").startswith("sklearn.metrics.")
    )


def _is_one_class(module: Module, predicted: ast.expr) -> bool:
    # What is compared with a threshold may be several labels.
    if isinstance(decided(module, predicted), ast.Call):
        return True
    origins = [origin for origin in module.origins(predicted) if isinstance(origin, ast.Call)]
    return bool(origins) and all(module.called_name(origin) == "argmax" for origin in origins)


def _has_twin(module: Module, call: ast.Call) -> bool:
    """Whether accuracy, or another micro-average, is computed on the same labels and predictions in the function."""
    mine = _pair(module, call)
    for other in module.calls("accuracy_score", *_MICRO):
        is_same = other is not call and module.enclosing_function(other) is module.enclosing_function(call)
        is_accuracy = module.called_name(other) == "accuracy_score"
        if is_same and (is_accuracy or _is_micro(module, other)) and _pair(module, other) == mine:
            return True
    return False


def _pair(module: Module, call: ast.Call) -> list[object] | None:
    """The labels and predictions of a metric: their code, and the values that the names in it have there."""
    true, predicted = argument(call, "y_true", 0), argument(call, "y_pred", 1)
    if true is None or predicted is None:
        return None
    names = [each for value in (true, predicted) for each in module.walk(value) if isinstance(each, ast.Name)]
    return [code_of(true), code_of(predicted), *map(module.reaching, names)]
