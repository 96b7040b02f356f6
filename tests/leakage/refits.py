"""Preprocessing that is fitted again on data that it should only transform."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "the scaler is fitted again on the test part",
        "fitted-on-test",
        """
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import SGDClassifier
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        X, y = load_breast_cancer(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        sc = StandardScaler()
        X_train = sc.fit_transform(X_train)
        X_test = sc.fit_transform(X_test)  # LEAK
        model = SGDClassifier(random_state=0, alpha=0.01).fit(X_train, y_train)
        print(model.score(X_test, y_test))
        """,
        """
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import SGDClassifier
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        X, y = load_breast_cancer(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        sc = StandardScaler()
        X_train = sc.fit_transform(X_train)
        X_test = sc.transform(X_test)
        model = SGDClassifier(random_state=0, alpha=0.01).fit(X_train, y_train)
        print(model.score(X_test, y_test))
        """,
    ),
    Pair(
        "a loop over both frames fits the encoder twice",
        "fitted-on-test",
        """
        import pandas as pd
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.preprocessing import LabelEncoder

        train_df = pd.read_csv("train.csv")
        test_df = pd.read_csv("test.csv")
        encoder = LabelEncoder()
        for dataset in [train_df, test_df]:
            dataset["Embarked"] = encoder.fit_transform(dataset["Embarked"].astype(str))  # LEAK
        forest = RandomForestClassifier(max_depth=4, random_state=0)
        forest.fit(train_df[["Embarked", "Fare"]], train_df["Survived"])
        test_df["Survived"] = forest.predict(test_df[["Embarked", "Fare"]])
        """,
        """
        import pandas as pd
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.preprocessing import LabelEncoder

        train_df = pd.read_csv("train.csv")
        test_df = pd.read_csv("test.csv")
        encoder = LabelEncoder().fit(train_df["Embarked"].astype(str))
        for dataset in [train_df, test_df]:
            dataset["Embarked"] = encoder.transform(dataset["Embarked"].astype(str))
        forest = RandomForestClassifier(max_depth=4, random_state=0)
        forest.fit(train_df[["Embarked", "Fare"]], train_df["Survived"])
        test_df["Survived"] = forest.predict(test_df[["Embarked", "Fare"]])
        """,
    ),
    Pair(
        "a function normalises each part by itself",
        "fitted-on-test",
        """
        import numpy as np
        from sklearn.linear_model import Lasso
        from sklearn.model_selection import train_test_split


        def normalise(values):
            mean = np.mean(values, axis=0)
            std = np.std(values, axis=0)
            return (values - mean) / std  # LEAK


        data = np.genfromtxt("energy.csv", delimiter=",", skip_header=1)
        train, test = train_test_split(data, random_state=0)
        X_train, y_train = normalise(train[:, :-1]), train[:, -1]
        X_test, y_test = normalise(test[:, :-1]), test[:, -1]
        lasso = Lasso(alpha=0.1).fit(X_train, y_train)
        print(lasso.score(X_test, y_test))
        """,
        """
        import numpy as np
        from sklearn.linear_model import Lasso
        from sklearn.model_selection import train_test_split


        def normalise(values, mean, std):
            return (values - mean) / std


        data = np.genfromtxt("energy.csv", delimiter=",", skip_header=1)
        train, test = train_test_split(data, random_state=0)
        mean, std = train[:, :-1].mean(axis=0), train[:, :-1].std(axis=0)
        X_train, y_train = normalise(train[:, :-1], mean, std), train[:, -1]
        X_test, y_test = normalise(test[:, :-1], mean, std), test[:, -1]
        lasso = Lasso(alpha=0.1).fit(X_train, y_train)
        print(lasso.score(X_test, y_test))
        """,
    ),
    Pair(
        "new customers are scaled by themselves",
        "transformer-refitted-for-prediction",
        """
        import pandas as pd
        from sklearn.preprocessing import RobustScaler
        from sklearn.svm import SVC


        class ChurnModel:
            def __init__(self):
                self.scaler = RobustScaler()
                self.model = SVC(C=2, kernel="linear")

            def train(self, frame):
                X = self.scaler.fit_transform(frame.drop(columns="churn"))
                self.model.fit(X, frame["churn"])

            def predict(self, customers):
                X = self.scaler.fit_transform(customers)  # LEAK
                return self.model.predict(X)


        churn = ChurnModel()
        churn.train(pd.read_csv("history.csv"))
        print(churn.predict(pd.read_csv("today.csv")))
        """,
        """
        import pandas as pd
        from sklearn.preprocessing import RobustScaler
        from sklearn.svm import SVC


        class ChurnModel:
            def __init__(self):
                self.scaler = RobustScaler()
                self.model = SVC(C=2, kernel="linear")

            def train(self, frame):
                X = self.scaler.fit_transform(frame.drop(columns="churn"))
                self.model.fit(X, frame["churn"])

            def predict(self, customers):
                X = self.scaler.transform(customers)
                return self.model.predict(X)


        churn = ChurnModel()
        churn.train(pd.read_csv("history.csv"))
        print(churn.predict(pd.read_csv("today.csv")))
        """,
    ),
)
