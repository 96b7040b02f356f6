from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple, TypeAlias

from mlrules_mcp.checks._data import DATA, is_test_file
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.data_flow.scopes import role_of_name
from mlrules_mcp.source.tree import code_of

# A bound of a slice: none, a known number, a date as text, or another expression by its code.
_Bound: TypeAlias = int | str | None
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
_WHOLE = re.compile(r"(?i)full|all(_|$)|trainval|train_?val")
_SAME_ROWS = frozenset("copy reset_index to_numpy astype values numpy to_frame reshape float long dropna clone".split())


class _Slice(NamedTuple):
    """Some rows of a table, list or tensor, kept under the name of a part of the data.

    Attributes:
        node: the expression.
        role: the part, by its name.
        base: what is sliced, as code, with how: `data`, `frame.loc`.
    """

    node: ast.expr
    role: str
    base: str
    low: _Bound
    high: _Bound


class OverlappingSlices(Check[ast.Module]):
    """Slices for training and for testing that share rows.

    ## What it does
    Finds slices of the same data that are called after different parts of it (`train`, `val`, `test`) and whose bounds
    overlap: `data[:800]` and `data[700:]`, `data[:n]` and `data[:m]`, or `frame.loc[:"2019"]` and `frame.loc["2019":]`,
    which both hold all of 2019 since pandas includes both ends.

    ## Why it matters
    The model is tested on rows that it has learnt, and the score says how well it remembers them.

    ## Do not flag
    Bounds that can't be compared, a look-back of some rows (`data[n - window:]`), slices with a step, a part taken out
    of a part.

    ## Fix safety
    No fix: which bound is meant is not known.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
    - https://pandas.pydata.org/docs/user_guide/indexing.html#slicing-with-labels
    """

    packages = DATA
    examples = (
        Bad(
            """
            import numpy as np

            train = data[:800]
            test = «data[700:]»
            """
        ),
        Bad(
            """
            import pandas as pd

            train, valid = df.iloc[:1000], df.iloc[1000:1200]
            test = «df.iloc[1100:]».copy()
            """
        ),
        Bad(
            """
            import torch

            x_train, y_train = x[:n_train], y[:n_train]
            x_test, y_test = «x[:n_test]», ‹y[:n_test]›
            """
        ),
        Bad(
            """
            import pandas as pd

            sales = pd.read_csv("sales.csv", index_col="date", parse_dates=True)
            train = sales.loc[:"2019"]
            test = «sales.loc["2019":]»
            """
        ),
        Bad(
            """
            from torch.utils.data import Subset

            train_set = Subset(dataset, range(0, 50000))
            val_set = «Subset(dataset, list(range(45000, 60000)))»
            """
        ),
        Bad(
            """
            from datasets import load_dataset

            N = 1000
            train_set = dataset.select(range(N))
            eval_set = other.select(range(100))
            test_set = «dataset.select(range(100))»
            """
        ),
        Good(
            """
            import numpy as np

            split = int(0.8 * len(data))
            train, test = data[:split], data[split:]
            x_train, y_train = train[:, :-1], train[:, -1]
            first, second = data[:10], data[5:]
            """
        ),
        Good(
            """
            import numpy as np

            train = scaled[:987]
            test = scaled[987 - window :]
            """,
            why="the first predictions look back at rows before them",
        ),
        Good(
            """
            import numpy as np

            x_val = x_train[:1000]
            partial_x_train = x_train[1000:]
            x_train_full = images[:60000]
            val_series, test_series = series[1:2], series[1:2]
            y_val = images[50000:60000]
            train, test = data[::2], data[1::2]
            holdout_train, holdout_test = data[:-100], data[-100:]
            """
        ),
        Good(
            """
            import pandas as pd

            train = prices.loc[:"2018-12-31"]
            test = prices.loc["2019-01-01":]
            spring, autumn = frame.iloc[:2019], frame.iloc[2019:]
            """
        ),
        Good(
            """
            import numpy as np

            if small:
                train = data[:100]
            else:
                test = data[:50]
            train = load("train")[:1000]
            test = load("test")[:100]
            """,
            why="never both, and not of the same data",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_file(module):
            return
        by_block: dict[ast.stmt, dict[str, list[_Slice]]] = {}
        for statement in module.nodes(ast.Assign):
            for part in _slices(module, statement):
                by_block.setdefault(module.block(statement)[0], {}).setdefault(part.base, []).append(part)
        for bases in by_block.values():
            for parts in bases.values():
                yield from self._overlaps(module, parts)

    def _overlaps(self, module: Module, parts: list[_Slice]) -> Iterator[Finding]:
        found: set[ast.expr] = set()
        for first, second in combinations(sorted(parts, key=lambda part: start(part.node)), 2):
            if first.role == second.role or second.node in found or _is_meant(first, second):
                continue
            if _overlap(first, second) and _is_same_base(module, first, second):
                found.add(second.node)
                yield self.finding(
                    module,
                    second.node,
                    f"These rows are also in the {first.role} part, so that the model is judged by what it was made "
                    "with. Let one slice start where the other ends.",
                    related=[(first.node, f"the {first.role} part")],
                )


def _is_meant(first: _Slice, second: _Slice) -> bool:
    """Whether the test part is taken for validation as it is: no slip of the bounds."""
    return "train" not in (first.role, second.role) and (first.low, first.high) == (second.low, second.high)


def _slices(module: Module, statement: ast.Assign) -> Iterator[_Slice]:
    for target in statement.targets:
        match target, statement.value:
            case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
                pairs = list(zip(targets, values, strict=True))
            case _:
                pairs = [(target, statement.value)]
        for name, value in pairs:
            role = _role(name) if isinstance(value, ast.Subscript | ast.Call | ast.Attribute) else None
            if role is not None and (found := _slice(module, value, role)) is not None:
                yield found


def _role(target: ast.expr) -> str | None:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name) if not _WHOLE.search(name):
            return role_of_name(name) or ("validation" if re.match(r"(?i)eval(_|$)", name) else None)
    return None


def _slice(module: Module, value: ast.expr, role: str) -> _Slice | None:
    """The slice that a value is, through what keeps its rows."""
    current = value
    while True:
        match current:
            case ast.Call(func=ast.Attribute(value=base, attr=method)) if method in _SAME_ROWS:
                current = base
            case ast.Attribute(value=base, attr="values"):
                current = base
            case _:
                break
    match current:
        case ast.Subscript(value=base, slice=ast.Slice(lower=low, upper=high, step=None)):
            return _made(module, current, role, base, low, high)
        case ast.Subscript(value=base, slice=ast.Tuple(elts=[ast.Slice(lower=low, upper=high, step=None), *others])):
            if all(isinstance(other, ast.Slice) and not (other.lower or other.upper or other.step) for other in others):
                return _made(module, current, role, base, low, high)
        case ast.Call(func=ast.Attribute(value=base, attr="select"), args=[ast.Call() as rows]):
            return _of_range(module, current, role, base, rows)
        case ast.Call(args=[base, ast.Call() as rows]) if module.called_name(current) == "Subset":
            return _of_range(module, current, role, base, rows)
    return None


def _of_range(module: Module, node: ast.expr, role: str, base: ast.expr, rows: ast.Call) -> _Slice | None:
    if module.is_call_to(rows, "builtins.list") and len(rows.args) == 1 and isinstance(rows.args[0], ast.Call):
        rows = rows.args[0]
    if not module.is_call_to(rows, "builtins.range", "numpy.arange", "torch.arange") or rows.keywords:
        return None
    match rows.args:
        case [high]:
            return _made(module, node, role, base, None, high)
        case [low, high]:
            return _made(module, node, role, base, low, high)
    return None


def _made(
    module: Module, node: ast.expr, role: str, base: ast.expr, low: ast.expr | None, high: ast.expr | None
) -> _Slice | None:
    if not isinstance(base, ast.Name | ast.Attribute) or (low is None and high is None):
        return None
    return _Slice(node, role, code_of(base), _bound(module, low), _bound(module, high))


def _bound(module: Module, expression: ast.expr | None) -> _Bound:
    if expression is None:
        return None
    origins = module.origins(expression)
    match origins[0] if len(origins) == 1 else expression:
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return -number
        case ast.Constant(value=str(text)):
            return f"'{text}"
    return code_of(expression)


def _overlap(first: _Slice, second: _Slice) -> bool:
    """Whether two slices share rows for certain, as far as there are rows."""
    lows, highs = {first.low, second.low}, {first.high, second.high}
    if lows <= {None, 0}:
        return all(high != 0 for high in highs) and not any(isinstance(high, int) and high < 0 for high in highs)
    if highs == {None}:
        return not any(isinstance(low, str) and low.startswith("'") and not _DATE.fullmatch(low[1:]) for low in lows)
    return not (_ends_before(first, second) or _ends_before(second, first))


def _ends_before(first: _Slice, second: _Slice) -> bool:
    """Whether the first slice ends where the second starts, or earlier, or that can't be told."""
    high, low = first.high, second.low
    if high is None or low is None:
        return False
    if isinstance(high, int) and isinstance(low, int):
        return (high < 0) != (low < 0) or high <= low
    if isinstance(high, str) and isinstance(low, str) and _DATE.fullmatch(high[1:]) and _DATE.fullmatch(low[1:]):
        # Labels: both ends belong to the slice.
        return len(high) != len(low) or high < low
    return True


def _is_same_base(module: Module, first: _Slice, second: _Slice) -> bool:
    """Whether what is sliced is still the same data."""
    name = first.base.partition(".")[0]
    uses = [next(_names(part.node, name)) for part in (first, second)]
    return module.reaching(uses[0]) == module.reaching(uses[1])


def _names(node: ast.AST, name: str) -> Iterator[ast.Name]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == name)
