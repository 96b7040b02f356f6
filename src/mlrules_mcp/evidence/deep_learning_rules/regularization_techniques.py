from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import NETWORK
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED, is_zero, no_network, place_to_change

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "torch.nn.Dropout torch.nn.Dropout1d torch.nn.Dropout2d torch.nn.Dropout3d torch.nn.AlphaDropout "
    "torch.nn.functional.dropout torch.nn.functional.dropout2d torch.optim.AdamW transformers.AdamW "
    "timm.models.layers.DropPath timm.layers.DropPath timm.data.Mixup torchvision.ops.StochasticDepth "
    "keras.layers.Dropout keras.layers.SpatialDropout1D keras.layers.SpatialDropout2D keras.regularizers.* "
    "tensorflow.keras.layers.Dropout tensorflow.keras.layers.SpatialDropout1D tensorflow.keras.regularizers.* "
    "keras.callbacks.EarlyStopping tensorflow.keras.callbacks.EarlyStopping flax.linen.Dropout optax.adamw "
    "lightning.pytorch.callbacks.EarlyStopping lightning.pytorch.callbacks.early_stopping.EarlyStopping "
    "lightning.pytorch.callbacks.StochasticWeightAveraging transformers.EarlyStoppingCallback"
)
_KEYWORDS = "weight_decay label_smoothing dropout drop_rate dropout_p kernel_regularizer"
_DEFINITIONS = "earlystopping early_stopping early_stopper earlystopper"


class RegularizationTechniques(Collector):
    """Something keeps a network from learning its training data by heart.

    ## Met
    Dropout, weight decay, AdamW, label smoothing, early stopping, stochastic depth or mixup, in code or configuration,
    with values other than zero.

    ## Broken
    A static check finds dropout that is never switched off, and the like.

    ## Not applicable
    No neural network is defined or trained here.

    ## Never counts
    Options that are zero.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
    - https://arxiv.org/abs/1711.05101
    """

    asks = Asked.of(calls=_CALLS, keywords=_KEYWORDS, definitions=_DEFINITIONS)
    would_count = "dropout, weight decay, early stopping, label smoothing or mixup"
    looked_in = "the code, notebooks and configurations"
    examples = (
        Example(
            {"train.py": TRAINED.replace("lr=0.1", "lr=0.1, weight_decay=1e-4")},
            "met",
            ["train.py:5"],
        ),
        Example({"train.py": TRAINED.replace("lr=0.1", "lr=0.1, weight_decay=0.0")}, "no_evidence"),
        Example(
            {
                "net.py": """\
                import torch.nn.functional as F
                from torch import nn


                class Net(nn.Module):
                    def forward(self, x):
                        return F.dropout(x, p=0.5)
                """
            },
            "broken",
            ["net.py:7", "net.py:7"],
        ),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where there is no network."""
        return no_network(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Layers, options, callbacks."""
        yield from (of(fact) for fact in project.calls(*_CALLS.split()))
        for name in _KEYWORDS.split():
            given = project.keywords(name)
            yield from (of(fact) for fact in given if _is_set(fact.keyword(name)))
        yield from (of(fact) for fact in project.definitions(*_DEFINITIONS.split()))
        for setting in project.set_to(r"(^|\.)(weight_decay|dropout\w*|label_smoothing)$", r"[1-9]"):
            yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")
        for setting in project.set_to(r"(^|\.)_target_$", r"EarlyStopping$"):
            yield Evidence(setting.path, setting.line, f"`{setting.value}` in the configuration")

    def next_step(self, project: Facts) -> NextStep:
        """The option of the optimizer."""
        path, line = place_to_change(project)
        network = next(iter(project.landmarks(NETWORK)), None)
        if line is None and network is not None:
            path, line = network.path, network.line
        content = (
            "optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)\n"
            "# between layers of the network: nn.Dropout(p=0.1)\n"
        )
        return NextStep("Add weight decay or dropout", "small", path, content, line)


def _is_set(code: str | None) -> bool:
    """Whether an option has a value other than nothing, or one that is given elsewhere."""
    return not is_zero(code) and not re.fullmatch(r"0*\.?0*(e-?\d+)?", code or "")
