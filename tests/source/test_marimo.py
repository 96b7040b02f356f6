"""marimo notebooks."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from mlrules_mcp.source import Module, SourceFile
from mlrules_mcp.source.marimo import Marimo
from tests.source.support import name, read

HEAD = dedent(
    """\
    import marimo

    __generated_with = "0.25.2"
    app = marimo.App(width="medium")

    """
)
TAIL = '\n\nif __name__ == "__main__":\n    app.run()\n'
NOTEBOOK = (
    HEAD
    + dedent(
        """
        @app.cell
        def _(df):
            total = sum(df)
            return (total,)


        @app.cell(hide_code=True)
        def _(total):
            total
            return


        @app.cell
        def _(np):
            df = np.zeros(3)  # ä
            _private = df
            return (df,)


        @app.cell
        def _():
            import numpy as np
            return (np,)
        """
    )
    + TAIL
)


def marimo(text: str) -> Marimo:
    found = Marimo.read(text)
    assert found is not None
    return found


def test_other_python_is_left_alone() -> None:
    assert Marimo.read("@app.cell\ndef _():\n    pass\n") is None
    assert SourceFile.from_text("import os\n", "a.py").layout is None


def test_cells_come_in_the_order_in_which_they_run() -> None:
    module = Module(SourceFile.from_text(NOTEBOOK, "explore.py"))
    assert module.diagnostics == []
    assert [module.text(statement) for statement in module.tree.body[3:-1]] == [
        *("import numpy as np", "df = np.zeros(3)", "_private = df", "total = sum(df)", "total")
    ]


def test_values_flow_between_cells() -> None:
    module = Module(SourceFile.from_text(NOTEBOOK, "explore.py"))
    (binding,) = module.reaching(name(module, "df", 0))
    assert binding.kind == "assignment"
    assert module.qualified_name(read(module, "np.zeros")) == "numpy.zeros"


def test_places_are_those_in_the_file() -> None:
    module = Module(SourceFile.from_text(NOTEBOOK, "explore.py"))
    lines = NOTEBOOK.splitlines()
    for node in module.nodes(ast.Name):
        location = module.location(node)
        assert lines[location.line - 1][location.column - 1 : location.end_column - 1] == node.id
        assert module.source.code_line(location) == node.lineno


def test_a_notebook_written_back_unchanged_is_the_same() -> None:
    for text in (NOTEBOOK, NOTEBOOK.replace("\n", "\r\n"), NOTEBOOK.removesuffix("\n"), HEAD):
        read = marimo(text)
        assert read.rewritten(read.program) == text


def test_a_changed_cell_is_written_where_it_stands() -> None:
    read = marimo(NOTEBOOK)
    changed = read.rewritten(read.program.replace("np.zeros(3)", "np.zeros(\n        4)"))
    assert changed == NOTEBOOK.replace("np.zeros(3)", "np.zeros(\n        4)")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # A name that a cell reads from now on, given already or not.
        ("    total\n", "    total + np.pi\n", ["def _(total, np):"]),
        ("    total\n", "    total + os.x\n    os = 1\n", []),
        ("    total\n", "    total + _private\n", []),
        ("    import numpy as np\n", "    import os\n    import numpy as np\n    os.x\n", []),
        ("sum(df)", "sum(df, os.x)", []),
        ("    total = sum(df)\n", "    total = sum(df)\n    extra = 1\n", []),
    ],
)
def test_parameters_follow_what_a_cell_reads(old: str, new: str, expected: list[str]) -> None:
    read = marimo(NOTEBOOK)
    changed = read.rewritten(read.program.replace(old, new))
    text = NOTEBOOK.replace(old, new)
    for head in expected:
        text = text.replace(head.replace(", np", ""), head)
    assert changed == text


@pytest.mark.parametrize(
    ("returned", "then"),
    [
        ("    return (np,)", "    return (np, os)"),
        ("    return np, math", "    return np, math, os"),
        ("    return np", "    return np, os"),
        ("    return", "    return (os,)"),
        ("    pass", "    pass\n    return (os,)"),
        ("    return (\n        np,\n    )", "    return (\n        np, os\n    )"),
    ],
)
@pytest.mark.parametrize(
    ("parameters", "with_name"), [("()", "(os)"), ("(df)", "(df, os)"), ("(\n    df,\n)", "(\n    df, os,\n)")]
)
def test_a_new_name_is_returned_where_it_is_bound_and_taken_where_it_is_read(
    returned: str, then: str, parameters: str, with_name: str
) -> None:
    def notebook(parameters: str, body: str, imports: str, returned: str) -> str:
        cells = (
            f"\n@app.cell\ndef _{parameters}:\n    {body}\n",
            f"\n@app.cell\ndef _():\n    {imports}\n{returned}\n",
        )
        return HEAD + "\n".join(cells) + TAIL

    read = marimo(notebook(parameters, "x = 1", "import numpy as np", returned))
    changed = notebook(parameters, "x = os.sep", "import numpy as np, os", returned)
    assert read.rewritten(changed) == notebook(with_name, "x = os.sep", "import numpy as np, os", then)


def test_cells_that_read_from_each_other_stay_as_they_stand() -> None:
    text = (
        HEAD
        + "@app.cell\ndef _(b):\n    a = b\n    return (a,)\n\n@app.cell\ndef _(a):\n    b = a\n    return b\n"
        + TAIL
    )
    assert [type(node).__name__ for node in Module(SourceFile.from_text(text, "a.py")).tree.body][3:] == [
        *("Assign", "Assign", "If")
    ]
    assert marimo(text).rewritten(marimo(text).program) == text


def test_a_broken_cell_is_left_out_and_the_others_are_read() -> None:
    text = NOTEBOOK.replace("total = sum(df)", "total = = 1")
    module = Module(SourceFile.from_text(text, "a.py"))
    (diagnostic,) = module.diagnostics
    assert (diagnostic.code, diagnostic.line) == ("syntax-error", 9)
    assert module.qualified_name(read(module, "np.zeros")) == "numpy.zeros"
