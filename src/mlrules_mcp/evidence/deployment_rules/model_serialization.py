from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, NETWORK, SERVING, TRAINING
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED, place_to_change

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_FORMATS = (
    "safetensors.torch.save_file safetensors.torch.save_model torch.onnx.export torch.export.save torch.export.export "
    "torch.onnx.dynamo_export skl2onnx.to_onnx skl2onnx.convert_sklearn onnxmltools.convert_sklearn skops.io.dump "
    "joblib.dump joblib.load skops.io.load mlflow.sklearn.log_model mlflow.pytorch.log_model mlflow.pyfunc.log_model "
    "mlflow.xgboost.log_model mlflow.lightgbm.log_model mlflow.tensorflow.log_model mlflow.keras.log_model "
    "mlflow.transformers.log_model mlflow.sklearn.save_model mlflow.pyfunc.load_model mlflow.sklearn.load_model "
    "mlflow.pytorch.load_model tensorflow.saved_model.save tensorflow.keras.models.load_model keras.models.load_model "
    "tensorflow.keras.models.save_model keras.saving.load_model bentoml.sklearn.save_model bentoml.pytorch.save_model "
    "bentoml.xgboost.save_model onnxruntime.InferenceSession coremltools.convert "
    "lightning.pytorch.callbacks.ModelCheckpoint"
)
_METHODS = ".save_pretrained .to_onnx .to_torchscript .push_to_hub .save_model"
_REMOVED = "sklearn.externals.joblib.*"
_MODEL = re.compile(r"(?i)model|clf|classif|regress|pipe|estimator|forest|boost|svm|net\b")
_STATE = re.compile(r"state|ckpt|checkpoint|weights|params", re.I)


class ModelSerialization(Collector):
    """Models are stored in a form that another process, version or machine can load without running foreign code.

    ## Met
    State dicts, safetensors, ONNX, exported programs, a framework's own format, models of MLflow or BentoML, skops or
    joblib for scikit-learn.

    ## Broken
    A static check finds pickles of whole models or pickles that are loaded without a guard; or a loader that the
    library has removed.

    ## Not applicable
    No model is stored or loaded here.

    ## Never counts
    Pickled data, tokenizers, or arrays.

    ## References
    - https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
    - https://scikit-learn.org/stable/model_persistence.html
    - https://huggingface.co/docs/safetensors/
    """

    asks = Asked.of(
        calls=f"torch.save torch.load .load_state_dict pickle.dump pickle.load {_REMOVED} {_FORMATS} {_METHODS}"
    )
    would_count = "a state dict, safetensors, ONNX, an exported program, or a model of MLflow"
    examples = (
        Example({"train.py": f"{TRAINED}torch.save(model.state_dict(), 'model.pt')\n"}, "met", ["train.py:10"]),
        Example(
            {
                "app.py": """\
                from flask import Flask, request
                from sklearn.externals import joblib

                app = Flask(__name__)
                model = joblib.load("model.joblib")


                @app.route("/", methods=["POST"])
                def predict():
                    return {"answer": model.predict([request.json]).tolist()}
                """
            },
            "broken",
            ["app.py:5"],
        ),
        Example(
            {
                "app.py": """\
                import pickle

                from flask import Flask, request

                app = Flask(__name__)
                model = pickle.load(open("model.pkl", "rb"))


                @app.route("/", methods=["POST"])
                def predict():
                    return {"answer": model.predict([request.json]).tolist()}
                """
            },
            "no_evidence",
        ),
        Example({"train.py": TRAINED}, "not_applicable"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no model is stored, loaded or served."""
        if next(self.evidence(project), None):
            return None
        if project.landmarks(SERVING) or self._pickled(project):
            return project.lacks("code")
        return project.lacks("code") or f"No model is stored, loaded or served here{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """States, formats and methods of models that are stored."""
        saves = project.calls("torch.save")
        yield from (of(fact) for fact in saves if fact.arguments and _STATE.search(fact.arguments[0]))
        stored = project.calls(*_FORMATS.split())
        yield from (of(fact) for fact in stored if not fact.name.startswith("joblib.") or _MODEL.search(fact.text))
        if project.landmarks(NETWORK, DEEP_TRAINING, TRAINING, SERVING):
            yield from (of(fact) for fact in project.calls(*_METHODS.split()))
        for setting in project.set_to(r"(^|\.)_target_$", r"ModelCheckpoint$"):
            yield Evidence(setting.path, setting.line, f"`{setting.value}` writes checkpoints")

        loads = project.calls(".load_state_dict")
        yield from (of(fact) for fact in loads if _MODEL.search(fact.receiver))

    def contradictions(self, project: Facts) -> Iterator[Evidence]:
        """Loaders that are gone."""
        for fact in project.calls(_REMOVED):
            yield of(fact, f"scikit-learn 0.23 removed `sklearn.externals.joblib`: import joblib itself. `{fact.text}`")

    def _pickled(self, project: Facts) -> list[Fact]:
        pickled = project.calls("pickle.dump", "pickle.load")
        return [fact for fact in pickled if "model" in f"{fact.text} {fact.target}".lower()]

    def next_step(self, project: Facts) -> NextStep:
        """How to store what is here."""
        removed = next(iter(project.calls(_REMOVED)), None)
        if removed is not None:
            content = (
                "import joblib  # a package of its own; with scikit-learn pinned to the version that wrote the file\n"
            )
            return NextStep("Import joblib itself", "small", removed.path, content, removed.line)
        if project.landmarks(DEEP_TRAINING, NETWORK):
            path, line = place_to_change(project)
            content = (
                "from safetensors.torch import load_file, save_file\n\n"
                'save_file(model.state_dict(), "model.safetensors")\n# where it is used:\n'
                'model.load_state_dict(load_file("model.safetensors"))\n'
            )
            return NextStep("Store the weights as safetensors", "small", path, content, line)
        pickled = next(iter(self._pickled(project)), None)
        content = (
            "import skops.io as sio\n\n# where it is trained:\nsio.dump(model, 'model.skops')\n"
            "# where it is used: name the types that you trust\n"
            'model = sio.load("model.skops", trusted=sio.get_untrusted_types(file="model.skops"))\n'
        )
        path, line = (pickled.path, pickled.line) if pickled else ("train.py", None)
        return NextStep("Store the model in a form that runs no foreign code", "small", path, content, line)
