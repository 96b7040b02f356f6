"""Where something happens in a module, seen through the functions that do it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS, Function

# Of these a module's own method is rarely meant where the object isn't known: nn.Module has them all.
_METHODS_OF_MODULES = frozenset({"train", "eval", "forward", "to", "zero_grad", "parameters"})


def sites(module: Module, nodes: Iterable[ast.AST]) -> list[ast.AST]:
    """The nodes, and every place that names a function of the module in which one of them runs.

    Followed through any number of functions, methods, and functions that are passed on: where
    `train_one_epoch(model)` is called is a site of the `loss.backward()` in it.
    """
    mentions = module.fact(_Mentions)
    found: dict[ast.AST, None] = {}
    seen: set[Function] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node in found:
            continue
        found[node] = None
        for function in _functions_around(module, node):
            if function not in seen:
                seen.add(function)
                pending.extend(mentions.of(function))
    return list(found)


def gradient_sites(module: Module) -> frozenset[ast.AST]:
    """The sites of every call that computes gradients. To be asked for as a fact."""
    return frozenset(sites(module, module.backward_calls))


def passed(module: Module, function: Function, parameter: str) -> Iterator[ast.expr]:
    """What the calls of a function of the module pass for one of its parameters."""
    names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
    if names and names[0] in {"self", "cls"}:
        names = names[1:]
    position = names.index(parameter) if parameter in names else None
    for mention in module.fact(_Mentions).of(function):
        call = module.parent(mention)
        if isinstance(call, ast.Call) and call.func is mention:
            value = argument(call, parameter, position)
            if value is not None:
                yield value


def _functions_around(module: Module, node: ast.AST) -> Iterator[Function]:
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, FUNCTIONS):
            yield ancestor


class _Mentions:
    """The places that name the functions of a module."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._names: defaultdict[str, list[ast.Name]] = defaultdict(list)
        self._attributes: defaultdict[str, list[ast.Attribute]] = defaultdict(list)
        wanted = {function.name for function in module.functions}
        for name in module.nodes(ast.Name):
            if name.id in wanted:
                self._names[name.id].append(name)
        for attribute in module.nodes(ast.Attribute):
            if attribute.attr in wanted:
                self._attributes[attribute.attr].append(attribute)

    def of(self, function: Function) -> Iterator[ast.AST]:
        """Every place that calls a function or passes it on."""
        cls = self._module.parent(function)
        if isinstance(cls, ast.ClassDef):
            for attribute in self._attributes[function.name]:
                if self._may_be(attribute, function, cls):
                    yield attribute
        else:
            for name in self._names[function.name]:
                if any(binding.node is function for binding in self._module.reaching(name)):
                    yield name

    def _may_be(self, attribute: ast.Attribute, function: Function, cls: ast.ClassDef) -> bool:
        module = self._module
        match attribute.value:
            case ast.Name(id="self" | "cls") | ast.Call(func=ast.Name(id="super")):
                user = module.enclosing_class(attribute)
                return user is not None and (
                    module.method(user, function.name) is function or _inherits(module, cls, user)
                )
        for origin in module.origins(attribute.value):
            if isinstance(origin, ast.Call):
                if (made := module.local_class(origin.func)) is not None:
                    return module.method(made, function.name) is function
                if (module.qualified_name(origin.func) or "").startswith("torch."):
                    return False
        return function.name not in _METHODS_OF_MODULES


def _inherits(module: Module, cls: ast.ClassDef, base: ast.ClassDef) -> bool:
    """Whether a local class inherits from another, so that the other's `self` may be an object of it."""
    lineage = [cls]
    for ancestor in lineage:
        lineage += [local for local in map(module.local_class, ancestor.bases) if local and local not in lineage]
    return base in lineage
