"""peak-memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.places import Place
    from mlrules_mcp.training.trials import Trials

KIB = 1024


class PeakMemory(BatchCheck):
    """Nothing of a step's graph is kept once the step is done; what a step needs is counted, by precision.

    Counted is what the forward pass of the first batch keeps for the backward pass, without the parameters and the
    batch: in float32, under autocast to bfloat16, and with the model's parts checkpointed, so that each of them
    keeps its input alone and is computed a second time. The count is exact, and differs between devices only where
    they have other kernels, as for dropout; CUDA and XPU add the measured peak. It breaks where each step leaves
    tensors alive that still have a graph, such as losses or outputs that are collected without `.detach()`: memory
    grows with every step.
    Source: https://docs.pytorch.org/docs/stable/autograd.html#saved-tensors-hooks-for-the-autograd-graph.
    """

    name = "peak-memory"
    rule = "pytorch_rules.memory_efficiency"

    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Count what one forward pass keeps, in three ways, and what two steps leave behind."""
        import torch  # noqa: PLC0415

        held = [*bench.model.parameters(), *bench.model.buffers()]
        size = sum(_storage(each)[1] for each in held)
        figures: dict[str, Figure] = {"parameters_and_buffers_kib": size / KIB}
        figures |= _measured(bench, "float32")
        with suppress(RuntimeError, ValueError):  # autocast refuses some operations
            figures |= _measured(bench, "bfloat16", dtype=torch.bfloat16)
        if parts := _parts(bench.model):
            with suppress(RuntimeError, ValueError):  # not everything can be computed twice
                figures |= _measured(bench, "checkpointed", parts=parts)
        kept = _kept_with_graph(bench, trials)
        figures["tensors_kept_per_step"] = len(kept)
        if kept:
            place = next((place for place in kept if place), None)
            where = f" (the first is made in line {place.line})" if place else ""
            message = (
                f"Each step leaves {len(kept)} tensors with their graph alive{where}, so that memory grows with "
                "every step: detach what is collected."
            )
            return self.outcome(trials, "broken", message, place=place, figures=figures)
        ways = {"float32": "in float32", "bfloat16": "under autocast to bfloat16", "checkpointed": "when checkpointed"}
        sizes = [
            f"{figures[f'saved_{way}_kib']:.0f} KiB {how}" for way, how in ways.items() if f"saved_{way}_kib" in figures
        ]
        message = f"For the backward pass, a step keeps {', '.join(sizes)}; none of it outlives the step."
        return self.outcome(trials, "met", message, figures=figures)


def _measured(
    bench: Bench, way: str, *, dtype: torch.dtype | None = None, parts: Sequence[nn.Module] = ()
) -> dict[str, Figure]:
    """What the graph of one loss keeps, and the measured peak of a step where the device counts.

    Args:
        way: the name for people.
        dtype: what autocast computes in, if it is to.
        parts: the modules to checkpoint.
    """
    import torch  # noqa: PLC0415

    from mlrules_mcp.training import devices  # noqa: PLC0415

    counts = bench.device in {"cuda", "xpu"}
    devices.reset_peak_memory(bench.device)
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(bench.device, dtype=dtype, enabled=dtype is not None))
        saved = stack.enter_context(_saving(bench))
        for part in parts:
            stack.enter_context(patch.object(part, "forward", _twice(part.forward, saved)))
        loss = bench.loss()
        figures: dict[str, Figure] = {f"saved_{way}_kib": sum(saved.values()) / KIB}
        if counts:
            loss.backward()  # type: ignore[no-untyped-call]
            figures[f"peak_{way}_mib"] = (devices.peak_memory(bench.device) or 0) / KIB**2
            bench.model.zero_grad()
    return figures


class Saved(dict[int, int]):
    """The storages that a graph keeps, by their place in memory, with their bytes."""

    def __init__(self, known: Iterable[Any]) -> None:
        self._known = {_storage(each)[0] for each in known}

    def keep(self, value: Tensor) -> Tensor:
        """Note a tensor, unless its storage is known."""
        place, size = _storage(value)
        if place not in self._known:
            self[place] = size
        return value


@contextmanager
def _saving(bench: Bench) -> Iterator[Saved]:
    """Notes what is saved for the backward pass; the loss has to stay alive, so that no two share a place."""
    from torch.autograd.graph import saved_tensors_hooks  # noqa: PLC0415

    saved = Saved([*bench.model.parameters(), *bench.model.buffers(), *_tensors(bench.batch)])
    with saved_tensors_hooks(saved.keep, lambda value: value):
        yield saved


def _twice(forward: Any, saved: Saved) -> Any:
    """The same function under checkpointing, which keeps its input without telling."""
    from torch.utils.checkpoint import checkpoint  # noqa: PLC0415

    def run(*args: Any, **kwargs: Any) -> Any:
        for each in _tensors((args, kwargs)):
            saved.keep(each)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return run


def _parts(model: nn.Module) -> list[nn.Module]:
    """What one would checkpoint: the items of lists of modules, or else the children that hold several layers."""
    from torch import nn  # noqa: PLC0415

    blocks = [item for each in model.modules() if isinstance(each, nn.ModuleList) for item in each]
    return [each for each in blocks or model.children() if any(True for _ in each.children())]


def _kept_with_graph(bench: Bench, trials: Trials) -> list[Place | None]:
    """The lines that made the tensors with a graph which each of two steps left alive; None for a library's."""
    from torch.overrides import TorchFunctionMode  # noqa: PLC0415

    made: list[tuple[weakref.ref[Tensor], Place | None]] = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            new = [each for each in _tensors(out) if each.grad_fn is not None]
            if new:
                place = places.of_call(trials.subject.source)
                made.extend((weakref.ref(each), place) for each in new)
            return out

    def step() -> list[tuple[weakref.ref[Tensor], Place | None]]:
        made.clear()
        with Watch():
            loss = bench.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        del loss
        bench.model.zero_grad()
        return [each for each in made if each[0]() is not None]

    first, second = step(), step()
    if any(each() is not None for each, _ in first) and second:
        gc.collect()  # only now: it takes long, and what is in a cycle is no fault
    if not any(each() is not None for each, _ in first):
        return []
    return [place for each, place in second if each() is not None]


def _tensors(value: Any) -> list[Tensor]:
    import torch  # noqa: PLC0415
    from torch.utils._pytree import tree_leaves  # noqa: PLC0415

    return [each for each in tree_leaves(value) if isinstance(each, torch.Tensor)]


def _storage(value: Any) -> tuple[int, int]:
    """Where a tensor's storage lies and how many bytes it has; of a simulated one, on the CPU."""
    storage = getattr(value, "held", value).untyped_storage()
    return storage.data_ptr(), storage.nbytes()
