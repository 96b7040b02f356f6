"""Runs the checks over sources and puts what they find in order."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mlrules_mcp.analysis.suppressions import Suppressions
from mlrules_mcp.catalogue import AnyCheck, Catalogue
from mlrules_mcp.findings import SEVERITIES, Diagnostic, Finding, Fix
from mlrules_mcp.source import Module, Project, SourceFile, UnreadableSource
from mlrules_mcp.source.tree import TooManyLooks


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found in some sources, in the order of the files and of severity within each.

    Attributes:
        files: how many sources were looked at, those that can't be read included.
        diagnostics: what is odd about the sources themselves.
    """

    files: int
    findings: tuple[Finding, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    def __add__(self, other: Analysis) -> Analysis:
        """Both together."""
        return Analysis(self.files + other.files, self.findings + other.findings, self.diagnostics + other.diagnostics)

    @property
    def exit_code(self) -> int:
        """The command line's answer: 0 clean (advice alone is clean), 1 findings, 2 unreadable input."""
        if any(diagnostic.severity == "error" for diagnostic in self.diagnostics):
            return 2
        return int(any(finding.severity != "advice" for finding in self.findings))


def analyze(source: SourceFile, catalogue: Catalogue, *, report_unused: bool = True) -> Analysis:
    """Run the checks of a catalogue over one source. Never raises, whatever the source holds.

    Args:
        report_unused: whether suppression comments that suppress nothing are reported; not meaningful
            when only some of the checks run.
    """
    with paused_collector():
        return _analyze(source, catalogue, report_unused)


def _analyze(source: SourceFile, catalogue: Catalogue, report_unused: bool) -> Analysis:
    # In a function of its own, so that the tree is gone before the collector is back to scan it.
    return analyze_module(Module(source), catalogue, report_unused=report_unused)


def analyze_module(module: Module, catalogue: Catalogue, *, report_unused: bool = True) -> Analysis:
    """Run the checks of a catalogue over a module; as `analyze`, for who asks the module for more than findings."""
    source = module.source
    suppressions = Suppressions(module, catalogue)
    diagnostics = [*module.diagnostics, *suppressions.diagnostics]
    found: list[Finding] = []
    in_pieces = source.layout is not None and source.layout.in_pieces
    for check in catalogue.checks_for(module):
        if check.speaks_of_absence and in_pieces:
            continue
        module.limit_looks()
        try:
            found.extend(suppressions.keep(_run(check, module)))
        except TooManyLooks:
            diagnostics.append(_failed(check, source, "it would take too long"))
        except RecursionError:
            diagnostics.append(_failed(check, source, "the code is nested too deeply for it"))
        except Exception as error:  # a bug in one check must not cost the user the others' findings
            diagnostics.append(_failed(check, source, f"{type(error).__name__}: {error}. Please report this"))
    module.lift_limit()
    if report_unused and not module.diagnostics:
        diagnostics.extend(suppressions.unused())
    module.forget_facts()
    return Analysis(1, tuple(_in_order(_grouped(found, module))), tuple(diagnostics))


def analyze_files(
    files: Iterable[Path | Diagnostic],
    catalogue: Catalogue,
    project: Project | None = None,
    *,
    report_unused: bool = True,
) -> Analysis:
    """Run the checks over files. What can't be read becomes a diagnostic; one in the place of a file is kept.

    Args:
        project: what the files belong to: those in its folder are reported by their path from there. Checks go by
            that path too, as tests and benchmarks have ways of their own, and ask the project what other files say.
    """
    count = 0
    findings: list[Finding] = []
    diagnostics: list[Diagnostic] = []
    for file in files:
        analysis = _analyze_file(file, catalogue, project, report_unused)
        count += analysis.files
        findings.extend(analysis.findings)
        diagnostics.extend(analysis.diagnostics)
    return Analysis(count, tuple(findings), tuple(diagnostics))


def _analyze_file(
    file: Path | Diagnostic, catalogue: Catalogue, project: Project | None, report_unused: bool
) -> Analysis:
    if isinstance(file, Diagnostic):
        return Analysis(1, diagnostics=(file,))
    name = project.name_of(file) if project else None
    return read_and_analyze(partial(SourceFile.from_path, file, name, project), catalogue, report_unused=report_unused)


def read_and_analyze(read: Callable[[], SourceFile], catalogue: Catalogue, *, report_unused: bool = True) -> Analysis:
    """Run the checks over what `read` returns; an UnreadableSource that it raises becomes a diagnostic."""
    try:
        source = read()
    except UnreadableSource as error:
        return Analysis(1, diagnostics=(error.diagnostic,))
    return analyze(source, catalogue, report_unused=report_unused)


def _run(check: AnyCheck, module: Module) -> Iterator[Finding]:
    nodes = module.calls(*check.names) if check.names else module.nodes(*check.node_types)
    for node in nodes:
        yield from check.check(node, module)


def _grouped(findings: list[Finding], module: Module) -> Iterator[Finding]:
    """One finding for each cause: the same message of one check in one function, with all its places."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        function = module.function_at(module.source.code_line(finding.location))
        groups.setdefault((finding.check, finding.message, finding.severity, function), []).append(finding)
    for group in groups.values():
        group.sort(key=lambda finding: finding.location.position)
        first, *rest = group
        if not rest:
            yield first
            continue
        also_at = {location for finding in group for location in (finding.location, *finding.also_at)}
        yield replace(
            first,
            also_at=tuple(sorted(also_at - {first.location}, key=lambda place: place.position)),
            fix=_joined_fix(group),
        )


def _joined_fix(group: list[Finding]) -> Fix | None:
    """The first fix of a group with the edits of all that are as safe; the others get their turn after it."""
    fixes = [finding.fix for finding in group if finding.fix]
    if not fixes:
        return None
    edits = dict.fromkeys(edit for fix in fixes if fix.applicability == fixes[0].applicability for edit in fix.edits)
    return replace(fixes[0], edits=tuple(edits))


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(
        findings, key=lambda finding: (SEVERITIES.index(finding.severity), finding.location.position, finding.check)
    )


def _failed(check: AnyCheck, source: SourceFile, why: str) -> Diagnostic:
    return Diagnostic("check-failed", "warning", source.path, f"The check {check.name} gave up on this file: {why}.")


@contextmanager
def paused_collector() -> Iterator[None]:
    """Garbage collection off: a syntax tree is hundreds of thousands of live objects and no garbage,
    and scanning them again and again more than doubles the time to parse (measured on 88,000 lines)."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
