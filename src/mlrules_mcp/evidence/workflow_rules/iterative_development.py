from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.drafts import experiment_log
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import ESTIMATOR
from mlrules_mcp.evidence.programs import NETWORK, PLAIN
from mlrules_mcp.evidence.sklearn_rules.hyperparameter_tuning import SEARCHES, SWEEPS
from mlrules_mcp.evidence.tree import TRACKERS

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_COMPARES = (
    "mlflow.search_runs mlflow.set_experiment .search_runs .get_best_run wandb.Api wandb.sweep wandb.agent "
    "tensorboard.plugins.hparams.* comet_ml.API aim.Repo"
)
_NAMED_RUN = frozenset({"name", "group", "tags", "run_name", "job_type"})
_CONFIG_FOLDERS = re.compile(
    r"(^|/)(experiments?|ablations?|sweeps?|hparams_search|recipes|runs)/[^/]+\.(ya?ml|json|toml)$"
)
_HEADINGS = r"experiment|result|ablation|leaderboard|benchmark|iteration|what (we|i) tried|lessons"
_ROW = re.compile(r"^\s*\|.*\d[.,]\d.*\|\s*$", re.M)
_TRIED = re.compile(
    r"\b(baseline|experiment|ablat|tune|tuning|hyper-?param|learning rate|augment|accuracy|auc|f1|rmse|mae|"
    r"val(idation)? loss|improves? .*(score|model|loss)|try |bigger (model|net)|dropout)\b",
    re.I,
)


class IterativeDevelopment(Collector):
    """Models get better in small steps that are compared.

    ## Met
    Runs that are named, grouped or compared with a tracker, several configurations of experiments, a search over
    settings, several models tried side by side, tables of results in the documents, tracker folders with several runs,
    a git history that tells of at least three experiments.

    ## Broken
    Never: what was tried may be written elsewhere.

    ## Not applicable
    Nothing is trained here, or the project is a library.

    ## Never counts
    One call of a tracker for whatever run, a single configuration, a folder's name without several files in it.

    ## References
    - https://developers.google.com/machine-learning/guides/rules-of-ml
    """

    asks = Asked.of(calls=f"{_COMPARES} {SEARCHES} wandb.init mlflow.start_run")
    needs = ("training",)
    would_count = (
        "runs that are named and compared with a tracker, several configurations of experiments, a table of results, "
        "or a history of experiments"
    )
    looked_in = "the code, notebooks, configurations, documents, tracker folders and the git history"
    examples = (
        Example(
            {"train.py": f'{NETWORK}\nimport wandb\n\nwandb.init(project="churn", name="deeper", tags=["depth"])\n'},
            "met",
            ["train.py:13"],
        ),
        Example({"train.py": f'{NETWORK}\nimport wandb\n\nwandb.init(project="churn")\n'}, "no_evidence"),
        Example(
            {
                "train.py": NETWORK,
                "configs/experiment/wide.yaml": "width: 512\n",
                "configs/experiment/deep.yaml": "depth: 12\n",
            },
            "met",
            ["configs/experiment/deep.yaml:1", "configs/experiment/wide.yaml:1"],
        ),
        Example(
            {
                "train.py": NETWORK,
                "EXPERIMENTS.md": "# Results\n\n| run | AUC |\n| --- | --- |\n| a | 0.71 |\n| b | 0.74 |\n",
            },
            "met",
            ["EXPERIMENTS.md:5"],
        ),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Comparisons in code, configurations, models side by side, documents, folders, history."""
        yield from (of(fact) for fact in project.calls(*_COMPARES.split()))
        for fact in project.calls("wandb.init", "mlflow.start_run"):
            if not _NAMED_RUN.isdisjoint(name for name, _ in fact.keywords):
                yield of(fact, f"runs with names: `{fact.text}`")
        yield from (of(fact) for fact in (*project.landmarks("trade:search"), *project.calls(*SEARCHES.split())))
        yield from _configurations(project)
        yield from _side_by_side(project)
        for section, _ in project.told(_HEADINGS):
            rows = list(_ROW.finditer(section.text))
            if len(rows) > 1:
                line = section.line_of(rows[0].start() + len(rows[0][0]) - len(rows[0][0].lstrip("\n")))
                yield Evidence(section.path, line, f"{len(rows)} results under “{section.heading}”", section.cell)
        yield from _runs(project)
        yield from _history(project)

    def next_step(self, project: Facts) -> NextStep:
        """A log of experiments with what is known filled in."""
        return NextStep("Begin a log of experiments", "small", "EXPERIMENTS.md", experiment_log(project))


def _configurations(project: Facts) -> Iterator[Evidence]:
    found = [path for path in project.files if _CONFIG_FOLDERS.search(path)]
    if len(found) > 1 or any(project.set_to(SWEEPS)):
        for path in found[:3]:
            yield Evidence(path, 1, f"one of {len(found)} configurations of experiments")
    for setting in project.set_to(SWEEPS)[:1]:
        yield Evidence(setting.path, setting.line, f"a sweep: `{setting.key}`")


def _side_by_side(project: Facts) -> Iterator[Evidence]:
    by_file: dict[str, dict[str, Evidence]] = {}
    for fact in project.landmarks(ESTIMATOR):
        by_file.setdefault(fact.path, {}).setdefault(fact.called, of(fact))
    for tried in by_file.values():
        if len(tried) > 2:
            first = next(iter(tried.values()))
            yield Evidence(first.path, first.line, f"{len(tried)} models side by side: {first.message}", first.cell)


def _runs(project: Facts) -> Iterator[Evidence]:
    runs: dict[str, set[str]] = {}
    for path in project.files:
        parts = PurePosixPath(path).parts
        tracker = next((number for number, part in enumerate(parts) if part in TRACKERS), None)
        if tracker is not None and len(parts) > tracker + 2:
            runs.setdefault("/".join(parts[: tracker + 1]), set()).add("/".join(parts[: tracker + 3]))
    for folder, found in runs.items():
        if len(found) > 1:
            yield Evidence(folder, None, f"{len(found)} runs are kept here")


def _history(project: Facts) -> Iterator[Evidence]:
    commits = project.history.commits if project.history else ()
    tried = [commit for commit in commits if _TRIED.search(commit.subject)]
    if len(tried) > 2:
        yield Evidence(".git", None, f"{len(tried)} commits tell of experiments, such as “{tried[0].subject[:80]}”")
