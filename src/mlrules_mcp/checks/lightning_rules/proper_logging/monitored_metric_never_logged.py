from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import EARLY_STOPPINGS, LIGHTNING, MODEL_CHECKPOINTS
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import has_method, is_abstract, is_test, lightning_modules
from mlrules_mcp.checks.lightning_rules._trainers import class_of, fits
from mlrules_mcp.checks.lightning_rules.proper_logging._logged import logged_metrics
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_MOST_NAMES = 4


class MonitoredMetricNeverLogged(Check[ast.Module]):
    """A callback or schedule that watches a metric which nothing logs.

    ## What it does
    Finds `monitor="val_loss"` of EarlyStopping, of ModelCheckpoint and of a `ReduceLROnPlateau` in
    `configure_optimizers`, where the module that is trained stands in the same file and no `self.log` writes that key.

    ## Why it matters
    `fit` ends with a RuntimeError or a MisconfigurationException after the first validation, or at the end of the
    first epoch: when the callback looks for its metric.

    ## Do not flag
    Modules of other files, classes with a base in another file, keys that are put together at run time, modules that
    pass themselves or their `log` on, `epoch` and `step`, `strict=False`, tests.

    ## Fix safety
    No fix: the metric is misspelt here or there, or not computed at all.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/early_stopping.html
    - https://lightning.ai/docs/pytorch/stable/common/checkpointing_intermediate.html
    """

    packages = LIGHTNING
    speaks_of_absence = True
    words = ("monitor", "EarlyStopping")
    examples = (
        Bad(
            """
            import lightning as L
            from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.log("train_loss", loss)
                    return loss

                def validation_step(self, batch, batch_idx):
                    self.log_dict({"valid_loss": self.loss(batch), "valid_acc": self.accuracy(batch)})

            callbacks = [EarlyStopping(monitor=«"val_loss"»), ModelCheckpoint(monitor="valid_acc", mode="max")]
            L.Trainer(callbacks=callbacks).fit(Classifier(), loader)
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Classifier(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx):
                    self._log(batch, "val")

                def _log(self, batch, stage):
                    self.log(f"{stage}/loss", self.loss(batch))

                def configure_optimizers(self):
                    optimizer = sgd(self.parameters())
                    return {
                        "optimizer": optimizer,
                        "lr_scheduler": {"scheduler": ReduceLROnPlateau(optimizer), "monitor": «"val_loss"»},
                    }
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx):
                    return {"val_loss": self.loss(batch)}

            model = Classifier()
            metric = «"val_loss"»
            trainer = pl.Trainer(callbacks=[pl.callbacks.ModelCheckpoint(monitor=metric)])
            trainer.fit(model, loader)
            """
        ),
        Good(
            """
            import lightning as L
            from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.log("loss", loss, on_step=True, on_epoch=True)
                    return loss

                def validation_step(self, batch, batch_idx):
                    for stage in ("val", "other"):
                        self.log(f"{stage}_loss", self.loss(batch))

            callbacks = [
                EarlyStopping("val_loss"),
                ModelCheckpoint(monitor="loss_epoch"),
                ModelCheckpoint(monitor="step", mode="max"),
                EarlyStopping("val_accuracy", strict=False),
            ]
            L.Trainer(callbacks=callbacks).fit(Classifier(), loader)
            """
        ),
        Good(
            """
            import lightning as L
            from lightning.pytorch.callbacks import EarlyStopping
            from torchmetrics import MetricCollection

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx):
                    self.log_dict(self.metrics(self(batch[0]), batch[1]))

            L.Trainer(callbacks=[EarlyStopping("val_accuracy")]).fit(Classifier(), loader)
            """,
            "keys that a collection of metrics gives",
        ),
        Good(
            """
            import lightning as L
            from lightning.pytorch.callbacks import EarlyStopping
            from project import Classifier, log_all

            class Probe(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            L.Trainer(callbacks=[EarlyStopping("val_accuracy")]).fit(Classifier(), loader)
            """,
            "the module that is trained stands elsewhere",
        ),
        Good(
            """
            import lightning as L
            from lightning.pytorch.callbacks import EarlyStopping
            from project import log_all

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return log_all(self, batch)

            L.Trainer(callbacks=[EarlyStopping("val_accuracy")]).fit(Classifier(), loader)
            """,
            "a function of another file may log it",
        ),
        Good(
            """
            import lightning as L
            from project import OwnTrainer
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return {"loss": self.loss(batch), "accuracy": self.accuracy(batch)}

                def configure_optimizers(self):
                    optimizer = sgd(self.parameters())
                    return {"optimizer": optimizer, "scheduler": ReduceLROnPlateau(optimizer), "monitor": "accuracy"}

            OwnTrainer(fabric).fit(Classifier(), loader)
            """,
            "a trainer of the project's own",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module) or not any(_trains_here(module)):
            return
        logged = logged_metrics(module)
        if logged is None:
            return
        for monitor in (*_of_callbacks(module), *(_of_schedules(module) if logged.names else ())):
            if isinstance(monitor.value, str) and not logged.holds(monitor.value):
                # The run ends: worse than the rule's own level.
                yield self.finding(module, monitor, _message(monitor.value, logged.names), error=True)


def _trains_here(module: Module) -> Iterator[tuple[Module, ast.ClassDef]]:
    """The LightningModules that the callbacks and schedules of a file watch, each with the module it stands in."""
    fitted = {class_of(module, fit.model) for fit in fits(module)}
    here = ((module, cls) for cls in lightning_modules(module) if not is_abstract(module, cls))
    for trained in () if None in fitted else fitted or here:
        if trained and has_method(*trained, "training_step"):
            yield trained


def _of_callbacks(module: Module) -> Iterator[ast.Constant]:
    """The literal metrics that callbacks watch, where a module of this file is trained with them."""
    if not fits(module):
        return
    for call in module.calls("EarlyStopping", "ModelCheckpoint"):
        stops = module.is_call_to(call, *EARLY_STOPPINGS)
        if (stops or module.is_call_to(call, *MODEL_CHECKPOINTS)) and not _is_lenient(call):
            monitor = argument(call, "monitor", 0 if stops else 2)
            yield from _constants(module, monitor)


def _is_lenient(call: ast.Call) -> bool:
    strict = argument(call, "strict")
    return isinstance(strict, ast.Constant) and not strict.value


def _of_schedules(module: Module) -> Iterator[ast.Constant]:
    """The literal metrics under `"monitor"` in a `configure_optimizers` that makes a ReduceLROnPlateau."""
    for owner, cls in _trains_here(module):
        configure = module.method(cls, "configure_optimizers") if owner is module else None
        if configure is None:
            continue
        nodes = list(module.walk(configure.body))
        if not any(isinstance(n, ast.Call) and module.called_name(n) == "ReduceLROnPlateau" for n in nodes):
            continue
        for node in nodes:
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "monitor":
                        yield from _constants(module, value)


def _constants(module: Module, value: ast.expr | None) -> Iterator[ast.Constant]:
    if value is not None:
        yield from (origin for origin in module.origins(value) if isinstance(origin, ast.Constant))


def _message(monitor: str, names: tuple[str, ...]) -> str:
    known = ", ".join(f"`{name}`" for name in names[:_MOST_NAMES])
    more = " and more" if len(names) > _MOST_NAMES else ""
    instead = f"or watch what is logged: {known}{more}" if names else "since what the steps return is not logged"
    return (
        f"`fit` ends with an error when this metric is looked for, because nothing here logs `{monitor}`. "
        f'Log it with `self.log("{monitor}", …)`, {instead}.'
    )
