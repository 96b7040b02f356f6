from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.checks._lightning import LIGHTNING_DATA_MODULE, STEPS
from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import LIGHTNING_BASE, LIGHTNING_TRAINED, TRAINED, no_lightning, place_to_change
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module


class StructuredTrainingLoops(Collector):
    """Training, validation and test are steps of a LightningModule, and the data come from a LightningDataModule.

    ## Met
    Step methods of a LightningModule; a LightningDataModule.

    ## Broken
    A static check finds hooks that Lightning does not call, a loss that is not returned, backward calls in automatic
    optimization and the like.

    ## Not applicable
    The project does not use Lightning.

    ## Never counts
    A method of that name in another class.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html
    - https://lightning.ai/docs/pytorch/stable/data/datamodule.html
    """

    would_count = "a `training_step` in a LightningModule, a LightningDataModule"
    examples = (
        Example({"train.py": LIGHTNING_TRAINED}, "met", ["train.py:11"]),
        Example(
            {
                "train.py": LIGHTNING_TRAINED.replace(
                    "    def configure",
                    "    def training_epoch_end(self, outputs):\n        print(outputs)\n\n    def configure",
                )
            },
            "broken",
            ["train.py:17", "train.py:11"],
        ),
        Example({"model.py": LIGHTNING_BASE}, "no_evidence"),
        Example({"train.py": TRAINED}, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is made with Lightning."""
        return no_lightning(project)

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Step methods of LightningModules, and LightningDataModules."""
        if "lightning" not in module.imported_packages:
            return
        for cls in module.nodes(ast.ClassDef):
            if module.is_subclass(cls, LIGHTNING_DATA_MODULE):
                yield fact_at(module, role, cls, "data")
            elif module.is_subclass(cls, LIGHTNING_MODULE):
                steps = [each for each in cls.body if isinstance(each, ast.FunctionDef) and each.name in STEPS]
                yield from (fact_at(module, role, step, "step") for step in steps)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """The steps, then the data modules."""
        found = project.notes(self.rule)
        yield from (of(fact) for fact in sorted(found, key=lambda fact: fact.name, reverse=True))

    def next_step(self, project: Facts) -> NextStep:
        """A step and an optimizer."""
        path, line = place_to_change(project)
        return NextStep(
            "Write the training as steps of the LightningModule",
            "medium",
            path,
            "    def training_step(self, batch, batch_idx):\n        x, y = batch\n"
            "        loss = self.loss(self(x), y)\n"
            '        self.log("train/loss", loss)\n        return loss\n\n    def configure_optimizers(self):\n'
            "        return torch.optim.AdamW(self.parameters(), lr=1e-3)\n",
            line,
        )
