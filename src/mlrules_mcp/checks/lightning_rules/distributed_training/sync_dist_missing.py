from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.lightning_rules._classes import is_abstract, is_test, lightning_modules, with_own_helpers
from mlrules_mcp.checks.lightning_rules._trainers import uses_several_devices
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments
from mlrules_mcp.source.tree import Function

_EVALUATION = ("validation_step", "test_step", "on_validation_epoch_end", "on_test_epoch_end")
_SYNCED = pattern(r"all_gather|all_reduce|reduce_tensor|sync_dist|gather_all|barrier")
# Names of torchmetrics' objects, which reduce over processes themselves.
_METRIC_OBJECT = pattern(
    r"(^|_)(metrics?|acc|accuracy|f1|auroc|auc|iou|map|mae|mse|recall|precision|kappa|dice)\b|compute"
)


class SyncDistMissing(Check[ast.Module]):
    """A metric of validation or test that is logged for one process alone.

    ## What it does
    Finds `self.log` and `self.log_dict` in `validation_step`, `test_step` and the ends of their epochs without
    `sync_dist=True`, where the file's Trainer uses several devices. Where the file makes no Trainer, or leaves the
    devices open, it is advice.

    ## Why it matters
    With several processes each one sees its part of the data. Without `sync_dist` the logged value is that of the first
    process, and so is what checkpoints are chosen and early stopping is decided by.

    ## Do not flag
    Objects of torchmetrics, which reduce over processes themselves; `rank_zero_only=True`; code that gathers by hand;
    files whose Trainer uses one device; training steps; classes made to be inherited from; tests.

    ## Fix safety
    Suggested: all processes have to reach the call, or those that do wait for ever.

    ## References
    - https://lightning.ai/docs/pytorch/stable/extensions/logging.html
    - https://lightning.ai/docs/pytorch/stable/accelerators/accelerator_prepare.html
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.log("train_loss", loss)
                    return loss

                def validation_step(self, batch, batch_idx):
                    «self.log("val_loss", self.loss(batch), prog_bar=True)»
                    ‹self.log_dict({"a": self.a(batch)})›

            trainer = L.Trainer(devices=4, strategy="ddp")
            trainer.fit(Classifier(), loader)
            """,
            suggested_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.log("train_loss", loss)
                    return loss

                def validation_step(self, batch, batch_idx):
                    self.log("val_loss", self.loss(batch), prog_bar=True, sync_dist=True)
                    self.log_dict({"a": self.a(batch)}, sync_dist=True)

            trainer = L.Trainer(devices=4, strategy="ddp")
            trainer.fit(Classifier(), loader)
            """,
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def validation_step(self, batch, batch_idx):
                    return self._evaluate(batch, "val")

                def _evaluate(self, batch, stage):
                    loss = self.loss(batch)
                    «self.log(f"{stage}_loss", loss)»
            """,
            suggested_fix="""
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def validation_step(self, batch, batch_idx):
                    return self._evaluate(batch, "val")

                def _evaluate(self, batch, stage):
                    loss = self.loss(batch)
                    self.log(f"{stage}_loss", loss, sync_dist=True)
            """,
            advice=True,
        ),
        Good(
            """
            import lightning as L
            import torchmetrics

            class Classifier(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.correct = torchmetrics.Accuracy(task="binary")
                    self.val_acc = make_metric()

                def validation_step(self, batch, batch_idx):
                    self.correct(self(batch[0]), batch[1])
                    self.log("val_correct", self.correct)
                    self.log("val_acc", self.val_acc)
                    self.log("val_loss", self.loss(batch), sync_dist=True)
                    self.log("time", self.elapsed, rank_zero_only=True)
                    self.log("open", self.elapsed, **self.options)
                    self.log("train_loss", self.last_loss)

                def on_validation_epoch_end(self):
                    self.log("val_f1", self.scores.compute())

            class Gathering(L.LightningModule):
                def validation_step(self, batch, batch_idx):
                    losses = self.all_gather(self.loss(batch))
                    self.log("val_loss", losses.mean())

            L.Trainer(devices=8).fit(Classifier(), loader)
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def validation_step(self, batch, batch_idx):
                    self.log("val_loss", self.loss(batch))

            L.Trainer(accelerator="gpu", devices=1).fit(Classifier(), loader)
            """,
            "one device",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        classes = lightning_modules(module)
        several = uses_several_devices(module) if classes else False
        if several is False or is_test(module):
            return
        for cls in classes:
            calls = [] if is_abstract(module, cls) else list(_unsynced(module, cls))
            if calls:
                edits = (SetArgument(Span.of(call), "sync_dist", "True") for call in calls)
                yield self.finding(
                    module,
                    calls[0],
                    "With several devices this logs the value of the first process's part of the data. "
                    "Pass `sync_dist=True`, which averages over all processes.",
                    fix=suggested("Average over processes", *edits),
                    advice=several is None,
                    also_at=calls[1:],
                )


def _unsynced(module: Module, cls: ast.ClassDef) -> Iterator[ast.Call]:
    """The calls of `self.log` in validation and test, and in the helpers that they call, which no process shares."""
    functions: dict[Function, None] = {}
    for method in module.methods(cls):
        if method.name in _EVALUATION:
            functions.update(dict.fromkeys(with_own_helpers(module, cls, method)))
    # A helper of a base class is spoken of there.
    own = {function for function in functions if module.enclosing_class(function) is cls}
    for call in module.calls("log", "log_dict"):
        function = module.enclosing_function(call)
        if function not in own or not _is_call_on_self(call) or _gathers(module, function):
            continue
        if not (passes_unseen_arguments(call) or _is_settled(call) or _reduces_itself(module, call)):
            yield call


def _is_call_on_self(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "self"


def _gathers(module: Module, function: Function) -> bool:
    calls = (node for node in module.walk(function.body) if isinstance(node, ast.Call))
    return any(_SYNCED.search(ast.unparse(call.func)) for call in calls)


def _is_settled(call: ast.Call) -> bool:
    """Whether a call says how processes share the value, or logs what validation doesn't average."""
    names = {keyword.arg for keyword in call.keywords}
    on_epoch = argument(call, "on_epoch")
    never_averaged = isinstance(on_epoch, ast.Constant) and on_epoch.value is False
    of_training = bool(call.args) and ast.unparse(call.args[0]).strip("f'\"").startswith("train")
    return bool(names & {"sync_dist", "rank_zero_only"}) or never_averaged or of_training


def _reduces_itself(module: Module, call: ast.Call) -> bool:
    """Whether what is logged is an object of torchmetrics, or what one computed over all processes."""
    is_dictionary = module.called_name(call) == "log_dict"
    value = argument(call, "dictionary" if is_dictionary else "value", 0 if is_dictionary else 1)
    values = value.values if isinstance(value, ast.Dict) else [value] if value is not None else []
    return any(_is_metric(module, each) for each in values if each is not None)


def _is_metric(module: Module, value: ast.expr) -> bool:
    while isinstance(value, ast.Subscript):
        value = value.value
    if isinstance(value, ast.Attribute) and _METRIC_OBJECT.search(value.attr):
        return True
    return any(_is_computed(module, origin) for origin in module.origins(value))


def _is_computed(module: Module, origin: ast.expr) -> bool:
    match origin:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Attribute(attr="compute")):
            return True
        case ast.Call(func=func):
            return (module.qualified_name(func) or "").startswith("torchmetrics.")
    return False
