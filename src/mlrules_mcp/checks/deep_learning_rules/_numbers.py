"""The numbers that an expression is seen to stand for."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_MOST_VALUES = 8


def numbers(module: Module, expression: ast.expr | None) -> list[float]:
    """The numbers that an expression may have, as far as the file shows; empty where one of them is unknown.

    Follows variables, parameters to what the file's own calls pass and otherwise to their defaults, and options of
    the command line to their defaults.
    """
    if expression is None:
        return []
    found: list[float] = []
    for origin in origins_through_calls(module, expression)[:_MOST_VALUES]:
        number = _number(module, origin)
        if number is None:
            return []
        found.append(number)
    return found


def _number(module: Module, origin: ast.expr) -> float | None:
    match origin:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _number(module, operand)
            return None if number is None else -number
        case ast.BinOp(left=left, op=op, right=right) if op.__class__ in _OPERATORS:
            sides = [*numbers(module, left), *numbers(module, right)]
            divides = isinstance(op, ast.Div | ast.FloorDiv)
            return None if len(sides) != 2 or (divides and not sides[1]) else _OPERATORS[op.__class__](*sides)
        case ast.Name():
            bindings = module.reaching(origin)
            default = bindings[0].value if len(bindings) == 1 and bindings[0].kind == "parameter" else None
            return _number(module, default) if default is not None else None
        case ast.Attribute(attr=option):
            default = module.fact(_option_defaults).get(option)
            return _number(module, default) if default is not None else None
    return None


def _option_defaults(module: Module) -> dict[str, ast.expr]:
    """The defaults of command-line options, by the attribute that holds their values."""
    defaults: dict[str, ast.expr] = {}
    for call in module.calls("add_argument"):
        flags = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        destination, default = argument(call, "dest"), argument(call, "default")
        if isinstance(destination, ast.Constant) and isinstance(destination.value, str):
            name = destination.value
        elif flags:
            name = next((flag for flag in flags if flag.startswith("--")), flags[0]).lstrip("-").replace("-", "_")
        else:
            continue
        if default is not None:
            defaults[name] = default
    return defaults
