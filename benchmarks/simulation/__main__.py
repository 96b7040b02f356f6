"""The simulated device beside plain CPU training, and beside a real GPU where there is one.

Usage: python benchmarks/simulation [--json]

Models train for 20 steps on the CPU, on the simulated accelerator, as on CUDA, and on a GPU: how far the losses are
apart, and what the simulation costs in CPU time. Mistakes run as on CUDA, and on a GPU: whether the line that fails
is the right one, and whether the corrected code runs.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from cases import MODELS, Case
from mistakes import MISTAKES, Mistake

from mlrules_mcp.training.places import of_error
from mlrules_mcp.training.simulated.device import register
from mlrules_mcp.training.simulated.simulation import simulated_accelerator, simulated_cuda

STEPS = 20
BATCHES = 4
HAS_GPU = torch.cuda.is_available()


def losses(case: Case, device: str, around: AbstractContextManager[Any]) -> tuple[list[float], float]:
    """The losses of a training from a seed on a device, and the seconds of CPU time that it took."""
    torch.manual_seed(0)
    with around:
        model = case.make()
        batches = [case.batch() for _ in range(BATCHES)]
        model.to(device)
        optimizer = case.optimizer(model.parameters())
        found = []
        start = time.process_time()
        for step in range(STEPS):
            batch = tuple(each.to(device) for each in batches[step % BATCHES])
            optimizer.zero_grad()
            loss: Any = case.loss(model, batch)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found, time.process_time() - start


def compare(case: Case) -> dict[str, float | None]:
    """The largest difference of the losses to those on the CPU, and the cost in times its CPU time."""
    expected, seconds = losses(case, "cpu", nullcontext())
    simulated, cost = losses(case, "simulated", simulated_accelerator())
    as_cuda, cost_as_cuda = losses(case, "cuda", simulated_cuda())
    on_gpu = losses(case, "cuda", nullcontext())[0] if HAS_GPU else None
    return {
        "simulated": _apart(expected, simulated),
        "as_cuda": _apart(expected, as_cuda),
        "gpu": None if on_gpu is None else _apart(expected, on_gpu),
        "cost": cost / seconds,
        "cost_as_cuda": cost_as_cuda / seconds,
    }


def _apart(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def verdicts(mistake: Mistake, folder: Path) -> dict[str, bool | None]:
    """Whether the right line fails and the corrected code runs: simulated, and on a GPU."""
    needed = 2 if "cuda:1" in mistake.bad or "cuda(1)" in mistake.bad else 1
    on_gpu = torch.cuda.device_count() >= needed
    return {
        "named": _failing_line(mistake.bad, folder, simulated_cuda(2)) == mistake.line,
        "runs": _failing_line(mistake.good, folder, simulated_cuda(2)) is None,
        "gpu_named": _failing_line(mistake.bad, folder, nullcontext()) == mistake.line if on_gpu else None,
        "gpu_runs": _failing_line(mistake.good, folder, nullcontext()) is None if on_gpu else None,
    }


def _failing_line(code: str, folder: Path, around: AbstractContextManager[Any]) -> int | None:
    """The line that an error passes through last; 0 where it passes through none, None where there is no error."""
    file = folder / "case.py"
    file.write_text(code, encoding="utf-8")
    try:
        with around:
            exec(compile(code, str(file), "exec"), {"__name__": "case"})
    except Exception as error:
        place = of_error(error, file)
        return place.line if place else 0
    return None


def main() -> None:
    """Run all cases and print the tables."""
    register()  # before anything goes backward: PyTorch counts its devices once
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    models = {name: compare(case) for name, case in MODELS.items()}
    with tempfile.TemporaryDirectory() as folder:
        mistakes = {name: verdicts(mistake, Path(folder)) for name, mistake in MISTAKES.items()}
    if "--json" in sys.argv[1:]:
        print(json.dumps({"models": models, "mistakes": mistakes}))
    else:
        _print_models(models)
        _print_mistakes(mistakes)


def _print_models(models: dict[str, dict[str, float | None]]) -> None:
    print(f"{'model':34}{'simulated':>12}{'as CUDA':>12}{'GPU':>12}{'cost':>8}")
    for name, row in models.items():
        gpu = "no GPU here" if row["gpu"] is None else f"{row['gpu']:.1e}"
        print(f"{name:34}{row['simulated']:12.1e}{row['as_cuda']:12.1e}{gpu:>12}{row['cost']:7.1f}x")
    costs = [row["cost"] or 0.0 for row in models.values()]
    print(f"{len(models)} models, median cost {statistics.median(costs):.1f}x\n")


def _print_mistakes(mistakes: dict[str, dict[str, bool | None]]) -> None:
    shown = {True: "yes", False: "NO", None: "no GPU here"}
    print(f"{'mistake':52}{'named':>8}{'twin runs':>11}{'GPU: named':>13}{'twin runs':>13}")
    for name, row in mistakes.items():
        cells = [shown[row[key]] for key in ("named", "runs", "gpu_named", "gpu_runs")]
        print(f"{name:52}{cells[0]:>8}{cells[1]:>11}{cells[2]:>13}{cells[3]:>13}")
    right = sum(bool(row["named"] and row["runs"]) for row in mistakes.values())
    print(f"{right} of {len(mistakes)} mistakes named at the right line with a twin that runs")


if __name__ == "__main__":
    main()
