"""The command `train-check`."""

from __future__ import annotations

import sys

import click

from mlrules_mcp.cli.shared import Failure, format_option, to_json


@click.command("train-check")
@click.option(
    "--device",
    default="auto",
    metavar="DEVICE",
    help="auto (default): what is there, or a simulated GPU; all, cpu, cuda, mps, xpu, simulated.",
)
@click.option("--seed", default=0, help="What all randomness follows from. Default: 0.")
@click.option("--full", is_flag=True, help="Run the slow checks, too, such as training in two processes.")
@click.option("--time-limit", default=120.0, metavar="SECONDS", help="Default: 120.")
@format_option("text", "json", "html")
def train_check(device: str, seed: int, full: bool, time_limit: float, output: str) -> None:
    """Train a small model on the devices of this machine, to prove that training works on each.

    --format html prints a page with the loss curves: train-check --format html > report.html

    Exit code: 0 nothing is broken, 1 something is, 2 it could not run.
    """
    import asyncio

    from mlrules_mcp.report.progress import training_progress
    from mlrules_mcp.report.text import training_text
    from mlrules_mcp.training.errors import TrainingError
    from mlrules_mcp.training.run import check_training

    try:
        with training_progress() as progress:
            checking = check_training(device, seed=seed, full=full, time_limit=time_limit, progress=progress)
            result = asyncio.run(checking)
    except TrainingError as error:
        raise Failure(str(error)) from None
    if output == "html":
        from mlrules_mcp.report.training_html import training_html

        click.echo(training_html(result))
    else:
        click.echo(to_json(result.to_dict()) if output == "json" else training_text(result, click.style))
    sys.exit(int(bool(result.broken)))
