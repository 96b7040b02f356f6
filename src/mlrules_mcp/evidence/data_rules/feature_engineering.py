from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import ESTIMATOR
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE
from mlrules_mcp.evidence.steps import table

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_TOOLS = (
    "sklearn.preprocessing.FunctionTransformer sklearn.preprocessing.PolynomialFeatures pandas.get_dummies pandas.cut "
    "sklearn.preprocessing.SplineTransformer sklearn.preprocessing.KBinsDiscretizer pandas.qcut featuretools.* "
    "feature_engine.* category_encoders.* tsfresh.* sklearn.preprocessing.OneHotEncoder "
    "sklearn.feature_extraction.text.TfidfVectorizer sklearn.feature_extraction.text.CountVectorizer"
)
_FUNCTIONS = (
    "build_features make_features create_features add_features engineer_features feature_engineering "
    "time_features compute_features generate_features add_feature derive_features"
)
_FRAMES = frozenset({"pandas", "polars", "pyspark", "dask", "cudf"})


class FeatureEngineering(Collector):
    """What is known about the domain goes into the features.

    ## Met
    Columns computed from other columns, functions that build features, encoders and bins, tools that generate features.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    No table is learned from: networks take images, sound and text as they are.

    ## Never counts
    Columns that are dropped, renamed or cast.

    ## References
    - https://developers.google.com/machine-learning/guides/rules-of-ml
    """

    asks = Asked.of(calls=_TOOLS, definitions=_FUNCTIONS)
    needs = ("training",)
    would_count = "columns computed from others, a function that builds features, encoders or bins"
    shown_by_examples = True
    examples = (
        Example(
            {"train.py": TABLE, "prepare.py": 'import pandas as pd\n\ndf["rate"] = df["paid"] / df["days"]\n'},
            "met",
            ["prepare.py:3"],
        ),
        Example(
            {"train.py": TABLE, "prepare.py": 'import pandas as pd\n\ndf["a"] = df["a"].astype(int)\n'}, "no_evidence"
        ),
        Example({"train.py": NETWORK}, "not_applicable"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """New columns that are computed from others of the same frame."""
        if module.imported_packages.isdisjoint(_FRAMES):
            return
        for assignment in module.nodes(ast.Assign):
            match assignment.targets[0]:
                case ast.Subscript(value=frame, slice=ast.Constant(value=str() as column)):
                    if _computes(assignment.value, ast.unparse(frame), column):
                        yield fact_at(module, role, assignment, self.rule)

    def not_applicable(self, project: Facts) -> str | None:
        """Without a table there are no columns to make."""
        evidence = next(self.evidence(project), None)
        if reason := super().not_applicable(project):
            return reason
        of_images = bool(project.notes("data_rules.data_augmentation"))
        if evidence or project.landmarks(ESTIMATOR) or (table(project) and not of_images):
            return None
        return f"No table is learned from here: the networks take their inputs as they are{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Functions, new columns, tools; tests of them last."""
        yield from (of(fact) for fact in project.definitions(*_FUNCTIONS.split()))
        yield from (of(fact, f"a column from others: `{fact.text}`") for fact in project.notes(self.rule))
        yield from (of(fact) for fact in project.calls(*_TOOLS.split()))

    def next_step(self, project: Facts) -> NextStep:
        """A module for features, with one to begin with."""
        content = '''"""Features: what is known about the domain, as columns. Nothing is fitted, so nothing leaks."""

import numpy as np
import pandas as pd


def add_features(df: pd.DataFrame) -> pd.DataFrame:
    """The table with further columns; the same for training and for serving."""
    numbers = df.select_dtypes("number")
    skewed = [name for name in numbers if (numbers[name] >= 0).all() and numbers[name].skew() > 1]
    return df.assign(**{f"log_{name}": np.log1p(df[name]) for name in skewed})
'''
        return NextStep("Begin a module of features", "medium", "features.py", content)


def _computes(value: ast.expr, frame: str, column: str) -> bool:
    """Whether an expression computes with other columns of a frame, or turns one into something new."""
    used: set[str] = set()
    for node in ast.walk(value):
        match node:
            case ast.Subscript(value=owner, slice=ast.Constant(value=str() as name)) if ast.unparse(owner) == frame:
                used.add(name)
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner == frame:
                used.add(name)
    others = used - {column}
    computed = any(isinstance(node, ast.BinOp | ast.Compare | ast.BoolOp) for node in ast.walk(value))
    maps = any(isinstance(n, ast.Attribute) and n.attr in ("apply", "dt", "str", "map") for n in ast.walk(value))
    return bool(others) and (computed or maps)
