from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import (
    CALLBACK_HOOKS,
    HOOK_PARAMETERS,
    LIGHTNING,
    LIGHTNING_DATA_MODULE,
    OTHER_HOOKS,
    REFUSED_HOOKS,
    STEPS,
    UNCALLED_CALLBACK_HOOKS,
    UNCALLED_HOOKS,
)
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import (
    bases_are_known,
    has_no_body,
    is_abstract,
    is_callback,
    is_called_by_name,
    is_test,
)
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE

_MODULE_HOOKS = frozenset({*HOOK_PARAMETERS, *STEPS, *OTHER_HOOKS})
_CALLBACK_HOOKS = CALLBACK_HOOKS | OTHER_HOOKS
_REMOVED = frozenset({*REFUSED_HOOKS, *UNCALLED_HOOKS, *UNCALLED_CALLBACK_HOOKS})
# How people write the parts of hooks' names, and how Lightning does.
_SPELLINGS = (
    (pattern(r"^on_training(?=_)"), "on_train"),
    (pattern(r"^on_(val|valid|eval|evaluation)(?=_)"), "on_validation"),
    (pattern(r"^on_testing(?=_)"), "on_test"),
    (pattern(r"^(train|trainning)_step$"), "training_step"),
    (pattern(r"^(val|valid|eval)_step$"), "validation_step"),
    (pattern(r"^testing_step$"), "test_step"),
    (pattern(r"^(training|train)_(data_?loaders?|loader)$"), "train_dataloader"),
    (pattern(r"^(validation|valid|val)_(data_?loaders?|loader)$"), "val_dataloader"),
    (pattern(r"^test_(data_?loaders|loader)$"), "test_dataloader"),
    (pattern(r"^configure_(optimizer|optimiser|optimisers|optim)$"), "configure_optimizers"),
    (pattern(r"^prepare_dataset?s?$"), "prepare_data"),
    (pattern(r"_epochs_(start|end)$"), r"_epoch_\1"),
    (pattern(r"_epoch_(begin|starts)$"), "_epoch_start"),
    (pattern(r"_epoch_(ends|finish)$"), "_epoch_end"),
)


class MisspeltHook(Check[ast.ClassDef]):
    """A method that is nearly called like one of Lightning's hooks.

    ## What it does
    Finds methods such as `on_val_epoch_end`, `on_training_start`, `train_step`, `val_step`, `val_dataloaders` and
    `configure_optimizer` in a LightningModule, a LightningDataModule or a Callback that lacks the hook they mean.

    ## Why it matters
    Lightning calls hooks by their names. A method of another name is never run, mostly without a word: nothing is
    validated, or the epoch's metrics are missing.

    ## Do not flag
    Methods that the file calls, classes that have the hook as well, classes with a base in another file or made to be
    inherited from, hooks of older releases (`removed-hook`), tests.

    ## Fix safety
    No fix: the hook may get other arguments.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#hooks
    - https://lightning.ai/docs/pytorch/stable/extensions/callbacks.html
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def «val_step»(self, batch, batch_idx):
                    self.log("val_loss", self.loss(batch))

                def «on_training_epoch_end»(self):
                    self.log("train_acc", self.train_acc.compute())
            """
        ),
        Bad(
            """
            from pytorch_lightning import Callback

            class Report(Callback):
                def «on_val_epoch_end»(self, trainer, pl_module):
                    print(trainer.callback_metrics)
            """
        ),
        Bad(
            """
            import lightning as L

            class Digits(L.LightningDataModule):
                def train_dataloader(self):
                    return self.loader("train")

                def «validation_dataloader»(self):
                    return self.loader("val")
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.train_step(batch)

                def train_step(self, batch):
                    return self.loss(batch)

                def on_train_epoch_end(self):
                    self.steps = 0

                def on_training_epoch_end(self):
                    self.epochs += 1

                def on_validation_model_eval(self):
                    self.net.eval()

            class Meter:
                def on_val_epoch_end(self):
                    self.total = 0

            class BaseClassifier(L.LightningModule):
                def val_step(self, batch):
                    return self.loss(batch)
            """,
            "called, or beside the hook, or no hook of Lightning's",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        hooks = _hooks(module, node)
        if not hooks:
            return
        for method in module.methods(node):
            meant = _meant(method.name, hooks)
            if meant is None or module.method(node, meant) is not None or has_no_body(method) or method.decorator_list:
                continue
            if not bases_are_known(module, node) or is_abstract(module, node) or is_test(module):
                return
            if not is_called_by_name(module, method):
                yield self.finding(
                    module,
                    module.defined_name(method),
                    f"Lightning never calls `{method.name}`, because no hook has this name. Write `{meant}`.",
                )


def _hooks(module: Module, cls: ast.ClassDef) -> frozenset[str]:
    """The names that Lightning calls a class's methods by."""
    if module.is_subclass(cls, LIGHTNING_MODULE) or module.is_subclass(cls, LIGHTNING_DATA_MODULE):
        return _MODULE_HOOKS
    return _CALLBACK_HOOKS if is_callback(module, cls) else frozenset()


def _meant(name: str, hooks: frozenset[str]) -> str | None:
    """The hook that a name means and is not."""
    if name in hooks or name in _REMOVED:
        return None
    meant = name
    for spelling, right in _SPELLINGS:
        meant = spelling.sub(right, meant)
    return meant if meant != name and meant in hooks else None
