"""overfits-one-batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.errors import NotApplicableError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from pathlib import Path

    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.trials import Trials

STEPS = 60
RATES = (1e-2, 1e-3)
SHARE = 0.5
PLAINLY = 0.1


class OverfitsOneBatch(BatchCheck):
    """The model can learn one batch by heart: its loss falls by half within 60 steps.

    The batch is the first one, and random draws are the same at every step, so that dropout and noise can be
    learnt too. The steps are those of Adam on the parameters that the model's own optimizers train, at a rate of
    0.01, and from the start again at 0.001: neither a schedule nor an optimizer is judged, but whether the loss
    and the way of the gradients allow any learning. A model that fails computes its loss of the wrong thing (a
    softmax before the cross-entropy), loses its gradient on the way, or does not look at its input. It does not
    apply where the loss falls by a tenth at least, and the model has less parameters than the batch has values, or
    the step detaches outputs, as the two sides of a GAN do in one loss: there, half may be out of reach.
    """

    name = "overfits-one-batch"
    rule = "pytorch_rules.gradient_management"

    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Train on the batch alone."""
        if trials.subject.made_up_loss:
            raise NotApplicableError("The loss is none that the model was made for; what it learns says nothing.")
        state = {key: value.clone() for key, value in bench.model.state_dict().items() if hasattr(value, "clone")}
        start, best, used = math.nan, math.inf, RATES[0]
        steps = 0
        for rate in RATES:
            bench.model.load_state_dict(state, strict=False)
            losses = _train(bench, rate)
            start = losses[0]
            if min(losses) < best:
                best, used, steps = min(losses), rate, len(losses) - 1
            if _halved(start, best):
                break
        figures: dict[str, Figure] = {"loss_before": start, "loss_after": best, "steps": steps, "learning_rate": used}
        if _halved(start, best):
            message = f"Adam at {used:g} takes the loss of one batch from {start:.4g} to {best:.4g} in {steps} steps."
            return self.outcome(trials, "met", message, figures=figures)
        if best <= start - PLAINLY * abs(start) and (reason := _cannot_halve(bench, trials.subject.source)):
            message = f"Adam takes the loss of one batch from {start:.4g} to {best:.4g} in {STEPS} steps; {reason}."
            return self.outcome(trials, "not_applicable", message, figures=figures)
        message = (
            f"{STEPS} steps of Adam on one batch take its loss from {start:.4g} no lower than {best:.4g}, at a rate of "
            f"{' or '.join(f'{rate:g}' for rate in RATES)}: look for what the loss is computed of, and for a detached "
            "or saturated output."
        )
        place = places.of_function(bench.model.training_step)
        return self.outcome(trials, "broken", message, place=place, figures=figures)


def _halved(start: float, best: float) -> bool:
    """Whether the loss fell by half of its magnitude; one that starts below zero has to fall further."""
    return best <= start - SHARE * abs(start)


def _cannot_halve(bench: Bench, source: Path) -> str:
    """Why a loss that falls plainly may be unable to fall by half; empty if nothing is known."""
    import torch  # noqa: PLC0415
    from torch.overrides import TorchFunctionMode  # noqa: PLC0415
    from torch.utils._pytree import tree_leaves  # noqa: PLC0415

    parameters = sum(value.numel() for value in bench.model.parameters() if value.requires_grad)
    sizes = [leaf.numel() for leaf in tree_leaves(bench.batch) if isinstance(leaf, torch.Tensor)]
    if parameters < min(sizes, default=0):
        return f"its {parameters} parameters are too few to learn {min(sizes)} values by heart"
    detached = False

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal detached
            if func is torch.Tensor.detach and args[0].requires_grad and args[0].dim() and places.of_call(source):
                detached = True
            return func(*args, **(kwargs or {}))

    with Watch():
        bench.loss()
    return "it detaches outputs, so that parts of it may work against each other, as in a GAN" if detached else ""


def _train(bench: Bench, rate: float) -> list[float]:
    """The losses before each step and after the last one, until they are half of the first."""
    import torch  # noqa: PLC0415

    groups = [group for optimizer in bench.trainer.optimizers for group in optimizer.param_groups]
    trained = [value for group in groups for value in group["params"] if value.requires_grad]
    if not trained:
        raise NotApplicableError("The model has no parameter to train.")
    optimizer = torch.optim.Adam(trained, lr=rate)
    losses: list[float] = []
    for _ in range(STEPS + 1):
        bench.model.zero_grad()
        loss = bench.loss()
        losses.append(loss.item())
        if losses[0] == 0:
            raise NotApplicableError("The loss of the first batch is 0 before training.")
        if not math.isfinite(losses[-1]) or _halved(losses[0], losses[-1]):
            break
        loss.backward()  # type: ignore[no-untyped-call]
        for value in trained:
            if value.grad is not None and value.grad.is_sparse:
                value.grad = value.grad.to_dense()
        optimizer.step()
    return losses
