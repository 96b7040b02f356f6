from __future__ import annotations

from mlrules_mcp.report.text import training_text
from mlrules_mcp.training.result import CheckOutcome, DeviceReport, TrainingResult


def test_the_training_check_is_told_by_device_and_verdict() -> None:
    result = TrainingResult(
        model="Sample",
        parameters=1234,
        seed=0,
        devices=(
            DeviceReport("cpu", "CPU", "2 cores", 10, (2.0, None, 0.5), "val_accuracy", (0.1, 0.9), 50.0, 2**20, 1.0),
            DeviceReport("cuda", "GPU", ""),
        ),
        checks=(
            CheckOutcome("loss", "a.b", "cpu", "met", "It falls."),
            CheckOutcome("loss", "a.b", "cuda", "broken", "It raised.", "model.py", 7),
        ),
        versions={"torch": "2.13.0"},
        seconds=2.5,
    )
    assert training_text(result) == (
        "Trained Sample (1,234 parameters, seed 0); torch 2.13.0.\n"
        "cpu (CPU, 2 cores): loss 2.000 -> 0.500 in 10 steps; val_accuracy 0.900; 50 steps/s; peak memory 1 MiB\n"
        "cuda (GPU): did not train\n"
        "met  cpu  loss [a.b]: It falls.\n"
        "broken  cuda  loss [a.b]: It raised. (model.py:7)\n"
        "1 check broken; 2.5 s."
    )
