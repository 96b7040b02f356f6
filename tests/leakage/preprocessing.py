"""Preprocessing that learns from all rows before they are split."""

from tests.leakage.pair import Pair

PAIRS = (
    Pair(
        "a scaler is fitted on the whole table",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        # %%
        df = pd.read_csv("customers.csv")
        X = df.drop(columns=["churn"])
        y = df["churn"]
        # %%
        scaler = StandardScaler()
        X_scaled = scaler.fit_transform(X)  # LEAK
        X_train, X_test, y_train, y_test = train_test_split(X_scaled, y, test_size=0.2, random_state=42)
        # %%
        model = LogisticRegression(max_iter=1000)
        model.fit(X_train, y_train)
        print("accuracy", model.score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        # %%
        df = pd.read_csv("customers.csv")
        X = df.drop(columns=["churn"])
        y = df["churn"]
        # %%
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
        scaler = StandardScaler()
        X_train = scaler.fit_transform(X_train)
        X_test = scaler.transform(X_test)
        # %%
        model = LogisticRegression(max_iter=1000)
        model.fit(X_train, y_train)
        print("accuracy", model.score(X_test, y_test))
        """,
    ),
    Pair(
        "a helper function scales before the caller splits",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.svm import SVR


        def load(path):
            frame = pd.read_csv(path).dropna()
            return frame.drop("price", axis=1), frame["price"]


        def preprocess(X):
            X = pd.get_dummies(X)
            return MinMaxScaler().fit_transform(X)  # LEAK


        def main():
            X, y = load("houses.csv")
            X = preprocess(X)
            X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)
            model = SVR(C=10).fit(X_train, y_train)
            print(model.score(X_test, y_test))


        if __name__ == "__main__":
            main()
        """,
        """
        import pandas as pd
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.svm import SVR


        def load(path):
            frame = pd.read_csv(path).dropna()
            return frame.drop("price", axis=1), frame["price"]


        def preprocess(X, scaler=None):
            if scaler is None:
                scaler = MinMaxScaler().fit(X)
            return scaler.transform(X), scaler


        def main():
            X, y = load("houses.csv")
            X_train, X_test, y_train, y_test = train_test_split(pd.get_dummies(X), y, random_state=1)
            X_train, scaler = preprocess(X_train)
            X_test, _ = preprocess(X_test, scaler)
            model = SVR(C=10).fit(X_train, y_train)
            print(model.score(X_test, y_test))


        if __name__ == "__main__":
            main()
        """,
    ),
    Pair(
        "missing ages are filled with the mean of all rows",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import train_test_split

        # %%
        titanic = pd.read_csv("titanic.csv")
        titanic["Sex"] = titanic["Sex"].map({"male": 0, "female": 1})
        titanic["Age"].fillna(titanic["Age"].mean(), inplace=True)  # LEAK
        # %%
        features = ["Pclass", "Sex", "Age", "Fare"]
        X_train, X_test, y_train, y_test = train_test_split(titanic[features], titanic["Survived"], random_state=0)
        forest = RandomForestClassifier(n_estimators=300, random_state=0).fit(X_train, y_train)
        print(forest.score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import train_test_split

        # %%
        titanic = pd.read_csv("titanic.csv")
        titanic["Sex"] = titanic["Sex"].map({"male": 0, "female": 1})
        # %%
        features = ["Pclass", "Sex", "Age", "Fare"]
        X_train, X_test, y_train, y_test = train_test_split(titanic[features], titanic["Survived"], random_state=0)
        mean_age = X_train["Age"].mean()
        X_train = X_train.fillna({"Age": mean_age})
        X_test = X_test.fillna({"Age": mean_age})
        forest = RandomForestClassifier(n_estimators=300, random_state=0).fit(X_train, y_train)
        print(forest.score(X_test, y_test))
        """,
    ),
    Pair(
        "columns are standardised in a loop over them",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.neighbors import KNeighborsRegressor

        cars = pd.read_csv("cars.csv").sample(frac=1, random_state=7)
        for column in ["weight", "power", "year"]:
            cars[column] = (cars[column] - cars[column].mean()) / cars[column].std()  # LEAK

        cut = int(len(cars) * 0.8)
        train, test = cars.iloc[:cut], cars.iloc[cut:]
        model = KNeighborsRegressor(n_neighbors=5)
        model.fit(train[["weight", "power", "year"]], train["mpg"])
        print(model.score(test[["weight", "power", "year"]], test["mpg"]))
        """,
        """
        import pandas as pd
        from sklearn.neighbors import KNeighborsRegressor

        cars = pd.read_csv("cars.csv").sample(frac=1, random_state=7)
        cut = int(len(cars) * 0.8)
        train, test = cars.iloc[:cut].copy(), cars.iloc[cut:].copy()
        for column in ["weight", "power", "year"]:
            mean, std = train[column].mean(), train[column].std()
            train[column] = (train[column] - mean) / std
            test[column] = (test[column] - mean) / std

        model = KNeighborsRegressor(n_neighbors=5)
        model.fit(train[["weight", "power", "year"]], train["mpg"])
        print(model.score(test[["weight", "power", "year"]], test["mpg"]))
        """,
    ),
    Pair(
        "a vectorizer reads all texts",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.metrics import classification_report
        from sklearn.model_selection import train_test_split
        from sklearn.naive_bayes import MultinomialNB

        messages = pd.read_csv("sms.csv", encoding="latin-1")
        messages["text"] = messages["text"].str.lower()
        tfidf = TfidfVectorizer(stop_words="english", max_features=3000)
        X = tfidf.fit_transform(messages["text"]).toarray()  # LEAK
        y = (messages["label"] == "spam").astype(int)
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=3)
        spam = MultinomialNB().fit(X_train, y_train)
        print(classification_report(y_test, spam.predict(X_test)))
        """,
        """
        import pandas as pd
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.metrics import classification_report
        from sklearn.model_selection import train_test_split
        from sklearn.naive_bayes import MultinomialNB
        from sklearn.pipeline import make_pipeline

        messages = pd.read_csv("sms.csv", encoding="latin-1")
        messages["text"] = messages["text"].str.lower()
        y = (messages["label"] == "spam").astype(int)
        X_train, X_test, y_train, y_test = train_test_split(messages["text"], y, test_size=0.25, random_state=3)
        spam = make_pipeline(TfidfVectorizer(stop_words="english", max_features=3000), MultinomialNB())
        spam.fit(X_train, y_train)
        print(classification_report(y_test, spam.predict(X_test)))
        """,
    ),
    Pair(
        "a ColumnTransformer is fitted on everything",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.compose import ColumnTransformer
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.model_selection import train_test_split
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        bank = pd.read_csv("bank.csv")
        y = bank.pop("deposit") == "yes"
        numbers = bank.select_dtypes("number").columns
        categories = bank.select_dtypes("object").columns
        numeric = Pipeline([("impute", SimpleImputer()), ("scale", StandardScaler())])
        preprocessor = ColumnTransformer(
            [("num", numeric, numbers), ("cat", OneHotEncoder(handle_unknown="ignore"), categories)]
        )
        X = preprocessor.fit_transform(bank)  # LEAK
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        model = GradientBoostingClassifier(learning_rate=0.05, random_state=0)
        print(model.fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.compose import ColumnTransformer
        from sklearn.ensemble import GradientBoostingClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.model_selection import train_test_split
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        bank = pd.read_csv("bank.csv")
        y = bank.pop("deposit") == "yes"
        numbers = bank.select_dtypes("number").columns
        categories = bank.select_dtypes("object").columns
        numeric = Pipeline([("impute", SimpleImputer()), ("scale", StandardScaler())])
        preprocessor = ColumnTransformer(
            [("num", numeric, numbers), ("cat", OneHotEncoder(handle_unknown="ignore"), categories)]
        )
        X_train, X_test, y_train, y_test = train_test_split(bank, y, stratify=y, random_state=0)
        model = Pipeline(
            [("prepare", preprocessor), ("model", GradientBoostingClassifier(learning_rate=0.05, random_state=0))]
        )
        print(model.fit(X_train, y_train).score(X_test, y_test))
        """,
    ),
    Pair(
        "components are found in all pictures",
        "fitted-before-split",
        """
        from sklearn.datasets import fetch_lfw_people
        from sklearn.decomposition import PCA
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        faces = fetch_lfw_people(min_faces_per_person=60)
        pca = PCA(n_components=150, whiten=True, random_state=42).fit(faces.data)  # LEAK
        components = pca.transform(faces.data)
        X_train, X_test, y_train, y_test = train_test_split(components, faces.target, random_state=42)
        machine = SVC(kernel="rbf", C=5, gamma=0.001)
        machine.fit(X_train, y_train)
        print(machine.score(X_test, y_test))
        """,
        """
        from sklearn.datasets import fetch_lfw_people
        from sklearn.decomposition import PCA
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        faces = fetch_lfw_people(min_faces_per_person=60)
        X_train, X_test, y_train, y_test = train_test_split(faces.data, faces.target, random_state=42)
        pca = PCA(n_components=150, whiten=True, random_state=42).fit(X_train)
        machine = SVC(kernel="rbf", C=5, gamma=0.001)
        machine.fit(pca.transform(X_train), y_train)
        print(machine.score(pca.transform(X_test), y_test))
        """,
    ),
    Pair(
        "the transformer is chosen by name in a dictionary",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.linear_model import RidgeClassifier
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import MinMaxScaler, StandardScaler

        SCALERS = {"standard": StandardScaler(), "minmax": MinMaxScaler()}


        def get_data(path, scaling="standard"):
            df = pd.read_csv(path)
            y = df.pop("quality")
            scaler = SCALERS[scaling]
            X = pd.DataFrame(scaler.fit_transform(df), columns=df.columns)  # LEAK
            return train_test_split(X, y, test_size=0.3, random_state=0)


        X_train, X_test, y_train, y_test = get_data("wine.csv")
        print(RidgeClassifier(alpha=2).fit(X_train, y_train).score(X_test, y_test))
        """,
        """
        import pandas as pd
        from sklearn.linear_model import RidgeClassifier
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import MinMaxScaler, StandardScaler

        SCALERS = {"standard": StandardScaler(), "minmax": MinMaxScaler()}


        def get_data(path, scaling="standard"):
            df = pd.read_csv(path)
            y = df.pop("quality")
            X_train, X_test, y_train, y_test = train_test_split(df, y, test_size=0.3, random_state=0)
            scaler = SCALERS[scaling].fit(X_train)
            return scaler.transform(X_train), scaler.transform(X_test), y_train, y_test


        X_train, X_test, y_train, y_test = get_data("wine.csv")
        print(RidgeClassifier(alpha=2).fit(X_train, y_train).score(X_test, y_test))
        """,
    ),
    Pair(
        "clusters of all places become a feature",
        "fitted-before-split",
        """
        import pandas as pd
        from sklearn.cluster import KMeans
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.model_selection import train_test_split

        homes = pd.read_csv("homes.csv")
        kmeans = KMeans(n_clusters=12, n_init=10, random_state=0)
        homes["area"] = kmeans.fit_predict(homes[["latitude", "longitude"]])  # LEAK
        train, test = train_test_split(homes, test_size=0.2, random_state=0)
        columns = ["area", "rooms", "age"]
        boosted = HistGradientBoostingRegressor(max_iter=200).fit(train[columns], train["value"])
        print(boosted.score(test[columns], test["value"]))
        """,
        """
        import pandas as pd
        from sklearn.cluster import KMeans
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.model_selection import train_test_split

        homes = pd.read_csv("homes.csv")
        train, test = train_test_split(homes, test_size=0.2, random_state=0)
        kmeans = KMeans(n_clusters=12, n_init=10, random_state=0).fit(train[["latitude", "longitude"]])
        train = train.assign(area=kmeans.predict(train[["latitude", "longitude"]]))
        test = test.assign(area=kmeans.predict(test[["latitude", "longitude"]]))
        columns = ["area", "rooms", "age"]
        boosted = HistGradientBoostingRegressor(max_iter=200).fit(train[columns], train["value"])
        print(boosted.score(test[columns], test["value"]))
        """,
    ),
)
