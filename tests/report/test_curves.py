from __future__ import annotations

from itertools import pairwise

from mlrules_mcp.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, training_charts
from mlrules_mcp.training.result import DeviceReport, TrainingResult


def result(*devices: DeviceReport) -> TrainingResult:
    return TrainingResult("Net", 10, 0, devices, (), {}, 1.0)


def trained(*losses: float | None, steps: int = 0, device: str = "cpu", **more: object) -> DeviceReport:
    return DeviceReport(device, "CPU", "", steps or len(losses), losses, **more)  # type: ignore[arg-type]


def test_every_point_lies_within_the_axes_and_ticks_are_round_numbers() -> None:
    for losses in [(1.437, 0.3, 0.201), (5e-9, 3e-9), (-7.0, 1e9), (0.0, 0.0), (2.5,), (1e-6, 10.0, 3.0)]:
        (chart,) = training_charts(result(trained(*losses)))
        for curve in chart.curves:
            for x, y in (point for segment in curve.segments for point in segment):
                assert LEFT <= x <= WIDTH - RIGHT + 1e-6
                assert TOP - 1e-6 <= y <= HEIGHT - BOTTOM + 1e-6
        assert 2 <= len(chart.y_ticks) <= 9
        assert all(below[0] > above[0] for below, above in pairwise(chart.y_ticks))
    assert [label for _, label in training_charts(result(trained(1.437, 0.201)))[0].y_ticks][:3] == [
        "0.2",
        "0.4",
        "0.6",
    ]


def test_points_of_a_thinned_curve_stand_at_the_steps_that_they_were_taken_from() -> None:
    (chart,) = training_charts(result(trained(3.0, 2.0, 1.0, steps=101)))
    assert list(chart.curves[0].values) == [1, 51, 101]


def test_a_value_that_is_not_finite_breaks_the_line_and_is_told() -> None:
    (chart,) = training_charts(result(trained(3.0, 2.0, None, 1.0)))
    (curve,) = chart.curves
    assert [len(segment) for segment in curve.segments] == [2, 1]
    assert curve.svg_path.count("M") == 2
    assert curve.summary == "cpu: 3 to 1, 1 of 4 points not finite"


def test_a_training_that_was_never_finite_is_drawn_without_a_line() -> None:
    (chart,) = training_charts(result(trained(None, None)))
    assert chart.curves[0].segments == ()
    assert chart.summary == "Training loss by step. cpu: no finite value."


def test_a_loss_over_many_decades_is_drawn_logarithmically() -> None:
    (chart,) = training_charts(result(trained(300.0, 1.0, 0.02)))
    assert chart.logarithmic
    assert [label for _, label in chart.y_ticks] == ["0.01", "0.1", "1", "10", "100", "1000"]


def test_each_metric_has_a_chart_with_the_devices_that_measured_it() -> None:
    cpu = trained(2.0, 1.0, metric="val_accuracy", validation=(0.1, 0.9))
    gpu = trained(2.0, 1.0, device="cuda", metric="val_loss", validation=(1.0,))
    charts = training_charts(result(cpu, gpu, DeviceReport("mps", "GPU", "")))
    assert [(chart.title, [curve.label for curve in chart.curves]) for chart in charts] == [
        ("Training loss", ["cpu", "cuda"]),
        ("val_accuracy", ["cpu"]),
        ("val_loss", ["cuda"]),
    ]
    assert charts[1].curves[0].values == {0: 0.1, 1: 0.9}


def test_nothing_trained_gives_no_charts() -> None:
    assert training_charts(result(DeviceReport("cuda", "GPU", ""))) == []
