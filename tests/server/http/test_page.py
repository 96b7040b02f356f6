from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.merging import load_manifests
from mlrules_mcp.server.http.page import page, page_routes
from tests.server.http.conftest import run, running

FILES = ("static/page.css", "static/page.js", "static/icon.svg")


class Page(HTMLParser):
    """The links, scripts and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value for name, value in attrs if name in {"src", "href"} and value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def get(path: str) -> httpx2.Response:
    async def use() -> httpx2.Response:
        async with running(Starlette(routes=page_routes(Catalogue()))) as http:
            return await http.get(path)

    answer = run(use)
    assert isinstance(answer, httpx2.Response)
    return answer


def test_the_page_names_every_rule_and_its_checks() -> None:
    shown = Page(get("/").text).texts
    catalogue = Catalogue()
    assert {rule.id for rule in catalogue.rules.rules} <= set(shown)
    assert {check.name for check in catalogue.checks} <= set(shown)


def test_the_page_and_its_files_are_small_and_load_from_this_host_alone() -> None:
    answer = get("/")
    parsed = Page(answer.text)
    assert {target for target in parsed.targets if not target.startswith("#")} == set(FILES)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not {name for name in parsed.attributes if name.startswith("on") or name == "style"}
    files = [get(f"/{name}") for name in FILES]
    assert {file.status_code for file in files} == {200}
    assert sum(len(each.content) for each in [answer, *files]) < 150_000
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\s\"'`]+", "".join(file.text for file in files)) == []


def test_what_a_rule_file_says_is_shown_as_text(tmp_path: Path) -> None:
    own = tmp_path / "own.md"
    own.write_text('@own_rules [{"id": "own", "description": "<script>alert(1)</script> $version & more"}]', "utf-8")
    html = page(Catalogue(load_manifests([own])))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $version &amp; more" in html


@pytest.mark.parametrize("path", ["/static/../page.py", "/static/%2e%2e/page.py", "/static/nothing.js"])
def test_nothing_but_the_page_is_served_from_the_package(path: str) -> None:
    assert get(path).status_code == 404
