"""Runs code as on a machine with an accelerator: one of our name, or CUDA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from mlrules_mcp.training.simulated.autocast import register_autocast
from mlrules_mcp.training.simulated.cuda import Generator, cuda_answers
from mlrules_mcp.training.simulated.device import NAME, Backend, NotSimulated, register
from mlrules_mcp.training.simulated.rules import DeviceMismatch, shown_device
from mlrules_mcp.training.simulated.tensor import (
    AsOne,
    Dispatch,
    SimulatedTensor,
    index_of,
    is_simulated,
    load_location,
    rebuilt,
)

Call = dict[str, Any]


@contextmanager
def simulated_accelerator(devices: int = 1) -> Iterator[torch.device]:
    """A machine whose only accelerator is the device `simulated`: code for CUDA alone fails on it.

    Args:
        devices: how many of them it has.

    Yields:
        The first of them.

    Raises:
        NotSimulated: this PyTorch can't have such a device.
    """
    with _simulation(NAME, devices) as device:
        yield device


@contextmanager
def simulated_cuda(devices: int = 1) -> Iterator[torch.device]:
    """A machine with CUDA: `"cuda"`, `.cuda()` and `torch.cuda` answer as there. Arguments as above."""
    with ExitStack() as stack:
        device = stack.enter_context(_simulation("cuda", devices))
        stack.enter_context(cuda_answers(devices))
        yield device


@contextmanager
def _simulation(name: str, devices: int) -> Iterator[torch.device]:
    register()
    register_autocast()
    before = (SimulatedTensor.shown_as, Backend.count, Backend.current, Backend.active)
    SimulatedTensor.shown_as, Backend.count, Backend.current, Backend.active = name, devices, 0, True
    try:
        with Dispatch(), Functions(), _loading(), _replaced():  # type: ignore[no-untyped-call]
            yield torch.device(name, 0)
    finally:
        SimulatedTensor.shown_as, Backend.count, Backend.current, Backend.active = before


class Functions(TorchFunctionMode):
    """Mends calls where PyTorch would decide by itself before it asks the device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Call | None = None) -> Any:
        kwargs = kwargs or {}
        special = _SPECIAL.get(func)
        if special is not None:
            return special(func, args, kwargs)
        if "device" in kwargs:
            kwargs = {**kwargs, "device": _internal(kwargs["device"])}
        if kwargs.get("pin_memory"):
            kwargs = {**kwargs, "pin_memory": False}
        if kwargs.get("generator") is not None:
            _check_generator(kwargs["generator"], kwargs.get("device", args[0] if args else None))
        # PyTorch runs what it calls itself without this mode: there the device has to have its own name.
        SimulatedTensor.inside += 1
        try:
            return func(*args, **kwargs)
        finally:
            SimulatedTensor.inside -= 1


def _check_generator(generator: torch.Generator, target: Any) -> None:
    on_device = isinstance(generator, Generator)
    if on_device != (isinstance(target, SimulatedTensor) or (not isinstance(target, int) and is_simulated(target))):
        expected, found = ("cpu", SimulatedTensor.shown_as) if on_device else (SimulatedTensor.shown_as, "cpu")
        raise RuntimeError(f"Expected a '{expected}' device type for generator but found '{found}'")


def _internal(device: Any) -> Any:
    """A device as PyTorch is told of it: what goes as CUDA is ours."""
    return torch.device(NAME, index_of(device)) if device is not None and is_simulated(device) else device


def _made(func: Any, args: Any, kwargs: Call) -> Any:
    """`torch.tensor` and its like make a CPU tensor and copy it with all modes off: the copy is ours to make."""
    device = kwargs.get("device")
    if device is None and args and isinstance(args[0], SimulatedTensor) and func is not torch.tensor:
        return func(*args, **kwargs)
    if not is_simulated(device):
        if args and isinstance(args[0], SimulatedTensor):
            return func(args[0].held, *args[1:], **kwargs) if device is not None else args[0].clone()
        return func(*(_plain(each) for each in args), **kwargs)
    kwargs = {**kwargs}
    requires_grad = kwargs.pop("requires_grad", False)
    kwargs["device"] = "cpu"
    kwargs.pop("pin_memory", None)
    source = args[0] if args else kwargs.pop("data")
    held = source.held if isinstance(source, SimulatedTensor) else _plain(source)
    made = SimulatedTensor(func(held, *args[1:], **kwargs), index_of(device))
    return made.requires_grad_() if requires_grad else made


def _plain(value: Any) -> Any:
    """Data for a tensor with simulated scalars in it as Python numbers."""
    if isinstance(value, SimulatedTensor):
        return value.tolist()
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _moved(func: Any, args: Any, kwargs: Call) -> Any:
    """`Tensor.to`: between two simulated devices PyTorch would see no difference."""
    tensor, *rest = args
    if rest and isinstance(rest[0], str | torch.device | int):
        rest[0] = _internal(rest[0])
    if "device" in kwargs:
        kwargs = {**kwargs, "device": _internal(kwargs["device"])}
    target = kwargs.get("device", rest[0] if rest else None)
    if isinstance(tensor, SimulatedTensor):
        other = target.ordinal if isinstance(target, SimulatedTensor) else None
        if isinstance(target, torch.device) and target.type == NAME:
            other = index_of(target)
        if other is not None and other != tensor.ordinal:
            moved = _Moved.apply(tensor, other)  # type: ignore[no-untyped-call]
            return func(moved, *rest, **kwargs)
    return func(tensor, *rest, **kwargs)


class _Moved(torch.autograd.Function):
    """A copy on another simulated device, with its gradient on the way back."""

    @staticmethod
    def forward(ctx: Any, tensor: SimulatedTensor, ordinal: int) -> SimulatedTensor:
        ctx.ordinal = tensor.ordinal
        return SimulatedTensor(tensor.held.clone(), ordinal)

    @staticmethod
    def backward(ctx: Any, grad: SimulatedTensor) -> tuple[SimulatedTensor, None]:
        return SimulatedTensor(grad.held, ctx.ordinal), None


def _to_cuda(func: Any, args: Any, kwargs: Call) -> Any:
    if SimulatedTensor.shown_as != "cuda":
        return func(*args, **kwargs)
    tensor, *rest = args
    device = rest.pop(0) if rest else kwargs.get("device")
    return tensor.to(_internal("cuda" if device is None else device), **_without(kwargs, "device"))


def _typed(func: Any, args: Any, kwargs: Call) -> Any:
    """`Tensor.type`: the names of CUDA's types name a device too."""
    tensor, *rest = args
    wanted = rest[0] if rest else kwargs.get("dtype")
    if wanted is None and isinstance(tensor, SimulatedTensor):
        plain: str = tensor.held.type()
        return plain.replace("torch.", f"torch.{SimulatedTensor.shown_as}.", 1)
    name = wanted if isinstance(wanted, str) else getattr(wanted, "simulated_type", None)
    if name and name.startswith("torch.cuda."):
        cpu_type = getattr(torch, name.rpartition(".")[2])
        return tensor.to(_internal("cuda"), dtype=cpu_type.dtype)
    if isinstance(tensor, SimulatedTensor) and not isinstance(wanted, torch.dtype):
        return tensor.cpu().type(*rest, **kwargs)
    return func(*args, **kwargs)


def _pinned(func: Any, args: Any, kwargs: Call) -> Any:
    if isinstance(args[0], SimulatedTensor):
        return args[0].pin_memory()
    return args[0].clone()


def _recurrent(func: Any, args: Any, kwargs: Call) -> Any:
    """`torch.lstm` and its like as one operation: step by step they would cost many times as much."""
    first = args[0]
    if torch.is_autocast_enabled(NAME) or not isinstance(first, SimulatedTensor):
        return func(*args, **kwargs)
    leaves, structure = tree_flatten(args)
    tensors = [each for each in leaves if isinstance(each, SimulatedTensor)]
    batch_sizes = args[1] if _is_packed(args) else None
    for other in leaves:
        if not isinstance(other, torch.Tensor) or other is batch_sizes:
            continue
        if getattr(other, "ordinal", None) != first.ordinal:
            raise DeviceMismatch(
                "Input, hidden and parameter tensors are not at the same device, found input tensor at "
                f"{shown_device(first)} and another at {shown_device(other)}"
            )

    def run(*held: torch.Tensor) -> Any:
        rest = iter(held)
        return func(
            *tree_unflatten([next(rest) if isinstance(each, SimulatedTensor) else each for each in leaves], structure)
        )

    return AsOne.apply(run, first.ordinal, *tensors)  # type: ignore[no-untyped-call]


def _backward(func: Any, args: Any, kwargs: Call) -> Any:
    """Hooks and backward functions are the user's own code: this mode is for them too."""
    tensor, *rest = args
    names = ("gradient", "retain_graph", "create_graph", "inputs")
    given = dict(zip(names, rest, strict=False)) | kwargs
    gradient, keep, create = given.get("gradient"), given.get("retain_graph"), given.get("create_graph", False)
    try:
        with Functions():
            return torch.autograd.backward(tensor, gradient, keep, create, inputs=given.get("inputs"))
    except RuntimeError as error:
        if "device_ready_queues_" in str(error):
            raise NotSimulated("in a process that went backward before it knew of the device") from error
        raise


def _is_packed(args: Any) -> bool:
    """Whether a recurrent layer gets a packed sequence: then the sizes of its batches, on the CPU, come second."""
    return isinstance(args[3], list | tuple)


def _ctc_loss(func: Any, args: Any, kwargs: Call) -> Any:
    """For subclasses of Tensor, PyTorch keeps lengths as tensors, and divides by those of the CPU."""
    scores, targets, *lengths = args
    if isinstance(scores, SimulatedTensor):
        lengths[:2] = [each.tolist() if isinstance(each, torch.Tensor) else each for each in lengths[:2]]
    return func(scores, targets, *lengths, **kwargs)


def _without(kwargs: Call, name: str) -> Call:
    return {key: value for key, value in kwargs.items() if key != name}


_SPECIAL: dict[Any, Callable[[Any, Any, Call], Any]] = {
    torch.tensor: _made,
    torch.as_tensor: _made,
    torch.asarray: _made,
    torch.Tensor.to: _moved,
    torch.Tensor.cuda: _to_cuda,
    torch.Tensor.type: _typed,
    torch.Tensor.pin_memory: _pinned,
    torch.lstm: _recurrent,
    torch.gru: _recurrent,
    torch.rnn_tanh: _recurrent,
    torch.rnn_relu: _recurrent,
    torch.nn.functional.ctc_loss: _ctc_loss,
    torch.Tensor.backward: _backward,
}


@contextmanager
def _loading() -> Iterator[None]:
    """`torch.load` puts what was saved on a simulated device where `map_location` says."""
    original = torch.load

    def load(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        load_location.device = _mapping(map_location)
        try:
            return original(f, map_location if callable(map_location) else _cpu(map_location), *args, **kwargs)
        finally:
            load_location.device = None

    with torch.serialization.safe_globals([rebuilt]):
        torch.load = load
        try:
            yield
        finally:
            torch.load = original


@contextmanager
def _replaced() -> Iterator[None]:
    """What neither PyTorch's dispatcher nor its overrides are asked about."""

    forward = torch.nn.DataParallel.forward
    apply = torch.nn.Module._apply

    def applied(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return apply(self, *args, **kwargs)  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            if "Couldn't swap" in str(error):
                raise NotSimulated("moving a module while a graph still holds its parameters") from error
            raise

    def parallel(self: Any, *inputs: Any, **kwargs: Any) -> Any:
        if len(self.device_ids) > 1:
            raise NotSimulated("nn.DataParallel over several devices")
        return forward(self, *inputs, **kwargs)

    with ExitStack() as stack:
        stack.enter_context(patch.object(torch, "Generator", Generator))
        # The thread that pins has none of our modes; what is on the CPU stays as it is.
        stack.enter_context(
            patch.object(torch.utils.data._utils.pin_memory, "pin_memory", lambda data, device=None: data)
        )
        stack.enter_context(patch.object(torch.nn.DataParallel, "forward", parallel))
        stack.enter_context(patch.object(torch.nn.Module, "_apply", applied))
        stack.enter_context(patch.object(torch.backends.cudnn, "is_acceptable", lambda tensor: False))
        yield


def _cpu(map_location: Any) -> Any:
    """Where storages go, which all lie on the CPU here."""
    return (
        None if map_location is None or isinstance(map_location, dict) or is_simulated(map_location) else map_location
    )


def _mapping(map_location: Any) -> Callable[[str, int], torch.device] | None:
    if map_location is None:
        return None
    if isinstance(map_location, dict):
        places: dict[str, Any] = map_location
        return lambda kind, index: torch.device(places.get(f"{kind}:{index}", f"{kind}:{index}"))
    if callable(map_location):
        return lambda kind, index: torch.device("cpu")
    place: Any = map_location
    return lambda kind, index: torch.device(place)
