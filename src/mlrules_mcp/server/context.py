"""What the tools, resources and prompts of one server share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.subscriptions import ResourcesListChanged
from mcp_types import ResourceLink

from mlrules_mcp.analysis.files import python_files
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.server.notices import Notices
from mlrules_mcp.server.reports import Content, Kind, ReportStore
from mlrules_mcp.source import Project

MANIFEST_URI = "rules://manifest"
_Result = TypeVar("_Result")

# Python runs one thread at a time: more would only make each answer later.
_MOST_THREADS = 4


@dataclass(slots=True)
class ServerContext:
    """What a server offers, and where it may read.

    Attributes:
        catalogue: the rules and checks in force; a new one takes its place when a rule file changes.
        roots: the folders whose files may be read; none lets tools see only what a call passes in.
        training_code: whether check_training may run the user's own code.
        reports: where reports of runs are kept; None where a link to one might not resolve.
        notices: where changes are published.
        warning: what every answer has to say as long as it holds, such as that a rule file can't be read.
    """

    catalogue: Catalogue
    roots: tuple[Path, ...] = ()
    training_code: bool = False
    reports: ReportStore | None = None
    notices: Notices = field(default_factory=Notices)
    warning: str | None = None
    _threads: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """What `work` returns, from a thread; on cancellation nobody waits for it any more."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(_MOST_THREADS)
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)

    def allowed(self, path: str) -> tuple[Path, Path]:
        """The file or folder that a client's path means, and the root it lies in, both resolved.

        Args:
            path: relative to a root, or absolute; with backslashes too, as clients on Windows write it.

        Raises:
            ToolError: it lies outside the roots, through `..` or a link too, or isn't there.
        """
        below = [found for root in self.roots if (found := _below(root, path)) is not None]
        for found in below:
            if _exists(found[0]):
                return found
        roots = " or ".join(root.as_posix() for root in self.roots)
        if below:
            raise ToolError(f"There is no file or folder {_shown(path)} under {roots}.")
        raise ToolError(
            f"{_shown(path)} can't be read: this server reads {f'files under {roots} only' if roots else 'no files'}. "
            "Pass the text instead."
        )

    def files(self, paths: Iterable[str]) -> list[tuple[Path | Diagnostic, Path]]:
        """The Python files and notebooks that some paths mean, each once with its root.

        Links in folders that lead out of the root are passed over.

        Raises:
            ToolError: as for `allowed`.
        """
        found: dict[tuple[Path | Diagnostic, Path], None] = {}
        for path, root in [self.allowed(path) for path in paths]:
            for file in python_files([path]):
                if isinstance(file, Diagnostic) or _lies_in(root, file):
                    found[file, root] = None
        return list(found)

    def folders(self, path: str) -> list[Path]:
        """The folders that a client's path means, in each root that has it."""
        below = [found[0] for root in self.roots if (found := _below(root, path)) is not None]
        return [folder for folder in below if _exists(folder) and folder.is_dir()]

    def project_of(self, filename: str) -> Project | None:
        """The project that code under a name belongs to: the first root that has the folder it names."""
        for root in self.roots:
            found = _below(root, filename)
            if found is not None and found[0] != found[1] and _exists(found[0].parent):
                return Project(found[1])
        return None

    async def keep_report(self, kind: Kind, title: str, contents: Mapping[str, Content]) -> list[ResourceLink]:
        """Keep the report of a run and tell clients of it.

        Args:
            title: what ran and how it went, in one line.
            contents: as in `Report`, such as `{"json": result.to_dict(), "html": lambda: page(result)}`.

        Returns:
            Links to it for the answer; none where no reports are kept.
        """
        if self.reports is None:
            return []
        report = self.reports.add(kind, title, contents)
        await self.notices.publish(ResourcesListChanged())
        return report.links()


def _below(root: Path, path: str) -> tuple[Path, Path] | None:
    """A client's path and the root, resolved; None where it does not lie in the root or is no path at all."""
    base = root.resolve()
    slashed = path.replace("\\", "/")
    if slashed.startswith("//"):  # on Windows, another machine: to resolve it would be to call there
        return None
    candidate = base
    for spelling in dict.fromkeys((path, slashed)):
        try:
            candidate = (base / spelling).resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a null character, a loop of links
            return None
        if not candidate.is_relative_to(base):
            return None
        if _exists(candidate):
            break
    return candidate, base


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # its name is too long
        return False


def _lies_in(root: Path, file: Path) -> bool:
    try:
        return file.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _shown(path: str) -> str:
    return repr(path if len(path) <= 200 else f"{path[:200]}…")
