from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import (
    ancestry_is_known,
    has_method,
    is_abstract,
    is_test,
    passes_itself_on,
    returned,
)
from mlrules_mcp.checks.lightning_rules._trainers import fits, local_class_of
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE


class MissingConfigureOptimizers(Check[ast.ClassDef]):
    """A LightningModule with a `training_step` and no `configure_optimizers`.

    ## What it does
    Finds LightningModules that define, or inherit, `training_step` and not `configure_optimizers`. It is advice where
    the file does not train the module.

    ## Why it matters
    `fit` raises a MisconfigurationException before the first step.

    ## Do not flag
    Classes made to be inherited from, classes with a base in another file, files that use LightningCLI (it can add
    the optimizer), `configure_optimizers` that is assigned, modules whose step returns a tuple, as a part of another
    module's step, tests.

    ## Fix safety
    No fix: the optimizer and its learning rate are a choice.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#configure-optimizers
    """

    packages = LIGHTNING
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import lightning as L

            class «Classifier»(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            trainer = L.Trainer()
            trainer.fit(Classifier(), loader)
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Steps(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            class «Classifier»(Steps):
                def forward(self, x):
                    return self.net(x)

            def main():
                model = Classifier()
                pl.Trainer(max_epochs=3).fit(model, datamodule=data)
            """
        ),
        Bad(
            """
            import lightning as L

            class «Classifier»(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx):
                    self.log("val_loss", self.loss(batch))
            """,
            advice=True,
        ),
        Good(
            """
            import lightning as L

            class BaseClassifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            class Classifier(BaseClassifier):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

            L.Trainer().fit(Classifier(), loader)
            """,
            "a base for others",
        ),
        Good(
            """
            import lightning as L
            from project import BaseClassifier

            class Classifier(BaseClassifier, L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            L.Trainer().fit(Classifier(), loader)
            """,
            "the base may define it",
        ),
        Good(
            """
            from lightning.pytorch import LightningModule
            from lightning.pytorch.cli import LightningCLI

            class Classifier(LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            LightningCLI(Classifier)
            """,
            "LightningCLI adds the optimizer",
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def forward(self, x):
                    return self.net(x)

                def predict_step(self, batch, batch_idx):
                    return self(batch)
            """,
            "not made for training",
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def __init__(self, optimizer):
                    super().__init__()
                    self.optimizer = optimizer
                    self.optimizer.connect(self)

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            L.Trainer().fit(Classifier(optimizer))
            """,
            "what it is handed to may give it the method",
        ),
        Good(
            """
            import lightning as L

            class OnlineProbe(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    return loss, {"probe_loss": loss}
            """,
            "a part of another module's step",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        if (
            not module.is_subclass(node, LIGHTNING_MODULE)
            or module.method(node, "training_step") is None
            or has_method(module, node, "configure_optimizers")
            or not ancestry_is_known(module, node)
            or any(passes_itself_on(*each) for each in module.ancestry(node))
            or module.fact(_is_provided)
            or is_test(module)
        ):
            return
        fitted = any(local_class_of(module, fit.model) is node for fit in fits(module))
        if fitted or not (is_abstract(module, node) or _is_part_of_another(module, node)):
            yield self.finding(
                module,
                module.defined_name(node),
                f"`fit` raises a MisconfigurationException, because `{node.name}` has no `configure_optimizers`. "
                "Define `configure_optimizers(self)` and return an optimizer of `self.parameters()`.",
                advice=not fitted,
            )


def _is_part_of_another(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class's step returns what only another module can use: a tuple."""
    step = module.method(cls, "training_step")
    return step is not None and any(isinstance(each.value, ast.Tuple) for each in returned(module, step))


def _is_provided(module: Module) -> bool:
    """Whether the optimizer may come from elsewhere: LightningCLI, or a method that is assigned."""
    return "LightningCLI" in module.source.code or any(
        attribute.attr == "configure_optimizers" and isinstance(attribute.ctx, ast.Store)
        for attribute in module.nodes(ast.Attribute)
    )
