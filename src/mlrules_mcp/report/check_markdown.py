"""A check's documentation as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from mlrules_mcp.catalogue import AnyCheck
from mlrules_mcp.checks.check import SECTIONS
from mlrules_mcp.report.data import check_data


def check_markdown(check: AnyCheck, level: int) -> Iterator[str]:
    """The lines on one check: what it finds, why, what it leaves alone, bad and good code.

    Args:
        level: of its heading.
    """
    data = check_data(check)
    yield from ("", f"{'#' * level} {check.name}", "", data["summary"])
    if data["also_enforces"]:
        others = " and ".join(f"`{rule}`" for rule in data["also_enforces"])
        yield from ("", f"Also enforces {others}; what it finds is reported once, under `{check.rule}`.")
    for section in SECTIONS:
        yield from ("", f"**{section}.**" if section != "References" else "**References**", "")
        yield data[section.lower().replace(" ", "_")]
    bad = data["bad"][0]
    yield from ("", "Bad:", "", "```python", bad["code"], "```")
    if bad["fixed"]:
        yield from ("", f"After the {bad['applicability']} fix:", "", "```python", bad["fixed"], "```")
    yield from ("", "Good:", "", "```python", data["good"][0]["code"], "```")
