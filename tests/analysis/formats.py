"""Notebooks, documents and scripts with cells for property tests, whole and with something wrong."""

from __future__ import annotations

import json
from textwrap import indent

from hypothesis import strategies as st

from tests.analysis.programs import EXAMPLES, MANGLED_EXAMPLES, PROGRAMS, mangled

_MAGICS = [
    *(
        "%matplotlib inline",
        "!pip install x \\\n  y",
        "%time model.cuda()",
        "%%bash\nls\n",
        "%%time\nmodel.cuda()",
        ";",
    ),
    *("x = !ls", "model?", "%sql\nselect 1", "%%writefile a.py\nimport os", "for x in y:\n    !ls\n    x.cuda()", ""),
    *("\ud800 = '\0'", "    x = 1\n    y = 2", "%time x = f(\n  y)", "'''", "%", "!", "%%", "# %% cell 1", "pass  #%0"),
]
_CODE = st.sampled_from(EXAMPLES) | MANGLED_EXAMPLES | PROGRAMS | st.sampled_from(_MAGICS)
_CELLS = st.lists(st.lists(_CODE, min_size=1, max_size=2).map("\n".join), max_size=5)


def _notebook(cells: list[str], indentation: int | None, as_list: bool, ascii_only: bool, language: str) -> str:
    made = [
        {"cell_type": "code", "source": cell.splitlines(keepends=True) if as_list else cell, "outputs": []}
        for cell in cells
    ]
    metadata = {"language_info": {"name": language}}
    data = {"cells": [{"cell_type": "markdown", "source": "# Ü"}, *made], "metadata": metadata, "nbformat": 4}
    text = json.dumps(data, indent=indentation, ensure_ascii=ascii_only)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


NOTEBOOKS = st.builds(
    _notebook,
    _CELLS,
    st.sampled_from([None, 1, 2]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["python", "python", "python", "R"]),
)
_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(["code", "source", "x.cuda()"]),
    lambda smaller: (
        st.lists(smaller, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cells", "cell_type", "source", "metadata", "worksheets"]), smaller, max_size=3
        )
    ),
)
ODD_JSON = st.fixed_dictionaries({"cells": _JSON | st.lists(_JSON), "metadata": _JSON}).map(json.dumps)


def _block(code: str, margin: str, fence: str, info: str, prompts: bool) -> str:
    if prompts:
        code = "\n".join(f"{'... ' if line[:1].isspace() else '>>> '}{line}" for line in code.split("\n"))
    return indent(f"{fence}{info}\n{code}\n{fence}", margin, lambda line: True)


_BLOCKS = st.builds(
    _block,
    _CODE,
    st.sampled_from(["", "", "   ", "> ", "\t", "> > "]),
    st.sampled_from(["```", "~~~", "````"]),
    st.sampled_from(["python", "python", "{python}", "py x=1", "", "pycon", "{code-cell} ipython3"]),
    st.booleans(),
)
DOCUMENTS = st.lists(_BLOCKS | st.sampled_from(["# Title", "- a list", "", ":a: b", "---"]), max_size=6).map("\n".join)

SCRIPTS = st.lists(_CODE | st.sampled_from(["# %%", "# %% [markdown]\n# text", "# In[1]:"]), max_size=6).map("\n".join)


def _marimo(cells: list[str], parameters: list[str], returned: list[str], whole: bool) -> str:
    text = "import marimo\n\napp = marimo.App()\n\n"
    for number, cell in enumerate(cells):
        taken, given = parameters[number % 3 :], returned[number % 3 :]
        end = f"    return ({', '.join(given)},)\n" if given else "    return\n"
        text += f"@app.cell\ndef _({', '.join(taken)}):\n{indent(cell.rstrip(), '    ')}\n{end}\n\n"
    return text + ('if __name__ == "__main__":\n    app.run()\n' if whole else "")


_NAMES = st.lists(st.sampled_from(["torch", "model", "x", "loss", "nn", "optimizer"]), unique=True, max_size=4)
MARIMO = st.builds(_marimo, _CELLS, _NAMES, _NAMES, st.booleans())

WHOLE = st.one_of(
    st.tuples(st.just("a.ipynb"), NOTEBOOKS),
    st.tuples(st.just("a.md"), DOCUMENTS),
    st.tuples(st.just("a.py"), SCRIPTS),
    st.tuples(st.just("a.py"), MARIMO),
)
MANGLED = st.one_of(
    st.tuples(st.just("a.ipynb"), mangled(NOTEBOOKS) | ODD_JSON),
    st.tuples(st.just("a.md"), mangled(DOCUMENTS)),
    st.tuples(st.just("a.py"), mangled(SCRIPTS)),
    st.tuples(st.just("a.py"), mangled(MARIMO)),
)
