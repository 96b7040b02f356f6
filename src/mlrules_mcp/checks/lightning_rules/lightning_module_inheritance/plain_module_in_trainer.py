from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.checks.lightning_rules._trainers import trainer_calls
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE, is_library_subclass


class PlainModuleInTrainer(Check[ast.Module]):
    """A model passed to the Trainer that is no LightningModule.

    ## What it does
    Finds `trainer.fit(model)`, `validate`, `test` and `predict` of Lightning's Trainer with a model that is made from
    torch's own modules, or from a class of the file that inherits from `nn.Module`.

    ## Why it matters
    The Trainer takes a LightningModule only, and raises a TypeError for anything else.

    ## Do not flag
    Models made elsewhere, classes with a base in another file or with a `training_step`
    (`step-methods-outside-lightning-module` speaks of them), trainers of other libraries, tests.

    ## Fix safety
    No fix: the loss and the optimizer have to come into the module.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L
            from torch import nn

            model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
            trainer = L.Trainer(max_epochs=3)
            trainer.fit(«model», loader)
            """
        ),
        Bad(
            """
            from pytorch_lightning import Trainer
            import torch

            class Net(torch.nn.Module):
                def forward(self, x):
                    return self.layers(x)

            def main():
                net = Net()
                Trainer().fit(«net», train_dataloaders=loader)
            """
        ),
        Good(
            """
            import lightning as L
            import torch
            from project import Net, Wrapper
            from torch import nn

            class Classifier(L.LightningModule):
                def __init__(self, net):
                    super().__init__()
                    self.net = net

            class Other(Wrapper, nn.Module):
                pass

            class Steps(nn.Module):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            trainer = L.Trainer()
            trainer.fit(Classifier(nn.Linear(4, 2)), loader)
            trainer.fit(Net(), loader)
            trainer.fit(Other(), loader)
            trainer.fit(Steps(), loader)
            trainer.test(torch.compile(Classifier(Net())), loader)
            """
        ),
        Good(
            """
            from lightning import seed_everything
            from torch import nn
            from transformers import Trainer

            Trainer().fit(nn.Linear(4, 2))
            """,
            "another library's Trainer",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        for call, _ in trainer_calls(module, "fit", "validate", "test", "predict"):
            model = argument(call, "model", 0)
            if model is None or is_test(module):
                continue
            if all(_is_plain(module, origin) for origin in module.origins(model)):
                yield self.finding(
                    module,
                    model,
                    f"`{module.called_name(call)}` raises a TypeError, because this model is no LightningModule. "
                    "Wrap it in a LightningModule that computes the loss in `training_step`.",
                )


def _is_plain(module: Module, origin: ast.expr) -> bool:
    """Whether an expression makes a module of torch, or of a class that inherits from nothing but such modules."""
    if not isinstance(origin, ast.Call):
        return False
    cls = module.local_class(origin.func)
    if cls is not None and module.method(cls, "training_step") is not None:
        return False  # `step-methods-outside-lightning-module` speaks of the class
    if cls is None:
        name = module.qualified_name(origin.func) or ""
        return name.startswith("torch.nn.") and is_library_subclass(name, MODULE)
    bases = [base for each in module.lineage(cls) for base in each.bases]
    known = all(
        module.local_class(base) is not None or (module.qualified_name(base) or "").startswith("torch.nn.")
        for base in bases
    )
    return bool(bases) and known and not module.is_subclass(cls, LIGHTNING_MODULE)
