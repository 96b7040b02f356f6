"""sync-count."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.errors import TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from torch import Tensor

    from mlrules_mcp.training.places import Place
    from mlrules_mcp.training.trials import Trials

NAMED = 4
READ, COPIED, COUNTED = "is read as a number", "is copied to the CPU", "gives another tensor its shape"
# What returns a tensor whose shape depends on values, so that it waits for them.
SHAPED_BY_VALUES = frozenset(
    "nonzero masked_select _unique2 unique_dim unique_consecutive bincount repeat_interleave equal".split()
)


class Sync(NamedTuple):
    """One way of waiting: what for, whether its values are floating-point numbers, and in which of the own lines."""

    kind: str
    floating: bool
    place: Place | None


class SyncCount(TrainingCheck):
    """No step of the training waits for the device to read a floating-point value.

    Counted are the second and the third step, from the batch being there to the optimizer's step being done, on
    every device but the CPU, which is never waited for. `.item()`, `float(loss)`, `print(loss)`, `.cpu()`,
    `.tolist()` and the like on a tensor of the device stop Python until all work queued there is done, and the
    device idles until Python has queued more. It breaks where the same line of the model's own source reads
    floating-point values in both steps. Counted alone are integers and conditions (`if mask.any()`), operations
    whose result takes its shape from values (boolean masks, `nonzero`), and what libraries do: these may be what
    the model is about.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.set_sync_debug_mode.html.
    """

    name = "sync-count"
    rule = "pytorch_rules.avoid_item_calls"

    def run(self, trials: Trials) -> CheckOutcome:
        """Count what waits in two steps."""
        if trials.device == "cpu":
            return self.outcome(trials, "not_applicable", "The CPU is never waited for.")
        _ = trials.first
        try:
            steps = _syncs_of_two_steps(trials)
        except TrainingFailedError as error:
            return self.outcome(trials, "not_applicable", f"This can't be looked at: {error}")
        if len(steps) < 2:
            return self.outcome(trials, "not_applicable", "The training has less than three steps.")
        each = steps[0] & steps[1]
        reads = {sync: count for sync, count in each.items() if sync.place and sync.floating and sync.kind != COUNTED}
        own = sum(count for sync, count in each.items() if sync.place)
        figures: dict[str, Figure] = {
            "float_reads_per_step": sum(reads.values()),
            "other_syncs_per_step": own - sum(reads.values()),
            "library_syncs_per_step": each.total() - own,
        }
        if not reads:
            waits = "never waits for the device" if not own else f"waits {own} times for integers, conditions or shapes"
            return self.outcome(trials, "met", f"The code of the training step {waits}.", figures=figures)
        found = [f"a tensor {sync.kind} in line {sync.place.line}" for sync in reads if sync.place][:NAMED]
        times = "once" if figures["float_reads_per_step"] == 1 else f"{figures['float_reads_per_step']} times"
        message = (
            f"Every step waits for the device {times}: {'; '.join(found)}. Log and collect the detached tensor itself."
        )
        return self.outcome(trials, "broken", message, place=next(iter(reads)).place, figures=figures)


def _syncs_of_two_steps(trials: Trials) -> list[Counter[Sync]]:
    """How often the second and the third step wait for the device, by way; less if the training is shorter."""
    import lightning.pytorch as pl  # noqa: PLC0415
    from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC0415

    from mlrules_mcp.training.bench import Looked  # noqa: PLC0415

    steps: list[Counter[Sync]] = []

    class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if (found := _waits_for(func, args, kwargs)) is not None:
                kind, tensor = found
                place = places.of_call(trials.subject.source)
                steps[-1][Sync(kind, tensor.is_floating_point() or tensor.is_complex(), place)] += 1
            return func(*args, **kwargs)

    class Watcher(pl.Callback):
        mode: Count | None = None
        batches = 0

        def on_train_batch_start(self, *args: Any) -> None:
            self.batches += 1
            if self.batches > 1:
                steps.append(Counter())
                self.mode = Count()  # type: ignore[no-untyped-call]
                self.mode.__enter__()  # type: ignore[no-untyped-call]

        def on_train_batch_end(self, *args: Any) -> None:
            self.leave()
            if len(steps) == 2:
                raise Looked

        def leave(self) -> None:
            if self.mode is not None:
                self.mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
                self.mode = None

    watcher = Watcher()
    try:
        trials.watch(watcher)
    finally:
        watcher.leave()
    return steps


def _waits_for(func: Any, args: Any, kwargs: Any) -> tuple[str, Tensor] | None:
    """How an operation of ATen waits for a tensor of the device, and for which one; None if it does not."""
    name = func.overloadpacket.__name__
    if name == "copy_":
        source, asynchronous = args[1], kwargs.get("non_blocking") or args[2:] == (True,)
        return (COPIED, source) if _on_device(source) and not _on_device(args[0]) and not asynchronous else None
    tensor: Any = args[0] if args else None
    if not _on_device(tensor):
        return None
    if name == "_local_scalar_dense":
        return READ, tensor
    if name == "_to_copy":
        target = kwargs.get("device")
        return (COPIED, tensor) if target and target.type == "cpu" and not kwargs.get("non_blocking") else None
    by_values = name in SHAPED_BY_VALUES and kwargs.get("output_size") is None
    by_mask = name == "index" and any(_on_device(each) and each.element_size() == 1 for each in args[1])
    return (COUNTED, tensor) if by_values or by_mask else None


def _on_device(value: Any) -> bool:
    return getattr(getattr(value, "device", None), "type", "cpu") != "cpu"
