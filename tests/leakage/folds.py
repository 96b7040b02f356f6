"""Preprocessing that learns from all rows before folds are made of them."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "the best features are chosen on all rows before cross-validation",
        "preprocessed-before-cross-validation",
        """
        import numpy as np
        from sklearn.feature_selection import SelectKBest, f_classif
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_score

        genes = np.load("genes.npy")
        sick = np.load("sick.npy")
        selector = SelectKBest(f_classif, k=20)
        best = selector.fit_transform(genes, sick)  # LEAK
        folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
        scores = cross_val_score(LogisticRegression(), best, sick, cv=folds)
        print(scores.mean())
        """,
        """
        import numpy as np
        from sklearn.feature_selection import SelectKBest, f_classif
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_score
        from sklearn.pipeline import make_pipeline

        genes = np.load("genes.npy")
        sick = np.load("sick.npy")
        model = make_pipeline(SelectKBest(f_classif, k=20), LogisticRegression())
        folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
        scores = cross_val_score(model, genes, sick, cv=folds)
        print(scores.mean())
        """,
    ),
    Pair(
        "the scaler stands outside the loop over folds",
        "preprocessed-before-cross-validation",
        """
        import pandas as pd
        from sklearn.metrics import mean_absolute_error
        from sklearn.model_selection import KFold
        from sklearn.neural_network import MLPRegressor
        from sklearn.preprocessing import StandardScaler

        # %%
        data = pd.read_csv("concrete.csv")
        X, y = data.iloc[:, :-1].values, data.iloc[:, -1].values
        X = StandardScaler().fit_transform(X)  # LEAK
        # %%
        errors = []
        for fold, (train, test) in enumerate(KFold(5, shuffle=True, random_state=0).split(X, y)):
            net = MLPRegressor(hidden_layer_sizes=(64, 32), random_state=fold)
            net.fit(X[train], y[train])
            errors.append(mean_absolute_error(y[test], net.predict(X[test])))
        print(sum(errors) / len(errors))
        """,
        """
        import pandas as pd
        from sklearn.metrics import mean_absolute_error
        from sklearn.model_selection import KFold
        from sklearn.neural_network import MLPRegressor
        from sklearn.preprocessing import StandardScaler

        # %%
        data = pd.read_csv("concrete.csv")
        X, y = data.iloc[:, :-1].values, data.iloc[:, -1].values
        # %%
        errors = []
        for fold, (train, test) in enumerate(KFold(5, shuffle=True, random_state=0).split(X, y)):
            scaler = StandardScaler().fit(X[train])
            net = MLPRegressor(hidden_layer_sizes=(64, 32), random_state=fold)
            net.fit(scaler.transform(X[train]), y[train])
            errors.append(mean_absolute_error(y[test], net.predict(scaler.transform(X[test]))))
        print(sum(errors) / len(errors))
        """,
    ),
    Pair(
        "a search gets imputed data",
        "preprocessed-before-cross-validation",
        """
        import pandas as pd
        from sklearn.ensemble import ExtraTreesClassifier
        from sklearn.impute import KNNImputer
        from sklearn.model_selection import GridSearchCV

        heart = pd.read_csv("heart.csv")
        target = heart["disease"]
        heart = heart.drop("disease", axis=1)
        imputer = KNNImputer(n_neighbors=5)
        heart = pd.DataFrame(imputer.fit_transform(heart), columns=heart.columns)  # LEAK
        grid = GridSearchCV(ExtraTreesClassifier(random_state=0), {"max_depth": [3, 5, None]}, cv=5)
        grid.fit(heart, target)
        print(grid.best_score_)
        """,
        """
        import pandas as pd
        from sklearn.ensemble import ExtraTreesClassifier
        from sklearn.impute import KNNImputer
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import Pipeline

        heart = pd.read_csv("heart.csv")
        target = heart["disease"]
        heart = heart.drop("disease", axis=1)
        trees = Pipeline([("impute", KNNImputer(n_neighbors=5)), ("trees", ExtraTreesClassifier(random_state=0))])
        grid = GridSearchCV(trees, {"trees__max_depth": [3, 5, None]}, cv=5)
        grid.fit(heart, target)
        print(grid.best_score_)
        """,
    ),
    Pair(
        "the columns that an elimination leaves are cross-validated",
        "preprocessed-before-cross-validation",
        """
        import pandas as pd
        from sklearn.feature_selection import RFE
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import cross_val_score

        genes = pd.read_csv("genes.csv")
        X, y = genes.drop(columns="growth"), genes["growth"]
        selector = RFE(Ridge(), n_features_to_select=20).fit(X, y)  # LEAK
        X = X[X.columns[selector.support_]]
        print(cross_val_score(Ridge(), X, y).mean())
        """,
        """
        import pandas as pd
        from sklearn.feature_selection import RFE
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import cross_val_score
        from sklearn.pipeline import make_pipeline

        genes = pd.read_csv("genes.csv")
        X, y = genes.drop(columns="growth"), genes["growth"]
        model = make_pipeline(RFE(Ridge(), n_features_to_select=20), Ridge())
        print(cross_val_score(model, X, y).mean())
        selector = RFE(Ridge(), n_features_to_select=20).fit(X, y)
        print(list(X.columns[selector.support_]))
        """,
    ),
)
