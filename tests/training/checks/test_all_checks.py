import re
from pathlib import Path

import pytest

from mlrules_mcp.training import checks

MANIFEST = Path(__file__).parents[3] / "rules" / "machine-learning.md"


def test_every_file_of_the_folder_holds_one_check_of_its_name():
    folder = Path(checks.__file__).parent
    files = sorted(path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem != "__init__")
    assert [check.name for check in checks.all_checks()] == files


@pytest.mark.parametrize("check", checks.all_checks(), ids=lambda check: check.name)
def test_a_check_is_explained_and_tied_to_a_rule_of_the_manifest(check):
    block, _, rule = check.rule.partition(".")
    text = MANIFEST.read_text(encoding="utf-8")
    assert re.search(rf'@{block} \[[^@]*"id": "{rule}"', text)
    assert len(type(check).__doc__) > 100
