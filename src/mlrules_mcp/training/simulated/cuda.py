"""What `torch.cuda` answers while the simulated device goes as CUDA."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from mlrules_mcp.training.simulated.device import NAME, Backend, NotSimulated
from mlrules_mcp.training.simulated.tensor import SimulatedTensor, index_of, is_simulated

_MEMORY = 16 * 2**30
_TYPES = {
    "FloatTensor": torch.float32,
    "DoubleTensor": torch.float64,
    "HalfTensor": torch.float16,
    "BFloat16Tensor": torch.bfloat16,
    "LongTensor": torch.int64,
    "IntTensor": torch.int32,
    "ShortTensor": torch.int16,
    "CharTensor": torch.int8,
    "ByteTensor": torch.uint8,
    "BoolTensor": torch.bool,
}


class Event:
    """An event of a stream: all work is done when it is recorded."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._time = 0.0

    def record(self, stream: Any = None) -> None:
        """Keep the time."""
        self._time = time.perf_counter()

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds from this event to another."""
        return 1000 * (end._time - self._time)

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def wait(self, stream: Any = None) -> None:
        """Nothing to wait for."""

    def query(self) -> bool:
        """Always done."""
        return True


class Stream:
    """A stream: its work is done when its call returns."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.device = torch.device("cuda", Backend.current)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def record_event(self, event: Event | None = None) -> Event:
        """An event at this point."""
        event = event or Event()
        event.record()
        return event

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def wait_stream(self, stream: Any) -> None:
        """Nothing to wait for."""

    def wait_event(self, event: Any) -> None:
        """Nothing to wait for."""

    def query(self) -> bool:
        """Always done."""
        return True


class device:  # noqa: N801 - as in torch.cuda
    """Another device is the current one inside."""

    def __init__(self, wanted: Any) -> None:
        self._wanted = None if wanted is None else index_of(wanted)

    def __enter__(self) -> None:
        self._before = Backend.current
        if self._wanted is not None:
            Backend.current = self._wanted

    def __exit__(self, *_: object) -> None:
        Backend.current = self._before


_Plain = torch.Generator


class Generator(torch.Generator):
    """A generator of the simulated device: it draws as one of the CPU does."""

    simulated_index: int | None = None

    def __new__(cls, device: Any = "cpu") -> Any:
        """One of the simulated device, or a plain one."""
        if not is_simulated(device):
            return _Plain(device=device)
        made = super().__new__(cls)
        made.simulated_index = index_of(device)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The simulated device."""
        return torch.device(SimulatedTensor.shown_as, self.simulated_index or 0)


def _legacy_type(name: str, dtype: torch.dtype) -> type:
    """`torch.cuda.FloatTensor` and its like: called with sizes or with data."""

    class Meta(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, SimulatedTensor) and value.dtype == dtype

        def __call__(cls, *args: Any) -> Any:
            """A tensor of these sizes or this data."""
            if args and not isinstance(args[0], int):
                return torch.tensor(args[0], dtype=dtype, device="cuda")
            return torch.empty(*args or (0,), dtype=dtype, device="cuda")

    return Meta(name, (), {"simulated_type": f"torch.cuda.{name}"})


def _properties(wanted: Any = None) -> SimpleNamespace:
    return SimpleNamespace(
        name="simulated CUDA device", major=8, minor=0, total_memory=_MEMORY, multi_processor_count=1
    )


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _unknown(name: str) -> Any:
    def raise_not_simulated(*_: Any, **__: Any) -> Any:
        raise NotSimulated(f"torch.cuda.{name}")

    return raise_not_simulated


def _answers(devices: int) -> dict[str, Any]:
    backend = Backend()
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda *_, **__: True,
        "device_count": lambda: devices,
        "current_device": lambda: Backend.current,
        "set_device": backend.set_device,
        "get_device_name": lambda *_: "simulated CUDA device",
        "get_device_capability": lambda *_: (8, 0),
        "get_device_properties": _properties,
        "mem_get_info": lambda *_: (_MEMORY, _MEMORY),
        "get_rng_state": backend.get_rng_state,
        "get_rng_state_all": lambda: [torch.get_rng_state()] * devices,
        "initial_seed": torch.initial_seed,
        "memory_stats": lambda *_: {},
        "memory_summary": lambda *_, **__: "",
        "Event": Event,
        "Stream": Stream,
        "stream": lambda stream=None: nullcontext(stream),
        "current_stream": lambda *_: Stream(),
        "default_stream": lambda *_: Stream(),
        "device": device,
        "get_arch_list": lambda: ["sm_80"],
        "is_current_stream_capturing": lambda: False,
    }
    for name in ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"):
        answers[name] = lambda *_: 0
    for name in (
        "init _lazy_init synchronize empty_cache ipc_collect manual_seed manual_seed_all seed seed_all set_rng_state "
        "set_rng_state_all reset_peak_memory_stats reset_max_memory_allocated reset_accumulated_memory_stats "
        "set_per_process_memory_fraction set_sync_debug_mode"
    ).split():
        answers[name] = _nothing
    for name in ("CUDAGraph", "graph", "make_graphed_callables"):
        answers[name] = _unknown(name)
    for name, dtype in _TYPES.items():
        answers[name] = _legacy_type(name, dtype)
    return answers


@contextmanager
def cuda_answers(devices: int) -> Iterator[None]:
    """Have `torch.cuda` answer as on a machine with so many devices."""
    with ExitStack() as stack:
        for name, answer in _answers(devices).items():
            if hasattr(torch.cuda, name):
                stack.enter_context(patch.object(torch.cuda, name, answer))
        autocast = torch.amp.autocast_mode.autocast
        initialize = autocast.__init__

        def on_device(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
            initialize(self, NAME if device_type == "cuda" else device_type, *args, **kwargs)

        stack.enter_context(patch.object(autocast, "__init__", on_device))
        for name in ("is_autocast_enabled", "get_autocast_dtype"):
            ask = getattr(torch, name)
            stack.enter_context(patch.object(torch, name, _asking(ask)))
        yield


def _asking(ask: Any) -> Any:
    def asked(device_type: str | None = None) -> Any:
        return ask() if device_type is None else ask(NAME if device_type == "cuda" else device_type)

    return asked
