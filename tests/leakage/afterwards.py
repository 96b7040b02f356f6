"""Preprocessing that sees the test rows although the data was split, or is written by hand."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "the data is split, and the scaler fitted on all of it",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        frame = pd.read_csv("wines.csv")
        X, y = frame.drop(columns="quality"), frame["quality"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        scaler = StandardScaler().fit(X)  # LEAK
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
        print(Ridge().fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        frame = pd.read_csv("wines.csv")
        X, y = frame.drop(columns="quality"), frame["quality"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
        model = Ridge().fit(X_train, y_train)
        print(model.score(X_test, y_test))
        final = Ridge().fit(StandardScaler().fit_transform(X), y)
        """,
    ),
    Pair(
        "words of both parts are counted",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split

        mails = pd.read_csv("mails.csv")
        x_train, x_valid, y_train, y_valid = train_test_split(mails["text"].values, mails["spam"], random_state=0)
        words = TfidfVectorizer(min_df=3)
        words.fit(list(x_train) + list(x_valid))  # LEAK
        model = LogisticRegression().fit(words.transform(x_train), y_train)
        print(model.score(words.transform(x_valid), y_valid))
        """,
        """
        import pandas as pd
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split

        mails = pd.read_csv("mails.csv")
        x_train, x_valid, y_train, y_valid = train_test_split(mails["text"].values, mails["spam"], random_state=0)
        words = TfidfVectorizer(min_df=3)
        words.fit(list(x_train))
        model = LogisticRegression().fit(words.transform(x_train), y_train)
        print(model.score(words.transform(x_valid), y_valid))
        """,
    ),
    Pair(
        "gaps are filled with the commonest value in a loop",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        frame = pd.read_csv("survey.csv")
        for column in frame.columns:
            if frame[column].isna().any():
                frame[column].fillna(frame[column].mode()[0], inplace=True)  # LEAK
        train, test = train_test_split(frame, random_state=0)
        """,
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        frame = pd.read_csv("survey.csv")
        train, test = train_test_split(frame, random_state=0)
        for column in frame.columns:
            common = train[column].mode()[0]
            train[column] = train[column].fillna(common)
            test[column] = test[column].fillna(common)
        """,
    ),
    Pair(
        "columns are standardised by a function that is applied",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        # %%
        table = pd.read_csv("cars.csv")
        X, y = table.drop(columns="mpg"), table["mpg"]
        # %%
        X = X.apply(lambda column: (column - column.mean()) / column.std())  # LEAK
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        print(Ridge().fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split

        # %%
        table = pd.read_csv("cars.csv")
        X, y = table.drop(columns="mpg"), table["mpg"]
        # %%
        X = X.apply(lambda row: (row - row.mean()) / row.std(), axis=1)
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        means, spread = X_train.mean(), X_train.std()
        model = Ridge().fit((X_train - means) / spread, y_train)
        print(model.score((X_test - means) / spread, y_test))
        """,
    ),
    Pair(
        "a name that was used for a picture is used again",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        # %%
        df = pd.read_csv("plants.csv")
        df[["height", "width"]] = StandardScaler().fit_transform(df[["height", "width"]])  # LEAK
        df.plot.scatter("height", "width")
        # %%
        X, y = df[["height", "width"]], df["yield"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        print(Ridge().fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        # %%
        df = pd.read_csv("plants.csv")
        df[["height", "width"]] = StandardScaler().fit_transform(df[["height", "width"]])
        df.plot.scatter("height", "width")
        # %%
        df = pd.read_csv("plants.csv")
        X, y = df[["height", "width"]], df["yield"]
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        print(Ridge().fit(X_train, y_train).score(X_test, y_test))
        """,
    ),
)
