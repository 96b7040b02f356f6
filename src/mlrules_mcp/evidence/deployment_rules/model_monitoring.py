from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import SERVING
from mlrules_mcp.evidence.networks import NO_NETWORK, where

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_PACKAGES = (
    "evidently.* whylogs.* nannyml.* alibi_detect.* deepchecks.* arize.* fiddler.* phoenix.* aporia.* "
    "prometheus_client.* prometheus_fastapi_instrumentator.* prometheus_flask_exporter.* starlette_exporter.* "
    "opentelemetry.metrics.* frouros.* river.drift.* torchdrift.* datadog.*"
)
_OWN = (
    "drift log_prediction log_inference prediction_log inference_log record_prediction population_stability psi_score"
)
_SERVED = """\
from fastapi import FastAPI

app = FastAPI()
model = load("model")

@app.post("/predict")
def predict(rooms: float):
    return {"price": float(model.predict([[rooms]])[0])}
"""


# By framework: what of prometheus_client exposes the metrics, and how it is put in place.
_EXPOSED = {
    "fastapi": ("make_asgi_app", 'app.mount("/metrics", make_asgi_app())'),
    "flask": (
        "make_wsgi_app",
        'app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": make_wsgi_app()}), of werkzeug',
    ),
    "streamlit": ("start_http_server", "start_http_server(9100), in a function under st.cache_resource"),
    "gradio": ("start_http_server", "start_http_server(9100), before launch()"),
}
_MODULE = '''"""Watches what the service predicts ({served}): Prometheus reads it from /metrics."""

import csv
import time
from pathlib import Path

from prometheus_client import Counter, Histogram, {made}

PREDICTIONS = Counter("predictions_total", "Predictions made", ["model_version"])
VALUES = Histogram("prediction_value", "Predicted values or probabilities", ["model_version"])
SECONDS = Histogram("prediction_seconds", "Time of a prediction")
LOG = Path("predictions.csv")

EXPOSE = {made}  # where the service starts: {how}


def record(features: dict[str, float], prediction: float, model_version: str) -> None:
    """Call it with each prediction. The file is what drift is computed from, against the training data."""
    PREDICTIONS.labels(model_version).inc()
    VALUES.labels(model_version).observe(prediction)
    is_new = not LOG.exists()
    with LOG.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["time", "model_version", *features, "prediction"])
        writer.writerow([time.time(), model_version, *features.values(), prediction])
'''


class ModelMonitoring(Collector):
    """Somebody notices when a served model gets worse: its inputs, predictions and errors are watched.

    ## Met
    Calls of a monitoring library (Evidently, whylogs, NannyML, Alibi Detect, Prometheus and others); functions of the
    project that compute drift or keep predictions.

    ## Broken
    Never: what is missing has no place.

    ## Not applicable
    Nothing serves predictions here.

    ## Never counts
    A health check; a dependency that nothing calls; logs of requests without predictions.

    ## References
    - https://docs.evidentlyai.com/
    - https://prometheus.io/docs/instrumenting/clientlibs/
    """

    asks = Asked.of(calls=_PACKAGES, definitions=_OWN)
    needs = ("serving",)
    would_count = "calls of a monitoring library, metrics of predictions, a check of drift, logged predictions"
    looked_in = "the code and notebooks"
    examples = (
        Example(
            {
                "app.py": "from prometheus_client import Histogram\n"
                + _SERVED
                + '\n\nPRICES = Histogram("price", "Predicted")\n',
            },
            "met",
            ["app.py:12"],
        ),
        Example({"app.py": _SERVED, "requirements.txt": "evidently==0.7.20\n"}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Libraries that are called, then functions of the project's own."""
        yield from (of(fact) for fact in project.calls(*_PACKAGES.split()))
        yield from (of(fact) for fact in project.definitions(*_OWN.split()) if not fact.text.startswith("class Test"))

    def next_step(self, project: Facts) -> NextStep:
        """Metrics of predictions for the service that is here."""
        place = next(iter(project.landmarks(SERVING)), None)
        framework = place.called.partition(".")[0] if place else ""
        made, how = _EXPOSED.get(framework, _EXPOSED["fastapi"])
        content = _MODULE.format(served=where(place) if place else "the service", made=made, how=how)
        return NextStep("Record and expose what the service predicts", "medium", "monitoring.py", content)
