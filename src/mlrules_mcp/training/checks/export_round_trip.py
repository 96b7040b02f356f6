"""export-round-trip."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from mlrules_mcp.training import compare, places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.errors import NotApplicableError, quote
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.places import Place
    from mlrules_mcp.training.trials import Trials

TOLERANCE = 1e-5
ADVICE = "Keep tensors and plain values alone in it: whatever else runs code of the file's writer when it is loaded."


class Broken(Exception):
    """What does not come back, and the line to blame."""

    def __init__(self, message: str, place: Place | None) -> None:
        super().__init__(message)
        self.place = place


class ExportRoundTrip(BatchCheck):
    """The trained model can be deployed from files that hold no code of Python.

    Its `state_dict` is saved, loaded with `weights_only=True` into a fresh model, and the outputs of `forward` in
    evaluation mode are equal. Then `torch.export` captures `forward`, and what is saved and loaded again gives the
    same outputs, within 1e-5 of the largest one. The input is that of the training step, or `example_input_array`;
    where there is neither, the weights alone are judged. Everything is done on the CPU, where the files are meant
    to be read.
    """

    name = "export-round-trip"
    rule = "deployment_rules.model_serialization"

    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Save, load and compare the first training's model, then export it."""
        import torch  # noqa: PLC0415
        from torch.utils._pytree import tree_map_only  # noqa: PLC0415

        trained, fresh = trials.first.model, bench.model
        try:
            inputs = tree_map_only(torch.Tensor, lambda value: value.detach().cpu(), bench.forward_input())
        except NotApplicableError:
            inputs = None
        was_training = trained.training
        figures: dict[str, Figure] = {"allowed": TOLERANCE}
        try:
            figures["state_bytes"] = _load(trained, fresh)
            if inputs is None:
                message = "The state_dict loads into a fresh model with weights_only=True; forward is not known to run."
                return self.outcome(trials, "met", message, figures=figures)
            expected = _outputs(trained.eval(), inputs, bench.seed)
            actual = _outputs(fresh.eval(), inputs, bench.seed)
            apart, _ = compare.largest_difference(expected, actual)
            figures["outputs_apart"] = apart
            if apart > TOLERANCE:
                message = "A fresh model with the loaded state_dict gives other outputs: some state is not in it."
                raise Broken(message, places.of_class(type(fresh)))
            exported, figures["exported_bytes"] = _exported(fresh, inputs, trials)
            actual = _outputs(exported, inputs, bench.seed)
            apart, _ = compare.largest_difference(expected, actual)
            figures["exported_apart"] = apart
            if apart > TOLERANCE:
                message = "The program that torch.export makes of forward gives other outputs."
                raise Broken(message, places.of_function(fresh.forward))
        except Broken as error:
            return self.outcome(trials, "broken", str(error), place=error.place, figures=figures)
        finally:
            trained.train(was_training)
        message = "Loaded with weights_only=True into a fresh model, and exported with torch.export: equal outputs."
        return self.outcome(trials, "met", message, figures=figures)


def _load(trained: LightningModule, fresh: LightningModule) -> int:
    """Send the state of one model to another, on the CPU, by way of a file; returns the file's bytes."""
    import torch  # noqa: PLC0415

    file, place = io.BytesIO(), places.of_class(type(fresh))
    fresh.cpu()
    try:
        torch.save(trained.state_dict(), file)
        file.seek(0)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise Broken(f"The state_dict does not load with weights_only=True: {quote(error)} {ADVICE}", place) from error
    try:
        fresh.load_state_dict(state)
    except Exception as error:
        raise Broken(f"The state_dict does not fit into a fresh model: {quote(error)}", place) from error
    return file.getbuffer().nbytes


def _outputs(model: Any, inputs: Any, seed: int) -> Any:
    import torch  # noqa: PLC0415

    from mlrules_mcp.training.bench import tensors_of  # noqa: PLC0415

    torch.manual_seed(seed)
    args, kwargs = inputs
    with torch.no_grad():
        return tensors_of("output", model(*args, **kwargs))


def _exported(model: LightningModule, inputs: Any, trials: Trials) -> tuple[Any, int]:
    """`forward` as a program that was saved and loaded, and the bytes it took."""
    import torch  # noqa: PLC0415

    from mlrules_mcp.training.simulated.device import NotSimulated  # noqa: PLC0415

    file = io.BytesIO()
    args, kwargs = inputs
    try:
        torch.export.save(torch.export.export(model, args, kwargs, strict=False), file)
        file.seek(0)
        program = torch.export.load(file).module()
    except NotSimulated:
        raise
    except Exception as error:
        place = places.of_error(error, trials.subject.source) or places.of_function(model.forward)
        raise Broken(f"torch.export does not capture forward: {quote(error)}", place) from error
    return program, file.getbuffer().nbytes
