"""Notebooks, scripts with cells and documents, from their text to findings and back."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from textwrap import dedent

import pytest

from mlrules_mcp.analysis.engine import analyze, analyze_files
from mlrules_mcp.analysis.fixes import fix, write
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import AddImport, Fix, Replace, Span
from mlrules_mcp.report.findings_text import analysis_text
from mlrules_mcp.source import Module, SourceFile, UnreadableSource
from tests.analysis.support import call_finder, catalogue_of

CHECKS = Catalogue().narrowed(select=["no-grad-not-called"])


def notebook(*cells: list[str]) -> str:
    made: list[object] = [{"cell_type": "markdown", "metadata": {}, "source": ["# Größe\n"]}]
    made += [{"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": c} for c in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False)


BAD = notebook(
    ["%matplotlib inline\n", "import torch as t"],
    ["!nvidia-smi\n", "with t.no_grad:\n", "    pass"],
    ["# ä\n", "with t.no_grad:  # here too\n", "    pass\n"],
)


def test_cells_are_one_program_and_findings_name_the_cell_and_its_line() -> None:
    (finding,) = analyze(SourceFile.from_text(BAD, "explore.ipynb"), CHECKS).findings
    assert (finding.location.cell, finding.location.line, finding.location.column) == (3, 2, 6)
    assert [(place.cell, place.line) for place in finding.also_at] == [(4, 2)]


def test_the_text_names_cells() -> None:
    text = analysis_text(analyze(SourceFile.from_text(BAD, "explore.ipynb"), CHECKS))
    assert text.startswith("explore.ipynb:cell 3:2:6: error [no-grad-not-called]")
    assert "also at cell:line 4:2" in text


def test_a_fix_is_written_into_its_cell_and_nothing_else_changes(tmp_path: Path) -> None:
    file = tmp_path / "explore.ipynb"
    file.write_bytes(BAD.encode())
    fixed = fix(SourceFile.from_path(file), CHECKS)
    write(fixed.source, file)
    assert file.read_bytes() == BAD.replace("t.no_grad:", "t.no_grad():").encode()
    assert fixed.analysis.findings == ()


def test_a_comment_in_a_cell_suppresses_there() -> None:
    suppressed = BAD.replace("t.no_grad:\\n", "t.no_grad:  # mlrules: ignore[no-grad-not-called]\\n")
    analysis = analyze(SourceFile.from_text(suppressed, "explore.ipynb"), CHECKS)
    assert [finding.location.cell for finding in analysis.findings] == [4]
    assert analysis.diagnostics == ()


def test_an_unused_suppression_is_reported_with_its_cell() -> None:
    text = notebook(["x = 1\n"], ["y = 2  # mlrules: ignore\n"])
    (diagnostic,) = analyze(SourceFile.from_text(text, "explore.ipynb"), CHECKS).diagnostics
    assert (diagnostic.code, diagnostic.cell, diagnostic.line) == ("unused-suppression", 3, 1)


def test_a_broken_cell_is_named_and_the_others_are_analysed() -> None:
    text = notebook(["def f(:\n", "    pass\n"], ["import torch\n", "with torch.no_grad:\n", "    pass\n"])
    analysis = analyze(SourceFile.from_text(text, "explore.ipynb"), CHECKS)
    (diagnostic,) = analysis.diagnostics
    assert (diagnostic.code, diagnostic.cell, diagnostic.line) == ("syntax-error", 2, 1)
    assert [finding.location.cell for finding in analysis.findings] == [3]


def test_a_notebook_that_is_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "explore.ipynb"
    file.write_text("{}")
    (diagnostic,) = analyze_files([file], CHECKS).diagnostics
    assert diagnostic.code == "not-a-notebook"
    with pytest.raises(UnreadableSource):
        SourceFile.from_path(file)


def test_a_notebook_without_code_is_clean() -> None:
    assert analyze(SourceFile.from_text(notebook(), "explore.ipynb"), CHECKS).findings == ()


def test_a_notebook_in_another_language_is_told_and_not_analysed() -> None:
    text = json.dumps(
        {"cells": [{"cell_type": "code", "source": "x <- 1"}], "metadata": {"kernelspec": {"name": "ir"}}}
    )
    analysis = analyze(SourceFile.from_text(text, "explore.ipynb"), CHECKS)
    assert [(each.code, each.severity) for each in analysis.diagnostics] == [("not-python", "warning")]
    assert "in R" in analysis.diagnostics[0].message
    assert analysis.exit_code == 0


def fixed_text(text: str, name: str, *selected: str) -> str:
    catalogue = Catalogue().narrowed(select=selected) if selected else CHECKS
    return fix(SourceFile.from_text(dedent(text), name), catalogue, ("safe", "suggested")).source.text


DATABRICKS = """\
# Databricks notebook source
# MAGIC %md
# MAGIC # Training

# COMMAND ----------

# MAGIC %run ./setup

# COMMAND ----------

import torch
table = spark.table("x")
display(table)
dbutils.widgets.text("a", "b")

# COMMAND ----------

with torch.no_grad:
    pass
"""


def test_a_databricks_notebook_is_python_with_plain_lines() -> None:
    (finding,) = analyze(SourceFile.from_text(DATABRICKS, "explore.py"), CHECKS).findings
    assert (finding.location.cell, finding.location.line) == (None, 18)
    assert fixed_text(DATABRICKS, "explore.py") == DATABRICKS.replace("no_grad:", "no_grad():")


SCRIPT = """\
# %% [markdown]
# # Training
# %%
%matplotlib inline
!pip install torch
import torch
# %% evaluate
%time model.eval()
with torch.no_grad:
    !nvidia-smi
"""


def test_a_script_with_cells_is_fixed_around_its_magics() -> None:
    (finding,) = analyze(SourceFile.from_text(SCRIPT, "explore.py"), CHECKS).findings
    assert (finding.location.cell, finding.location.line, finding.location.column) == (None, 9, 6)
    assert fixed_text(SCRIPT, "explore.py") == SCRIPT.replace("no_grad:", "no_grad():")


MARIMO = """\
import marimo

app = marimo.App()


@app.cell
def _(Net, model, xs):
    for x in xs:
        print(model.forward(x))
    return


@app.cell
def _(Net, torch):
    model = Net()
    with torch.no_grad:  # ä
        model(1)
    return (model,)


@app.cell
def _():
    import torch
    from torch.nn import Net
    xs = torch.Tensor([1.0, 2.0])
    return Net, torch, xs


if __name__ == "__main__":
    app.run()
"""


def test_a_marimo_notebook_is_one_program_whose_findings_have_their_own_lines() -> None:
    analysis = analyze(SourceFile.from_text(MARIMO, "explore.py"), CHECKS)
    assert [finding.location.line for finding in analysis.findings] == [16]
    assert fixed_text(MARIMO, "explore.py") == MARIMO.replace("no_grad:", "no_grad():")


def test_an_import_that_a_fix_needs_goes_into_a_cell_and_from_there_to_where_it_is_read() -> None:
    def make_fix(node: ast.Call, module: Module) -> Fix:
        return Fix("safe", "Use os.", (Replace(Span.of(node), "os.getcwd()"), AddImport("os")))

    text = """\
        import marimo

        app = marimo.App()

        with app.setup:
            x = 1


        @app.cell
        def _(f, x):
            y = f(x)
            return (y,)


        @app.cell
        def _():
            from torch import f
            return (f,)
        """
    checks = catalogue_of(call_finder("f", make_fix))
    fixed = fix(SourceFile.from_text(dedent(text), "explore.py"), checks).source.text
    expected = dedent(text).replace("y = f(x)", "y = os.getcwd()")
    assert fixed == expected.replace("    x = 1\n", "    import os\n\n    x = 1\n")
    without_setup = dedent(text).replace("with app.setup:\n    x = 1\n", "")
    fixed = fix(SourceFile.from_text(without_setup, "explore.py"), checks).source.text
    expected = expected.replace("with app.setup:\n    x = 1\n", "").replace("_(f, x)", "_(f, x, os)")
    assert fixed == expected.replace("import f\n    return (f,)", "import f\n    import os\n    return (f, os)")


DOCUMENT = """\
# How to evaluate

```python
import torch
model = Net()
```

1. In a list:

   ```python
   # ä
   with torch.no_grad:
       model(x)
   ```

> ```pycon
> >>> with torch.no_grad:
> ...     model(x)
> tensor([1])
> ```

```python
class Net(
```
"""


def test_the_blocks_of_a_document_are_one_program_with_the_lines_of_the_file() -> None:
    analysis = analyze(SourceFile.from_text(DOCUMENT, "README.md"), CHECKS)
    (finding,) = analysis.findings
    assert (finding.location.cell, finding.location.line, finding.location.column) == (None, 12, 9)
    assert [(place.line, place.column) for place in finding.also_at] == [(17, 12)]
    assert [(each.code, each.severity, each.line) for each in analysis.diagnostics] == [
        ("block-not-python", "warning", 23)
    ]
    assert fixed_text(DOCUMENT, "README.md") == DOCUMENT.replace("no_grad:", "no_grad():")


def test_a_document_is_not_asked_for_what_a_piece_of_code_leaves_out() -> None:
    code = dedent(
        """\
        import lightning as L

        class Classifier(L.LightningModule):
            def training_step(self, batch, batch_idx):
                return self.loss(batch)

        L.Trainer().fit(Classifier(), loader)
        """
    )
    missing = Catalogue().narrowed(select=["missing-configure-optimizers"])
    assert len(analyze(SourceFile.from_text(code, "train.py"), missing).findings) == 1
    assert analyze(SourceFile.from_text(f"```python\n{code}```\n", "README.md"), missing).findings == ()
