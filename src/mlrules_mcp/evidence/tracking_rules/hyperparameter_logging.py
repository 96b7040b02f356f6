from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import TRAINING
from mlrules_mcp.evidence.networks import LIGHTNING_TRAINED, NO_NETWORK, TRAINED, place_to_change
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "mlflow.log_param mlflow.log_params mlflow.autolog mlflow.sklearn.autolog mlflow.pytorch.autolog "
    "mlflow.xgboost.autolog mlflow.lightgbm.autolog mlflow.tensorflow.autolog mlflow.keras.autolog hydra.main "
    "ray.air.integrations.mlflow.MLflowLoggerCallback ray.tune.logger.mlflow.MLflowLoggerCallback "
    "ray.air.integrations.wandb.WandbLoggerCallback omegaconf.OmegaConf.save sacred.Experiment "
    "torch_geometric.logging.init_wandb"
)
_METHODS = (
    ".save_hyperparameters .log_hyperparams .log_hyperparameters .add_hparams .log_parameters .log_param .log_params "
    ".track_config .connect"
)
_DUMPS = "json.dump json.dumps yaml.dump yaml.safe_dump yaml.dump_all"
_ARGUMENTS = re.compile(r"(?i)\b(vars\(|args|hparams|hyper_?param)|(config|cfg|opts?|params)\.__dict__")
_SETTINGS = re.compile(r"(?i)(config|cfg|params|opt\b|options|settings)")


class HyperparameterLogging(Collector):
    """The values that a run was made with are kept with the run.

    ## Met
    A tracker is given the configuration; `save_hyperparameters` in a LightningModule; Hydra, which writes the
    configuration of each run; the arguments written to a file.

    ## Broken
    A static check finds a tracker that is told metrics and no hyperparameters, or a module that leaves them out.

    ## Not applicable
    Nothing is trained here, or the project is a library.

    ## Never counts
    Arguments that are only parsed, or printed to the screen.

    ## References
    - https://mlflow.org/docs/latest/ml/tracking/
    - https://docs.wandb.ai/guides/track/config
    """

    asks = Asked.of(calls=f"wandb.init .update {_CALLS} {_METHODS} {_DUMPS}", keywords="report_to")
    needs = ("training",)
    would_count = (
        "the configuration given to a tracker, `save_hyperparameters`, or the arguments written beside the results"
    )
    looked_in = "the code, notebooks, and what trackers wrote"
    examples = (
        Example(
            {"train.py": f"import wandb\n\nwandb.init(project='p', config={{'lr': 0.1}})\n{TRAINED}"},
            "met",
            ["train.py:3"],
        ),
        Example(
            {"train.py": f"import argparse\n\nargs = argparse.ArgumentParser().parse_args()\nprint(args)\n{TRAINED}"},
            "no_evidence",
            why="what is on the screen is gone with the terminal",
        ),
        Example(
            {
                "train.py": "import argparse\nimport json\n\nargs = argparse.ArgumentParser().parse_args()\n"
                f"json.dump(vars(args), open('args.json', 'w'))\n{TRAINED}"
            },
            "met",
            ["train.py:5"],
        ),
        Example(
            {
                "train.py": TRAINED,
                "utils.py": """\
                import json


                def save_config(config):
                    with open("params.json", "w") as file:
                        json.dump(config.__dict__, file, indent=4)
                """,
            },
            "met",
            ["utils.py:6"],
        ),
        Example({"train.py": LIGHTNING_TRAINED}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is trained, by the project or by its examples."""
        if project.landmarks(TRAINING, LIGHTNING_MODULE) and project.library:
            return None if next(self.evidence(project), None) else project.lacks("training")
        return project.lacks("training")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """What tells a tracker or a file."""
        starts = project.calls("wandb.init")
        yield from (of(fact) for fact in starts if fact.keyword("config") or fact.keyword("sync_tensorboard"))
        updates = project.calls(".update")
        yield from (of(fact) for fact in updates if fact.receiver.endswith(".config"))
        yield from (of(fact) for fact in project.calls(*_CALLS.split()) if not _is_unset(fact))
        methods = project.calls(*_METHODS.split())
        yield from (of(fact) for fact in methods if fact.name != ".connect" or "task" in fact.receiver.lower())
        dumps = project.calls(*_DUMPS.split())
        files = {fact.path for fact in project.landmarks(TRAINING, LIGHTNING_MODULE)}
        yield from (of(fact) for fact in dumps if _is_of_run(fact, files))
        yield from (of(fact) for fact in project.keywords("report_to") if "none" not in fact.text.lower())
        for path in project.paths("*mlruns/*/params/*", "*lightning_logs/*hparams.yaml", "*wandb/*/config.yaml")[:3]:
            yield Evidence(path, None, "a tracker wrote the parameters of a run")

    def next_step(self, project: Facts) -> NextStep:
        """The line that keeps them."""
        path, line = place_to_change(project)
        if line is None and (trained := next(iter(project.landmarks(TRAINING)), None)):
            path, line = trained.path, trained.line
        if project.landmarks(LIGHTNING_MODULE):
            content = "# in __init__ of the LightningModule, after super().__init__()\nself.save_hyperparameters()\n"
        else:
            content = (
                "import json\nfrom pathlib import Path\n\n# before training; `settings` is what the run was made with\n"
                'settings = vars(args)  # or a dictionary of the values: {"lr": …, "batch_size": …, "seed": …}\n'
                'Path("run.json").write_text(json.dumps(settings, indent=2, default=str), encoding="utf-8")\n'
            )
        return NextStep("Keep the hyperparameters with each run", "small", path, content, line)


def _is_of_run(fact: Fact, files: set[str]) -> bool:
    """Whether what is written are the values of a run: its arguments, or the configuration where it is trained."""
    written = fact.arguments[0] if fact.arguments else ""
    return bool(_ARGUMENTS.search(written) or (fact.path in files and _SETTINGS.search(written)))


def _is_unset(fact: Fact) -> bool:
    """Whether Hydra is told to leave the folder alone in which it writes the configuration."""
    return fact.name == "hydra.main" and not fact.keywords and not fact.arguments
