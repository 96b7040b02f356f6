from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.drafts import data_report
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DATA, DATASET, TRAINING
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE, notebook
from mlrules_mcp.patterns import pattern

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_LOOKS = ("describe", "info", "value_counts", "isna", "isnull", "nunique", "hist", "corr", "skew", "duplicated")
_FRAMES = frozenset({"pandas", "polars", "pyspark", "dask", "cudf", "modin"})
_PLOTS = (
    "histplot distplot displot pairplot boxplot countplot violinplot scatterplot kdeplot jointplot catplot "
    "swarmplot stripplot PairGrid FacetGrid"
).split()
_PROFILES = (
    "ydata_profiling.* pandas_profiling.* sweetviz.* great_expectations.* pandera.* missingno.* dtale.* autoviz.* "
    "evidently.* deepchecks.* tensorflow_data_validation.* whylogs.* ge.* "
    f"{' '.join(f'seaborn.{plot}' for plot in _PLOTS)} "
    "statsmodels.tsa.stattools.adfuller statsmodels.graphics.tsaplots.plot_acf "
    "statsmodels.tsa.seasonal.seasonal_decompose"
)
# What else has an `info()`.
_NO_FRAME = pattern(r"(?i)log|client|redis|conn|model|device|session|cursor|process")
_CARD = r"data ?(set)? ?(card|sheet|description|dictionary|understanding|exploration|analysis)|exploratory|^eda$"


class DataUnderstanding(Collector):
    """Somebody looked at the data before a model did.

    ## Met
    Summaries, counts, missing values and plots of data frames before the first fit of the same file, or in a file that
    fits nothing; profiles and validated schemas; statistical tests of series; a section of the documents that describes
    the data in more than a sentence. Tests that validate the data count.

    ## Broken
    An error or warning of a static check, such as a comparison with NaN.

    ## Not applicable
    No data is read and nothing is trained, or the project is a library.

    ## Never counts
    Summaries of results after the fit, `model.info()`, seaborn that is imported and not called.

    ## References
    - https://arxiv.org/abs/1803.09010
    """

    asks = Asked.of(calls=_PROFILES)
    would_count = (
        "`describe`, `isna`, `value_counts` or plots of the data before the first fit, a profile, a validated schema, "
        "or a description of the data in the documents"
    )
    looked_in = "the code, notebooks, tests and documents"
    examples = (
        Example(
            {
                "eda.py": 'import pandas as pd\n\ndf = pd.read_csv("churn.csv")\nprint(df.describe())\n',
                "train.py": TABLE,
            },
            "met",
            ["eda.py:4"],
        ),
        Example(
            {"train.py": TABLE + "    results.describe()\n"},
            "no_evidence",
            why="what comes after the fit is no look at the data",
        ),
        Example({"layers.py": NETWORK + "model.info()\n"}, "no_evidence"),
        Example(
            {"1. train.ipynb": notebook(f"{NETWORK}\nclass Cats(torch.utils.data.Dataset):\n    pass\n")},
            "no_evidence",
            why="what is defined in a notebook can't be imported",
        ),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Looks at data frames, before the first fit of the file."""
        if module.imported_packages.isdisjoint(_FRAMES):
            return
        fits = [call.lineno for call in module.calls("fit", "fit_transform") if len(call.args) > 1]
        first_fit = min(fits, default=None)
        for call in module.calls(*_LOOKS):
            if not isinstance(call.func, ast.Attribute) or module.qualified_name(call.func):
                continue
            is_message = call.func.attr == "info" and bool(call.args or _NO_FRAME.search(ast.unparse(call.func.value)))
            is_drawing = call.func.attr == "hist" and ast.unparse(call.func.value).startswith(("ax", "fig"))
            if not is_message and not is_drawing and (first_fit is None or call.lineno < first_fit):
                yield fact_at(module, role, call, self.rule)

    def not_applicable(self, project: Facts) -> str | None:
        """Where there is no data, there is none to understand."""
        if reason := super().not_applicable(project):
            return reason
        if library := project.library:
            return f"This is a library: {library.message} The data is its users'."
        if project.landmarks(TRAINING) and (reason := project.lacks("data")):
            return reason
        if project.landmarks(DATA, DATASET, TRAINING) or project.notes(self.rule):
            return None
        return f"No data is read and nothing is trained here{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Looks, profiles and schemas, then descriptions."""
        yield from (of(fact) for fact in project.notes(self.rule))
        read = {fact.path for fact in project.landmarks(DATA)}
        for fact in project.calls(*_PROFILES.split(), roles=("code", "tests")):
            # Plots show results as well: what a file draws that reads no data is no look at it.
            if not fact.called.startswith("seaborn.") or fact.path in read or fact.path.endswith(".ipynb"):
                yield of(fact)
        for section, _ in project.told(_CARD):
            if len(section.text.split()) > 30 and section.cell is None:
                yield Evidence(section.path, section.line, f"“{section.heading}” describes the data", section.cell)

    def next_step(self, project: Facts) -> NextStep:
        """A script that shows what is in the project's data."""
        return NextStep("Look at the data", "small", "explore_data.py", data_report(project))
