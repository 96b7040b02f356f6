"""Takes over the rules of a manifest file when it is edited, without a restart."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated, ServerEvent

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.merging import load_manifests
from mlrules_mcp.manifest.model import RuleCollection, RuleSet
from mlrules_mcp.manifest.reader import ManifestError
from mlrules_mcp.report.findings_text import diagnostic_text
from mlrules_mcp.server.context import MANIFEST_URI, ServerContext

_Stamp: TypeAlias = tuple[int, int, int] | None

# How often the files are looked at where the system reports no changes (network drives), in milliseconds.
_LOOK_AGAIN = 1_000


class ManifestWatch:
    """Watches the manifest files of a server, and keeps its last good rules while one is broken.

    Args:
        context: gets the new catalogue, and the warning that every answer carries while a file is broken.
        paths: the files, in the order in which they count.
    """

    def __init__(self, context: ServerContext, paths: Sequence[Path]) -> None:
        self._context = context
        self._paths = tuple(paths)
        self._stamps = self._current()

    @asynccontextmanager
    async def running(self, _server: Any) -> AsyncIterator[dict[str, Any]]:
        """Watch as long as the server runs; it is a server's lifespan."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            yield {}
            tasks.cancel_scope.cancel()

    async def _watch(self) -> None:
        # Imported here: a server without further rule files needs none of it.
        from watchfiles import awatch  # noqa: PLC0415

        logging.getLogger("watchfiles").setLevel(logging.WARNING)
        # The folders, because editors put a new file in the place of the old one.
        folders = sorted({path.absolute().parent for path in self._paths})
        changes = awatch(
            *folders,
            recursive=False,
            debounce=200,
            rust_timeout=_LOOK_AGAIN,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        async for _ in changes:
            stamps = await anyio.to_thread.run_sync(self._current)
            if stamps != self._stamps:
                self._stamps = stamps
                await self.reload()

    def _current(self) -> list[_Stamp]:
        return [_stamp(path) for path in self._paths]

    async def reload(self) -> None:
        """Read the files again: take over their rules, or warn of what is wrong with them."""
        context = self._context
        try:
            rules = await anyio.to_thread.run_sync(partial(_load, self._paths))
        except ManifestError as error:
            context.warning = f"{error} The rules from before this edit are in force until it is mended."
            await context.notices.publish(ResourceUpdated(MANIFEST_URI))
            return
        was_broken, context.warning = context.warning is not None, None
        before = context.catalogue.rules
        if rules != before:
            context.catalogue = Catalogue(rules)
            await context.notices.publish(*_events(before, rules))
        elif was_broken:
            await context.notices.publish(ResourceUpdated(MANIFEST_URI))


def _stamp(path: Path) -> _Stamp:
    """What changes when a file is edited or another one takes its place; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _load(paths: Sequence[Path]) -> RuleSet:
    """The rules of the files; ManifestError where one can't be read or has errors."""
    rules = load_manifests(paths)
    errors = [diagnostic_text(each) for each in rules.diagnostics if each.severity == "error"]
    if errors:
        more = f" and {len(errors) - 3} more" if len(errors) > 3 else ""
        raise ManifestError(f"{'; '.join(errors[:3])}{more}.")
    return rules


def _events(before: RuleCollection, after: RuleCollection) -> list[ServerEvent]:
    """What clients are told: that the list changed, and each block and rule that is another now."""
    events: list[ServerEvent] = [ResourcesListChanged(), ResourceUpdated(MANIFEST_URI)]
    old = {block.name: block for block in before.blocks}
    for block in after.blocks:
        known = old.pop(block.name, None)
        if known == block:
            continue
        events.append(ResourceUpdated(f"rules://{block.name}"))
        known_rules = set(known.rules) if known else set()
        events += [
            ResourceUpdated(f"rules://{rule.block}/{rule.id}") for rule in block.rules if rule not in known_rules
        ]
    return [*events, *(ResourceUpdated(f"rules://{name}") for name in old)]
