"""What kind of tensor on the CPU an expression makes."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Literal, TypeAlias

from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._model_tensors import returned_values
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._torch_calls import (
    FACTORIES,
    HOST_METHODS,
    MOVES,
    REDUCTIONS,
    VIEW_ATTRIBUTES,
    is_tensor_function,
    keeps_dimensions,
    made_on_cpu,
    makes_scalar,
    only_converts,
)
from mlrules_mcp.source import Module

Kind: TypeAlias = Literal["tensor", "number"]

_DEEPEST = 12


def cpu_kind(module: Module, expression: ast.expr, depth: int = _DEEPEST) -> Kind | None:
    """Whether a value is seen to be a tensor on the CPU: one with dimensions, or a number as a tensor.

    None for what is moved, made on a device that is named, or made where it can't be seen.
    """
    if not depth:
        return None
    match expression:
        case ast.Call():
            return _call_kind(module, expression, depth - 1)
        case ast.BinOp(left=left, right=right):
            return _any_kind(module, (left, right), depth - 1)
        case ast.UnaryOp(operand=operand, op=ast.USub() | ast.Invert()):
            return cpu_kind(module, operand, depth - 1)
        case ast.Compare(left=left, comparators=others):
            return _any_kind(module, (left, *others), depth - 1)
        case ast.Subscript(value=value, slice=index) if keeps_dimensions(index):
            return cpu_kind(module, value, depth - 1)
        case ast.IfExp(body=body, orelse=orelse):
            return _common_kind(module, (body, orelse), depth - 1)
        case ast.Name():
            bindings = module.reaching(expression)
            values = [binding.value for binding in bindings if binding.kind == "assignment" and binding.value]
            augmented = [binding for binding in bindings if binding.kind == "augmented"]
            if len(values) + len(augmented) < len(bindings):
                return None
            return _common_kind(module, values, depth - 1)
        case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
            cls = module.enclosing_class(expression)
            return _common_kind(module, module.attribute_values(cls, attribute) if cls else (), depth - 1)
        case ast.Attribute(value=value, attr=attribute) if attribute in VIEW_ATTRIBUTES:
            return cpu_kind(module, value, depth - 1)
    return None


def _call_kind(module: Module, call: ast.Call, depth: int) -> Kind | None:
    if made_on_cpu(module, call):
        return "number" if makes_scalar(module, call) else "tensor"
    name = module.qualified_name(call.func)
    if name is not None and name.startswith("torch.nn.") and not name.startswith("torch.nn.functional."):
        return None  # a layer, most likely
    if name == "torch.autograd.Variable" or (is_tensor_function(name) and name not in FACTORIES):
        if any(keyword.arg == "device" for keyword in call.keywords):
            return None
        parts = [e for arg in call.args for e in (arg.elts if isinstance(arg, ast.Tuple | ast.List) else [arg])]
        return _any_kind(module, parts, depth)
    if (function := module.local_function(call)) is not None:
        return _common_kind(module, returned_values(module, function), depth)
    match call.func:
        case ast.Attribute(value=value, attr=attribute) if name is None and attribute not in HOST_METHODS:
            if attribute in MOVES and not only_converts(module, call):
                return None
            kind = cpu_kind(module, value, depth)
            reduces = attribute in REDUCTIONS and not call.args and not call.keywords
            return "number" if kind and reduces else kind
    return None


def _any_kind(module: Module, parts: Iterable[ast.expr], depth: int) -> Kind | None:
    """The kind of what is computed from several values."""
    kinds = {cpu_kind(module, part, depth) for part in parts}
    return "tensor" if "tensor" in kinds else "number" if "number" in kinds else None


def _common_kind(module: Module, values: Iterable[ast.expr], depth: int) -> Kind | None:
    """The kind that several possible values have in common; `None` itself is no value."""
    kinds = {
        cpu_kind(module, value, depth)
        for value in values
        if not (isinstance(value, ast.Constant) and value.value is None)
    }
    return kinds.pop() if len(kinds) == 1 else None
