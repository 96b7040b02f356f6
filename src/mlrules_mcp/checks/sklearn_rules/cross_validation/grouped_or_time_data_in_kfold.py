from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._leakage import data_flow
from mlrules_mcp.checks._order import group_columns, ordered_columns
from mlrules_mcp.checks._sklearn import SKLEARN, class_name
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_IGNORING = frozenset(
    {"KFold", "StratifiedKFold", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedShuffleSplit"}
)
_RESPECTING = frozenset(
    {
        "GroupKFold",
        "StratifiedGroupKFold",
        "LeaveOneGroupOut",
        "LeavePGroupsOut",
        "GroupShuffleSplit",
        "TimeSeriesSplit",
    }
)


class GroupedOrTimeDataInKfold(Check[ast.Module]):
    """Folds that ignore the groups or the time that the rows belong to.

    ## What it does
    Points at cross-validation by `KFold`, `StratifiedKFold`, `ShuffleSplit` or a number of folds, of data whose
    columns say
    that rows belong together (`groups`, `patient_id`, `session_id` …) or follow each other (`date`, `timestamp` …),
    where the
    module uses no splitter that respects it. Always advice.

    ## Why it matters
    Rows of one patient in both the training and the test fold let the model recognise the patient, and rows of next
    week in
    training let it predict this week: the scores are too good.

    ## Do not flag
    Splitters for groups (`GroupKFold` …) and time (`TimeSeriesSplit`), and data that shows no such column.

    ## Fix safety
    No fix: whether rows depend on each other is known to the author only.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html#group-cv
    - https://scikit-learn.org/stable/modules/cross_validation.html#timeseries-cv
    """

    packages = SKLEARN
    also_enforces = ("evaluation_rules.cross_validation",)
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import KFold, cross_val_score

            df = pd.read_csv("sales.csv", parse_dates=["date"])
            X = df.drop(columns=["date", "sales"])
            scores = «cross_val_score(Ridge(), X, df["sales"], cv=KFold(5, shuffle=True, random_state=0))»
            """,
            advice=True,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import StratifiedKFold
            from sklearn.svm import SVC

            df = pd.read_csv("scans.csv")
            X, y = df.drop(columns=["patient_id", "sick"]), df["sick"]
            folds = StratifiedKFold(5, shuffle=True, random_state=0)
            for train, test in «folds.split(X, y)»:
                print(SVC().fit(X.iloc[train], y.iloc[train]).score(X.iloc[test], y.iloc[test]))
            """,
            advice=True,
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import GroupKFold, TimeSeriesSplit, cross_val_score

            df = pd.read_csv("scans.csv")
            X, y = df.drop(columns=["patient_id", "date", "sick"]), df["sick"]
            print(cross_val_score(model, X, y, groups=df["patient_id"], cv=GroupKFold(5)))
            print(cross_val_score(model, X, y, cv=TimeSeriesSplit(5)))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import cross_val_score

            df = pd.read_csv("houses.csv")
            print(cross_val_score(Ridge(), df.drop(columns="price"), df["price"]))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestRegressor
            from sklearn.model_selection import cross_val_score

            rides = pd.read_csv("rides.csv")
            X = rides.drop(columns=["fare", "pickup_datetime", "has_timestamp"])
            print(cross_val_score(RandomForestRegressor(), X, rides["fare"]))
            """,
            "rides are apart from each other, whenever they begin",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        events = module.fact(data_flow)
        places = [(split.node, split.name) for split in events.splits if split.kind == "folds"]
        places += [(each.node, each.name) for each in events.validations]
        if not places or any(class_name(module, call) in _RESPECTING for call in module.calls(*_RESPECTING)):
            return
        columns = sorted(module.fact(ordered_columns)) or sorted(module.fact(group_columns))
        if not columns:
            return
        what = "follow each other in time" if module.fact(ordered_columns) else "belong together"
        splitter = "`TimeSeriesSplit`" if module.fact(ordered_columns) else "`GroupKFold`"
        for place, name in places:
            if name is None or not _is_ignoring(module, place, name):
                continue
            yield self.finding(
                module,
                place,
                f"The column `{columns[0]}` suggests that rows {what}, and these folds tear them apart, which makes "
                f"scores too "
                f"good. Use {splitter} if it does.",
                advice=True,
            )
            return


def _is_ignoring(module: Module, place: ast.expr, name: str) -> bool:
    if not isinstance(place, ast.Call) or argument(place, "groups") is not None:
        return False
    last = name.rpartition(".")[2]
    return last in _IGNORING or not last.endswith(("Fold", "Split", "Out"))
