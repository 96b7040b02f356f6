from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING, LIGHTNING_DATA_MODULE
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test, with_own_helpers
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE

_MESSAGE = (
    "Only one process of a machine runs `prepare_data`, so that in the others this attribute is missing or stale. "
    "Download and write files here, and assign attributes in `setup(self, stage)`, which every process runs."
)


class DataAssignedInPrepareData(Check[ast.ClassDef]):
    """State that is kept in `prepare_data`.

    ## What it does
    Finds `self.x = …` in `prepare_data` of a LightningDataModule or a LightningModule, where other code reads `x`.

    ## Why it matters
    Lightning calls `prepare_data` in one process of each machine, to download and write files once. With several
    devices the other processes never see what it assigns: they fail, or go on with what `__init__` had set.

    ## Do not flag
    Attributes that `setup` assigns too, or that nothing else reads; tests.

    ## Fix safety
    No fix: part of the method may have to stay where it is.

    ## References
    - https://lightning.ai/docs/pytorch/stable/data/datamodule.html#prepare-data
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L

            class Digits(L.LightningDataModule):
                def prepare_data(self):
                    «self.train_set» = MNIST(self.folder, download=True)
                    ‹self.val_set› = MNIST(self.folder, train=False)

                def train_dataloader(self):
                    return loader(self.train_set)

                def val_dataloader(self):
                    return loader(self.val_set)
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.vocabulary = None

                def prepare_data(self):
                    words = read_words()
                    self._build(words)

                def _build(self, words):
                    «self.vocabulary» = {word: n for n, word in enumerate(words)}

                def forward(self, x):
                    return self.net(self.vocabulary[x])
            """
        ),
        Bad(
            """
            import lightning as L

            class Digits(L.LightningDataModule):
                def prepare_data(self):
                    (images, labels), _ = download()
                    «self.images», ‹self.labels› = images, labels

            data = Digits()
            data.prepare_data()
            print(data.images.shape, data.labels.shape)
            """
        ),
        Good(
            """
            import lightning as L

            class Digits(L.LightningDataModule):
                def prepare_data(self):
                    self.source = find_mirror()
                    download(self.source)

                def setup(self, stage):
                    self.train_set = MNIST(self.folder)

                def train_dataloader(self):
                    return loader(self.train_set)
            """,
            "`source` is used in `prepare_data` alone",
        ),
        Good(
            """
            import lightning as L

            class Digits(L.LightningDataModule):
                def prepare_data(self):
                    self.train_set = MNIST(self.folder, download=True)

                def setup(self, stage):
                    self.train_set = MNIST(self.folder)

                def train_dataloader(self):
                    return loader(self.train_set)
            """
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        prepare = next((method for method in module.methods(node) if method.name == "prepare_data"), None)
        if (
            prepare is None
            or not (module.is_subclass(node, LIGHTNING_DATA_MODULE) or module.is_subclass(node, LIGHTNING_MODULE))
            or is_test(module)
        ):
            return
        only_here = with_own_helpers(module, node, prepare)
        setup = module.method(node, "setup")
        in_every_process = with_own_helpers(module, node, setup) if setup else []
        renewed = {attribute.attr for function in in_every_process for attribute in _assigned(module, function)}
        lost = [
            attribute
            for function in only_here
            if function not in in_every_process
            for attribute in _assigned(module, function)
            if attribute.attr not in renewed and _is_read_elsewhere(module, attribute.attr, only_here)
        ]
        if lost:
            yield self.finding(module, lost[0], _MESSAGE, also_at=lost[1:])


def _assigned(module: Module, function: Function) -> Iterator[ast.Attribute]:
    """The attributes of `self` that a function assigns."""
    for node in module.walk(function.body):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
                yield node


def _is_read_elsewhere(module: Module, name: str, functions: list[Function]) -> bool:
    return any(
        attribute.attr == name
        and isinstance(attribute.ctx, ast.Load)
        and module.enclosing_function(attribute) not in functions
        for attribute in module.nodes(ast.Attribute)
    )
