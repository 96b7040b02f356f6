from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import RulesServer, build_server
from mlrules_mcp.server.toolkit import MOST_BYTES, weight
from mlrules_mcp.server.tools import analyze_code
from tests.server.conftest import call, run, text_of

BAD = "import torch\n\nwith torch.no_grad:\n    pass\n"
WORSE = BAD + "state = torch.load('model.pt')\n"


def found_in(server: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    result = call(server, "analyze_code", arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return result.structured_content


def test_only_what_is_new_is_told_when_the_previous_text_is_passed(server: RulesServer) -> None:
    result = call(server, "analyze_code", {"code": WORSE, "previous": BAD})
    assert result.structured_content is not None
    (finding,) = result.structured_content["findings"]
    assert finding["check"] == "load-without-map-location"
    assert (result.structured_content["unchanged"], result.structured_content["resolved"]) == (1, 0)
    assert "1 as before, 0 resolved" in text_of(result)
    assert "no-grad-not-called" not in text_of(result)


def test_all_is_told_where_the_previous_text_can_not_be_read(server: RulesServer) -> None:
    assert len(found_in(server, {"code": WORSE, "previous": "\0"})["findings"]) == 2


def test_an_empty_previous_text_makes_everything_new(server: RulesServer) -> None:
    assert len(found_in(server, {"code": WORSE, "previous": ""})["findings"]) == 2


def test_several_files_come_in_one_call_each_with_its_own_previous_text(server: RulesServer) -> None:
    files = [{"name": "a.py", "text": WORSE, "previous": BAD}, {"name": "b.py", "text": BAD}]
    found = found_in(server, {"files": files})
    assert found["files"] == 2
    assert {(each["path"], each["check"]) for each in found["findings"]} == {
        ("a.py", "load-without-map-location"),
        ("b.py", "no-grad-not-called"),
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"files": [{"name": "a.py"}]}, "files.0.text: Field required"),
        ({"files": [{"name": "a.py", "text": "", "path": "x"}]}, "files.0.path: Extra inputs"),
        ({"files": [{"name": "a.py", "text": ""}], "previous": ""}, "has a `previous` of its own"),
        ({"files": [{"name": "a.py", "text": ""}], "code": ""}, "Pass either"),
        ({"paths": ["x.py"], "previous": ""}, "`previous` goes with `code`"),
    ],
)
def test_a_wrong_file_is_named(server: RulesServer, arguments: dict[str, Any], expected: str) -> None:
    result = call(server, "analyze_code", arguments)
    assert result.is_error
    assert expected in text_of(result)


def test_no_answer_is_over_its_budget_and_errors_come_before_advice(server: RulesServer, tmp_path: Path) -> None:
    advice = "".join(f"def f{i}(x):\n    x.data.add_({i})\n\n" for i in range(1_000))
    names = "".join(f"with torch.no_grad:\n    {'x' * 50}{i} = torch.load('ü' * {i})\n" for i in range(200))
    for number in range(30):
        (tmp_path / f"{number:02}.py").write_text(f"import torch\n{advice}{names}", encoding="utf-8")
        (tmp_path / f"{number:02}-broken.py").write_text("print 'hello'\n" * 3, encoding="utf-8")
    result = call(server, "analyze_code", {"paths": ["00.py", *(f"{number:02}-broken.py" for number in range(30))]})
    assert result.structured_content is not None
    assert MOST_BYTES / 2 < weight(text_of(result), result.structured_content) <= MOST_BYTES
    assert "advice, 10 remarks on files. Pass fewer than these 31 files" in result.structured_content["left_out"]
    assert result.structured_content["left_out"] in text_of(result)
    assert result.structured_content["findings"][0]["severity"] == "error"


def test_a_mistake_at_hundreds_of_places_names_the_first(server: RulesServer) -> None:
    code = "import torch\ndef f(x):\n" + "    x.data.add_(1)\n" * 300
    (finding,) = found_in(server, {"code": code})["findings"]
    assert finding["also_at"] == [*range(4, 24), "and 279 more"]


def test_links_in_a_folder_that_lead_out_of_the_root_are_passed_over(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root, outside):
        folder.mkdir()
        (folder / "code.py").write_text(BAD, encoding="utf-8")
    (root / "file-link.py").symlink_to(outside / "code.py")
    (root / "folder-link").symlink_to(outside)
    (root / "inner-link.py").symlink_to(root / "code.py")
    found = found_in(build_server(Catalogue(), (root,)), {"paths": ["."]})
    assert {each["path"] for each in found["findings"]} == {"code.py", "inner-link.py"}


def test_too_many_files_are_refused(server: RulesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyze_code, "_MOST_FILES", 2)
    for name in "abc":
        (tmp_path / f"{name}.py").touch()
    result = call(server, "analyze_code", {"paths": ["."]})
    assert result.is_error
    assert "3 files are too many" in text_of(result)


def test_files_are_told_one_by_one_while_they_are_read(server: RulesServer, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.py").touch()
    steps: list[tuple[float, float | None, str | None]] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        steps.append((done, total, message))

    async def use(client: Client) -> None:
        await client.call_tool("analyze_code", {"paths": ["."]}, progress_callback=on_progress)

    run(use, server)
    assert steps == [(0, 2, "Checking a.py"), (1, 2, "Checking b.py")]


def test_a_call_that_takes_too_long_is_stopped_and_says_what_to_do(
    server: RulesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = anyio.Event()

    async def never(*_: Any) -> None:
        await release.wait()

    monkeypatch.setattr(analyze_code, "_snippets_answer", never)
    server._tool_manager.get_tool("analyze_code").time_limit = 0.01  # type: ignore[union-attr]
    result = call(server, "analyze_code", {"code": BAD})
    assert result.is_error
    assert "was stopped after 0.01 s" in text_of(result)
