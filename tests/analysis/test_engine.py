"""Checks run over sources, and their findings in order."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from mlrules_mcp.analysis.engine import Analysis, analyze, analyze_files, read_and_analyze
from mlrules_mcp.findings import Diagnostic, Finding, Fix, Location, Replace, Span
from mlrules_mcp.source import Module, SourceFile
from tests.analysis.programs import EXAMPLES
from tests.analysis.support import ALL, Fails, FindNodes, LooksForever, call_finder, catalogue_of


def places(analysis: Analysis) -> list[tuple[int, list[int]]]:
    """The line of each finding, with the lines of its further places."""
    return [(finding.location.line, [place.line for place in finding.also_at]) for finding in analysis.findings]


def test_the_same_finding_in_one_function_is_one_with_all_its_places() -> None:
    code = "def a():\n    f(); f()\n    f()\ndef b():\n    f()\nf()\nf()\n"
    analysis = analyze(SourceFile.from_text(code), catalogue_of(call_finder("f")))
    assert places(analysis) == [(2, [2, 3]), (5, []), (6, [7])]
    assert analysis.findings[0].also_at[0] == Location(2, 10, 2, 13)


def test_functions_are_told_apart_in_an_indented_snippet_too() -> None:
    code = "    f()\n    def a():\n        f()\n        f()\n"
    assert places(analyze(SourceFile.from_text(code), catalogue_of(call_finder("f")))) == [(1, []), (3, [4])]


def test_findings_come_by_severity_and_then_in_the_order_of_the_text() -> None:
    checks = catalogue_of(call_finder("g"), call_finder("f"), FindNodes("loop", ast.For))
    analysis = analyze(SourceFile.from_text("f()\ng()\ndef x():\n    g(f())\nfor y in z: pass\n"), checks)
    assert [(finding.check, finding.location.line) for finding in analysis.findings] == [
        ("loop", 5),
        ("found-f", 1),
        ("found-g", 2),
        ("found-g", 4),
        ("found-f", 4),
    ]


def test_the_fixes_of_one_finding_are_joined_where_they_are_as_safe() -> None:
    def make_fix(node: ast.Call, module: Module) -> Fix | None:
        kind = module.text(node.args[0])
        edits = (Replace(Span.of(node), kind),)
        return None if kind == "none" else Fix("safe" if kind == "safe" else "suggested", kind, edits)

    code = "f(none)\nf(suggested)\nf(safe)\nf(suggested)\n"
    (finding,) = analyze(SourceFile.from_text(code), catalogue_of(call_finder("f", make_fix))).findings
    assert finding.fix is not None
    assert finding.fix.applicability == "suggested"
    assert [edit.span.line for edit in finding.fix.edits if isinstance(edit, Replace)] == [2, 4]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such thing"), "ValueError: no such thing. Please report this"),
        (RecursionError(), "the code is nested too deeply for it"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_check_that_fails_costs_nothing_of_the_others(error: Exception, words: str) -> None:
    analysis = analyze(SourceFile.from_text("f()\n", "train.py"), catalogue_of(Fails(error), call_finder("f")))
    assert [finding.message for finding in analysis.findings] == ["Found before it failed.", "Found found-f."]
    (diagnostic,) = analysis.diagnostics
    assert (diagnostic.code, diagnostic.severity, diagnostic.path) == ("check-failed", "warning", "train.py")
    assert words in diagnostic.message


def test_a_check_that_would_take_too_long_is_stopped_and_the_others_run() -> None:
    checks = catalogue_of(*[LooksForever()] * 4, call_finder("f"))
    analysis = analyze(SourceFile.from_text("def h(): pass\nf()\n", "train.py"), checks)
    assert {finding.message for finding in analysis.findings} == {"Found before it gave up.", "Found found-f."}
    assert [diagnostic.code for diagnostic in analysis.diagnostics] == ["check-failed"] * 4
    assert "it would take too long" in analysis.diagnostics[0].message


def test_a_check_is_not_asked_about_a_module_that_uses_none_of_its_packages() -> None:
    failing = catalogue_of(Fails(ValueError()))
    assert analyze(SourceFile.from_text("import os\nf()\n"), failing) == Analysis(1)
    assert analyze(SourceFile.from_text("import torch\nf()\n"), failing).diagnostics


def test_what_parses_around_a_syntax_error_is_analysed() -> None:
    analysis = analyze(SourceFile.from_text("f()\nx = = 1\nf()\n"), catalogue_of(call_finder("f")))
    assert places(analysis) == [(1, [3])]
    assert [(diagnostic.code, diagnostic.line) for diagnostic in analysis.diagnostics] == [("syntax-error", 2)]


@pytest.mark.parametrize(
    ("findings", "diagnostics", "exit_code"),
    [
        ("", "", 0),
        ("advice", "", 0),
        ("warning", "", 1),
        ("error", "warning", 1),
        ("error", "error", 2),
        ("", "error", 2),
    ],
)
def test_the_exit_code_says_how_bad_it_is(findings: str, diagnostics: str, exit_code: int) -> None:
    found = Finding("block.rule", "check", findings, "a.py", Location(1, 1, 1, 2), "It is.")  # type: ignore[arg-type]
    said = Diagnostic("code", diagnostics, "a.py", "It is.")  # type: ignore[arg-type]
    assert Analysis(1, (found,) * bool(findings), (said,) * bool(diagnostics)).exit_code == exit_code


def test_files_are_analysed_in_order_and_the_unreadable_ones_become_diagnostics(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("f()\n")
    (tmp_path / "b.py").write_bytes(b"\0")
    (tmp_path / "d.py").write_text("f()\n")
    missing = Diagnostic("unreadable", "error", "e.py", "There is no such file.")
    paths = [*(tmp_path / name for name in ("a.py", "b.py", "c.py", "d.py")), missing]
    analysis = analyze_files(paths, catalogue_of(call_finder("f")))
    assert analysis.files == 5
    assert [Path(finding.path).name for finding in analysis.findings] == ["a.py", "d.py"]
    assert [Path(diagnostic.path).name for diagnostic in analysis.diagnostics] == ["b.py", "c.py", "e.py"]
    assert [diagnostic.code for diagnostic in analysis.diagnostics] == ["binary-file", "unreadable", "unreadable"]


def test_a_text_that_can_not_be_read_becomes_a_diagnostic() -> None:
    analysis = read_and_analyze(lambda: SourceFile.from_text("\0"), catalogue_of())
    assert [diagnostic.code for diagnostic in analysis.diagnostics] == ["binary-file"]
    assert analysis.exit_code == 2


def test_the_garbage_collector_is_left_as_it_was_found() -> None:
    source, checks = SourceFile.from_text("f()\n"), catalogue_of(Fails(ValueError()))
    assert gc.isenabled()
    analyze(source, checks)
    assert gc.isenabled()
    gc.disable()
    try:
        analyze(source, checks)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_memory_does_not_grow_with_the_number_of_sources() -> None:
    code = "import torch\n" + "".join(
        f"def f{number}(model, loader, optimizer):\n"
        "    for batch in loader:\n"
        "        loss = model(batch.cuda())\n"
        "        loss.backward()\n"
        "        optimizer.step()\n"
        for number in range(10)
    )

    def analyze_some(count: int) -> int:
        for number in range(count):
            analyze(SourceFile.from_text(f"{code}# {number}\n"), ALL)
        return tracemalloc.get_traced_memory()[0]

    # No tree may wait for the collector either: with it paused in many threads it would wait long.
    gc.disable()
    analyze_some(5)  # what is made once and kept
    tracemalloc.start()
    try:
        before = analyze_some(5)
        after = analyze_some(20)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 60_000  # a single tree is 90,000; Python's own caches take a part of it


def test_no_check_keeps_a_module_when_the_analysis_is_over() -> None:
    gc.collect()
    gc.disable()
    try:
        for code in EXAMPLES:
            analyze(SourceFile.from_text(code, "train.py"), ALL)
            # What lies in a circle, or in a cache that outlives the analysis, is scanned again for each file.
            assert not any(isinstance(each, Module) for each in gc.get_objects(0)), code
    finally:
        gc.enable()


def test_the_engine_loads_nothing_heavy() -> None:
    code = "import sys, mlrules_mcp.analysis.engine; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "libcst", "mcp", "torch", "lightning", "yaml", "rich", "numpy"} & set(loaded)
