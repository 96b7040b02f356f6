"""gradients-reach-parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from torch import Tensor

    from mlrules_mcp.training.trials import Trials

NAMED = 5


class GradientsReachParameters(TrainingCheck):
    """Every parameter that is to be trained gets a gradient, which is finite and not zero throughout.

    Looked at before each optimizer step. A parameter that gets a gradient in some steps only is fine; one that
    is frozen on purpose (`requires_grad=False`) does not count.
    """

    name = "gradients-reach-parameters"
    rule = "pytorch_rules.gradient_management"
    strategies = frozenset({"ddp"})

    def run(self, trials: Trials) -> CheckOutcome:
        """Look at the gradients' norms in the first training."""
        seen = trials.first.recorder
        norms = seen.gradient_norms
        steps, count = norms.shape
        if not count:
            return self.outcome(trials, "not_applicable", "The model has no parameter to train.")
        if not steps:
            return self.outcome(trials, "broken", "The optimizer never took a step.")

        def named(mask: Tensor) -> list[str]:
            return [name for name, hit in zip(seen.parameters, mask.tolist(), strict=True) if hit]

        absent = named((norms < 0).all(dim=0))
        dead = [name for name in named((norms <= 0).all(dim=0)) if name not in absent]
        wild: list[str] = []
        faults = []
        if absent:
            faults.append(f"{_list(absent)} never got a gradient")
        if dead:
            faults.append(f"{_list(dead)} got a gradient of zero at every step")
        if not norms.isfinite().all():
            # From then on every parameter has such a gradient: the first step tells where it came from.
            step = int((~norms.isfinite()).any(dim=1).nonzero()[0].item())
            wild = named(~norms[step].isfinite())
            faults.append(f"{_list(wild)} got a gradient that is not finite in step {step + 1}")
        figures: dict[str, Figure] = {
            "parameters": count,
            "without_gradient": len(absent),
            "not_finite": len(wild),
            "always_zero": len(dead),
        }
        if faults:
            place = places.of_parameter(trials.first.model, (absent + dead + wild)[0])
            message = f"Of {count} parameters, in {steps} steps: {'; '.join(faults)}."
            return self.outcome(trials, "broken", message, place=place, figures=figures)
        typical = norms.masked_fill(norms < 0, math.nan).nanmedian(dim=0).values
        figures |= {"smallest_norm": typical.min().item(), "largest_norm": typical.max().item()}
        message = f"All {count} parameters got finite gradients in {steps} steps."
        return self.outcome(trials, "met", message, figures=figures)


def _list(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
