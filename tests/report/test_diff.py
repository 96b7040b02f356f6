from __future__ import annotations

from mlrules_mcp.report.diff import unified_diff
from mlrules_mcp.source import SourceFile


def diff(before: str, after: str) -> list[str]:
    return list(unified_diff(SourceFile.from_text(before, "/a/train.py"), SourceFile.from_text(after, "/a/train.py")))


def test_equal_sources_have_no_diff() -> None:
    assert diff("x\n", "x\n") == []


def test_a_change_is_shown_with_the_path_that_patch_expects() -> None:
    assert diff("x\ny\n", "x\nz\n") == ["--- a/a/train.py", "+++ b/a/train.py", "@@ -1,2 +1,2 @@", " x", "-y", "+z"]


def test_a_missing_line_end_is_told() -> None:
    assert diff("x", "y")[3:] == ["-x", "\\ No newline at end of file", "+y", "\\ No newline at end of file"]
