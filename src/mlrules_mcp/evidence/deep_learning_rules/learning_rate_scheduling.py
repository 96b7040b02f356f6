from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED, foremost, no_network_trained, place_to_change
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_CALLS = (
    "torch.optim.lr_scheduler.* transformers.get_scheduler transformers.get_linear_schedule_with_warmup "
    "transformers.get_cosine_schedule_with_warmup transformers.optimization.get_scheduler "
    "transformers.optimization.get_linear_schedule_with_warmup "
    "transformers.optimization.get_cosine_schedule_with_warmup timm.scheduler.* "
    "keras.callbacks.ReduceLROnPlateau keras.callbacks.LearningRateScheduler "
    "tensorflow.keras.callbacks.ReduceLROnPlateau tensorflow.keras.callbacks.LearningRateScheduler "
    "keras.optimizers.schedules.* tensorflow.keras.optimizers.schedules.* optax.cosine_decay_schedule "
    "optax.warmup_cosine_decay_schedule torch.optim.swa_utils.SWALR"
)
_KEYWORDS = "lr_scheduler_type warmup_ratio warmup_steps"


class LearningRateScheduling(Collector):
    """The learning rate changes in the course of a training.

    ## Met
    A scheduler of PyTorch, Transformers, timm, Keras or Optax, in code or configuration; a rate that is set anew during
    training (`param_group["lr"] = …`).

    ## Broken
    A static check finds a scheduler that is never stepped, stepped at the wrong time, or without its metric.

    ## Not applicable
    No neural network is trained here.

    ## Never counts
    A single rate, however it is configured.

    ## References
    - https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
    """

    asks = Asked.of(calls=_CALLS, keywords=_KEYWORDS)
    would_count = "a learning-rate scheduler, or a rate that is set anew during training"
    looked_in = "the code, notebooks and configurations"
    examples = (
        Example(
            {
                "train.py": TRAINED.replace(
                    "for x", "schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)\nfor x"
                )
                + "schedule.step()\n"
            },
            "met",
            ["train.py:6"],
        ),
        Example(
            {
                "train.py": TRAINED,
                "adjust.py": """\
                def adjust(optimizer, epoch):
                    for group in optimizer.param_groups:
                        group["lr"] = 0.1 * 0.5**epoch
                """,
            },
            "met",
            ["adjust.py:3"],
        ),
        Example(
            {
                "train.py": TRAINED.replace(
                    "for x", "schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)\nfor x"
                )
            },
            "broken",
        ),
        Example({"train.py": TRAINED, "config.yaml": "lr: 0.1\n"}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no network is trained."""
        return no_network_trained(project)

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Assignments to `group["lr"]`."""
        for assignment in module.nodes(ast.Assign):
            for target in assignment.targets:
                match target:
                    case ast.Subscript(slice=ast.Constant(value="lr"), value=value) if "group" in ast.unparse(value):
                        yield fact_at(module, role, assignment, "lr")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Schedulers, their options, rates set anew."""
        yield from (of(fact) for fact in foremost(project, project.calls(*_CALLS.split())) if "__" not in fact.name)
        for setting in project.set_to(r"(^|\.)_target_$", r"scheduler|schedule"):
            yield Evidence(setting.path, setting.line, f"`{setting.value}` in the configuration")
        yield from (of(fact) for fact in project.keywords(*_KEYWORDS.split()))
        yield from (of(fact) for fact in project.notes(self.rule))

    def next_step(self, project: Facts) -> NextStep:
        """A schedule for the training that is here."""
        path, line = place_to_change(project)
        if project.landmarks(LIGHTNING_MODULE):
            content = (
                "    def configure_optimizers(self):\n"
                "        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)\n"
                "        steps = self.trainer.estimated_stepping_batches\n"
                "        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps)\n"
                '        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}\n'
            )
        else:
            content = (
                "schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)  # before the loop\n"
                "schedule.step()  # once at the end of each epoch, after optimizer.step()\n"
            )
        return NextStep("Lower the learning rate in the course of training", "small", path, content, line)
