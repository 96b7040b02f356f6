from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, ESTIMATOR
from mlrules_mcp.evidence.programs import NETWORK, notebook
from mlrules_mcp.evidence.steps import baseline_script

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_DUMMY = "sklearn.dummy.*"
_SIMPLE = frozenset(
    "LogisticRegression LogisticRegressionCV LinearRegression Ridge RidgeCV RidgeClassifier Lasso LassoCV ElasticNet "
    "GaussianNB MultinomialNB BernoulliNB DecisionTreeClassifier DecisionTreeRegressor KNeighborsClassifier "
    "KNeighborsRegressor LinearSVC LinearSVR SGDClassifier SGDRegressor Perceptron OLS Logit".split()
)
_NUMBER = r"(?:\d+[.,]\d+|\d+\s*%)"


class BaselineFirst(Collector):
    """A simple model, or a rule of thumb, to compare the complex model with.

    ## Met
    A dummy estimator; a linear model, a tree or naive Bayes beside another estimator; a function, class or run that
    is called a baseline; a table or sentence of the documents, or a notebook's output, that gives a baseline's result.

    ## Broken
    The static check finds a forest, boosting or a network scored beside nothing, and no baseline stands in any other
    file: what is advice for one file is an error for a project.

    ## Not applicable
    Nothing is trained here, or the project is a library: its users have the baselines.

    ## Never counts
    The word in a comment, a file that is only called baseline, an import without a call, code in tests.

    ## References
    - https://developers.google.com/machine-learning/guides/rules-of-ml
    - https://scikit-learn.org/stable/modules/model_evaluation.html#dummy-estimators
    """

    asks = Asked.of(calls=_DUMMY, definitions="baseline naive_forecast majority_class", keys="baseline")
    needs = ("training",)
    would_count = (
        "a fitted `DummyClassifier` or linear model beside the real one, a function or configuration of a baseline, "
        "or a baseline's result in the documents"
    )
    looked_in = "the code, notebooks, configurations and documents"
    examples = (
        Example(
            {
                "train.py": """\
                import pandas as pd
                from sklearn.dummy import DummyClassifier
                from sklearn.ensemble import RandomForestClassifier

                df = pd.read_csv("churn.csv")
                X, y = df.drop(columns="churned"), df["churned"]
                for model in (DummyClassifier(), RandomForestClassifier()):
                    model.fit(X, y)
                """
            },
            "met",
            ["train.py:7"],
        ),
        Example(
            {
                "train.py": """\
                import pandas as pd
                from sklearn.metrics import accuracy_score
                from sklearn.model_selection import train_test_split
                from xgboost import XGBClassifier

                df = pd.read_csv("churn.csv")
                X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="churned"), df["churned"])
                model = XGBClassifier()
                model.fit(X_train, y_train)
                print(accuracy_score(y_test, model.predict(X_test)))
                """
            },
            "broken",
            ["train.py:9"],
        ),
        Example(
            {
                "train.py": f"# TODO: add a baseline\n{NETWORK}",
                "baseline/README.md": "Nothing yet.\n",
            },
            "no_evidence",
            why="a comment and the name of a folder are no baseline",
        ),
        Example(
            {
                "train.py": NETWORK,
                "README.md": "# Results\n\n| model | score |\n| --- | --- |\n| majority baseline | 61.2 % |\n",
            },
            "met",
            ["README.md:5"],
        ),
        Example(
            {"train.ipynb": notebook(NETWORK, shown="epoch 1\nbaseline accuracy: 0.612\n")}, "met", ["train.ipynb:1:1"]
        ),
        Example({"features.py": "def double(x):\n    return 2 * x\n"}, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Dummies, simple models beside others, baselines by name, and their results in documents."""
        yield from (of(fact) for fact in project.calls(_DUMMY))
        estimators = project.landmarks(ESTIMATOR)
        simple = [fact for fact in estimators if fact.called.rpartition(".")[2] in _SIMPLE]
        if len({fact.called for fact in estimators}) > 1 or project.landmarks(DEEP_TRAINING):
            yield from (of(fact, f"a simple model beside the others: `{fact.text}`") for fact in simple[:3])
        yield from (of(fact) for fact in project.definitions("baseline", "naive_forecast", "majority_class"))
        yield from (of(fact, f"a baseline's figure: `{fact.text}`") for fact in project.keys("baseline"))
        for setting in project.set_to("baseline"):
            yield Evidence(setting.path, setting.line, f"a baseline's configuration: `{setting.key}`")
        for section, match in project.told("", rf"^[^\n]*\bbaseline\b[^\n]*{_NUMBER}[^\n]*"):
            yield Evidence(section.path, section.line_of(match.start()), match[0].strip()[:120], section.cell)
        for section, match in project.told(r"\bbaselines?\b", rf"^\s*\|.*{_NUMBER}.*\|"):
            line = section.line_of(match.start() + len(match[0]) - len(match[0].lstrip()))
            yield Evidence(section.path, line, f"results under “{section.heading}”", section.cell)

        yield from project.shown(rf"^.*\bbaseline\b.*{_NUMBER}.*$")

    def contradictions(self, project: Facts) -> Iterator[Evidence]:
        """A complex model scored beside nothing, where no file has a baseline."""
        if project.lacks("training") or next(self.evidence(project), None):
            return
        for finding in project.advice(self.rule):
            yield Evidence(finding.path, finding.location.line, finding.message, finding.location.cell, finding.check)

    def next_step(self, project: Facts) -> NextStep:
        """A script that fits a dummy and a linear model to the project's own data."""
        return NextStep("Add a baseline to compare with", "small", "baseline.py", baseline_script(project))
