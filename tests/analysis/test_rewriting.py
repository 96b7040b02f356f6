"""Edits written into code."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest

from mlrules_mcp.analysis.rewriting import Rewriter, Unwritable
from mlrules_mcp.findings import (
    AddImport,
    Decorate,
    Edit,
    InsertAfter,
    InsertBefore,
    RemoveArgument,
    RemoveStatement,
    Replace,
    SetArgument,
    Span,
    WrapInWith,
)
from mlrules_mcp.source import Module, SourceFile


def rewritten(code: str, edits_for: Callable[[Module, ast.expr], list[Edit]]) -> str:
    """A code with the edits for every call of `f` in it."""
    source = SourceFile.from_text(code)
    module = Module(source)
    assert not module.diagnostics
    edits = [edit for call in module.calls("f") for edit in edits_for(module, call)]
    rewriter = Rewriter(source)
    assert rewriter.finds(edits)
    changed = source.text_of(rewriter.rewritten(edits))
    ast.parse(SourceFile.from_text(changed).code)
    return changed


def before(module: Module, node: ast.expr) -> list[Edit]:
    return [InsertBefore(Span.of(module.statement(node)), "g()")]


def after(module: Module, node: ast.expr) -> list[Edit]:
    return [InsertAfter(Span.of(module.statement(node)), "g()")]


def removed(module: Module, node: ast.expr) -> list[Edit]:
    return [RemoveStatement(Span.of(module.statement(node)))]


def wrapped(module: Module, node: ast.expr) -> list[Edit]:
    return [WrapInWith(Span.of(module.statement(node)), "w()")]


def exchanged(module: Module, node: ast.expr) -> list[Edit]:
    span = Span.of(module.statement(node))
    return [InsertBefore(span, "g()"), RemoveStatement(span)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a\nf()\nb\n", "a\ng()\nf()\nb\n"),
        ("a\r\nf()\r\nb\r\n", "a\r\ng()\r\nf()\r\nb\r\n"),
        ("if x:\n\tf()\n", "if x:\n\tg()\n\tf()\n"),
        ("f()", "g()\nf()"),
        ("    f()\n", "    g()\n    f()\n"),
        ("a; f(); b\n", "a\ng()\nf()\nb\n"),
        ("if x: f()\n", "if x:\n    g()\n    f()\n"),
        ("if x: a; f(); b # c\n", "if x:\n    a\n    g()\n    f()\n    b # c\n"),
        ("if a: f()\nelse: b\n", "if a:\n    g()\n    f()\nelse: b\n"),
        ("x\n\n# c\nf() # d\n", "x\n\ng()\n# c\nf() # d\n"),
        ("x = f(\n  1,\n)  # c\n", "g()\nx = f(\n  1,\n)  # c\n"),
        ("@d(f())\ndef h(x): pass\n", "g()\n@d(f())\ndef h(x): pass\n"),
        ("async def h():\n  async with f(): x\n", "async def h():\n  g()\n  async with f(): x\n"),
        (
            "if a:\n  x\n# c\nelif f():\n  y\nelse:\n  z\n",
            "if a:\n  x\n# c\nelse:\n  g()\n  if f():\n    y\n  else:\n    z\n",
        ),
        ("match a:\n  case 1: f()\n", "match a:\n  case 1:\n    g()\n    f()\n"),
        ("for x in y:\n  pass\nelse:\n  f()\n", "for x in y:\n  pass\nelse:\n  g()\n  f()\n"),
    ],
)
def test_statements_are_inserted_before_a_statement(code: str, expected: str) -> None:
    assert rewritten(code, before) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a\nf()\nb\n", "a\nf()\ng()\nb\n"),
        ("f()", "f()\ng()"),
        ("f()  # c\n# d\nb\n", "f()  # c\ng()\n# d\nb\n"),
        ("a; f(); b\n", "a\nf()\ng()\nb\n"),
        ("for x in f():\n    pass", "for x in f():\n    pass\ng()"),
        ("while f(): pass\n", "while f(): pass\ng()\n"),
        ("if a:\n  x\nelif f():\n  y\n", "if a:\n  x\nelse:\n  if f():\n    y\n  g()\n"),
        ("try:\n  f()\nexcept: pass\n", "try:\n  f()\n  g()\nexcept: pass\n"),
        ("a\\\n  = f()\n", "a\\\n  = f()\ng()\n"),
    ],
)
def test_statements_are_inserted_after_a_statement(code: str, expected: str) -> None:
    assert rewritten(code, after) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a\nf()\nb\n", "a\nb\n"),
        ("a; f(); b\n", "a\nb\n"),
        ("if x: f()\n", "if x:\n    pass\n"),
        ("if x:\n\tf()\n", "if x:\n\tpass\n"),
        ("if x:\n  a\n  # c\n\n  f()\n  b\n", "if x:\n  a\n  # c\n\n  b\n"),
        ("def h():\n  a\n  # c\n  f()\n", "def h():\n  a\n  # c\n"),
        ("a\n\nf()\n\nb\n", "a\n\nb\n"),
        ("if a:\n  x\nelif f():\n  y\nelse:\n  z\n", "if a:\n  x\nelse:\n  z\n"),
        ("f()\nf()\na\n", "a\n"),
    ],
)
def test_a_statement_is_taken_out_and_comments_above_it_stay(code: str, expected: str) -> None:
    assert rewritten(code, removed) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a\nf()\nb\n", "a\nwith w():\n    f()\nb\n"),
        ("if x:\n\tf()\n", "if x:\n\twith w():\n\t\tf()\n"),
        ("a; f(); b\n", "a\nwith w():\n    f()\nb\n"),
        ("if x: f()  # c\n", "if x:\n    with w():\n        f()  # c\n"),
        ("a\n# c\nf()\n", "a\n# c\nwith w():\n    f()\n"),
        ("for x in f():\n  a\n  # c\n  b\n", "with w():\n  for x in f():\n    a\n    # c\n    b\n"),
        ('x = f("""\n  a\n""")\n', 'with w():\n    x = f("""\n  a\n""")\n'),
        ("a\r\nf()\r\n", "a\r\nwith w():\r\n    f()\r\n"),
        ("if a:\n  x\nelif f():\n  y\n", "if a:\n  x\nelse:\n  with w():\n    if f():\n      y\n"),
    ],
)
def test_a_statement_is_put_inside_a_with(code: str, expected: str) -> None:
    assert rewritten(code, wrapped) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a\n# c\n\n# d\nf()  # e\nb\n", "a\n# c\n\n# d\ng()  # e\nb\n"),
        ("a; f(); b\n", "a\ng()\nb\n"),
        ("if x: f()\n", "if x:\n    g()\n"),
    ],
)
def test_what_takes_the_place_of_a_statement_gets_its_comments(code: str, expected: str) -> None:
    assert rewritten(code, exchanged) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def h():\n    f()\n", "@d(1)\ndef h():\n    f()\n"),
        ("async def h():\n    f()\n", "@d(1)\nasync def h():\n    f()\n"),
        (
            "class A:\n  # c\n  @e\n  # d\n  def h(self): f()\n",
            "class A:\n  # c\n  @e\n  @d(1)\n  # d\n  def h(self): f()\n",
        ),
    ],
)
def test_a_decorator_goes_next_to_the_function(code: str, expected: str) -> None:
    def decorate(module: Module, node: ast.expr) -> list[Edit]:
        function = module.enclosing_function(node)
        assert function is not None
        return [Decorate(Span.of(function), "d(1)")]

    assert rewritten(code, decorate) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("f()\n", "f(k=1)\n"),
        ("f(a)\n", "f(a, k=1)\n"),
        ("f(a,)\n", "f(a, k=1,)\n"),
        ("f(a, *b)\n", "f(a, *b, k=1)\n"),
        ("f(a, **b)\n", "f(a, k=1, **b)\n"),
        ("f(**b)\n", "f(k=1, **b)\n"),
        ("f(k=2)\n", "f(k=1)\n"),
        ("f(a, k = 2, b=3)\n", "f(a, k = 1, b=3)\n"),
        ("f(x for x in y)\n", "f((x for x in y), k=1)\n"),
        ("f(f(a), f())\n", "f(f(a, k=1), f(k=1), k=1)\n"),
        ('f"{f(a)}"\n', 'f"{f(a, k=1)}"\n'),
        # one argument a line
        ("f(\n    a\n)\n", "f(\n    a,\n    k=1\n)\n"),
        ("f(\n    a,\n)\n", "f(\n    a,\n    k=1,\n)\n"),
        ("f(\n    a,\n    b)\n", "f(\n    a,\n    b,\n    k=1)\n"),
        ("f(a,\n  b)\n", "f(a,\n  b,\n  k=1)\n"),
        ("f(\r\n    a,\r\n    b,\r\n)\r\n", "f(\r\n    a,\r\n    b,\r\n    k=1,\r\n)\r\n"),
        # comments stay with the arguments that they follow
        ("f(\n    a,  # 1\n    b,  # 2\n)\n", "f(\n    a,  # 1\n    b,  # 2\n    k=1,\n)\n"),
        ("f(\n    a,  # 1\n    b  # 2\n)\n", "f(\n    a,  # 1\n    b,  # 2\n    k=1\n)\n"),
        ("f(\n    # 0\n    a,\n    # 1\n)\n", "f(\n    # 0\n    a,\n    # 1\n    k=1,\n)\n"),
        ("f(\n    a,  # 1\n    **b,  # 2\n)\n", "f(\n    a,  # 1\n    k=1,\n    **b,  # 2\n)\n"),
        ("f(a, # 1\n  )\n", "f(a, k=1, # 1\n  )\n"),
    ],
)
def test_an_argument_is_set_in_the_layout_of_the_others(code: str, expected: str) -> None:
    assert rewritten(code, lambda _, node: [SetArgument(Span.of(node), "k", "1")]) == expected


@pytest.mark.parametrize(
    ("code", "argument", "expected"),
    [
        ("f(a)\n", 0, "f()\n"),
        ("f(a, b)\n", 0, "f(b)\n"),
        ("f(a, b)\n", 1, "f(a)\n"),
        ("f(a, b,)\n", 1, "f(a,)\n"),
        ("f(a, k=1, **b)\n", "k", "f(a, **b)\n"),
        ("f(k=1, *a)\n", "k", "f(*a)\n"),
        ("f(k=a, b=c)\n", "b", "f(k=a)\n"),
        ("f(\n    a,\n    b)\n", 1, "f(\n    a)\n"),
        ("f(\n    a,\n    b,\n    c)\n", 1, "f(\n    a,\n    c)\n"),
        ("f(\n    a,  # 1\n    b,  # 2\n)\n", 0, "f(\n    b,  # 2\n)\n"),
        ("f(\n    a,  # 1\n    b,  # 2\n)\n", 1, "f(\n    a,  # 1\n)\n"),
        ("f(\n    a,  # 1\n    b  # 2\n)\n", 1, "f(\n    a  # 1\n)\n"),
    ],
)
def test_an_argument_is_taken_out_with_its_comma_and_comment(code: str, argument: int | str, expected: str) -> None:
    assert rewritten(code, lambda _, node: [RemoveArgument(Span.of(node), argument)]) == expected


@pytest.mark.parametrize(
    ("code", "new", "expected"),
    [
        ("f()\n", "a + b", "a + b\n"),
        ("x = é(f())  # c\n", "g(1)", "x = é(g(1))  # c\n"),
        ("f().x\n", "a + b", "(a + b).x\n"),
        ("f()[0]\n", "a if b else c", "(a if b else c)[0]\n"),
        ("x = f() * 2\n", "a + b", "x = (a + b) * 2\n"),
        ("x = -f()\n", "(a + b)", "x = -(a + b)\n"),
        ("await_ = not f()\n", "a and b", "await_ = not (a and b)\n"),
        ("x = [f(), {1: f()}]\n", "(a + b)", "x = [a + b, {1: a + b}]\n"),
        ("(f())\n", "a + b", "(a + b)\n"),
        ("g(f())\n", "a, b", "g((a, b))\n"),
        ("g(f())\n", "x for x in y", "g((x for x in y))\n"),
        ("g(f())\n", "a := b", "g((a := b))\n"),
        ("if f(): pass\n", "a or b", "if a or b: pass\n"),
        ("x = f()\n", "a +\n b", "x = (a +\n b)\n"),
        ("x = f()\n", "g(\n a)", "x = g(\n a)\n"),
        ("f().x\n", '"a" "b"', '("a" "b").x\n'),
        ("@f()\ndef g(): pass\n", "a.b", "@a.b\ndef g(): pass\n"),
        ("f'{f()}'\n", "a[0]", "f'{a[0]}'\n"),
        ("x = (\n  f()\n    .g()\n)\n", "a", "x = (\n  a\n    .g()\n)\n"),
    ],
)
def test_an_expression_is_replaced_and_keeps_together(code: str, new: str, expected: str) -> None:
    assert rewritten(code, lambda _, node: [Replace(Span.of(node), new)]) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("f((1, 2))\n", "f(3)\n"),
        ("f(((1, 2)))\n", "f((3))\n"),
        ("f((x for x in y), z)\n", "f(3, z)\n"),
        ("f([1, 2])\n", "f(3)\n"),
    ],
)
def test_the_brackets_of_a_tuple_are_part_of_it(code: str, expected: str) -> None:
    def replace_first(module: Module, node: ast.expr) -> list[Edit]:
        assert isinstance(node, ast.Call)
        return [Replace(Span.of(node.args[0]), "3")]

    assert rewritten(code, replace_first) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", "import torch"),
        ("x\n", "import torch\n\nx\n"),
        ('"""doc"""\nx\n', '"""doc"""\n\nimport torch\n\nx\n'),
        ('"""doc"""\n\nx\n', '"""doc"""\n\nimport torch\n\nx\n'),
        ("from __future__ import annotations\n\nx\n", "from __future__ import annotations\nimport torch\n\nx\n"),
        ('"""doc"""\n\nimport os\n\nx\n', '"""doc"""\n\nimport os\nimport torch\n\nx\n'),
        ("#!/usr/bin/env python\n# licence\n\nx\n", "#!/usr/bin/env python\n# licence\n\nimport torch\n\nx\n"),
        ("# %% cell 1\nx\n", "# %% cell 1\nimport torch\n\nx\n"),
        ("import os\r\nx\r\n", "import os\r\nimport torch\r\nx\r\n"),
        ("import os; import sys\nx\n", "import os; import sys\nimport torch\nx\n"),
        ("import torch\nx\n", "import torch\nx\n"),
        ("import os, torch\nx\n", "import os, torch\nx\n"),
        ("import torch as t\nx\n", "import torch as t\nimport torch\nx\n"),
        ("def f():\n  import torch\n", "import torch\n\ndef f():\n  import torch\n"),
        ("    x\n", "    import torch\n\n    x\n"),
        ("    import os\n    x\n  y\n", "    import os\n    import torch\n    x\n  y\n"),
    ],
)
def test_an_import_joins_those_that_the_module_starts_with(code: str, expected: str) -> None:
    source = SourceFile.from_text(code)
    assert source.text_of(Rewriter(source).rewritten([AddImport("torch")])) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from torch import nn\n", "from torch import nn, load\n"),
        ("from torch import nn, save  # c\n", "from torch import nn, save, load  # c\n"),
        ("from torch import load, nn\n", "from torch import load, nn\n"),
        ("from torch import load as read\n", "from torch import load as read, load\n"),
        ("from torch import *\n", "from torch import *\nfrom torch import load\n"),
        ("from .torch import nn\n", "from .torch import nn\nfrom torch import load\n"),
        ("from torch import (\n    nn,\n)\n", "from torch import (\n    nn,\n)\nfrom torch import load\n"),
        ("from torch.nn import Linear\n", "from torch.nn import Linear\nfrom torch import load\n"),
    ],
)
def test_a_name_joins_the_import_of_its_module(code: str, expected: str) -> None:
    assert Rewriter(SourceFile.from_text(code)).rewritten([AddImport("torch", "load")]) == expected


def test_equal_edits_are_written_once() -> None:
    code = "def h():\n    f()\n"
    span = Span(1, 0, 2, 7)
    edits = [Decorate(span, "d"), AddImport("torch"), Decorate(span, "d"), AddImport("torch")]
    assert Rewriter(SourceFile.from_text(code)).rewritten(edits) == "import torch\n\n@d\ndef h():\n    f()\n"


@pytest.mark.parametrize(
    "edit",
    [
        Replace(Span(1, 1, 1, 4), "x"),
        SetArgument(Span(1, 0, 1, 1), "k", "1"),
        Decorate(Span(1, 0, 1, 4), "d"),
        RemoveStatement(Span(1, 1, 1, 4)),
        InsertBefore(Span(7, 0, 7, 4), "x"),
    ],
)
def test_an_edit_of_what_is_not_there_is_not_found(edit: Edit) -> None:
    assert not Rewriter(SourceFile.from_text("f(a)\n")).finds([edit])


@pytest.mark.parametrize("code", ["(", "a:b", "a b", "if x:"])
def test_code_that_is_no_python_is_refused(code: str) -> None:
    rewriter = Rewriter(SourceFile.from_text("f(a)\n"))
    with pytest.raises(Unwritable):
        rewriter.rewritten([Replace(Span(1, 0, 1, 4), code)])


def test_code_that_can_not_be_kept_as_it_is_is_refused() -> None:
    with pytest.raises(Unwritable):
        Rewriter(SourceFile.from_text("\x0cf()\n"))
    with pytest.raises(Unwritable):
        Rewriter(SourceFile.from_text("f(\n"))


def test_one_rewriter_serves_for_several_trials() -> None:
    rewriter = Rewriter(SourceFile.from_text("f(a)\n"))
    span = Span(1, 0, 1, 4)
    assert [rewriter.rewritten([Replace(span, code)]) for code in ("x", "y")] == ["x\n", "y\n"]
