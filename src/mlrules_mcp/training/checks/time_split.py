"""time-split."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.errors import NotApplicableError, NotSimulatedError, TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from pathlib import Path

    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.places import Place
    from mlrules_mcp.training.trials import Trials

STEPS = 10
OPERATORS = 3
PROFILED = 10


class TimeSplit(TrainingCheck):
    """The time of a training step is known: data, forward pass, backward pass, optimizer, and the slowest operators.

    Medians of up to ten steps, the first one left out, with the device awaited at each boundary. Then ten passes
    under torch.profiler name the operators that take most of the time, each without what it calls, and one forward
    pass timed call by call names the line of the model's own source that takes most of it. Times depend on what
    else runs on the machine: they are told and never broken. A simulated device has none of its own.
    """

    name = "time-split"
    rule = "optimization_rules.profile_training"

    def run(self, trials: Trials) -> CheckOutcome:
        """Time some steps, then look into some."""
        from mlrules_mcp.training.devices import SIMULATED  # noqa: PLC0415
        from mlrules_mcp.training.timing import PARTS, StepClock  # noqa: PLC0415

        if trials.device == SIMULATED:
            raise NotSimulatedError("not simulated: the time that a device takes")
        _ = trials.first
        clock = StepClock(trials.device, STEPS)
        try:
            trials.watch(clock)
        except TrainingFailedError as error:
            return self.outcome(trials, "not_applicable", f"This can't be looked at: {error}")
        if not clock.steps:
            return self.outcome(trials, "not_applicable", "The training has less than two steps.")
        seconds = {part: clock.seconds(part) for part in PARTS}
        whole = sum(seconds.values())
        figures: dict[str, Figure] = {"step_ms": 1000 * whole}
        figures |= {f"{part}_percent": round(100 * value / whole) for part, value in seconds.items()}
        message = f"A step takes {1000 * whole:.3g} ms: "
        message += ", ".join(f"{figures[f'{part}_percent']} % {part}" for part in PARTS)
        place = None
        try:
            operators, place, share = trials.on_first_batch(lambda bench: _profile(bench, trials.subject.source))
        except (NotApplicableError, TrainingFailedError) as error:
            message += f". Operators were not profiled: {error}".rstrip(".")
        else:
            figures |= {f"operator_{rank}": name for rank, name in enumerate(operators, start=1)}
            message += f". Slowest operators: {', '.join(operators)}"
            if place:
                figures["line_percent_of_forward"] = share
                message += f"; line {place.line} takes {share} % of the forward pass"
        return self.outcome(trials, "met", f"{message}.", place=place, figures=figures)


def _profile(bench: Bench, source: Path) -> tuple[list[str], Place | None, int]:
    """The slowest operators with their share of the time, and the slowest line with its share of the forward pass."""
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415

    from mlrules_mcp.training import devices  # noqa: PLC0415

    activities = {"cpu": [ProfilerActivity.CPU], "cuda": [ProfilerActivity.CPU, ProfilerActivity.CUDA]}
    bench.gradients()  # the first pass sets things up
    with profile(activities=activities.get(bench.device, [ProfilerActivity.CPU])) as profiler:
        for _ in range(PROFILED):
            bench.gradients()
            devices.synchronize(bench.device)
    taken: dict[str, float] = {
        event.key: event.self_device_time_total if bench.device == "cuda" else event.self_cpu_time_total
        for event in profiler.key_averages()
        if event.key.startswith("aten::")
    }
    whole = sum(taken.values()) or 1.0
    slowest = sorted(taken, key=taken.__getitem__, reverse=True)[:OPERATORS]
    operators = [f"{key.removeprefix('aten::')} {100 * taken[key] / whole:.0f} %" for key in slowest]
    return operators, *_slowest_line(bench, source)


def _slowest_line(bench: Bench, source: Path) -> tuple[Place | None, int]:
    """The line of `source` whose calls into PyTorch take the most time of a forward pass, and its share in percent."""
    from torch.overrides import TorchFunctionMode  # noqa: PLC0415

    from mlrules_mcp.training import devices  # noqa: PLC0415

    taken: dict[Place | None, float] = defaultdict(float)

    class Clock(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            start = time.perf_counter()
            out = func(*args, **(kwargs or {}))
            devices.synchronize(bench.device)
            taken[places.of_call(source)] += time.perf_counter() - start
            return out

    with Clock():
        bench.loss()
    whole, own = sum(taken.values()), {place: value for place, value in taken.items() if place}
    if not own:
        return None, 0
    slowest = max(own, key=own.__getitem__)
    return slowest, round(100 * own[slowest] / whole)
