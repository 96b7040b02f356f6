"""The page for people: what the server is, its rules, how to connect to it, and a place to try it."""

from __future__ import annotations

from html import escape
from importlib import resources
from itertools import groupby
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from mlrules_mcp import __version__
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.model import Rule
from mlrules_mcp.report.data import block_title

# Its own files and its own server, nothing else: no other host, no inline script or style, no frame around it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_STATIC = resources.files("mlrules_mcp.server.http") / "static"


def page_routes(catalogue: Catalogue) -> list[BaseRoute]:
    """The page at `/` and its files under `/static`; the page is made once."""
    content = page(catalogue)
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    async def show(_request: Request) -> Response:
        return HTMLResponse(content, headers=headers)

    return [Route("/", show), Mount("/static", StaticFiles(packages=[("mlrules_mcp.server.http", "static")]))]


def page(catalogue: Catalogue) -> str:
    """The page in HTML, with the rules in force in it, so that they can be read without JavaScript."""
    rules = [rule for rule in catalogue.rules.rules if rule.enabled]
    blocks = groupby(rules, key=lambda rule: rule.block)
    return Template((_STATIC / "index.html").read_text(encoding="utf-8")).substitute(
        version=escape(__version__),
        rule_count=len(rules),
        check_count=len(catalogue.checks),
        rules="\n".join(_block(name, list(members), catalogue) for name, members in blocks),
    )


def _block(name: str, rules: list[Rule], catalogue: Catalogue) -> str:
    title = block_title(name)
    return f'<div data-block><h3 class="block">{escape(title)}</h3>{"".join(_rule(r, catalogue) for r in rules)}</div>'


def _rule(rule: Rule, catalogue: Catalogue) -> str:
    checks = "".join(f"<li><code>{escape(check.name)}</code></li>" for check in catalogue.checks_of(rule))
    looked_at = f"<p>What is looked for in code:</p><ul>{checks}</ul>" if checks else "<p>A practice to follow.</p>"
    return (
        f'<details class="rule"><summary><span class="id">{escape(rule.id)}</span>'
        f'<span class="{escape(rule.severity)} severity">{escape(rule.severity)}</span>'
        f'<span class="what">{escape(rule.description)}</span></summary><div class="body">{looked_at}</div></details>'
    )
