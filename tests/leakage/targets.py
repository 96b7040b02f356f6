"""Targets, and what is only known after them, among the features."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "the target column stays in the table",
        "target-in-features",
        """
        import pandas as pd
        from sklearn.ensemble import AdaBoostClassifier
        from sklearn.model_selection import train_test_split

        # %%
        df = pd.read_csv("telco.csv")
        df["TotalCharges"] = pd.to_numeric(df["TotalCharges"], errors="coerce")
        df = df.dropna()
        y = df["Churn"]
        X = df.drop(["customerID", "gender"], axis=1)
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        model = AdaBoostClassifier(n_estimators=80, random_state=0)
        model.fit(X_train, y_train)  # LEAK
        print(model.score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.ensemble import AdaBoostClassifier
        from sklearn.model_selection import train_test_split

        # %%
        df = pd.read_csv("telco.csv")
        df["TotalCharges"] = pd.to_numeric(df["TotalCharges"], errors="coerce")
        df = df.dropna()
        y = df["Churn"]
        X = df.drop(["customerID", "gender", "Churn"], axis=1)
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        model = AdaBoostClassifier(n_estimators=80, random_state=0)
        model.fit(X_train, y_train)
        print(model.score(X_test, y_test))
        """,
    ),
    Pair(
        "the column that the target is made of stays",
        "target-in-features",
        """
        import pandas as pd
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import cross_val_score

        wine = pd.read_csv("winequality.csv", sep=";")
        wine["good"] = wine["quality"].apply(lambda quality: 1 if quality >= 7 else 0)
        X = wine.drop(columns=["good"])
        y = wine["good"]
        model = RandomForestClassifier(min_samples_leaf=3, random_state=0)
        print(cross_val_score(model, X, y, cv=5).mean())  # LEAK
        """,
        """
        import pandas as pd
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import cross_val_score

        wine = pd.read_csv("winequality.csv", sep=";")
        wine["good"] = wine["quality"].apply(lambda quality: 1 if quality >= 7 else 0)
        X = wine.drop(columns=["good", "quality"])
        y = wine["good"]
        model = RandomForestClassifier(min_samples_leaf=3, random_state=0)
        print(cross_val_score(model, X, y, cv=5).mean())
        """,
    ),
    Pair(
        "a slice of columns reaches too far",
        "target-in-features",
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split

        dataset = pd.read_csv("pima.csv", header=None)
        array = dataset.values
        X = array[:, 0:9]
        Y = array[:, 8]
        X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.33, random_state=7)
        model = LogisticRegression(max_iter=500)
        model.fit(X_train, Y_train)  # LEAK
        print(model.score(X_test, Y_test))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split

        dataset = pd.read_csv("pima.csv", header=None)
        array = dataset.values
        X = array[:, 0:8]
        Y = array[:, 8]
        X_train, X_test, Y_train, Y_test = train_test_split(X, Y, test_size=0.33, random_state=7)
        model = LogisticRegression(max_iter=500)
        model.fit(X_train, Y_train)
        print(model.score(X_test, Y_test))
        """,
    ),
    Pair(
        "the log of the price is predicted from the price",
        "target-in-features",
        """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        houses = pd.read_csv("houses.csv")[["size", "rooms", "price"]]
        houses["log_price"] = np.log1p(houses["price"])
        train, test = train_test_split(houses, random_state=0)
        features = [column for column in houses.columns if column not in ("log_price", "id")]
        ridge = Ridge(alpha=2).fit(train[features], train["log_price"])  # LEAK
        print(ridge.score(test[features], test["log_price"]))
        """,
        """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        houses = pd.read_csv("houses.csv")[["size", "rooms", "price"]]
        houses["log_price"] = np.log1p(houses["price"])
        train, test = train_test_split(houses, random_state=0)
        features = [column for column in houses.columns if column not in ("log_price", "price")]
        ridge = Ridge(alpha=2).fit(train[features], train["log_price"])
        print(ridge.score(test[features], test["log_price"]))
        """,
    ),
    Pair(
        "tomorrow's price is a feature",
        "future-values-as-features",
        """
        import pandas as pd
        from sklearn.linear_model import Ridge

        prices = pd.read_csv("prices.csv", parse_dates=["day"]).sort_values("day")
        prices["neighbour"] = prices["price"].shift(-1)  # LEAK
        train, test = prices[:800], prices[800:]
        model = Ridge().fit(train[["neighbour", "volume"]], train["price"])
        print(model.score(test[["neighbour", "volume"]], test["price"]))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import Ridge

        prices = pd.read_csv("prices.csv", parse_dates=["day"]).sort_values("day")
        prices["yesterday"] = prices["price"].shift(1)
        train, test = prices[1:800], prices[800:]
        model = Ridge().fit(train[["yesterday", "volume"]], train["price"])
        print(model.score(test[["yesterday", "volume"]], test["price"]))
        """,
    ),
)
