"""Targets and helpers: what is learnt from all rows in less open ways before they are split."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "the mean price of each city becomes a feature",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        # %%
        houses = pd.read_csv("houses.csv")
        city_means = houses.groupby("city")["price"].mean()  # LEAK
        houses["city_level"] = houses["city"].map(city_means)
        # %%
        X, y = houses.drop(columns=["price", "city"]), houses["price"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        print(Ridge().fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        # %%
        houses = pd.read_csv("houses.csv")
        train, test = train_test_split(houses, random_state=0)
        # %%
        city_means = train.groupby("city")["price"].mean()
        train["city_level"] = train["city"].map(city_means)
        test["city_level"] = test["city"].map(city_means)
        # %%
        columns = ["size", "rooms", "city_level"]
        print(Ridge().fit(train[columns], train["price"]).score(test[columns], test["price"]))
        """,
    ),
    Pair(
        "rates of default are merged in from all customers",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.model_selection import train_test_split

        def with_rates(frame):
            rates = frame.groupby("branch")["default"].agg("mean").reset_index()  # LEAK
            return frame.merge(rates, on="branch", how="left", suffixes=("", "_rate"))

        loans = with_rates(pd.read_csv("loans.csv"))
        X_train, X_test, y_train, y_test = train_test_split(
            loans.drop(columns=["default", "branch"]), loans["default"], stratify=loans["default"], random_state=0
        )
        model = GradientBoostingClassifier(n_estimators=50, random_state=0).fit(X_train, y_train)
        print(model.score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.model_selection import train_test_split

        def with_rates(frame, rates):
            return frame.merge(rates, on="branch", how="left", suffixes=("", "_rate"))

        loans = pd.read_csv("loans.csv")
        train, test = train_test_split(loans, stratify=loans["default"], random_state=0)
        rates = train.groupby("branch")["default"].agg("mean").reset_index()
        train, test = with_rates(train, rates), with_rates(test, rates)
        columns = ["income", "default_rate"]
        model = GradientBoostingClassifier(n_estimators=50, random_state=0).fit(train[columns], train["default"])
        print(model.score(test[columns], test["default"]))
        """,
    ),
    Pair(
        "a group transform hands each row its own target",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        sales = pd.read_csv("sales.csv")
        sales["shop_level"] = sales.groupby("shop")["revenue"].transform("mean")  # LEAK
        train, test = train_test_split(sales, random_state=0)
        model = Ridge().fit(train[["shop_level", "price"]], train["revenue"])
        print(model.score(test[["shop_level", "price"]], test["revenue"]))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        sales = pd.read_csv("sales.csv")
        sales["in_shop"] = sales.groupby("shop")["revenue"].transform("count")
        train, test = train_test_split(sales, random_state=0)
        train["shop_level"] = train.groupby("shop")["price"].transform("mean")
        model = Ridge().fit(train[["in_shop", "price"]], train["revenue"])
        print(model.score(test[["in_shop", "price"]], test["revenue"]))
        """,
    ),
    Pair(
        "a helper returns the scaled data and its scaler",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        def load(path):
            frame = pd.read_csv(path)
            labels = frame.pop("label")
            scaler = MinMaxScaler()
            values = scaler.fit_transform(frame)  # LEAK
            return values, labels, scaler

        X, y, scaler = load("cells.csv")
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        print(SVC(C=10).fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        def load(path):
            frame = pd.read_csv(path)
            labels = frame.pop("label")
            return frame, labels, MinMaxScaler()

        X, y, scaler = load("cells.csv")
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        model = SVC(C=10).fit(scaler.fit_transform(X_train), y_train)
        print(model.score(scaler.transform(X_test), y_test))
        """,
    ),
    Pair(
        "an object prepares its table before it splits it",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        class Experiment:
            def __init__(self, path):
                self.frame = pd.read_csv(path)
                self.scaler = StandardScaler()

            def prepare(self):
                self.X = self.scaler.fit_transform(self.frame.drop(columns="churned"))  # LEAK
                self.y = self.frame["churned"]

            def run(self):
                X_train, X_test, y_train, y_test = train_test_split(self.X, self.y, stratify=self.y, random_state=0)
                return LogisticRegression().fit(X_train, y_train).score(X_test, y_test)

        experiment = Experiment("customers.csv")
        experiment.prepare()
        print(experiment.run())
        """,
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        class Experiment:
            def __init__(self, path):
                self.frame = pd.read_csv(path)
                self.scaler = StandardScaler()

            def prepare(self):
                self.X = self.frame.drop(columns="churned")
                self.y = self.frame["churned"]

            def run(self):
                X_train, X_test, y_train, y_test = train_test_split(self.X, self.y, stratify=self.y, random_state=0)
                model = LogisticRegression().fit(self.scaler.fit_transform(X_train), y_train)
                return model.score(self.scaler.transform(X_test), y_test)

        experiment = Experiment("customers.csv")
        experiment.prepare()
        print(experiment.run())
        """,
    ),
)
