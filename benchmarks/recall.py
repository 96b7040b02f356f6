"""What the checks find of what other tools' own test programs show, rule by rule.

Run: python benchmarks/recall.py CORPUS, a folder with copies of pytorch-labs/torchfix, SonarSource/sonar-python,
trailofbits/semgrep-rules and SERG-Delft/dslinter as `owner/name`. Their rules, the checks that answer to each, and
the lines we differ on with the reason are in `benchmarks/accuracy/recall.json`. Exits with 1 where something in scope
is missed, or something good reported, without a reason.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.source import SourceFile

SCOPE = Path(__file__).with_name("accuracy") / "recall.json"
FIGURES = ("bad", "found", "missed", "good", "flagged", "excepted")
CONSOLE = Console()


class Mark(NamedTuple):
    """What a tool says of a statement of its test program: lines count from 1, the last one included."""

    rule: str
    first: int
    last: int
    good: bool


class Program(NamedTuple):
    """A test program of a tool; `name` is its path in the tool's repository."""

    name: str
    text: str
    marks: tuple[Mark, ...]


class Outcome(NamedTuple):
    """What became of one mark: "found", "missed", "excepted", or for good code "silent", "flagged", "excepted"."""

    tool: str
    program: str
    mark: Mark
    result: str


def main(corpus: Path) -> int:
    """Analyse the programs of all tools, print the tables and say whether anything is missed without a reason."""
    scopes = json.loads(SCOPE.read_text(encoding="utf-8"))
    outcomes: list[Outcome] = []
    for tool, scope in scopes.items():
        folder = corpus / scope["repository"] / scope["folder"]
        if not folder.is_dir():
            CONSOLE.print(f"{tool} is left out: there is no folder {folder}")
            continue
        outcomes += [outcome for program in READERS[tool](folder, scope) for outcome in _outcomes(tool, scope, program)]
    for table in _tables(outcomes, scopes):
        CONSOLE.print(table)
    odd = [outcome for outcome in outcomes if outcome.result in ("missed", "flagged")]
    for tool, program, mark, result in odd:
        CONSOLE.print(f"{result}: {tool} {mark.rule} {program}:{mark.first}", soft_wrap=True)
    return int(bool(odd))


def _outcomes(tool: str, scope: dict[str, Any], program: Program) -> Iterator[Outcome]:
    found = list(_found(program))
    for mark in program.marks:
        checks = scope["checks"].get(mark.rule, ())
        reported = any(check in checks and mark.first <= line <= mark.last for check, line in found)
        excepted = any(
            each["rule"] == mark.rule and program.name == each["path"] and mark.first in each["lines"]
            for each in scope["exceptions"]
        )
        if not checks:
            result = "out of scope"
        elif reported != mark.good:
            result = "silent" if mark.good else "found"
        elif excepted:
            result = "excepted"
        else:
            result = "flagged" if mark.good else "missed"
        yield Outcome(tool, program.name, mark, result)


def _found(program: Program) -> Iterator[tuple[str, int]]:
    """The checks that find something, and the lines where."""
    for finding in analyze(SourceFile.from_text(program.text, Path(program.name).name), Catalogue()).findings:
        for location in (finding.location, *finding.also_at):
            yield finding.check, location.line


def _torchfix(folder: Path, scope: dict[str, Any]) -> Iterator[Program]:
    """Expected findings stand beside each program as `line:column code message`; all other statements are good.

    Programs that it mends stand beside what becomes of them: the lines that change are bad.
    """
    for file in sorted(folder.glob("*/checker/*.py")):
        text = file.read_text(encoding="utf-8")
        expected = re.findall(r"^(\d+):\d+ (\w+)", file.with_suffix(".txt").read_text(encoding="utf-8"), re.MULTILINE)
        bad = [(int(line), rule) for line, rule in expected]
        yield Program(file.name, text, tuple(_marks(text, bad, re.compile("False negative|not detected"))))
    for file in sorted(folder.glob("*/codemod/*.in.py")):
        text, mended = (
            each.read_text(encoding="utf-8") for each in (file, file.with_name(file.name.replace(".in.", ".out.")))
        )
        kinds = SequenceMatcher(None, text.splitlines(), mended.splitlines(), autojunk=False).get_opcodes()
        rule = f"fix {file.name.removesuffix('.in.py')}"
        bad = [(line + 1, rule) for kind, start, end, *_ in kinds if kind != "equal" for line in range(start, end)]
        marks = [mark for mark in _marks(text, bad, re.compile("$^")) if not mark.good]  # others may be left unmended
        yield Program(file.name, text, tuple(marks))


def _sonar(folder: Path, scope: dict[str, Any]) -> Iterator[Program]:
    """A comment `Noncompliant` stands on the line, or `@-1` names one above; the program is named like its rule."""
    for rule in (*scope["checks"], *scope["out_of_scope"]):
        text = (folder / f"{rule}.py").read_text(encoding="utf-8")
        bad = [
            (number + int(match[1] or 0), rule)
            for number, line in enumerate(text.splitlines(), start=1)
            if (match := re.search(r"#\s*Noncompliant(?:@([+-]\d+))?", line, re.IGNORECASE))
        ]
        yield Program(f"{rule}.py", text, tuple(_marks(text, bad, re.compile(r"#\s*FN"))))


def _semgrep(folder: Path, scope: dict[str, Any]) -> Iterator[Program]:
    """A comment `ruleid: rule` or `ok: rule` speaks of the statement below it."""
    for file in sorted(folder.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        ends = dict(_statements(text))
        marks = []
        for number, line in enumerate(text.splitlines(), start=1):
            if match := re.search(r"#\s*(ruleid|ok): ([\w-]+)", line):
                start = min(start for start in ends if start > number)
                marks.append(Mark(match[2], start, ends[start], match[1] == "ok"))
        yield Program(file.name, text, tuple(marks))


def _dslinter(folder: Path, scope: dict[str, Any]) -> Iterator[Program]:
    """Each test holds a program, and asserts that there are messages or none; its file is named like the rule."""
    for file in sorted(folder.glob("test_*.py")):
        rule = file.stem.removeprefix("test_")
        for test in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(test, ast.FunctionDef):
                continue
            good, texts = "assertNoMessages" in ast.unparse(test), list(_scripts(test))
            if texts and (good or "assertAddsMessages" in ast.unparse(test)):
                text = dedent(texts[0])
                mark = Mark(rule, 1, text.count("\n") + 1, good)
                yield Program(f"{file.name}::{test.name}", text, (mark,))


def _scripts(test: ast.FunctionDef) -> Iterator[str]:
    """The programs that a test assigns to a variable, or parses as they are."""
    for node in ast.walk(test):
        match node:
            case (
                ast.Assign(targets=[ast.Name()], value=ast.Constant(value=str() as text))
                | ast.Call(func=ast.Attribute(attr="extract_node" | "parse"), args=[ast.Constant(value=str() as text)])
            ):
                yield text


READERS: dict[str, Callable[[Path, dict[str, Any]], Iterator[Program]]] = {
    "TorchFix": _torchfix,
    "SonarPython": _sonar,
    "Trail of Bits": _semgrep,
    "dslinter": _dslinter,
}


def _marks(text: str, bad: list[tuple[int, str]], unsure: re.Pattern[str]) -> Iterator[Mark]:
    """The marks of a program whose bad lines are known, all else being good but for what the tool says it misses."""
    rules = dict.fromkeys(rule for _, rule in bad)
    lines = text.splitlines()
    for line, rule in bad:
        # The innermost statement there: a mark beside the head of a class or function speaks of the whole.
        start, end = max(((s, e) for s, e in _statements(text) if s <= line <= e), default=(line, line))
        yield Mark(rule, start, end, good=False)
    for start, end in _statements(text, simple=True):
        above = lines[start - 2] if start > 1 and lines[start - 2].lstrip().startswith("#") else ""
        said = "\n".join([above, *lines[start - 1 : end]])
        if not unsure.search(said) and not any(start <= line <= end for line, _ in bad):
            yield from (Mark(rule, start, end, good=True) for rule in rules)


def _statements(text: str, *, simple: bool = False) -> Iterator[tuple[int, int]]:
    """The first and last lines of a program's statements, by default compound ones too; none of what is not Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not (simple and hasattr(node, "body")):
            yield node.lineno, node.end_lineno or node.lineno


def _tables(outcomes: Iterable[Outcome], scopes: dict[str, Any]) -> Iterator[Table]:
    counts: dict[tuple[str, str], Counter[str]] = {}
    for tool, _, mark, result in outcomes:
        kind = "good" if mark.good else "bad"
        counts.setdefault((tool, mark.rule), Counter()).update([kind, f"{result} {kind}"])
    inside = _table("Other tools' own test programs", "tool", "rule", *FIGURES, "why not all")
    outside = _table("Rules out of scope", "tool", "rule", "bad", "why")
    for (tool, rule), count in counts.items():
        if why := scopes[tool]["out_of_scope"].get(rule):
            outside.add_row(tool, rule, str(count["bad"]), why)
        else:
            inside.add_row(tool, rule, *_figures(count), "; ".join(_reasons(scopes[tool], rule)))
    inside.add_section()
    for tool in scopes:
        in_scope = (c for (t, rule), c in counts.items() if t == tool and rule not in scopes[tool]["out_of_scope"])
        inside.add_row(tool, "all in scope", *_figures(sum(in_scope, Counter())))
    yield inside
    yield outside


def _figures(count: Counter[str]) -> list[str]:
    excepted = count["excepted bad"] + count["excepted good"]
    figures = (count["bad"], count["found bad"], count["missed bad"], count["good"], count["flagged good"], excepted)
    return [str(figure) for figure in figures]


def _reasons(scope: dict[str, Any], rule: str) -> list[str]:
    return list(dict.fromkeys(each["reason"] for each in scope["exceptions"] if each["rule"] == rule))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
