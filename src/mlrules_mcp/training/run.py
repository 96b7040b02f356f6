"""Runs the training check in a worker process and waits for it; knows neither torch nor lightning."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from mlrules_mcp.training.confinement import default_memory
from mlrules_mcp.training.errors import INSTALL, TrainingError
from mlrules_mcp.training.process import WorkerProcess, started
from mlrules_mcp.training.result import TrainingResult
from mlrules_mcp.training.spread import Spread
from mlrules_mcp.training.target.request import Target

DEVICES = ("auto", "all", "cpu", "cuda", "mps", "xpu", "simulated")
TIME_LIMIT = 120.0
LARGEST_SEED = 2**32 - 1  # numpy takes no larger one
LOG_LINES = 12
LEAST_MEMORY = 256 * 2**20

WORKER = (sys.executable, "-P", "-X", "faulthandler", "-m", "mlrules_mcp.training.worker")

# A job of a cluster or of torchrun that this process may be part of is not the worker's; PL_TRAINER_* would change
# the Trainer's defaults, and Lightning does not survive warnings that are made errors.
FOREIGN_PREFIXES = ("PL_", "SLURM_", "TORCHELASTIC_", "JSM_")
FOREIGN = {"RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "PYTHONWARNINGS"}


# How faulthandler begins, and names a line.
_STACKS = re.compile(r"^(Fatal Python error: |Timeout \()", re.MULTILINE)
_FRAME = re.compile(r'File "(.+?)", line (\d+) in ')


class Progress(NamedTuple):
    """How far the check is: `done` grows; `total` is None until the devices are known."""

    done: int
    total: int | None
    message: str


OnProgress: TypeAlias = Callable[[Progress], Awaitable[None]]


async def check_training(
    device: str = "auto",
    *,
    seed: int = 0,
    full: bool = False,
    spread: Spread | None = None,
    target: Target | None = None,
    time_limit: float = TIME_LIMIT,
    memory_limit: int | None = None,
    progress: OnProgress | None = None,
) -> TrainingResult:
    """Train a model on the devices of this machine and say what the checks found.

    Everything happens in a process of its own, which is gone with all its children and files when this returns,
    raises or is cancelled. Nothing that it prints reaches this process's output.

    Args:
        device: one of `DEVICES`; `auto` is every device that is there, and the simulated one where no accelerator
            is; `all` adds that always.
        seed: what all randomness follows from, 0 to 2**32 - 1.
        full: run the slow checks, too.
        spread: this process's place among those that torchrun has started, each of which calls this; None is alone.
        target: the user's module, whose code is run; None is our sample. It is confined as `confinement` tells.
        time_limit: the most seconds that it may take.
        memory_limit: the most bytes that a target may take; None is half of this machine's memory.
        progress: awaited with each step that begins.

    Raises:
        TrainingError: it could not run; `reason` says of what kind.
    """
    if device not in DEVICES:
        raise TrainingError("bad-argument", f"Unknown device {device!r}. Choose one of: {', '.join(DEVICES)}.")
    if not 0 <= seed <= LARGEST_SEED:
        raise TrainingError("bad-argument", f"The seed must be from 0 to {LARGEST_SEED}, not {seed}.")
    if not 0 < time_limit < math.inf:
        raise TrainingError("bad-argument", f"The time limit must be some seconds above 0, not {time_limit}.")
    require_installed()
    command = [*WORKER, "--device", device, "--seed", str(seed), *(["--full"] if full else [])]
    if spread is not None:
        command += ["--nodes", str(spread.nodes), "--strategy", spread.strategy]
    source = None
    if target is not None:
        memory = default_memory() if memory_limit is None else memory_limit
        if memory < LEAST_MEMORY:
            message = f"The memory limit must be at least {LEAST_MEMORY / 2**20:.0f} MiB, which torch itself takes."
            raise TrainingError("bad-argument", message)
        command += ["--target", target.to_json(), "--memory-limit", str(memory), "--time-limit", str(time_limit)]
        source = Path(target.root)
    return TrainingResult.from_dict(await run_worker(command, time_limit, progress, source, spread))


def require_installed() -> None:
    """Raise a TrainingError that says what to install, if torch or lightning is missing."""
    missing = [name for name in ("torch", "lightning") if find_spec(name) is None]
    if missing:
        message = f"The training check needs {' and '.join(missing)}; install with: {INSTALL}"
        raise TrainingError("not-installed", message)


async def run_worker(
    command: Sequence[str],
    time_limit: float,
    progress: OnProgress | None,
    source: Path | None = None,
    spread: Spread | None = None,
) -> dict[str, Any]:
    """Run a worker's command in a temporary folder until it has sent its result.

    The worker writes one JSON object a line to its stdout: `{"progress": {"done", "total", "message"}}` any
    number of times, then `{"result": …}` or `{"error": {"reason", "message"}}`. Other lines are passed over.

    Args:
        command: the program and its arguments.
        time_limit: seconds.
        progress: awaited with each step that begins.
        source: the folder of the user's code, if it runs any: its line is named where the worker was ended.
        spread: what the worker joins, if there are other processes.

    Returns:
        What stood under `result`.

    Raises:
        TrainingError: the worker sent an error, ran out of time, or ended without a result.
    """
    folder = Path(tempfile.mkdtemp(prefix="mlrules-train-"))
    environment = _environment(folder) | (spread.variables() if spread else {})
    try:
        async with started(command, folder=folder, environment=environment) as worker:
            try:
                async with asyncio.timeout(time_limit) as deadline:
                    return await _listen(worker, progress, source)
            except TimeoutError:
                if not deadline.expired():
                    raise
                message = (
                    f"The training check reached its time limit of {time_limit:g} s and was ended{_at(worker, source)}."
                )
                raise TrainingError("timed-out", message, _tail(worker)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _listen(worker: WorkerProcess, progress: OnProgress | None, source: Path | None) -> dict[str, Any]:
    doing = "starting"
    while (line := await worker.lines.get()) is not None:
        match _parsed(line):
            case {"progress": {"done": int(done), "total": total, "message": str(message)}}:
                doing = message
                if progress is not None:
                    await progress(Progress(done, total, message))
            case {"result": dict(result)}:
                return result
            case {"error": {"reason": reason, "message": str(message)}}:
                raise TrainingError(reason, message)
    where = f" It was at: {doing}{_at(worker, source)}." if source is not None else ""
    raise TrainingError("worker-died", _cause_of_death(worker.exit_code) + where, _tail(worker))


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"The training worker ended with exit code {exit_code} and without a result."
    name = signal.Signals(-exit_code).name
    hint = ", which most often means that memory ran out" if name == "SIGKILL" else ""
    return f"The training worker was ended by {name}{hint}."


def _tail(worker: WorkerProcess) -> str:
    """The last lines that were printed, without the stacks that faulthandler writes."""
    printed, _ = _log_and_stacks(worker)
    return "\n".join(printed.splitlines()[-LOG_LINES:])


def _at(worker: WorkerProcess, source: Path | None) -> str:
    """`, at FILE:LINE`, the innermost line of the user's in the stacks that faulthandler wrote."""
    if source is None:
        return ""
    for path, line in _FRAME.findall(_log_and_stacks(worker)[1]):
        if Path(path).is_relative_to(source) and "site-packages" not in path:
            return f", at {Path(path).relative_to(source).as_posix()}:{line}"
    return ""


def _log_and_stacks(worker: WorkerProcess) -> tuple[str, str]:
    log = worker.log.decode("utf-8", errors="replace")
    start = _STACKS.search(log)
    return (log[: start.start()], log[start.start() :]) if start else (log, "")


def _environment(folder: Path) -> dict[str, str]:
    """The variables for a worker: ours, less what is about another job, with its folder for temporary files."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in FOREIGN and not name.startswith(FOREIGN_PREFIXES)
    }
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    return kept | temporary | {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
