from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow, is_test
from mlrules_mcp.checks._programs import is_started
from mlrules_mcp.checks._sklearn import DEEP_LEARNING, SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.evaluation_rules.multiple_metrics._predictions import is_classifier
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.lineage import roles
from mlrules_mcp.source.names import argument

# Names and texts that say how a classifier errs.
_OTHERS = pattern(
    r"f1|fbeta|precision|recall|roc|auc|confusion|classification_report|matthews|mcc|kappa|balanced_acc|log_?loss|brier|"
    r"jaccard|gini|average_precision|hamming|sensitivity|specificity|lift|gain|calibration|crosstab|top_k|det_curve|"
    r"scorer|true_positive|false_positive|fpr|tpr|error_rate_by|profit|threshold",
    re.IGNORECASE,
)
# Data sets whose classes are about equally frequent, and made-up data that has them so.
_BALANCED = pattern(
    r"(?i:iris|digits|mnist|cifar|penguins|make_(blobs|moons|circles|classification|gaussian)|newsgroups|imdb|mushroom|"
    r"titanic)"
)
_IMBALANCE_ARGUMENTS = frozenset({"class_weight", "scale_pos_weight", "is_unbalance", "auto_class_weights"})


class AccuracyOnly(Check[ast.Module]):
    """A classifier that is judged by its accuracy alone.

    ## What it does
    Finds programs that fit classifiers and report `accuracy_score`, or a classifier's `score`, and no other metric:
    no precision, recall, F1, confusion matrix, report, ROC or loss. Where the code itself shows that the classes are
    not equally frequent (`class_weight`, `scale_pos_weight`, resampling with imbalanced-learn) it is a warning,
    elsewhere advice.

    ## Why it matters
    Accuracy is a share of all samples: where one class in a hundred is positive, a model that never says yes has 99 %.
    Which errors a model makes, and what they cost, does not show.

    ## Do not flag
    Data sets that are known to be balanced, made-up data, regression, models whose kind does not show, files that
    others import, probes of a network's features, and tests.

    ## Fix safety
    No fix: which metrics matter depends on what the errors cost.

    ## References
    - https://scikit-learn.org/stable/modules/model_evaluation.html#classification-metrics
    """

    packages = SKLEARN
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import accuracy_score
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("transactions.csv")
            X_train, X_test, y_train, y_test = train_test_split(df[columns], df["fraud"], random_state=0)
            model = LogisticRegression(class_weight="balanced").fit(X_train, y_train)
            print(«accuracy_score(y_test, model.predict(X_test))»)
            """
        ),
        Bad(
            """
            from imblearn.over_sampling import SMOTE
            from sklearn.ensemble import RandomForestClassifier

            X_train, y_train = SMOTE(random_state=0).fit_resample(X_train, y_train)
            forest = RandomForestClassifier(random_state=0)
            forest.fit(X_train, y_train)
            print("accuracy", «forest.score(X_test, y_test)»)
            """
        ),
        Bad(
            """
            from sklearn.metrics import accuracy_score
            from sklearn.svm import SVC

            model = SVC()
            model.fit(X_train, y_train)
            y_pred = model.predict(X_test)
            print(«accuracy_score(y_test, y_pred)»)
            """,
            advice=True,
        ),
        Good(
            """
            from sklearn.metrics import accuracy_score, classification_report
            from sklearn.svm import SVC

            model = SVC(class_weight="balanced").fit(X_train, y_train)
            y_pred = model.predict(X_test)
            print(accuracy_score(y_test, y_pred), classification_report(y_test, y_pred))
            """
        ),
        Good(
            """
            from sklearn.datasets import load_digits
            from sklearn.svm import SVC

            X, y = load_digits(return_X_y=True)
            print(SVC().fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]))
            """,
            "balanced classes",
        ),
        Good(
            """
            import torch
            from sklearn.linear_model import LogisticRegression

            probe = LogisticRegression().fit(features[train], labels[train])
            print(probe.score(features[test], labels[test]))
            """,
            "a probe of a network's features",
        ),
        Good(
            """
            from sklearn.linear_model import Ridge

            print(Ridge().fit(X_train, y_train).score(X_test, y_test))
            """,
            "regression: the score is R²",
        ),
        Good(
            """
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import accuracy_score

            def evaluate(X_train, y_train, X_test, y_test):
                model = LogisticRegression(class_weight="balanced").fit(X_train, y_train)
                return accuracy_score(y_test, model.predict(X_test))
            """,
            "a library: others may report more",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.calls("accuracy_score", "score") or is_test(module) or _says_more(module):
            return
        if module.imported_packages & DEEP_LEARNING:
            return
        call = next(_accuracies(module), None)
        if call is None:
            return
        imbalanced = _is_imbalanced(module)
        if not imbalanced and _BALANCED.search(module.source.code):
            return
        yield self.finding(
            module,
            call,
            "Accuracy is the only metric, and it hides which classes are confused, the rare ones above all. Report "
            "precision and recall as well, for instance with `classification_report`, or a confusion matrix.",
            advice=not imbalanced,
        )


def _says_more(module: Module) -> bool:
    """Whether code of a module speaks of any other metric, or of what it is scored by."""
    if not _OTHERS.search(module.source.code):
        return False
    words = [name.id for name in module.nodes(ast.Name)]
    words += [attribute.attr for attribute in module.nodes(ast.Attribute)]
    words += [alias.name for alias in module.nodes(ast.alias)]
    words += [constant.value for constant in module.nodes(ast.Constant) if isinstance(constant.value, str)]
    return any(len(word) < 60 and _OTHERS.search(word) for word in words)


def _accuracies(module: Module) -> Iterator[ast.Call]:
    """The calls of a program that measure the accuracy of a classifier on other data than it was fitted on."""
    for call in module.calls("accuracy_score"):
        if (module.qualified_name(call.func) or "").startswith("sklearn.metrics") and is_started(module, call):
            yield call
    for score in module.fact(data_flow).scores:
        match score.node:
            case ast.Call(func=ast.Attribute(value=model, attr="score")) as call:
                is_new = score.features is not None and "train" not in roles(score.features)
                if is_new and argument(call, "y", 1) and is_classifier(module, model) and is_started(module, call):
                    yield call


def _is_imbalanced(module: Module) -> bool:
    if "imblearn" in module.imported_packages:
        return True
    return any(
        keyword.arg in _IMBALANCE_ARGUMENTS
        and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
        for keyword in module.nodes(ast.keyword)
    )
