"""Markdown documents."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrules_mcp.findings import Location
from mlrules_mcp.source import Module, SourceFile
from mlrules_mcp.source.markdown import Document

DOCUMENT = dedent(
    """\
    # Training

    ```python
    import torch
    model = f()
    ```

    ```bash
    pip install torch
    ```

    1. Then, in a list:

       ```py title="train.py"
       loss = model(
           x)

       loss.backward()
       ```

    > ~~~{python, echo=FALSE}
    > y = 1
    >
    > z = 2
    > ~~~

    - ```python
      last = 3
      ```
    """
)


def blocks(text: str) -> list[tuple[int, str]]:
    return [(part.start, part.code) for part in Document.read(text).parts]


def test_the_python_blocks_of_a_document_are_one_program() -> None:
    assert blocks(DOCUMENT) == [
        (4, "import torch\nmodel = f()"),
        (15, "loss = model(\n    x)\n\nloss.backward()"),
        (22, "y = 1\n\nz = 2"),
        (28, "last = 3"),
    ]
    assert Document.read(DOCUMENT).problems == ()


@pytest.mark.parametrize(
    "info",
    [
        *(
            "python",
            " Python",
            "py",
            "python3",
            "ipython3",
            "{python}",
            "{python echo=FALSE}",
            "{.python .numberLines}",
        ),
        *("python {.marimo}", "python title='a.py'", "{code-cell}", "{code-cell} ipython3", "pycon", "python,ignore"),
    ],
)
def test_what_says_that_it_is_python_is_read(info: str) -> None:
    assert blocks(f"```{info}\nx = 1\n```\n") == [(2, "x = 1")]


@pytest.mark.parametrize(
    "info", ["", "text", "bash", "pyodide", "pyx", "python-console", "{r}", "console", "yaml python"]
)
def test_what_does_not_say_so_is_left_alone(info: str) -> None:
    assert blocks(f"```{info}\nx = 1\n```\n") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("````python\nx = '''\n```\n'''\n````\n", "x = '''\n```\n'''"),
        ("~~~python\nx = '''\n```\n'''\n~~~\n", "x = '''\n```\n'''"),
        ("```python\nx = 1", "x = 1"),
        ("> ```python\n> x = 1\nnot in it\n", "x = 1"),
        ("```python\n    x = 1\n    y = 2\n```", "x = 1\ny = 2"),
        ("```python\n\tx = 1\n```", "x = 1"),
        ("```python\nif x:\n\ty = 1\n  # z\n```", "if x:\n\ty = 1\n  # z"),
        ("   ```python\nx = 1\n   ```", "x = 1"),
        ("```{code-cell} ipython3\n:tags: [hide]\n\nx = 1\n```", "#%0\n\nx = 1"),
        ("```{code-cell}\n---\ntags: [hide]\n---\nx = 1\n```", "#%0\n#%1\n#%2\nx = 1"),
        ("```python\n!pip install x\nx = 1\n```", "pass  #%0\nx = 1"),
        ("```python\n>>> x = [\n...     1]\n>>> x\n[1]\n\n>>> if x:\n...     y = 2\n...\n```", None),
    ],
)
def test_blocks_end_and_are_indented_as_markdown_has_it(text: str, expected: str | None) -> None:
    ((_, code),) = blocks(text)
    assert code == (expected or "x = [\n    1]\nx\n#%3\n#%4\nif x:\n    y = 2\n")


def test_deep_quotes_that_end_take_no_time() -> None:
    text = f"{'> ' * 50}```python\n{'> ' * 50}x = 1\n{'> ' * 49}y = 2\n"
    assert blocks(text) == [(2, "x = 1")]


def test_inline_code_is_no_fence() -> None:
    assert blocks("```python x = 1``` is inline\n") == []


def test_a_block_that_does_not_parse_is_left_out_and_told() -> None:
    module = Module(SourceFile.from_text("```python\nx = 1\n```\n\n```python\ny = 2\nx = = 1\n```\n", "README.md"))
    assert [type(node) for node in module.tree.body] == [ast.Assign]
    (diagnostic,) = module.diagnostics
    assert (diagnostic.code, diagnostic.severity, diagnostic.line) == ("block-not-python", "warning", 7)


def location_of(text: str, name: str) -> Location:
    module = Module(SourceFile.from_text(text, "README.md"))
    return next(module.location(node) for node in module.nodes(ast.Name) if node.id == name)


def test_places_are_those_in_the_document() -> None:
    assert location_of(DOCUMENT, "x") == Location(16, 8, 16, 9)
    assert location_of(DOCUMENT, "z") == Location(24, 3, 24, 4)
    assert location_of("> ```python\n> ä = 1; x\n> ```", "x") == Location(2, 10, 2, 11)
    assert location_of("```pycon\n>>> f(x)\n```", "x") == Location(2, 7, 2, 8)


def test_a_line_of_the_document_is_found_in_the_program() -> None:
    source = SourceFile.from_text(DOCUMENT, "README.md")
    lines = range(1, len(source.lines))
    assert all(
        source.code_line(Location(source.place(n)[1], 1, 1, 1)) == n for n in lines if source.lines[n - 1][:1] != "#"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_changed_block_is_written_back_and_all_else_is_as_it_was(end: str) -> None:
    text = DOCUMENT.replace("\n", end)
    read = Document.read(text)
    program = read.program.replace("    x)\n", "    x,\n    y)\n").replace("z = 2", "z = 2\nw = 3").replace("last", "x")
    expected = text.replace(f"       x){end}", f"       x,{end}       y){end}").replace(
        "> z = 2", f"> z = 2{end}> w = 3"
    )
    assert read.rewritten(program) == expected.replace("last", "x")


def test_a_block_may_hold_what_keeps_the_blocks_apart() -> None:
    text = "```python\n# %% cell 1\nx = 1\n```\n```python\n## %% cell 2\n```\n"
    read = Document.read(text)
    assert read.rewritten(read.program) == text
    assert read.rewritten(read.program.replace("x = 1", "x = 2")) == text.replace("x = 1", "x = 2")


def test_new_lines_between_prompts_get_prompts() -> None:
    text = "- ```pycon\n  >>> x = [\n  ...     1]\n  >>> x\n  [1]\n  ```\n"
    read = Document.read(text)
    changed = read.program.replace("x = [", "import os\nx = [\n    0,")
    assert read.rewritten(changed) == text.replace(">>> x = [", ">>> import os\n  >>> x = [\n  ...     0,")
    assert read.rewritten(read.program.replace("#%3", "")) is None


@given(st.lists(st.sampled_from([*DOCUMENT.split("\n"), ">>> x", "...     1", "!ls", "% x", "    ", "~~~"])))
def test_a_document_written_back_unchanged_is_the_same(lines: list[str]) -> None:
    for end in ("\n", "\r\n", "\r"):
        text = end.join(lines)
        read = Document.read(text)
        assert read.rewritten(read.program) == text
