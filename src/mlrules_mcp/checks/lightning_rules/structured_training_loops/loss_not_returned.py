from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.checks.lightning_rules._classes import (
    bases_are_known,
    has_no_body,
    is_test,
    optimizes_by_hand,
    returned,
)
from mlrules_mcp.findings import Finding, Fix, InsertAfter, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE

_NUMBERS = frozenset({"item", "tolist", "numpy"})


class LossNotReturned(Check[ast.ClassDef]):
    """A `training_step` that does not return a loss to optimize.

    ## What it does
    Finds a `training_step` that returns nothing, a loss without its graph (`loss.detach()`), a number (`loss.item()`),
    a tuple, or a dictionary without the key `"loss"`, in a LightningModule with automatic optimization.

    ## Why it matters
    The Trainer optimizes what `training_step` returns. Without a value it skips every step: training runs to its end
    and the weights stay what they were. The other forms end in an error at the first step.

    ## Do not flag
    Modules with `automatic_optimization = False`, set in the class or from outside; classes with a base in another
    file; steps that return nothing for some batches only; generators; modules without `configure_optimizers`, which
    another module may train.

    ## Fix safety
    Safe: `return loss` is added at the end where the step computes one `loss`, and `.item()` or `.detach()` is taken
    off what is returned, because the code can't train as it is.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#training-step
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def «training_step»(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.log("train_loss", loss)
            """,
            safe_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    self.log("train_loss", loss)
                    return loss
            """,
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    return «loss.item()»
            """,
            safe_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    return loss
            """,
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch).detach()
                    return {"loss": «loss»}
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    return «{"train_loss": loss, "log": {"train_loss": loss}}»
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    loss, accuracy = self.evaluate(batch)
                    return «loss, accuracy»
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    return «dict(train_loss=self.loss(batch))»
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def «training_step»(self, batch, batch_idx):
                    self.shared_step(batch, "train")

                def shared_step(self, batch, stage):
                    loss = self.loss(batch)
                    self.log(f"{stage}_loss", loss)
                    return loss
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    loss = self.loss(batch)
                    if not loss.isfinite():
                        return None
                    return {"loss": loss, "size": len(batch), **self.extras(batch)}

                def validation_step(self, batch, batch_idx):
                    self.log("val_loss", self.loss(batch))
            """,
            "skipped for some batches only",
        ),
        Good(
            """
            import lightning as L

            class GAN(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.automatic_optimization = False

                def training_step(self, batch, batch_idx):
                    self.manual_backward(self.loss(batch))
                    self.optimizers().step()

            class Base(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    raise NotImplementedError

            class Delegating(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.shared_step(batch)

                def training_steps(self):
                    return 3
            """
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    return optimizer(self.parameters())

                def training_step(self, batch, batch_idx):
                    self.loss(batch).backward()
                    self.optimizers().step()
            """,
            "`backward-in-automatic-optimization` speaks of it",
        ),
        Good(
            """
            import lightning as L

            class OnlineProbe(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch), {"probe_loss": self.loss(batch)}
            """,
            "a part of another module, which calls its step",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        step = next((method for method in module.methods(node) if method.name == "training_step"), None)
        if (
            step is None
            or has_no_body(step)
            or not module.is_subclass(node, LIGHTNING_MODULE)
            or not bases_are_known(module, node)
            or module.method(node, "configure_optimizers") is None
            or optimizes_by_hand(module, node)
            or is_test(module)
        ):
            return
        values = [each.value for each in returned(module, step) if each.value is not None]
        if not values and not _leaves_otherwise(module, step):
            yield self._nothing_returned(module, step)
        for value in values:
            for problem, place in _problems(module, value):
                yield self.finding(module, place, problem, fix=_with_graph(module, place))

    def _nothing_returned(self, module: Module, step: Function) -> Finding:
        return self.finding(
            module,
            module.defined_name(step),
            "`training_step` returns nothing, so that Lightning skips every step and the weights never change. "
            "Return the loss.",
            fix=_return_of_loss(module, step),
        )


def _leaves_otherwise(module: Module, step: Function) -> bool:
    """Whether a step yields, or trains by itself, or always raises."""
    return isinstance(step.body[-1], ast.Raise) or any(
        isinstance(node, ast.Yield | ast.YieldFrom) or node in module.backward_calls or node in module.optimizer_steps
        for node in module.walk(step.body)
    )


def _problems(module: Module, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """What is wrong with a returned value, as a message, and where."""
    match value:
        case ast.Tuple():
            yield (
                "A tuple returned from `training_step` raises a MisconfigurationException at the first step. "
                'Return the loss alone, or a dictionary with the key "loss".',
                value,
            )
        case ast.Dict(keys=keys, values=values) if None not in keys:
            loss = [each for key, each in zip(keys, values, strict=True) if _is_loss_key(key)]
            yield from _problems_of_dictionary(module, value, loss)
        case ast.Call(args=[], keywords=keywords) if module.is_call_to(value, "builtins.dict"):
            loss = [each.value for each in keywords if each.arg in ("loss", None)]
            yield from _problems_of_dictionary(module, value, loss)
        case _:
            yield from _problems_of_loss(module, value)


def _problems_of_dictionary(module: Module, value: ast.expr, loss: list[ast.expr]) -> Iterator[tuple[str, ast.expr]]:
    if not loss:
        yield (
            'A dictionary without the key "loss" raises a MisconfigurationException at the first step. '
            'Put the loss to optimize under "loss".',
            value,
        )
    for each in loss:
        yield from _problems_of_loss(module, each)


def _is_loss_key(key: ast.expr | None) -> bool:
    return not isinstance(key, ast.Constant) or key.value == "loss"


def _problems_of_loss(module: Module, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    origins = module.origins(value)
    if all(_called_method(origin) in _NUMBERS or _is_float(module, origin) for origin in origins):
        yield "A number can't be backpropagated, so that `fit` ends at the first step. Return the loss's tensor.", value
    elif all(_called_method(origin) == "detach" for origin in origins):
        yield (
            "A detached loss has no graph, so that `backward` raises a RuntimeError at the first step. "
            "Return the loss itself: the Trainer detaches what it keeps.",
            value,
        )


def _called_method(origin: ast.expr) -> str | None:
    match origin:
        case ast.Call(func=ast.Attribute(attr=attr), args=[], keywords=[]):
            return attr
    return None


def _is_float(module: Module, origin: ast.expr) -> bool:
    return module.is_call_to(origin, "builtins.float")


def _with_graph(module: Module, place: ast.expr) -> Fix | None:
    match place:
        case ast.Call(func=ast.Attribute(value=loss, attr=attr)) if attr in ("item", "detach"):
            while isinstance(loss, ast.Call) and _called_method(loss) in ("detach", "cpu"):
                assert isinstance(loss.func, ast.Attribute)
                loss = loss.func.value
            return safe("Return the loss with its graph", Replace(Span.of(place), module.text(loss)))
    return None


def _return_of_loss(module: Module, step: Function) -> Fix | None:
    """`return loss` at the end of a step that assigns `loss` once, among its own statements."""
    assigned = [
        statement
        for statement in step.body
        if isinstance(statement, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "loss" for target in statement.targets)
    ]
    bound = [node for node in module.walk(step.body) if isinstance(node, ast.Name) and node.id == "loss"]
    stores = [name for name in bound if not isinstance(name.ctx, ast.Load)]
    has_bare_return = any(True for _ in returned(module, step))
    if len(assigned) != 1 or len(stores) != 1 or has_bare_return or _is_without_graph(assigned[0].value):
        return None
    return safe("Return the loss", InsertAfter(Span.of(step.body[-1]), "return loss"))


def _is_without_graph(value: ast.expr) -> bool:
    return _called_method(value) in _NUMBERS or _called_method(value) == "detach"
