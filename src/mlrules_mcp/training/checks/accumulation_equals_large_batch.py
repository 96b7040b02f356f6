"""accumulation-equals-large-batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.errors import NotApplicableError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.trials import Trials

PARTS = 2
TOLERANCE = 1e-2


class AccumulationEqualsLargeBatch(BatchCheck):
    """The gradient of a batch is the mean of those of its halves, as gradient accumulation takes for granted.

    The halves of the first batch, without dropout. The gradients may be 1 % of the larger one's norm apart, which
    leaves room for TF32. It breaks where the loss sums over the examples, divides by something that differs from
    part to part (such as the number of tokens that are not padding), or compares the examples of a batch with each
    other. It does not apply to a model with batch norms, which see another batch in each half, to one that draws
    random numbers of its own, or to a batch that cannot be cut along the first dimension of all of its tensors.
    """

    name = "accumulation-equals-large-batch"
    rule = "pytorch_rules.memory_efficiency"

    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Compare the gradient of the batch with those of its halves."""
        import torch  # noqa: PLC0415
        from torch.nn.modules.batchnorm import _BatchNorm  # noqa: PLC0415

        from mlrules_mcp.training.bench import without_dropout  # noqa: PLC0415

        norms = sum(isinstance(module, _BatchNorm) for module in bench.model.modules())
        if norms:
            raise NotApplicableError(f"The model has {norms} batch norms, which see another batch in each part.")
        whole, *halves = _cut(bench.batch)
        with without_dropout(bench.model):
            _, gradient = bench.gradients(whole)
            _, redrawn = bench.gradients(whole, seed=bench.seed + 1)
            scale = gradient.norm().item()
            if not 0 < scale < float("inf"):
                raise NotApplicableError(f"The gradient of the first batch has the norm {scale:g}.")
            if (gradient - redrawn).norm().item() > TOLERANCE * scale:
                raise NotApplicableError("The training step draws random numbers of its own.")
            mean = torch.stack([bench.gradients(half)[1] for half in halves]).mean(dim=0)
        accumulated = mean.norm().item()
        apart = (gradient - mean).norm().item() / max(scale, accumulated)
        figures: dict[str, Figure] = {"norm": scale, "accumulated_norm": accumulated, "apart": apart}
        figures["allowed"] = TOLERANCE
        if apart <= TOLERANCE:
            message = f"The mean gradient of {PARTS} half batches is that of the whole one, within {apart:.2g} of it."
            return self.outcome(trials, "met", message, figures=figures)
        cause = "what an example adds to the loss depends on the rest of the batch"
        if (gradient - PARTS * mean).norm().item() <= TOLERANCE * scale:
            cause = "its loss sums over the examples, so that the step grows with the batch"
        message = (
            f"The mean gradient of {PARTS} half batches is {apart:.2g} of its norm off that of the whole: {cause}."
        )
        place = places.of_function(bench.model.training_step)
        return self.outcome(trials, "broken", message, place=place, figures=figures)


def _cut(batch: Any) -> list[Any]:
    """A batch of an even number of examples, then its halves."""
    import torch  # noqa: PLC0415
    from torch.utils._pytree import tree_leaves, tree_map  # noqa: PLC0415

    tensors = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, torch.Tensor) and leaf.dim()]
    sizes = {len(tensor) for tensor in tensors}
    if len(sizes) != 1 or len(tensors) != len(tree_leaves(batch)) or max(sizes) < PARTS:
        raise NotApplicableError(
            "The batch is not made of tensors alone that have the examples in their first dimension."
        )
    half = max(sizes) // PARTS
    spans = slice(0, PARTS * half), slice(0, half), slice(half, PARTS * half)
    return [tree_map(lambda tensor, span=span: tensor[span], batch) for span in spans]
