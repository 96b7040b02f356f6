from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import (
    BY_KEYWORD,
    CALLBACK_HOOKS,
    HOOK_PARAMETERS,
    LIGHTNING,
    LIGHTNING_DATA_MODULE,
)
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_callback, is_called_by_name, is_for_other_release, is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE


class HookWithWrongParameters(Check[ast.ClassDef]):
    """A hook whose parameters are not those that the Trainer passes.

    ## What it does
    Finds hooks of a LightningModule, a LightningDataModule or a Callback that ask for an argument which the Trainer
    does not pass (`outputs` of `on_validation_epoch_end`, `optimizer_idx`, `hiddens`), or leave out one that it
    passes (`stage` of `setup`). The newest release is assumed.

    ## Why it matters
    The Trainer calls hooks with fixed arguments, so that the run ends with a TypeError at the hook's first call, which
    for an epoch's end is after the first epoch. `optimizer_idx` in `training_step` raises a RuntimeError in `fit`.

    ## Do not flag
    Parameters with defaults, `*args` and `**kwargs`, static methods, hooks that the file calls itself or
    that stand under a condition which asks for a version, tests.

    ## Fix safety
    No fix: what the parameter stands for has to come from elsewhere.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#hooks
    - https://lightning.ai/docs/pytorch/stable/upgrade/migration_guide.html
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

                def «on_validation_epoch_end»(self, outputs):
                    self.log("val_loss", torch.stack(outputs).mean())
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class GAN(pl.LightningModule):
                def «training_step»(self, batch, batch_idx, optimizer_idx):
                    if optimizer_idx == 0:
                        return self.generator_loss(batch)
                    return self.discriminator_loss(batch)
            """
        ),
        Bad(
            """
            import lightning as L

            class Digits(L.LightningDataModule):
                def «setup»(self):
                    self.train = load("train")
            """
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def «optimizer_step»(self, epoch, batch_idx, optimizer, optimizer_idx, optimizer_closure):
                    optimizer.step(closure=optimizer_closure)
            """
        ),
        Bad(
            """
            from lightning.pytorch import Callback

            class Report(Callback):
                def «on_train_epoch_end»(self, trainer, pl_module, outputs):
                    print(outputs)

                def «on_validation_end»(self, trainer):
                    print(trainer.callback_metrics)
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx, dataloader_idx=0):
                    self.log("val_loss", self.loss(batch))

                def on_train_epoch_end(self, unused=None):
                    self.epochs += 1

                def optimizer_step(self, *args, **kwargs):
                    super().optimizer_step(*args, **kwargs)

                def setup(self, stage):
                    self.weights = weights()

            class Report(L.Callback):
                def setup(self, trainer, pl_module, stage=None):
                    self.start = 0

                def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
                    self.batches += 1
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def setup(self):
                    self.weights = weights()

            classifier = Classifier()
            classifier.setup()
            """,
            "called by the file itself",
        ),
        Good(
            """
            import lightning as L
            import torch

            class Agent(L.LightningModule):
                def on_train_epoch_end(self, global_step):
                    self.logger.log_metrics(self.losses(), global_step)

                def configure_optimizers(self, lr):
                    return torch.optim.Adam(self.parameters(), lr=lr)
            """,
            "its optimizer asks for a rate, which only a loop of one's own passes, such as one of Fabric",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        kind = _kind(module, node)
        if kind is None or not module.may_run_on("lightning", "2.0") or _has_own_loop(module, node):
            return
        for method in module.methods(node):
            passed = _passed(kind, method)
            if passed is None or method.decorator_list or is_test(module):
                continue
            if is_called_by_name(module, method) or is_for_other_release(module, method):
                continue
            if method.name == "training_step" and (problem := _unknown_to_training_step(method)):
                yield self.finding(module, module.defined_name(method), problem)
            elif method.name != "training_step" and (problem := _mismatch(method, passed)):
                yield self.finding(module, module.defined_name(method), f"{problem} {_instead(method, passed)}")


def _has_own_loop(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a loop of the project calls the hooks: `configure_optimizers` asks for what no Trainer passes."""
    configure = module.method(cls, "configure_optimizers")
    return configure is not None and bool(_required(configure))


def _kind(module: Module, cls: ast.ClassDef) -> str | None:
    if is_callback(module, cls):
        return "callback"
    is_hooked = module.is_subclass(cls, LIGHTNING_MODULE) or module.is_subclass(cls, LIGHTNING_DATA_MODULE)
    return "module" if is_hooked else None


def _passed(kind: str, method: Function) -> tuple[str, ...] | None:
    """The names of what the Trainer passes to a hook after `self`; None for what is no hook with fixed arguments."""
    if kind == "callback":
        in_callback = ("trainer", "pl_module", *HOOK_PARAMETERS.get(method.name, ()))
        return in_callback if method.name in CALLBACK_HOOKS else None
    return ("batch", "batch_idx") if method.name == "training_step" else HOOK_PARAMETERS.get(method.name)


def _unknown_to_training_step(method: Function) -> str | None:
    names = {arg.arg for arg in (*method.args.args, *method.args.kwonlyargs)}
    if "optimizer_idx" in names:
        return (
            "`fit` raises a RuntimeError, because `optimizer_idx` was removed from `training_step` in Lightning 2.0. "
            "Set `self.automatic_optimization = False` and step each of `self.optimizers()` yourself."
        )
    if "hiddens" in names and len(_required(method)) > 2:
        return (
            "The first step raises a TypeError, because `hiddens` is no longer passed since Lightning 2.0. "
            "Loop over the parts of the sequence in `training_step`, with manual optimization."
        )
    return None


def _mismatch(method: Function, passed: tuple[str, ...]) -> str | None:
    """What is wrong with a hook's parameters, as a sentence."""
    parameters = method.args
    positional = [arg.arg for arg in (*parameters.posonlyargs, *parameters.args)][1:]
    extra = _required(method)[len(passed) :]
    if extra:
        return f"The Trainer calls `{method.name}` without `{extra[0]}`, which raises a TypeError."
    by_keyword = [name for name in passed if name in BY_KEYWORD]
    names = {*positional, *(arg.arg for arg in parameters.kwonlyargs)}
    if by_keyword and by_keyword[0] not in names and parameters.kwarg is None:
        return f"The Trainer calls `{method.name}` with `{by_keyword[0]}=…`, which raises a TypeError."
    if not by_keyword and len(positional) < len(passed) and parameters.vararg is None:
        missing = passed[len(positional)]
        return f"The Trainer also passes `{missing}` to `{method.name}`, which raises a TypeError."
    return None


def _required(method: Function) -> list[str]:
    """The parameters after `self` that a call has to pass."""
    positional = [*method.args.posonlyargs, *method.args.args]
    required = positional[: len(positional) - len(method.args.defaults)][1:]
    by_keyword = [
        arg for arg, default in zip(method.args.kwonlyargs, method.args.kw_defaults, strict=True) if default is None
    ]
    return [arg.arg for arg in (*required, *by_keyword)]


def _instead(method: Function, passed: tuple[str, ...]) -> str:
    text = f"Write `def {method.name}({', '.join(('self', *passed))})`"
    if method.name.endswith("_epoch_end") and not method.name.startswith("on_predict"):
        return f"{text} and collect what the steps return in an attribute."
    return f"{text}."
