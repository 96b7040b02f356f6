from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, TRAINING
from mlrules_mcp.evidence.networks import LIGHTNING_TRAINED, NO_NETWORK, TRAINED, foremost, place_to_change
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_MODELS = (
    "torch.save joblib.dump sklearn.externals.joblib.dump pickle.dump cloudpickle.dump dill.dump skops.io.dump "
    "safetensors.torch.save_file safetensors.torch.save_model mlflow.sklearn.log_model mlflow.pytorch.log_model "
    "mlflow.pyfunc.log_model mlflow.xgboost.log_model mlflow.lightgbm.log_model mlflow.tensorflow.log_model "
    "mlflow.keras.log_model mlflow.transformers.log_model mlflow.sklearn.save_model mlflow.log_artifact "
    "mlflow.log_artifacts wandb.save wandb.Artifact wandb.log_artifact tensorflow.saved_model.save "
    "lightning.pytorch.callbacks.ModelCheckpoint keras.callbacks.ModelCheckpoint numpy.save numpy.savez "
    "tensorflow.keras.callbacks.ModelCheckpoint ray.train.Checkpoint.from_directory bentoml.sklearn.save_model "
    "bentoml.pytorch.save_model torch.onnx.export"
)
_METHODS = (
    ".save_pretrained .save_model .save_weights .save_checkpoint .save_state .log_model .log_artifact .push_to_hub"
)
_MODEL = re.compile(r"(?i)(^|[._])(model|net|network|clf|classifier|regressor|learn(er)?|agent|trainer|estimator)\w*$")


class ArtifactManagement(Collector):
    """What a training makes outlives it: the model, its metrics, its predictions.

    ## Met
    A model, checkpoint, array of results or artifact of a tracker is written.

    ## Broken
    A static check finds a training that writes nothing.

    ## Not applicable
    Nothing is trained here, or the project is a library without examples.

    ## Never counts
    Prepared data that is written; figures; loading of others' weights.

    ## References
    - https://mlflow.org/docs/latest/ml/tracking/
    - https://docs.wandb.ai/guides/artifacts
    """

    asks = Asked.of(calls=f".save {_MODELS} {_METHODS}")
    needs = ("training",)
    would_count = "a model, checkpoint, metrics or artifact that is written after training"
    looked_in = "the code, notebooks and configurations"
    examples = (
        Example({"train.py": f"{TRAINED}torch.save(model.state_dict(), 'model.pt')\n"}, "met", ["train.py:10"]),
        Example(
            {
                "train.py": """\
                import joblib
                import pandas as pd
                from sklearn.linear_model import LinearRegression

                df = pd.read_csv("homes.csv")
                model = LinearRegression().fit(df.drop(columns="price"), df["price"])
                joblib.dump(model, "model.joblib")
                """
            },
            "met",
            ["train.py:7"],
        ),
        Example({"train.py": TRAINED}, "broken"),
        Example({"train.py": f"{TRAINED}frame.to_csv('cleaned.csv')\n"}, "no_evidence", why="data are no result"),
        Example({"train.py": LIGHTNING_TRAINED}, "met", why="the Trainer writes a checkpoint by default"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is trained, by the project or by its examples."""
        if project.library and next(self.evidence(project), None):
            return None
        return project.lacks("training")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """What is written."""
        yield from (of(fact) for fact in foremost(project, project.calls(*_MODELS.split(), *_METHODS.split())))
        yield from (of(fact) for fact in project.calls(".save") if _MODEL.search(fact.receiver))
        for setting in project.set_to(r"(^|\.)_target_$", r"ModelCheckpoint$"):
            yield Evidence(setting.path, setting.line, f"`{setting.value}` in the configuration")
        if project.landmarks(LIGHTNING_MODULE):
            fits = [fact for fact in project.landmarks(DEEP_TRAINING) if _is_fit(fact)]
            yield from (of(fact, f"the Trainer writes a checkpoint: `{fact.text}`") for fact in fits)

    def next_step(self, project: Facts) -> NextStep:
        """The lines that write the model and its metrics."""
        path, line = place_to_change(project)
        if line is None and (trained := next(iter(project.landmarks(TRAINING)), None)):
            path, line = trained.path, trained.line
        if project.landmarks(DEEP_TRAINING):
            save = 'torch.save(model.state_dict(), folder / "model.pt")\n'
        else:
            save = 'joblib.dump(model, folder / "model.joblib")  # import joblib\n'
        content = (
            "import json\nfrom pathlib import Path\n\n# after training\n"
            'folder = Path("runs") / run_name\nfolder.mkdir(parents=True, exist_ok=True)\n'
            f'{save}(folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")\n'
        )
        return NextStep("Write the model and its metrics after training", "small", path, content, line)


def _is_fit(fact: Fact) -> bool:
    return ".fit(" in fact.text
