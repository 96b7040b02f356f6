"""The command `train-check`."""

from __future__ import annotations

import sys
from pathlib import Path

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
@click.option("--nodes", type=int, metavar="N", help="Train in all processes that torchrun starts on N machines.")
@click.option("--strategy", default="ddp", help="With --nodes: ddp (default), or fsdp on CUDA GPUs.")
@click.option("--target", metavar="FILE.py:CLASS", help="Your own LightningModule or nn.Module. Its code is run.")
@click.option(
    "--init-args",
    metavar="JSON|FILE",
    help="What its __init__ gets: JSON, or a JSON or YAML file, also a configuration of LightningCLI.",
)
@click.option("--data", metavar="FILE.py:CLASS", help="The LightningDataModule to train it on.")
@click.option("--data-args", metavar="JSON|FILE", help="What the DataModule's __init__ gets.")
@click.option("--batch", metavar="JSON|FILE", help="Instead of data: the tensors of a batch, made at random.")
@click.option("--loss", metavar="NAME", help="For an nn.Module: cross_entropy, mse …, of the batch's last part.")
@click.option("--time-limit", default=120.0, metavar="SECONDS", help="Default: 120.")
@click.option("--memory-limit", type=float, metavar="GIB", help="For --target. Default: half of this machine's memory.")
@format_option("text", "json", "html")
def train_check(
    device: str,
    seed: int,
    full: bool,
    nodes: int | None,
    strategy: str,
    target: str | None,
    time_limit: float,
    memory_limit: float | None,
    output: str,
    **options: str | None,
) -> None:
    """Train a model on the devices of this machine, to prove that training works on each.

    Without --target it is a small sample. With it your code runs, in a process of its own: within limits, without
    network and, where the system allows it, with whatever it writes into the project discarded. Without --data and
    --batch, its own loaders, the DataModule of its file or its layers tell what to train it on.

    With --nodes, torchrun starts this command once for each process on each machine; all of them train the sample
    together, with the checks that hold for many processes, and the first one reports. The others speak up only if
    something is broken there. What they exchange needs a network that they can reach each other on.

    --format html prints a page with the loss curves: train-check --format html > report.html

    Exit code: 0 nothing is broken, 1 something is, 2 it could not run.

    \b
    Examples:
      mlrules-mcp train-check
      mlrules-mcp train-check --target model.py:Net --init-args '{"hidden": 64}' --data data.py:Digits
      mlrules-mcp train-check --target src/model.py:Net --init-args config.yaml
      mlrules-mcp train-check --target net.py --loss cross_entropy \\
        --batch '[{"shape": [8, 3, 32, 32]}, {"shape": [8], "dtype": "int64", "high": 10}]'
      torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
        --no-python mlrules-mcp train-check --nodes 2 --strategy fsdp
    """
    import asyncio

    from mlrules_mcp.report.progress import training_progress
    from mlrules_mcp.report.text import training_text
    from mlrules_mcp.training.errors import TrainingError
    from mlrules_mcp.training.run import check_training
    from mlrules_mcp.training.spread import Spread
    from mlrules_mcp.training.target.request import read_target

    try:
        given = [name for name, value in {**options, "memory_limit": memory_limit}.items() if value is not None]
        if target is None and given:
            raise Failure(f"--{given[0].replace('_', '-')} is for your own module: pass --target, too.")
        if target is not None and nodes is not None:
            raise Failure("--nodes trains the sample: your own module runs without a network.")
        spread = None if nodes is None else Spread.of_environment(nodes, strategy)
        subject = None if target is None else read_target(target, folder=Path.cwd(), **options)
        with training_progress() as progress:
            checking = check_training(
                device,
                seed=seed,
                full=full,
                spread=spread,
                target=subject,
                time_limit=time_limit,
                memory_limit=None if memory_limit is None else int(memory_limit * 2**30),
                progress=progress,
            )
            result = asyncio.run(checking)
    except TrainingError as error:
        raise Failure(str(error)) from None
    if spread is not None and spread.rank and not result.broken:
        return
    if output == "html":
        from mlrules_mcp.report.training_html import training_html

        click.echo(training_html(result))
    else:
        click.echo(to_json(result.to_dict()) if output == "json" else training_text(result, click.style))
    sys.exit(int(bool(result.broken)))
