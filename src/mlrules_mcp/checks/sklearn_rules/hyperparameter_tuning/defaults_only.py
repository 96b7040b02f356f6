from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow, is_test
from mlrules_mcp.checks._sklearn import NOT_TUNING, SEARCHING_PACKAGES, SKLEARN, TUNABLE, class_name
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.values import Learner
from mlrules_mcp.source.names import passes_unseen_arguments


class DefaultsOnly(Check[ast.Call]):
    """A model all of whose hyperparameters are the library's defaults.

    ## What it does
    Points at forests, boosted trees, support vector machines, neighbours, networks and penalised linear models that
    are made
    without any hyperparameter and that no search varies. Always advice.

    ## Why it matters
    The defaults fit no data set in particular: the depth of trees, the strength of a penalty and the number of
    neighbours
    decide between underfitting and overfitting.

    ## Do not flag
    Models with any hyperparameter of their own, models that a search, an ensemble or a selection of features gets,
    classes
    that a search of the module tunes, models in modules that use Optuna and the like, and tests.

    ## Fix safety
    No fix: the values have to be searched for.

    ## References
    - https://scikit-learn.org/stable/modules/grid_search.html
    """

    names = TUNABLE
    packages = SKLEARN
    speaks_of_absence = True
    examples = (
        Bad(
            """
            from sklearn.svm import SVC

            model = «SVC(random_state=42)»
            model.fit(X_train, y_train)
            print(model.score(X_test, y_test))
            """,
            advice=True,
        ),
        Bad(
            """
            from sklearn.neighbors import KNeighborsClassifier
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler
            from xgboost import XGBRegressor

            model = make_pipeline(StandardScaler(), «KNeighborsClassifier()»)
            other = ‹XGBRegressor(n_jobs=-1)›
            """,
            advice=True,
        ),
        Good(
            """
            from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import GridSearchCV
            from sklearn.pipeline import make_pipeline
            from sklearn.svm import SVC
            from sklearn.tree import DecisionTreeClassifier

            search = GridSearchCV(make_pipeline(SVC()), {"svc__C": [1, 10]})
            final = SVC()
            linear = LogisticRegression()
            forest = RandomForestClassifier(max_depth=5)
            boosted = AdaBoostClassifier(DecisionTreeClassifier(), n_estimators=100)
            given = RandomForestClassifier(**best)
            """
        ),
        Good(
            """
            from sklearn.tree import DecisionTreeClassifier

            for depth in [2, 4, 8]:
                tree = DecisionTreeClassifier()
                tree.set_params(max_depth=depth)
            """
        ),
        Good(
            """
            from sklearn.tree import DecisionTreeClassifier

            whole = DecisionTreeClassifier(random_state=0)
            for alpha in whole.cost_complexity_pruning_path(X_train, y_train).ccp_alphas:
                print(alpha, DecisionTreeClassifier(ccp_alpha=alpha, random_state=0).fit(X_train, y_train).get_depth())
            """,
            "the whole tree is what the pruning starts from",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if (
            node.args
            or any(keyword.arg not in NOT_TUNING for keyword in node.keywords)
            or passes_unseen_arguments(node)
        ):
            return
        name = class_name(module, node)
        if name not in TUNABLE or module.imported_packages & SEARCHING_PACKAGES:
            return
        if is_test(module) or name in module.fact(_tuned):
            return
        yield self.finding(
            module,
            node,
            "All hyperparameters of this model are defaults, which fit no data set in particular. Search for good "
            "ones by "
            "cross-validation, for example with `RandomizedSearchCV`.",
            advice=True,
        )


def _tuned(module: Module) -> frozenset[str]:
    """The names of classes that a search, an ensemble or a selection gets, or whose settings are set later."""
    names: set[str] = set()
    learners = module.fact(data_flow).learners
    for learner in learners:
        if learner.trade is not None and learner.trade.kind in ("search", "predictor", "transformer"):
            names.update(_names(learner.members))
    if module.calls("set_params", "cost_complexity_pruning_path"):
        names.update(map(_name, learners))
    return frozenset(names)


def _names(learners: tuple[Learner, ...]) -> Iterator[str]:
    for learner in learners:
        yield _name(learner)
        yield from _names(learner.members)


def _name(learner: Learner) -> str:
    return (learner.name or "").rpartition(".")[2]
