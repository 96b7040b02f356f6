"""Where autocast is on, and in which precision."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS, Function

_GENERAL = frozenset({"torch.autocast", "torch.amp.autocast", "torch.amp.autocast_mode.autocast"})
_CUDA = frozenset({"torch.cuda.amp.autocast", "torch.cuda.amp.autocast_mode.autocast"})
_CPU = frozenset({"torch.cpu.amp.autocast", "torch.cpu.amp.autocast_mode.autocast"})


class Autocast(NamedTuple):
    """A region of code that runs with autocast on.

    Attributes:
        region: the `with` statement, or the function that is decorated.
        call: what switches autocast on.
        enabled: the condition that it is on under; None where it is on in any case.
    """

    region: ast.With | Function
    call: ast.Call
    enabled: ast.expr | None


def innermost_autocast(module: Module, node: ast.AST) -> Autocast | None:
    """The innermost autocast around a node within its function; None where there is none or it is switched off."""
    child = node
    for ancestor in module.ancestors(node):
        if isinstance(child, ast.stmt):
            for call in reversed(list(_switches(module, ancestor))):
                enabled = argument(call, "enabled", 0 if module.qualified_name(call.func) in _CUDA | _CPU else 2)
                if isinstance(enabled, ast.Constant):
                    return Autocast(ancestor, call, None) if enabled.value else None  # type: ignore[arg-type]
                return Autocast(ancestor, call, enabled)  # type: ignore[arg-type]
        if isinstance(ancestor, (*FUNCTIONS, ast.Lambda)):
            return None
        child = ancestor
    return None


def autocast_regions(module: Module) -> list[Autocast]:
    """Every `with` and every decorated function of a module that has autocast on."""
    return module.fact(_find_regions)


def _find_regions(module: Module) -> list[Autocast]:
    if "autocast" not in module.source.code:
        return []
    regions = [*module.nodes(ast.With), *module.functions]
    return [found for each in regions if (found := innermost_autocast(module, each.body[0])) and found.region is each]


def _switches(module: Module, node: ast.AST) -> Iterator[ast.Call]:
    """The calls of torch's autocast in the head of a `with` or among the decorators of a function."""
    match node:
        case ast.With(items=items):
            contexts = [item.context_expr for item in items]
        case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
            contexts = decorators
        case _:
            return
    for context in contexts:
        for origin in module.origins(context):
            if isinstance(origin, ast.Call) and module.qualified_name(origin.func) in _GENERAL | _CUDA | _CPU:
                yield origin


def device_type(module: Module, call: ast.Call) -> str | None:
    """The device that an autocast is for, `cuda` or `cpu`; None where the call does not show it."""
    name = module.qualified_name(call.func)
    if name in _CUDA:
        return "cuda"
    if name in _CPU:
        return "cpu"
    devices = {
        origin.value.partition(":")[0] if isinstance(origin, ast.Constant) and isinstance(origin.value, str) else None
        for origin in module.origins(argument(call, "device_type", 0) or call)
    }
    return devices.pop() if len(devices) == 1 else None


def precision(module: Module, call: ast.Call) -> str | None:
    """The type that an autocast computes in, `float16` or `bfloat16`; None where the call does not show it."""
    given = argument(call, "dtype", 1)
    if given is None or (isinstance(given, ast.Constant) and given.value is None):
        # https://docs.pytorch.org/docs/stable/amp.html: the default of CUDA is float16, that of CPU bfloat16.
        return {"cuda": "float16", "cpu": "bfloat16"}.get(device_type(module, call) or "")
    types = {(module.qualified_name(origin) or "").rpartition(".")[2] for origin in module.origins(given)}
    found = types.pop() if len(types) == 1 else ""
    return {"float16": "float16", "half": "float16", "bfloat16": "bfloat16"}.get(found)
