"""Writes the fixes of findings into sources, as long as there are any that help."""

from __future__ import annotations

import ast
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlrules_mcp.analysis.engine import Analysis, analyze
from mlrules_mcp.analysis.rewriting import Rewriter, Unwritable
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import AddImport, Applicability, Finding, Span
from mlrules_mcp.source import SourceFile, UnreadableSource

# Each round writes what does not overlap, so this is how deep fixes may lie in each other.
_MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class FixedSource:
    """A source after its fixes.

    Attributes:
        source: the source with the fixes in it; the given one where nothing could be fixed.
        applied: the findings that were fixed.
        analysis: what is found in the fixed source.
    """

    source: SourceFile
    applied: tuple[Finding, ...]
    analysis: Analysis


def fix(
    source: SourceFile,
    catalogue: Catalogue,
    applicabilities: Iterable[Applicability] = ("safe",),
    wanted: Callable[[Finding], bool] = lambda finding: True,
) -> FixedSource:
    """Apply the fixes of a source's findings until none is left, or none can be applied.

    Args:
        applicabilities: which fixes to apply: by default only safe ones.
        wanted: which findings to fix; by default all.

    A source with syntax errors is returned as it is: what can't be read whole isn't rewritten.
    """
    allowed = frozenset(applicabilities)
    applied: list[Finding] = []
    hopeless: set[str] = set()
    analysis = analyze(source, catalogue)
    for _ in range(_MOST_ROUNDS):
        fixable = [
            finding
            for finding in analysis.findings
            if finding.fix
            and finding.fix.applicability in allowed
            and finding.check not in hopeless
            and wanted(finding)
        ]
        if not fixable or any(diagnostic.severity == "error" for diagnostic in analysis.diagnostics):
            break
        written = _written(source, fixable)
        if written is None:
            break
        fixed, chosen = written
        next_analysis = analyze(fixed, catalogue)
        unchanged = _checks_without_effect(chosen, analysis, next_analysis)
        hopeless |= unchanged
        if not unchanged:
            source, analysis = fixed, next_analysis
            applied.extend(chosen)
    return FixedSource(source, tuple(applied), analysis)


def fixed_alone(source: SourceFile, findings: Iterable[Finding]) -> Iterator[tuple[Finding, SourceFile]]:
    """Those of a source's findings whose fix can be written, each with the source that has that fix alone."""
    try:
        rewriter = Rewriter(source)
    except Unwritable:
        return
    for finding in findings:
        if finding.fix and rewriter.finds(finding.fix.edits):
            fixed = _attempt(source, rewriter, [finding])
            if fixed is not None:
                yield finding, fixed


def _written(source: SourceFile, findings: list[Finding]) -> tuple[SourceFile, list[Finding]] | None:
    """The source with as many fixes in it as go together, and their findings; None where none can be written."""
    try:
        rewriter = Rewriter(source)
    except Unwritable:
        return None

    def good_ones(chosen: list[Finding]) -> list[Finding]:
        if _attempt(source, rewriter, chosen) is not None:
            return chosen
        half = len(chosen) // 2
        return good_ones(chosen[:half]) + good_ones(chosen[half:]) if half else []

    found = [finding for finding in findings if finding.fix and rewriter.finds(finding.fix.edits)]
    chosen = good_ones(_not_overlapping(found))
    fixed = _attempt(source, rewriter, chosen) if chosen else None
    return (fixed, chosen) if fixed else None


def _attempt(source: SourceFile, rewriter: Rewriter, chosen: list[Finding]) -> SourceFile | None:
    """The source with some fixes in it; None where they can't be written, or what comes out is not Python."""
    edits = [edit for finding in chosen if finding.fix for edit in finding.fix.edits]
    try:
        text = source.text_of(rewriter.rewritten(edits))
        fixed = SourceFile.from_text(text, source.path, source.encoding, source.bom, source.project)
    except (Unwritable, UnreadableSource):
        return None
    return fixed if fixed.text != source.text and _parses(fixed.code) else None


def _checks_without_effect(chosen: list[Finding], before: Analysis, after: Analysis) -> set[str]:
    """The checks of fixed findings that find as much as before: their fixes would be written again and again."""
    old, new = (
        Counter(finding.check for finding in analysis.findings for _ in (finding.location, *finding.also_at))
        for analysis in (before, after)
    )
    return {finding.check for finding in chosen if new[finding.check] >= old[finding.check]}


def write(source: SourceFile, path: Path) -> None:
    """Put a source's text into a file, whole or not at all, in its encoding and with the file's permissions.

    Raises:
        OSError: the file can't be written; it is then as it was.
    """
    target = path.resolve()  # a link stays one
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as temporary:
        try:
            temporary.write(source.encode(source.text))
            temporary.close()
            shutil.copymode(target, temporary.name)
            Path(temporary.name).replace(target)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _not_overlapping(findings: Iterable[Finding]) -> list[Finding]:
    """The findings whose fixes can be applied at once; the others get their turn in the next round."""
    taken: list[Span] = []
    chosen: list[Finding] = []
    for finding in findings:
        spans = [edit.span for edit in finding.fix.edits if not isinstance(edit, AddImport)] if finding.fix else []
        if not any(_overlap(span, other) for span in spans for other in taken):
            taken.extend(spans)
            chosen.append(finding)
    return chosen


def _overlap(one: Span, other: Span) -> bool:
    return (one.line, one.column) < (other.end_line, other.end_column) and (other.line, other.column) < (
        one.end_line,
        one.end_column,
    )
