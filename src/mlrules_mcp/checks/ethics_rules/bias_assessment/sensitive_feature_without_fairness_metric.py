from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._sklearn import CLASSIFIERS, REGRESSORS, SEARCHES, SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name

_NAMES = frozenset(
    {
        *("sex", "gender", "race", "ethnicity", "ethnic group", "religion", "nationality", "national origin", "caste"),
        *("native country", "disability", "sexual orientation", "skin color", "skin colour"),
    }
)
_SENSITIVE = frozenset(name.replace(" ", between) for name in _NAMES for between in " _-")
# Passengers of 1912, penguins, abalones and races of cars and horses.
_OTHER_SUBJECT = pattern(
    r"titanic|survived|pclass|sibsp|penguin|abalone|shell.?weight|island|bill_length|horse|lap_?time|circuit|driver_?id",
    re.IGNORECASE,
)
_ASSESSES = pattern(
    r"fairlearn|aif360|responsibleai|themis|fairness|MetricFrame|demographic_parity|equalized_odds|equal_opportunity|"
    r"disparate|parity|bias_|subgroup",
    re.IGNORECASE,
)
_LONGEST = max(map(len, _SENSITIVE))
_ENCODES = frozenset(
    "get_dummies fit_transform transform map replace factorize apply ColumnTransformer make_column_transformer astype "
    "where".split()
)
_REPLACES = frozenset({"map", "replace", "apply", "astype", "where"})
_FEATURES = pattern(
    r"^X$|^X_|feat|col(umn)?s|predictor|categor|cat_|inputs|variables|nominal|(^|_)vars?$", re.IGNORECASE
)
_DROPS = frozenset({"drop", "pop"})
_RESULTS = pattern(r"pred|error|correct|accuracy|score|fpr|tpr|recall|precision|confusion", re.IGNORECASE)


class SensitiveFeatureWithoutFairnessMetric(Check[ast.Module]):
    """A model of people that uses a protected attribute and is not measured by it.

    ## What it does
    Where a file fits a classifier or regressor of scikit-learn's kind and a column such as sex, gender, race,
    ethnicity, religion or nationality is among the features (listed, or encoded for the model), it advises to compare
    the model between the groups, if nothing in the file does.

    ## Why it matters
    A model can be right on average and wrong for one group: the score of all hides it. In hiring, credit, insurance
    and health that harms people, and in many places the law forbids it.

    ## Do not flag
    Attributes that are dropped, predicted or only described; files that compute a metric by group (fairlearn, AIF360,
    `groupby` of predictions); passengers of the Titanic, penguins and other sets where the word means something else;
    tests.

    ## Fix safety
    No fix: which metric and which groups matter is the project's decision.

    ## References
    - https://fairlearn.org/stable/user_guide/assessment/perform_fairness_assessment.html
    - https://aif360.readthedocs.io/
    """

    packages = SKLEARN
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            features = ["age", «"gender"», "income", "debt"]
            model = LogisticRegression().fit(loans[features], loans["default"])
            print(model.score(test[features], test["default"]))
            """,
            advice=True,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.preprocessing import LabelEncoder

            adult["race"] = LabelEncoder().fit_transform(adult[«"race"»])
            X, y = adult.drop(columns="income"), adult["income"]
            RandomForestClassifier().fit(X, y)
            """,
            advice=True,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.compose import ColumnTransformer
            from sklearn.preprocessing import OneHotEncoder
            from xgboost import XGBClassifier

            encode = ColumnTransformer([("categories", OneHotEncoder(), [«"Gender"», "Geography"])])
            model = XGBClassifier().fit(encode.fit_transform(customers), churned)
            """,
            advice=True,
        ),
        Good(
            """
            import pandas as pd
            from fairlearn.metrics import MetricFrame
            from sklearn.linear_model import LogisticRegression

            features = ["age", "gender", "income"]
            model = LogisticRegression().fit(loans[features], loans["default"])
            by_group = MetricFrame(metrics=recall, y_true=y, y_pred=predicted, sensitive_features=loans["gender"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            model = LogisticRegression().fit(loans[["gender", "income"]], loans["default"])
            loans["correct"] = model.predict(loans[["gender", "income"]]) == loans["default"]
            print(loans.groupby("gender")["correct"].mean())
            """,
            "a metric by group",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            answers.columns = ["date", "Gender", "answer"]
            answers["who"] = answers["Gender"].map({"m": "men", "f": "women"})
            model = LogisticRegression().fit(answers[["length", "words"]], answers["answer"])
            """,
            "described, and no feature",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            print(loans["gender"].value_counts())
            X = loans.drop(columns=["gender", "race", "default"])
            model = LogisticRegression().fit(X, loans["default"])
            """,
            "dropped",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.svm import SVC

            voices["gender"] = voices["gender"].map({"m": 0, "f": 1})
            y = voices["gender"]
            SVC().fit(voices[["pitch", "energy"]], y)
            """,
            "predicted",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.tree import DecisionTreeClassifier

            features = ["Pclass", "Sex", "Fare"]
            DecisionTreeClassifier().fit(titanic[features], titanic["Survived"])
            """,
            "passengers of 1912",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        code = module.source.code
        named = [text for text in module.nodes(ast.Constant) if _is_sensitive(text.value)]
        if not named or is_test(module) or _OTHER_SUBJECT.search(code) or _ASSESSES.search(code):
            return
        excluded = {text.value for text in named if _is_left_out(text, module)}
        used = next((text for text in named if text.value not in excluded and _is_feature(text, module)), None)
        if used is not None and _fits_model(module):
            yield self.finding(
                module,
                used,
                f"The model uses `{used.value!s}`, and nothing here compares its errors between groups: a good score "
                "may hide that it fails one of them. Compute the metrics by group (fairlearn's `MetricFrame`).",
                advice=True,
            )


def _is_sensitive(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and value.lower() in _SENSITIVE


def _fits_model(module: Module) -> bool:
    models = CLASSIFIERS | REGRESSORS | SEARCHES
    names = {module.called_name(call) for call in module.nodes(ast.Call)}
    return bool(models & names) and bool(names & {"fit", "cross_val_score", "cross_validate", "train"})


def _is_left_out(text: ast.Constant, module: Module) -> bool:
    """Whether a column is dropped, predicted, or what a metric is grouped by."""
    child: ast.AST = text
    for ancestor in module.ancestors(text):
        match ancestor:
            case ast.Call(func=func) if last_name(func) in _DROPS:
                return True
            case ast.Call(func=ast.Attribute(attr="groupby")) if _RESULTS.search(module.text(module.statement(text))):
                return True
            case ast.Delete():
                return True
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() | ast.Attribute() as value) if (
                child is value
            ):
                return name.lower().startswith(("y", "target", "label"))
            case ast.Assign(targets=[ast.Name(id=name)]) if child is text:
                return name.lower().startswith(("y", "target", "label"))
            case ast.stmt():
                return False
        child = ancestor
    return False


def _is_feature(text: ast.Constant, module: Module) -> bool:
    """Whether a column is listed among others for a model, or is encoded for one."""
    parent = module.parent(text)
    for ancestor in module.ancestors(text):
        match ancestor:
            case ast.Call(func=func) if last_name(func) in _ENCODES:
                is_column = isinstance(parent, ast.Subscript) and last_name(func) in _REPLACES
                return (
                    _is_replaced(text, module)
                    if is_column
                    else isinstance(parent, ast.Subscript | ast.List | ast.Tuple)
                )
            case ast.Assign(targets=[ast.Name() | ast.Subscript() as target]) if isinstance(parent, ast.List):
                name = last_name(target.value if isinstance(target, ast.Subscript) else target)
                return len(parent.elts) > 1 and bool(_FEATURES.search(name or ""))
            case ast.Call(func=ast.Attribute(attr="fit")):
                return isinstance(parent, ast.List)
            case ast.stmt():
                return False
    return False


def _is_replaced(text: ast.Constant, module: Module) -> bool:
    """Whether a column gets other values in its place: `df["sex"] = df["sex"].map(codes)`."""
    match module.statement(text):
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))]):
            return name == text.value
    return False
