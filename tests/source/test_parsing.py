"""Code into a tree, around its syntax errors."""

from __future__ import annotations

import ast
import threading
import warnings

import pytest

from mlrules_mcp.source import Module, SourceFile
from mlrules_mcp.source.parsing import parse


def names_called(text: str) -> tuple[set[str], list[int | None]]:
    """The names of the functions that what could be parsed calls, and the lines of the syntax errors."""
    module = Module(SourceFile.from_text(text))
    calls = {call.func.id for call in module.nodes(ast.Call) if isinstance(call.func, ast.Name)}
    assert {diagnostic.code for diagnostic in module.diagnostics} <= {"syntax-error"}
    return calls, [diagnostic.line for diagnostic in module.diagnostics]


@pytest.mark.parametrize("text", ["", "\n", "   ", "\t\n", "# only a comment", "\x0c", "\n\n    # indented comment\n"])
def test_nothing_gives_an_empty_tree_without_a_word(text: str) -> None:
    tree, diagnostics = parse(SourceFile.from_text(text))
    assert not diagnostics
    assert all(isinstance(statement, ast.If) for statement in tree.body)


def test_a_missing_newline_at_the_end_is_no_error() -> None:
    assert names_called("a()\nif x:\n    b()") == ({"a", "b"}, [])


def test_a_syntax_error_is_one_diagnostic_with_its_place_and_the_rest_is_analysed() -> None:
    _, (diagnostic,) = parse(SourceFile.from_text("a()\nx = é + + = 2\nb()\n", "model.py"))
    assert (diagnostic.code, diagnostic.severity, diagnostic.path) == ("syntax-error", "error", "model.py")
    assert (diagnostic.line, diagnostic.column) == (2, 11)
    assert "the rest was analysed" in diagnostic.message


def test_only_the_outermost_statement_around_an_error_is_left_out() -> None:
    text = """
before()

def broken():
    inside()
    x = = 1

def whole():
    after()
"""
    assert names_called(text) == ({"before", "after"}, [6])


def test_several_broken_statements_are_all_reported() -> None:
    assert names_called("a(\nb()\ndef f(:\n  pass\nc()\nx = = 1\nd()\n") == ({"b", "c", "d"}, [1, 3, 6])


def test_an_unclosed_bracket_costs_only_its_own_statement() -> None:
    assert names_called("a()\nx = f(1,\n      2\nb()\nc()\n") == ({"a", "b", "c"}, [2])


def test_an_unterminated_string_costs_only_its_own_line() -> None:
    assert names_called("a()\nx = 'abc\nb()\n") == ({"a", "b"}, [2])


def test_an_unterminated_docstring_costs_only_its_own_function() -> None:
    assert names_called('def f():\n    """No end\n    a()\n\nb()\n') == ({"b"}, [2])


def test_an_error_in_one_branch_leaves_out_the_whole_if() -> None:
    assert names_called("a()\nif x:\n    y = = 1\nelif z:\n    b()\nelse:\n    c()\nd()\n") == ({"a", "d"}, [3])


def test_an_error_in_a_try_leaves_out_its_handlers_too() -> None:
    text = "try:\n    y = = 1\nexcept E:\n    a()\nelse:\n    b()\nfinally:\n    c()\nd()\n"
    assert names_called(text) == ({"d"}, [2])


def test_decorators_go_with_what_they_decorate() -> None:
    text = """
a()
@first(
    1,
)
@second
# a comment

def broken():
    x = = 1
b()
"""
    assert names_called(text) == ({"a", "b"}, [10])


def test_text_at_the_margin_inside_a_string_starts_no_statement() -> None:
    text = '''
def f():
    # it's a comment with a quote
    query = """
select()
"""
    x = = 1

b()
'''
    assert names_called(text) == ({"b"}, [7])


def test_a_bracket_closed_at_the_margin_starts_no_statement() -> None:
    assert names_called("f(\n    x = = 1,\n)\nb()\n") == ({"b"}, [2])


def test_an_unexpected_indent_is_reported_where_it_is() -> None:
    assert names_called("a()\n\nb()\n    c()\nd()\n") == ({"a", "d"}, [4])


def test_an_indented_snippet_is_analysed_around_its_errors_as_well() -> None:
    text = "    a()\n    if x:\n        y = = 1\n    else:\n        b()\n    c()\n"
    assert names_called(text) == ({"a", "c"}, [3])


def test_python_2_is_named() -> None:
    for text in ('print "x"\na()\n', 'exec "x"\na()\n', "try:\n    x\nexcept A, e:\n    pass\na()\n"):
        _, (diagnostic,) = parse(SourceFile.from_text(text))
        assert "Python 2" in diagnostic.message
        assert names_called(text)[0] == {"a"}


@pytest.mark.parametrize(
    "text",
    [
        "x = = 1\n" * 30 + "a()\n",
        'print "x"\n' * 50,
        "x = = 1",
        "(" * 10_000,
        "[" * 10_000 + "]" * 10_000,
        "    x = = 1\n",
        "x = '",
    ],
)
def test_where_nothing_is_left_that_is_said_once_and_nothing_is_analysed(text: str) -> None:
    tree, (diagnostic,) = parse(SourceFile.from_text(text))
    assert tree.body == []
    assert diagnostic.code == "syntax-error"
    assert "none of it was analysed" in diagnostic.message


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".b" * 10_000,
        "a" + " + b" * 100_000,
        "-" * 100_000 + "1",
        "x" + "[0]" * 5_000,
        "x" + "()" * 5_000,
        "lambda: " * 3_000 + "1",
        "if a: pass\n" + "elif a: pass\n" * 5_000,
    ],
)
def test_too_deep_nesting_is_said_and_not_raised(text: str) -> None:
    tree, (diagnostic,) = parse(SourceFile.from_text(text))
    assert tree.body == []
    assert "nested too deeply" in diagnostic.message


def test_half_a_surrogate_pair_is_said_and_not_raised() -> None:
    _, (diagnostic,) = parse(SourceFile.from_text("x = '\ud800'"))
    assert "surrogate" in diagnostic.message


def test_the_number_of_readings_is_bounded_for_large_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = 0
    read = ast.parse

    def counting(code: str) -> ast.Module:
        nonlocal readings
        readings += 1
        return read(code)

    monkeypatch.setattr(ast, "parse", counting)
    parse(SourceFile.from_text("x = = 1\n" * 10 + "#" * 1_500_000))
    assert readings == 3


def test_warnings_about_the_code_are_not_shown_and_the_filters_stay_as_they_were() -> None:
    before = list(warnings.filters)
    threads = [threading.Thread(target=parse, args=(SourceFile.from_text(r"x = '\d'" + "\n"),)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
    assert names_called("a()\nx = '\\d' is 'd'\n") == ({"a"}, [])
