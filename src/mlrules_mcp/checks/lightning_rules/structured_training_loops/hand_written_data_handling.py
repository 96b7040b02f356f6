from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING, LIGHTNING_DATA_MODULE
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.checks.lightning_rules._trainers import Fit, fits
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_FEWEST = 2


class HandWrittenDataHandling(Check[ast.Module]):
    """Loaders that a script makes for the Trainer by hand.

    ## What it does
    Finds `trainer.fit(model, train_loader, val_loader)` where the script makes both loaders itself, and no
    LightningDataModule. It is advice, given once a file.

    ## Why it matters
    Download, splits, transforms and loaders then belong to one script. A LightningDataModule keeps them together, says
    what runs once and what runs in every process, and is used again for `test` and `predict`, and by other models.

    ## Do not flag
    Files that define or pass a LightningDataModule, loaders of the module itself or of other files, a single loader,
    tests.

    ## Fix safety
    No fix: the data's code has to be moved.

    ## References
    - https://lightning.ai/docs/pytorch/stable/data/datamodule.html
    """

    packages = LIGHTNING
    speaks_of_absence = True
    words = ("DataLoader",)
    examples = (
        Bad(
            """
            import lightning as L
            from torch.utils.data import DataLoader, random_split

            train_set, val_set = random_split(MNIST("data"), [55000, 5000])
            train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
            val_loader = DataLoader(val_set, batch_size=64)
            trainer = L.Trainer(max_epochs=3)
            «trainer.fit(Classifier(), train_loader, val_loader)»
            """,
            advice=True,
        ),
        Bad(
            """
            import torch
            import pytorch_lightning as pl

            def main():
                trainer = pl.Trainer()
                «trainer.fit(
                    model,
                    train_dataloaders=torch.utils.data.DataLoader(MNIST("data"), shuffle=True),
                    val_dataloaders=torch.utils.data.DataLoader(MNIST("data", train=False)),
                )»
            """,
            advice=True,
        ),
        Good(
            """
            import lightning as L
            from project import make_loader
            from torch.utils.data import DataLoader

            loader = DataLoader(dataset)
            trainer = L.Trainer()
            trainer.fit(model, loader)
            trainer.fit(model, make_loader("train"), make_loader("val"))
            trainer.fit(model, datamodule=Digits())
            """
        ),
        Good(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            class Digits(L.LightningDataModule):
                def train_dataloader(self):
                    return DataLoader(self.train_set)

            other = DataLoader(a), DataLoader(b)
            L.Trainer().fit(model, DataLoader(train_set), DataLoader(val_set))
            """,
            "the file has a data module",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        if any(module.is_subclass(cls, LIGHTNING_DATA_MODULE) for cls in module.nodes(ast.ClassDef)):
            return
        by_hand = next((fit for fit in fits(module) if len(_own_loaders(module, fit)) >= _FEWEST), None)
        if by_hand is not None:
            yield self.finding(
                module,
                by_hand.call,
                "This script's data can't be used by other models or scripts, as its loaders are made by hand. "
                "Move data sets, splits and loaders into a LightningDataModule, and pass `datamodule=`.",
                advice=True,
            )


def _own_loaders(module: Module, fit: Fit) -> list[ast.expr]:
    """The arguments of a `fit` that are loaders made in this file."""
    passed = (argument(fit.call, "train_dataloaders", 1), argument(fit.call, "val_dataloaders", 2))
    return [
        loader
        for loader in passed
        if loader is not None
        and any(module.is_call_to(origin, "torch.utils.data.DataLoader") for origin in module.origins(loader))
    ]
