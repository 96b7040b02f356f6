"""A small catalogue of checks made for tests: what the analysis does must not hang on which checks there are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from mlrules_mcp.catalogue import AnyCheck, Catalogue
from mlrules_mcp.checks.check import Check
from mlrules_mcp.findings import Finding, Fix
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Positioned

ALL = Catalogue()


class FindCalls(Check[ast.Call]):
    """Finds every call of some functions, with a fix of one's choice."""

    def __init__(self, name: str, called: str, make_fix: Callable[[ast.Call, Module], Fix | None]) -> None:
        super().__init__("warning")
        self.name = name  # type: ignore[misc]
        self.rule = "pytorch_rules.device_agnostic_code"
        self.names = frozenset({called})  # type: ignore[misc]
        self._make_fix = make_fix

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        yield self.finding(module, node, f"Found {self.name}.", fix=self._make_fix(node, module))


class FindNodes(Check[ast.AST]):
    """Finds every node of a type."""

    def __init__(self, name: str, node_type: type[ast.AST]) -> None:
        super().__init__("error")
        self.name = name  # type: ignore[misc]
        self.node_types = (node_type,)  # type: ignore[misc]

    def check(self, node: Any, module: Module) -> Iterator[Finding]:
        where: Positioned = node
        yield self.finding(module, where, f"Found {self.name}.")


class Fails(Check[ast.Module]):
    """Finds one thing and then fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        yield self.finding(module, module.nodes(ast.Expr)[0], "Found before it failed.")
        raise self._error


class LooksForever(Check[ast.Module]):
    """Finds one thing and then looks at the tree without end."""

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        yield self.finding(module, module.nodes(ast.Expr)[0], "Found before it gave up.")
        while True:
            list(module.walk(node))


def no_fix(node: ast.Call, module: Module) -> Fix | None:
    """No fix."""
    return None


def catalogue_of(*checks: Check[Any]) -> Catalogue:
    """A catalogue of some checks, under the shipped rules."""
    catalogue = Catalogue()
    catalogue.checks = tuple(checks)  # type: ignore[misc]
    return catalogue


def call_finder(called: str, make_fix: Callable[[ast.Call, Module], Fix | None] = no_fix) -> AnyCheck:
    """A check that finds every call of a function under the name `found-<function>`."""
    return FindCalls(f"found-{called}", called, make_fix)  # type: ignore[return-value]
