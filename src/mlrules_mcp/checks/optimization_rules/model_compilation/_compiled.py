"""Which values are models compiled by `torch.compile`."""

from __future__ import annotations

import ast

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.checks._models import is_model
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

COMPILE = "torch.compile"

# What wraps a model and holds it as `.module`.
_WRAPPERS = ("torch.nn.parallel.DistributedDataParallel", "torch.nn.parallel.DataParallel", "torch.nn.DataParallel")
_RETURN_SELF = frozenset({"to", "cuda", "cpu", "eval", "train", "half", "float", "double"})


def compiled_argument(module: Module, call: ast.Call) -> ast.expr | None:
    """What a call of `torch.compile` compiles; None for any other call, and for one that makes a decorator."""
    return argument(call, "model", 0) if module.is_call_to(call, COMPILE) else None


def compilation(module: Module, model: ast.expr) -> ast.Call | None:
    """The `torch.compile` that a model comes from, seen through `self.x`, parameters, `.to(…)` and wrappers."""
    match model:
        case ast.Attribute(value=wrapped, attr="module"):
            for origin in origins_through_calls(module, wrapped):
                if module.is_call_to(origin, *_WRAPPERS):
                    assert isinstance(origin, ast.Call)
                    inner = argument(origin, "module", 0)
                    return compilation(module, inner) if inner else None
            return None
    for origin in origins_through_calls(module, model):
        value = origin
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _RETURN_SELF:
            value = value.func.value
        if isinstance(value, ast.Call) and (compiled := compiled_argument(module, value)) is not None:
            return value if may_be_model(module, compiled) else None
        if value is not origin and isinstance(value, ast.Name) and (call := compilation(module, value)) is not None:
            return call
    return None


def may_be_model(module: Module, compiled: ast.expr) -> bool:
    """Whether what is compiled may be an `nn.Module`, rather than a function."""
    match compiled:
        case ast.Name() | ast.Attribute():
            return is_model(module, compiled)
        case ast.Call(func=ast.Attribute(value=base, attr=attr)) if attr in _RETURN_SELF:
            return may_be_model(module, base)
        case ast.Call(func=func):
            return is_model(module, compiled) or module.qualified_name(func) is None
    return False
