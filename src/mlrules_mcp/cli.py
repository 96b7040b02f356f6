"""The command line. Each command imports what it needs, so that `check` starts fast."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlrules_mcp import __version__

if TYPE_CHECKING:
    from mlrules_mcp.catalogue import Catalogue
    from mlrules_mcp.findings import Applicability, Diagnostic
    from mlrules_mcp.source import Project, SourceFile

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MANY_FILES = 100
_SERVER_HINT = """\
mlrules-mcp is waiting for an MCP client on standard input (Ctrl-C ends it).
To connect one: claude mcp add mlrules -- uvx mlrules-mcp
To use it without a client: mlrules-mcp check PATH    (mlrules-mcp --help lists all commands)"""


class Failure(click.ClickException):
    """What the user has to mend before the command can run: exit code 2."""

    exit_code = 2


_manifests = click.option(
    "--manifest",
    "manifests",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A further rule file: adds rules, changes severities, switches rules off. May be repeated.",
)


def _format(*formats: str) -> Callable[[_Command], _Command]:
    return click.option("--format", "output", type=click.Choice(formats), default="text", help="Default: text.")


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlrules-mcp")
@click.pass_context
def cli(context: click.Context) -> None:
    """Machine-learning practices for coding assistants: rules, checks with fixes, and a training check.

    Without a command it is the MCP server on standard input and output.
    """
    if context.invoked_subcommand is None:
        if sys.stdin.isatty():
            click.echo(_SERVER_HINT, err=True)
        context.invoke(serve)


@cli.command()
@click.argument("paths", nargs=-1, metavar="[PATH…|-]")
@click.option(
    "--stdin-filename",
    metavar="FILE",
    help="The name of what comes on standard input (-): findings name it, and .ipynb or .md is read as such.",
)
@_format("text", "json")
@click.option("--fix", "mode", flag_value="fix", help="Write safe fixes into the files; with -, print the fixed code.")
@click.option("--diff", "mode", flag_value="diff", help="Show what --fix would change, and change nothing.")
@click.option("--suggested", is_flag=True, help="With --fix or --diff: apply the suggested fixes too.")
@click.option("--select", multiple=True, metavar="NAME", help="Only these checks, rules or blocks (a,b; repeatable).")
@click.option("--ignore", multiple=True, metavar="NAME", help="Not these checks, rules or blocks (a,b; repeatable).")
@click.option(
    "--all", "everything", is_flag=True, help="Show each finding by itself, file by file, and leave none out."
)
@_manifests
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

    Exit code: 0 clean (advice alone is clean), 1 findings, 2 bad usage or unreadable input.
    """
    from mlrules_mcp.analysis.engine import Analysis, analyze_files
    from mlrules_mcp.source import Project

    catalogue = _narrowed(_catalogue(manifests), select, ignore)
    project = Project(Path.cwd())
    kinds: list[Applicability] = ["safe", "suggested"] if suggested else ["safe"]
    whole = not select and not ignore
    if "-" in paths:
        if len(paths) > 1:
            raise click.UsageError("'-' stands alone: code comes either from standard input or from files.")
        analysis = _check_stdin(stdin_filename or "<stdin>", catalogue, project, mode, kinds, whole)
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
    _print_analysis(analysis, output, everything)
    sys.exit(analysis.exit_code)


def _check_stdin(
    name: str, catalogue: Catalogue, project: Project, mode: str | None, kinds: list[Applicability], whole: bool
) -> Any:
    from mlrules_mcp.analysis.engine import read_and_analyze
    from mlrules_mcp.source import SourceFile, UnreadableSource

    data = sys.stdin.buffer.read()
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

        click.echo(_json(analysis_data(analysis)))
    else:
        from mlrules_mcp.report.findings_text import analysis_text, review_text

        click.echo((analysis_text if everything else review_text)(analysis, click.style))


def _with_progress(files: list[Path | Diagnostic]) -> Iterator[Path | Diagnostic]:
    if len(files) < _MANY_FILES or not sys.stderr.isatty():
        yield from files
        return
    with click.progressbar(files, label="Checking", file=sys.stderr) as progress:
        yield from progress


@cli.command()
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@_format("text", "json")
@_manifests
def rules(paths: tuple[str, ...], output: str, manifests: tuple[Path, ...]) -> None:
    """List all rules, or those that apply to some paths, with the glob that says so."""
    from mlrules_mcp.report.data import rules_data
    from mlrules_mcp.report.text import rules_text

    data = rules_data(_catalogue(manifests), paths, Path.cwd().as_posix())
    click.echo(_json(data) if output == "json" else rules_text(data, click.style))


@cli.command()
@click.argument("rule")
@_format("text", "json")
@_manifests
def explain(rule: str, output: str, manifests: tuple[Path, ...]) -> None:
    """Explain a rule (block.id, or the id alone where it is unambiguous) or one check, with examples."""
    from mlrules_mcp.manifest.model import RuleNameError
    from mlrules_mcp.report.data import explanation_data
    from mlrules_mcp.report.text import explanation_text

    try:
        data = explanation_data(_catalogue(manifests), rule)
    except RuleNameError as error:
        raise Failure(str(error)) from None
    click.echo(_json(data) if output == "json" else explanation_text(data, click.style))


@cli.command("train-check")
@click.option(
    "--device",
    default="auto",
    metavar="DEVICE",
    help="auto (default): what is there, or a simulated GPU; all, cpu, cuda, mps, xpu, simulated.",
)
@click.option("--seed", default=0, help="What all randomness follows from. Default: 0.")
@click.option("--time-limit", default=120.0, metavar="SECONDS", help="Default: 120.")
@_format("text", "json")
def train_check(device: str, seed: int, time_limit: float, output: str) -> None:
    """Train a small model on the devices of this machine, to prove that training works on each.

    Exit code: 0 nothing is broken, 1 something is, 2 it could not run.
    """
    import asyncio

    from mlrules_mcp.report.text import training_text
    from mlrules_mcp.training.errors import TrainingError
    from mlrules_mcp.training.run import check_training

    try:
        with _training_progress() as progress:
            result = asyncio.run(check_training(device, seed=seed, time_limit=time_limit, progress=progress))
    except TrainingError as error:
        raise Failure(str(error)) from None
    click.echo(_json(result.to_dict()) if output == "json" else training_text(result, click.style))
    sys.exit(int(bool(result.broken)))


@cli.command()
@click.option("--transport", type=click.Choice(["stdio"]), default="stdio", help="Default: stdio.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder whose files the tools may read. May be repeated. Default: the current folder.",
)
@_manifests
def serve(transport: str = "stdio", roots: tuple[Path, ...] = (), manifests: tuple[Path, ...] = ()) -> None:
    """Run the MCP server."""
    catalogue = _catalogue(manifests)
    from mlrules_mcp.server.app import build_server

    build_server(catalogue, roots or (Path.cwd(),)).run(transport="stdio")


def _catalogue(manifests: Iterable[Path]) -> Catalogue:
    from mlrules_mcp.catalogue import Catalogue

    if not manifests:
        return Catalogue()
    from mlrules_mcp.manifest.merging import load_manifests
    from mlrules_mcp.manifest.reader import ManifestError
    from mlrules_mcp.report.findings_text import diagnostic_text

    try:
        loaded = load_manifests(manifests)
    except ManifestError as error:
        raise Failure(str(error)) from None
    for diagnostic in loaded.diagnostics:
        click.echo(diagnostic_text(diagnostic), err=True)
    if any(diagnostic.severity == "error" for diagnostic in loaded.diagnostics):
        raise Failure("A rule file has errors. Mend it, or leave --manifest out.")
    return Catalogue(loaded)


def _narrowed(catalogue: Catalogue, select: Iterable[str], ignore: Iterable[str]) -> Catalogue:
    from mlrules_mcp.catalogue import UnknownSelection

    try:
        return catalogue.narrowed(_names(select), _names(ignore))
    except UnknownSelection as error:
        raise Failure(str(error)) from None


def _names(values: Iterable[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False)


def _training_progress() -> Any:
    from mlrules_mcp.report.progress import training_progress

    return training_progress()


def main() -> None:
    """The console script: UTF-8 on every platform, and no traceback where a pipe is closed early."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # paths that are not UTF-8
    cli(prog_name="mlrules-mcp")
