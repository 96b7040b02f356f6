from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import (
    LIGHTNING_TRAINED,
    NO_NETWORK,
    TRAINED,
    no_network_trained,
    place_to_change,
)
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_CALLBACKS = (
    "lightning.pytorch.callbacks.ModelCheckpoint lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint "
    "keras.callbacks.ModelCheckpoint tensorflow.keras.callbacks.ModelCheckpoint keras.callbacks.BackupAndRestore "
    "tensorflow.keras.callbacks.BackupAndRestore ray.train.CheckpointConfig ray.air.config.CheckpointConfig "
    "ray.air.CheckpointConfig ray.train.Checkpoint.from_directory tensorflow.train.CheckpointManager "
    "ignite.handlers.ModelCheckpoint ignite.handlers.Checkpoint orbax.checkpoint.CheckpointManager"
)
_METHODS = ".save_checkpoint .save_state .load_checkpoint"
_SETTINGS = "save_steps save_strategy resume_from_checkpoint"
_STATE = re.compile(r"state|ckpt|checkpoint|check_point|snapshot|weights|params", re.I)


class CheckpointManagement(Collector):
    """Training saves checkpoints from which it, or an evaluation, can go on.

    ## Met
    A checkpoint callback, in code or configuration; a saved state dict or dictionary of states; `save_checkpoint`,
    `save_state`, or the options of a trainer that saves by steps.

    ## Broken
    A static check finds whole models pickled, checkpointing switched off, hyperparameters left out, and the like.

    ## Not applicable
    No neural network is trained here.

    ## Never counts
    Loading of others' weights; a folder that is called checkpoints.

    ## References
    - https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
    - https://lightning.ai/docs/pytorch/stable/common/checkpointing.html
    """

    asks = Asked.of(calls=f"torch.save {_CALLBACKS} {_METHODS}", keywords=_SETTINGS)
    would_count = "a `ModelCheckpoint`, or `torch.save` of the state dicts of model and optimizer during training"
    looked_in = "the code, notebooks and configurations"
    examples = (
        Example(
            {"train.py": f"{TRAINED}torch.save(model.state_dict(), 'model.pt')\n"},
            "met",
            ["train.py:10"],
        ),
        Example(
            {
                "train.py": LIGHTNING_TRAINED,
                "configs/callbacks.yaml": """\
                checkpoint:
                  _target_: lightning.pytorch.callbacks.ModelCheckpoint
                  monitor: val/loss
                """,
            },
            "met",
            ["configs/callbacks.yaml:2"],
        ),
        Example({"train.py": f"{TRAINED}torch.save(model, 'model.pt')\n"}, "broken", ["train.py:10"]),
        Example({"train.py": TRAINED, "checkpoints/README.md": "Put weights here.\n"}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no network is trained."""
        return no_network_trained(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Callbacks, saved states, methods and options that save."""
        yield from (of(fact) for fact in project.calls(*_CALLBACKS.split()))
        for setting in project.set_to(r"(^|\.)_target_$", r"ModelCheckpoint$"):
            yield Evidence(setting.path, setting.line, f"`{setting.value}` in the configuration")
        yield from (of(fact) for fact in project.calls("torch.save") if _is_state(fact))
        yield from (of(fact) for fact in project.calls(*_METHODS.split()))
        yield from (of(fact) for fact in project.keywords(*_SETTINGS.split()))

    def next_step(self, project: Facts) -> NextStep:
        """The callback, or a dictionary of states."""
        path, line = place_to_change(project)
        if project.landmarks(LIGHTNING_MODULE):
            content = (
                "from lightning.pytorch.callbacks import ModelCheckpoint\n\n"
                'checkpoint = ModelCheckpoint(monitor="val/loss", mode="min", save_top_k=1, save_last=True)\n'
                "trainer = L.Trainer(callbacks=[checkpoint])\n"
            )
        else:
            content = (
                "# at the end of each epoch\n"
                'states = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}\n'
                'torch.save(states, "last.pt")\n'
            )
        return NextStep("Save a checkpoint from which training can go on", "small", path, content, line)


def _is_state(fact: Fact) -> bool:
    return bool(fact.arguments and (_STATE.search(fact.arguments[0]) or fact.arguments[0].startswith("{")))
