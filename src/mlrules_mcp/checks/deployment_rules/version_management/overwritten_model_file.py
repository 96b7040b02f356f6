from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_SAVES: dict[str, tuple[str, int]] = {
    "torch.save": ("f", 1),
    "joblib.dump": ("filename", 1),
    "skops.io.dump": ("file", 1),
    "safetensors.torch.save_file": ("filename", 1),
    "safetensors.torch.save_model": ("filename", 1),
}
_METHODS: dict[str, tuple[str, int]] = {
    "save_model": ("fname", 0),
    "save_pretrained": ("save_directory", 0),
    "save_weights": ("filepath", 0),
    "save": ("filepath", 0),
}
_DEPLOYED = pattern(
    r"^(?!.*(cfg|config)).*?(?<![a-z])(deploy|deployment|deployed|prod|production|serving|serve|served|server|api|app|"
    r"webapp|backend)([/\\_.-]|$)",
    re.IGNORECASE,
)
_VERSIONED = pattern(
    r"(?<![a-z])v\d|\d{2,}|_\d+\b|[%{]|(?<![a-z])(version|epoch|step|date|time|timestamp|uuid|hash|tmp|temp|tests?)(?![a-z])",
    re.IGNORECASE,
)
_MODEL_FILE = pattern(
    r"\.(pt|pth|pkl|pickle|joblib|safetensors|keras|h5|hdf5|onnx|bin|model|json|ubj|cbm|txt)$|(^|[/\\_-])models?([/\\_-]|$)",
    re.IGNORECASE,
)
_REGISTRIES = frozenset("mlflow wandb neptune comet_ml clearml dvc bentoml sagemaker huggingface_hub zenml".split())


class OverwrittenModelFile(Check[ast.Call]):
    """A deployed model's file that the next one overwrites.

    ## What it does
    Advises against saving a model under a fixed name in a place that a service reads from (`deploy/`, `production/`,
    `serving/`, `api/`, `app/`), in files that use no registry.

    ## Why it matters
    The model that is being served is lost with the next training: nothing says which one answered a request, and if
    the new one is worse there is nothing to go back to.

    ## Do not flag
    Names with a version, date, run or number; models that go to a registry (MLflow, Weights & Biases, the Hub, DVC);
    a fixed name beside a versioned one; checkpoints and outputs of training that no service reads; tests.

    ## Fix safety
    No fix: how versions are named is the project's own.

    ## References
    - https://mlflow.org/docs/latest/ml/model-registry/
    - https://ml-ops.org/content/mlops-principles#versioning
    """

    names = frozenset({"save", "dump", "save_file", "save_model", "save_pretrained", "save_weights"})
    packages = TORCH | SKLEARN | frozenset("joblib skops keras tensorflow safetensors".split())
    examples = (
        Bad(
            """
            import joblib

            joblib.dump(model, «"api/model.joblib"»)
            """,
            advice=True,
        ),
        Bad(
            """
            import os
            import torch

            PATH = "deployment/models/classifier.pt"

            def publish(model):
                torch.save(model.state_dict(), «PATH»)
            """,
            advice=True,
        ),
        Bad(
            """
            from pathlib import Path
            from transformers import Trainer

            model.save_pretrained(«Path("serving") / "sentiment-model"»)
            """,
            advice=True,
        ),
        Good(
            """
            import joblib
            import torch

            joblib.dump(model, f"api/model-{version}.joblib")
            joblib.dump(model, "api/model-v3.joblib")
            torch.save(model.state_dict(), "checkpoints/best.pt")
            torch.save(model.state_dict(), args.output)
            np.save("app/embeddings.npy", embeddings)
            """,
            "with a version, or where no service reads",
        ),
        Good(
            """
            import joblib
            import mlflow

            joblib.dump(model, "serving/model.joblib")
            mlflow.register_model(uri, "classifier")
            """,
            "a registry keeps the versions",
        ),
        Good(
            """
            import joblib

            joblib.dump(model, f"models/{run}/model.joblib")
            joblib.dump(model, "api/model.joblib")
            """,
            "the last of several that are kept",
        ),
        Good(
            """
            import torch

            torch.save(model.state_dict(), "weights/latest_model.pth")
            torch.save(model.state_dict(), "cfg/deploy/yolo.pt")
            """,
            "the state of a training, and the name of a configuration",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        target = _target(node, module)
        path = _fixed_path(target, module) if target is not None else None
        if target is None or path is None or not _DEPLOYED.search(path) or not _MODEL_FILE.search(path):
            return
        if _VERSIONED.search(path) or is_test(module) or _keeps_versions(module):
            return
        yield self.finding(
            module,
            target,
            "The next training overwrites the model that is served from here, and there is nothing to go back to. "
            "Save under a name with a version or a date, or to a registry, and point the service to it.",
            advice=True,
        )


def _target(call: ast.Call, module: Module) -> ast.expr | None:
    """Where a call saves a model."""
    if (place := _SAVES.get(module.qualified_name(call.func) or "")) is not None:
        return argument(call, *place)
    match call.func:
        case ast.Attribute(attr=name) if name in _METHODS and len(call.args) <= 1:
            return None if module.qualified_name(call.func) else argument(call, *_METHODS[name])
    return None


def _fixed_path(expression: ast.expr, module: Module) -> str | None:
    """A path that is the same in each run; None where any part of it may change."""
    origins = module.origins(expression)
    if len(origins) != 1:
        return None
    match origins[0]:
        case ast.Constant(value=str(path)):
            return path
        case ast.BinOp(left=left, op=ast.Div() | ast.Add(), right=right):
            parts = [_fixed_path(left, module), _fixed_path(right, module)]
        case ast.Call(
            func=ast.Attribute(attr="join") | ast.Name(id="Path" | "join") | ast.Attribute(attr="Path"), args=args
        ):
            parts = [_fixed_path(arg, module) for arg in args]
        case _:
            return None
    return "/".join(part for part in parts if part is not None) if None not in parts else None


def _keeps_versions(module: Module) -> bool:
    """Whether the file uses a registry, or saves under names that change."""
    if module.imported_packages & _REGISTRIES or "push_to_hub" in module.source.code:
        return True
    saves = [call for call in module.calls(*OverwrittenModelFile.names) if (_target(call, module)) is not None]
    return any(
        isinstance(origin, ast.JoinedStr) for call in saves for origin in module.origins(_target(call, module) or call)
    )
