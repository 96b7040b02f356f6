"""What a call has to do with the training or evaluation mode of the module whose method it stands in."""

from __future__ import annotations

import ast

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import MODULE

_MODE_WORD = pattern(r"training|(^|[^a-z])(is_)?(train|eval|test|inference|deterministic)(_mode)?([^a-z]|$)")


def module_method(module: Module, node: ast.AST) -> tuple[ast.ClassDef, Function] | None:
    """The class and the method of an `nn.Module` whose `self` a node can use; None anywhere else."""
    method = module.enclosing_function(node)
    while method is not None and not isinstance(module.parent(method), ast.ClassDef):
        method = module.enclosing_function(method)
    if method is None:
        return None
    cls = module.parent(method)
    first = [*method.args.posonlyargs, *method.args.args][:1]
    if not isinstance(cls, ast.ClassDef) or [arg.arg for arg in first] != ["self"]:
        return None
    return (cls, method) if module.is_subclass(cls, MODULE) else None


def asks_for_mode(module: Module, node: ast.AST) -> bool:
    """Whether the conditions around a node, up to its function, ask for the mode: `if self.training:`."""
    function = module.enclosing_function(node)
    return any(
        _MODE_WORD.search(module.text(guard.test))
        for guard in module.guards(node)
        if function is None or module.is_inside(guard.test, function)
    )


def is_made_in_forward(module: Module, layer: ast.Call) -> bool:
    """Whether a layer is made in the forward pass of a module, to be called there and dropped."""
    found = module_method(module, layer)
    if found is None or found[1].name != "forward":
        return False
    match module.parent(layer):
        case ast.Call(func=function):
            return function is layer
        case ast.Assign(targets=[ast.Name(id=name)]):
            uses = [use for use in module.walk(found[1].body) if isinstance(use, ast.Name) and use.id == name]
            loads = [use for use in uses if isinstance(use.ctx, ast.Load)]
            return bool(loads) and all(_is_called(module, use) for use in loads)
    return False


def _is_called(module: Module, name: ast.Name) -> bool:
    match module.parent(name):
        case ast.Call(func=function):
            return function is name
    return False
