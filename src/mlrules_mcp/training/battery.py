"""Runs every check on every device asked for: the worker's work, without its channel."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import lightning
import torch

from mlrules_mcp import __version__
from mlrules_mcp.training import devices, sample
from mlrules_mcp.training.budget import Budget, OutOfTime
from mlrules_mcp.training.checks import TrainingCheck, all_checks
from mlrules_mcp.training.checks.trains_on_every_device import TrainsOnEveryDevice
from mlrules_mcp.training.errors import NotSimulatedError, TrainingError, TrainingFailedError, quote
from mlrules_mcp.training.result import CheckOutcome, DeviceReport, TrainingResult
from mlrules_mcp.training.spread import Spread
from mlrules_mcp.training.trials import Subject, Trials

CURVE_POINTS = 24
SHARED = ("cpu", "cuda")  # where Lightning's strategies for several processes run
_FASTER = "Raise --time-limit, or pass a smaller batch or model."

SAMPLE = Subject(
    name="WaveformClassifier",
    model=sample.WaveformClassifier,
    data=partial(sample.Waveforms, num_workers=0),
    source=Path(sample.__file__),
    epochs=4,
    # So small a model is fastest on one thread, above all on a busy machine: where another process held a core,
    # two threads took forty times as long.
    threads=1,
)


def run_battery(
    requested: str,
    *,
    seed: int,
    folder: Path,
    full: bool = False,
    subject: Subject = SAMPLE,
    spread: Spread | None = None,
    seconds: float | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, message: None,
) -> TrainingResult:
    """Train the subject on each device and let every check look.

    Args:
        requested: a device's name, `auto` for every device that is there and the simulated one where no accelerator
            is, or `all` for the simulated one in any case.
        seed: what every training starts from.
        folder: where checkpoints may be written.
        full: run the slow checks, too.
        subject: what is trained.
        spread: the processes that train together with this one, on one device: CUDA if it is there, or the CPU.
        seconds: for all of it; a check that takes more than its share is given up. None gives them all the time.
        progress: told, before each check, how many of how many steps are done and what comes next.

    Raises:
        TrainingError: the device is not there, or memory ran out.
    """
    start = time.perf_counter()
    chosen = choose_devices(requested)
    plan = {device: _checks(device == chosen[0], full) for device in chosen}
    if spread is not None:
        chosen = (_shared_device(requested),)
        plan = {chosen[0]: [check for check in all_checks() if spread.strategy in check.strategies]}
    total = 1 + sum(map(len, plan.values()))  # the first step was to import torch
    reports: list[DeviceReport] = []
    outcomes: list[CheckOutcome] = []
    parameters = None
    devices.prepare(chosen)
    budget = Budget(seconds)
    for device in chosen:
        trials = Trials(subject, device, seed, folder, spread)
        with devices.made_present(device):
            for check in plan[device]:
                progress(1 + len(outcomes), total, f"{device}: {check.name}")
                outcomes.append(_run(check, trials, budget, first=device == chosen[0]))
            reports.append(report(trials))
        parameters = parameters or _parameters(trials)
    return TrainingResult(
        model=subject.name,
        parameters=parameters,
        seed=seed,
        devices=tuple(reports),
        checks=tuple(outcomes),
        versions={
            "mlrules-mcp": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "platform": platform.platform(),
        },
        seconds=_rounded(time.perf_counter() - start),
        notes=subject.notes,
    )


def choose_devices(requested: str) -> tuple[str, ...]:
    """The devices to train on, in the order of `devices.present`; raises TrainingError for one that is absent."""
    there = devices.present()
    if requested == "all" or (requested == "auto" and there == ("cpu",)):
        return (*there, devices.SIMULATED)
    if requested == "auto":
        return there
    if requested in (*there, devices.SIMULATED):
        return (requested,)
    present = ", ".join(there)
    message = f"There is no {requested} device that PyTorch {torch.__version__} can use. Present: {present}."
    raise TrainingError("device-absent", message)


def _checks(first: bool, full: bool) -> list[TrainingCheck]:
    chosen = [check for check in all_checks() if (full or not check.slow) and (first or not check.once)]
    # Where this one fails or takes too long, the others have nothing to say.
    return sorted(chosen, key=lambda check: not isinstance(check, TrainsOnEveryDevice))


def _shared_device(requested: str) -> str:
    """The kind of device that every process trains on; raises TrainingError if it is none that several can share."""
    there = [device for device in devices.present() if device in SHARED]
    if requested not in ("auto", *there):
        message = f"Several processes can train together on {' or '.join(there)} here, not on {requested}."
        raise TrainingError("bad-argument", message)
    return there[-1] if requested == "auto" else requested


def report(trials: Trials) -> DeviceReport:
    """How the first training on this device went; only the device's name and size if it failed."""
    description = devices.describe(trials.device)
    if trials.spread is not None:
        description = replace(description, hardware=f"{description.hardware}; {trials.spread.description}")
    try:
        trial = trials.first
    except (TrainingFailedError, NotSimulatedError):
        return description
    seen = trial.recorder
    return replace(
        description,
        steps=len(seen.losses),
        losses=_curve(seen.losses.tolist()),
        metric=seen.metric,
        validation=_curve(seen.validation),
        steps_per_second=None if seen.steps_per_second is None else _rounded(seen.steps_per_second),
        peak_memory_bytes=trial.peak_memory_bytes,
        seconds=_rounded(trial.seconds),
    )


def _run(check: TrainingCheck, trials: Trials, budget: Budget, first: bool) -> CheckOutcome:
    try:
        with budget.share():
            outcome = check.run(trials)
    except OutOfTime:
        if first and isinstance(check, TrainsOnEveryDevice):
            message = f"A training on {trials.device} takes too long for the time limit. {_FASTER}"
            raise TrainingError("timed-out", message) from None
        message = f"Given up: it took more than its share of the time limit. {_FASTER}"
        return check.outcome(trials, "not_applicable", message)
    except NotSimulatedError as error:
        return check.outcome(trials, "not_simulated", f"{error}.")
    except TrainingFailedError:
        message = f"The model could not be trained on {trials.device}; see {TrainsOnEveryDevice.name}."
        return check.outcome(trials, "not_applicable", message)
    except TrainingError:
        raise
    except (Exception, SystemExit) as error:  # what a check did not think of is no verdict on a model
        return check.outcome(trials, "not_applicable", f"This check can't look at this model: {quote(error)}.")
    if outcome.path is not None and trials.subject.made_by(outcome.path):
        outcome = replace(outcome, path=None, line=None)
    figures = {name: _rounded(value) if isinstance(value, float) else value for name, value in outcome.figures.items()}
    return replace(outcome, figures=figures)


def _parameters(trials: Trials) -> int | None:
    try:
        model = trials.first.model
    except (TrainingFailedError, NotSimulatedError):
        return None
    return sum(value.numel() for value in model.parameters() if value.requires_grad)


def _curve(values: list[float]) -> tuple[float, ...]:
    if len(values) > CURVE_POINTS:
        last = len(values) - 1
        values = [values[round(point * last / (CURVE_POINTS - 1))] for point in range(CURVE_POINTS)]
    return tuple(_rounded(value) for value in values)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
