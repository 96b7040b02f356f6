import json
import math

from mlrules_mcp.training.result import CheckOutcome, DeviceReport, TrainingResult


def result_with(losses=(1.5, 0.5), figures=None, status="met"):
    device = DeviceReport(
        device="cpu",
        name="A processor",
        hardware="2 cores",
        steps=2,
        losses=losses,
        metric="val_accuracy",
        validation=(0.25, 0.75),
        steps_per_second=100.0,
        peak_memory_bytes=1024,
        seconds=0.5,
    )
    outcome = CheckOutcome("a-check", "block.rule", "cpu", status, "It holds.", "model.py", 3, figures or {"steps": 2})
    return TrainingResult(
        model="Model",
        parameters=12,
        seed=0,
        devices=(device,),
        checks=(outcome,),
        versions={"python": "3.11"},
        seconds=1.0,
    )


def test_a_result_survives_json():
    result = result_with()
    assert TrainingResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_the_answer_has_the_fields_that_scripts_rely_on():
    answer = result_with().to_dict()
    assert {"devices", "checks"} <= answer.keys()
    assert answer["checks"] == [
        {
            "check": "a-check",
            "rule": "block.rule",
            "device": "cpu",
            "status": "met",
            "message": "It holds.",
            "path": "model.py",
            "line": 3,
            "figures": {"steps": 2},
        }
    ]


def test_numbers_that_are_not_finite_become_null_in_strict_json():
    result = result_with(losses=(1.0, math.nan, math.inf), figures={"norm": -math.inf, "steps": 3})
    answer = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert answer["devices"][0]["losses"] == [1.0, None, None]
    assert answer["checks"][0]["figures"] == {"norm": None, "steps": 3}


def test_only_what_is_broken_counts_as_broken():
    assert result_with(status="not_applicable").broken == []
    assert [outcome.check for outcome in result_with(status="broken").broken] == ["a-check"]
