"""The data loaders of a file, and which part of the data each is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.scopes import role_of_name
from mlrules_mcp.source.data_flow.values import Role
from mlrules_mcp.source.names import argument, passes_unseen_arguments
from mlrules_mcp.source.tree import FUNCTIONS

_RUN_TOGETHER = pattern(r"(?i)^d?(train|val|valid|test)(loader|set|data|dataloader|dataset|ds|dl|iter|gen)?s?$")
_METHODS: dict[str, Role] = {
    "train_dataloader": "train",
    "val_dataloader": "validation",
    "test_dataloader": "test",
}
_PACKAGES = ("torch.utils.data.", "torch_geometric.", "torchdata.", "monai.data.")


class Loader(NamedTuple):
    """A call that makes a DataLoader.

    Attributes:
        role: the part of the data that it is for, by the name it gets or the hook that returns it.
        dataset: what it loads.
        sampled: whether a sampler chooses among the rows.
    """

    call: ast.Call
    role: Role
    dataset: ast.expr
    sampled: bool


def part_of_name(name: str) -> Role | None:
    """The part of the data that something is called after: `test_loader`, `testloader`."""
    role = role_of_name(name)
    if role is None and (found := _RUN_TOGETHER.match(name)):
        role = role_of_name(found[1])
    return role


def loaders(module: Module) -> list[Loader]:
    """The DataLoaders of a file that are for a part of the data."""
    return module.fact(_find_loaders)


def _find_loaders(module: Module) -> list[Loader]:
    found: list[Loader] = []
    for call in module.calls("DataLoader"):
        if not (module.qualified_name(call.func) or "").startswith(_PACKAGES):
            continue
        dataset = argument(call, "dataset", 0)
        role = part_named(module, call)
        if dataset is None or role is None:
            continue
        sampler = argument(call, "sampler", 3) or argument(call, "batch_sampler", 4)
        is_sampled = passes_unseen_arguments(call) or (
            sampler is not None and not (isinstance(sampler, ast.Constant) and sampler.value is None)
        )
        found.append(Loader(call, role, dataset, is_sampled))
    return found


def part_named(module: Module, call: ast.Call) -> Role | None:
    """The part of the data that the result of a call is for, by the name or key it gets, or the hook it is made in."""
    for name in _names_given(module, call):
        return part_of_name(name)
    for ancestor in module.ancestors(call):
        if isinstance(ancestor, FUNCTIONS):
            return _METHODS.get(ancestor.name)
    return None


def _names_given(module: Module, call: ast.Call) -> Iterator[str]:
    parent = module.parent(call)
    match parent:
        case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)]):
            yield name
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))]):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name)):
            yield name
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if value is call and isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value
        case ast.Tuple(elts=values):
            match module.parent(parent):
                case ast.Assign(targets=[ast.Tuple(elts=targets)]) if len(targets) == len(values):
                    target = targets[values.index(call)]
                    if isinstance(target, ast.Name | ast.Attribute):
                        yield target.id if isinstance(target, ast.Name) else target.attr
