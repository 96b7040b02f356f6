"""What the commands share: options, failures, the catalogue and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mlrules_mcp.catalogue import Catalogue

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Failure(click.ClickException):
    """What the user has to mend before the command can run: exit code 2."""

    exit_code = 2


manifests_option = click.option(
    "--manifest",
    "manifests",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A further rule file: adds rules, changes severities, switches rules off. May be repeated.",
)


training_code_option = click.option(
    "--allow-training-code",
    is_flag=True,
    help="Let check_training run the code of the user's own module, within limits and without network. Stdio alone.",
)


def format_option(*formats: str) -> Callable[[_Command], _Command]:
    """The option `--format`, as `output`; text unless said otherwise."""
    return click.option("--format", "output", type=click.Choice(formats), default="text", help="Default: text.")


def load_catalogue(manifests: Iterable[Path]) -> Catalogue:
    """The checks under our manifest and further ones. Their diagnostics go to stderr; raises Failure for errors."""
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


def to_json(data: dict[str, Any]) -> str:
    """An answer as JSON for people and programs."""
    return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False)
