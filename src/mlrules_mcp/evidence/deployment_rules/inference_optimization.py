from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import SERVING
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_LOADERS = (
    "load",
    "load_model",
    "load_from_checkpoint",
    "from_checkpoint",
    "from_pretrained",
    "InferenceSession",
    "pipeline",
)
_RUNTIMES = (
    "onnxruntime.InferenceSession onnxruntime.quantization.* torch.ao.quantization.* torch.quantization.* torchao.* "
    "torch_tensorrt.compile tensorrt.* openvino.* optimum.* ctranslate2.* vllm.* tensorflow.lite.* "
    "triton_python_backend_utils.* bitsandbytes.*"
)
_NO_GRAD = frozenset({"torch.no_grad", "torch.inference_mode"})
_PREDICTS = re.compile(r"(?i)(^|_)(predict|infer|inference|generate|serve|translate|transcribe|detect|classify)")
_STARTS = re.compile(r"(?i)^(lifespan|startup|on_startup|startup_event|__init__|setup|load_\w+|get_\w*model\w*)$")
_LOADS_MODEL = re.compile(r"(?i)model|joblib|pickle|checkpoint|onnx|session|predictor|pipeline|\.pt\b|\.pth\b|\.pkl\b")


class InferenceOptimization(Collector):
    """Predictions are made without what only training needs, and the model is loaded once.

    ## Met
    Prediction functions under `no_grad` or `inference_mode`; a served model that is loaded at start; batches; a runtime
    or quantization for inference.

    ## Broken
    A static check finds models loaded for each request, single predictions in loops, or gradients kept; or a Streamlit
    script loads its model without a cache, that is again at every interaction.

    ## Not applicable
    Nothing serves predictions, and no function predicts.

    ## Never counts
    Evaluation during training.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html
    - https://docs.streamlit.io/develop/concepts/architecture/caching
    """

    asks = Asked.of(calls=_RUNTIMES)
    would_count = "predictions under `inference_mode`, a model loaded once at start, batches, or an inference runtime"
    examples = (
        Example(
            {
                "predict.py": """\
                import torch


                def predict(model, image):
                    model.eval()
                    with torch.inference_mode():
                        return model(image)
                """
            },
            "met",
            ["predict.py:6"],
        ),
        Example(
            {
                "app.py": """\
                import joblib
                from flask import Flask, request

                app = Flask(__name__)
                model = joblib.load("model.joblib")


                @app.route("/", methods=["POST"])
                def predict():
                    return {"answer": model.predict([request.json]).tolist()}
                """
            },
            "met",
            ["app.py:5"],
        ),
        Example(
            {
                "page.py": """\
                import streamlit as st
                import tensorflow as tf


                def page():
                    model = tf.keras.models.load_model("model")
                    st.write(model.predict(st.number_input("rooms")))
                """
            },
            "broken",
            ["page.py:6"],
        ),
        Example(
            {
                "app.py": """\
                from flask import Flask, request

                from forecasting import forecast

                app = Flask(__name__)


                @app.route("/", methods=["POST"])
                def answer():
                    model = forecast(request.json)
                    return {"answer": model.predict(request.json)}
                """
            },
            "no_evidence",
        ),
        Example(
            {
                "page.py": """\
                import streamlit as st
                import tensorflow as tf


                @st.cache_resource
                def load_model():
                    return tf.keras.models.load_model("model")


                model = load_model()
                st.write(model.predict(st.number_input("rooms")))
                """
            },
            "met",
            ["page.py:7"],
        ),
        Example({"train.py": TRAINED}, "not_applicable"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing predicts for anybody."""
        if project.landmarks(SERVING) or next(self.evidence(project), None) is not None:
            return project.lacks("code")
        return project.lacks("code") or f"Nothing serves predictions here, and no function predicts{project.extent}."

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Prediction without gradients; models that are loaded once, and those that Streamlit loads again."""
        yield from _without_gradients(module, role)
        web = module.imported_packages & {
            "flask",
            "fastapi",
            "starlette",
            "litserve",
            "bentoml",
            "ray",
            "gradio",
            "sanic",
        }
        streamlit = "streamlit" in module.imported_packages
        if not web and not streamlit:
            return
        own = {function.name for function in module.functions}
        for call in module.calls(*_LOADERS):
            line = ast.unparse(call)
            if not _LOADS_MODEL.search(line) or "json." in line or "yaml." in line or "dotenv" in line:
                continue
            function = module.enclosing_function(call)
            if isinstance(call.func, ast.Name) and call.func.id in own:  # what that does is looked at where it is
                continue
            if streamlit:
                if not _is_cached(module, call) and _is_of_model(module, call):
                    yield fact_at(module, role, call, "again")
                elif _is_cached(module, call):
                    yield fact_at(module, role, call, "once")
            elif function is None or _STARTS.match(function.name):
                yield fact_at(module, role, call, "once")
        for function in module.functions:
            if web and function.name in ("lifespan", "startup", "on_startup", "startup_event"):
                calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                loading = [call for call in calls if re.search(r"(?i)load|model", module.called_name(call) or "")]
                yield from (fact_at(module, role, call, "once") for call in loading[:1])

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """What was noted, then runtimes."""
        found = project.notes(self.rule)
        yield from (of(fact) for fact in found if fact.name == "no grad")
        yield from (of(fact, f"loaded once: `{fact.text}`") for fact in found if fact.name == "once")
        yield from (of(fact) for fact in project.calls(*_RUNTIMES.split()))

    def contradictions(self, project: Facts) -> Iterator[Evidence]:
        """What Streamlit loads at every interaction."""
        for fact in project.notes(self.rule):
            if fact.name == "again":
                yield of(
                    fact, f"Streamlit runs this again at every interaction, and loads the model anew: `{fact.text}`"
                )

    def next_step(self, project: Facts) -> NextStep:
        """A loader that runs once."""
        again = next((fact for fact in project.notes(self.rule) if fact.name == "again"), None)
        if again is not None:
            content = (
                "import streamlit as st\n\n\n@st.cache_resource  # loaded once for all sessions\ndef load_model():\n"
                f"    return {_value(again.text)}\n"
            )
            return NextStep("Load the model once, in a cached function", "small", again.path, content, again.line)
        place = next(iter(project.landmarks(SERVING)), None)
        content = (
            "# at module level, or in the application's start: once, not in the function that answers a request\n"
            'model = load_model("model")\n\n# for a PyTorch model, around the prediction:\n'
            "model.eval()\nwith torch.inference_mode():\n    answer = model(batch)\n"
        )
        path, line = (place.path, place.line) if place else ("serve.py", None)
        return NextStep("Load the model once and predict without gradients", "small", path, content, line)


def _without_gradients(module: Module, role: Role) -> Iterator[Fact]:
    for function in module.functions:
        if not _PREDICTS.search(function.name):
            continue
        if any(name in _NO_GRAD for name in module.decorator_names(function)):
            yield fact_at(module, role, function, "no grad")
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and module.qualified_name(node.func) in _NO_GRAD:
                yield fact_at(module, role, node, "no grad")
                break


def _is_cached(module: Module, call: ast.Call) -> bool:
    function = module.enclosing_function(call)
    return function is not None and any("cache" in name for name in module.decorator_names(function))


def _is_of_model(module: Module, call: ast.Call) -> bool:
    """Whether what is loaded is a model for certain, not data in a pickle."""
    name = module.qualified_name(call.func) or ""
    if name.endswith(("load_model", "from_pretrained", "load_from_checkpoint", "InferenceSession")):
        return True
    statement = module.statement(call)
    target = ast.unparse(statement.targets[0]) if isinstance(statement, ast.Assign) else ""
    return bool(re.search(r"(?i)model|clf|classifier|regressor", target))


def _value(text: str) -> str:
    return text.partition("=")[2].strip() if "=" in text.partition("(")[0] else text
