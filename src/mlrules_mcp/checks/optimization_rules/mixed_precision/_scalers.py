"""GradScalers: where they are made, and whether they are on."""

from __future__ import annotations

import ast

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_GRAD_SCALERS = ("torch.amp.GradScaler", "torch.cuda.amp.GradScaler", "torch.amp.grad_scaler.GradScaler")


def made_scaler(module: Module, call: ast.Call) -> ast.Call | None:
    """The call that makes the GradScaler which a method is called on, followed through the module's functions."""
    if not isinstance(call.func, ast.Attribute):
        return None
    for origin in origins_through_calls(module, call.func.value):
        if module.is_call_to(origin, *_GRAD_SCALERS):
            assert isinstance(origin, ast.Call)
            return origin
    return None


def is_switched_off(made: ast.Call | None) -> bool:
    """Whether a GradScaler is made with `enabled=False`."""
    enabled = argument(made, "enabled") if made else None
    return isinstance(enabled, ast.Constant) and not enabled.value
