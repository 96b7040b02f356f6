from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_rules_reference_is_fresh() -> None:
    written = (DOCS / "rules.md").read_text(encoding="utf-8")
    assert written == runpy.run_path(str(DOCS / "generate.py"))["rules_reference"](), "run `make docs`"
