"""Moves to a CUDA device, `x.cuda()` and `x.to("cuda")`, and what to write in their place."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import device_in_scope
from mlrules_mcp.checks.check import safe, suggested
from mlrules_mcp.findings import Fix, RemoveStatement, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE

# Lightning moves the batch that it passes to these.
_BATCH_METHODS = frozenset({"training_step", "validation_step", "test_step", "predict_step"})
# What these make and move, Lightning moves afterwards.
_BUILDING_METHODS = frozenset({"__init__", "setup", "configure_model", "configure_optimizers"})
_PARSED_ARGUMENTS = frozenset("args opt opts cfg config conf flags hparams params options".split())


def cuda_calls(module: Module) -> Iterator[ast.Call]:
    """Every `x.cuda(…)` of a module, but those that name one of several GPUs by its rank or id."""
    for call in module.calls("cuda"):
        if isinstance(call.func, ast.Attribute):
            index = next((k.value for k in call.keywords if k.arg == "device"), call.args[0] if call.args else None)
            if index is None or not is_index_of_many(index):
                yield call


def is_index_of_many(index: ast.expr) -> bool:
    """Whether a device index is chosen while the code runs, as code for several GPUs does: a rank or a parameter.

    Not a number in the code, not an argument from the command line, and not a whole device.
    """
    match index:
        case ast.Constant():
            return False
        case ast.Name(id=name) | ast.Attribute(attr=name) if name.lower().endswith("device"):
            return False
        case ast.Attribute(value=ast.Name(id=root)):
            return root.lower() not in _PARSED_ARGUMENTS
    return True


def receiver_text(module: Module, call: ast.Call) -> str | None:
    """The text of what a method is called on, with its parentheses; None where a comment hides in it."""
    assert isinstance(call.func, ast.Attribute)
    text = module.text(call.func)
    if "#" in text and "\n" in text:
        return None
    return text.removesuffix(call.func.attr).rstrip().removesuffix(".").rstrip()


def to_device_fix(module: Module, call: ast.Call) -> Fix | None:
    """`x.cuda()` as `x.to(device)`, where a device is in scope."""
    device, receiver = _device_of_index(module, call) or device_in_scope(module, call), receiver_text(module, call)
    if device is None or receiver is None or _is_map_location(module, call):
        return None
    others = [f"{keyword.arg}={module.text(keyword.value)}" for keyword in call.keywords if keyword.arg != "device"]
    code = f"{receiver}.to({', '.join([device, *others])})"
    return suggested(f"Move to `{device}`", Replace(Span.of(call), code))


def _device_of_index(module: Module, call: ast.Call) -> str | None:
    """The device that `x.cuda(boxes.device)` is given as if it were an index."""
    match call.args:
        case [ast.Attribute(attr="device") as device]:
            return module.text(device)
    return None


def _is_map_location(module: Module, call: ast.Call) -> bool:
    """Whether a call is that of `map_location=lambda storage, location: storage.cuda()`: a storage has no `.to`."""
    return isinstance(module.parent(call), ast.Lambda)


def in_lightning(module: Module, node: ast.AST) -> bool:
    """Whether a node lies in a LightningModule."""
    cls = module.enclosing_class(node)
    return cls is not None and module.is_subclass(cls, LIGHTNING_MODULE)


def needless_move_fix(module: Module, call: ast.Call) -> Fix | None:
    """How to leave out a move that Lightning makes by itself: of a batch, or of the LightningModule and its parts.

    None where the move may be needed: of a tensor that the method makes, or of a module that isn't an attribute.
    """
    text = receiver_text(module, call)
    if text is None or not _is_needless(module, call):
        return None
    statement = module.statement(call)
    if _only_moves(module, statement):
        return safe("Leave the move to Lightning", RemoveStatement(Span.of(statement)))
    return safe("Leave the move to Lightning", Replace(Span.of(call), text))


def _is_needless(module: Module, call: ast.Call) -> bool:
    function, cls = module.enclosing_function(call), module.enclosing_class(call)
    if function is None or cls is None or not isinstance(call.func, ast.Attribute):
        return False
    if function.name in _BATCH_METHODS:
        return not module.method(cls, "transfer_batch_to_device") and _is_from_batch(module, call.func.value, function)
    if function.name in _BUILDING_METHODS:
        # Where something else is moved too, the two may meet before Lightning has moved anything.
        moves = [move for move in module.calls("cuda", "to") if module.enclosing_function(move) is function]
        return all(_is_part(module, move) for move in moves)
    return False


def _is_from_batch(module: Module, value: ast.expr, function: Function, depth: int = 8) -> bool:
    """Whether a value is the batch that a step method gets, or a part of it."""
    match value:
        case ast.Subscript(value=whole):
            return _is_from_batch(module, whole, function, depth)
        case ast.Call(func=ast.Attribute(value=whole, attr="cuda" | "items" | "values" | "float" | "long")):
            return _is_from_batch(module, whole, function, depth)
        case ast.Name(id=name) if depth and name != "self":
            bindings = module.reaching(value)
            return bool(bindings) and all(
                binding.node in function.args.args[1:]
                if binding.kind == "parameter"
                else binding.value is not None and _is_from_batch(module, binding.value, function, depth - 1)
                for binding in bindings
            )
    return False


def _is_part(module: Module, call: ast.Call) -> bool:
    """Whether a call moves the LightningModule itself, or a module that is an attribute of it."""
    if not isinstance(call.func, ast.Attribute):
        return False
    receiver, parent = call.func.value, module.parent(call)
    match receiver, parent:
        case ast.Name(id="self"), ast.Expr():
            return True
        case ast.Attribute(value=ast.Name(id="self")), ast.Expr():
            return module.is_instance(receiver, MODULE)
        case _, ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"))]):
            return module.is_instance(receiver, MODULE)
    return False


def _only_moves(module: Module, statement: ast.stmt) -> bool:
    """Whether a statement does nothing once its moves are left out: `x.cuda()`, `x, y = x.cuda(), y.cuda()`."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="cuda" | "to"))):
            return True
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            pairs = zip(targets, values, strict=False)
            return len(targets) == len(values) and all(_moves_itself(module, *pair) for pair in pairs)
        case ast.Assign(targets=[target], value=value):
            return _moves_itself(module, target, value)
    return False


def _moves_itself(module: Module, target: ast.expr, value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(value=moved, attr="cuda" | "to")):
            return ast.unparse(moved) == ast.unparse(target) and _is_needless(module, value)
    return False
