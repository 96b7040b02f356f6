from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules._layers import Chain, Layer, chains
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module

_DROPOUTS = frozenset("Dropout Dropout1d Dropout2d Dropout3d dropout dropout1d dropout2d dropout3d".split())
_NORMS = frozenset(f"{lazy}BatchNorm{n}d" for lazy in ("", "Lazy") for n in (1, 2, 3)) | {"SyncBatchNorm"}
_ACTIVATIONS = frozenset(
    "ReLU relu ReLU6 relu6 LeakyReLU leaky_relu ELU elu SELU selu GELU gelu SiLU silu PReLU prelu Tanh tanh Sigmoid "
    "sigmoid Mish mish Hardswish hardswish Softplus softplus".split()
)


class DropoutBeforeBatchnorm(Check[ast.Module]):
    """Dropout directly before a batch normalisation.

    ## What it does
    Finds dropout whose result goes into a batch normalisation, directly or through an activation. Advice.

    ## Why it matters
    In training, dropout raises the variance of what it lets through, and the normalisation's running statistics
    learn that variance. In evaluation dropout is off, so the statistics don't fit what comes in, and accuracy drops.

    ## Do not flag
    Dropout behind the normalisation, and dropout with a linear or convolutional layer in between, which is common
    and mostly harmless; layer and group normalisation, which keep no statistics.

    ## Fix safety
    No fix: moving the dropout behind the normalisation changes the model.

    ## References
    - https://arxiv.org/abs/1801.05134
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
    """

    words = ("BatchNorm",)
    examples = (
        Bad(
            """
            import torch.nn as nn

            net = nn.Sequential(
                nn.Linear(10, 64),
                «nn.Dropout(0.5)»,
                nn.BatchNorm1d(64),
                nn.ReLU(),
            )
            """,
            advice=True,
        ),
        Bad(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(10, 64)
                    self.drop = «nn.Dropout(0.5)»
                    self.bn = nn.BatchNorm1d(64)

                def forward(self, x):
                    x = self.fc1(x)
                    x = F.relu(self.drop(x))
                    return self.bn(x)
            """,
            advice=True,
        ),
        Bad(
            """
            from torch import nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.norm = nn.BatchNorm2d(8)

                def forward(self, x):
                    return self.norm(«F.dropout2d(x, 0.2, self.training)»)
            """,
            advice=True,
        ),
        Good(
            """
            import torch.nn as nn

            net = nn.Sequential(
                nn.Linear(10, 64),
                nn.BatchNorm1d(64),
                nn.ReLU(),
                nn.Dropout(0.5),
                nn.Linear(64, 64),
                nn.BatchNorm1d(64),
                nn.Dropout(0.1),
                nn.LayerNorm(64),
            )
            """
        ),
        Good(
            """
            import torch.nn as nn

            def block(width, last):
                layers = [nn.Linear(width, width), nn.Dropout(0.1)]
                if not last:
                    layers.append(nn.BatchNorm1d(width))
                return nn.Sequential(nn.Dropout(p=0.0), nn.BatchNorm1d(width), *layers)
            """,
            why="What follows is not certain, or nothing is dropped.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        code = module.source.code
        if "ropout" not in code or is_test(module):
            return
        dropouts = dict.fromkeys(layer.node for chain in chains(module) for layer in _before_norm(chain))
        for dropout in dropouts:
            yield self.finding(
                module,
                dropout,
                "The batch normalisation behind this dropout learns a variance that is there in training alone, so it "
                "is off in evaluation. Put the dropout behind the normalisation.",
                advice=True,
            )


def _before_norm(chain: Chain) -> Iterator[Layer]:
    dropout: Layer | None = None
    for layer in chain:
        if layer.name in _NORMS and dropout is not None:
            yield dropout
        if layer.name in _DROPOUTS:
            dropout = None if _drops_nothing(layer.node) else layer
        elif layer.name not in _ACTIVATIONS:
            dropout = None


def _drops_nothing(layer: ast.expr) -> bool:
    values = [*layer.args, *(each.value for each in layer.keywords)] if isinstance(layer, ast.Call) else []
    return any(isinstance(value, ast.Constant) and value.value == 0 and value.value is not False for value in values)
