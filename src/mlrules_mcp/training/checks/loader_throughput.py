"""loader-throughput."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.errors import NotApplicableError, NotSimulatedError, TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from mlrules_mcp.training.trials import Trials

WORKERS = (0, 1, 2)
BATCHES = 20
SECONDS = 1.0
WORKER_SECONDS = 5.0  # for a worker to give its first batch
STEPS = 10
# Only far beyond what a busy machine could feign is the loader to blame: three times the step's own time.
SLOWER = 3.0
LEAST_SECONDS = 5e-3


class LoaderThroughput(TrainingCheck):
    """The loader gives its batches faster than the training step takes them.

    The training loader is run by itself with 0, 1 and 2 workers, for at most 20 batches or a second each, and put
    beside the speed of the step. It breaks where the evidence is strong, whatever else the machine does: the loader
    has no workers, and the processor time of its fastest batch is more than 5 ms and more than three times that of
    the fastest step. Speeds alone are told. An iterable dataset is not judged, as each worker would give all of it.
    """

    name = "loader-throughput"
    rule = "optimization_rules.efficient_data_loading"

    def run(self, trials: Trials) -> CheckOutcome:
        """Time the loader by itself, and the step by itself."""
        from mlrules_mcp.training.devices import SIMULATED  # noqa: PLC0415
        from mlrules_mcp.training.timing import StepClock  # noqa: PLC0415

        if trials.device == SIMULATED:
            raise NotSimulatedError("not simulated: the time that a device takes")
        clock = StepClock(trials.device, STEPS)
        try:
            loader = _loader(trials)
            trials.watch(clock)
            fastest, speeds = _alone(loader), _speeds(loader)
        except NotApplicableError as error:
            return self.outcome(trials, "not_applicable", str(error))
        except TrainingFailedError as error:
            return self.outcome(trials, "not_applicable", f"This can't be looked at: {error}")
        if not clock.steps:
            return self.outcome(trials, "not_applicable", "The training has less than two steps.")
        step = max(clock.fastest, min(clock.cpu_seconds))
        figures: dict[str, Figure] = {f"batches_per_second_{count}_workers": each for count, each in speeds.items()}
        figures |= {
            "steps_per_second_without_data": 1 / clock.fastest,
            "batch_cpu_ms": 1000 * fastest,
            "step_ms": 1000 * step,
            "workers": loader.num_workers,
        }
        told = ", ".join(f"{each:.3g} with {count}" for count, each in speeds.items() if each is not None)
        if loader.num_workers == 0 and fastest > max(LEAST_SECONDS, SLOWER * step):
            message = (
                f"The loader has no workers and needs {1000 * fastest:.3g} ms of processor time for its fastest batch, "
                f"a step {1000 * step:.3g} ms: the device waits. Set num_workers; batches/s by workers: {told}."
            )
            place = places.of_function(type(loader.dataset).__getitem__)
            return self.outcome(trials, "broken", message, place=place, figures=figures)
        message = f"The loader gives batches/s by workers: {told}; the step by itself takes {1 / clock.fastest:.3g}."
        return self.outcome(trials, "met", message, figures=figures)


def _loader(trials: Trials) -> DataLoader[Any]:
    from torch.utils.data import DataLoader, IterableDataset  # noqa: PLC0415

    loader = trials.first.data.train_dataloader()
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise NotApplicableError(
            "The training data does not come from one DataLoader with a dataset that has a length."
        )
    return loader


def _with_workers(loader: DataLoader[Any], workers: int) -> DataLoader[Any]:
    """The same loader with another number of workers."""
    from torch.utils.data import DataLoader  # noqa: PLC0415

    sampling: dict[str, Any] = {"batch_sampler": loader.batch_sampler}
    if loader.batch_sampler is None:
        sampling = {"batch_size": None, "sampler": loader.sampler}
    return DataLoader(
        loader.dataset,
        **sampling,
        num_workers=workers,
        # A worker that can't send what it has loaded, as where sockets' paths get too long, would be waited for.
        timeout=WORKER_SECONDS if workers else 0,
        collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context if workers else None,
    )


def _alone(loader: DataLoader[Any]) -> float:
    """The least processor time that a batch takes without workers, in seconds."""
    batches = iter(_with_workers(loader, 0))
    taken: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(taken) < BATCHES and (not taken or time.perf_counter() < end):
        start = time.process_time()
        if next(batches, None) is None:
            break
        taken.append(time.process_time() - start)
    if not taken:
        raise NotApplicableError("The loader gives no batch.")
    return min(taken)


def _speeds(loader: DataLoader[Any]) -> dict[int, float | None]:
    """The batches per second by the number of workers; None from the first number on that does not work here."""
    speeds: dict[int, float | None] = {}
    for count in WORKERS:
        speeds[count] = None if None in speeds.values() else _speed(loader, count)
    return speeds


def _speed(loader: DataLoader[Any], workers: int) -> float | None:
    """Batches per second after the first one, which waits for the workers to start; None if there are no two."""
    batches = iter(_with_workers(loader, workers))
    try:
        if next(batches, None) is None:
            return None
        count, start = 0, time.perf_counter()
        while count < BATCHES and time.perf_counter() < start + SECONDS and next(batches, None) is not None:
            count += 1
        return count / (time.perf_counter() - start) if count else None
    except (RuntimeError, OSError, AttributeError, TypeError):  # no process may be started, or the data can't be sent
        if workers == 0:
            raise
        return None
