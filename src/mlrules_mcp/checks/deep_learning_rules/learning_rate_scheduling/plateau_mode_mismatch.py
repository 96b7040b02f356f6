from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._schedulers import (
    PLATEAU,
    entry,
    lightning_schedules,
    schedule_steps,
)
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_BETTER_HIGH = pattern(
    r"(?i)(^|[_/. \d@-])(acc|accuracy|top[15]|acc[15]|f1|auc|auroc|rocauc|roc_auc|miou|iou|map|bleu|psnr|ssim|r2|"
    r"precision|recall|kappa|mcc)(\d|$|[_/. @-])|accuracy|(?<=[a-z])(Acc|AUC|F1|IoU)\b"
)
_BETTER_LOW = pattern(
    r"(?i)loss|(^|[_/. -])(err|error|mae|mse|rmse|mape|nll|bce|ppl|perplexity|wer|cer|eer|fid)($|[_/. \d-])|error"
)
_TURNED_ROUND = pattern(r"(?i)neg|minus|inv|(^|_)(best|early|patience)|dist")


class PlateauModeMismatch(Check[ast.Module]):
    """A ReduceLROnPlateau that watches in the wrong direction.

    ## What it does
    Finds a `ReduceLROnPlateau` with `mode="min"`, which is the default, that is stepped with an accuracy, F1, AUC or
    the like, and one with `mode="max"` that is stepped with a loss or an error. In Lightning, by the `"monitor"`.

    ## Why it matters
    Every improvement counts as a bad epoch, and a worse value as the best so far. The learning rate is cut while the
    model is learning, and kept when it stalls.

    ## Do not flag
    Values whose name says neither, or both, or that are turned round (`-acc`, `1 - acc`, `neg_loss`); a mode that the
    call does not show; a variable that may hold another kind of schedule.

    ## Fix safety
    Suggested: the mode is set to fit what the value is called.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
    """

    words = (PLATEAU,)
    examples = (
        Bad(
            """
            import torch

            scheduler = «torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=5)»
            for epoch in range(100):
                train(model, optimizer)
                val_loss, val_acc = validate(model)
                scheduler.step(val_acc)
            """,
            suggested_fix="""
            import torch

            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=5, mode="max")
            for epoch in range(100):
                train(model, optimizer)
                val_loss, val_acc = validate(model)
                scheduler.step(val_acc)
            """,
        ),
        Bad(
            """
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Trainer:
                def __init__(self, optimizer):
                    self.scheduler = «ReduceLROnPlateau(optimizer, mode="max", factor=0.5)»

                def end_epoch(self, metrics):
                    self.scheduler.step(metrics["val_loss"])
            """,
            suggested_fix="""
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Trainer:
                def __init__(self, optimizer):
                    self.scheduler = ReduceLROnPlateau(optimizer, mode="min", factor=0.5)

                def end_epoch(self, metrics):
                    self.scheduler.step(metrics["val_loss"])
            """,
        ),
        Bad(
            """
            import lightning as L
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    scheduler = «ReduceLROnPlateau(self.optimizer, "min")»
                    return {
                        "optimizer": self.optimizer,
                        "lr_scheduler": {"scheduler": scheduler, "monitor": "val/accuracy"},
                    }
            """,
        ),
        Good(
            """
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            by_loss = ReduceLROnPlateau(optimizer)
            by_accuracy = ReduceLROnPlateau(optimizer, mode="max")
            turned_round = ReduceLROnPlateau(optimizer)
            chosen = ReduceLROnPlateau(optimizer, mode=args.mode)
            unclear = ReduceLROnPlateau(optimizer)
            for epoch in range(100):
                val_loss, val_acc, score = train(model, optimizer)
                by_loss.step(val_loss)
                by_accuracy.step(val_acc)
                turned_round.step(-val_acc)
                turned_round.step(1 - val_acc)
                chosen.step(val_acc)
                unclear.step(score)
                unclear.step(accuracy_loss)
            """
        ),
        Good(
            """
            import lightning as L
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    scheduler = ReduceLROnPlateau(self.optimizer, mode="max")
                    return {"optimizer": self.optimizer, "lr_scheduler": scheduler, "monitor": "val_f1"}
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        for made, names in _watched(module).items():
            mode = _mode(made)
            wanted = {_direction(name) for name in names}
            if mode is None or wanted != ({"max"} if mode == "min" else {"min"}):
                continue
            better = wanted.pop()
            by_position = argument(made, "mode") is None and argument(made, "mode", 1) is not None
            yield self.finding(
                module,
                made,
                f'With `mode="{mode}"` an improvement of `{names[0]}` counts as a bad epoch, so the learning rate is '
                f'cut while the model is learning. Pass `mode="{better}"`.',
                fix=None
                if by_position
                else suggested(f'Set mode="{better}"', SetArgument(Span.of(made), "mode", f'"{better}"')),
            )


def _watched(module: Module) -> dict[ast.Call, list[str]]:
    """The schedules of a file with the names of what they watch."""
    watched: dict[ast.Call, list[str]] = {}
    for step in schedule_steps(module):
        metric = argument(step.call, "metrics", 0)
        if step.only(PLATEAU) and metric is not None:
            for _, made in step.schedules:
                watched.setdefault(made, []).append(_name(metric) or "")
    for schedule in lightning_schedules(module):
        dictionary = schedule.settings or schedule.outer
        if schedule.name == PLATEAU and dictionary is not None:
            match entry(dictionary, "monitor"):
                case ast.Constant(value=str() as name):
                    watched.setdefault(schedule.made, []).append(name)
    return watched


def _name(metric: ast.expr) -> str | None:
    """What a value is called: the name of a variable or attribute, or the key of an entry."""
    match metric:
        case ast.Call(func=ast.Attribute(value=value, attr="item" | "mean" | "cpu" | "detach")):
            return _name(value)
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
        case ast.Subscript(value=value, slice=ast.Constant() | ast.UnaryOp()):
            return _name(value)
        case ast.Name() | ast.Attribute():
            return last_name(metric)
    return None


def _direction(name: str) -> str | None:
    """Whether more or less of a value is better, by its name."""
    high, low = bool(_BETTER_HIGH.search(name)), bool(_BETTER_LOW.search(name))
    if high == low or _TURNED_ROUND.search(name):
        return None
    return "max" if high else "min"


def _mode(made: ast.Call) -> str | None:
    if passes_unseen_arguments(made):
        return None
    match argument(made, "mode", 1):
        case None:
            return "min"
        case ast.Constant(value="min" | "max" as mode):
            return str(mode)
    return None
