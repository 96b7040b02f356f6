from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.drafts import comparison_script
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE, notebook
from mlrules_mcp.patterns import pattern

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_TESTS = (
    "scipy.stats.ttest_ind scipy.stats.ttest_rel scipy.stats.wilcoxon scipy.stats.mannwhitneyu scipy.stats.bootstrap "
    "scipy.stats.friedmanchisquare scipy.stats.permutation_test scipy.stats.sem scipy.stats.kruskal "
    "statsmodels.stats.contingency_tables.mcnemar statsmodels.stats.proportion.proportion_confint "
    "mlxtend.evaluate.mcnemar mlxtend.evaluate.paired_ttest_5x2cv mlxtend.evaluate.bootstrap_point632_score "
    "sklearn.model_selection.permutation_test_score sklearn.utils.resample torchmetrics.BootStrapper "
    "torchmetrics.wrappers.BootStrapper scikit_posthocs.* rliable.*"
)
_SCORES = pattern(
    r"(?i)(^|[_.\W])(acc(urac(y|ies))?s?|scores?|f1s?|aucs?|rmses?|maes?|mses?|dices?|ious?|results?)\b|_score"
)
_FIGURES = r"\d[.,]\d+\s*%?\s*(±|\+/-|\\pm)\s*\d+(?:[.,]\d+)?"


class StatisticalSignificance(Collector):
    """A difference between two models is compared with what chance does.

    ## Met
    A statistical test or a bootstrap, functions of confidence intervals, the standard deviation of scores over folds or
    seeds, results with their spread in the documents or in what a notebook shows.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    Nothing is trained here, or the project is a library that shows none.

    ## Never counts
    Standard deviations of data, repeated runs whose spread is not looked at.

    ## References
    - https://jmlr.org/papers/v7/demsar06a.html
    """

    asks = Asked.of(
        calls=_TESTS, definitions="bootstrap_ci confidence_interval significance bootstrap_metric paired_test"
    )
    needs = ("training",)
    would_count = "scores with their spread over seeds or folds, an interval, a bootstrap or a test"
    looked_in = "the code, notebooks and documents"
    shown_by_examples = True
    examples = (
        Example(
            {"train.py": TABLE, "compare.py": "from scipy.stats import ttest_rel\n\nprint(ttest_rel(ours, theirs))\n"},
            "met",
            ["compare.py:3"],
        ),
        Example({"train.py": NETWORK + "print(accuracies.mean(), accuracies.std())\n"}, "met", ["train.py:10"]),
        Example({"train.py": NETWORK + "x = (x - x.mean()) / x.std()\n"}, "no_evidence", why="that is data"),
        Example({"a.ipynb": notebook(NETWORK, shown="AUC 0.812 ± 0.011\n")}, "met", ["a.ipynb:1:1"]),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """The spread of scores."""
        for call in module.calls("std", "stdev", "sem", "nanstd"):
            measured = [*call.args[:1]]
            if isinstance(call.func, ast.Attribute) and module.qualified_name(call.func) is None:
                measured = [call.func.value]
            if any(_SCORES.search(ast.unparse(each)) for each in measured):
                yield fact_at(module, role, call, self.rule)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Tests, intervals, spreads, and figures with a spread."""
        yield from (of(fact) for fact in project.calls(*_TESTS.split()) if "shuffle" not in fact.text)
        yield from (of(fact) for fact in project.definitions(*self.asks.definitions))
        yield from (of(fact, f"the spread of scores: `{fact.text}`") for fact in project.notes(self.rule))
        for section, match in project.told("", _FIGURES):
            yield Evidence(section.path, section.line_of(match.start()), f"with its spread: {match[0]}", section.cell)
        yield from project.shown(rf"^.*{_FIGURES}.*$")

    def next_step(self, project: Facts) -> NextStep:
        """A script that compares the scores of two models over the same seeds."""
        return NextStep("Compare models over several seeds", "medium", "compare_models.py", comparison_script(project))
