from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import (
    ancestry_is_known,
    is_test,
    optimizes_by_hand,
    returned,
    with_own_helpers,
)
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE

_INSTEAD = (
    "Return the loss and leave `backward` and `step` to the Trainer, "
    "or set `self.automatic_optimization = False` in `__init__` and do all of it by hand."
)


class BackwardInAutomaticOptimization(Check[ast.ClassDef]):
    """Gradients computed or applied in `training_step`, while the Trainer does both.

    ## What it does
    Finds `loss.backward()`, `self.manual_backward(loss)` and `optimizer.step()` in `training_step`, or in a method
    that it calls, of a LightningModule that does not switch automatic optimization off.

    ## Why it matters
    The Trainer runs `backward` and `step` itself. A loss that was backpropagated before raises a RuntimeError there,
    `manual_backward` raises a MisconfigurationException, and a `step` of one's own applies old gradients twice. Where
    the step returns nothing, what the Trainer was told of precision, clipping and accumulation is left out.

    ## Do not flag
    Modules with `automatic_optimization = False`, set in the class or from outside; classes with a base in another
    file, which may set it; gradients that are needed for the loss (`torch.autograd.grad`, `retain_graph=True`).

    ## Fix safety
    No fix: either the calls go, or the whole step is written by hand.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/optimization.html
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    «loss.backward()»
                    return loss
            """
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    optimizer.zero_grad()
                    loss = self.loss(batch)
                    «self.manual_backward(loss)»
                    ‹optimizer.step()›
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class GAN(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.adversarial_step(batch)

                def adversarial_step(self, batch):
                    loss = self.loss(batch)
                    «self.optimizer.step()»
                    return loss
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.automatic_optimization = False

                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    optimizer.zero_grad()
                    self.manual_backward(self.loss(batch))
                    optimizer.step()
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                @property
                def automatic_optimization(self):
                    return False

                def training_step(self, batch, batch_idx):
                    self.loss(batch).backward()
                    self.optimizers().step()

            class Other(L.LightningModule):
                automatic_optimization = False

                def training_step(self, batch, batch_idx):
                    self.loss(batch).backward()
            """
        ),
        Good(
            """
            import lightning as L
            from project import BaseModule

            class Classifier(BaseModule, L.LightningModule):
                def training_step(self, batch, batch_idx):
                    self.manual_backward(self.loss(batch))
            """,
            "the base may switch it off",
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.scheduler.step()
                    return loss

                def backward(self, loss):
                    loss.backward(retain_graph=True)

                def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure):
                    optimizer.step(closure=optimizer_closure)

                def on_before_zero_grad(self, optimizer):
                    self.attack(self.last_batch).backward()
            """,
            "hooks that are made for it",
        ),
        Good(
            """
            import lightning as L

            class Saliency(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    batch.requires_grad_()
                    self(batch).sum().backward(retain_graph=True)
                    return self.loss(batch) + batch.grad.norm()
            """,
            "gradients that the loss needs",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        step = next((method for method in module.methods(node) if method.name == "training_step"), None)
        if (
            step is None
            or not module.is_subclass(node, LIGHTNING_MODULE)
            or not ancestry_is_known(module, node)
            or optimizes_by_hand(module, node)
            or is_test(module)
        ):
            return
        calls = list(_gradient_calls(module, node, step))
        if not calls:
            return
        message = f"{_effect(module, step, calls)} {_INSTEAD}"
        yield self.finding(module, calls[0], message, also_at=calls[1:])


def _effect(module: Module, step: Function, calls: list[ast.Call]) -> str:
    """What happens at run time, as a sentence."""
    names = set(map(module.called_name, calls))
    returns_loss = any(
        each.value is not None and not isinstance(each.value, ast.Constant) for each in returned(module, step)
    )
    if "manual_backward" in names:
        return "`manual_backward` raises a MisconfigurationException under automatic optimization."
    if not returns_loss:
        return "Nothing is left for the Trainer to optimize: its precision, clipping and accumulation go unused."
    if "backward" in names:
        return "The Trainer backpropagates the returned loss again, which raises a RuntimeError."
    return "This applies the gradients of the batch before once more, as the Trainer steps after `training_step`."


def _gradient_calls(module: Module, cls: ast.ClassDef, step: Function) -> Iterator[ast.Call]:
    """The calls that compute or apply gradients while a training step runs, in the order of the text."""
    for function in sorted(with_own_helpers(module, cls, step), key=lambda each: each.lineno):
        for call in (*module.backward_calls, *module.optimizer_steps):
            if module.enclosing_function(call) is function and not _is_for_the_loss(module, call):
                yield call


def _is_for_the_loss(module: Module, call: ast.Call) -> bool:
    """Whether gradients are computed for use, not for training: the graph is kept, or they are read from `.grad`."""
    if any(keyword.arg in ("retain_graph", "create_graph", "inputs") for keyword in call.keywords):
        return True
    function = module.enclosing_function(call)
    return function is not None and any(
        isinstance(node, ast.Attribute) and node.attr == "grad" and isinstance(node.ctx, ast.Load)
        for node in module.walk(function.body)
    )
