from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import fitted_before_split
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.events import GROUPED, Fit

_SPLIT_LATER = "the split into training and test data comes later"
_SPLIT_BEFORE = "the data was split into training and test data here"
_AFTERWARDS = (
    "`{}` is fitted on the test rows as well, so the test score is measured on rows that shaped the training data. "
    "Fit it on the training part that the split made, best in a Pipeline."
)


class FittedBeforeSplit(Check[ast.Module]):
    """Preprocessing that learns from all rows before they are split into training and test data.

    ## What it does
    Follows data from where it is read to `train_test_split` (or a split by slices, masks or a splitter), through
    assignments, columns, functions and loops, and finds what was fitted on it on the way: scalers, imputers,
    vectorizers, decompositions, feature selections, clusterings, statistics such as `X.mean()` that fill or scale, and
    means of the target over groups. What is fitted on all rows after the split, and then used on the training part,
    is the same mistake. Encoders that only learn which categories there are, are advice.

    ## Why it matters
    The test rows have shaped the training data, so the test score says how well the model does on data that it knows.
    It is too good, and how much too good can't be seen from it.

    ## Do not flag
    What learns nothing from the data (`Normalizer`, `HashingVectorizer`, `PolynomialFeatures`), what is fitted on the
    target alone (`LabelEncoder` on `y`), what is fitted on other data, what never reaches the split (a PCA for a
    picture), a second split of the training part, and rows put together from separate files and taken apart again.

    ## Fix safety
    No fix: the statements have to change places.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler

            df = pd.read_csv("houses.csv")
            X, y = df.drop(columns="price"), df["price"]
            scaler = StandardScaler()
            X = «scaler.fit_transform(X)»
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.feature_extraction.text import TfidfVectorizer
            from sklearn.model_selection import train_test_split

            def features(frame):
                vectorizer = TfidfVectorizer(min_df=5)
                return «vectorizer.fit_transform(frame["text"])»

            def main():
                frame = pd.read_csv("reviews.csv")
                X_train, X_test, y_train, y_test = train_test_split(features(frame), frame["stars"])

            main()
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("titanic.csv")
            df["Age"].fillna(«df["Age"].mean()», inplace=True)
            df["Fare"] = (df["Fare"] - ‹df["Fare"].mean()›) / ‹df["Fare"].std()›
            train, test = train_test_split(df, random_state=0)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.impute import KNNImputer

            df = pd.read_csv("sales.csv", parse_dates=["day"])
            columns = ["price", "visits"]
            df[columns] = «KNNImputer().fit_transform(df[columns])»
            train = df[df.day < "2024-01-01"]
            test = df[df.day >= "2024-01-01"]
            """
        ),
        Bad(
            """
            from sklearn.datasets import load_wine
            from sklearn.feature_selection import SelectKBest
            from sklearn.model_selection import train_test_split

            X, y = load_wine(return_X_y=True)
            selector = SelectKBest(k=5)
            «selector.fit(X, y)»
            X_train, X_test, y_train, y_test = train_test_split(selector.transform(X), y, random_state=0)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import LabelEncoder

            df = pd.read_csv("titanic.csv")
            for column in ["Sex", "Embarked"]:
                df[column] = «LabelEncoder().fit_transform(df[column])»
            X_train, X_test, y_train, y_test = train_test_split(df.drop("Survived", axis=1), df["Survived"])
            """,
            advice=True,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("houses.csv")
            levels = «df.groupby("city")["price"].mean()»
            df["level"] = df["city"].map(levels)
            train, test = train_test_split(df, random_state=0)
            model.fit(train.drop(columns="price"), train["price"])
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler

            df = pd.read_csv("houses.csv")
            X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="price"), df["price"], random_state=0)
            scaler = StandardScaler()
            «scaler.fit(df.drop(columns="price"))»
            model = Ridge().fit(scaler.transform(X_train), y_train)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            full = pd.read_csv("titanic.csv")
            full.Age.fillna(«full.Age.mean()», inplace=True)
            full["Fare"] = full["Fare"].groupby(full["Pclass"]).apply(lambda fares: fares.fillna(‹fares.median()›))
            inputs = pd.DataFrame()
            inputs["Deck"] = full.Deck.fillna(‹full.Deck.mode()›[0])
            inputs[["Age", "Fare"]] = full[["Age", "Fare"]]
            X_train, X_test, y_train, y_test = train_test_split(inputs, full["Survived"], random_state=0)
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import LabelEncoder, Normalizer, StandardScaler

            df = pd.read_csv("houses.csv")
            df["kind"] = LabelEncoder().fit_transform(df["kind"])
            X, y = df.drop(columns="kind"), df["kind"]
            X = Normalizer().fit_transform(X)
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            scaler = StandardScaler()
            X_train = scaler.fit_transform(X_train)
            X_test = scaler.transform(X_test)
            """,
            "the encoder sees the target alone, Normalizer learns nothing, and the scaler comes after the split",
        ),
        Good(
            """
            from sklearn.datasets import load_wine
            from sklearn.decomposition import PCA
            from sklearn.model_selection import train_test_split

            X, y = load_wine(return_X_y=True)
            picture = PCA(n_components=2).fit_transform(X)
            plt.scatter(picture[:, 0], picture[:, 1], c=y)
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            """,
            "a picture of the data is no input of the model",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("titanic.csv")
            df["Age"] = df["Age"].fillna(-1)
            df["ratio"] = df["height"] / df["width"]
            df = df[df["Fare"] < df["Fare"].quantile(0.99)]
            train, test = train_test_split(df, random_state=0)
            train, valid = train_test_split(train.fillna(train.mean()), random_state=0)
            """,
            "constants and other columns are no statistics; the second split is of the training part",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.preprocessing import StandardScaler

            train, test = pd.read_csv("train.csv"), pd.read_csv("test.csv")
            both = pd.concat([train, test])
            both["size"] = StandardScaler().fit_transform(both[["size"]])
            train, test = both[: len(train)], both[len(train) :]
            """,
            "a test set without labels, as in a competition, is taken apart again: nothing is split",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.covariance import EllipticEnvelope
            from sklearn.preprocessing import StandardScaler

            df = pd.read_csv("stays.csv")
            df["price"] = StandardScaler().fit_transform(df[["price"]])
            X_train = df[df["weekend"] == 0]
            EllipticEnvelope().fit(X_train).predict(X_train)
            """,
            "one selection that is called after a part is no split",
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import normalize

            df = pd.read_csv("orders.csv")
            df["orders"] = df["user"].map(df.groupby("user")["amount"].mean())
            X = normalize(df.drop(columns="returned"))
            X_train, X_test, y_train, y_test = train_test_split(X, df["returned"], random_state=0)
            """,
            "means of what is known of a group are features, and `normalize` looks at one row at a time",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        for fit, split in fitted_before_split(module).items():
            if fit.learns == "rows":
                continue  # duplicated-before-split speaks of that
            yield self.finding(
                module,
                fit.node,
                _message(fit) if fit.time < split.time else _AFTERWARDS.format(fit.what or "The preprocessing"),
                advice=fit.learns == "vocabulary",
                related=[(split.node, _SPLIT_LATER if fit.time < split.time else _SPLIT_BEFORE)],
            )


def _message(fit: Fit) -> str:
    what = f"`{fit.what}`" if fit.what else "The preprocessing"
    if fit.learner is None and fit.what in ("fillna", "statistics"):
        return (
            "Statistics of all rows are put into the data before it is split, so the test score is measured on rows "
            "that "
            "shaped the training data. Split first and take the statistics from the training part."
        )
    if fit.what == GROUPED:
        return (
            "Means of the target over all rows become a feature before the rows are split, so each row is told about "
            "its own target. Split first and take the means from the training part, as `TargetEncoder` in a Pipeline "
            "does."
        )
    if fit.learns == "vocabulary":
        return (
            f"{what} learns its categories from all rows before they are split, so categories that only test rows have "
            "never fail as they will in use. Fit it on the training part, best in a Pipeline."
        )
    return (
        f"{what} is fitted on all rows before they are split, so the test score is measured on rows that shaped the "
        "training data. Split first and fit it on the training part, best in a Pipeline."
    )
