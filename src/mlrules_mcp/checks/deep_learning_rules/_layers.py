"""Which layers follow each other directly: in containers, and in what forward passes do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import FUNCTIONS
from mlrules_mcp.source.values import MODULE

_NN = "torch.nn."
_FUNCTIONAL = "torch.nn.functional."


class Layer(NamedTuple):
    """A layer of a chain.

    Attributes:
        name: its class or function, without its package: `Conv2d`, `relu`; empty for one that is not torch's.
        node: the call that makes it, or for a function the one that applies it.
    """

    name: str
    node: ast.expr


Chain: TypeAlias = list[Layer]


def chains(module: Module) -> list[Chain]:
    """Layers that are applied one directly after the other, to nothing but the result of the one before."""
    return module.fact(_find_chains)


def pairs(module: Module) -> Iterator[tuple[Layer, Layer]]:
    """Each layer with the one that follows it directly."""
    for chain in chains(module):
        yield from pairwise(chain)


def _find_chains(module: Module) -> list[Chain]:
    found = [
        _elements(module, call.args)
        for call in module.calls("Sequential")
        if module.is_call_to(call, f"{_NN}Sequential")
    ]
    found += [_elements(module, node.elts) for node in module.nodes(ast.List)]
    found += _appended(module)
    for function in module.functions:
        cls = module.parent(function)
        if isinstance(cls, ast.ClassDef) and function.name != "__init__" and module.is_subclass(cls, MODULE):
            found += _applied(module, cls, function.body)
    return [chain for chain in found if len(chain) > 1]


def _elements(module: Module, elements: list[ast.expr]) -> Chain:
    return [_made(module, _named(element)) for element in elements]


def _named(element: ast.expr) -> ast.expr:
    """The layer of an item of an OrderedDict: `("conv", nn.Conv2d(…))`."""
    match element:
        case ast.Tuple(elts=[ast.Constant(value=str()), layer]):
            return layer
    return element


def _made(module: Module, expression: ast.expr) -> Layer:
    """The layer that an expression makes, or that a variable holds which is used nowhere else."""
    if isinstance(expression, ast.Name) and not _is_used_once(module, expression):
        return Layer("", expression)
    if isinstance(expression, ast.Name | ast.Attribute):
        origins = module.origins(expression)
        expression = origins[0] if len(origins) == 1 else expression
    if isinstance(expression, ast.Call):
        name = module.qualified_name(expression.func) or ""
        if name.startswith(_NN) and name.count(".") == 2:
            return Layer(name.removeprefix(_NN), expression)
    return Layer("", expression)


def _is_used_once(module: Module, name: ast.Name) -> bool:
    scope = module.scope(name)
    uses = [node for node in module.walk(scope) if isinstance(node, ast.Name) and node.id == name.id]
    return sum(isinstance(use.ctx, ast.Load) for use in uses) == 1


def _appended(module: Module) -> Iterator[Chain]:
    """Layers that consecutive statements add to a list: `layers.append(nn.Conv2d(…))`."""
    found: Chain = []
    owner, last = "", None
    for call in module.calls("append"):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name)), args=[element]):
                statement = module.statement(call)
                if found and name == owner and last is not None and _follows(module, last, statement):
                    found.append(_made(module, element))
                else:
                    yield found
                    found = [_made(module, element)]
                owner, last = name, statement
    yield found


def _follows(module: Module, first: ast.stmt, second: ast.stmt) -> bool:
    block = module.block(first)
    place = block.index(first) + 1
    return place < len(block) and block[place] is second


def _applied(module: Module, cls: ast.ClassDef, block: list[ast.stmt]) -> Iterator[Chain]:
    """What the statements of a method apply to a variable, one after the other: `x = self.bn(self.conv(x))`."""
    chain: Chain = []
    variable: str | None = None
    for statement in block:
        result, value = _assigned(statement)
        if value is not None:
            links, start = _unwrapped(module, cls, value)
            goes_on = isinstance(start, ast.Name) and start.id == variable and result in (variable, None)
            if not goes_on:
                yield chain
            chain = [*chain, *links] if goes_on else links
        else:
            yield chain
            chain = []
            for inner in _inner_blocks(statement):
                yield from _applied(module, cls, inner)
        variable = result
    yield chain


def _assigned(statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=result)], value=value):
            return result, value
        case ast.Return(value=value):
            return None, value
    return None, None


def _inner_blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        for field in ("body", "orelse", "finalbody"):
            if block := getattr(statement, field, None):
                yield block


def _unwrapped(module: Module, cls: ast.ClassDef, value: ast.expr) -> tuple[Chain, ast.expr]:
    """The layers that are applied within an expression, the innermost first, and what they are applied to."""
    links: Chain = []
    while isinstance(value, ast.Call) and value.args and not isinstance(value.args[0], ast.Starred):
        links.append(_link(module, cls, value))
        value = value.args[0]
    return links[::-1], value


def _link(module: Module, cls: ast.ClassDef, call: ast.Call) -> Layer:
    match call.func:
        case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
            made = module.attribute_values(cls, attribute)
            if len(made) == 1 and len(call.args) == 1 and _uses(module, cls, attribute) == 1:
                return _made(module, made[0])
            return Layer("", call)
    name = module.qualified_name(call.func) or ""
    return Layer(name.removeprefix(_FUNCTIONAL) if name.startswith(_FUNCTIONAL) else "", call)


def _uses(module: Module, cls: ast.ClassDef, attribute: str) -> int:
    """How often a class uses one of its layers as a whole."""
    return module.fact(_uses_of_layers).get((cls, attribute), 0)


def _uses_of_layers(module: Module) -> dict[tuple[ast.ClassDef, str], int]:
    counts: dict[tuple[ast.ClassDef, str], int] = {}
    for node in module.nodes(ast.Attribute):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute, ctx=ast.Load()):
                if not isinstance(module.parent(node), ast.Attribute) and (cls := module.enclosing_class(node)):
                    counts[cls, attribute] = counts.get((cls, attribute), 0) + 1
    return counts
