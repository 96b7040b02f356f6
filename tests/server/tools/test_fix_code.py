from __future__ import annotations

from mlrules_mcp.server.app import RulesServer
from mlrules_mcp.server.toolkit import MOST_BYTES, weight
from tests.server.conftest import call, text_of

MANY = "import torch\n" + "".join(
    f"def f{number}(model, x):\n    note = '{'ü' * 200}'\n    with torch.no_grad:\n        return model(x), note\n\n\n"
    for number in range(100)
)


def test_a_text_that_is_too_long_for_an_answer_comes_as_a_diff(server: RulesServer) -> None:
    code = "import torch\n\nwith torch.no_grad:\n    pass\n" + "# ü\n" * 10_000
    result = call(server, "fix_code", {"code": code, "output": "code"})
    assert result.structured_content is not None
    assert "code" not in result.structured_content
    assert "+with torch.no_grad():" in result.structured_content["diff"]
    assert result.structured_content["note"] == "The whole text is too long for an answer: this is the diff."
    assert result.structured_content["note"] in text_of(result)


def test_a_diff_that_is_too_long_holds_the_hunks_that_fit_and_says_so(server: RulesServer) -> None:
    result = call(server, "fix_code", {"code": MANY})
    assert result.structured_content is not None
    assert weight(text_of(result), result.structured_content) <= MOST_BYTES
    hunks = result.structured_content["diff"].count("@@ -")
    assert 20 < hunks < 100
    assert f"{100 - hunks} hunks left out: apply these, then call again" in result.structured_content["note"]
    assert result.structured_content["fixed"][0]["check"] == "no-grad-not-called"
    assert "fixed 50 more" in text_of(result)


def test_what_remains_gives_way_to_what_was_fixed(server: RulesServer) -> None:
    rest = "".join(f"def g{number}(x):\n    x.data.add_({number})\n\n\n" for number in range(300))
    result = call(server, "fix_code", {"code": MANY + rest})
    assert result.structured_content is not None
    assert weight(text_of(result), result.structured_content) <= MOST_BYTES
    assert "advice. Mend these and call again." in result.structured_content["left_out"]


def test_code_in_which_nothing_can_be_fixed_is_answered_with_an_empty_diff(server: RulesServer) -> None:
    result = call(server, "fix_code", {"code": "import torch\n"})
    assert not result.is_error
    assert result.structured_content is not None
    assert not result.structured_content.get("diff")
    assert "Nothing was fixed." in text_of(result)
