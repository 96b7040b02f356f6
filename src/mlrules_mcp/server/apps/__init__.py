"""The apps: pages that hosts show beside a tool's answer, which says the same as text (MCP Apps).

A page is one file without any other: hosts run it in a sandbox that has no network. It asks its host for the tools.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from mcp.server.apps import Apps, ResourceCsp
from mcp.server.mcpserver.tools import Tool

from mlrules_mcp import __version__
from mlrules_mcp.report.html import source_hash


class App(NamedTuple):
    """A page for the answers of a tool.

    Attributes:
        name: of its script and in its URI.
        waiting: what it shows until the answer is there.
    """

    name: str
    title: str
    description: str
    waiting: str

    @property
    def uri(self) -> str:
        """Where hosts read it."""
        return f"ui://mlrules/{self.name}.html"


APPS = {
    "analyze_code": App(
        "findings", "Findings", "The findings as an annotated listing, with fixes to ask for", "Checking the code …"
    ),
    "check_training": App(
        "training", "Training check", "The curves, the devices and the verdicts of a training check", "Training …"
    ),
}


def apps() -> Apps:
    """The extension that serves the pages."""
    extension = Apps()
    nothing = ResourceCsp(connect_domains=[], resource_domains=[], frame_domains=[], base_uri_domains=[])
    for app in APPS.values():
        extension.add_html_resource(
            app.uri, app_page(app), name=app.name, title=app.title, description=app.description, csp=nothing
        )
    return extension


def with_app(tool: Tool) -> Tool:
    """The tool, naming the page for its answers if there is one."""
    if app := APPS.get(tool.name):
        tool.meta = {**(tool.meta or {}), "ui": {"resourceUri": app.uri}}
    return tool


@cache
def app_page(app: App) -> str:
    """The whole page, whose own policy lets nothing run but its scripts and nothing load at all."""
    style, *scripts = (_shipped(name) for name in ("app.css", "app.js", f"{app.name}.js"))
    code = " ".join(map(source_hash, scripts))
    policy = (
        f"default-src 'none'; style-src {source_hash(style)}; script-src {code}; base-uri 'none'; form-action 'none'"
    )
    return _shipped("app.html").format(
        version=__version__,
        policy=policy,
        title=app.title,
        waiting=app.waiting,
        style=style,
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def _shipped(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
