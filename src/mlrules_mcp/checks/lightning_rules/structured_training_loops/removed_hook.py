from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import (
    LIGHTNING,
    LIGHTNING_DATA_MODULE,
    REFUSED_HOOKS,
    UNCALLED_CALLBACK_HOOKS,
    UNCALLED_HOOKS,
    Removed,
)
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import (
    has_no_body,
    is_callback,
    is_called_by_name,
    is_for_other_release,
    is_test,
)
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE

_REMOVED = frozenset({*REFUSED_HOOKS, *UNCALLED_HOOKS, *UNCALLED_CALLBACK_HOOKS})


class RemovedHook(Check[ast.ClassDef]):
    """A hook that Lightning no longer has.

    ## What it does
    Finds methods of a LightningModule, a LightningDataModule or a Callback that were hooks of an older release:
    `training_epoch_end`, `validation_epoch_end`, `test_epoch_end`, `training_step_end`, `on_epoch_end`,
    `on_batch_start`, `on_train_dataloader`, `tbptt_split_batch` and the like. The newest release is assumed.

    ## Why it matters
    For the epoch ends with outputs, `fit` raises a NotImplementedError since 2.0. The others are worse: the Trainer
    does not know them, so that what they do is left out without a word.

    ## Do not flag
    Methods that the file calls itself, methods without a body or under a condition that asks for a version, tests.

    ## Fix safety
    No fix: the hooks in their place get other arguments, and outputs have to be collected by the module.

    ## References
    - https://lightning.ai/docs/pytorch/stable/upgrade/migration_guide.html
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#hooks
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def validation_step(self, batch, batch_idx):
                    return self.loss(batch)

                def «validation_epoch_end»(self, outputs):
                    self.log("val_loss", torch.stack(outputs).mean())
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Base(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            class Classifier(Base):
                def «on_epoch_end»(self):
                    self.scheduler.step()
            """
        ),
        Bad(
            """
            from lightning.pytorch.callbacks import Callback

            class Report(Callback):
                def «on_epoch_end»(self, trainer, pl_module):
                    super().on_epoch_end(trainer, pl_module)
                    print(trainer.callback_metrics)
            """
        ),
        Bad(
            """
            from mylib import BaseClassifier
            from pytorch_lightning import seed_everything

            class Classifier(BaseClassifier):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def «training_epoch_end»(self, outputs):
                    self.on_train_end()
            """
        ),
        Good(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def validation_step(self, batch, batch_idx):
                    self.outputs.append(self.loss(batch))

                def on_validation_epoch_end(self):
                    self.log("val_loss", torch.stack(self.outputs).mean())
                    self.outputs.clear()
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def validation_step(self, batch, batch_idx):
                    self.validation_step_end(self.loss(batch))

                def validation_step_end(self, loss):
                    self.log("val_loss", loss)
            """,
            "called by the class itself",
        ),
        Good(
            """
            import lightning as L

            class Meter:
                def on_epoch_end(self):
                    self.total = 0

            class Tuner(L.Callback):
                def on_train_epoch_end(self, trainer, pl_module):
                    trainer.meter.on_epoch_end()
            """,
            "a class of its own",
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                if parse(L.__version__) >= parse("2.0"):
                    def on_train_epoch_end(self):
                        self.report()
                else:
                    def training_epoch_end(self, outputs):
                        self.report()
            """,
            "for an older release",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        for method in module.methods(node):
            if method.name not in _REMOVED or is_for_other_release(module, method):
                continue
            refused = REFUSED_HOOKS.get(method.name)
            removed = refused or _uncalled(module, node, method)
            if removed is None or not module.may_run_on("lightning", removed.since):
                continue
            if refused and not is_test(module) and _is_module(module, node):
                yield self._report(module, method, refused, f"`{_caller(method)}` raises a NotImplementedError")
            elif not refused:
                yield self._report(module, method, removed, "Lightning never calls this method")

    def _report(self, module: Module, method: Function, removed: Removed, effect: str) -> Finding:
        return self.finding(
            module,
            module.defined_name(method),
            f"{effect}, because `{method.name}` was removed in Lightning "
            f"{module.named_release('lightning', removed.since)}. {removed.instead}.",
        )


def _caller(method: Function) -> str:
    return "test" if method.name.startswith("test") else "fit"


def _uncalled(module: Module, cls: ast.ClassDef, method: Function) -> Removed | None:
    hooks = {UNCALLED_HOOKS.get(method.name), UNCALLED_CALLBACK_HOOKS.get(method.name)}
    if hooks == {None} or has_no_body(method) or is_test(module) or is_called_by_name(module, method):
        return None
    if is_callback(module, cls):
        return UNCALLED_CALLBACK_HOOKS.get(method.name)
    return UNCALLED_HOOKS.get(method.name) if _is_module(module, cls) else None


def _is_module(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class is a LightningModule or data module; one with an unknown base counts where it has their steps."""
    if module.is_subclass(cls, LIGHTNING_MODULE) or module.is_subclass(cls, LIGHTNING_DATA_MODULE):
        return True
    steps = {"training_step", "validation_step", "configure_optimizers"}
    own = {method.name for method in module.methods(cls)}
    return bool(own & steps) and any(
        module.local_class(base) is None and not (module.qualified_name(base) or "").startswith(("torch.", "builtins."))
        for base in cls.bases
    )
