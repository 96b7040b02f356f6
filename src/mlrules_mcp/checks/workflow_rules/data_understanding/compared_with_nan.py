from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.source import Module

_NANS = frozenset({"numpy.nan", "numpy.NaN", "numpy.NAN", "math.nan", "torch.nan", "pandas.NaT", "pandas.NA"})


class ComparedWithNan(Check[ast.Compare]):
    """Missing values that are looked for with `==` or `!=`.

    ## What it does
    Finds comparisons with NaN: `x == np.nan`, `df["age"] != np.nan`, `value == float("nan")`, `t == pd.NaT`.

    ## Why it matters
    NaN is equal to nothing, itself included: `==` is always False and `!=` always True. No missing value is
    found, filled or dropped, and nothing is said about it.

    ## Do not flag
    NaN compared with NaN, which shows just that.

    ## Fix safety
    Suggested: the code then does something else than it did, namely what it says.

    ## References
    - https://pandas.pydata.org/docs/user_guide/missing_data.html
    - https://numpy.org/doc/stable/reference/constants.html#numpy.nan
    """

    packages = frozenset({"numpy", "pandas", "torch"})

    examples = (
        Bad(
            """
            import numpy as np
            import pandas as pd

            df = pd.read_csv("titanic.csv")
            unknown = df[«df["Age"] == np.nan»]
            known = df[«df["Age"] != np.nan»]
            """,
            suggested_fix="""
            import numpy as np
            import pandas as pd

            df = pd.read_csv("titanic.csv")
            unknown = df[pd.isna(df["Age"])]
            known = df[~pd.isna(df["Age"])]
            """,
        ),
        Bad(
            """
            import numpy as np

            def clean(values):
                return [0 if «np.nan == value» else value for value in values]
            """,
            suggested_fix="""
            import numpy as np

            def clean(values):
                return [0 if np.isnan(value) else value for value in values]
            """,
        ),
        Bad(
            """
            import torch

            if «loss == float("nan")»:
                raise ValueError("The loss is not a number.")
            if ‹loss == torch.nan›:
                raise ValueError("The loss is not a number.")
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd

            unknown = df[df["Age"].isna()]
            same = df["Age"] == df["Age"]
            missing = np.isnan(x) | (x == np.inf)
            print(np.nan == np.nan, float("nan") != np.nan, pd.NaT == np.nan)
            """,
            "the last line shows what NaN is",
        ),
        Good(
            """
            import numpy as np

            if np.nan < x or config.nan == x or x == float("inf"):
                y = np.nan
            """
        ),
    )

    def check(self, node: ast.Compare, module: Module) -> Iterator[Finding]:
        match node:
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as operator], comparators=[right]):
                pass
            case _:
                return
        nans = [side for side in (left, right) if _is_nan(module, side)]
        if len(nans) != 1:
            return
        always = "False" if isinstance(operator, ast.Eq) else "True"
        yield self.finding(
            module,
            node,
            f"NaN is equal to nothing, so this is always {always}, and no missing value is found. "
            "Write `pd.isna(x)`, or `np.isnan(x)` for numbers.",
            fix=_fix(module, node, right if nans[0] is left else left, isinstance(operator, ast.NotEq)),
        )


def _is_nan(module: Module, node: ast.expr) -> bool:
    match node:
        case ast.Attribute() | ast.Name():
            return module.qualified_name(node) in _NANS
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() as text)]):
            return text.lower() == "nan"
    return False


def _fix(module: Module, node: ast.Compare, value: ast.expr, negated: bool) -> Fix | None:
    """The test by the library that is imported under its usual name; a scalar's `not` would be another."""
    test = next((test for test in ("pd.isna", "np.isnan") if module.bindings.get(test[:2])), None)
    if test is None or (negated and not isinstance(module.parent(node), ast.Subscript)):
        return None
    code = f"{'~' if negated else ''}{test}({module.text(value)})"
    return suggested(f"Write {test}", Replace(Span.of(node), code))
