from __future__ import annotations

import json
from dataclasses import replace
from unittest.mock import patch

import pytest

from mlrules_mcp.analysis.engine import Analysis, analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import Diagnostic, Finding, Fix, Location, Related
from mlrules_mcp.report import findings_html as module
from mlrules_mcp.report.findings_html import findings_html
from mlrules_mcp.source import SourceFile
from tests.report.markup import HOSTILE, Page

CODE = """\
import torch
name = "🙂größe"; state = model.load_state_dict(torch.load(name))
if True:
    with torch.no_grad:
        pass
for x in data:
    a = x.to("cuda")
    b = x.to("cuda")
"""


def made(code: str = CODE, path: str = "train.py") -> Page:
    source = SourceFile.from_text(code, path)
    return Page(findings_html(analyze(source, Catalogue()), lambda _: source))


@pytest.fixture(scope="module")
def page() -> Page:
    return made()


def test_the_page_is_whole_and_loads_nothing(page: Page) -> None:
    assert page.problems == []
    assert len(page.html.encode()) < 60_000


def test_the_verdict_counts_errors_and_warnings_and_errors_come_first() -> None:
    found = analyze(SourceFile.from_text(CODE, "a.py"), Catalogue()).findings
    mixed = zip(found, ("advice", "warning", "error"), strict=True)
    told = Analysis(1, tuple(replace(finding, severity=severity) for finding, severity in mixed))
    page = Page(findings_html(told, lambda _: None))
    assert page.values("article", "data-severity") == ["error", "warning", "advice"]
    assert page.text.startswith("1 error and 1 warning in 1 file – mlrules-mcp")
    assert (
        "Advice alone, in 1 file" in Page(findings_html(replace(told, findings=told.findings[:1]), lambda _: None)).text
    )


def test_each_finding_shows_its_line_with_the_code_it_is_about(page: Page) -> None:
    assert "train.py:4:10 no-grad-not-called" in page.text
    assert "with <mark>torch.no_grad</mark>:" in page.html
    assert "<mark>torch.load(name)</mark>)" in page.html
    assert "Also at line 8." in page.text
    assert "Safe fix: Call torch.no_grad" in page.text


def test_a_line_of_a_snippet_from_inside_a_function_and_of_a_cell_is_found() -> None:
    snippet = made("        import torch\n        with torch.no_grad:\n            pass\n")
    assert "with <mark>torch.no_grad</mark>:" in snippet.html
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [cell | {"source": "import torch"}, cell | {"source": "%time 1\nwith torch.no_grad:\n    pass"}]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    page = made(json.dumps(notebook), "a.ipynb")
    assert "a.ipynb:cell 2:2:6 no-grad-not-called" in page.text
    assert "with <mark>torch.no_grad</mark>:" in page.html


def test_a_file_that_is_gone_meanwhile_is_shown_without_its_code() -> None:
    found = analyze(SourceFile.from_text(CODE, "a.py"), Catalogue())
    page = Page(findings_html(found, lambda _: None))
    assert page.problems == []
    assert "pre" not in page.tags


def test_the_filters_know_every_check_and_kind_of_fix(page: Page) -> None:
    checks = set(page.values("article", "data-check"))
    assert checks <= set(page.values("option", "value"))
    assert set(page.values("article", "data-fix")) <= {"safe", "suggested", "none"}


def test_beyond_what_a_browser_opens_quickly_advice_is_left_out_and_that_is_said() -> None:
    with patch.object(module, "MOST_FINDINGS", 1):
        page = made()
    assert page.values("article", "data-severity") == ["error"]
    assert "2 further findings are not shown" in page.text


def test_nothing_found_is_a_page_that_says_so() -> None:
    page = made("import torch\n")
    assert page.problems == []
    assert "No findings in 1 file" in page.text
    assert "form" not in page.tags


def test_a_very_long_line_is_cut() -> None:
    page = made(f"import torch\nx = '{'y' * 1_000}'; model.load_state_dict(torch.load(name)); z = '{'z' * 1_000}'\n")
    assert "… <mark>torch.load(name)</mark>); z =" in page.html
    assert "y" * 300 not in page.html
    assert "z" * 300 not in page.html


def test_hostile_texts_are_shown_and_never_run() -> None:
    place = Location(1, 1, 1, 9)
    finding = Finding(HOSTILE, HOSTILE, "error", HOSTILE, place, HOSTILE, Fix("safe", HOSTILE, ()), (place,))
    finding = replace(finding, related=(Related(HOSTILE, place, HOSTILE),))
    hostile = Analysis(1, (finding,), (Diagnostic(HOSTILE, "error", HOSTILE, HOSTILE),))
    source = SourceFile.from_text(HOSTILE.replace("\0", ""), "a.py")
    page = Page(findings_html(hostile, lambda _: source))
    page.html.encode()
    assert page.problems == []
    assert "img" not in page.tags
    assert page.tags.count("script") == 2
