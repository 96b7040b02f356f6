"""precision-agreement."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.errors import NotApplicableError, TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from torch import Tensor

    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.trials import Trials

LOSS_APART = 0.05
COSINE = 0.9
LARGEST_SCALE = 2.0**16  # where PyTorch's GradScaler begins


class PrecisionAgreement(BatchCheck):
    """Under autocast to bfloat16, the model computes what it computes in float32.

    On the first batch, without dropout and with the same random draws, the losses are at most 5 % apart, and the
    gradients of all parameters together point the same way: their cosine is 0.9 or more. bfloat16 keeps about
    three decimal digits, which costs a model of sound scales a percent or so. It breaks where large numbers cancel
    out, where something overflows, and where autocast refuses an operation, such as binary_cross_entropy. It does
    not apply to a model whose parameters are not in float32, or whose draws differ between the precisions.

    On accelerators, float16 is told beside it: with the largest scale of the loss, from 65536 down, that leaves the
    gradients finite, as a GradScaler finds it. Whoever trains in bfloat16 need not care, so that it breaks nothing.
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
                if bench.device != "cpu":
                    told, in_float16 = _in_float16(bench, gradient)
                    message, figures = f"{message} {told}", figures | in_float16
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


def _in_float16(bench: Bench, gradient: Tensor) -> tuple[str, dict[str, Figure]]:
    """How the step does in float16, and the figures.

    Args:
        bench: the step.
        gradient: that of float32, of shape (numbers,).
    """
    import torch  # noqa: PLC0415

    scale = LARGEST_SCALE
    while scale >= 1:
        with torch.autocast(bench.device, dtype=torch.float16):
            loss, lower = bench.gradients(scale=scale)
        if not math.isfinite(loss):
            return "In float16 the loss is not finite.", {"loss_float16": loss}
        if lower.isfinite().all():
            cosine = torch.nn.functional.cosine_similarity(gradient, lower, dim=0).item()
            figures: dict[str, Figure] = {"loss_float16": loss, "gradient_cosine_float16": cosine}
            return f"In float16, scaled by {scale:g}, it is {cosine:.4f}.", figures | {"loss_scale_float16": scale}
        scale /= 2
    return "In float16 the gradients are not finite at any scale.", {"loss_float16": loss, "loss_scale_float16": 0}
