from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.lightning_rules._classes import is_test, steps_of
from mlrules_mcp.findings import Finding, Fix, RemoveStatement, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE

_STAGES = {"training_step": "train", "validation_step": "val", "test_step": "test", "predict_step": "predict"}
_METRIC_NAME = pattern(r"loss|acc|err|score|metric|iou|dice|f1|auc|ppl|perplexity|recall|psnr|mse|mae", re.I)


class PrintInStep(Check[ast.ClassDef]):
    """A `print` in a step of a LightningModule.

    ## What it does
    Finds `print(…)` that runs for every batch in `training_step`, `validation_step`, `test_step` or `predict_step`,
    or in a method that these call.

    ## Why it matters
    Every process prints, for every batch, through the progress bar; a tensor that is printed makes Python wait for the
    device. What is printed reaches no logger, can't be plotted and is averaged over nothing.

    ## Do not flag
    Prints under a condition (every so many batches, one process, an error), `self.print`, tests.

    ## Fix safety
    Suggested: one value becomes `self.log`, and goes where it is logged already.

    ## References
    - https://lightning.ai/docs/pytorch/stable/extensions/logging.html
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    «print(f"loss: {loss}")»
                    return loss
            """,
            suggested_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.log("train_loss", loss)
                    return loss
            """,
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def validation_step(self, batch, batch_idx):
                    self.evaluate(batch)

                def evaluate(self, batch):
                    accuracy = self.accuracy(batch)
                    self.log("accuracy", accuracy)
                    «print("accuracy", accuracy.item())»
                    ‹print("labels", batch[1].shape, batch[0].shape)›
            """,
            suggested_fix="""
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def validation_step(self, batch, batch_idx):
                    self.evaluate(batch)

                def evaluate(self, batch):
                    accuracy = self.accuracy(batch)
                    self.log("accuracy", accuracy)
                    print("labels", batch[1].shape, batch[0].shape)
            """,
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    if batch_idx % 100 == 0:
                        print("loss", loss)
                    try:
                        self.log("loss", loss)
                    except RuntimeError:
                        print("no logger")
                    self.print("once")
                    if self.global_step % 1000 == 0:
                        self.save_weights()
                    return loss

                def save_weights(self):
                    print("saved")

                def on_train_epoch_end(self):
                    print("epoch", self.current_epoch)

                def summary(self):
                    print(self.net)
            """
        ),
        Good(
            """
            import lightning as L

            class Runner:
                def training_step(self, batch, batch_idx):
                    print(self.loss(batch))
            """,
            "no LightningModule",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        prints = [call for call in module.calls("print") if isinstance(call.func, ast.Name)]
        if not prints or not module.is_subclass(node, LIGHTNING_MODULE) or is_test(module):
            return
        for function, stage in steps_of(module, node).items():
            if function.name != stage and not _is_called_each_time(module, function):
                continue
            for call in prints:
                if module.enclosing_function(call) is function and _runs_each_time(module, call, function):
                    yield self.finding(
                        module,
                        call,
                        "Every process prints this for every batch, and no logger gets it. Use `self.log`, which "
                        "averages, or print every so many batches with `self.print`.",
                        fix=_fix(module, call, _STAGES.get(stage, stage)),
                    )


def _is_called_each_time(module: Module, helper: Function) -> bool:
    """Whether a method that steps call is called without a condition."""
    callers = ((call, module.enclosing_function(call)) for call in module.calls(helper.name))
    return any(caller is not None and _runs_each_time(module, call, caller) for call, caller in callers)


def _runs_each_time(module: Module, call: ast.Call, function: Function) -> bool:
    for ancestor in module.ancestors(call):
        if ancestor is function:
            break
        if isinstance(ancestor, ast.ExceptHandler):
            return False
    return not any(module.is_inside(guard.test, function) for guard in module.guards(call))


def _fix(module: Module, call: ast.Call, stage: str) -> Fix | None:
    values = [_bare(value) for value in _printed(call)]
    if len(values) != 1 or not isinstance(values[0], ast.Name) or not _METRIC_NAME.search(values[0].id):
        return None
    name = values[0].id
    if name in _logged_names(module, call):
        return suggested(f"`{name}` is logged already", RemoveStatement(Span.of(module.statement(call))))
    return suggested(f"Log `{name}`", Replace(Span.of(call), f'self.log("{stage}_{name}", {name})'))


def _printed(call: ast.Call) -> Iterator[ast.expr]:
    """What a print shows besides fixed text."""
    for argument in call.args:
        match argument:
            case ast.JoinedStr(values=parts):
                yield from (part.value for part in parts if isinstance(part, ast.FormattedValue))
            case ast.Constant():
                pass
            case _:
                yield argument


def _bare(value: ast.expr) -> ast.expr:
    """A value without the `.item()` or the like that is called on it."""
    while (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in ("item", "detach", "cpu")
    ):
        value = value.func.value
    return value


def _logged_names(module: Module, call: ast.Call) -> set[str]:
    """The variables that the function around a call logs."""
    function = module.enclosing_function(call)
    return {
        name.id
        for log in module.calls("log", "log_dict")
        if module.enclosing_function(log) is function
        for argument in log.args
        for name in ast.walk(argument)
        if isinstance(name, ast.Name)
    }
