"""The resources: the rules in force, what the checks look for, and reports of past runs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp_types import Resource

from mlrules_mcp.manifest.model import RuleNameError
from mlrules_mcp.report.data import explanation_data, rules_data
from mlrules_mcp.report.text import explanation_text, rules_text
from mlrules_mcp.server.context import MANIFEST_URI, ServerContext
from mlrules_mcp.server.reports import MIME_TYPES, ReportStore

_MARKDOWN = "text/markdown"


def register(server: MCPServer[Any], context: ServerContext) -> None:
    """Offer the resources of a server."""

    @server.resource(
        MANIFEST_URI,
        name="manifest",
        title="All rules",
        description="Every rule in force with its checks, and the guidance of each block",
        mime_type=_MARKDOWN,
    )
    async def manifest() -> str:
        return _with_warning(context, rules_text(await context.run(partial(rules_data, context.catalogue))))

    @server.resource(
        "rules://{block}",
        name="block",
        title="Rules of a block",
        description="Such as pytorch_rules: its rules with their checks, and its guidance",
        mime_type=_MARKDOWN,
    )
    async def block(block: str) -> str:
        data = await context.run(partial(rules_data, context.catalogue))
        rules = [rule for rule in data["rules"] if rule["rule"].partition(".")[0] == block]
        if not rules:
            known = ", ".join(each.name for each in context.catalogue.rules.blocks)
            raise ResourceNotFoundError(f"There is no block {block[:80]!r}; the blocks are: {known}.")
        guidance = {block: data["guidance"].get(block, [])}
        return _with_warning(context, rules_text({"rules": rules, "guidance": guidance}))

    @server.resource(
        "rules://{block}/{id}",
        name="rule",
        title="One rule",
        description="A rule with all its checks: what each looks for and leaves alone, bad and good code",
        mime_type=_MARKDOWN,
    )
    async def rule(block: str, id: str) -> str:  # noqa: A002 - the template's name for it
        return await _explained(context, f"{block}.{id}")

    @server.resource(
        "checks://{check}",
        name="check",
        title="One check",
        description="What a check looks for and leaves alone, with all its examples",
        mime_type=_MARKDOWN,
    )
    async def check(check: str) -> str:
        return await _explained(context, check)

    if context.reports is not None:
        for form in MIME_TYPES:
            _register_report(server, context.reports, form)


def listed_blocks(context: ServerContext) -> Iterator[Resource]:
    """The blocks in force as a list of resources shows them; rules are found by their template."""
    for block in context.catalogue.rules.blocks:
        if block.rules:
            yield Resource(
                uri=f"rules://{block.name}",
                name=block.name,
                title=block.heading or block.name,
                description=f"{len(block.rules)} rules",
                mime_type=_MARKDOWN,
            )


async def _explained(context: ServerContext, name: str) -> str:
    try:
        data = await context.run(partial(explanation_data, context.catalogue, name))
    except RuleNameError as error:
        raise ResourceNotFoundError(str(error)) from None
    return _with_warning(context, explanation_text(data))


def _with_warning(context: ServerContext, text: str) -> str:
    return f"Warning: {context.warning}\n\n{text}" if context.warning else text


def _register_report(server: MCPServer[Any], reports: ReportStore, form: str) -> None:
    @server.resource(
        f"reports://{{id}}/{form}",
        name=f"report-{form}",
        title=f"Report of a run, as {form.upper()}",
        description="A past training check or project review, as long as it is kept",
        mime_type=MIME_TYPES[form],
    )
    async def report(id: str) -> str | bytes:  # noqa: A002 - the template's name for it
        return await reports.read(id, form)
