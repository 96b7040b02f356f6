from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from mcp.server import MCPServer

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.evidence.reading import OnProgress, Stopped
from mlrules_mcp.server import reviewing
from mlrules_mcp.server.app import build_server
from mlrules_mcp.server.toolkit import ServerContext
from tests.report.markup import Page
from tests.server.conftest import call, run, text_of

UNCLEARED = """\
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
"""


@pytest.fixture
def server(tmp_path: Path) -> MCPServer[Any]:
    root = tmp_path / "project"
    for number in range(30):
        file = root / "src" / f"train_{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(UNCLEARED, encoding="utf-8")
    return build_server(Catalogue(), (root,))


def test_a_review_answers_every_rule_in_brief_and_both_forms_name_the_place(server: MCPServer[Any]) -> None:
    result = call(server, "review_project", {})
    assert not result.is_error
    data = result.structured_content
    assert data is not None
    assert len(data["rules"]) == 46
    assert data["next"][0] == "pytorch_rules.gradient_management"
    rule = next(rule for rule in data["rules"] if rule["rule"] == "pytorch_rules.gradient_management")
    assert rule["evidence"][0]["path"] == "src/train_0.py"
    assert "src/train_0.py:7" in text_of(result)
    assert "review_project with `rule`" in text_of(result)
    assert len(json.dumps(data)) / 4 < 10_000
    assert len(text_of(result)) / 4 < 10_000


def test_one_rule_is_answered_with_the_whole_file_to_add(server: MCPServer[Any]) -> None:
    result = call(server, "review_project", {"root": "src", "rule": "baseline_first"})
    assert result.structured_content is not None
    (rule,) = result.structured_content["rules"]
    step = rule["next_step"]
    assert step["path"] == "baseline.py"
    assert step["content"].strip() in text_of(result)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"root": ".."}, "can't be read"),
        ({"root": "nowhere"}, "no file or folder"),
        ({"root": "src/train_0.py"}, "is a file"),
        ({"rule": "baseline_frist"}, "baseline_first"),
    ],
)
def test_what_cannot_be_reviewed_says_what_to_do(arguments: dict[str, str], says: str, server: MCPServer[Any]) -> None:
    result = call(server, "review_project", arguments)
    assert result.is_error
    assert says in text_of(result)


def test_the_report_of_a_review_is_linked_as_page_comment_badge_and_data(server: MCPServer[Any]) -> None:
    async def read(client: Client) -> dict[str, str]:
        reviewed = await client.call_tool("review_project", {})
        links = [block for block in reviewed.content if block.type == "resource_link"]
        return {link.mime_type or "": (await client.read_resource(str(link.uri))).contents[0].text for link in links}

    contents = run(read, server)
    assert list(contents) == ["text/html", "text/markdown", "image/svg+xml", "application/json"]
    assert Page(contents["text/html"]).problems == []
    assert contents["text/markdown"].startswith("### project: ")
    assert Tree.fromstring(contents["image/svg+xml"]).tag.endswith("svg")
    assert len(json.loads(contents["application/json"])["rules"]) == 46


def test_a_review_tells_how_far_it_is(server: MCPServer[Any]) -> None:
    told: list[tuple[float, float | None]] = []

    async def review(client: Client) -> None:
        async def on_progress(done: float, total: float | None, message: str | None) -> None:
            told.append((done, total))

        await client.call_tool("review_project", {}, progress_callback=on_progress)

    run(review, server)
    assert (20, 30) in told


def test_a_review_that_nobody_waits_for_any_more_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, ended = threading.Event(), threading.Event()

    def endless(folder: Path, catalogue: Catalogue, progress: OnProgress) -> None:
        started.set()
        try:
            while True:
                progress(1, 2, "train.py")
        except Stopped:
            ended.set()
            raise

    monkeypatch.setattr(reviewing, "review", endless)

    async def cancelled() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(reviewing._review, tmp_path, ServerContext(Catalogue()), None)
            await anyio.to_thread.run_sync(started.wait)
            group.cancel_scope.cancel()

    anyio.run(cancelled)
    assert ended.wait(10)
