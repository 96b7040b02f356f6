"""Facts about what keeps the record of an experiment: trackers and what else writes results.

Seen on wandb 0.23, MLflow 3.6, comet_ml 3.54, TensorBoard 2.20.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# Packages that keep metrics, models or configurations, or run the training and keep them.
KEEPERS = frozenset(
    "wandb mlflow comet_ml neptune clearml aim tensorboardX tensorboard visdom swanlab dvclive sacred guild trackio "
    "accelerate transformers fastai ignite ray optuna deepspeed keras tensorflow catalyst composer logging loguru "
    "stable_baselines3 torchrl avalanche kfp zenml metaflow determined polyaxon aimstack trl diffusers".split()
)
_KEEPS = pattern(
    r"save|dump|export|write|^log|_log|checkpoint|ckpt|push|record|to_(csv|json|pickle|parquet|excel|onnx|torchscript)|"
    r"add_(scalar|image|figure|text)|Writer|Logger|store|persist|serial|upload|report|publish|savez|imsave|plot|fig|draw",
    re.IGNORECASE,
)


class Tracker(NamedTuple):
    """How a tracker is told of metrics and of hyperparameters.

    Attributes:
        starts: the qualified names of what starts a run.
        metrics: the last names of the calls that log metrics.
        settings: the names of calls, arguments and attributes that log hyperparameters.
        instead: how to log them, as code.
    """

    starts: frozenset[str]
    metrics: frozenset[str]
    settings: frozenset[str]
    instead: str


TRACKERS = {
    "wandb": Tracker(
        frozenset({"wandb.init"}),
        frozenset({"log"}),
        frozenset(
            {"config", "sweep", "agent", "save_hyperparameters", "log_hyperparams", "log_artifact", "WandbCallback"}
        ),
        "wandb.init(config={...})",
    ),
    "mlflow": Tracker(
        frozenset({"mlflow.start_run"}),
        frozenset({"log_metric", "log_metrics"}),
        frozenset(
            "log_param log_params autolog log_dict log_text set_tag set_tags log_input save_hyperparameters "
            "log_artifact log_artifacts run_name".split()
        ),
        "mlflow.log_params({...})",
    ),
    "comet_ml": Tracker(
        frozenset({"comet_ml.Experiment", "comet_ml.start", "comet_ml.ExistingExperiment"}),
        frozenset({"log_metric", "log_metrics"}),
        frozenset({"log_parameter", "log_parameters", "log_hyperparams", "log_code", "log_asset"}),
        "experiment.log_parameters({...})",
    ),
}


def keeps_something(module: Module) -> bool:
    """Whether a file may write anything that outlives a run: a model, metrics, a figure, a log."""
    return module.fact(_keeps_something)


def _keeps_something(module: Module) -> bool:
    if module.imported_packages & KEEPERS:
        return True
    if any("tensorboard" in (statement.module or "") for statement in module.nodes(ast.ImportFrom)):
        return True
    if any(_KEEPS.search(module.called_name(call) or "") for call in module.nodes(ast.Call)):
        return True
    return any(_opens_to_write(call) for call in module.calls("open"))


def _opens_to_write(call: ast.Call) -> bool:
    mode = argument(call, "mode", 1)
    return mode is not None and not (isinstance(mode, ast.Constant) and str(mode.value).startswith("r"))
