"""A Module: one parsed source with every fact that checks ask for."""

from __future__ import annotations

from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.source.gradients import Gradients
from mlrules_mcp.source.parsing import parse
from mlrules_mcp.source.reading import SourceFile


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

    def uses(self, packages: frozenset[str]) -> bool:
        """Whether the module imports one of these packages; one without any imports (a snippet) may use them all."""
        imported = self.imported_packages
        return not imported or bool(imported & packages)
