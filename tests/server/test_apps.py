from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from mcp import Client
from mcp.server.apps import APP_MIME_TYPE

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import RulesServer, build_server
from mlrules_mcp.server.apps import APPS, app_page
from tests.server.conftest import run

PAGES = {tool: app_page(app) for tool, app in APPS.items()}


@pytest.fixture(scope="module")
def server() -> RulesServer:
    return build_server(Catalogue())


class Page(HTMLParser):
    """What of a page could run or load something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.policy = ""
        self.inline: list[tuple[str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in {"script", "style"} and data.strip():
            self.inline.append((self.tags[-1][0], data))


def test_a_host_reads_the_page_that_a_tool_names(server: RulesServer) -> None:
    async def read(client: Client) -> dict[str, Any]:
        assert "io.modelcontextprotocol/ui" in (client.server_capabilities.extensions or {})
        named = {tool.name: tool.meta for tool in (await client.list_tools()).tools if tool.meta}
        return {
            name: (await client.read_resource(meta["ui"]["resourceUri"])).contents[0] for name, meta in named.items()
        }

    pages = run(read, server)
    assert pages.keys() == {"analyze_code", "check_training"}
    for name, contents in pages.items():
        assert contents.mime_type == APP_MIME_TYPE == "text/html;profile=mcp-app"
        assert contents.text == PAGES[name]
        assert list(contents.meta["ui"]["csp"].values()) == [[], [], [], []]


@pytest.mark.parametrize("tool", PAGES)
def test_a_page_needs_nothing_but_itself(tool: str) -> None:
    page = Page(PAGES[tool])
    assert not {"src", "href", "srcset", "action", "style"} & {
        name for _, attributes in page.tags for name in attributes
    }
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert set(re.findall(r"https?://[^\"'\s)]+", PAGES[tool])) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\(|url\(|@import|eval\(", PAGES[tool])
    assert len(PAGES[tool].encode()) < 20_000


@pytest.mark.parametrize("tool", PAGES)
def test_a_page_lets_only_its_own_styles_and_scripts_run(tool: str) -> None:
    page = Page(PAGES[tool])
    directives = dict(part.split(" ", 1) for part in page.policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert len(page.inline) == 3
    for kind, text in page.inline:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in directives[f"{kind}-src"].split()
    assert "unsafe" not in page.policy


@pytest.mark.parametrize("tool", PAGES)
def test_what_a_host_sends_is_never_read_as_html(tool: str) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser", PAGES[tool])
