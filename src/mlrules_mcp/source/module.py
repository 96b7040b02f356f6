"""A Module: one parsed source with every fact that checks ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.source.gradients import Gradients
from mlrules_mcp.source.parsing import parse
from mlrules_mcp.source.reading import SourceFile

T = TypeVar("T")


class Module(Gradients):
    """One source file as checks see it. It is parsed and walked once; facts are computed when asked for.

    The facts come in layers, each a class in a file of its own that builds on the one before:
    Tree (nodes, parents, text), Scopes (bindings), Flow (which bindings reach a use), Names (qualified names),
    Values (values of variables, classes), Guards (conditions) and Gradients (training loops, no-grad regions).

    Attributes:
        diagnostics: the syntax errors; where there are any, the tree is what parses around them.
    """

    def __init__(self, source: SourceFile) -> None:
        tree, diagnostics = parse(source)
        self.diagnostics: list[Diagnostic] = diagnostics
        super().__init__(source, tree)
        self._facts: dict[Callable[[Module], object], object] = {}

    def fact(self, find: Callable[[Module], T]) -> T:
        """What `find` finds out about this module; found once, however many checks ask."""
        if find not in self._facts:
            self._facts[find] = find(self)
        return self._facts[find]  # type: ignore[return-value]

    def forget_facts(self) -> None:
        """Drop what `fact` keeps: it may point back to the module, which would then stay in memory."""
        self._facts.clear()

    def uses(self, packages: frozenset[str]) -> bool:
        """Whether the module imports one of these packages; one without any imports (a snippet) may use them all."""
        imported = self.imported_packages
        return not imported or bool(imported & packages)
