"""Parts of the data that overlap, look into the future or decide what they are to judge."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "the next day's opening price is a feature",
        "future-values-as-features",
        """
        import pandas as pd
        from sklearn.ensemble import GradientBoostingRegressor

        # %%
        prices = pd.read_csv("prices.csv")
        prices["open_next"] = prices["open"].shift(-1)  # LEAK
        prices["target"] = prices["close"].shift(-1)
        prices = prices.dropna()
        # %%
        features = prices.drop(columns=["target", "date"])
        model = GradientBoostingRegressor()
        model.fit(features.iloc[:2000], prices["target"].iloc[:2000])
        print(model.score(features.iloc[2000:], prices["target"].iloc[2000:]))
        """,
        """
        import pandas as pd
        from sklearn.ensemble import GradientBoostingRegressor

        # %%
        prices = pd.read_csv("prices.csv")
        prices["open_before"] = prices["open"].shift(1)
        prices["target"] = prices["close"].shift(-1)
        prices = prices.dropna()
        # %%
        features = prices.drop(columns=["target", "date"])
        model = GradientBoostingRegressor()
        model.fit(features.iloc[:2000], prices["target"].iloc[:2000])
        print(model.score(features.iloc[2000:], prices["target"].iloc[2000:]))
        """,
    ),
    Pair(
        "a moving mean is centred, in a helper function",
        "future-values-as-features",
        """
        import pandas as pd
        from sklearn.linear_model import Ridge

        def with_trend(df):
            df = df.copy()
            df["trend"] = df["visits"].rolling(window=7, center=True).mean()  # LEAK
            return df.dropna()

        # %%
        df = with_trend(pd.read_csv("visits.csv"))
        train, test = df[df["year"] < 2020], df[df["year"] >= 2020]
        model = Ridge().fit(train[["trend", "weekday"]], train["orders"])
        print(model.score(test[["trend", "weekday"]], test["orders"]))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import Ridge

        def with_trend(df):
            df = df.copy()
            df["trend"] = df["visits"].shift(1).rolling(window=7).mean()
            return df.dropna()

        # %%
        df = with_trend(pd.read_csv("visits.csv"))
        train, test = df[df["year"] < 2020], df[df["year"] >= 2020]
        model = Ridge().fit(train[["trend", "weekday"]], train["orders"])
        print(model.score(test[["trend", "weekday"]], test["orders"]))
        """,
    ),
    Pair(
        "overlapping windows are shuffled",
        "shuffled-time-series",
        """
        import numpy as np
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        # %%
        series = np.load("load.npy")
        X, y = [], []
        for i in range(24, len(series)):
            X.append(series[i - 24 : i])
            y.append(series[i])
        X, y = np.array(X), np.array(y)
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)  # LEAK
        print(Ridge().fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import numpy as np
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        # %%
        series = np.load("load.npy")
        X, y = [], []
        for i in range(24, len(series)):
            X.append(series[i - 24 : i])
            y.append(series[i])
        X, y = np.array(X), np.array(y)
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X, y, shuffle=False)
        print(Ridge().fit(X_train, y_train).score(X_test, y_test))
        """,
    ),
    Pair(
        "rows with lags are shuffled, a group at a time",
        "shuffled-time-series",
        """
        import pandas as pd
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.model_selection import train_test_split

        # %%
        df = pd.read_csv("stores.csv").sort_values(["store", "week"])
        for lag in (1, 2, 3):
            df[f"lag_{lag}"] = df.groupby("store")["sales"].shift(lag)
        df = df.dropna()
        # %%
        columns = ["lag_1", "lag_2", "lag_3"]
        X_train, X_test, y_train, y_test = train_test_split(df[columns], df["sales"], random_state=0)  # LEAK
        model = RandomForestRegressor(random_state=0).fit(X_train, y_train)
        print(model.score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.ensemble import RandomForestRegressor

        # %%
        df = pd.read_csv("stores.csv").sort_values(["store", "week"])
        for lag in (1, 2, 3):
            df[f"lag_{lag}"] = df.groupby("store")["sales"].shift(lag)
        df = df.dropna()
        # %%
        columns = ["lag_1", "lag_2", "lag_3"]
        train, test = df[df["week"] < 100], df[df["week"] >= 100]
        model = RandomForestRegressor(random_state=0).fit(train[columns], train["sales"])
        print(model.score(test[columns], test["sales"]))
        """,
    ),
    Pair(
        "slices for training and testing overlap",
        "overlapping-slices",
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression

        # %%
        df = pd.read_csv("loans.csv")
        train_df = df[:8000].copy()
        test_df = df[7500:].copy()  # LEAK
        # %%
        columns = ["income", "debt"]
        model = LogisticRegression().fit(train_df[columns], train_df["repaid"])
        print(model.score(test_df[columns], test_df["repaid"]))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression

        # %%
        df = pd.read_csv("loans.csv")
        train_df = df[:8000].copy()
        test_df = df[8000:].copy()
        # %%
        columns = ["income", "debt"]
        model = LogisticRegression().fit(train_df[columns], train_df["repaid"])
        print(model.score(test_df[columns], test_df["repaid"]))
        """,
    ),
    Pair(
        "the test file is the training file",
        "same-data-in-both-loaders",
        """
        from torch.utils.data import DataLoader

        # %%
        train_set = DrawingDataset("drawings_train.csv", transform=augment)
        test_set = DrawingDataset("drawings_train.csv", transform=plain)
        # %%
        train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
        test_loader = DataLoader(test_set, batch_size=64)  # LEAK
        """,
        """
        from torch.utils.data import DataLoader

        # %%
        train_set = DrawingDataset("drawings_train.csv", transform=augment)
        test_set = DrawingDataset("drawings_test.csv", transform=plain)
        # %%
        train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
        test_loader = DataLoader(test_set, batch_size=64)
        """,
    ),
    Pair(
        "the best epoch is picked on the test loader",
        "test-used-for-validation",
        """
        import torch

        # %%
        best_accuracy = 0.0
        for epoch in range(20):
            train_one_epoch(model, train_loader, optimizer)
            accuracy = evaluate(model, test_loader)
            if accuracy > best_accuracy:  # LEAK
                best_accuracy = accuracy
                torch.save(model.state_dict(), "best.pt")
        print("test accuracy", best_accuracy)
        """,
        """
        import torch

        # %%
        best_accuracy = 0.0
        for epoch in range(20):
            train_one_epoch(model, train_loader, optimizer)
            accuracy = evaluate(model, val_loader)
            if accuracy > best_accuracy:
                best_accuracy = accuracy
                torch.save(model.state_dict(), "best.pt")
        model.load_state_dict(torch.load("best.pt"))
        print("test accuracy", evaluate(model, test_loader))
        """,
    ),
    Pair(
        "boosting stops by the test part that it is scored on",
        "test-used-for-validation",
        """
        import pandas as pd
        from sklearn.model_selection import train_test_split
        from xgboost import XGBRegressor

        # %%
        df = pd.read_csv("houses.csv")
        X, y = df.drop(columns="price"), df["price"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        # %%
        model = XGBRegressor(n_estimators=2000, early_stopping_rounds=20)
        model.fit(X_train, y_train, eval_set=[(X_test, y_test)], verbose=False)  # LEAK
        print(model.score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.model_selection import train_test_split
        from xgboost import XGBRegressor

        # %%
        df = pd.read_csv("houses.csv")
        X, y = df.drop(columns="price"), df["price"]
        X_rest, X_test, y_rest, y_test = train_test_split(X, y, random_state=0)
        X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, random_state=0)
        # %%
        model = XGBRegressor(n_estimators=2000, early_stopping_rounds=20)
        model.fit(X_train, y_train, eval_set=[(X_val, y_val)], verbose=False)
        print(model.score(X_test, y_test))
        """,
    ),
    Pair(
        "the loader for training loads what was split off for validation too",
        "trained-on-everything",
        """
        import torch
        from torch.utils.data import DataLoader, random_split

        # %%
        generator = torch.Generator().manual_seed(0)
        train_set, val_set = random_split(pictures, [0.9, 0.1], generator=generator)
        # %%
        train_loader = DataLoader(pictures, batch_size=32, shuffle=True)  # LEAK
        val_loader = DataLoader(val_set, batch_size=32)
        """,
        """
        import torch
        from torch.utils.data import DataLoader, random_split

        # %%
        generator = torch.Generator().manual_seed(0)
        train_set, val_set = random_split(pictures, [0.9, 0.1], generator=generator)
        # %%
        train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
        val_loader = DataLoader(val_set, batch_size=32)
        """,
    ),
)
