"""A clock for the parts of a training step."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from typing import Any

import lightning.pytorch as pl

from mlrules_mcp.training import devices
from mlrules_mcp.training.bench import Looked

PARTS = ("data", "forward", "backward", "optimizer")


class StepClock(pl.Callback):
    """Times the parts of each step, from the second one on, and ends the training after some.

    `data` is from one step's end to the next one's batch being on the device, `optimizer` is all that follows the
    backward pass: clipping, the optimizer's and the scheduler's step, and hooks. A step that runs several backward
    passes by itself counts what lies between them as forward.

    Args:
        device: the kind of device, whose work is awaited where the clock is read.
        steps: how many to time.
    """

    def __init__(self, device: str, steps: int) -> None:
        self.steps: list[dict[str, float]] = []
        self.cpu_seconds: list[float] = []
        self._device = device
        self._wanted = steps
        self._parts: defaultdict[str, float] = defaultdict(float)
        self._last = 0.0
        self._cpu_started = 0.0
        self._begun = False

    def seconds(self, part: str) -> float:
        """The median of a part's seconds."""
        return statistics.median(step[part] for step in self.steps)

    @property
    def fastest(self) -> float:
        """The seconds of the fastest step, without waiting for its data."""
        return min(sum(step.values()) - step["data"] for step in self.steps)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """The batch is there."""
        self._mark("data")
        self._cpu_started = time.process_time()

    def on_before_zero_grad(self, *args: Any) -> None:
        """The loss is there, unless the step runs its optimizers itself."""
        self._mark("forward")

    def on_before_backward(self, *args: Any) -> None:
        """The loss is there."""
        self._mark("forward")

    def on_after_backward(self, *args: Any) -> None:
        """The gradients are there."""
        self._mark("backward")

    def on_train_batch_end(self, *args: Any) -> None:
        """The step is done."""
        self._mark("optimizer")
        if self._begun:
            self.steps.append({part: self._parts[part] for part in PARTS})
            self.cpu_seconds.append(time.process_time() - self._cpu_started)
        self._begun = True  # the first step pays for everything that is set up once
        self._parts = defaultdict(float)
        if len(self.steps) == self._wanted:
            raise Looked
        self._last = time.perf_counter()

    def on_validation_start(self, *args: Any) -> None:
        """Validation is no part of a step: the next one's wait for data is not timed."""
        self._begun = False

    def _mark(self, part: str) -> None:
        devices.synchronize(self._device)
        now = time.perf_counter()
        self._parts[part] += now - self._last
        self._last = now
