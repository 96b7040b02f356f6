"""The command line: a file a command, imported when it is called, so that `check` starts fast."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from mlrules_mcp import __version__
from mlrules_mcp.cli.shared import training_code_option

_COMMANDS = ("check", "explain", "install", "review", "rules", "serve", "token", "train-check")
_SERVER_HINT = """\
mlrules-mcp is waiting for an MCP client on standard input (Ctrl-C ends it).
To connect one: claude mcp add mlrules -- uvx mlrules-mcp
To use it without a client: mlrules-mcp check PATH    (mlrules-mcp --help lists all commands)"""


class _Commands(click.Group):
    """A group whose commands are each a module of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"{__name__}.{name}"), name)
        return command


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlrules-mcp")
@training_code_option
@click.pass_context
def cli(context: click.Context, allow_training_code: bool) -> None:
    """Machine-learning practices for coding assistants: rules, checks with fixes, and a training check.

    Without a command it is the MCP server on standard input and output.
    """
    if context.invoked_subcommand is None:
        if sys.stdin.isatty():
            click.echo(_SERVER_HINT, err=True)
        serve = cli.get_command(context, "serve")
        assert serve is not None
        context.invoke(serve, allow_training_code=allow_training_code)
    elif allow_training_code:
        raise click.UsageError(f"--allow-training-code is for the server, not for {context.invoked_subcommand}.")


def main() -> None:
    """The console script: UTF-8 on every platform, and no traceback where a pipe is closed early."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # paths that are not UTF-8
    cli(prog_name="mlrules-mcp")
