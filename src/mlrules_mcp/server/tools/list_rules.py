"""The tool `list_rules`."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mlrules_mcp.analysis.files import python_files
from mlrules_mcp.report.data import rules_data, without_empty
from mlrules_mcp.report.text import rules_text
from mlrules_mcp.server.toolkit import MOST_BYTES, ServerContext, answer, make_tool, number_that_fits, weight

_MOST_FILES = 2_000
_MOST_PATHS = 100
_FRAME = 1_000


class Rules(BaseModel):
    """Rules, and why they apply to each path."""

    rules: list[dict[str, Any]]
    paths: list[dict[str, Any]] = []
    next: str | None = None


def build(context: ServerContext) -> Tool:
    """The tool over a server's rules."""

    async def list_rules(
        paths: Annotated[list[str], Field(description="Files or folders you work on; empty: all rules")] = [],  # noqa: B006
        full: Annotated[bool, Field(description="With checks and guidance")] = False,
        cursor: Annotated[str | None, Field(description="`next` of the last page")] = None,
    ) -> Annotated[CallToolResult, Rules]:
        """The machine-learning rules that apply to some files, with severities. Call before writing ML code."""
        if len(paths) > _MOST_PATHS:
            raise ToolError(f"{len(paths)} paths are too many: pass a folder, or fewer than {_MOST_PATHS}.")
        root = context.roots[0].as_posix() if context.roots else None
        folders = await context.run(lambda: {path: _files_in(context, path) for path in paths})
        files = [file for path in paths for file in folders[path] or [path]]
        data = await context.run(partial(rules_data, context.catalogue, files, root, brief=not full))
        data["paths"] = _by_path(data["paths"], folders, several=len(context.catalogue.manifests) > 1)
        return _page(data, cursor)

    return make_tool(list_rules, "List ML rules")


def _files_in(context: ServerContext, path: str) -> list[str]:
    """The Python files of a folder, as paths from the root; none where it is no folder that may be read."""
    try:
        folder, root = context.allowed(path)
    except ToolError:
        return []
    if not folder.is_dir():
        return []
    found = islice(python_files([folder]), _MOST_FILES)
    return [file.relative_to(root).as_posix() for file in found if isinstance(file, Path)]


def _by_path(entries: list[dict[str, Any]], folders: dict[str, list[str]], several: bool) -> list[dict[str, Any]]:
    """What is said of each path: a file with the glob that matched or why none did, a folder with how many files do."""
    kept = ("path", "on", "about", "pattern", "reason", "notes", *(("manifest", "trigger") if several else ()))
    said = [{key: entry[key] for key in kept} for entry in entries]
    for entry in said:
        if entry["pattern"] and entry["on"]:
            del entry["reason"]  # it says the same
    merged: list[dict[str, Any]] = []
    for path, files in folders.items():
        of_path = [entry for entry in said if entry["path"] in (files or [path])]
        if not files:
            merged += of_path
            continue
        for manifest in dict.fromkeys(entry.get("manifest") for entry in of_path):
            group = [entry for entry in of_path if entry.get("manifest") == manifest]
            matched = [entry for entry in group if entry["about"]]
            first = (matched or group)[0]
            merged.append({**first, "path": path, "files": len(group), "matched": len(matched)})
    return merged


def _page(data: dict[str, Any], cursor: str | None) -> CallToolResult:
    """As many rules as fit, from the one that the cursor names."""
    rules = data["rules"]
    keys = [rule["rule"] for rule in rules]
    if cursor is not None and cursor not in keys:
        raise ToolError(f"There is no page that begins with {cursor[:80]!r}. Call without `cursor` for the first one.")
    start = keys.index(cursor) if cursor is not None else 0
    of_page = {"paths": data["paths"] if start == 0 else [], "diagnostics": data["diagnostics"][:20]}
    room = MOST_BYTES - _FRAME - weight(rules_text({**of_page, "rules": []}), of_page)
    guidance = data.get("guidance", {})
    weights: list[int] = []
    told: set[str] = set()
    for rule in rules[start:]:
        block = rule["rule"].partition(".")[0]
        own = {"rules": [_slim(rule)], "guidance": {block: guidance.get(block, [])} if block not in told else {}}
        told.add(block)
        weights.append(weight(rules_text(own), without_empty(own)))
    # One rule always goes out: else there would be no way past it.
    end = start + max(1, number_that_fits(weights, room))
    page = {**of_page, "rules": rules[start:end]}
    blocks = {rule["rule"].partition(".")[0] for rule in page["rules"]}
    page["guidance"] = {block: bullets for block, bullets in guidance.items() if block in blocks}
    text = rules_text(page)
    slim: dict[str, Any] = {"rules": [], **without_empty(page | {"rules": [_slim(rule) for rule in page["rules"]]})}
    if end < len(rules):
        slim["next"] = keys[end]
        text += f"\nThere are {len(rules) - end} more: pass cursor={keys[end]!r}."
    return answer(text, slim)


def _slim(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule without its place in the manifest, and without saying that it is on."""
    return {
        key: value for key, value in rule.items() if key not in ("source", "line") and (key, value) != ("enabled", True)
    }
