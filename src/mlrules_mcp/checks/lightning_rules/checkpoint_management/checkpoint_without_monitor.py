from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING, MODEL_CHECKPOINTS
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments


class CheckpointWithoutMonitor(Check[ast.Call]):
    """A ModelCheckpoint that is to keep the best ones and not told by which metric.

    ## What it does
    Finds `ModelCheckpoint(save_top_k=n)` without `monitor`, for any number but -1, 0 and 1.

    ## Why it matters
    Without a metric there is no best: the call raises a MisconfigurationException.

    ## Do not flag
    `save_top_k=-1` (keep all), `0` (none) and `1` (the last), arguments passed through `**kwargs`, tests.

    ## Fix safety
    No fix: which metric counts, and whether a high or a low value is good, is a choice.

    ## References
    - https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.callbacks.ModelCheckpoint.html
    """

    names = frozenset({"ModelCheckpoint"})
    packages = LIGHTNING
    examples = (
        Bad(
            """
            from lightning.pytorch.callbacks import ModelCheckpoint

            checkpoint = ModelCheckpoint(dirpath="checkpoints", «save_top_k=3»)
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            best = 5
            callbacks = [pl.callbacks.ModelCheckpoint("checkpoints", "{epoch}", None, «save_top_k=best»)]
            """
        ),
        Good(
            """
            from lightning.pytorch.callbacks import ModelCheckpoint

            best = ModelCheckpoint(monitor="val_loss", save_top_k=3)
            every = ModelCheckpoint(save_top_k=-1, every_n_epochs=1)
            last = ModelCheckpoint(save_top_k=1)
            none = ModelCheckpoint(save_top_k=0)
            positional = ModelCheckpoint("checkpoints", None, "val_loss", save_top_k=2)
            open_ended = ModelCheckpoint(save_top_k=3, **options)
            """
        ),
        Good(
            """
            from lightning.pytorch.callbacks import ModelCheckpoint
            from other import ModelCheckpoint as Other

            def make(metric, count):
                callbacks = [ModelCheckpoint(monitor=metric, save_top_k=2), ModelCheckpoint(save_top_k=count)]
                return [*callbacks, Other(save_top_k=2)]
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        keyword = next((each for each in node.keywords if each.arg == "save_top_k"), None)
        if keyword is None or passes_unseen_arguments(node) or not module.is_call_to(node, *MODEL_CHECKPOINTS):
            return
        monitor = argument(node, "monitor", 2)
        if monitor is not None and not (isinstance(monitor, ast.Constant) and monitor.value is None):
            return
        numbers = [_number(origin) for origin in module.origins(keyword.value)]
        if all(number is not None and number not in (-1, 0, 1) for number in numbers) and not is_test(module):
            yield self.finding(
                module,
                keyword,
                f"`ModelCheckpoint` raises a MisconfigurationException, because `save_top_k={numbers[0]}` needs a "
                'metric to choose by. Pass `monitor="val_loss"`, or another logged metric, and its `mode`.',
            )


def _number(value: ast.expr) -> int | None:
    match value:
        case ast.Constant(value=int() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
            return -number
    return None
