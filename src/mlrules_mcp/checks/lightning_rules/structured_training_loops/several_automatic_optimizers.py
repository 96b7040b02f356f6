from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import bases_are_known, is_test, optimizes_by_hand, returned
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE

_MESSAGE = (
    "`fit` raises a RuntimeError, because Lightning 2.0 optimizes several optimizers by hand only. Set "
    "`self.automatic_optimization = False` in `__init__` and step each of `self.optimizers()` in `training_step`."
)


class SeveralAutomaticOptimizers(Check[ast.ClassDef]):
    """Several optimizers under automatic optimization.

    ## What it does
    Finds a `configure_optimizers` that returns more than one optimizer, in a LightningModule that leaves automatic
    optimization on. The newest release is assumed.

    ## Why it matters
    Up to Lightning 1.9 `training_step` was called once for each optimizer. Since 2.0 `fit` raises a RuntimeError.

    ## Do not flag
    Modules with `automatic_optimization = False`, classes with a base in another file, a `training_step` that asks for
    `optimizer_idx` (`hook-with-wrong-parameters` speaks of it), tests.

    ## Fix safety
    No fix: the step has to be written anew.

    ## References
    - https://lightning.ai/docs/pytorch/stable/model/manual_optimization.html#use-multiple-optimizers-like-gans
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L
            import torch

            class GAN(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    generator = torch.optim.Adam(self.generator.parameters())
                    critic = torch.optim.Adam(self.critic.parameters())
                    return «[generator, critic]», []
            """
        ),
        Bad(
            """
            import lightning as L
            import torch

            class GAN(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    first = torch.optim.Adam(self.generator.parameters())
                    second = torch.optim.Adam(self.critic.parameters())
                    return «{"optimizer": first}, {"optimizer": second}»
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl
            from torch.optim import SGD

            class Pair(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return «[SGD(self.a.parameters()), SGD(self.b.parameters())]»
            """
        ),
        Good(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters())
                    warm_up = schedule(optimizer)
                    decay = schedule(optimizer)
                    return [optimizer], [warm_up, decay]
            """,
            "two schedules of one optimizer",
        ),
        Good(
            """
            import lightning as L
            import torch

            class GAN(L.LightningModule):
                automatic_optimization = False

                def configure_optimizers(self):
                    return torch.optim.Adam(self.generator.parameters()), torch.optim.Adam(self.critic.parameters())
            """
        ),
        Good(
            """
            import lightning as L
            import torch

            class GAN(L.LightningModule):
                def training_step(self, batch, batch_idx, optimizer_idx):
                    return self.losses[optimizer_idx](batch)

                def configure_optimizers(self):
                    return torch.optim.Adam(self.generator.parameters()), torch.optim.Adam(self.critic.parameters())
            """,
            "found by its parameter",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        configure = next((method for method in module.methods(node) if method.name == "configure_optimizers"), None)
        if configure is None or not module.is_subclass(node, LIGHTNING_MODULE) or is_test(module):
            return
        if not module.may_run_on("lightning", "2.0"):
            return
        several = [
            optimizers
            for each in returned(module, configure)
            if each.value is not None and (optimizers := _several(module, each.value)) is not None
        ]
        if several and bases_are_known(module, node) and not optimizes_by_hand(module, node):
            step = module.method(node, "training_step")
            if step is not None and all(arg.arg != "optimizer_idx" for arg in step.args.args):
                yield self.finding(module, several[0], _MESSAGE, also_at=several[1:])


def _several(module: Module, value: ast.expr) -> ast.expr | None:
    """The expression that lists several optimizers in what `configure_optimizers` returns."""
    match value:
        case ast.Tuple(elts=[ast.List() as optimizers, _]):
            return _several(module, optimizers)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            if len([part for part in parts if _is_optimizer(module, part)]) > 1:
                return value
    return None


def _is_optimizer(module: Module, part: ast.expr) -> bool:
    match part:
        case ast.Dict(keys=keys):
            return any(isinstance(key, ast.Constant) and key.value == "optimizer" for key in keys)
        case ast.Name() | ast.Attribute() | ast.Call():
            return module.is_optimizer(part)
    return False
