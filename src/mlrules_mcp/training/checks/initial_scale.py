"""initial-scale."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlrules_mcp.training import places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.trials import Trials

ACTIVATIONS_APART = 1e4
GRADIENTS_APART = 1e6
DEAD_OUTPUTS = 64  # fewer zeros than that may be chance


@dataclass(slots=True)
class Seen:
    """What one forward pass showed.

    Attributes:
        scales: the root mean square of what each layer with weights returned first, in order of the calls.
        not_finite: the first layer of any kind that returned something else than finite numbers, or empty.
        dead: the first ReLU that returned nothing but zeros, or empty.
        classes: how many classes a cross-entropy with whole numbers as targets chose from, or 0.
    """

    scales: dict[str, float] = field(default_factory=dict)
    not_finite: str = ""
    dead: str = ""
    classes: int = 0


class InitialScale(BatchCheck):
    """As it is initialised, the model lets values and gradients through at scales that can be trained from.

    One forward and one backward pass of the first batch, without dropout. It breaks where something is certain to
    hinder training: a layer returns what is not finite; a ReLU returns zeros alone, for every example; the units of
    a layer have equal weights and get equal gradients, so that they stay equal for ever; the root mean square of
    what the layers with weights return differs by a factor of more than 10,000 between two of them, or the ratio of
    gradient to weight by one of more than a million. What is zero throughout doesn't count for these factors, as
    the last layer of a block is often begun at zero on purpose; neither do models with scales that begin small on
    purpose (LayerScale). The first loss is put beside the logarithm of the number of classes, which a cross-entropy
    begins at if the model favours none of them.
    Sources: Glorot and Bengio 2010 (AISTATS) and He et al. 2015 (arXiv:1502.01852) on keeping the variance from
    layer to layer; the factors are ours, far from what sound models show.
    """

    name = "initial-scale"
    rule = "deep_learning_rules.appropriate_initialization"

    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Take one step's gradients and look at each layer."""
        from mlrules_mcp.training.bench import without_dropout  # noqa: PLC0415

        model = bench.model
        with without_dropout(model):
            seen, loss = _forward(bench)
            loss.backward()  # type: ignore[no-untyped-call]
        ratios = _ratios(model)
        activations, gradients = _spread(seen.scales), _spread(ratios)
        value = loss.item()
        figures: dict[str, Figure] = {
            "layers": len(seen.scales),
            "activation_factor": activations[0],
            "gradient_factor": gradients[0],
            "loss": value,
        }
        if seen.classes > 1:
            figures["loss_of_chance"] = math.log(seen.classes)
        fault, name = _fault(model, seen, activations, gradients)
        if fault:
            return self.outcome(trials, "broken", fault, place=places.of_parameter(model, name), figures=figures)
        message = (
            f"At initialisation, values are within a factor of {activations[0]:.3g} from layer to layer, and "
            f"gradient to weight within {gradients[0]:.3g}"
        )
        if seen.classes > 1:
            message += f"; the loss is {value:.3g}, chance {math.log(seen.classes):.3g}"
        return self.outcome(trials, "met", f"{message}.", figures=figures)


def _fault(
    model: nn.Module, seen: Seen, activations: tuple[float, str, str], gradients: tuple[float, str, str]
) -> tuple[str, str]:
    """What is wrong, and in which layer or parameter; empty if nothing is."""
    if seen.not_finite:
        return f"At initialisation, {seen.not_finite} returns values that are not finite.", seen.not_finite
    if seen.dead:
        return f"At initialisation, {seen.dead} returns zeros alone: no gradient passes that ReLU.", seen.dead
    if equal := _equal_units(model):
        return f"All units of {equal} have the same weights and gradients, and will stay the same.", equal
    if _begins_small(model):
        return "", ""
    factor, small, large = activations
    if factor > ACTIVATIONS_APART:
        return f"At initialisation, what {large} returns is {factor:.2g} times as large as that of {small}.", small
    factor, small, large = gradients
    if factor > GRADIENTS_APART:
        return f"At initialisation, gradient to weight is {factor:.2g} times as large in {large} as in {small}.", small
    return "", ""


def _forward(bench: Bench) -> tuple[Seen, Tensor]:
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415
    from torch.overrides import TorchFunctionMode  # noqa: PLC0415

    seen = Seen()

    def watched(name: str, weighted: bool, relu: bool) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) and output else output
            if not isinstance(value, torch.Tensor) or not value.is_floating_point() or name in seen.scales:
                return
            value = value.detach()
            scale = value.float().square().mean().sqrt().item()
            if not math.isfinite(scale) and not value.isfinite().all():
                seen.not_finite = seen.not_finite or name
            if relu and scale == 0 and value.numel() >= DEAD_OUTPUTS and _some(args):
                seen.dead = seen.dead or name
            if weighted:
                seen.scales[name] = scale

        return hook

    class Losses(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.nn.functional.cross_entropy and len(args) > 1 and not args[1].is_floating_point():
                seen.classes = args[0].shape[1 if args[0].dim() > 1 else 0]
            return func(*args, **(kwargs or {}))

    leaves = [
        (name, each) for name, each in bench.model.named_modules() if name and not any(True for _ in each.children())
    ]
    hooks = []
    for name, leaf in leaves:
        weighted = any(value.dim() > 1 for value in leaf.parameters(recurse=False))
        hooks.append(leaf.register_forward_hook(watched(name, weighted, isinstance(leaf, nn.ReLU | nn.ReLU6))))
    try:
        with Losses():
            bench.model.zero_grad()
            return seen, bench.loss()
    finally:
        for hook in hooks:
            hook.remove()


def _some(args: Any) -> bool:
    """Whether a layer was given anything but zeros: else another one is to blame."""
    return bool(args) and bool(args[0].detach().any())


def _ratios(model: nn.Module) -> dict[str, float]:
    """The norm of the gradient over that of the weight, of each trained weight of two or more dimensions."""
    found = {}
    for name, value in model.named_parameters():
        if value.grad is not None and value.dim() > 1 and not value.grad.is_sparse:
            weight, gradient = value.detach().norm().item(), value.grad.norm().item()
            found[name] = gradient / weight if weight else 0.0
    return found


def _spread(scales: dict[str, float]) -> tuple[float, str, str]:
    """The largest of some scales over the smallest one above zero, and the names of the smallest and the largest."""
    some = {name: scale for name, scale in scales.items() if 0 < scale < math.inf}
    if not some:
        return 1.0, "", ""
    small, large = min(some, key=some.__getitem__), max(some, key=some.__getitem__)
    return some[large] / some[small], small, large


def _equal_units(model: nn.Module) -> str:
    """The first weight all of whose rows are equal and get equal gradients, though not zero ones; or empty."""
    from torch import nn  # noqa: PLC0415
    from torch.nn.modules.conv import _ConvNd  # noqa: PLC0415

    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Linear | _ConvNd) or layer.weight.grad is None or len(layer.weight) < 2:
            continue
        weight, gradient = layer.weight.detach(), layer.weight.grad
        if gradient.any() and all(_same_rows(value) for value in (weight, gradient)):
            return f"{name}.weight"
    return ""


def _same_rows(value: Tensor) -> bool:
    """Whether all rows are equal but for what rounding leaves."""
    return bool((value - value[:1]).abs().max() <= 1e-6 * value.abs().max())


def _begins_small(model: nn.Module) -> bool:
    """Whether the model has scales, other than biases, that begin near zero: they damp what they scale on purpose."""
    scales = ((name, value) for name, value in model.named_parameters() if value.dim() <= 1)
    return any(value.numel() and value.abs().max().item() < 0.01 for name, value in scales if not name.endswith("bias"))
