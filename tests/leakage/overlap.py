"""Rows that are in the training data and in what judges the model."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "minority rows are oversampled before the split",
        "duplicated-before-split",
        """
        import pandas as pd
        from imblearn.over_sampling import SMOTE
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import train_test_split

        # %%
        fraud = pd.read_csv("creditcard.csv")
        X, y = fraud.drop("Class", axis=1), fraud["Class"]
        smote = SMOTE(random_state=42)
        X_res, y_res = smote.fit_resample(X, y)  # LEAK
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X_res, y_res, random_state=42)
        model = LogisticRegression(C=0.5).fit(X_train, y_train)
        print(roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]))
        """,
        """
        import pandas as pd
        from imblearn.over_sampling import SMOTE
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import train_test_split

        # %%
        fraud = pd.read_csv("creditcard.csv")
        X, y = fraud.drop("Class", axis=1), fraud["Class"]
        smote = SMOTE(random_state=42)
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=42)
        X_train, y_train = smote.fit_resample(X_train, y_train)
        model = LogisticRegression(C=0.5).fit(X_train, y_train)
        print(roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]))
        """,
    ),
    Pair(
        "rare rows are drawn again with pandas",
        "duplicated-before-split",
        """
        import pandas as pd
        from sklearn.model_selection import train_test_split
        from sklearn.tree import DecisionTreeClassifier


        def balance(frame, label):
            largest = frame[label].value_counts().max()
            parts = [frame]
            for _, group in frame.groupby(label):
                parts.append(group.sample(largest - len(group), replace=True, random_state=0))  # LEAK
            return pd.concat(parts)


        df = balance(pd.read_csv("faults.csv"), "fault")
        train, test = train_test_split(df, test_size=0.3, random_state=0)
        tree = DecisionTreeClassifier(max_depth=8, random_state=0)
        tree.fit(train.drop(columns="fault"), train["fault"])
        print(tree.score(test.drop(columns="fault"), test["fault"]))
        """,
        """
        import pandas as pd
        from sklearn.model_selection import train_test_split
        from sklearn.tree import DecisionTreeClassifier


        def balance(frame, label):
            largest = frame[label].value_counts().max()
            parts = [frame]
            for _, group in frame.groupby(label):
                parts.append(group.sample(largest - len(group), replace=True, random_state=0))
            return pd.concat(parts)


        train, test = train_test_split(pd.read_csv("faults.csv"), test_size=0.3, random_state=0)
        train = balance(train, "fault")
        tree = DecisionTreeClassifier(max_depth=8, random_state=0)
        tree.fit(train.drop(columns="fault"), train["fault"])
        print(tree.score(test.drop(columns="fault"), test["fault"]))
        """,
    ),
    Pair(
        "noisy copies are added before the split",
        "duplicated-before-split",
        """
        import numpy as np
        from sklearn.datasets import load_digits
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        rng = np.random.default_rng(0)
        noisy = digits.data + rng.normal(0, 1, digits.data.shape)
        images = np.vstack([digits.data, noisy])  # LEAK
        labels = np.concatenate([digits.target, digits.target])
        X_train, X_test, y_train, y_test = train_test_split(images, labels, random_state=0)
        print(RandomForestClassifier(min_samples_leaf=2, random_state=0).fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import numpy as np
        from sklearn.datasets import load_digits
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        rng = np.random.default_rng(0)
        X_train, X_test, y_train, y_test = train_test_split(digits.data, digits.target, random_state=0)
        noisy = X_train + rng.normal(0, 1, X_train.shape)
        X_train = np.vstack([X_train, noisy])
        y_train = np.concatenate([y_train, y_train])
        print(RandomForestClassifier(min_samples_leaf=2, random_state=0).fit(X_train, y_train).score(X_test, y_test))
        """,
    ),
    Pair(
        "oversampled rows are cross-validated",
        "duplicated-before-split",
        """
        import pandas as pd
        from imblearn.over_sampling import RandomOverSampler
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.model_selection import cross_validate

        df = pd.read_csv("stroke.csv").fillna(0)
        sampler = RandomOverSampler(random_state=1)
        X, y = sampler.fit_resample(df.drop(columns="stroke"), df["stroke"])  # LEAK
        result = cross_validate(GradientBoostingClassifier(max_depth=2, random_state=1), X, y, scoring=["f1", "recall"])
        print(result)
        """,
        """
        import pandas as pd
        from imblearn.over_sampling import RandomOverSampler
        from imblearn.pipeline import make_pipeline
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.model_selection import cross_validate

        df = pd.read_csv("stroke.csv").fillna(0)
        model = make_pipeline(
            RandomOverSampler(random_state=1), GradientBoostingClassifier(max_depth=2, random_state=1)
        )
        result = cross_validate(model, df.drop(columns="stroke"), df["stroke"], scoring=["f1", "recall"])
        print(result)
        """,
    ),
    Pair(
        "the whole data is fitted and a part of it scored",
        "scored-on-training-data",
        """
        from sklearn.datasets import fetch_california_housing
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.metrics import r2_score
        from sklearn.model_selection import train_test_split

        housing = fetch_california_housing(as_frame=True)
        X, y = housing.data, housing.target
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
        forest = RandomForestRegressor(n_estimators=100, max_features=3, random_state=0)
        forest.fit(X, y)
        predicted = forest.predict(X_test)
        print(r2_score(y_test, predicted))  # LEAK
        """,
        """
        from sklearn.datasets import fetch_california_housing
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.metrics import r2_score
        from sklearn.model_selection import train_test_split

        housing = fetch_california_housing(as_frame=True)
        X, y = housing.data, housing.target
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
        forest = RandomForestRegressor(n_estimators=100, max_features=3, random_state=0)
        forest.fit(X_train, y_train)
        predicted = forest.predict(X_test)
        print(r2_score(y_test, predicted))
        """,
    ),
    Pair(
        "both parts are put together again for training",
        "scored-on-training-data",
        """
        import pandas as pd
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        df = pd.read_csv("seeds.csv")
        X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="kind"), df["kind"], random_state=0)
        model = SVC(C=3)
        model.fit(X_train, y_train)
        print("first", model.score(X_test, y_test))
        model.fit(pd.concat([X_train, X_test]), pd.concat([y_train, y_test]))
        print("final", model.score(X_test, y_test))  # LEAK
        """,
        """
        import pandas as pd
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        df = pd.read_csv("seeds.csv")
        X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="kind"), df["kind"], random_state=0)
        model = SVC(C=3)
        model.fit(X_train, y_train)
        print("first", model.score(X_test, y_test))
        model.fit(pd.concat([X_train, X_test]), pd.concat([y_train, y_test]))
        """,
    ),
    Pair(
        "a tree is judged by the rows that it learnt",
        "scored-on-training-data",
        """
        import pandas as pd
        from sklearn.metrics import accuracy_score
        from sklearn.tree import DecisionTreeClassifier


        def train(X, y):
            model = DecisionTreeClassifier(min_samples_leaf=2, random_state=0)
            model.fit(X, y)
            return model


        def evaluate(model, X, y):
            return accuracy_score(y, model.predict(X))  # LEAK


        loans = pd.read_csv("loans.csv")
        features, target = loans.drop(columns="repaid"), loans["repaid"]
        model = train(features, target)
        print(f"accuracy: {evaluate(model, features, target):.3f}")
        """,
        """
        import pandas as pd
        from sklearn.metrics import accuracy_score
        from sklearn.model_selection import train_test_split
        from sklearn.tree import DecisionTreeClassifier


        def train(X, y):
            model = DecisionTreeClassifier(min_samples_leaf=2, random_state=0)
            model.fit(X, y)
            return model


        def evaluate(model, X, y):
            return accuracy_score(y, model.predict(X))


        loans = pd.read_csv("loans.csv")
        X_train, X_test, y_train, y_test = train_test_split(loans.drop(columns="repaid"), loans["repaid"])
        model = train(X_train, y_train)
        print(f"accuracy: {evaluate(model, X_train, y_train):.3f} {evaluate(model, X_test, y_test):.3f}")
        """,
    ),
    Pair(
        "the search has seen the test part",
        "scored-on-training-data",
        """
        from sklearn.datasets import load_wine
        from sklearn.model_selection import RandomizedSearchCV, train_test_split
        from sklearn.neighbors import KNeighborsClassifier

        X, y = load_wine(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=5)
        search = RandomizedSearchCV(KNeighborsClassifier(), {"n_neighbors": range(1, 30)}, random_state=5)
        search.fit(X, y)
        best = search.best_estimator_
        print(best.score(X_test, y_test))  # LEAK
        """,
        """
        from sklearn.datasets import load_wine
        from sklearn.model_selection import RandomizedSearchCV, train_test_split
        from sklearn.neighbors import KNeighborsClassifier

        X, y = load_wine(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=5)
        search = RandomizedSearchCV(KNeighborsClassifier(), {"n_neighbors": range(1, 30)}, random_state=5)
        search.fit(X_train, y_train)
        best = search.best_estimator_
        print(best.score(X_test, y_test))
        """,
    ),
)
