from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING, STEPS
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.lightning_rules._classes import is_abstract, is_test, lightning_module_name, uses_fabric
from mlrules_mcp.checks.lightning_rules._trainers import fits, local_class_of
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import MODULE

_METHODS = frozenset({*STEPS, "configure_optimizers"})


class StepMethodsOutsideLightningModule(Check[ast.ClassDef]):
    """A class with the methods of a LightningModule that is none.

    ## What it does
    Finds classes with `training_step` and `configure_optimizers` (or another step) that inherit from `nn.Module` or
    from nothing, in a file that imports Lightning; one with `training_step` alone where the file passes it to `fit`.

    ## Why it matters
    The Trainer takes a LightningModule only: `fit` raises a TypeError. Without the base class there is no `self.log`,
    no checkpoint of hyperparameters and no device of the module's own either.

    ## Do not flag
    Mixins, and classes that another class of the file inherits from; Fabric, which trains plain modules; modules that
    are made only of `forward`; classes with a base in another file; tests.

    ## Fix safety
    Suggested: LightningModule takes the place of `nn.Module`, which it inherits from.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L
            from torch import nn

            class Classifier(«nn.Module»):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
            suggested_fix="""
            import lightning as L
            from torch import nn

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
        ),
        Bad(
            """
            import torch
            from pytorch_lightning import LightningModule, Trainer

            class Classifier(«torch.nn.Module»):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx):
                    self.log("val_loss", self.loss(batch))
            """,
            suggested_fix="""
            import torch
            from pytorch_lightning import LightningModule, Trainer

            class Classifier(LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx):
                    self.log("val_loss", self.loss(batch))
            """,
        ),
        Bad(
            """
            from lightning.pytorch import Trainer

            class «Classifier»:
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.net.parameters())
            """
        ),
        Bad(
            """
            import lightning as L
            from torch import nn

            class Classifier(«nn.Module»):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            L.Trainer().fit(Classifier(), loader)
            """,
            suggested_fix="""
            import lightning as L
            from torch import nn

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            L.Trainer().fit(Classifier(), loader)
            """,
        ),
        Good(
            """
            import lightning as L
            from torch import nn

            class Head(nn.Module):
                def forward(self, x):
                    return self.linear(x)

            class LossMixin:
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx):
                    return self.loss(batch)

            class Classifier(LossMixin, L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
            "building blocks",
        ),
        Good(
            """
            import lightning as L
            from torch import nn

            class Classifier(nn.Module):
                def training_step(self, batch):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())

            fabric = L.Fabric()
            """,
            "Fabric trains plain modules",
        ),
        Good(
            """
            import lightning as L
            from project import BaseModule

            class Classifier(BaseModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters())
            """,
            "the base may be a LightningModule",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        if (
            module.method(node, "training_step") is None
            or not (_has_other_steps(module, node) or _is_fitted(module, node))
            or any(module.qualified_name(base) not in (MODULE, "builtins.object") for base in node.bases)
            or is_abstract(module, node)
            or uses_fabric(module)
            or is_test(module)
        ):
            return
        base = node.bases[0] if node.bases else None
        yield self.finding(
            module,
            base or module.defined_name(node),
            f"`fit` raises a TypeError for `{node.name}`, because the Trainer takes a LightningModule only. "
            "Inherit from `LightningModule`.",
            fix=_as_lightning_module(module, base),
        )


def _has_other_steps(module: Module, cls: ast.ClassDef) -> bool:
    return len(_METHODS & {method.name for method in module.methods(cls)}) > 1


def _is_fitted(module: Module, cls: ast.ClassDef) -> bool:
    return any(local_class_of(module, fit.model) is cls for fit in fits(module))


def _as_lightning_module(module: Module, base: ast.expr | None) -> Fix | None:
    name = lightning_module_name(module)
    if base is None or name is None:
        return None
    return suggested("Inherit from LightningModule", Replace(Span.of(base), name))
