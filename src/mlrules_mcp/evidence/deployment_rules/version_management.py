from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import SERVING
from mlrules_mcp.evidence.networks import NO_NETWORK

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "mlflow.register_model wandb.Artifact wandb.run.link_artifact mlflow.get_run mlflow.search_runs "
    "mlflow.search_model_versions sagemaker.model.ModelPackage bentoml.models.get"
)
_METHODS = (
    ".set_registered_model_alias .get_model_version_by_alias .transition_model_version_stage .create_model_version "
    ".get_latest_versions .link_artifact .register_model .log_model_version .set_model_version_tag"
)
_DOWNLOADS = "torch.hub.load_state_dict_from_url torch.utils.model_zoo.load_url"
_RELEASE = r"releases/download/"
_SERVED = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")
def predict(rooms: float):
    return {"price": float(model.predict([[rooms]])[0])}
"""


class VersionManagement(Collector):
    """It is known which model is in use, and the one before can be put back.

    ## Met
    A model registry (versions, aliases, stages), a model that is served by its run, artifacts of kind model, pinned
    revisions or releases of weights, a documented rollback.

    ## Broken
    A static check finds a deployed file that is overwritten, as a warning.

    ## Not applicable
    Nothing is served or published here.

    ## Never counts
    The version of the package; a tracker without a registry.

    ## References
    - https://mlflow.org/docs/latest/ml/model-registry/
    - https://huggingface.co/docs/huggingface_hub/guides/download
    """

    asks = Asked.of(calls=f"{_CALLS} {_METHODS} {_DOWNLOADS}", keywords="registered_model_name")
    would_count = "a model registry with versions or aliases, a served run id, pinned releases of weights, a rollback"
    looked_in = "the code, notebooks and documents"
    examples = (
        Example(
            {
                "app.py": _SERVED.replace("import joblib", "import mlflow").replace(
                    'joblib.load("model.joblib")', 'mlflow.pyfunc.load_model("models:/price@champion")'
                ),
                "register.py": """\
                import mlflow

                mlflow.register_model("runs:/abc/model", "price")
                """,
            },
            "met",
            ["register.py:3"],
        ),
        Example({"app.py": _SERVED}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is served, and nothing shows versions of models."""
        if next(self.evidence(project), None):
            return None
        return project.lacks("serving")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Registries, runs, releases, rollbacks."""
        yield from (of(fact) for fact in project.calls(*_METHODS.split()))
        yield from (of(fact) for fact in _in_order(project) if fact.name != "wandb.Artifact" or _is_model(fact))
        yield from (of(fact) for fact in project.keywords("registered_model_name"))
        downloads = project.calls(*_DOWNLOADS.split())
        yield from (of(fact) for fact in downloads if any(_RELEASE in argument for argument in fact.arguments))
        if project.landmarks(SERVING):
            for section, match in project.told("", r"\brollback\b"):
                if section.cell is None and ("model" in section.text.lower() or "service" in section.text.lower()):
                    line = section.line_of(match.start())
                    yield Evidence(section.path, line, f"how to go back, under “{section.heading}”")

    def next_step(self, project: Facts) -> NextStep:
        """A manifest of versions beside the service."""
        place = next(iter(project.landmarks(SERVING)), None)
        served = f" ({place.path} loads what `current` says)" if place else ""
        content = f'''"""Which model is in use, and which was before{served}.

python model_versions.py promote models/2026-01-31 · python model_versions.py rollback
"""

import json
import sys
from pathlib import Path

MANIFEST = Path("models/versions.json")


def read() -> dict[str, object]:
    return json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else {{"current": None, "history": []}}


def promote(folder: str) -> None:
    """Make a folder (never overwritten: one for each training) the current version."""
    versions = read()
    history = [*versions["history"], versions["current"]] if versions["current"] else []
    _write({{"current": folder, "history": history}})


def rollback() -> None:
    """Make the version before the current one again."""
    versions = read()
    _write({{"current": versions["history"][-1], "history": versions["history"][:-1]}})


def _write(versions: dict[str, object]) -> None:
    MANIFEST.parent.mkdir(parents=True, exist_ok=True)
    MANIFEST.write_text(json.dumps(versions, indent=2), encoding="utf-8")


if __name__ == "__main__":
    promote(sys.argv[2]) if sys.argv[1] == "promote" else rollback()
'''
        return NextStep(
            "Keep each model in a folder of its own, with a manifest", "medium", "model_versions.py", content
        )


def _in_order(project: Facts) -> list[Fact]:
    """Registries first, then runs that are looked up."""
    return sorted(project.calls(*_CALLS.split()), key=lambda fact: fact.name.endswith(("_run", "_runs")))


def _is_model(fact: Fact) -> bool:
    return "model" in (fact.keyword("type") or "") or any("model" in argument for argument in fact.arguments[1:2])
