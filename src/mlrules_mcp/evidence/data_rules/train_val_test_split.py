from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING
from mlrules_mcp.evidence.programs import LIBRARY, NETWORK, PLAIN, TABLE
from mlrules_mcp.patterns import pattern

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_SPLITS = (
    "torch.utils.data.random_split torch.utils.data.Subset .train_test_split .random_split .randomSplit "
    "torch_geometric.transforms.RandomNodeSplit torch_geometric.transforms.RandomLinkSplit splitfolders.ratio "
    "sklearn.model_selection.train_test_split tensorflow.keras.utils.split_dataset keras.utils.split_dataset"
)
_FUNCTIONS = "val_dataloader split_data train_val_split train_test_split train_valid_split stratify_split make_split"
_ARGUMENTS = "validation_data validation_split eval_set val_dataloaders eval_dataset valid_sets test_size val_size"
_TEST_AS_VALIDATION = "test as validation"
_VALIDATION = pattern(r"(?i)^(vali?|valid(ation)?|dev)_\w+$")
_TEST = pattern(r"(?i)^test_\w+$")
_MASKS = frozenset({"val_mask", "test_mask", "valid_mask"})


_TEST_TWICE = """\
val_data, val_loader = get_data(flag='TEST')
test_data, test_loader = get_data(flag='TEST')
"""


class TrainValTestSplit(Collector):
    """What a model is fitted on, chosen on and reported on are different rows.

    ## Met
    A split that is made (`train_test_split`, `random_split`, splitters, functions of its own), validation data passed
    to a fit, loaders and masks of a validation part, fractions in the configuration; and no check finds a part used for
    what it is not for.

    ## Broken
    An error or warning of a static check; what is called validation data is the test part.

    ## Not applicable
    Nothing is trained here, or the project is a library that shows none.

    ## Never counts
    Folders that are called train and test, a slice for speed.

    ## References
    - https://scikit-learn.org/stable/common_pitfalls.html
    """

    asks = Asked.of(calls=_SPLITS, definitions=_FUNCTIONS, keywords=_ARGUMENTS)
    needs = ("data",)
    would_count = (
        "`train_test_split`, `random_split`, a splitter, a validation loader, or validation data passed to `fit`"
    )
    looked_in = "the code, notebooks and configurations"
    shown_by_examples = True
    examples = (
        Example(
            {
                "train.py": TABLE,
                "split.py": """\
                from sklearn.model_selection import train_test_split

                def parts(df):
                    return train_test_split(df, stratify=df["churned"], random_state=0)
                """,
            },
            "met",
            ["split.py:4"],
        ),
        Example(
            {**LIBRARY, "examples/train.py": NETWORK + "test(out[data.val_mask])\n"}, "met", ["examples/train.py:10"]
        ),
        Example(LIBRARY, "not_applicable"),
        Example(
            {"train.py": NETWORK, "exp.py": _TEST_TWICE},
            "broken",
            ["exp.py:1"],
        ),
        Example({"train.py": NETWORK}, "no_evidence"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Masks of the parts of a graph, and parts of a hub's data set."""
        for attribute in module.nodes(ast.Attribute):
            if attribute.attr in _MASKS:
                yield fact_at(module, role, attribute, self.rule)
        for subscript in module.nodes(ast.Subscript):
            if isinstance(subscript.slice, ast.Constant) and subscript.slice.value in ("validation", "val", "valid"):
                yield fact_at(module, role, subscript, self.rule)
        for call in module.calls("DataLoader"):
            if call.args and any(part in ast.unparse(call.args[0]).lower() for part in ("val", "test", "dev")):
                yield fact_at(module, role, call, self.rule)

        assignments = module.nodes(ast.Assign)
        for assignment in assignments:
            if _validates_on_test(assignment, assignments):
                yield fact_at(module, role, assignment, _TEST_AS_VALIDATION)

    def contradictions(self, project: Facts) -> Iterator[Evidence]:
        """The test part under the name of the validation part."""
        for fact in project.notes(self.rule):
            if fact.name == _TEST_AS_VALIDATION:
                yield of(fact, f"the test part is taken to validate on: `{fact.text}`")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Splits, then what uses the parts, then settings."""
        yield from (of(fact) for fact in project.calls(*_SPLITS.split()))
        yield from (of(fact) for fact in project.landmarks("trade:splitter"))
        yield from (of(fact) for fact in project.definitions(*_FUNCTIONS.split()))
        yield from (of(fact) for fact in project.keywords(*_ARGUMENTS.split()))
        yield from (of(fact) for fact in project.notes(self.rule) if fact.name == self.rule)
        for setting in project.set_to(
            r"(^|[._])(val|valid|validation|test|holdout)_?(size|split|fraction|ratio|set|path)$"
        ):
            if setting.value:
                yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")

    def next_step(self, project: Facts) -> NextStep:
        """A function that makes three parts, seeded."""
        if project.landmarks(DEEP_TRAINING) and not project.is_kind("classical"):
            content = '''"""The parts of the data: fitted on, chosen on, and reported on once."""

import torch
from torch.utils.data import Dataset, Subset, random_split


def split(dataset: Dataset, seed: int = 0) -> list[Subset]:
    """70 % to train, 15 % to validate, 15 % to test; the same ones each time."""
    return random_split(dataset, [0.7, 0.15, 0.15], generator=torch.Generator().manual_seed(seed))
'''
        else:
            content = '''"""The parts of the data: fitted on, chosen on, and reported on once."""

import pandas as pd
from sklearn.model_selection import train_test_split


def split(df: pd.DataFrame, target: str, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """70 % to train, 15 % to validate, 15 % to test, with the classes in equal shares."""
    train, rest = train_test_split(df, test_size=0.3, stratify=df[target], random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, stratify=rest[target], random_state=seed)
    return train, validation, test
'''
        return NextStep("Split the data into three parts", "small", "split.py", content)


def _validates_on_test(assignment: ast.Assign, others: Sequence[ast.Assign]) -> bool:
    """Whether names of validation data are given what names of test data get too: the same call for the word `test`."""
    callee = _asked_for_test(assignment, _VALIDATION)
    return callee is not None and any(_asked_for_test(other, _TEST) == callee for other in others)


def _asked_for_test(assignment: ast.Assign, named: re.Pattern[str]) -> str | None:
    """What is called with the word `test`, where all names that get the result are called so."""
    target, value = assignment.targets[0], assignment.value
    names = target.elts if isinstance(target, ast.Tuple) else [target]
    if not isinstance(value, ast.Call) or not all(isinstance(n, ast.Name) and named.match(n.id) for n in names):
        return None
    passed = [*value.args, *(keyword.value for keyword in value.keywords)]
    words = [each.value.lower() for each in passed if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return ast.unparse(value.func) if "test" in words and not any(w.startswith(("val", "dev")) for w in words) else None
