from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

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


class ProperLogging(Collector):
    """A LightningModule logs through Lightning, so that averages, loggers and callbacks see its metrics.

    ## Met
    Calls of `self.log` or `self.log_dict` in a LightningModule.

    ## Broken
    A static check finds prints in steps, modules that log nothing, or a monitored metric that nobody logs.

    ## Not applicable
    The project does not use Lightning.

    ## Never counts
    A logger that is configured and never told anything.

    ## References
    - https://lightning.ai/docs/pytorch/stable/extensions/logging.html
    """

    would_count = "`self.log` or `self.log_dict` in a LightningModule"
    examples = (
        Example({"train.py": LIGHTNING_TRAINED}, "met", ["train.py:14"]),
        Example(
            {"train.py": LIGHTNING_TRAINED.replace('self.log("train/loss", loss)', 'print("loss", loss)')}, "broken"
        ),
        Example({"model.py": LIGHTNING_BASE}, "no_evidence"),
        Example({"train.py": TRAINED}, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is made with Lightning."""
        return no_lightning(project)

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Calls of `self.log` in LightningModules."""
        if "lightning" not in module.imported_packages:
            return
        for call in module.calls("log", "log_dict"):
            cls = module.enclosing_class(call)
            is_self = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
            if is_self and cls is not None and module.is_subclass(cls, LIGHTNING_MODULE):
                yield fact_at(module, role, call, "log")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """The calls."""
        yield from (of(fact) for fact in project.notes(self.rule))

    def next_step(self, project: Facts) -> NextStep:
        """The two lines that every step needs."""
        path, line = place_to_change(project)
        content = 'self.log("train/loss", loss)\n# in validation_step:\nself.log("val/loss", loss, sync_dist=True)\n'
        return NextStep("Log losses and metrics with self.log", "small", path, content, line)
