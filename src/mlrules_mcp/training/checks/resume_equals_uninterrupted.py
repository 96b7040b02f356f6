"""resume-equals-uninterrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlrules_mcp.training import compare, places
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.errors import NotApplicableError, TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from mlrules_mcp.training.continuation import Continuation
    from mlrules_mcp.training.trials import Trials

TOLERANCE = 1e-5
TOLERANCE_ON_HARDWARE = 1e-3
TOLERANCE_ELSEWHERE = 1e-2


class ResumeEqualsUninterrupted(TrainingCheck):
    """A training that is resumed from a checkpoint goes on as if it had not been interrupted.

    The checkpoint is the one that the Trainer writes at the end of the first epoch. A fresh model resumes from it
    with `ckpt_path`, and the losses of the next five steps and the weights after them must be those of the training
    that went on: within 1e-5, on hardware accelerators within 1e-3. What was saved on an accelerator is resumed on
    the CPU, too, with a first loss within 1 %. Both get the same batches and the same random draws, as Lightning
    restores neither: whether the loader would have gone on where it stopped is a figure. It breaks where state
    lies outside of weights, buffers, optimizers and schedulers, such as in an attribute that training changes.
    """

    name = "resume-equals-uninterrupted"
    rule = "lightning_rules.checkpoint_management"

    def run(self, trials: Trials) -> CheckOutcome:
        """Train on, resume, and compare."""
        from mlrules_mcp.training.continuation import resumed, uninterrupted  # noqa: PLC0415
        from mlrules_mcp.training.trials import Trials as Elsewhere  # noqa: PLC0415

        model = trials.first.model
        try:
            expected = uninterrupted(trials)
        except NotApplicableError as error:
            return self.outcome(trials, "not_applicable", str(error))
        try:
            actual = resumed(trials, expected)
            on_cpu = actual
            if trials.device != "cpu":
                on_cpu = resumed(Elsewhere(trials.subject, "cpu", trials.seed, trials.folder), expected)
        except TrainingFailedError as error:
            place = error.place or places.of_class(type(model))
            return self.outcome(trials, "broken", f"Training does not resume from its checkpoint: {error}", place=place)
        losses, weights, weight = _apart(expected, actual)
        elsewhere, _ = compare.largest_difference({"": expected.losses[:1]}, {"": on_cpu.losses[:1]})
        allowed = TOLERANCE if trials.device in {"cpu", "simulated"} else TOLERANCE_ON_HARDWARE
        figures: dict[str, Figure] = {
            "compared_steps": len(expected.losses),
            "losses_apart": losses,
            "weights_apart": weights,
            "allowed": allowed,
            "data_order": actual.data_order,
        }
        if trials.device != "cpu":
            figures["loss_on_cpu_apart"] = elsewhere
        if max(losses, weights) <= allowed and elsewhere <= TOLERANCE_ELSEWHERE:
            where = "" if trials.device == "cpu" else f", on {trials.device} and on the CPU"
            message = f"Resumed after an epoch, the next {len(expected.losses)} steps are the same{where}."
            return self.outcome(trials, "met", message, figures=figures)
        again_losses, again_weights, _ = _apart(expected, uninterrupted(trials))
        if max(again_losses, again_weights) > allowed:
            message = "Two trainings that were not interrupted differ as well; see same-seed-same-result."
            return self.outcome(trials, "not_applicable", message, figures=figures)
        cause, attribute = expected.differs_from(actual)
        if max(losses, weights) <= allowed:
            message = f"Resumed on the CPU, the first loss is {elsewhere:.2g} of it off."
        elif losses > allowed:
            message = (
                f"Resumed after an epoch, the losses of the next steps are up to {losses:.2g} of them off: {cause}."
            )
        else:
            message = f"Resumed after an epoch, {weight} is {weights:.2g} of it off after the next steps: {cause}."
        place = places.of_parameter(model, attribute) if attribute else places.of_class(type(model))
        return self.outcome(trials, "broken", message, place=place, figures=figures)


def _apart(one: Continuation, other: Continuation) -> tuple[float, float, str]:
    """How far the losses are apart and the weights after them, and which weight."""
    losses, _ = compare.largest_difference({"": one.losses}, {"": other.losses})
    weights, weight = compare.largest_difference(one.weights, other.weights)
    return losses, weights, weight
