"""The simulated device as PyTorch knows it: a name in its slot for backends of others, and what it asks of one."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

NAME = "simulated"


class NotSimulated(RuntimeError):
    """Something that the simulated device can't do though a real one might: never the user's fault."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not simulated: {what}")


class Backend:
    """What PyTorch looks for in the module of a backend, `torch.<name>`."""

    # A mistake between two devices shows only where there are two; most machines have one.
    count = 1
    current = 0
    # Outside a simulation, a machine without an accelerator has to go on being one.
    active = False

    def is_initialized(self) -> bool:
        """Always: there is nothing to set up."""
        return True

    def is_available(self) -> bool:
        """Inside a simulation."""
        return Backend.active

    def is_built(self) -> bool:
        """Always."""
        return True

    def device_count(self) -> int:
        """How many devices there are."""
        return Backend.count

    def current_device(self) -> int:
        """The device that the name alone stands for."""
        return Backend.current

    def set_device(self, device: Any) -> None:
        """Make another device the one that the name alone stands for."""
        index = device if isinstance(device, int) else torch.device(device).index or 0
        if not 0 <= index < Backend.count:
            raise RuntimeError(f"invalid device ordinal: {index}")
        Backend.current = index

    def synchronize(self, device: Any = None) -> None:
        """Nothing to wait for: each operation is done when its call returns."""

    def empty_cache(self) -> None:
        """Nothing is cached."""

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed(self, seed: int) -> None:
        """Nothing: the simulated device draws from the generator of the CPU, so that both draw the same."""

    def manual_seed_all(self, seed: int) -> None:
        """Nothing, as for `manual_seed`."""

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        """The state of the generator of the CPU, which this device draws from."""
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None:
        """Nothing: the state of the CPU's generator is set for itself."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """What autocast may compute in."""
        return [torch.float16, torch.bfloat16]


@cache
def register() -> None:
    """Make the device known to PyTorch, once a process: `torch.device("simulated")` is valid from then on.

    Source: https://docs.pytorch.org/docs/stable/notes/privateuse1.html (hooks in Python: torch 2.10 and later).
    """
    from torch.utils import backend_registration  # noqa: PLC0415

    class Guard(torch._C._acc.DeviceGuard):
        def type_(self) -> Any:
            return torch._C._autograd.DeviceType.PrivateUse1

    setup = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
    if setup is None:
        raise NotSimulated(f"any device on PyTorch {torch.__version__}: it needs 2.10 or newer")
    setup(NAME, Backend())
