"""Which devices the tensors of one operation may be on: the rules of CUDA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import torch

from mlrules_mcp.training.simulated.kernels import KERNELS

if TYPE_CHECKING:
    from mlrules_mcp.training.simulated.tensor import SimulatedTensor

aten = torch.ops.aten

# Operations that carry values from one device to another, or only look at shapes and types.
_ANY_DEVICES = frozenset(
    {
        aten.copy_.default,
        aten.copy.default,
        aten._to_copy.default,
        aten._foreach_copy_.default,
        aten._has_compatible_shallow_copy_type.default,
        aten.is_same_size.default,
        aten.result_type.Tensor,
    }
)
_INDEXING = frozenset(
    {
        aten.index.Tensor,
        aten.index_put.default,
        aten.index_put_.default,
        aten._index_put_impl_.default,
        aten._unsafe_index.Tensor,
        aten._unsafe_index_put.default,
    }
)
# Arguments that are read on the CPU, wherever the others are: their places by operation.
_ON_CPU = {
    aten._pack_padded_sequence.default: (1,),
    aten._ctc_loss.Tensor: (2, 3),
    aten.tensor_split.tensor_indices_or_sections: (1,),
}


class DeviceMismatch(RuntimeError):
    """Tensors of one operation are on different devices, as CUDA would say it."""


class Operation(NamedTuple):
    """What running an operation of ATen depends on.

    Attributes:
        run: what computes it on CPU tensors.
        check: what raises a DeviceMismatch where tensors of different devices, of which one at least is simulated,
            can't meet in it. It gets the arguments, all tensors and the simulated ones.
        checked_alone: whether it is to be checked although all tensors are simulated.
        reshapes: whether it changes the shape of its first argument in place.
        copies_into: whether its result is on the device of its first argument, whatever the others are on.
        rest_on_cpu: whether only the first of its results is on the device.
    """

    run: Callable[..., Any]
    check: Callable[[Any, Sequence[Any], Sequence[torch.Tensor], Sequence[SimulatedTensor]], None]
    checked_alone: bool
    reshapes: bool
    copies_into: bool
    rest_on_cpu: bool


_OPERATIONS: dict[Any, Operation] = {}


def operation(func: Any) -> Operation:
    """What is known of an operation; found out once."""
    known = _OPERATIONS.get(func)
    if known is None:
        known = _OPERATIONS[func] = Operation(
            KERNELS.get(func, func),
            _check_of(func),
            func in _ON_CPU,
            torch.Tag.inplace_view in func.tags,
            func is aten.copy_.default,
            func is aten._pack_padded_sequence.default,
        )
    return known


def _check_of(func: Any) -> Callable[[Any, Sequence[Any], Sequence[torch.Tensor], Sequence[SimulatedTensor]], None]:
    if func in _ANY_DEVICES:
        return _anywhere
    if func in _INDEXING:
        return _check_indexing
    if func in _ON_CPU:
        return _check_on_cpu
    name = func._schema.name
    return _check_pointwise if torch.Tag.pointwise in func.tags or name.startswith("aten::_foreach") else _check_same


def _anywhere(*_: Any) -> None:
    return None


def _check_same(
    func: Any, args: Sequence[Any], tensors: Sequence[torch.Tensor], simulated: Sequence[SimulatedTensor]
) -> None:
    """All on one device."""
    first = simulated[0]
    for tensor in tensors:
        if getattr(tensor, "ordinal", None) != first.ordinal:
            _refuse(first, tensor, func)


def _check_pointwise(
    func: Any, args: Sequence[Any], tensors: Sequence[torch.Tensor], simulated: Sequence[SimulatedTensor]
) -> None:
    """All on one device, but for tensors of no dimensions, which may come from the CPU where they are only read.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html and ATen's TensorIterator.
    """
    first = simulated[0]
    written = args[0] if func._schema.name.endswith("_") else None
    for tensor in tensors:
        ordinal = getattr(tensor, "ordinal", None)
        if ordinal != first.ordinal and (ordinal is not None or tensor.dim() > 0 or tensor is written):
            _refuse(first, tensor, func)


def _check_indexing(
    func: Any, args: Sequence[Any], tensors: Sequence[torch.Tensor], simulated: Sequence[SimulatedTensor]
) -> None:
    """Indices on the CPU or with the data; a value with the data, unless it has no dimensions."""
    data, indices, *rest = args
    home = getattr(data, "ordinal", None)
    for index in indices:
        if index is not None and getattr(index, "ordinal", home) not in (home, None):
            raise DeviceMismatch(
                f"indices should be either on cpu or on the same device as the indexed tensor ({shown_device(data)})"
            )
        if index is not None and home is None and hasattr(index, "ordinal"):
            raise DeviceMismatch("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    if rest and getattr(rest[0], "ordinal", None) != home and rest[0].dim() > 0:
        _refuse(data, rest[0], func)


def _check_on_cpu(
    func: Any, args: Sequence[Any], tensors: Sequence[torch.Tensor], simulated: Sequence[SimulatedTensor]
) -> None:
    places = _ON_CPU[func]
    for place in places:
        if place < len(args) and hasattr(args[place], "ordinal"):
            device = shown_device(args[place])
            raise DeviceMismatch(f"argument {place + 1} of {_name(func)} should be a CPU tensor, but it is on {device}")
    others = [each for number, each in enumerate(args) if number not in places and isinstance(each, torch.Tensor)]
    _check_same(func, args, others, simulated)


def shown_device(tensor: torch.Tensor) -> torch.device:
    """The device of a tensor under the name that the user knows."""
    ordinal = getattr(tensor, "ordinal", None)
    return tensor.device if ordinal is None else torch.device(tensor.shown_as, ordinal)  # type: ignore[attr-defined]


def _refuse(one: torch.Tensor, other: torch.Tensor, func: Any) -> NoReturn:
    raise DeviceMismatch(
        "Expected all tensors to be on the same device, but found at least two devices, "
        f"{shown_device(one)} and {shown_device(other)}! (when checking the arguments of {_name(func)})"
    )


def _name(func: Any) -> str:
    name: str = func._schema.name
    return name.removeprefix("aten::")
