"""A Module: one parsed source with every fact that checks ask for."""

from __future__ import annotations

import ast
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
        self._uses: dict[frozenset[str], bool] = {}
        self._facts: dict[Callable[[Module], object], object] = {}

    def fact(self, find: Callable[[Module], T]) -> T:
        """What `find` finds out about this module; found once, however many checks ask."""
        if find not in self._facts:
            self._facts[find] = find(self)
        return self._facts[find]  # type: ignore[return-value]

    def forget_facts(self) -> None:
        """Drop what `fact` keeps: it may point back to the module, which would then stay in memory."""
        self._facts.clear()

    def ancestry(self, cls: ast.ClassDef) -> list[tuple[Module, ast.ClassDef]]:
        """A class and all that it is seen to inherit from, nearest first, each with the module that it stands in.

        Base classes in other files count where the source has a project.
        """
        found: dict[ast.ClassDef, Module] = {}
        pending: list[tuple[Module, ast.ClassDef]] = [(self, cls)]
        for module, each in pending:
            for ancestor in module.lineage(each):
                if ancestor not in found:
                    found[ancestor] = module
                    names = filter(None, map(module.base_name, ancestor.bases))
                    pending.extend(filter(None, map(module.class_elsewhere, names)))
        return [(module, ancestor) for ancestor, module in found.items()]

    def may_run_on(self, package: str, release: str) -> bool:
        """Whether this file may run with a release of a package, or a later one, by what its project declares.

        Where nothing is declared, the newest release is assumed.
        """
        project = self.source.project
        return project is None or project.may_run_on(package, release, self.source.path)

    def named_release(self, package: str, release: str) -> str:
        """A release as a message names it: with a word on it where the project does not declare its own."""
        project = self.source.project
        declared = project is not None and project.specifiers(package, self.source.path)
        return release if declared else f"{release} (assumed, as no release is declared)"

    def uses(self, packages: frozenset[str]) -> bool:
        """Whether the module imports one of these packages; one without any imports (a snippet) may use them all.

        No packages at all are asked for by what concerns every module.
        """
        known = self._uses.get(packages)
        if known is None:
            imported = self.imported_packages
            known = self._uses[packages] = not packages or not imported or not imported.isdisjoint(packages)
        return known
