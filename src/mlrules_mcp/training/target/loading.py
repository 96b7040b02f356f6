"""Imports the user's files and finds their classes; what goes wrong is told with their line."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from mlrules_mcp.training import places
from mlrules_mcp.training.errors import TrainingError, is_out_of_memory, quote
from mlrules_mcp.training.target.request import Target, project_of

_ALIASES = {"pytorch_lightning": "lightning.pytorch", "lightning_fabric": "lightning.fabric"}


class Importer:
    """Imports what a target names, as a program in its folder would.

    Args:
        target: what is asked for.

    Attributes:
        source: the folder whose lines are to blame when something raises.
    """

    def __init__(self, target: Target) -> None:
        self.root = Path(target.root)
        self.file = Path(target.file)
        project = project_of(self.file)
        self.source = project if self.root.is_relative_to(project) else self.root
        start, _ = _module_name(self.file)
        sys.path[:0] = [str(start), str(self.root)]
        # Last, for a package that is not installed: not to hide one that is.
        sys.path += [str(folder) for folder in (project, project / "src", self.root / "src") if folder.is_dir()]
        sys.argv[:] = [str(self.file)]
        sys.meta_path.insert(0, _Aliases())

    def file_module(self, file: Path) -> ModuleType:
        """The module of a file; raises TrainingError if importing it raises or exits."""
        start, name = _module_name(file)
        if str(start) not in sys.path:
            sys.path.insert(0, str(start))
        if name.partition(".")[0] in sys.stdlib_module_names:  # a file such as types.py would not be found
            name = f"_{name}"
            return self._guarded(file.name, lambda: _import_as(name, file))
        return self._guarded(file.name, lambda: importlib.import_module(name))

    def attribute(self, dotted: str) -> Any:
        """What a dotted name means, such as `package.module.Class`; raises TrainingError where it means nothing."""
        module, _, name = dotted.rpartition(".")
        if not module:
            raise TrainingError("bad-target", f"{dotted!r} is no dotted name such as package.module.Class.")
        found = self._guarded(module, lambda: importlib.import_module(module))
        if not hasattr(found, name):
            raise TrainingError("bad-target", f"{module} has no {name!r}.")
        return getattr(found, name)

    def blamed(self, error: BaseException) -> str:
        """` (FILE:LINE)`, the innermost line of the user's that an error passed through; empty if it is none."""
        if isinstance(error, SyntaxError) and error.filename and error.lineno:
            place: places.Place | None = places.Place(error.filename, error.lineno)
        else:
            place = places.of_error(error, self.source)
        if place is None:
            return ""
        path = Path(place.path)
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        return f" ({shown.as_posix()}:{place.line})"

    def _guarded(self, what: str, work: Callable[[], ModuleType]) -> ModuleType:
        try:
            return work()
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error):
                message = f"Importing {what} takes more than the memory limit{self.blamed(error)}."
                raise TrainingError("out-of-memory", message) from None
            message = f"Importing {what} raised {quote(error)}{self.blamed(error)}."
            if isinstance(error, ModuleNotFoundError):
                message += f" The check runs with {sys.executable}: install there what the project needs."
            elif isinstance(error, SystemExit):
                message += ' Put what the file does as a program under `if __name__ == "__main__":`.'
            raise TrainingError("bad-target", message) from None


def find_class(module: ModuleType, name: str | None, wanted: tuple[type, ...], what: str) -> type:
    """The class of a name, or the only one that a module defines of the first of the wanted kinds that it defines.

    Args:
        wanted: base classes, in the order in which they are looked for where no name is given.
        what: the kind, for errors.

    Raises:
        TrainingError: there is none, or several.
    """
    file = Path(str(module.__file__)).name
    here = [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__]
    fitting = [value for value in here if issubclass(value, wanted)]
    names = ", ".join(value.__name__ for value in fitting) or "none"
    if name is not None:
        found = getattr(module, name, None)
        if not inspect.isclass(found) or not issubclass(found, wanted):
            said = f"{file} has no {name!r}" if found is None else f"{name} in {file} is no {what}"
            raise TrainingError("bad-target", f"{said}. Of this kind it defines: {names}.")
        return found
    for base in wanted:
        some = [value for value in fitting if issubclass(value, base) and not inspect.isabstract(value)]
        if len(some) == 1:
            return some[0]
        if some:
            names = ", ".join(value.__name__ for value in some)
            raise TrainingError("bad-target", f"{file} defines several: {names}. Name one: {file}:{some[-1].__name__}")
    raise TrainingError("bad-target", f"{file} defines no {what}.")


def _module_name(file: Path) -> tuple[Path, str]:
    """The folder to import a file from, and the name that it has there.

    Packages count as far up as they go; where relative imports need more parents than there are packages,
    so do the folders above.
    """
    parents, folder = 0, file.parent
    while (folder / "__init__.py").exists():
        parents, folder = parents + 1, folder.parent
    for _ in range(_relative_imports(file) - parents):
        folder = folder.parent
    parts = file.relative_to(folder).with_suffix("").parts
    return folder, ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _relative_imports(file: Path) -> int:
    """How many packages around it a file's relative imports take for granted."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return 0
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


def _import_as(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Aliases(MetaPathFinder, Loader):
    """Has `pytorch_lightning` mean `lightning.pytorch`: its classes would be strangers to the Trainer otherwise."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname.partition(".")[0] in _ALIASES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        package, dot, rest = spec.name.partition(".")
        try:
            module = importlib.import_module(_ALIASES[package] + dot + rest)
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith(_ALIASES[package]):
                raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name) from None
            raise
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state
