"""How values are fetched from a device, and what becomes of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.pytorch_rules.avoid_item_calls._tensors import FACTORIES, is_tensor
from mlrules_mcp.source import Module

FETCHES = frozenset({"item", "cpu", "numpy", "tolist"})
CONVERSIONS = frozenset({"float", "int"})
PRINTS = frozenset({"print", "info", "set_description", "set_postfix_str"})
_KEEPS = frozenset({"append", "add", "update", "extend"})
_SHOWS = frozenset(
    "print info debug warning write log add_scalar add_scalars set_description set_postfix set_postfix_str "
    "update_stats".split()
)


def fetched_tensor(module: Module, call: ast.Call, name: str) -> ast.expr | None:
    """The tensor that a call fetches; None where it fetches none, or a further call of its chain does."""
    match call:
        case ast.Call(func=ast.Attribute(value=receiver), args=[]) if name in FETCHES:
            return receiver if _chain(module, call)[1] is call else None
        case ast.Call(func=ast.Name(), args=[value], keywords=[]) if name in CONVERSIONS:
            return value if is_tensor(module, value) else None
        case ast.Call() if name in PRINTS:
            return next((value for value in _printed(call) if is_tensor(module, value)), None)
    return None


def _chain(module: Module, call: ast.Call) -> tuple[ast.expr, ast.Call]:
    """The whole chain of methods that begins with a call (`x.cpu().numpy()[0]`), and its last call that fetches."""
    whole: ast.expr = call
    last = call
    while True:
        match parent := module.parent(whole):
            case ast.Attribute(value=value) | ast.Subscript(value=value) if value is whole:
                whole = parent
            case ast.Call(func=func) if func is whole:
                whole = parent
                if isinstance(func, ast.Attribute) and func.attr in FETCHES:
                    last = parent
            case ast.Call(func=ast.Name(id=name), args=[only]) if only is whole and name in CONVERSIONS:
                whole = last = parent
            case _:
                return whole, last


def _printed(call: ast.Call) -> Iterator[ast.expr]:
    """What a call turns into text: its arguments and the parts of formatted text among them."""
    for argument in call.args:
        match argument:
            case ast.JoinedStr(values=values):
                yield from (value.value for value in values if isinstance(value, ast.FormattedValue))
            case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod(), right=right):
                yield from right.elts if isinstance(right, ast.Tuple) else [right]
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="format"), args=values):
                yield from values
            case _:
                yield argument


def use_of(module: Module, node: ast.expr, *, hops: int = 2) -> str | None:
    """What becomes of a fetched value: `kept` (summed up, collected), `shown` (printed, logged),
    `needed` (by an environment, as a size or an index); None where the code shows none of them."""
    whole = _whole(module, node)
    child: ast.AST = whole
    for parent in module.ancestors(whole):
        match parent:
            case ast.AugAssign():
                return "kept"
            case ast.Assign(targets=[target], value=value):
                others = [part for part in ast.walk(value) if not module.is_inside(part, whole)]
                if any(ast.unparse(part) == ast.unparse(target) for part in others if isinstance(part, ast.expr)):
                    return "kept"
                return _use_of_variable(module, target, hops - 1) if hops and isinstance(target, ast.Name) else None
            case ast.Subscript(slice=index) if index is child:
                return "needed"
            case ast.Call(func=func) if func is not child:
                if not _passes_on(module, parent):
                    return _use_by_call(module, parent)
            case ast.stmt():
                return None
        child = parent
    return None


def _whole(module: Module, node: ast.expr) -> ast.expr:
    return _chain(module, node)[0] if isinstance(node, ast.Call) else node


def _passes_on(module: Module, call: ast.Call) -> bool:
    """Whether a call gives on what it is given: `round(x, 3)`, `"{}".format(x)`, `np.mean(x)`, `f1_score(y, x)`."""
    name = module.qualified_name(call.func) or ""
    if name.startswith(("numpy.", "sklearn.metrics.")):
        return True
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in {"format", "join"}
    return name.startswith("builtins.") and name not in {"builtins.print", "builtins.range"}


def _use_by_call(module: Module, call: ast.Call) -> str | None:
    name = module.called_name(call) or ""
    qualified = module.qualified_name(call.func) or ""
    if name in {"step", "range"} or qualified in FACTORIES:
        return "needed"
    if name in _KEEPS and isinstance(call.func, ast.Attribute):
        return "kept"
    return "shown" if name in _SHOWS else None


def _use_of_variable(module: Module, target: ast.Name, hops: int) -> str | None:
    """What becomes of a variable that holds a fetched value, in the rest of its function."""
    scope = module.enclosing_function(target) or module.tree
    uses = {
        use_of(module, name, hops=hops)
        for name in module.nodes(ast.Name)
        if name.id == target.id and isinstance(name.ctx, ast.Load) and module.is_inside(name, scope)
    }
    return next((use for use in ("needed", "shown", "kept") if use in uses), None)
