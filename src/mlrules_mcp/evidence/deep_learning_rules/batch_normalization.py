from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import NETWORK
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED, no_network

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "torch.nn.BatchNorm1d torch.nn.BatchNorm2d torch.nn.BatchNorm3d torch.nn.SyncBatchNorm torch.nn.LayerNorm "
    "torch.nn.GroupNorm torch.nn.InstanceNorm1d torch.nn.InstanceNorm2d torch.nn.InstanceNorm3d torch.nn.RMSNorm "
    "torch.nn.LazyBatchNorm1d torch.nn.LazyBatchNorm2d torch.nn.functional.layer_norm torch.nn.functional.rms_norm "
    "torch.nn.functional.batch_norm torch.nn.functional.group_norm torch.nn.TransformerEncoderLayer "
    "keras.layers.BatchNormalization keras.layers.LayerNormalization tensorflow.keras.layers.BatchNormalization "
    "tensorflow.keras.layers.LayerNormalization flax.linen.BatchNorm flax.linen.LayerNorm"
)
# Layers of the project's own.
_DEFINITIONS = "layernorm rmsnorm batchnorm groupnorm layer_norm rms_norm"


class BatchNormalization(Collector):
    """The activations of a network are normalized between its layers.

    ## Met
    Layers for batch, layer, group, instance or RMS normalization.

    ## Broken
    A static check finds biases in front of batch norms, norms on single samples, functional norms that stay in
    training.

    ## Not applicable
    No neural network is defined or trained here.

    ## Never counts
    Normalization of the data; norms inside of pretrained models.

    ## References
    - https://docs.pytorch.org/docs/stable/nn.html#normalization-layers
    """

    asks = Asked.of(calls=_CALLS, definitions=_DEFINITIONS)
    would_count = "a layer for batch, layer, group, instance or RMS normalization"
    examples = (
        Example({"train.py": TRAINED.replace("nn.ReLU()", "nn.LayerNorm(8), nn.ReLU()")}, "met", ["train.py:4"]),
        Example({"train.py": TRAINED}, "no_evidence"),
        Example({"train.py": TRAINED.replace("nn.ReLU()", "nn.BatchNorm1d(8), nn.ReLU()")}, "broken"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where there is no network."""
        return no_network(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """The layers."""
        yield from (of(fact) for fact in project.calls(*_CALLS.split()))
        own = project.definitions(*_DEFINITIONS.split())
        yield from (of(fact) for fact in own if fact.text.startswith("class "))

    def next_step(self, project: Facts) -> NextStep:
        """A norm between layers, and which."""
        network = next(iter(project.landmarks(NETWORK)), None)
        path, line = (network.path, network.line) if network else ("model.py", None)
        content = (
            "# convolutions, batches of 16 and more\n"
            "nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),\n"
            "# linear layers, sequences, small batches\nnn.Linear(inputs, width), nn.LayerNorm(width),\n"
        )
        return NextStep("Normalize between the layers", "small", path, content, line)
