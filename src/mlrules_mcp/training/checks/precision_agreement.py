"""precision-agreement."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.errors import NotApplicableError, TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.trials import Trials

LOSS_APART = 0.05
COSINE = 0.9


class PrecisionAgreement(BatchCheck):
    """Under autocast to bfloat16, the model computes what it computes in float32.

    On the first batch, without dropout and with the same random draws, the losses are at most 5 % apart, and the
    gradients of all parameters together point the same way: their cosine is 0.9 or more. bfloat16 keeps about
    three decimal digits, which costs a model of sound scales a percent or so. It breaks where large numbers cancel
    out, where something overflows, and where autocast refuses an operation, such as binary_cross_entropy. It does
    not apply to a model whose parameters are not in float32, or whose draws differ between the precisions.
    """

    name = "precision-agreement"
    rule = "optimization_rules.mixed_precision"

    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Compare loss and gradient of the first batch in the two precisions."""
        import torch  # noqa: PLC0415

        from mlrules_mcp.training.bench import without_dropout  # noqa: PLC0415

        if any(value.dtype != torch.float32 for value in bench.model.parameters()):
            raise NotApplicableError("Not all parameters are in float32.")
        with without_dropout(bench.model):
            loss, gradient = bench.gradients()
            if not math.isfinite(loss) or not gradient.norm().isfinite() or not gradient.any():
                raise NotApplicableError(f"In float32, the loss of the first batch is {loss:g} and gives no direction.")
            with torch.autocast(bench.device, dtype=torch.bfloat16):
                lower_loss, lower_gradient = bench.gradients()
            apart = abs(lower_loss - loss) / max(abs(loss), abs(lower_loss))
            cosine = torch.nn.functional.cosine_similarity(gradient, lower_gradient, dim=0).item()
            figures: dict[str, Figure] = {"loss": loss, "loss_bfloat16": lower_loss, "loss_apart": apart}
            figures["gradient_cosine"] = cosine
            if apart <= LOSS_APART and cosine >= COSINE:
                message = (
                    f"Under autocast to bfloat16 the loss is {apart:.2g} off; the gradients' cosine is {cosine:.4f}."
                )
                return self.outcome(trials, "met", message, figures=figures)
            redrawn, _ = bench.gradients(seed=bench.seed + 1)
        if redrawn != loss:
            raise NotApplicableError(
                "The training step draws random numbers of its own, not the same in each precision."
            )
        message = (
            f"Under autocast to bfloat16 the loss is {lower_loss:.4g} instead of {loss:.4g}, and the gradients' cosine "
            f"is {cosine:.3f}: look for large numbers that cancel out, and keep that part in float32."
        )
        place = places.of_function(bench.model.training_step)
        return self.outcome(trials, "broken", message, place=place, figures=figures)

    def failed(self, trials: Trials, error: TrainingFailedError) -> CheckOutcome:
        """The step trains in float32: it is autocast that it does not run under."""
        return self.outcome(trials, "broken", f"Under autocast to bfloat16 the step raises {error}", place=error.place)
