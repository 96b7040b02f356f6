from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE
from mlrules_mcp.evidence.steps import search_script

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

SEARCHES = (
    "optuna.create_study optuna.study.create_study ray.tune.Tuner ray.tune.run ray.tune.tuner.Tuner hyperopt.fmin "
    "wandb.sweep wandb.agent keras_tuner.* kerastuner.* skopt.gp_minimize skopt.forest_minimize skopt.dummy_minimize "
    "flaml.AutoML tpot.TPOTClassifier tpot.TPOTRegressor autosklearn.* bayes_opt.BayesianOptimization "
    "sklearn.model_selection.ParameterGrid sklearn.model_selection.ParameterSampler .hyperparameter_search "
    "pycaret.classification.tune_model pycaret.regression.tune_model ax.service.* nevergrad.optimizers.* "
    "lightning.pytorch.tuner.Tuner"
)
# Settings of Hydra's sweepers and of sweeps in Weights & Biases.
SWEEPS = r"(^|\.)hydra\.sweeper\.|(^|\.)sweeper\.(params|n_trials)"


class HyperparameterTuning(Collector):
    """Hyperparameters are searched for, and the search is in the code.

    ## Met
    A `*SearchCV`, an estimator that searches itself, a study or tuner of Optuna, Ray, HyperOpt, Keras Tuner and the
    like, sweeps in the configuration.

    ## Broken
    An error or warning of a static check, such as settings chosen on the test part.

    ## Not applicable
    Nothing is trained here, or the project is a library.

    ## Never counts
    Arguments of a command line that may be varied by hand.

    ## References
    - https://scikit-learn.org/stable/modules/grid_search.html
    """

    asks = Asked.of(calls=SEARCHES)
    needs = ("training",)
    would_count = "a `*SearchCV`, a study of Optuna or its kin, or a sweep in the configuration"
    looked_in = "the code, notebooks and configurations"
    shown_by_examples = True
    examples = (
        Example(
            {
                "train.py": f"""\
{TABLE}

from sklearn.model_selection import RandomizedSearchCV

search = RandomizedSearchCV(RandomForestClassifier(random_state=0), space, random_state=0)
"""
            },
            "met",
            ["train.py:13"],
        ),
        Example(
            {"train.py": NETWORK, "configs/search.yaml": "hydra:\n  sweeper:\n    n_trials: 20\n"},
            "met",
            ["configs/search.yaml:3"],
        ),
        Example({"train.py": NETWORK}, "no_evidence"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Searches in code, then sweeps in settings."""
        yield from (of(fact) for fact in project.landmarks("trade:search"))
        yield from (of(fact) for fact in project.calls(*SEARCHES.split()))
        for setting in project.set_to(SWEEPS):
            yield Evidence(setting.path, setting.line, f"a sweep: `{setting.key}`")
        for method in project.set_to(r"^method$", r"^(grid|random|bayes)$"):
            if any(each.path == method.path and each.key.startswith("parameters.") for each in project.settings):
                yield Evidence(method.path, method.line, f"a sweep by `{method.value}` search")

    def next_step(self, project: Facts) -> NextStep:
        """A script that searches the settings of the project's own model."""
        return NextStep("Search for the settings", "medium", "tune.py", search_script(project))
