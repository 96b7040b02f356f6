"""Choices that are made on the data that judges the choice."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "the number of neighbours is picked on the test part",
        "tuned-on-test",
        """
        from sklearn.datasets import load_iris
        from sklearn.model_selection import train_test_split
        from sklearn.neighbors import KNeighborsClassifier

        # %%
        X, y = load_iris(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        # %%
        best_k, best_score = None, 0.0
        for k in range(1, 26):
            knn = KNeighborsClassifier(n_neighbors=k)
            knn.fit(X_train, y_train)
            score = knn.score(X_test, y_test)
            if score > best_score:  # LEAK
                best_k, best_score = k, score
        print(best_k, best_score)
        """,
        """
        from sklearn.datasets import load_iris
        from sklearn.model_selection import cross_val_score, train_test_split
        from sklearn.neighbors import KNeighborsClassifier

        # %%
        X, y = load_iris(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        # %%
        best_k, best_score = None, 0.0
        for k in range(1, 26):
            knn = KNeighborsClassifier(n_neighbors=k)
            score = cross_val_score(knn, X_train, y_train).mean()
            if score > best_score:
                best_k, best_score = k, score
        print(best_k, KNeighborsClassifier(n_neighbors=best_k).fit(X_train, y_train).score(X_test, y_test))
        """,
    ),
    Pair(
        "penalties are compared by their test error",
        "tuned-on-test",
        """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import Lasso
        from sklearn.metrics import mean_squared_error
        from sklearn.model_selection import train_test_split

        data = pd.read_csv("ads.csv")
        X_train, X_test, y_train, y_test = train_test_split(data.drop("sales", axis=1), data["sales"], random_state=0)
        alphas = np.logspace(-3, 1, 20)
        errors = []
        for alpha in alphas:
            lasso = Lasso(alpha=alpha).fit(X_train, y_train)
            errors.append(np.sqrt(mean_squared_error(y_test, lasso.predict(X_test))))
        best_alpha = alphas[np.argmin(errors)]  # LEAK
        print(best_alpha, min(errors))  # LEAK
        """,
        """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import Lasso
        from sklearn.metrics import mean_squared_error
        from sklearn.model_selection import train_test_split

        data = pd.read_csv("ads.csv")
        X_rest, X_test, y_rest, y_test = train_test_split(data.drop("sales", axis=1), data["sales"], random_state=0)
        X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, random_state=0)
        alphas = np.logspace(-3, 1, 20)
        errors = []
        for alpha in alphas:
            lasso = Lasso(alpha=alpha).fit(X_train, y_train)
            errors.append(np.sqrt(mean_squared_error(y_val, lasso.predict(X_val))))
        best_alpha = alphas[np.argmin(errors)]
        final = Lasso(alpha=best_alpha).fit(X_rest, y_rest)
        print(best_alpha, mean_squared_error(y_test, final.predict(X_test)))
        """,
    ),
    Pair(
        "the winner among models is named by test scores",
        "tuned-on-test",
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.model_selection import train_test_split
        from sklearn.naive_bayes import GaussianNB
        from sklearn.svm import SVC


        def score(model, X_train, X_test, y_train, y_test):
            model.fit(X_train, y_train)
            return f1_score(y_test, model.predict(X_test))


        df = pd.read_csv("phishing.csv")
        parts = train_test_split(df.drop(columns="label"), df["label"], random_state=0)
        models = {"logistic": LogisticRegression(C=2), "bayes": GaussianNB(), "svm": SVC(C=2)}
        results = {}
        for name, model in models.items():
            results[name] = score(model, *parts)
        winner = max(results, key=results.get)  # LEAK
        print("best model:", winner, results[winner])
        """,
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.model_selection import cross_val_score, train_test_split
        from sklearn.naive_bayes import GaussianNB
        from sklearn.svm import SVC

        df = pd.read_csv("phishing.csv")
        X_train, X_test, y_train, y_test = train_test_split(df.drop(columns="label"), df["label"], random_state=0)
        models = {"logistic": LogisticRegression(C=2), "bayes": GaussianNB(), "svm": SVC(C=2)}
        results = {}
        for name, model in models.items():
            results[name] = cross_val_score(model, X_train, y_train, scoring="f1").mean()
        winner = max(results, key=results.get)
        best = models[winner].fit(X_train, y_train)
        print("best model:", winner, f1_score(y_test, best.predict(X_test)))
        """,
    ),
    Pair(
        "a grid of settings is searched on the test part",
        "tuned-on-test",
        """
        from itertools import product

        from sklearn.datasets import load_digits
        from sklearn.metrics import accuracy_score
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        X, y = load_digits(return_X_y=True)
        train_X, test_X, train_y, test_y = train_test_split(X, y, test_size=0.3, random_state=0)


        def evaluate(C, gamma):
            clf = SVC(C=C, gamma=gamma)
            clf.fit(train_X, train_y)
            return accuracy_score(test_y, clf.predict(test_X))


        results = {(C, gamma): evaluate(C, gamma) for C, gamma in product([1, 10, 100], [0.001, 0.01])}
        best = max(results.values())  # LEAK
        print(best)
        """,
        """
        from sklearn.datasets import load_digits
        from sklearn.metrics import accuracy_score
        from sklearn.model_selection import GridSearchCV, train_test_split
        from sklearn.svm import SVC

        X, y = load_digits(return_X_y=True)
        train_X, test_X, train_y, test_y = train_test_split(X, y, test_size=0.3, random_state=0)
        search = GridSearchCV(SVC(), {"C": [1, 10, 100], "gamma": [0.001, 0.01]})
        search.fit(train_X, train_y)
        print(search.best_params_, accuracy_score(test_y, search.predict(test_X)))
        """,
    ),
    Pair(
        "the threshold is picked on the test part",
        "tuned-on-test",
        """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.model_selection import cross_val_predict, train_test_split

        frame = pd.read_csv("fraud.csv")
        X, y = frame.drop(columns="fraud"), frame["fraud"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        model = LogisticRegression().fit(X_train, y_train)
        chances = model.predict_proba(X_test)[:, 1]
        best, best_f1 = 0.5, 0.0
        for threshold in np.arange(0.1, 0.9, 0.05):
            score = f1_score(y_test, (chances >= threshold).astype(int))
            if score > best_f1:  # LEAK
                best, best_f1 = threshold, score
        """,
        """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.model_selection import cross_val_predict, train_test_split

        frame = pd.read_csv("fraud.csv")
        X, y = frame.drop(columns="fraud"), frame["fraud"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        model = LogisticRegression().fit(X_train, y_train)
        chances = cross_val_predict(model, X_train, y_train, method="predict_proba")[:, 1]
        best, best_f1 = 0.5, 0.0
        for threshold in np.arange(0.1, 0.9, 0.05):
            score = f1_score(y_train, (chances >= threshold).astype(int))
            if score > best_f1:
                best, best_f1 = threshold, score
        print(f1_score(y_test, model.predict_proba(X_test)[:, 1] >= best))
        """,
    ),
    Pair(
        "thresholds are compared in a list",
        "tuned-on-test",
        """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.model_selection import cross_val_predict, train_test_split

        frame = pd.read_csv("fraud.csv")
        X, y = frame.drop(columns="fraud"), frame["fraud"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        model = LogisticRegression().fit(X_train, y_train)
        chances = model.predict_proba(X_test)[:, 1]
        thresholds = np.linspace(0, 1, 50)
        scores = [f1_score(y_test, chances > threshold) for threshold in thresholds]
        print(thresholds[np.argmax(scores)])  # LEAK
        """,
        """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.model_selection import cross_val_predict, train_test_split

        frame = pd.read_csv("fraud.csv")
        X, y = frame.drop(columns="fraud"), frame["fraud"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        model = LogisticRegression().fit(X_train, y_train)
        X_train, X_valid, y_train, y_valid = train_test_split(X_train, y_train, stratify=y_train, random_state=0)
        model = LogisticRegression().fit(X_train, y_train)
        chances = model.predict_proba(X_valid)[:, 1]
        thresholds = np.linspace(0, 1, 50)
        scores = [f1_score(y_valid, chances > threshold) for threshold in thresholds]
        print(f1_score(y_test, model.predict_proba(X_test)[:, 1] > thresholds[np.argmax(scores)]))
        """,
    ),
    Pair(
        "a function scores depths on the test part",
        "tuned-on-test",
        """
        from sklearn.datasets import load_wine
        from sklearn.model_selection import train_test_split
        from sklearn.tree import DecisionTreeClassifier

        X, y = load_wine(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

        def score(depth):
            tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
            tree.fit(X_train, y_train)
            return tree.score(X_test, y_test)

        results = {}
        for depth in range(1, 12):
            results[depth] = score(depth)
        print(max(results, key=results.get))  # LEAK
        """,
        """
        from sklearn.datasets import load_wine
        from sklearn.model_selection import cross_val_score, train_test_split
        from sklearn.tree import DecisionTreeClassifier

        X, y = load_wine(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

        def score(depth):
            tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
            return cross_val_score(tree, X_train, y_train).mean()

        results = {}
        for depth in range(1, 12):
            results[depth] = score(depth)
        best = max(results, key=results.get)
        tree = DecisionTreeClassifier(max_depth=best, random_state=0).fit(X_train, y_train)
        print(tree.score(X_test, y_test))
        """,
    ),
    Pair(
        "the number of components is picked on the test part",
        "tuned-on-test",
        """
        import numpy as np
        from sklearn.datasets import load_digits
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.pipeline import make_pipeline

        # %%
        X, y = load_digits(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        # %%
        sizes = [4, 8, 16, 32]
        scores = []
        for size in sizes:
            model = make_pipeline(PCA(n_components=size), LogisticRegression(max_iter=500))
            model.fit(X_train, y_train)
            scores.append(model.score(X_test, y_test))
        # %%
        print(sizes[int(np.argmax(scores))])  # LEAK
        """,
        """
        from sklearn.datasets import load_digits
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, train_test_split
        from sklearn.pipeline import Pipeline

        # %%
        X, y = load_digits(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        # %%
        model = Pipeline([("pca", PCA()), ("linear", LogisticRegression(max_iter=500))])
        search = GridSearchCV(model, {"pca__n_components": [4, 8, 16, 32]}).fit(X_train, y_train)
        # %%
        print(search.best_params_, search.score(X_test, y_test))
        """,
    ),
)
