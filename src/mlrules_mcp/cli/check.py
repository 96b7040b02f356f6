"""The command `check`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlrules_mcp.cli.shared import Failure, format_option, load_catalogue, manifests_option, to_json

if TYPE_CHECKING:
    from mlrules_mcp.catalogue import Catalogue
    from mlrules_mcp.findings import Applicability, Diagnostic
    from mlrules_mcp.source import Project, SourceFile

_MANY_FILES = 100


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH…|-]")
@click.option(
    "--stdin-filename",
    metavar="FILE",
    help="The name of what comes on standard input (-): findings name it, and .ipynb or .md is read as such.",
)
@format_option("text", "json", "sarif", "github", "html")
@click.option("--fix", "mode", flag_value="fix", help="Write safe fixes into the files; with -, print the fixed code.")
@click.option("--diff", "mode", flag_value="diff", help="Show what --fix would change, and change nothing.")
@click.option("--suggested", is_flag=True, help="With --fix or --diff: apply the suggested fixes too.")
@click.option("--select", multiple=True, metavar="NAME", help="Only these checks, rules or blocks (a,b; repeatable).")
@click.option("--ignore", multiple=True, metavar="NAME", help="Not these checks, rules or blocks (a,b; repeatable).")
@click.option(
    "--all", "everything", is_flag=True, help="Show each finding by itself, file by file, and leave none out."
)
@manifests_option
def check(
    paths: tuple[str, ...],
    stdin_filename: str | None,
    output: str,
    mode: str | None,
    suggested: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    everything: bool,
    manifests: tuple[Path, ...],
) -> None:
    """Check files, folders (by default this one) or standard input against the rules.

    Python scripts and notebooks (Jupyter, marimo, Databricks, cells after `# %%`) are read, in folders too. The Python
    blocks of Markdown documents are read where the document is named: `check README.md`, `check docs/*.md`.

    --format sarif is for code scanning, github for a workflow, which shows findings beside the lines of a pull request,
    html a page that works offline: check --format html > findings.html

    Exit code: 0 clean (advice alone is clean), 1 findings, 2 bad usage or unreadable input.
    """
    from mlrules_mcp.analysis.engine import Analysis, analyze_files
    from mlrules_mcp.source import Project

    catalogue = _narrowed(load_catalogue(manifests), select, ignore)
    project = Project(Path.cwd())
    kinds: list[Applicability] = ["safe", "suggested"] if suggested else ["safe"]
    whole = not select and not ignore
    data = None
    if "-" in paths:
        if len(paths) > 1:
            raise click.UsageError("'-' stands alone: code comes either from standard input or from files.")
        data = sys.stdin.buffer.read()
        analysis = _check_stdin(data, stdin_filename or "<stdin>", catalogue, project, mode, kinds, whole)
        if mode:  # the code is the output
            sys.exit(analysis.exit_code)
    else:
        from mlrules_mcp.analysis.files import python_files

        files = list(python_files(map(Path, paths or ["."])))
        if mode:
            analysis = Analysis(0)
            for file in _with_progress(files):
                analysis += _fix_file(file, catalogue, project, mode, kinds)
        else:
            analysis = analyze_files(_with_progress(files), catalogue, project, report_unused=whole)
    if output in ("sarif", "html"):
        click.echo(_with_sources(analysis, output, catalogue, project, data))
    else:
        _print_analysis(analysis, output, everything)
    sys.exit(analysis.exit_code)


def _check_stdin(
    data: bytes,
    name: str,
    catalogue: Catalogue,
    project: Project,
    mode: str | None,
    kinds: list[Applicability],
    whole: bool,
) -> Any:
    from mlrules_mcp.analysis.engine import read_and_analyze
    from mlrules_mcp.source import SourceFile, UnreadableSource

    if not mode:
        return read_and_analyze(lambda: SourceFile.from_bytes(data, name, project), catalogue, report_unused=whole)
    from mlrules_mcp.analysis.fixes import fix

    try:
        source = SourceFile.from_bytes(data, name, project)
    except UnreadableSource as error:
        raise Failure(f"{name}: {error}") from None
    fixed = fix(source, catalogue, kinds)
    if mode == "diff":
        _echo_diff(source, fixed.source)
    else:
        sys.stdout.buffer.write(fixed.source.encode(fixed.source.text))
    return fixed.analysis


def _fix_file(
    file: Path | Diagnostic, catalogue: Catalogue, project: Project, mode: str, kinds: list[Applicability]
) -> Any:
    from mlrules_mcp.analysis.engine import Analysis
    from mlrules_mcp.analysis.fixes import fix, write
    from mlrules_mcp.source import SourceFile, UnreadableSource

    if not isinstance(file, Path):
        return Analysis(1, diagnostics=(file,))
    try:
        source = SourceFile.from_path(file, project.name_of(file), project)
        fixed = fix(source, catalogue, kinds)
        if mode == "diff":
            _echo_diff(source, fixed.source)
        elif fixed.applied:
            write(fixed.source, file)
            click.echo(f"{file.as_posix()}: {len(fixed.applied)} fixed", err=True)
    except UnreadableSource as error:
        return Analysis(1, diagnostics=(error.diagnostic,))
    except OSError as error:
        raise Failure(f"{file.as_posix()} can't be written: {error.strerror}. It is as it was.") from None
    return fixed.analysis


def _echo_diff(before: SourceFile, after: SourceFile) -> None:
    from mlrules_mcp.report.diff import unified_diff

    for line in unified_diff(before, after):
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.secho(line, fg=colour)


def _print_analysis(analysis: Any, output: str, everything: bool) -> None:
    if output == "json":
        from mlrules_mcp.report.data import analysis_data

        click.echo(to_json(analysis_data(analysis)))
    elif output == "github":
        from mlrules_mcp.report.github import github_text

        click.echo(github_text(analysis))
    else:
        from mlrules_mcp.report.findings_text import analysis_text, review_text

        click.echo((analysis_text if everything else review_text)(analysis, click.style))


def _with_sources(analysis: Any, output: str, catalogue: Catalogue, project: Project, data: bytes | None) -> str:
    """SARIF or a page: with columns, fixes and code from the files as they are, or from what came on standard input."""
    from mlrules_mcp.source import SourceFile, UnreadableSource

    def source_of(name: str) -> SourceFile | None:
        try:
            if data is not None:
                return SourceFile.from_bytes(data, name, project)
            return SourceFile.from_path(Path(name), name, project)
        except UnreadableSource:
            return None

    if output == "html":
        from mlrules_mcp.report.findings_html import findings_html

        return findings_html(analysis, source_of)
    from mlrules_mcp.analysis.fixes import fixed_alone
    from mlrules_mcp.report.sarif import sarif

    return to_json(sarif(analysis, catalogue, source_of, fixed_alone))


def _with_progress(files: list[Path | Diagnostic]) -> Iterator[Path | Diagnostic]:
    if len(files) < _MANY_FILES or not sys.stderr.isatty():
        yield from files
        return
    with click.progressbar(files, label="Checking", file=sys.stderr) as progress:
        yield from progress


def _narrowed(catalogue: Catalogue, select: Iterable[str], ignore: Iterable[str]) -> Catalogue:
    from mlrules_mcp.catalogue import UnknownSelection

    try:
        return catalogue.narrowed(_names(select), _names(ignore))
    except UnknownSelection as error:
        raise Failure(str(error)) from None


def _names(values: Iterable[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]
