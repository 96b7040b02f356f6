"""two-processes-equal-one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlrules_mcp.training import compare, places
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.errors import NotApplicableError, TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from torch import Tensor

    from mlrules_mcp.training.ranks import Rank
    from mlrules_mcp.training.trials import Trials

TOLERANCE = 1e-3
NAMED = 3
UNUSED = ("Expected to have finished reduction", "parameters that were not used in producing")


class TwoProcessesEqualOne(TrainingCheck):
    """Two processes that train together with DDP do what one process does with both of their batches.

    On the CPU, over gloo. In five steps, each process takes one of two batches; one process alone takes both and
    accumulates their gradients, which is what DDP's mean of gradients stands for, with batch norms too: these see
    their own process's batch in both cases. The losses have to be equal within 0.1 %, the weights of both processes
    to the last bit, and each metric that validation logs has to be the same in both, though each saw other data:
    one that is not reduced (`sync_dist=True`, or a torchmetrics object) makes them stop early, or keep checkpoints,
    at different times. Both processes get the same random draws.
    """

    name = "two-processes-equal-one"
    rule = "lightning_rules.distributed_training"
    slow = True
    once = True

    def run(self, trials: Trials) -> CheckOutcome:
        """Train in one process, then in two."""
        from mlrules_mcp.training.ranks import alone, together  # noqa: PLC0415

        model = trials.first.model
        try:
            one, two = alone(trials), together(trials)
        except NotApplicableError as error:
            return self.outcome(trials, "not_applicable", str(error))
        except TrainingFailedError as error:
            return self._raised(trials, error)
        ranks_apart, weight = compare.largest_difference(two[0].weights, two[1].weights)
        figures: dict[str, Figure] = {"steps": len(two[0].losses), "weights_of_ranks_apart": ranks_apart}
        if one is not None:
            apart, _ = compare.largest_difference(_losses(one), _losses(two))
            figures |= {"losses_apart": apart, "allowed": TOLERANCE}
        else:
            apart = 0.0
        if ranks_apart > 0:
            message = (
                f"After the same steps, {weight} is not the same in both processes: something sets it for one alone."
            )
            return self.outcome(trials, "broken", message, place=places.of_parameter(model, weight), figures=figures)
        if one is not None and apart > TOLERANCE:
            again, _ = compare.largest_difference(_losses(one), _losses(alone(trials) or one))
            if again > TOLERANCE:
                message = "One process does not do the same twice either; see same-seed-same-result."
                return self.outcome(trials, "not_applicable", message, figures=figures)
            message = f"The losses of two processes are {apart:.2g} of them off those of one process with both batches."
            place = places.of_function(model.training_step)
            return self.outcome(trials, "broken", message, place=place, figures=figures)
        if unreduced := _unreduced(two):
            values = " and ".join(f"{each.metrics[unreduced[0]]:.4g}" for each in two)
            message = (
                f"Validation logs {', '.join(unreduced[:NAMED])} without reducing over processes: {unreduced[0]} is "
                f"{values}. Pass sync_dist=True."
            )
            place = places.of_function(model.validation_step)
            return self.outcome(trials, "broken", message, place=place, figures=figures)
        message = f"Two processes take the same {len(two[0].losses)} steps"
        message += (
            " as one with both of their batches." if one is not None else "; they run their optimizers themselves."
        )
        return self.outcome(trials, "met", message, figures=figures)

    def _raised(self, trials: Trials, error: TrainingFailedError) -> CheckOutcome:
        if not any(words in str(error) for words in UNUSED):
            message = f"In two processes, training raises {error}"
            return self.outcome(trials, "broken", message, place=error.place)
        seen = trials.first.recorder
        missing = (seen.gradient_norms < 0).any(dim=0).tolist()
        names = [name for name, without in zip(seen.parameters, missing, strict=True) if without]
        named = f" ({', '.join(names[:NAMED])})" if names else ""
        message = (
            f"In two processes, training raises: some parameters get no gradient in a step{named}. Leave them out, or "
            'use strategy="ddp_find_unused_parameters_true".'
        )
        place = places.of_parameter(trials.first.model, names[0]) if names else error.place
        return self.outcome(trials, "broken", message, place=place, figures={"without_gradient": len(names)})


def _losses(ranks: list[Rank]) -> dict[str, Tensor]:
    return {str(each.rank): each.losses for each in ranks}


def _unreduced(two: list[Rank]) -> list[str]:
    """The metrics that both processes have, with values that differ by more than rounding."""
    first, second = (each.metrics for each in two)
    return [
        name for name in first if name in second and abs(first[name] - second[name]) > 1e-6 * max(1.0, abs(first[name]))
    ]
