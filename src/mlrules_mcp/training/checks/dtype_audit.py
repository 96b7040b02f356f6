"""dtype-audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.places import Place
    from mlrules_mcp.training.trials import Trials

WIDE = "float64 complex128".split()
HALF = "float16 bfloat16".split()
NAMED = 5


class Fault(NamedTuple):
    """What has a dtype that it should not have, and where that begins."""

    message: str
    place: Place | None


class DtypeAudit(BatchCheck):
    """Nothing is in float64, and nothing in half precision that nobody asked for.

    Looked at are the parameters, the buffers, the first batch, every call to PyTorch in one training step, and the
    loss. Double precision takes twice the memory of float32, runs at a fraction of its speed on GPUs, and does not
    exist on MPS; most often it comes unasked from NumPy. Half precision without autocast, next to parameters in
    float32, loses small values in the loss and its gradient. A model whose parameters are all in half precision is
    taken to be meant so, as is what autocast returns, though not the loss. Tensors without dimension don't count,
    except the loss.
    """

    name = "dtype-audit"
    rule = "pytorch_rules.proper_tensor_dtypes"

    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Take one training step's forward pass and name what is made in another dtype."""
        from torch.utils._pytree import keystr, tree_flatten_with_path  # noqa: PLC0415

        model = bench.model
        parameters = [value for value in model.parameters() if value.is_floating_point()]
        all_half = bool(parameters) and all(_name(value) in HALF for value in parameters)
        unwanted = WIDE if all_half else WIDE + HALF
        held: list[tuple[str, str, Tensor]] = [("parameter", *each) for each in model.named_parameters()]
        held += [("buffer", *each) for each in model.named_buffers()]
        faults = [
            Fault(f"{kind} {name} is {_name(value)}", places.of_parameter(model, name))
            for kind, name, value in held
            if _name(value) in unwanted
        ]
        leaves = [(keystr(path), leaf) for path, leaf in tree_flatten_with_path(bench.batch)[0]]
        faults += [Fault(f"batch{path} is {_name(leaf)}", None) for path, leaf in leaves if _name(leaf) in unwanted]
        known = [value for *_, value in held] + [leaf for _, leaf in leaves]
        made, calls, loss = _follow(bench, trials.subject.source, unwanted, known)
        faults += made
        if not faults and _name(loss) in unwanted:
            faults.append(Fault(f"the loss is {_name(loss)}", places.of_function(model.training_step)))

        dtypes = sorted({_name(value) for value in parameters})
        figures: dict[str, Figure] = {
            "parameters": ", ".join(dtypes) or None,
            "loss": _name(loss),
            "calls": calls,
            "faults": len(faults),
        }
        if not faults:
            message = f"Parameters, buffers, batch, {calls} calls and the loss are in no dtype that was not asked for."
            return self.outcome(trials, "met", message, figures=figures)
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        message = f"{'; '.join(fault.message for fault in faults[:NAMED])}{more}."
        place = next((fault.place for fault in faults if fault.place), None)
        return self.outcome(trials, "broken", message[0].upper() + message[1:], place=place, figures=figures)


def _name(value: Any) -> str:
    return str(getattr(value, "dtype", "")).removeprefix("torch.")


def _follow(bench: Bench, source: Path, unwanted: list[str], known: list[Any]) -> tuple[list[Fault], int, Tensor]:
    """What lines of `source` make in an unwanted dtype during the training step, how many calls, and its loss.

    Args:
        known: tensors that are there before; what follows from one of an unwanted dtype is not a new fault.
    """
    import torch  # noqa: PLC0415
    from torch.overrides import TorchFunctionMode  # noqa: PLC0415
    from torch.utils._pytree import tree_leaves  # noqa: PLC0415

    # The tensors themselves are kept too: the id of one that is gone would be given to another.
    seen = {id(value): value for value in known if _name(value) in unwanted}
    found: dict[Place, str] = {}
    calls = 0

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal calls
            calls += 1
            out = func(*args, **(kwargs or {}))
            new = [each for each in tree_leaves(out) if isinstance(each, torch.Tensor) and _name(each) in unwanted]
            if new:
                planned = _name(new[0]) in HALF and torch.is_autocast_enabled(bench.device)
                follows = any(id(each) in seen for each in tree_leaves((args, kwargs)))
                if not planned and not follows and new[0].dim() and (place := places.of_call(source)):
                    found.setdefault(
                        place, f"a {_name(new[0])} tensor of shape {tuple(new[0].shape)} is made in line {place.line}"
                    )
                seen.update({id(each): each for each in new})
            return out

    with Watch():
        loss = bench.loss()
    return [Fault(message, place) for place, message in found.items()], calls, loss
