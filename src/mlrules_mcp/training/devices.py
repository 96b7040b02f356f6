"""The devices of this machine: which are there, what they are called, how Lightning is told to use them."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.strategies import SingleDeviceStrategy

from mlrules_mcp.training.result import DeviceReport
from mlrules_mcp.training.simulated.device import NAME, register
from mlrules_mcp.training.simulated.simulation import simulated_accelerator

ACCELERATORS = ("cuda", "mps", "xpu")
SIMULATED = NAME
KNOWN_TO_LIGHTNING = ("cpu", "cuda", "mps")
GIB = 1024**3


def present() -> tuple[str, ...]:
    """The kinds of device that are there, the CPU first."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "xpu": torch.xpu.is_available(),
    }
    return ("cpu", *(name for name in ACCELERATORS if there[name]))


def describe(device: str) -> DeviceReport:
    """The device's name and size, before anything was trained on it; the first one, where there are several."""
    if device == "cpu":
        name = _processor()
        hardware = f"{os.cpu_count()} cores{_memory(_system_memory())}"
    elif device == SIMULATED:
        name, hardware = "simulated accelerator", "the CPU's numbers under CUDA's device rules"
    elif device == "mps":
        name = f"{_processor()} (Metal)"
        hardware = f"unified memory{_memory(_system_memory())}"
    else:
        backend = torch.get_device_module(device)
        properties = backend.get_device_properties(0)
        name = properties.name
        count = backend.device_count()
        among = "" if count == 1 else f"; the first of {count}"
        hardware = f"1 device{_memory(properties.total_memory)}{among}"
    return DeviceReport(device=device, name=name, hardware=hardware)


def trainer_arguments(device: str) -> dict[str, Any]:
    """The arguments that make a Trainer train on this device alone."""
    if device in KNOWN_TO_LIGHTNING:
        return {"accelerator": device, "devices": 1}
    accelerator = PlainAccelerator()
    return {"strategy": SingleDeviceStrategy(device=torch.device(device, 0), accelerator=accelerator)}


def prepare(chosen: tuple[str, ...]) -> None:
    """Make the simulated device known, if it is among the chosen ones: PyTorch counts devices when it first trains."""
    if SIMULATED in chosen:
        register()


def made_present(device: str) -> AbstractContextManager[object]:
    """A context in which the device is there: the simulated one is not, outside it."""
    return simulated_accelerator() if device == SIMULATED else nullcontext()


def synchronize(device: str) -> None:
    """Wait until the device has done all it was asked to, so that a clock may be read."""
    if device != "cpu":
        torch.get_device_module(device).synchronize()


def reset_peak_memory(device: str) -> None:
    """Begin to measure anew, where the device can."""
    if device in {"cuda", "xpu"}:
        torch.get_device_module(device).reset_peak_memory_stats()


def peak_memory(device: str) -> int | None:
    """The most bytes that tensors took on the accelerator, or this process on a CPU; None where nothing tells.

    On MPS, which keeps no peak, it is what the driver holds now: it gives nothing back while a model trains.
    """
    if device in {"cuda", "xpu"}:
        return int(torch.get_device_module(device).max_memory_allocated())
    if device == "mps":
        return int(torch.mps.driver_allocated_memory())
    if sys.platform == "win32" or device == SIMULATED:
        return None
    import resource  # noqa: PLC0415  not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere


class PlainAccelerator(Accelerator):
    """Any device that PyTorch knows and Lightning has no accelerator for, such as Intel's XPU."""

    def setup_device(self, device: torch.device) -> None:
        """Nothing to prepare: PyTorch starts the device at its first use."""

    def teardown(self) -> None:
        """Nothing to take down."""

    def get_device_stats(self, device: torch.device | str | int) -> dict[str, Any]:
        """No figures."""
        return {}

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        """Devices as they were given."""
        return devices

    @staticmethod
    def get_parallel_devices(devices: Any) -> Any:
        """Devices as they were given: the strategy holds the one that is used."""
        return devices

    @staticmethod
    def auto_device_count() -> int:
        """One."""
        return 1

    @staticmethod
    def is_available() -> bool:
        """Asked of PyTorch before, in `present`."""
        return True

    @staticmethod
    def name() -> str:
        """A name that is none of Lightning's."""
        return "plain"


def _memory(size: int | None) -> str:
    return f", {size / GIB:.0f} GiB" if size else ""


def _system_memory() -> int | None:
    if sys.platform == "win32":
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
