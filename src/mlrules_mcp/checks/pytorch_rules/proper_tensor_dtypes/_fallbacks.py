"""Code that is there for an older release of a library."""

from __future__ import annotations

import ast
import re

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_VERSION_WORD = pattern(r"version|hasattr|torch_ge|torch_lt|_available|TORCH_\d|legacy", re.IGNORECASE)


def is_fallback(module: Module, node: ast.AST) -> bool:
    """Whether a node runs only for some version of a library, or may fail without harm."""
    if any(_VERSION_WORD.search(ast.unparse(guard.test)) for guard in module.guards(node)):
        return True
    child = node
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, ast.Try) and child not in ancestor.orelse and any(map(_falls_back, ancestor.handlers)):
            return True
        if isinstance(ancestor, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return False
        child = ancestor
    return False


def _falls_back(handler: ast.ExceptHandler) -> bool:
    caught = ast.unparse(handler.type) if handler.type else "Exception"
    return any(error in caught for error in ("Exception", "ImportError", "ModuleNotFoundError", "AttributeError"))
