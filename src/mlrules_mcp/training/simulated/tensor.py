"""Tensors on the simulated device: real numbers, kept on the CPU, under a device of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from mlrules_mcp.training.simulated.device import NAME, Backend, NotSimulated
from mlrules_mcp.training.simulated.rules import operation

_CPU = torch.device("cpu")
_FIRST: Any = f"{NAME}:0"

Call = dict[str, Any]


class SimulatedTensor(torch.Tensor):
    """A tensor on the simulated device.

    Attributes:
        held: the CPU tensor with its values; views of this tensor hold views of it.
        ordinal: which simulated device it is on. PyTorch itself believes that all are on the first: it has the
            backends of Python register one alone.
    """

    held: torch.Tensor
    ordinal: int
    # What its device is called: that of CUDA while the simulation goes as one.
    shown_as = NAME
    # How many of PyTorch's own functions run at the moment: to them it is called what it is.
    inside = 0

    @staticmethod
    def __new__(cls, held: torch.Tensor, ordinal: int = 0, requires_grad: bool = False) -> SimulatedTensor:
        """A wrapper of a strided CPU tensor; no memory is copied.

        Raises:
            NotSimulated: the tensor is sparse or quantized.
        """
        if held.layout is not torch.strided or held.is_quantized:
            raise NotSimulated(f"tensors with the layout {held.layout}")
        wrapper: SimulatedTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=_FIRST,
            requires_grad=requires_grad,
        )
        wrapper.held = held
        wrapper.ordinal = ordinal
        return wrapper

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Call | None = None
    ) -> Any:
        return run(func, args, kwargs or {})

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The simulated device, under the name that it goes by."""
        return torch.device(NAME if SimulatedTensor.inside else SimulatedTensor.shown_as, self.ordinal)

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """Whether the simulation goes as CUDA."""
        return SimulatedTensor.shown_as == "cuda"

    def get_device(self) -> int:
        """The index of the device."""
        return self.ordinal

    def numpy(self, *, force: bool = False) -> Any:
        """The values as an array, which they have to be copied to the CPU for."""
        if force:
            return self.detach().cpu().numpy()
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def __array__(self, dtype: Any = None) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        """The values as nested lists."""
        return self.detach().cpu().tolist()

    def data_ptr(self) -> int:
        """Where the values lie in memory."""
        return self.held.data_ptr()

    def pin_memory(self, device: Any = None) -> torch.Tensor:
        """Refused: only what is on the CPU can be pinned."""
        raise RuntimeError(f"cannot pin '{self.type()}' only dense CPU tensors can be pinned")

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        text = repr(self.detach().cpu())
        return f"{text[:-1]}, device='{self.device}')"

    def __format__(self, specification: str) -> str:
        return format(self.item(), specification) if self.dim() == 0 else object.__format__(self, specification)

    def __tensor_flatten__(self) -> tuple[list[str], int]:
        return ["held"], self.ordinal

    @staticmethod
    def __tensor_unflatten__(parts: dict[str, torch.Tensor], index: int, size: Any, stride: Any) -> SimulatedTensor:
        return SimulatedTensor(parts["held"], index)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return rebuilt, (self.held, self.ordinal, self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user support the deepcopy protocol")
        copied = SimulatedTensor(self.held.clone(), self.ordinal, self.requires_grad)
        if getattr(self, "_is_param", False):
            copied._is_param = True
        if self.grad is not None:
            copied.grad = copy.deepcopy(self.grad, memo)
        memo[id(self)] = copied
        return copied


def rebuilt(inner: torch.Tensor, index: int, requires_grad: bool) -> torch.Tensor:
    """A saved tensor, on the device that `map_location` sends it to."""
    place = load_location.device
    target = torch.device(SimulatedTensor.shown_as, index) if place is None else place(SimulatedTensor.shown_as, index)
    if not Backend.active and is_simulated(target):
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
            "running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
            "storages to the CPU."
        )
    if not is_simulated(target):
        return inner.detach().requires_grad_(requires_grad)
    return SimulatedTensor(inner, index_of(target), requires_grad)


class _LoadLocation:
    """Where `torch.load` puts what was saved on a simulated device, while it loads."""

    device: Callable[[str, int], torch.device] | None = None


load_location = _LoadLocation()


def is_simulated(device: Any) -> bool:
    """Whether something that PyTorch takes as a device means the simulated one."""
    if device is None or isinstance(device, int):
        return isinstance(device, int) and Backend.active
    kind = device.type if isinstance(device, torch.device) else str(device).partition(":")[0]
    return kind in (NAME, SimulatedTensor.shown_as)


def index_of(device: Any) -> int:
    """The index that a device names, or the current one's.

    Raises:
        RuntimeError: there is no such device.
    """
    index = device if isinstance(device, int) else torch.device(device).index
    if index is None:
        return Backend.current
    if not 0 <= index < Backend.count:
        raise RuntimeError(f"{SimulatedTensor.shown_as} error: invalid device ordinal {index}")
    return index


def run(func: Any, args: tuple[Any, ...], kwargs: Call) -> Any:
    """Run one operation of ATen on the CPU tensors inside its arguments, by the device rules of CUDA.

    Raises:
        DeviceMismatch: its tensors are on different devices.
        NotSimulated: it can't be run on the CPU.
    """
    if torch.is_inference_mode_enabled():
        # PyTorch counts the versions of what comes back, which it can't of tensors made in this mode.
        with torch.inference_mode(False), torch.no_grad():
            return run(func, args, kwargs)
    tensors: list[torch.Tensor] = []
    simulated: list[SimulatedTensor] = []

    def bare(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            tensors.append(value)
            if isinstance(value, SimulatedTensor):
                simulated.append(value)
                return value.held
            return value
        if value.__class__ is list or value.__class__ is tuple:
            return [bare(each) for each in value]
        return value

    bare_args = [bare(value) for value in args]
    bare_kwargs = {name: bare(value) for name, value in kwargs.items()} if kwargs else {}
    target = bare_kwargs.get("device")
    if not simulated and (target is None or not is_simulated(target)):
        return func(*args, **kwargs)
    known = operation(func)
    if len(tensors) > 1 and (known.checked_alone or _differ(tensors, simulated)):
        known.check(func, args, tensors, simulated)
    ordinal: int | None = simulated[0].ordinal if simulated else None
    if target is not None:
        ordinal = index_of(target) if is_simulated(target) else None
        bare_kwargs["device"] = _CPU
        bare_kwargs.pop("pin_memory", None)
    elif known.copies_into:
        ordinal = getattr(args[0], "ordinal", None)
    try:
        out = known.run(*bare_args, **bare_kwargs)
    except NotImplementedError as error:
        raise NotSimulated(str(error).splitlines()[0]) from error
    except RuntimeError as error:
        if "not implemented for" in str(error):
            raise NotSimulated(str(error)) from error
        raise
    if known.reshapes:
        with torch._C._DisableTorchDispatch():  # the shape that PyTorch sees changes with that of the values
            func(*args, **kwargs)
        return args[0]
    if known.rest_on_cpu:
        return _wrapped(out[0], ordinal, simulated), *out[1:]
    return _wrapped(out, ordinal, simulated)


def _differ(tensors: list[torch.Tensor], simulated: list[SimulatedTensor]) -> bool:
    first = simulated[0].ordinal if simulated else None
    return len(tensors) != len(simulated) or any(each.ordinal != first for each in simulated)


def _wrapped(out: Any, index: int | None, simulated: list[SimulatedTensor]) -> Any:
    if isinstance(out, torch.Tensor):
        for each in simulated:  # what is changed in place is returned itself
            if each.held is out:
                return each
        return out if index is None else SimulatedTensor(out, index)
    if out.__class__ is tuple or out.__class__ is list:
        return out.__class__(_wrapped(each, index, simulated) for each in out)
    if isinstance(out, list | tuple):
        return tree_map(lambda value: _wrapped(value, index, simulated), out)
    return out


class AsOne(torch.autograd.Function):
    """A function of simulated tensors that runs on their CPU tensors as a whole, with the gradients it has there."""

    @staticmethod
    def forward(ctx: Any, run: Callable[..., Any], ordinal: int, *tensors: SimulatedTensor) -> Any:
        """Run it, and keep its graph for the way back."""
        with torch.enable_grad():
            held = [each.held.detach().requires_grad_(each.requires_grad) for each in tensors]
            outputs = run(*held)
        ctx.held, ctx.outputs, ctx.ordinal = held, outputs, ordinal
        return tuple(SimulatedTensor(each.detach(), ordinal) for each in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: SimulatedTensor) -> Any:
        """The gradients of the tensors."""
        wanted = [each for each in ctx.held if each.requires_grad]
        found = iter(
            torch.autograd.grad(
                ctx.outputs, wanted, [grad.held for grad in grads], retain_graph=True, allow_unused=True
            )
        )
        each_grad = (next(found) if each.requires_grad else None for each in ctx.held)
        wrapped = (None if grad is None else SimulatedTensor(grad, ctx.ordinal) for grad in each_grad)
        return None, None, *wrapped


class Dispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sends what no simulated tensor takes part in, but names the simulated device, to it: `torch.zeros(device=…)`."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else each operation is wrapped against being compiled, at a third of its cost

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Call | None = None) -> Any:
        return run(func, args, kwargs or {})
