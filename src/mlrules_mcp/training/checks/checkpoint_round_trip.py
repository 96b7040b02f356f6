"""checkpoint-round-trip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlrules_mcp.training import compare, places
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.errors import quote
from mlrules_mcp.training.result import CheckOutcome

if TYPE_CHECKING:
    from mlrules_mcp.training.trials import Trials

TOLERANCE = 1e-5
ADVICE = "Call self.save_hyperparameters() in __init__: it keeps the arguments in the checkpoint."


class CheckpointRoundTrip(TrainingCheck):
    """A checkpoint, loaded with `load_from_checkpoint` and nothing else, gives the model back.

    The checkpoint is written after training and loaded to the CPU without any constructor argument, as someone
    would who was given the file alone. Every weight must be equal, and so must the predictions for a batch of
    the validation data on the device: to the last bit on a CPU, within 1e-5 of the largest one elsewhere.
    """

    name = "checkpoint-round-trip"
    rule = "lightning_rules.checkpoint_management"

    def run(self, trials: Trials) -> CheckOutcome:
        """Save, load and compare the first training's model."""
        trial = trials.first
        cls = type(trial.model)
        path = trials.folder / "round-trip.ckpt"
        try:
            trial.trainer.save_checkpoint(path)
            loaded = cls.load_from_checkpoint(path, map_location="cpu")
        except Exception as error:  # whatever the constructor or the hooks of a user's class raise
            message = f"The checkpoint does not load: {quote(error)}"
            if isinstance(error, TypeError) or "state_dict" in str(error):
                message += f" {ADVICE}"
            return self.outcome(trials, "broken", message, place=places.of_class(cls))

        weights, weight = compare.largest_difference(trial.model.state_dict(), loaded.state_dict())
        try:
            expected, actual = trial.predict(trial.model), trial.predict(loaded)
        except Exception as error:  # predict_step is optional: the default one gives the whole batch to forward
            outputs, compared = 0.0, f"weights; predict_step raised {type(error).__name__}"
        else:
            outputs, _ = compare.largest_difference(expected, actual)
            compared = "weights and predictions"
        allowed = 0.0 if trials.device == "cpu" else TOLERANCE
        figures = {
            "checkpoint_bytes": path.stat().st_size,
            "weights_apart": weights,
            "outputs_apart": outputs,
            "allowed": allowed,
        }
        if weights > 0:
            message = f"{weight} of the loaded checkpoint is not what was saved."
        elif outputs > allowed:
            message = (
                "The loaded model has equal weights and predicts something else: "
                "some of its state is in no parameter, buffer or hyperparameter."
            )
        else:
            message = f"The checkpoint gives the model back: equal {compared}."
            return self.outcome(trials, "met", message, figures=figures)
        return self.outcome(trials, "broken", message, place=places.of_class(cls), figures=figures)
