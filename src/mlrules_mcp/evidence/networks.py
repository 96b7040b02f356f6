"""What the rules on neural networks ask first: whether one is trained here, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, NETWORK, TRAINING
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlrules_mcp.evidence.answer import Evidence
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

# A small training script for the examples of collectors.
TRAINED = """\
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
"""
LIGHTNING_BASE = """\
import lightning as L


class Base(L.LightningModule):
    def forward(self, x):
        return x
"""

LIGHTNING_TRAINED = """\
import lightning as L
import torch
from torch import nn


class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.mse_loss(self.layer(x), y)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


L.Trainer(max_epochs=3).fit(Net(), loader)
"""
NO_NETWORK = {"features.py": "def double(x):\n    return 2 * x\n"}


def no_network_trained(project: Facts) -> str | None:
    """Why the rules on training networks say nothing about a project; None where one is trained."""
    if project.landmarks(DEEP_TRAINING, LIGHTNING_MODULE):
        return None
    return project.lacks("code") or f"No neural network is trained here{project.extent}."


def no_network(project: Facts) -> str | None:
    """Why the rules on the design of networks say nothing about a project; None where one is defined or trained."""
    if project.landmarks(NETWORK):
        return None
    return no_network_trained(project) and (
        project.lacks("code") or f"No neural network is defined or trained here{project.extent}."
    )


def no_lightning(project: Facts) -> str | None:
    """Why the rules on Lightning say nothing about a project; None where it has a LightningModule."""
    if project.landmarks(LIGHTNING_MODULE):
        return None
    return project.lacks("code") or f"The project does not use Lightning: there is no LightningModule{project.extent}."


def foremost(project: Facts, facts: Iterable[Fact]) -> list[Fact]:
    """Places with those first that stand in files that train."""
    files = {fact.path for fact in project.landmarks(DEEP_TRAINING, TRAINING, LIGHTNING_MODULE)}
    return sorted(facts, key=lambda fact: fact.path not in files)


def place_to_change(project: Facts) -> tuple[str, int | None]:
    """The file and the line of the training that a next step is about; a new file where none shows."""
    place = next(iter(project.landmarks(DEEP_TRAINING, LIGHTNING_MODULE)), None)
    return (place.path, place.line) if place else ("train.py", None)


def where(place: Fact | Evidence) -> str:
    """A place for the text of a file: `path:line`, with the cell in between for a notebook."""
    return ":".join(str(part) for part in (place.path, place.cell, place.line) if part is not None)


def is_zero(code: str | None) -> bool:
    """Whether the code of an argument stands for nothing: `0`, `0.0`, `None`, `False`."""
    return (code or "").strip().strip("\"'").lower() in ("", "0", "0.0", "0.", "none", "null", "false")
