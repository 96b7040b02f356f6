"""A safe fix keeps what the code computes, or mends a certain bug: each example is run before and after it."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from textwrap import dedent
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.checks.check import Bad
from tests.checks.safe_fixes.programs import COMMON, PROGRAMS, Program

FILE = "<example>"
WHERE = "in tests/checks/safe_fixes/programs.py"
MARKERS = re.compile("[«»‹›]")
EXAMPLES = {
    f"{check.name}:{number}": example
    for check in Catalogue().checks
    for number, example in enumerate(e for e in check.examples if isinstance(e, Bad) and e.safe_fix is not None)
}
RUN = [name for name in EXAMPLES if not PROGRAMS.get(name, Program()).not_run]


class Outcome:
    """What a run of an example bound, the error it ended in, and which of its lines ran."""

    def __init__(self, code: str, program: Program) -> None:
        names: dict[str, Any] = {"__name__": "example"}
        exec(compile(COMMON + program.setup, "<setup>", "exec"), names)
        given = set(names)
        self.lines: set[int] = set()
        self.error: Exception | None = None
        torch.manual_seed(0)
        np.random.seed(0)
        try:
            with Traced(self.lines):
                exec(compile(code, FILE, "exec"), names)
                if program.drive:
                    exec(compile(program.drive, "<drive>", "exec"), names)
        except Exception as error:
            self.error = error
        finally:
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
        if "result" in names:
            self.values = {"result": names["result"]}
        else:  # what the example binds and, where it comes to its end, what it works on
            used = set(re.findall(r"\w+", code)) - (given if self.error else set())
            self.values = {name: value for name, value in names.items() if name in used and _is_data(value)}


class Traced:
    """Collects the lines of the example that run."""

    def __init__(self, lines: set[int]) -> None:
        self.lines = lines

    def __enter__(self) -> None:
        self.before = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != FILE:
            return None
        self.lines.add(frame.f_lineno)
        return self._trace


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is deprecated, and of the GPU that is not there
        yield


@pytest.mark.parametrize("name", RUN)
def test_a_safe_fix_keeps_what_is_computed_or_mends_a_bug(name: str) -> None:
    example, program = EXAMPLES[name], PROGRAMS.get(name, Program())
    assert example.safe_fix is not None
    before, after = (dedent(MARKERS.sub("", code)).strip("\n") for code in (example.code, example.safe_fix))
    old, new = Outcome(before, program), Outcome(after, program)
    assert not isinstance(old.error, NameError), f"{old.error}: give {name} its names, {WHERE}"
    assert new.error is None, f"after the fix: {type(new.error).__name__}: {new.error}"
    assert _changed(before, after) & new.lines, (
        f"what the fix writes does not run: use it in the `drive` of {name}, {WHERE}"
    )
    both = old.values.keys() & new.values.keys()
    if program.changes:
        assert old.error is None
        assert any(not _same(old.values[each], new.values[each]) for each in both), "it changes nothing"
    else:
        assert old.error is not None or both, "nothing is compared"
        for each in both:
            assert _same(old.values[each], new.values[each]), f"{each} is another"


def test_every_program_belongs_to_an_example() -> None:
    assert set(PROGRAMS) <= set(EXAMPLES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.ones(2), torch.ones(2, dtype=torch.float64)),
        (torch.ones(2), torch.zeros(2)),
        ([1, torch.ones(1)], [1, torch.zeros(1)]),
        ({"a": np.ones(1)}, {"a": np.zeros(1)}),
        (torch.nn.MSELoss(reduction="sum"), torch.nn.MSELoss()),
        (1, 1.0),
    ],
)
def test_what_differs_is_told_apart(one: object, other: object) -> None:
    assert _same(one, one)
    assert not _same(one, other)


def _changed(before: str, after: str) -> set[int]:
    """The lines of the fixed code that the original does not have, or that stand beside what was taken out."""
    old = before.splitlines()
    new = after.splitlines()
    added = {number for number, line in enumerate(new, start=1) if line not in old}
    return added or set(range(1, len(new) + 1))


def _is_data(value: object) -> bool:
    return isinstance(value, torch.nn.Module) or not (callable(value) or isinstance(value, ModuleType))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, in type and shape too; the graphs of tensors and identities don't count."""
    if type(one).__qualname__ != type(other).__qualname__:  # each run defines its own classes
        return False
    match one:
        case torch.Tensor():
            return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
        case np.ndarray():
            return one.dtype == other.dtype and np.array_equal(one, other)
        case dict():
            return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
        case list() | tuple():
            return len(one) == len(other) and all(map(_same, one, other))
        case torch.nn.Module():
            flags = [{k: v for k, v in vars(m).items() if isinstance(v, int | float | str)} for m in (one, other)]
            return flags[0] == flags[1] and _same(dict(one.state_dict()), dict(other.state_dict()))
        case None | bool() | int() | float() | str():
            return bool(one == other)
    return True  # what has no value of its own, such as an optimizer or a loader
