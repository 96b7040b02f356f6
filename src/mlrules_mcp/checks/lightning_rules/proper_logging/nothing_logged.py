from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import (
    ancestry_is_known,
    is_abstract,
    is_callback,
    is_test,
    passes_itself_on,
    uses_fabric,
)
from mlrules_mcp.checks.lightning_rules._trainers import trainers
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE

_LOGS = pattern(r"(?<![a-z])log(s|ged|ger|gers|ging)?(?![a-z])|wandb|mlflow|tensorboard|writer|add_scalar", re.I)


class NothingLogged(Check[ast.ClassDef]):
    """A LightningModule whose steps log nothing.

    ## What it does
    Finds LightningModules with `training_step` and `configure_optimizers` in which nothing is logged: no `self.log`,
    no logger, no tracker. It is advice for modules without `validation_step` in files that make no Trainer.

    ## Why it matters
    Loss and metrics of the run are lost, so that runs can't be compared, and callbacks that stop early or keep the
    best checkpoint have nothing to go by. What steps return is not logged.

    ## Do not flag
    Classes with a base in another file, classes made to be inherited from, modules that pass themselves on, files
    whose callbacks log, Fabric, tests.

    ## Fix safety
    No fix: which metrics count is a choice.

    ## References
    - https://lightning.ai/docs/pytorch/stable/extensions/logging.html
    """

    packages = LIGHTNING
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def «training_step»(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())

            L.Trainer().fit(Classifier(), loader)
            """
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def «training_step»(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
            advice=True,
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def «training_step»(self, batch, batch_idx):
                    loss = self.loss(batch)
                    print(loss)
                    return {"loss": loss}

                def validation_step(self, batch, batch_idx):
                    return {"val_loss": self.loss(batch)}

                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """
        ),
        Good(
            """
            import lightning as L

            class Logging(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.shared(batch, "train")

                def shared(self, batch, stage):
                    loss = self.loss(batch)
                    self.log(f"{stage}_loss", loss)
                    return loss

            class Classifier(Logging):
                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
            "logged in a base class's helper",
        ),
        Good(
            """
            import lightning as L
            from project import metrics

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.logger.experiment.add_scalar("loss", loss)
                    return loss

                def configure_optimizers(self):
                    return optimizer(self.parameters())

            class Other(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return metrics.step(self, batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())

            class Inherited(metrics.Base):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.trainer.last_loss = loss.detach()
                    return loss

                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
            "a callback logs what the trainer holds",
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())

            class Report(L.Callback):
                def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
                    pl_module.log("loss", outputs["loss"])
            """,
            "a callback logs",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        if not module.is_subclass(node, LIGHTNING_MODULE):
            return
        step = module.method(node, "training_step")
        if (
            step is None
            or module.method(node, "configure_optimizers") is None
            or not ancestry_is_known(module, node)
            or is_abstract(module, node)
            or uses_fabric(module)
            or is_test(module)
            or any(_logs(owner, cls) for owner, cls in _may_log(module, node))
            or passes_itself_on(module, node)
        ):
            return
        yield self.finding(
            module,
            module.defined_name(step),
            f"Loss and metrics of `{node.name}` are recorded nowhere, as what steps return is not logged. "
            'Call `self.log("train_loss", loss)` here, and log the metrics of validation too.',
            # Where the run is set up elsewhere, a callback of that file may log.
            advice=not trainers(module) and module.method(node, "validation_step") is None,
        )


def _may_log(module: Module, cls: ast.ClassDef) -> Iterator[tuple[Module, ast.ClassDef]]:
    """A module's classes, and the callbacks of its file."""
    yield from module.ancestry(cls)
    yield from ((module, other) for other in module.nodes(ast.ClassDef) if is_callback(module, other))


def _logs(module: Module, cls: ast.ClassDef) -> bool:
    for node in module.walk(cls, into_functions=True):
        match node:
            case ast.Call(func=ast.Attribute() | ast.Name() as func, args=[_, *_]) if _LOGS.search(ast.unparse(func)):
                if not (module.qualified_name(func) or "").startswith(("torch.", "math.", "numpy.")):
                    return True
            case ast.Attribute(attr="logger" | "loggers" | "experiment"):
                return True
            case ast.Attribute(value=ast.Attribute(attr="trainer"), ctx=ast.Store()):
                return True  # a value for the callbacks that see the trainer
    return False
