"""Reads a project once and keeps what collectors asked for; what can't be read becomes a diagnostic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mlrules_mcp.analysis.engine import analyze_module, paused_collector
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.evidence.answer import Counts
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import CodeIndex, Fact
from mlrules_mcp.evidence.collector import Collector
from mlrules_mcp.evidence.facts import Facts, Output
from mlrules_mcp.evidence.history import history_of
from mlrules_mcp.evidence.landmarks import ASKS, landmarks
from mlrules_mcp.evidence.limits import Budget
from mlrules_mcp.evidence.prose import DOCUMENTS, sections_in
from mlrules_mcp.evidence.prose import MOST_BYTES as MOST_DOCUMENT_BYTES
from mlrules_mcp.evidence.settings import MOST_BYTES as MOST_SETTINGS_BYTES
from mlrules_mcp.evidence.settings import SETTINGS, BrokenSettings, settings_in
from mlrules_mcp.evidence.tree import Role, list_files, read_text
from mlrules_mcp.findings import SEVERITIES, Diagnostic, Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module, Project, SourceFile, UnreadableSource
from mlrules_mcp.source.saved import prose_cells, saved_cells
from mlrules_mcp.source.tree import TooManyLooks

OnProgress = Callable[[int, int, str], None]

_KEPT_WHOLE = pattern(
    r"(?i)(^|/)(dockerfile[^/]*|[^/]*\.dockerfile|mlproject|makefile|procfile|licen[cs]e[^/]*|copying|jenkinsfile|"
    r"\.gitignore|\.dvcignore|\.gitattributes|\.gitmodules|pipfile|setup\.(py|cfg)|pyproject\.toml|"
    r"requirements[^/]*\.(txt|in)|environment[^/]*\.ya?ml|conda[^/]*\.ya?ml|docker-compose[^/]*|compose\.ya?ml|"
    r"\.gitlab-ci\.yml|[^/]*\.(sh|dvc|cff|lock))$|(^|/)requirements/|(^|/)\.github/workflows/"
)
_MOST_WHOLE_BYTES = 64_000
_MOST_FILES_OF_A_KIND = 1_500
_MOST_SECTIONS = 6_000
_MOST_OUTPUTS = 2_000
_MOST_OUTPUT = 2_000
_MOST_NOTES = 60
_MOST_FINDINGS = 400


class Stopped(Exception):
    """Whoever asked for the review does not want it any more."""


class Reader:
    """Reads one project.

    Args:
        collectors: those whose questions are answered.
        progress: told how many files are done, of how many, and which comes next. It may raise Stopped.
    """

    def __init__(
        self, root: Path, catalogue: Catalogue, collectors: Sequence[Collector], budget: Budget, progress: OnProgress
    ) -> None:
        self.root, self.catalogue, self.collectors, self.budget = root, catalogue, collectors, budget
        self.progress = progress
        self.diagnostics: list[Diagnostic] = []
        self._lookers = [each for each in collectors if type(each).look is not Collector.look]
        self._rules = {check.name: check.rules for check in catalogue.checks}

    def read(self) -> Facts:
        """All that is known of the project."""
        self.progress(0, 0, "Listing files")
        listing = list_files(self.root, self.budget)
        self.diagnostics += listing.diagnostics
        self.diagnostics += [
            Diagnostic("link-not-followed", "warning", path, "The link leads out of the project: it was not followed.")
            for path in listing.links
        ]
        asked = Asked.joined([ASKS, *(each.asks for each in self.collectors)])
        facts = Facts(listing, CodeIndex(asked), history=history_of(self.root))
        self._read_documents(facts)
        self._read_code(facts)
        for findings in facts.found.values():
            findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
        return facts

    def _read_documents(self, facts: Facts) -> None:
        listing = facts.listing
        near_first = sorted(listing.files, key=lambda path: (listing.role(path) != "code", path.count("/")))
        settings = documents = 0
        for path in near_first:
            lower = path.lower()
            if _KEPT_WHOLE.search(path) and (text := self._text(path, _MOST_WHOLE_BYTES)) is not None:
                facts.texts[path] = text
            if lower.endswith(SETTINGS) and settings < _MOST_FILES_OF_A_KIND and "package-lock" not in lower:
                settings += 1
                self._read_settings(path, facts)
            elif lower.endswith(DOCUMENTS) and documents < _MOST_FILES_OF_A_KIND and "requirements" not in lower:
                documents += 1
                text = self._text(path, MOST_DOCUMENT_BYTES)
                if text is not None and len(facts.sections) < _MOST_SECTIONS:
                    facts.sections += sections_in(path, text)

    def _text(self, path: str, most: int) -> str | None:
        return read_text(self.root, path, self.budget, most)

    def _read_settings(self, path: str, facts: Facts) -> None:
        text = self._text(path, MOST_SETTINGS_BYTES)
        if text is None:
            return
        try:
            facts.settings += settings_in(path, text)
        except BrokenSettings as error:
            message = f"The file is not valid, so that its settings are not known: {error}"
            self.diagnostics.append(Diagnostic("broken-settings", "warning", path, message))

    def _read_code(self, facts: Facts) -> None:
        files = facts.listing.python
        if len(files) > (most := self.budget.limits.python):
            self.budget.reached["python"] = (
                f"{most:,} of {len(files):,} Python files and notebooks were read, the project's own first."
            )
            files = files[:most]
        project = Project(self.root)
        python = notebooks = 0
        for done, path in enumerate(files):
            if self.budget.late(len(files) - done):
                break
            self.progress(done, len(files), path)
            if self._read_module(path, facts, project):
                notebooks += path.lower().endswith(".ipynb")
                python += not path.lower().endswith(".ipynb")
        facts.counts = Counts(len(facts.files), python, notebooks, self.budget.bytes_read)

    def _read_module(self, path: str, facts: Facts, project: Project) -> bool:
        file = self.root / path
        try:
            if file.is_symlink() or not self.budget.read(file.lstat().st_size):
                return False
            source = SourceFile.from_path(file, path, project)
        except UnreadableSource as error:
            self.diagnostics.append(error.diagnostic)
            return False
        except OSError as error:
            message = f"The file can't be read: {error.strerror or error}."
            self.diagnostics.append(Diagnostic("unreadable", "warning", path, message))
            return False
        with paused_collector():
            self._read_source(source, facts)
        return True

    def _read_source(self, source: SourceFile, facts: Facts) -> None:
        module = Module(source)
        try:
            module.limit_looks()
            self._take_in(module, facts.listing.role(source.path), facts)
        except (TooManyLooks, RecursionError):
            message = "The code is nested too deeply, or too entangled, for the review to read all of it."
            self.diagnostics.append(Diagnostic("partly-read", "warning", source.path, message))
        finally:
            module.forget_facts()

    def _take_in(self, module: Module, role: Role, facts: Facts) -> None:
        facts.code.add(module, role)
        _note(facts.landmarks_found, ((fact.name, fact) for fact in landmarks(module, role)))
        for collector in self._lookers:
            _note(facts.noted, ((collector.rule, fact) for fact in collector.look(module, role)))
        if module.source.path.lower().endswith(".ipynb"):
            _take_in_notebook(module, facts)
        if role in ("code", "examples"):
            analysis = analyze_module(module, self.catalogue, report_unused=False)
            self.diagnostics += analysis.diagnostics
            for finding in analysis.findings:
                self._keep(finding, role, facts)

    def _keep(self, finding: Finding, role: Role, facts: Facts) -> None:
        for rule in self._rules[finding.check]:
            name = rule if finding.severity != "advice" else f"{rule}:advice"
            kept = facts.found.setdefault(name if role == "code" else f"{name}:examples", [])
            if len(kept) < _MOST_FINDINGS:
                kept.append(finding)


def _note(notes: dict[str, list[Fact]], facts: Iterator[tuple[str, Fact]]) -> None:
    for name, fact in facts:
        kept = notes.setdefault(name, [])
        if sum(other.role == fact.role for other in kept) < _MOST_NOTES:
            kept.append(fact)


def _take_in_notebook(module: Module, facts: Facts) -> None:
    path = module.source.path
    for cell in saved_cells(module):
        for text in cell.outputs:
            if len(facts.outputs) < _MOST_OUTPUTS:
                facts.outputs.append(Output(path, cell.number, cell.head.line, text[:_MOST_OUTPUT]))
    for number, text in prose_cells(module):
        if len(facts.sections) < _MOST_SECTIONS:
            facts.sections += sections_in(path, text, number)
