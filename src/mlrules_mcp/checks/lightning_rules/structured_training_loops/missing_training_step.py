from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import ancestry_is_known, has_method, is_abstract, is_test
from mlrules_mcp.checks.lightning_rules._trainers import fits, local_class_of
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE


class MissingTrainingStep(Check[ast.ClassDef]):
    """A LightningModule that is trained and has no `training_step`.

    ## What it does
    Finds LightningModules without `training_step` that the file passes to `fit`, or that define
    `configure_optimizers` and so are made for training. The latter is advice.

    ## Why it matters
    `fit` raises a MisconfigurationException before the first step.

    ## Do not flag
    Classes made to be inherited from, classes with a base in another file, modules for prediction alone, a
    `training_step` that is assigned, tests.

    ## Fix safety
    No fix: the step is the model's own.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#training-step
    """

    packages = LIGHTNING
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import lightning as L

            class «Classifier»(L.LightningModule):
                def train_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())

            L.Trainer().fit(Classifier(), loader)
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class «Classifier»(pl.LightningModule):
                def forward(self, x):
                    return self.net(x)

                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
            advice=True,
        ),
        Good(
            """
            import lightning as L

            class Optimizing(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

            class Classifier(Optimizing):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            class Embedder(L.LightningModule):
                def forward(self, x):
                    return self.net(x)

            class OptimizerMixin(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
            "bases, and a module for prediction",
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

            Classifier.training_step = step
            """
        ),
        Good(
            """
            import os
            import lightning as L

            class Model(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                if os.environ.get("CHUNKED"):
                    def training_step(self, batch, batch_idx):
                        return self.chunked_loss(batch)
                else:
                    def training_step(self, batch, batch_idx):
                        return self.loss(batch)
            """,
            "defined under a condition",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        if (
            not module.is_subclass(node, LIGHTNING_MODULE)
            or has_method(module, node, "training_step")
            or not ancestry_is_known(module, node)
            or _is_assigned(module)
            or is_test(module)
        ):
            return
        fitted = any(local_class_of(module, fit.model) is node for fit in fits(module))
        optimizes = any(method.name == "configure_optimizers" for method in module.methods(node))
        if fitted or (optimizes and not is_abstract(module, node)):
            yield self.finding(
                module,
                module.defined_name(node),
                f"`fit` raises a MisconfigurationException, because `{node.name}` has no `training_step`. "
                "Define `training_step(self, batch, batch_idx)` and return the loss.",
                advice=not fitted,
            )


def _is_assigned(module: Module) -> bool:
    return any(
        attribute.attr == "training_step" and isinstance(attribute.ctx, ast.Store)
        for attribute in module.nodes(ast.Attribute)
    )
