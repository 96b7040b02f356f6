from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._duplicates import duplicated_before_split
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module


class DuplicatedBeforeSplit(Check[ast.Module]):
    """Rows that are repeated, or made from one another, before they are split.

    ## What it does
    Finds oversampling (`SMOTE`, `RandomOverSampler`, `resample`, `sample(replace=True)`, `np.repeat`, a table put
    together with rows of itself) on data that is split into training and test data, or cross-validated, afterwards.
    Undersampling before the split is advice.

    ## Why it matters
    Copies of the same row, or rows between two others, land on both sides of the split, so the model is tested on
    what it
    has seen. The score can be near perfect on a model that is useless. The test part has other class frequencies
    than the
    data the model will meet, too.

    ## Do not flag
    Resampling of the training part after the split, samplers inside a Pipeline of imbalanced-learn, and rows in another
    order or fewer of them.

    ## Fix safety
    No fix: the statements have to change places.

    ## References
    - https://imbalanced-learn.org/stable/common_pitfalls.html#data-leakage
    """

    packages = SKLEARN
    examples = (
        Bad(
            """
            from imblearn.over_sampling import SMOTE
            from sklearn.model_selection import train_test_split

            X, y = «SMOTE(random_state=0).fit_resample(X, y)»
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split
            from sklearn.utils import resample

            df = pd.read_csv("fraud.csv")
            majority, minority = df[df.fraud == 0], df[df.fraud == 1]
            upsampled = «resample(minority, replace=True, n_samples=len(majority), random_state=0)»
            df = pd.concat([majority, upsampled])
            X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="fraud"), df["fraud"])
            """
        ),
        Bad(
            """
            import numpy as np
            from sklearn.model_selection import train_test_split

            def augment(images):
                noise = np.random.normal(0, 0.1, images.shape)
                return «np.concatenate([images, images + noise])»

            images = augment(np.load("images.npy"))
            train, test = train_test_split(images, random_state=0)
            """
        ),
        Bad(
            """
            from imblearn.over_sampling import RandomOverSampler
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score

            X_new, y_new = «RandomOverSampler().fit_resample(X, y)»
            print(cross_val_score(LogisticRegression(), X_new, y_new))
            """
        ),
        Bad(
            """
            from imblearn.under_sampling import RandomUnderSampler
            from sklearn.model_selection import train_test_split

            X, y = «RandomUnderSampler(random_state=0).fit_resample(X, y)»
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            """,
            advice=True,
        ),
        Good(
            """
            from imblearn.over_sampling import SMOTE
            from imblearn.pipeline import make_pipeline
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score, train_test_split

            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
            model = make_pipeline(SMOTE(random_state=0), LogisticRegression())
            print(cross_val_score(model, X_train, y_train))
            X_train, y_train = SMOTE(random_state=0).fit_resample(X_train, y_train)
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split
            from sklearn.utils import resample, shuffle

            df = pd.concat([pd.read_csv("2023.csv"), pd.read_csv("2024.csv")])
            df = resample(shuffle(df), replace=False, n_samples=1000, random_state=0).sample(frac=1)
            df = pd.concat([df[df.fraud == 0], df[df.fraud == 1]])
            X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="fraud"), df["fraud"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            users, sessions = pd.read_csv("users.csv"), pd.read_csv("sessions.csv")
            active = users.merge(sessions, on="user")
            others = users[~users["user"].isin(active["user"])]
            train, test = train_test_split(pd.concat([active, others]), random_state=0)
            """,
            "an inner merge keeps some of the rows, and the others are added to them",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        for place, (event, made_fewer) in duplicated_before_split(module).items():
            yield self.finding(
                module,
                place,
                _FEWER if made_fewer else _MORE,
                advice=made_fewer,
                related=[(event.node, "the split comes later")],
            )


_MORE = (
    "Rows are repeated, or made from others, before they are split, so the model is tested on copies of rows that it "
    "was "
    "trained on. Split first, and resample the training part only."
)
_FEWER = (
    "Classes are balanced before the rows are split, so the test part has other class frequencies than the data that "
    "the "
    "model will meet. Split first, and resample the training part only."
)
