"""Which line is to blame: of an exception, or for a parameter."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from types import FrameType

    from torch import nn


_TORCH = "torch"  # the folder of its package
_WRAPPERS = "mlrules_mcp.training.target"
_SIMULATED = str(Path(__file__).parent / "simulated")  # stands between a line and PyTorch


class Place(NamedTuple):
    """A line of a file, counted from 1."""

    path: str
    line: int


def of_error(error: BaseException, source: Path) -> Place | None:
    """The innermost line of `source`, a file or a project's folder, that the error passed through.

    Packages installed inside the folder do not count. None if it passed through no line of it.
    """
    # While it compiles, PyTorch runs no frame of the source: its errors tell where they are in a stack of their own.
    compiled = getattr(error, "real_stack", None) or ()
    for frame in reversed([*traceback.extract_tb(error.__traceback__), *compiled]):
        path = Path(frame.filename)
        if frame.lineno and path.is_relative_to(source) and "site-packages" not in path.parts:
            return Place(frame.filename, frame.lineno)
    return None


def of_call(source: Path) -> Place | None:
    """The line of `source`, a file or a project's folder, that called into PyTorch to get here.

    None if what called PyTorch is written elsewhere, such as in another library.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and _is_torch(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    path = Path(frame.f_code.co_filename)
    ours = path.is_relative_to(source) and "site-packages" not in path.parts
    return Place(frame.f_code.co_filename, frame.f_lineno) if ours else None


def _is_torch(path: str) -> bool:
    return path.startswith(_SIMULATED) or _TORCH in Path(path).parts


def of_function(function: Callable[..., Any]) -> Place | None:
    """The line where a function or method is defined; None if it is not written in Python."""
    code = getattr(function, "__code__", None)
    return Place(code.co_filename, code.co_firstlineno) if code else None


def of_parameter(model: nn.Module, name: str) -> Place | None:
    """Where the parameter `name` (such as `features.0.weight`) begins, as far as the model's own source tells.

    The line where the model's class, or a class it inherits from, assigns `self.features`; the line of the
    class statement if no such assignment is written there; None if there is no source to read.
    """
    if type(model).__mro__[1].__module__.startswith(_WRAPPERS):
        return of_parameter(model.get_submodule("module"), name.removeprefix("module."))
    attribute = name.partition(".")[0]
    for cls in type(model).__mro__:
        if cls.__module__.partition(".")[0] in {"torch", "lightning", "pytorch_lightning"}:
            break
        if (found := _source(cls)) is None:
            continue
        place, source = found
        try:
            tree = ast.parse(textwrap.dedent(source))
        except SyntaxError:  # a string that reaches the left margin keeps the class from being dedented
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and _assigns(node, attribute):
                return Place(place.path, place.line + node.lineno - 1)
    return of_class(type(model))


def of_class(cls: type) -> Place | None:
    """The line of the class statement; None if there is no source to read."""
    found = _source(cls)
    return found[0] if found else None


def _source(cls: type) -> tuple[Place, str] | None:
    try:
        lines, first = inspect.getsourcelines(cls)
        path = inspect.getsourcefile(cls)
    except (OSError, TypeError):
        return None
    return (Place(path, first), "".join(lines)) if path else None


def _assigns(node: ast.Assign | ast.AnnAssign, attribute: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(
        isinstance(target, ast.Attribute)
        and target.attr == attribute
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
        for target in targets
    )
