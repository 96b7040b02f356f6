"""A project's folder: what one of its files needs to know of the others."""

from __future__ import annotations

import ast
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlrules_mcp.source.declared import Declared
    from mlrules_mcp.source.module import Module

# Each costs some fifty times its text; the base classes of a project stand in few files.
_MOST_MODULES = 16
_MOST_REEXPORTS = 4


class Project:
    """The folder that a file belongs to. Files are read when a fact of them is asked for, and never run.

    Args:
        root: the folder; nothing outside it is read, not through links either.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._modules: OrderedDict[Path, Module | None] = OrderedDict()
        self._files: dict[tuple[Path, str], Path | None] = {}
        self._declared: dict[Path, Declared] = {}

    def name_of(self, file: Path) -> str:
        """What a file is reported as: its path from the root, or as it was given where it lies outside."""
        return (file.relative_to(self.root) if file.is_relative_to(self.root) else file).as_posix()

    def specifiers(self, package: str, path: str) -> list[str]:
        """The version specifiers that the project declares for a package, nearest to the file at a path.

        Declarations in the file's folder count before those of the folders around it. None is an empty list.
        """
        folders = list(self._folders(path))
        if not folders:
            return []
        from mlrules_mcp.source.declared import declared_in  # noqa: PLC0415 - few files ask

        for folder in folders:
            if folder not in self._declared:
                self._declared[folder] = declared_in(folder)
            if found := self._declared[folder].get(package):
                return found
        return []

    def may_run_on(self, package: str, release: str, path: str) -> bool:
        """Whether the file at a path may run with a release of a package, or a later one, by what is declared.

        Without a declaration it may: the newest release is assumed.
        """
        from mlrules_mcp.source.declared import admits  # noqa: PLC0415 - few files ask

        specifiers = self.specifiers(package, path)
        return not specifiers or admits(specifiers, release)

    def class_named(self, name: str, path: str) -> tuple[Module, ast.ClassDef] | None:
        """The class that a name means in the file at a path, with the module that defines it.

        Args:
            name: the qualified name as the file imports it: `models.base.Base`, `.base.Base`.
        """
        return self._find(name, path, _MOST_REEXPORTS)

    def _find(self, name: str, path: str, reexports: int) -> tuple[Module, ast.ClassDef] | None:
        module_name, _, class_name = name.rpartition(".")
        if name.startswith(".") and not module_name.strip("."):
            module_name = name[: -len(class_name)]
        file = self._file(module_name, path) if module_name else None
        module = self._module(file) if file else None
        if module is None:
            return None
        for definition in module.nodes(ast.ClassDef):
            if definition.name == class_name and module.scope(definition) is module.tree:
                return module, definition
        if reexports:
            for imported in module.imports_of(class_name):
                if found := self._find(imported, module.source.path, reexports - 1):
                    return found
        return None

    def _folders(self, path: str) -> Iterator[Path]:
        """The folders around a file, from its own up to the root; none for a file outside."""
        relative = PurePosixPath(path.replace("\\", "/"))
        if relative.is_absolute() or ".." in relative.parts:
            return
        yield from (self.root / parent for parent in relative.parents)

    def _file(self, module_name: str, path: str) -> Path | None:
        """The file of a module as the file at a path imports it."""
        folders = list(self._folders(path))
        names = module_name.lstrip(".")
        if level := len(module_name) - len(names):
            folders = folders[level - 1 : level]
        elif folders:
            folders.append(self.root / "src")
        parts = [part for part in names.split(".") if part]
        for folder in folders:
            key = (folder, names)
            if key not in self._files:
                self._files[key] = self._existing(folder.joinpath(*parts))
            if found := self._files[key]:
                return found
        return None

    def _existing(self, stem: Path) -> Path | None:
        for file in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
            try:
                if file.is_file() and file.resolve().is_relative_to(self.root):
                    return file
            except OSError:
                continue
        return None

    def _module(self, file: Path) -> Module | None:
        if file not in self._modules:
            self._modules[file] = self._read(file)
            if len(self._modules) > _MOST_MODULES:
                _, oldest = self._modules.popitem(last=False)
                if oldest is not None:
                    oldest.forget_facts()
        self._modules.move_to_end(file)
        return self._modules[file]

    def _read(self, file: Path) -> Module | None:
        from mlrules_mcp.source.module import Module  # noqa: PLC0415 - a module knows its project
        from mlrules_mcp.source.reading import SourceFile, UnreadableSource  # noqa: PLC0415

        try:
            module = Module(SourceFile.from_path(file, file.relative_to(self.root).as_posix(), self))
        except UnreadableSource:
            return None
        module.limit_looks()
        return module
