"""What a training check found: plain data that goes through JSON unharmed. Knows no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["met", "broken", "not_applicable", "not_simulated"]
Figure: TypeAlias = float | int | str | None


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check says of one device.

    Attributes:
        check: the check's name, such as `gradients-reach-parameters`.
        rule: the key of the rule that it is evidence for, `block.id`.
        device: `cpu`, `cuda`, `mps`, `xpu` or `simulated`.
        status: the verdict.
        message: one or two sentences with the figures that decide.
        path: the file to look into, where one line is to blame.
        line: that line, counted from 1.
        figures: what was measured, by name.
    """

    check: str
    rule: str
    device: str
    status: Status
    message: str
    path: str | None = None
    line: int | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """How training went on one device; a device that could not train has no losses.

    Attributes:
        device: as in `CheckOutcome`.
        name: the product, such as `NVIDIA H100 80GB HBM3`.
        hardware: its size, such as `16 cores, 128 GiB of memory`.
        steps: optimizer steps taken.
        losses: training loss over the steps, thinned out evenly; first and last step are always there.
        metric: what validation measures, such as `val_accuracy`.
        validation: its value before training and after each epoch.
        steps_per_second: without the first step and without validation.
        peak_memory_bytes: on an accelerator what tensors took; on a CPU the whole process, with torch itself.
        seconds: the wall time of one training, validation included.
    """

    device: str
    name: str
    hardware: str
    steps: int = 0
    losses: tuple[float | None, ...] = ()
    metric: str | None = None
    validation: tuple[float | None, ...] = ()
    steps_per_second: float | None = None
    peak_memory_bytes: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The whole answer: how each device trained and what each check says.

    Attributes:
        model: the class that was trained.
        parameters: how many numbers of it are trained; None if it trained nowhere.
        seed: what all randomness followed from.
        devices: one report a device.
        checks: one outcome a check and device.
        versions: of python, torch, lightning, mlrules-mcp and the platform.
        seconds: wall time of everything that the worker did.
        notes: how the subject was made, and what its process was kept from: what people should know of the result.
    """

    model: str
    parameters: int | None
    seed: int
    devices: tuple[DeviceReport, ...]
    checks: tuple[CheckOutcome, ...]
    versions: Mapping[str, str]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def broken(self) -> list[CheckOutcome]:
        """The outcomes that need mending."""
        return [outcome for outcome in self.checks if outcome.status == "broken"]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers for strict JSON, where a number that is not finite becomes None."""
        return {key: _plain(value) for key, value in _members(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainingResult:
        """The opposite of `to_dict`."""
        devices = tuple(
            DeviceReport(**entry | {name: tuple(entry[name]) for name in ("losses", "validation")})
            for entry in data["devices"]
        )
        checks = tuple(CheckOutcome(**entry) for entry in data["checks"])
        notes = tuple(data.get("notes", ()))
        return cls(**{**data, "devices": devices, "checks": checks, "notes": notes})


def _members(value: Any) -> list[tuple[str, Any]]:
    return [(member.name, getattr(value, member.name)) for member in fields(value)]


def _plain(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case _ if is_dataclass(value):
            return {key: _plain(item) for key, item in _members(value)}
    return value
