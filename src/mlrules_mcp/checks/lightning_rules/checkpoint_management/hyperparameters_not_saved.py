from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.lightning_rules._classes import (
    ancestry_is_known,
    is_base_by_form,
    is_test,
    lightning_modules,
    uses_fabric,
)
from mlrules_mcp.findings import Finding, Fix, InsertAfter, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE

# What is an object of its own rather than a number or a name that says how to build one.
_OBJECT_NAME = pattern(
    r"(^|_)(model|net|network|module|backbone|encoder|decoder|generator|discriminator|head|criterion|loss|loss_fn|"
    r"loss_function|tokenizer|processor|dataset|datamodule|loader|dataloader|metrics?|vocab|optimizer|scheduler|logger|"
    r"env|graph|transform|weights?|train|val|test)s?(_|\d|$)",
    re.IGNORECASE,
)
_OBJECT_TYPE = pattern(
    r"Module|Callable|Tensor|Dataset|Loader|Metric|Tokenizer|Processor|Optimizer|Scheduler|Model\b|ndarray|DataFrame"
)
_TRAINED_BY = ("training_step", "configure_optimizers")


class HyperparametersNotSaved(Check[ast.ClassDef]):
    """A LightningModule whose `__init__` takes hyperparameters that no checkpoint will hold.

    ## What it does
    Finds LightningModules that take numbers, names or a configuration in `__init__` and never call
    `self.save_hyperparameters()`.

    ## Why it matters
    Checkpoints then hold weights and not what they were made with. `load_from_checkpoint` raises a TypeError unless
    every argument is passed again, wrong values go unnoticed, and loggers record none of them.

    ## Do not flag
    Modules that are only given objects (a network, a loss, a tokenizer), classes with a base in another file or with
    a base that is reported itself, bases for other files' classes, modules that can't be trained by themselves, files
    that make parts from a configuration file (`instantiate…`), Fabric, tests.

    ## Fix safety
    Suggested: `save_hyperparameters()` goes behind `super().__init__()`, with `ignore=` for arguments that are
    modules; others that can't be pickled have to be ignored by hand.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/checkpointing_basic.html#save-hyperparameters
    """

    packages = LIGHTNING
    also_enforces = ("tracking_rules.hyperparameter_logging",)
    examples = (
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def «__init__»(self, hidden=64, learning_rate=1e-3):
                    super().__init__()
                    self.learning_rate = learning_rate
                    self.net = make_net(hidden)

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
            suggested_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def __init__(self, hidden=64, learning_rate=1e-3):
                    super().__init__()
                    self.save_hyperparameters()
                    self.learning_rate = learning_rate
                    self.net = make_net(hidden)

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
        ),
        Bad(
            """
            import pytorch_lightning as pl
            from torch import nn

            class Classifier(pl.LightningModule):
                def «__init__»(self, backbone, head: nn.Module, *, lr: float):
                    super(Classifier, self).__init__()
                    self.backbone, self.head, self.lr = backbone, head, lr

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
            suggested_fix="""
            import pytorch_lightning as pl
            from torch import nn

            class Classifier(pl.LightningModule):
                def __init__(self, backbone, head: nn.Module, *, lr: float):
                    super(Classifier, self).__init__()
                    self.save_hyperparameters(ignore=["backbone", "head"])
                    self.backbone, self.head, self.lr = backbone, head, lr

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def «__init__»(self, args):
                    self.args = args
                    pl.LightningModule.__init__(self)

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def «__init__»(self, lr=1e-3):
                    super().__init__()
                    self.lr = lr

            class Deeper(Classifier):
                def __init__(self, lr=1e-3, depth=4):
                    super().__init__(lr)
                    self.depth = depth

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
            suggested_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def __init__(self, lr=1e-3):
                    super().__init__()
                    self.save_hyperparameters()
                    self.lr = lr

            class Deeper(Classifier):
                def __init__(self, lr=1e-3, depth=4):
                    super().__init__(lr)
                    self.depth = depth

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def __init__(self, lr=1e-3):
                    super().__init__()
                    self.save_hyperparameters()

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)

            class Deeper(Classifier):
                def __init__(self, lr=1e-3, depth=4):
                    super().__init__(lr)
                    self.depth = depth

            class Wrapper(L.LightningModule):
                def __init__(self, model, criterion, *args, **kwargs):
                    super().__init__()
                    self.model, self.criterion = model, criterion

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
            "saved by the base class, which sees the arguments of the derived one; objects only",
        ),
        Good(
            """
            import lightning as L
            from project import BaseClassifier

            class Classifier(BaseClassifier, L.LightningModule):
                def __init__(self, lr):
                    super().__init__()
                    self.lr = lr

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)

            class Head(L.LightningModule):
                def __init__(self, size):
                    super().__init__()
                    self.size = size

                def forward(self, x):
                    return x[: self.size]

            class Updated(L.LightningModule):
                def __init__(self, hparams):
                    super().__init__()
                    self.hparams.update(hparams)

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
            "the base may save them; a building block; saved by hand",
        ),
        Good(
            """
            import lightning as L

            class BaseClassifier(L.LightningModule):
                def __init__(self, lr):
                    super().__init__()
                    self.lr = lr

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
            "classes of other files, which inherit from it, may save them",
        ),
        Good(
            """
            import lightning as L
            from hydra.utils import instantiate

            class Classifier(L.LightningModule):
                def __init__(self, config, lr):
                    super().__init__()
                    self.net = instantiate(config.net)

                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def configure_optimizers(self):
                    return optimizer(self.parameters(), self.lr)
            """,
            "made from a configuration file, which is kept",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        init = next((method for method in module.methods(node) if method.name == "__init__"), None)
        if init is None or not module.is_subclass(node, LIGHTNING_MODULE):
            return
        parameters = _parameters(init)
        objects = [parameter.arg for parameter in parameters if _is_object(parameter)]
        if len(objects) == len(parameters) or not _has_to_save(module, node):
            return
        first = next(parameter.arg for parameter in parameters if parameter.arg not in objects)
        held = f"`{first}`" + (" and the rest" if len(parameters) - len(objects) > 1 else "")
        yield self.finding(
            module,
            module.defined_name(init),
            f"Checkpoints of `{node.name}` won't hold {held}, so that `load_from_checkpoint` fails or builds another "
            "model. Call `self.save_hyperparameters()` in `__init__`.",
            fix=_fix(module, init, objects),
        )


def _has_to_save(module: Module, cls: ast.ClassDef) -> bool:
    """Whether hyperparameters of a class are lost unless the class itself saves them, and it does not."""
    return (
        _is_trained(module, cls)
        and ancestry_is_known(module, cls)
        and not is_base_by_form(module, cls)
        and not _is_said_of_base(module, cls)
        and not _saves(module, cls)
        and not _is_built_from_file(module)
        and not uses_fabric(module)
        and not is_test(module)
    )


def _is_trained(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class, or one that inherits from it here, can be trained by itself."""
    return any(
        cls in module.lineage(each) and all(module.method(each, name) is not None for name in _TRAINED_BY)
        for each in lightning_modules(module)
    )


def _is_said_of_base(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a base class takes hyperparameters too: saved there, those of the derived class are with them."""
    return any(
        method.name == "__init__" and not all(map(_is_object, _parameters(method)))
        for owner, base in module.ancestry(cls)[1:]
        for method in owner.methods(base)
    )


def _is_built_from_file(module: Module) -> bool:
    """Whether a file makes parts from a configuration that is kept elsewhere: `instantiate_from_config(…)`."""
    return any((module.called_name(call) or "").startswith("instantiate") for call in module.nodes(ast.Call))


def _parameters(init: Function) -> list[ast.arg]:
    return [*init.args.posonlyargs, *init.args.args][1:] + init.args.kwonlyargs


def _is_object(parameter: ast.arg) -> bool:
    if parameter.annotation is not None:
        text = ast.unparse(parameter.annotation)
        if _OBJECT_TYPE.search(text):
            return True
        if re.search(r"\b(int|float|str|bool|[Dd]ict|[Ll]ist|[Tt]uple)\b", text):
            return False
    return bool(_OBJECT_NAME.search(parameter.arg))


def _saves(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class, or a base of it, saves hyperparameters or sets them itself."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("save_hyperparameters", "hparams", "_set_hparams")
        for owner, each in module.ancestry(cls)
        for node in owner.walk(each, into_functions=True)
    )


def _fix(module: Module, init: Function, objects: list[str]) -> Fix | None:
    """`save_hyperparameters()` behind the first statement that calls `super().__init__()`."""
    for statement in init.body:
        match statement:
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"))
            ):
                names = ", ".join(f'"{name}"' for name in objects)
                code = f"self.save_hyperparameters({f'ignore=[{names}]' if names else ''})"
                return suggested("Save the hyperparameters", InsertAfter(Span.of(statement), code))
    return None
