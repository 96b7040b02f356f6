"""Modules from code written in tests, and the nodes in them."""

from __future__ import annotations

import ast
from textwrap import dedent

from mlrules_mcp.source import Module, SourceFile


def module_of(code: str) -> Module:
    """The module of a piece of code, which must parse."""
    module = Module(SourceFile.from_text(dedent(code).lstrip("\n"), "train.py"))
    assert not module.diagnostics
    return module


def read(module: Module, text: str, occurrence: int = -1) -> ast.expr:
    """The expression with a text that is read, not assigned to; by default its last occurrence."""
    found = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.expr)
        and not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)
        and module.text(node) == text
    ]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return found[occurrence]


def name(module: Module, identifier: str, occurrence: int = -1) -> ast.Name:
    """A name that is read; by default its last occurrence."""
    node = read(module, identifier, occurrence)
    assert isinstance(node, ast.Name)
    return node


def call(module: Module, function: str, occurrence: int = -1) -> ast.Call:
    """A call of a function, given as it is written; by default the last one."""
    calls = [node for node in module.nodes(ast.Call) if module.text(node.func) == function]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    return calls[occurrence]


def texts(module: Module, nodes: list[ast.expr]) -> list[str]:
    """The source texts of some nodes."""
    return [module.text(node) for node in nodes]
