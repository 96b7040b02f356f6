"""The curves of a training laid out for drawing: where lines, ticks and labels go, for SVG and PNG alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from mlrules_mcp.training.result import TrainingResult

Point: TypeAlias = tuple[float, float]

WIDTH, HEIGHT = 560.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 10.0, 10.0, 36.0
_DECADES_FOR_LOGARITHM = 2.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One device's line.

    Attributes:
        label: the device.
        values: what is drawn, by the x value it belongs to; None where it was not a finite number.
        segments: the unbroken parts of the line, in the chart's units, y downwards.
    """

    label: str
    values: dict[int, float | None]
    segments: tuple[tuple[Point, ...], ...]

    @property
    def svg_path(self) -> str:
        """The line as the `d` of an SVG path; a lone point is a line without length, which a round cap shows."""
        return "".join(
            "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (segment if len(segment) > 1 else segment * 2))
            for segment in self.segments
        )

    @property
    def summary(self) -> str:
        """The line in words."""
        finite = [value for value in self.values.values() if value is not None]
        gaps = len(self.values) - len(finite)
        text = f"{self.label}: {finite[0]:.4g} to {finite[-1]:.4g}" if finite else f"{self.label}: no finite value"
        return text + (f", {gaps} of {len(self.values)} points not finite" if gaps and finite else "")


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over one pair of axes, `WIDTH` by `HEIGHT`.

    Attributes:
        title: what the curves are of.
        x_title: what they go over.
        logarithmic: whether y is; said beside the title.
        x_ticks: place and label, from left to right.
        y_ticks: place and label, from below.
        curves: one a device.
    """

    title: str
    x_title: str
    logarithmic: bool
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    curves: tuple[Curve, ...]

    @property
    def summary(self) -> str:
        """The chart in words, for those who can't see it."""
        return f"{self.title} by {self.x_title}. {'; '.join(curve.summary for curve in self.curves)}."

    @property
    def xs(self) -> list[int]:
        """Every x value that some curve has, in order."""
        return sorted({x for curve in self.curves for x in curve.values})


def training_charts(result: TrainingResult) -> list[Chart]:
    """The training loss of all devices, and each validation metric; what no device has is left out."""
    losses = {
        report.device: dict(zip(_steps(report.steps, len(report.losses)), report.losses, strict=True))
        for report in result.devices
        if report.losses
    }
    charts = [_chart("Training loss", "step", losses)] if losses else []
    for metric in dict.fromkeys(report.metric for report in result.devices if report.metric):
        values = {
            report.device: dict(enumerate(report.validation))
            for report in result.devices
            if report.metric == metric and report.validation
        }
        charts += [_chart(metric, "epoch", values)] if values else []
    return charts


def _steps(steps: int, points: int) -> list[int]:
    """The steps that evenly thinned points stand for, counted from 1."""
    return [1 + round(point * (steps - 1) / max(points - 1, 1)) for point in range(points)]


def _chart(title: str, x_title: str, series: dict[str, dict[int, float | None]]) -> Chart:
    finite = [value for values in series.values() for value in values.values() if value is not None]
    logarithmic = bool(finite) and min(finite) > 0 and math.log10(max(finite) / min(finite)) >= _DECADES_FOR_LOGARITHM
    scale = math.log10 if logarithmic else float
    y_marks = _decades(finite) if logarithmic else _marks(min(finite, default=0.0), max(finite, default=1.0))
    low, high = scale(y_marks[0]), scale(y_marks[-1])
    xs = [x for values in series.values() for x in values]
    first, last = min(xs), max(*xs, min(xs) + 1)

    def x_place(x: float) -> float:
        return LEFT + (x - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y_place(y: float) -> float:
        return HEIGHT - BOTTOM - (scale(y) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def segments(values: dict[int, float | None]) -> tuple[tuple[Point, ...], ...]:
        runs = groupby(values.items(), key=lambda point: point[1] is not None)
        return tuple(tuple((x_place(x), y_place(y)) for x, y in run if y is not None) for there, run in runs if there)

    x_marks = [mark for mark in _marks(first, last) if first <= mark <= last and mark == int(mark)]
    return Chart(
        title,
        x_title,
        logarithmic,
        tuple((x_place(mark), f"{mark:g}") for mark in x_marks),
        tuple((y_place(mark), f"{mark:.6g}") for mark in y_marks),
        tuple(Curve(label, values, segments(values)) for label, values in series.items()),
    )


def _marks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers, about so many, that reach from at most `low` to at least `high`."""
    span = (high - low) or abs(high) or 1.0
    unit = 10.0 ** math.floor(math.log10(span / about))
    step = min((unit * factor for factor in (1, 2, 5, 10)), key=lambda step: abs(span / step - about))
    start = math.floor(low / step + 1e-9)
    stop = max(math.ceil(high / step - 1e-9), start + 1)
    return [float(f"{number * step:.12g}") for number in range(start, stop + 1)]


def _decades(values: Sequence[float]) -> list[float]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    every = max(1, math.ceil((high - low) / 6))
    return [10.0**exponent for exponent in range(low, high + every, every)]
