"""What is last applied to a value: a softmax, a sigmoid, a logarithm, or a layer that gives raw scores."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Literal, TypeAlias

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import MODULE

Activation: TypeAlias = Literal["softmax", "sigmoid", "logarithm", "layer"]
Found: TypeAlias = tuple[Activation, ast.expr]

_BY_LAST_NAME: dict[str, Activation] = {
    "softmax": "softmax",
    "sigmoid": "sigmoid",
    "log_softmax": "logarithm",
    "logsigmoid": "logarithm",
    "log": "logarithm",
}
_BY_LAYER: dict[str, Activation] = {
    "torch.nn.Softmax": "softmax",
    "torch.nn.Softmax2d": "softmax",
    "torch.nn.Sigmoid": "sigmoid",
    "torch.nn.LogSoftmax": "logarithm",
    "torch.nn.LogSigmoid": "logarithm",
    "torch.nn.Linear": "layer",
    "torch.nn.Bilinear": "layer",
    "torch.nn.LazyLinear": "layer",
    "torch.nn.Conv1d": "layer",
    "torch.nn.Conv2d": "layer",
    "torch.nn.Conv3d": "layer",
    "torch.nn.ConvTranspose2d": "layer",
}
_FUNCTIONS = ("torch.", "torch.nn.functional.", "torch.special.")
# What changes a value's shape, type or device and nothing else.
_SHAPING = frozenset(
    "view reshape squeeze unsqueeze flatten permute transpose contiguous float double to cuda cpu clone t".split()
)
_HEADS = frozenset({"fc", "classifier", "head", "heads"})
_DEEPEST = 8


def last_activation(module: Module, expression: ast.expr) -> Found | None:
    """What is last applied to a value, and where; None where that doesn't show or isn't the same on every way."""
    return _Activations(module).of(expression, 0)


def _same(found: list[Found | None]) -> Found | None:
    """What is found on every way; None where they differ, or one doesn't show."""
    first = found[0] if found else None
    if first is None or any(other is None or other[0] != first[0] for other in found):
        return None
    return first


class _Activations:
    def __init__(self, module: Module) -> None:
        self._module = module

    def of(self, expression: ast.expr, depth: int, index: int | None = None) -> Found | None:
        """The activation of a value, or of the part of a tuple at `index`."""
        if depth > _DEEPEST:
            return None
        match expression:
            case ast.Tuple(elts=parts) if index is not None:
                return self.of(parts[index], depth + 1) if index < len(parts) else None
            case ast.Name():
                return self._of_name(expression, depth, index)
            case ast.Call():
                return self._of_call(expression, depth, index)
            case ast.Subscript(value=value) if index is None:
                return self.of(value, depth + 1)
            case ast.IfExp(body=body, orelse=orelse):
                return self._agreed([(body, index), (orelse, index)], depth)
        return None

    def _agreed(self, parts: list[tuple[ast.expr, int | None]], depth: int) -> Found | None:
        return _same([self.of(part, depth + 1, index) for part, index in parts])

    def _of_name(self, name: ast.Name, depth: int, index: int | None) -> Found | None:
        parts: list[tuple[ast.expr, int | None]] = []
        for binding in self._module.reaching(name):
            if binding.value is None or binding.kind not in ("assignment", "unpacking"):
                return None
            if binding.kind == "unpacking" and (binding.index is None or index is not None):
                return None
            parts.append((binding.value, binding.index if binding.kind == "unpacking" else index))
        return self._agreed(parts, depth)

    def _of_call(self, call: ast.Call, depth: int, index: int | None) -> Found | None:
        module = self._module
        name = module.qualified_name(call.func)
        if name is not None:
            last = name.rpartition(".")[2]
            if name in {prefix + last for prefix in _FUNCTIONS} and last in _BY_LAST_NAME:
                return _BY_LAST_NAME[last], call
            return None
        if isinstance(call.func, ast.Attribute):
            base, method = call.func.value, call.func.attr
            if method in _SHAPING:
                return self.of(base, depth + 1)
            if method in _BY_LAST_NAME and not (isinstance(base, ast.Name) and base.id == "self"):
                return _BY_LAST_NAME[method], call
            if method == "forward":
                return self._of_module(base, depth, index)
        return self._of_module(call.func, depth, index) or self._of_function(call, depth, index)

    def _of_function(self, call: ast.Call, depth: int, index: int | None) -> Found | None:
        function = self._module.local_function(call)
        if function is None:
            return None
        return self._agreed([(value, index) for value in self._returned(function)], depth)

    def _returned(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
        for node in self._module.walk(function.body):
            if isinstance(node, ast.Return) and node.value is not None:
                yield node.value

    def _of_module(self, callee: ast.expr, depth: int, index: int | None) -> Found | None:
        """The activation of what a module, a layer or a container of layers returns."""
        if isinstance(callee, ast.Name) and callee.id == "self":
            cls = self._module.enclosing_class(callee)
            return self._of_class(cls, depth, index) if cls else None
        origins = origins_through_calls(self._module, callee)
        return _same([self._made(origin, callee, depth, index) for origin in origins])

    def _made(self, origin: ast.expr, callee: ast.expr, depth: int, index: int | None) -> Found | None:
        """The activation of what a module that is made by a call returns."""
        module = self._module
        while isinstance(origin, ast.Call) and isinstance(origin.func, ast.Attribute) and origin.func.attr in _SHAPING:
            # Net().to(device)
            inner = module.origins(origin.func.value)
            if len(inner) != 1:
                return None
            origin = inner[0]
        if not isinstance(origin, ast.Call) or depth > _DEEPEST:
            return None
        name = module.qualified_name(origin.func) or ""
        if name in _BY_LAYER:
            return (_BY_LAYER[name], origin) if index is None else None
        if name == "torch.nn.Sequential":
            return self._last_layer(origin, depth) if index is None else None
        if name in ("torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel", "torch.compile"):
            return self._of_module(origin.args[0], depth + 1, index) if origin.args else None
        cls = module.local_class(origin.func)
        if cls is not None:
            return self._of_class(cls, depth, index)
        return self._head(callee, depth) if index is None else None

    def _last_layer(self, sequential: ast.Call, depth: int) -> Found | None:
        match sequential.args:
            case [ast.Call(args=[ast.List(elts=[*_, ast.Tuple(elts=[_, last])])])]:  # an OrderedDict
                return self._of_module(last, depth + 1, None)
            case [*_, ast.Starred()]:
                return None
            case [*_, last]:
                return self._of_module(last, depth + 1, None)
        return None

    def _of_class(self, cls: ast.ClassDef, depth: int, index: int | None) -> Found | None:
        forward = self._module.method(cls, "forward")
        if forward is None or not self._module.is_subclass(cls, MODULE):
            return None
        return self._agreed([(value, index) for value in self._returned(forward)], depth)

    def _head(self, callee: ast.expr, depth: int) -> Found | None:
        """The activation of a library's model whose head was exchanged: `model.fc = nn.Sequential(…, nn.Softmax())`."""
        text = ast.unparse(callee)
        for assign in self._module.nodes(ast.Assign):
            match assign:
                case ast.Assign(targets=[ast.Attribute(value=owner, attr=attr)], value=value) if attr in _HEADS:
                    if ast.unparse(owner) == text:
                        found = self._of_module(value, depth + 1, None)
                        return found if found and found[0] != "layer" else None
        return None
