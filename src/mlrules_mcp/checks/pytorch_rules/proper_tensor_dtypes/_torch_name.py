"""How a module writes the name `torch`, for fixes that put another function of it in a call's place."""

from __future__ import annotations

import ast

from mlrules_mcp.findings import AddImport, Edit
from mlrules_mcp.source import Module


def torch_name(module: Module, func: ast.expr) -> tuple[str, tuple[Edit, ...]]:
    """How to write `torch` in the place of a function's name, and the import that this takes, if any.

    Args:
        func: what a call calls: `t.range` after `import torch as t` is written `t` again.
    """
    base = func
    while isinstance(base, ast.Attribute):
        base = base.value
        if module.qualified_name(base) == "torch":
            return module.text(base), ()
    for statement in module.nodes(ast.Import):
        if module.parent(statement) is module.tree:
            for alias in statement.names:
                if alias.name == "torch" or (alias.name.startswith("torch.") and alias.asname is None):
                    return alias.asname or "torch", ()
    return "torch", (AddImport("torch"),)
