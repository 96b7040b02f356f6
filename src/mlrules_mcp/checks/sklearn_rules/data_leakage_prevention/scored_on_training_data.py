from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._scores import only_scored_on_training_data, scored_on_known_rows
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_TRAINING_SCORE = pattern(r"(?i)train(ing)?[ _-]?(set)?[ _-]?(acc|score|error|loss|r2|r\^2|mse|rmse|mae|f1)")


class ScoredOnTrainingData(Check[ast.Module]):
    """A model that is scored on rows it was fitted on.

    ## What it does
    Finds scores on a test part of the data on all of which the model was fitted, and models whose only score, in the
    whole file, is on the rows that they were fitted on. Scores are `score`, the metrics of scikit-learn, and means of
    comparisons with predictions.

    ## Why it matters
    A model can learn its training rows by heart: a decision tree scores 100 % on them, whatever they are. The score
    says nothing about new data.

    ## Do not flag
    Scores on the training data beside one on other data or a cross-validation, out-of-bag scores, clusterings and
    densities, which have nothing to predict, models that other functions may score, early stopping on other data, and
    scores that the code itself calls those of the training data.
    R2 of a `LinearRegression` on its own rows describes them: advice.

    ## Fix safety
    No fix: data has to be split off before the model is fitted.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from sklearn.datasets import load_iris
            from sklearn.tree import DecisionTreeClassifier

            X, y = load_iris(return_X_y=True)
            tree = DecisionTreeClassifier(random_state=0).fit(X, y)
            print(«tree.score(X, y)»)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestRegressor
            from sklearn.metrics import mean_squared_error
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("houses.csv")
            X, y = df.drop(columns="price"), df["price"]
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            forest = RandomForestRegressor(random_state=0)
            forest.fit(X, y)
            print(«mean_squared_error(y_test, forest.predict(X_test))»)
            """
        ),
        Bad(
            """
            import numpy as np
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            def accuracy(model, X, y):
                return «np.mean(model.predict(X) == y)»

            df = pd.read_csv("titanic.csv")
            features = df[["Age", "Fare"]]
            model = LogisticRegression().fit(features, df["Survived"])
            print(accuracy(model, features, df["Survived"]))
            """
        ),
        Bad(
            """
            from sklearn.model_selection import GridSearchCV, train_test_split
            from sklearn.svm import SVC

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            search = GridSearchCV(SVC(), {"C": [1, 10]})
            search.fit(X, y)
            print(«search.score(X_test, y_test)»)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LinearRegression

            df = pd.read_csv("income.csv")
            line = LinearRegression().fit(df[["age"]], df["income"])
            print("R2", «line.score(df[["age"]], df["income"])»)
            """,
            advice=True,
        ),
        Good(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            model = RandomForestClassifier(random_state=0).fit(X_train, y_train)
            print("train", model.score(X_train, y_train))
            print("test", model.score(X_test, y_test))
            model.fit(X, y)
            joblib.dump(model, "model.joblib")
            """,
            "both scores, and then a last fit on everything",
        ),
        Good(
            """
            from sklearn.cluster import KMeans
            from sklearn.ensemble import RandomForestClassifier

            groups = KMeans(3).fit(X)
            print(groups.score(X))
            forest = RandomForestClassifier(oob_score=True, random_state=0).fit(X, y)
            print(forest.oob_score_, forest.score(X, y))
            """,
            "clusters have no target, and out-of-bag rows are new to the trees that score them",
        ),
        Good(
            """
            from mylibrary import evaluate
            from sklearn.linear_model import Ridge

            model = Ridge().fit(X_train, y_train)
            print(model.score(X_train, y_train))
            evaluate(model, X_test, y_test)
            """
        ),
        Good(
            """
            from sklearn.linear_model import LogisticRegression

            def train(X, y):
                model = LogisticRegression()
                model.fit(X, y)
                print("training accuracy", model.score(X, y))
                return model
            """,
            "whoever calls the function may score the model on other rows",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.tree import DecisionTreeClassifier

            df = pd.read_csv("sensors.csv")
            X, y = df.drop(columns="state"), df["state"]
            tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, y)
            train_acc = tree.score(X, y)
            print(f"Training accuracy: {train_acc:.4f}")
            export(tree)
            """,
            "it is called what it is",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LassoCV

            df = pd.read_csv("houses.csv")
            X, y = df.drop(columns="price"), df["price"]
            model = LassoCV(cv=5).fit(X, y)
            print(model.score(X, y), model.mse_path_.mean(axis=1).min())
            """,
            "it cross-validates as it is fitted",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.naive_bayes import MultinomialNB

            data = pd.read_csv("spam.csv").values
            X, y = data[:, :48], data[:, -1]
            X_first, y_first = X[:-100,], y[:-100,]
            X_last, y_last = X[-100:,], y[-100:,]
            model = MultinomialNB().fit(X_first, y_first)
            print(model.score(X_last, y_last))
            """,
            "slices from both ends are different rows",
        ),
        Good(
            """
            from sklearn.ensemble import RandomForestClassifier

            tables, labels = {}, {}
            for part in parts:
                tables[part], labels[part] = load(part)
            forest = RandomForestClassifier().fit(tables["train"], labels["train"])
            print(forest.score(tables["test"], labels["test"]))
            """,
            "parts in a dictionary are different rows by their names",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.fact(data_flow).scores:
            return
        for score, fit in scored_on_known_rows(module):
            yield self.finding(
                module,
                score.node,
                "The test rows are among those that the model was fitted on, so this score says nothing about new "
                "data. Fit the "
                "model on the training part only.",
                related=[(fit.node, "the fit on all rows")],
            )
        for score, fit in only_scored_on_training_data(module):
            if _is_called_training_score(module, score.node):
                continue
            yield self.finding(
                module,
                score.node,
                "The model is scored on the rows that it was fitted on, and nowhere on others, so the score says "
                "nothing about "
                "new data. Score it on a test part that was split off before the fit, or by cross-validation.",
                advice=(score.learner.name or "").endswith(".LinearRegression"),
                related=[(fit.node, "the fit on these rows")],
            )


def _is_called_training_score(module: Module, score: ast.expr) -> bool:
    """Whether the code itself says that a score is one on training data, where it is made or printed after that."""
    statement = module.statement(score)
    block = module.block(statement)
    place = block.index(statement)
    return any(_TRAINING_SCORE.search(module.text(each)) for each in block[place : place + 3])
