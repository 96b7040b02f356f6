from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from mcp.server import MCPServer

from mlrules_mcp.report import curves_png
from mlrules_mcp.server.tools import check_training
from tests.report.markup import Page
from tests.report.test_training_html import RESULT
from tests.server.conftest import call, run


@pytest.fixture(autouse=True)
def trained(monkeypatch: pytest.MonkeyPatch) -> None:
    async def result(*_: Any, **__: Any) -> Any:
        return RESULT

    monkeypatch.setattr(check_training, "run_training_check", result)


def test_the_report_of_a_training_is_linked_as_page_data_and_picture(server: MCPServer) -> None:
    async def read(client: Any) -> dict[str, Any]:
        trained = await client.call_tool("check_training", {})
        links = [block for block in trained.content if block.type == "resource_link"]
        return {link.mime_type: (await client.read_resource(str(link.uri))).contents[0] for link in links}

    contents = run(read, server)
    assert Page(contents["text/html"].text).problems == []
    assert json.loads(contents["application/json"].text)["model"] == "Sample"
    assert base64.b64decode(contents["image/png"].blob).startswith(b"\x89PNG")


def test_curves_come_as_an_image_when_they_are_asked_for(server: MCPServer) -> None:
    assert "image" not in [block.type for block in call(server, "check_training", {}).content]
    (image,) = [b for b in call(server, "check_training", {"curves": True}).content if b.type == "image"]
    assert image.mime_type == "image/png"
    assert base64.b64decode(image.data).startswith(b"\x89PNG")


def test_without_pillow_curves_are_refused_before_anything_trains(
    server: MCPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves_png, "find_spec", lambda _: None)
    monkeypatch.setattr(check_training, "run_training_check", None)
    refused = call(server, "check_training", {"curves": True})
    assert refused.is_error
    assert "need Pillow" in refused.content[0].text


def test_without_pillow_the_report_is_linked_without_a_picture(
    server: MCPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves_png, "find_spec", lambda _: None)
    links = [block.mime_type for block in call(server, "check_training", {}).content if block.type == "resource_link"]
    assert links == ["text/html", "application/json"]
