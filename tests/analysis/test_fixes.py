"""Fixes written into sources until none is left that helps."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlrules_mcp.analysis.fixes import FixedSource, fix, write
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import (
    AddImport,
    Applicability,
    Edit,
    Finding,
    Fix,
    InsertBefore,
    RemoveStatement,
    Replace,
    Span,
)
from mlrules_mcp.source import Module, SourceFile
from tests.analysis.support import call_finder, catalogue_of


def checks(edits_for: Callable[[Module, ast.Call], list[Edit]], applicability: Applicability = "safe") -> Catalogue:
    """A catalogue with one check that finds the calls of `f` and fixes them."""

    def make_fix(node: ast.Call, module: Module) -> Fix:
        return Fix(applicability, "Fix it", tuple(edits_for(module, node)))

    return catalogue_of(call_finder("f", make_fix))


def renamed(module: Module, node: ast.Call) -> list[Edit]:
    """`g` instead of `f`."""
    arguments = ", ".join(map(module.text, node.args))
    return [Replace(Span.of(node), f"g({arguments})")]


def fixed(code: str, catalogue: Catalogue, **options: object) -> FixedSource:
    """A fixed source; fixing it again must change nothing."""
    result = fix(SourceFile.from_text(code, "train.py"), catalogue, **options)  # type: ignore[arg-type]
    again = fix(result.source, catalogue, **options)  # type: ignore[arg-type]
    assert again.source == result.source
    assert again.applied == ()
    return result


def lines(findings: tuple[Finding, ...]) -> list[int]:
    return [finding.location.line for finding in findings]


def test_all_fixes_are_written_and_the_fixed_source_is_analysed_again() -> None:
    result = fixed("f(1)\ndef h():\n    f(2)\n", checks(renamed))
    assert result.source.text == "g(1)\ndef h():\n    g(2)\n"
    assert lines(result.applied) == [1, 3]
    assert result.analysis.findings == ()
    assert result.source.path == "train.py"


def test_fixes_that_lie_in_each_other_are_written_one_after_the_other() -> None:
    depth = 15
    result = fixed("f(" * depth + "1" + ")" * depth + "\n", checks(renamed))
    assert result.source.text == "g(" * depth + "1" + ")" * depth + "\n"


def test_only_safe_fixes_are_written_unless_others_are_asked_for() -> None:
    suggested = checks(renamed, "suggested")
    assert fixed("f(1)\n", suggested).source.text == "f(1)\n"
    assert fixed("f(1)\n", suggested, applicabilities=["suggested"]).source.text == "g(1)\n"
    assert fixed("f(1)\n", suggested, applicabilities=["safe", "suggested"]).source.text == "g(1)\n"
    assert fixed("f(1)\n", checks(renamed), applicabilities=["suggested"]).source.text == "f(1)\n"


def test_only_the_findings_that_are_wanted_are_fixed() -> None:
    result = fixed("f(1)\ndef h():\n    f(2)\n", checks(renamed), wanted=lambda finding: finding.location.line == 3)
    assert result.source.text == "f(1)\ndef h():\n    g(2)\n"
    assert lines(result.analysis.findings) == [1]


def test_a_finding_without_a_fix_is_left() -> None:
    result = fixed("f(1)\n", catalogue_of(call_finder("f")))
    assert (result.source.text, result.applied, lines(result.analysis.findings)) == ("f(1)\n", (), [1])


def test_a_fix_that_can_not_be_written_does_not_keep_others_from_it() -> None:
    def sometimes_broken(module: Module, node: ast.Call) -> list[Edit]:
        match module.text(node.args[0]):
            case "1":
                return [Replace(Span.of(node), "g(")]
            case "2":
                return [Replace(Span(9, 0, 9, 1), "g(2)")]
            case "3":
                return [InsertBefore(Span.of(module.statement(node)), "return = 1")]
        return renamed(module, node)

    functions = "".join(f"def h{number}():\n    f({number})\n" for number in range(1, 6))
    result = fixed(functions, checks(sometimes_broken))
    assert result.source.text == functions.replace("f(4)", "g(4)").replace("f(5)", "g(5)")
    assert lines(result.applied) == [8, 10]
    assert lines(result.analysis.findings) == [2, 4, 6]


def test_a_fix_that_breaks_the_code_is_not_written() -> None:
    # Before Python 3.12 there is no backslash in the expressions of a formatted string.
    code = "x = f'{f(1)}'\ndef h():\n    f(2)\n"
    result = fix(SourceFile.from_text(code), checks(lambda module, node: [Replace(Span.of(node), "g('a\\n')")]))
    ast.parse(result.source.text)
    assert result.source.text.endswith("def h():\n    g('a\\n')\n")


def test_a_fix_that_does_not_help_is_not_written_at_all() -> None:
    def unhelpful(module: Module, node: ast.Call) -> list[Edit]:
        return [InsertBefore(Span.of(module.statement(node)), "f(0)")]

    result = fixed("f(1)\n", checks(unhelpful))
    assert (result.source.text, result.applied) == ("f(1)\n", ())


def test_an_unhelpful_fix_does_not_keep_a_helpful_one_from_being_written() -> None:
    def unhelpful(node: ast.Call, module: Module) -> Fix:
        return Fix("safe", "No use", (Replace(Span.of(node), module.text(node) + " + 1"),))

    def helpful(node: ast.Call, module: Module) -> Fix:
        return Fix("safe", "Of use", (Replace(Span.of(node), "i()"),))

    catalogue = catalogue_of(call_finder("f", unhelpful), call_finder("g", helpful))
    result = fixed("f()\ng()\n", catalogue)
    assert result.source.text == "f()\ni()\n"
    assert [finding.check for finding in result.applied] == ["found-g"]


def test_fixes_that_undo_each_other_end() -> None:
    def to(function: str) -> Callable[[ast.Call, Module], Fix]:
        return lambda node, module: Fix("safe", "Turn", (Replace(Span.of(node), f"{function}()"),))

    catalogue = catalogue_of(call_finder("f", to("g")), call_finder("g", to("f")))
    result = fix(SourceFile.from_text("f()\n"), catalogue)
    assert result.source.text in {"f()\n", "g()\n"}


def test_a_source_with_syntax_errors_is_left_as_it_is() -> None:
    result = fixed("f(1)\nx = = 1\n", checks(renamed))
    assert (result.source.text, result.applied) == ("f(1)\nx = = 1\n", ())
    assert lines(result.analysis.findings) == [1]


def test_a_source_that_could_not_be_kept_to_the_byte_is_left_as_it_is() -> None:
    assert fixed("\x0cf(1)\n", checks(renamed)).source.text == "\x0cf(1)\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("    x = f(1)\n  y = f(2)\n", "    x = g(1)\n  y = g(2)\n"),
        ("\n\tf(1)  # é\r\n", "\n\tg(1)  # é\r\n"),
        ("f(1)", "g(1)"),
        ("x = '\x0b\x1c'; f(1)\n", "x = '\x0b\x1c'; g(1)\n"),
        ("é = 'ä'; é.f(1)\r\nf(2)\r\n", "é = 'ä'; g(1)\r\ng(2)\r\n"),
        ("if x:\n    f(1) # a \n\n\n\n#b\n", "if x:\n    g(1) # a \n\n\n\n#b\n"),
        ("x = [ f(1),f( 2 ) ,\n  ]\n", "x = [ g(1),g(2) ,\n  ]\n"),
    ],
)
def test_all_else_stays_as_it_is_to_the_byte(code: str, expected: str) -> None:
    assert fixed(code, checks(renamed)).source.text == expected


def test_encoding_and_byte_order_mark_stay() -> None:
    latin = '# coding: latin-1\nx = "é"; f(1)\n'.encode("latin-1")
    result = fix(SourceFile.from_bytes(latin, "train.py"), checks(renamed))
    assert result.source.encode(result.source.text) == latin.replace(b"f(1)", b"g(1)")
    marked = b"\xef\xbb\xbff(1)\r\n"
    result = fix(SourceFile.from_bytes(marked, "train.py"), checks(renamed))
    assert result.source.encode(result.source.text) == b"\xef\xbb\xbfg(1)\r\n"


def test_an_import_for_an_indented_snippet_goes_into_the_snippet() -> None:
    def imported(module: Module, node: ast.Call) -> list[Edit]:
        return [Replace(Span.of(node), "os.g()"), AddImport("os")]

    result = fixed("        x = f()\n    y = f()\n", checks(imported))
    assert result.source.text == "        import os\n\n        x = os.g()\n    y = os.g()\n"


def test_several_places_of_one_finding_are_fixed_together() -> None:
    def moved(module: Module, node: ast.Call) -> list[Edit]:
        statement = Span.of(module.statement(node))
        return [RemoveStatement(statement), InsertBefore(Span.of(module.tree.body[0]), "g()")]

    result = fixed("a\nf()\nb\nf()\n", checks(moved))
    assert result.source.text == "g()\na\nb\n"
    assert len(result.applied) == 1


def test_a_file_is_written_whole_with_its_permissions_and_links_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "train.py", tmp_path / "link.py"
    file.write_bytes(b"\xef\xbb\xbff(1)\r\n")
    file.chmod(0o750)
    link.symlink_to(file)
    write(fix(SourceFile.from_path(link), checks(renamed)).source, link)
    assert file.read_bytes() == b"\xef\xbb\xbfg(1)\r\n"
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o750
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.py", "train.py"]


def test_a_file_that_can_not_be_written_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "train.py"
    file.write_bytes(b"f(1)\n")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(SourceFile.from_text("g(1)\n"), file)
    assert file.read_bytes() == b"f(1)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
