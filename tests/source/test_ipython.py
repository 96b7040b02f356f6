"""IPython's own syntax, in cells and scripts."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrules_mcp.source.ipython import Script, plain_lines
from mlrules_mcp.source.layout import split_lines


def code_of(cell: str) -> str:
    return "\n".join(line.code for line in plain_lines(split_lines(cell)))


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("!pip install torch\nx = 1", "pass  #%0\nx = 1"),
        ("for n in names:\n    !echo {n}\n    f(n)", "for n in names:\n    pass  #%1\n    f(n)"),
        ("%matplotlib inline\nx = 1", "pass  #%0\nx = 1"),
        ("%time model.fit(x)", "if 1: model.fit(x)  #%0"),
        ("%timeit -n 10 f()", "pass  #%0"),
        ("%%time\nx = f()", "#%0\nx = f()"),
        ("%%wandb\nx = f()", "#%0\nx = f()"),
        ("%%bash\necho hi\nls", "#%0\n#%1\n#%2"),
        ("%%writefile train.py\nimport torch", "#%0\n#%1"),
        ("%sql\nselect * from t\nwhere x = 1", "#%0\n#%1\n#%2"),
        ("%sql select 1\nx = 1", "pass  #%0\nx = 1"),
        ("%run ./setup", "pass  #%0"),
        ("files = !ls data\nprint(files)", "files = None  #%0\nprint(files)"),
        ("model?\nx = 1", "pass  #%0\nx = 1"),
        ("model.fit??", "pass  #%0"),
        ("?model", "pass  #%0"),
        ("pip install torch\nx = 1", "pass  #%0\nx = 1"),
        ("cd ../data\nx = 1", "pass  #%0\nx = 1"),
        ("!pip install \\\n  torch\nx = 1", "pass  #%0\n#%1\nx = 1"),
        ("x = 5 % 3\ny = 'what?'", "x = 5 % 3\ny = 'what?'"),
        ('text = """\n!not a command\n"""', 'text = """\n!not a command\n"""'),
        ("!ls\nprint('%s'\n      % x)\ny = 1  # why?", "pass  #%0\nprint('%s'\n      % x)\ny = 1  # why?"),
        ("plt.plot(x)\n;", "plt.plot(x)\npass  #%1"),
        ("% matplotlib inline\nx = y(5\n  % z)", "pass  #%0\nx = y(5\n  % z)"),
        ("  x = 1\n\n  if x:\n    y = 2\nz = 3", "x = 1\n\nif x:\n  y = 2\nz = 3"),
        ("    %time f()\n    x = 1", "if 1: f()  #%0\nx = 1"),
        ("!ls\nassert (x\n    != y)", "pass  #%0\nassert (x\n    != y)"),
        ("x = '\ud800'\ny = '\0'", "x = '\ufffd'\ny = '\ufffd'"),
    ],
)
def test_lines_of_ipython_become_python_in_the_same_place(cell: str, code: str) -> None:
    assert code_of(cell) == code
    ast.parse(code)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_are_kept_apart_from_the_code(end: str) -> None:
    lines = plain_lines(split_lines(f"!ls{end}x = 1{end}"))
    assert [(line.text, line.end) for line in lines] == [("!ls", end), ("x = 1", end), ("", "")]


@pytest.mark.parametrize("text", ["x = 1\n", "# %% one\nx = 5 \\\n% 2\n", "s = '''\n!ls\n'''\n", "", "def f(:\n"])
def test_a_script_without_lines_of_ipython_is_left_alone(text: str) -> None:
    assert Script.read(text) is None


SCRIPT = dedent(
    """\
    # %% [markdown]
    # # Title
    # %%
    %matplotlib inline
    import torch
    # %%
    %%bash
    ls *.pt
    # %% train
    !nvidia-smi
    %time model.cuda()
    """
)


def test_the_cells_of_a_script_keep_their_lines_and_columns() -> None:
    script = Script.read(SCRIPT)
    assert script is not None
    expected = SCRIPT.replace("%matplotlib inline", "pass  #%3").replace("%%bash", "#%6").replace("ls *.pt", "#%7")
    expected = expected.replace("!nvidia-smi", "pass  #%9").replace("%time model.cuda()", "if 1: model.cuda()  #%10")
    assert script.program == expected


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_changed_script_has_its_own_lines_back_in_place(end: str) -> None:
    text = SCRIPT.replace("\n", end)
    script = Script.read(text)
    assert script is not None
    changed = script.program.replace("model.cuda()", "model.to(device)").replace("torch\n", "torch\nimport os\n")
    assert script.rewritten(changed) == text.replace("model.cuda()", "model.to(device)").replace(
        f"torch{end}", f"torch{end}import os{end}"
    )


def test_a_timed_statement_stands_in_the_body_of_the_program() -> None:
    script = Script.read("!ls\n%time x = f()\nfor y in x:\n    %time g(y)\n")
    assert script is not None
    tree = ast.parse(script.program)
    script.arrange(tree)
    assert [type(node).__name__ for node in ast.walk(tree) if isinstance(node, ast.stmt)] == [
        *("Pass", "Assign", "For", "Expr")
    ]


@given(
    st.lists(st.sampled_from(["x = 1", "!ls", "%time f(x)", "# %%", "%%sql", "  ", "if x:", "    !a \\", "y?", "'''"]))
)
def test_a_script_written_back_unchanged_is_the_same(lines: list[str]) -> None:
    for end in ("\n", "\r\n", "\r"):
        text = end.join(lines)
        script = Script.read(text)
        assert script is None or script.rewritten(script.program) == text
