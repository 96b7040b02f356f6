"""Whether notebooks are written back as they were, and fixes change nothing but the cells they are for.

Run: .venv/bin/python benchmarks/notebooks.py PATH… [--most N]. Each path is a notebook or a folder with some.
Prints a table; exit code 1 where one notebook was not kept.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from rich.console import Console
from rich.table import Table

from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.source import SourceFile, UnreadableSource
from mlrules_mcp.source.notebook import Notebook

ROWS = (
    "notebooks",
    "read",
    "not readable (says why)",
    "with other kernels than Python",
    "with code cells that parse only in part",
    "written back without a change: identical bytes",
    "with fixes written",
    "fixes written",
    "only the changed cells differ",
    "valid before and after (nbformat)",
    "not valid before either",
    "with a fix that could not be written",
)


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, and name each notebook that was not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=sys.maxsize, help="take a random sample of that many (seed 0)")
    options = parser.parse_args(arguments)
    files = sorted(file for path in options.paths for file in (path.rglob("*.ipynb") if path.is_dir() else [path]))
    if len(files) > options.most:
        files = sorted(random.Random(0).sample(files, options.most))
    counts: Counter[str] = Counter()
    failures: list[str] = []
    catalogue = Catalogue()
    for file in files:
        counts["notebooks"] += 1
        for row in _looked_at(file, catalogue):
            if row in ROWS:
                counts[row] += 1
            else:
                failures.append(f"{file}: {row}")
    table = Table(title="Notebooks", title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    for row in ROWS:
        table.add_row(row, str(counts[row]))
    console = Console()
    console.print(table)
    for failure in failures:
        console.print(failure, highlight=False, markup=False)
    return int(bool(failures))


def _looked_at(file: Path, catalogue: Catalogue) -> Iterator[str]:
    """The rows that a notebook counts in, or what went wrong."""
    data = file.read_bytes()
    try:
        source = SourceFile.from_bytes(data, file.as_posix())
    except UnreadableSource:
        yield "not readable (says why)"
        return
    yield "read"
    yield (
        "written back without a change: identical bytes"
        if source.encode(source.text_of(source.code)) == data
        else "differs without a change"
    )
    if isinstance(source.layout, Notebook) and source.layout.problems:
        yield "with other kernels than Python"
    fixed = fix(source, catalogue, ("safe", "suggested"))
    codes = {diagnostic.code for diagnostic in fixed.analysis.diagnostics}
    if "syntax-error" in codes:
        yield "with code cells that parse only in part"
    elif any(finding.fix for finding in fixed.analysis.findings):
        yield "with a fix that could not be written"
    if not fixed.applied:
        return
    yield "with fixes written"
    yield from ["fixes written"] * len(fixed.applied)
    after = fixed.source.encode(fixed.source.text)
    yield "only the changed cells differ" if _kept(source, fixed.source) else "more than the changed cells differs"
    if not _is_valid(data):
        yield "not valid before either"
    else:
        yield "valid before and after (nbformat)" if _is_valid(after) else "not valid any more"


def _kept(before: SourceFile, after: SourceFile) -> bool:
    """Whether all text outside the sources of changed cells is the same."""
    old, new = before.layout, after.layout
    if not isinstance(old, Notebook) or not isinstance(new, Notebook) or len(old.parts) != len(new.parts):
        return False
    changed = [index for index, cell in enumerate(old.parts) if cell.lines != new.parts[index].lines]
    return bool(changed) and _outside(old, changed) == _outside(new, changed)


def _outside(notebook: Notebook, changed: Sequence[int]) -> list[str]:
    edges = [0, *(edge for index in changed for edge in notebook.spans[index]), len(notebook.text)]
    return [notebook.text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _is_valid(data: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nbformat.validate(json.loads(data.decode("utf-8-sig")))
    except (nbformat.ValidationError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
