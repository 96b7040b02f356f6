from __future__ import annotations

from pathlib import Path

import pytest
from mcp import Client

from mlrules_mcp.server.app import RulesServer
from mlrules_mcp.server.toolkit import MOST_BYTES
from tests.server.conftest import run

TORCH = "import torch\n\nwith torch.no_grad:\n    pass\n"
SKLEARN = """\
from sklearn.preprocessing import StandardScaler
from sklearn.model_selection import train_test_split

X = StandardScaler().fit_transform(X)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(TORCH, encoding="utf-8")
    (tmp_path / "forest.py").write_text(SKLEARN, encoding="utf-8")
    return tmp_path


def prompt(server: RulesServer, name: str, **arguments: str) -> str:
    async def use(client: Client) -> str:
        (message,) = (await client.get_prompt(name, arguments)).messages
        assert message.role == "user"
        return message.content.text

    text: str = run(use, server)
    return text


def test_a_review_brings_the_findings_and_only_rules_about_what_the_file_uses(server: RulesServer, root: Path) -> None:
    text = prompt(server, "review_file", path="forest.py")
    assert "forest.py:4:5: error [fitted-before-split]" in text
    assert "sklearn_rules.data_leakage_prevention (error)" in text
    assert "pytorch_rules" not in text
    assert "lightning_rules" not in text
    assert "pytorch_rules.gradient_management" in prompt(server, "review_file", path="net.py")


def test_a_fix_brings_the_rules_that_are_broken(server: RulesServer, root: Path) -> None:
    text = prompt(server, "fix_file", path="net.py")
    assert "net.py:3:6: error [no-grad-not-called]" in text
    assert text.count("\n- ") == 1
    assert "- pytorch_rules.gradient_management" in text


def test_a_plan_has_its_goal_and_the_rules_for_planning(server: RulesServer, root: Path) -> None:
    text = prompt(server, "plan_experiment", goal="Does dropout help?")
    assert "Does dropout help?" in text
    assert "workflow_rules.iterative_development" in text
    assert "pytorch_rules" not in text
    narrowed = prompt(server, "plan_experiment", goal="Does dropout help?", path="forest.py")
    assert "workflow_rules.iterative_development" in narrowed
    assert narrowed.count("\n- ") < text.count("\n- ")


def test_a_model_card_has_the_rules_on_ethics(server: RulesServer, root: Path) -> None:
    text = prompt(server, "write_model_card", path="net.py")
    assert "MODEL_CARD.md" in text
    assert "that net.py trains" in text
    assert "ethics_rules.responsible_ai" in text
    assert "gradient_management" not in text


def test_a_prompt_stays_within_the_budget_of_an_answer(server: RulesServer, root: Path) -> None:
    code = "import torch\n" + "".join(f"def f{number}(x):\n    x.data.add_({number})\n\n\n" for number in range(500))
    (root / "long.py").write_text(code, encoding="utf-8")
    text = prompt(server, "review_file", path="long.py")
    assert MOST_BYTES / 2 < len(text.encode()) <= MOST_BYTES
    assert "Left out" in text


def test_a_file_that_can_not_be_parsed_is_still_reviewed(server: RulesServer, root: Path) -> None:
    (root / "broken.py").write_text("print 'hello'\n", encoding="utf-8")
    assert "[syntax-error]" in prompt(server, "review_file", path="broken.py")
