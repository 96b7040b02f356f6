"""Completions: names of blocks, rules, checks, reports, and paths that may be read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from mcp.server import MCPServer
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from mlrules_mcp.server.context import ServerContext

# What the protocol allows in one answer.
_MOST_VALUES = 100
_SUFFIXES = (".py", ".pyw", ".ipynb", ".md")


def register(server: MCPServer[Any], context: ServerContext) -> None:
    """Offer completions for the resource templates and the prompts of a server."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        resolved: CompletionContext | None,
    ) -> Completion | None:
        known = (resolved.arguments if resolved else None) or {}
        match ref, argument.name:
            case ResourceTemplateReference(), "block":
                values: Iterable[str] = (block.name for block in context.catalogue.rules.blocks)
            case ResourceTemplateReference(uri="rules://{block}/{id}"), "id":
                rules = context.catalogue.rules.rules
                values = (rule.id for rule in rules if known.get("block") in (None, rule.block))
            case ResourceTemplateReference(), "check":
                values = [check.name for check in await context.run(lambda: context.catalogue.checks)]
            case ResourceTemplateReference(), "id":
                values = (report.id for report in context.reports or ())
            case PromptReference(), "path":
                values = await context.run(partial(_paths, context, argument.value))
            case _:
                return None
        return _completion(values, argument.value)


def _completion(values: Iterable[str], typed: str) -> Completion:
    """The values that begin as typed, then those that have it somewhere, each once."""
    unique = list(dict.fromkeys(values))
    wanted = typed.casefold()
    starting = [value for value in unique if value.casefold().startswith(wanted)]
    holding = [value for value in unique if wanted in value.casefold() and value not in starting]
    found = [*starting, *holding]
    return Completion(values=found[:_MOST_VALUES], total=len(found), has_more=len(found) > _MOST_VALUES)


def _paths(context: ServerContext, typed: str) -> list[str]:
    """Files and folders in the folder that is typed so far; a folder ends in a slash."""
    folder = typed[: typed.rfind("/") + 1]
    inside = [path for found in context.folders(folder or ".") for path in sorted(found.iterdir())]
    shown = [path for path in inside if not path.name.startswith(".")]
    return [
        f"{folder}{path.name}{'/' if path.is_dir() else ''}"
        for path in shown
        if path.is_dir() or path.suffix in _SUFFIXES
    ]
