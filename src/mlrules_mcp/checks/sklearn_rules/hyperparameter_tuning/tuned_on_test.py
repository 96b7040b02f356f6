from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._scores import chosen_on_test, compared_on_test
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module


class TunedOnTest(Check[ast.Module]):
    """Settings, or models, that are chosen by their score on the test data.

    ## What it does
    Finds loops that vary a setting of a model, score it on the test part of a split, and take the best
    (`if score > best`, `max(scores)`, `np.argmax`): an error. So are choices among several models by their test
    scores, as
    a warning. A loop over settings that collects test scores without taking the best in code is advice.

    ## Why it matters
    The best of many test scores is partly luck. The test data has become part of the training, and nothing is left
    to say how
    well the chosen model does on new data.

    ## Do not flag
    Choices by a validation part or by cross-validation, a threshold for a single model, loops over seeds or training
    sizes,
    and test parts that were split off a training part, which keeps another test part untouched.

    ## Fix safety
    No fix: a validation part has to be split off, or a search used.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html
    - https://scikit-learn.org/stable/modules/grid_search.html
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.model_selection import train_test_split
            from sklearn.neighbors import KNeighborsClassifier

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            best_score, best_k = 0, None
            for k in range(1, 40):
                model = KNeighborsClassifier(n_neighbors=k).fit(X_train, y_train)
                score = model.score(X_test, y_test)
                if «score > best_score»:
                    best_score, best_k = score, k
            """
        ),
        Bad(
            """
            import numpy as np
            from sklearn.linear_model import Ridge
            from sklearn.metrics import mean_squared_error
            from sklearn.model_selection import train_test_split

            def error(alpha):
                model = Ridge(alpha=alpha)
                model.fit(X_train, y_train)
                return mean_squared_error(y_test, model.predict(X_test))

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            alphas = np.logspace(-3, 3, 13)
            errors = [error(alpha) for alpha in alphas]
            best = alphas[«np.argmin(errors)»]
            """
        ),
        Bad(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            models = {"linear": LogisticRegression(), "forest": RandomForestClassifier(random_state=0)}
            scores = {}
            for name, model in models.items():
                model.fit(X_train, y_train)
                scores[name] = model.score(X_test, y_test)
            winner = «max(scores, key=scores.get)»
            """
        ),
        Bad(
            """
            import matplotlib.pyplot as plt
            from sklearn.model_selection import train_test_split
            from sklearn.tree import DecisionTreeClassifier

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            scores = []
            for depth in [1, 2, 4, 8]:
                tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
                tree.fit(X_train, y_train)
                scores.append(«tree.score(X_test, y_test)»)
            plt.plot(scores)
            """,
            advice=True,
        ),
        Bad(
            """
            import numpy as np
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import f1_score
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            chances = LogisticRegression().fit(X_train, y_train).predict_proba(X_test)[:, 1]
            best, top = 0.5, 0.0
            for threshold in np.arange(0.1, 0.9, 0.1):
                score = f1_score(y_test, chances > threshold)
                if «score > top»:
                    best, top = threshold, score
            """
        ),
        Good(
            """
            from sklearn.model_selection import train_test_split
            from sklearn.neighbors import KNeighborsClassifier

            X_rest, X_test, y_rest, y_test = train_test_split(X, y, random_state=0)
            X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, random_state=0)
            best_score = 0
            for k in range(1, 40):
                model = KNeighborsClassifier(n_neighbors=k).fit(X_train, y_train)
                score = model.score(X_val, y_val)
                if score > best_score:
                    best_score, best = score, model
            print(best.score(X_test, y_test))
            """
        ),
        Good(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import cross_val_score, train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            best = max((cross_val_score(forest(max_depth=d), X_train, y_train).mean(), d) for d in DEPTHS)
            for seed in range(5):
                model = RandomForestClassifier(max_depth=best[1], random_state=seed).fit(X_train, y_train)
                print(model.score(X_test, y_test))
            if model.score(X_test, y_test) > 0.9:
                deploy(model)
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import LogisticRegression
            from sklearn.metrics import confusion_matrix
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            chances = LogisticRegression().fit(X_train, y_train).predict_proba(X_test)[:, 1]
            for threshold in np.arange(0.1, 0.9, 0.1):
                matrix = confusion_matrix(y_test, chances > threshold)
                middle = np.max(matrix) / 2
                print(matrix, "light" if middle < 10 else "dark")
            """,
            "the largest number in a confusion matrix chooses a colour",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.fact(data_flow).scores:
            return
        seen: set[ast.expr] = set()
        loops: set[ast.AST] = set()
        for choice, score, is_setting in chosen_on_test(module):
            loops |= score.loops
            if choice.node not in seen:
                seen.add(choice.node)
                yield self.finding(
                    module,
                    choice.node,
                    f"The best {'setting' if is_setting else 'model'} is picked by its score on the test data, so "
                    f"that score is no "
                    "measure of new data any more. Choose by cross-validation or on a validation part, and use the "
                    "test part once.",
                    related=[(score.node, "the score on the test data")],
                    error=is_setting,
                )
        for score in compared_on_test(module):
            if not score.loops & loops:
                yield self.finding(
                    module,
                    score.node,
                    "A loop over settings scores each on the test data, so whoever picks the best tunes on it. "
                    "Compare settings by "
                    "cross-validation or on a validation part, and use the test part once.",
                    advice=True,
                )
