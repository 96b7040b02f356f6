from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules._modes import is_made_in_forward
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_LAYERS = frozenset(
    "Linear Bilinear Embedding EmbeddingBag LSTM GRU RNN LSTMCell GRUCell RNNCell MultiheadAttention Transformer "
    "TransformerEncoderLayer TransformerDecoderLayer PReLU".split()
)
_CONVOLUTIONS = frozenset(f"{kind}{n}d" for kind in ("Conv", "ConvTranspose") for n in (1, 2, 3))
_NORMS = frozenset(f"BatchNorm{n}d" for n in (1, 2, 3)) | {"LayerNorm", "GroupNorm"}


class LayerMadeInForward(Check[ast.Call]):
    """A layer with weights that is made anew in each forward pass.

    ## What it does
    Finds `nn.Linear(…)`, convolutions, recurrent layers, embeddings and normalisations that are made in the `forward`
    of an `nn.Module` and called there.

    ## Why it matters
    Each call has new random weights. They belong to no module, so the optimizer never sees them and no checkpoint
    holds them: what the layer computes is noise, in training and afterwards. It also stays on the CPU.

    ## Do not flag
    Layers that are made in `forward` to be kept (`self.layer = …`) or whose weights are then set; layers without
    weights, such as activations and pooling; normalisations with `affine=False`; tests.

    ## Fix safety
    No fix: the layer belongs in `__init__`, where its sizes have to be known.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """

    names = _LAYERS | _CONVOLUTIONS | _NORMS
    examples = (
        Bad(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3)

                def forward(self, x):
                    x = F.relu(self.conv(x)).flatten(1)
                    return «nn.Linear(x.shape[1], 10)»(x)
            """
        ),
        Bad(
            """
            import torch
            from torch.nn import Conv2d, BatchNorm2d

            class Block(torch.nn.Module):
                def forward(self, x):
                    conv = «Conv2d(x.size(1), 64, kernel_size=1)»
                    x = conv(x)
                    return «BatchNorm2d(64)»(x)
            """
        ),
        Good(
            """
            import torch.nn as nn

            class Lazy(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = None

                def forward(self, x):
                    if self.fc is None:
                        self.fc = nn.Linear(x.shape[1], 10)
                    x = self.fc(x)
                    x = nn.LayerNorm(10, elementwise_affine=False)(x)
                    x = nn.BatchNorm1d(10, affine=False, track_running_stats=False)(x)
                    return nn.Softmax(dim=1)(nn.ReLU()(x))
            """,
            why="The first is kept, the others have no weights.",
        ),
        Good(
            """
            import torch.nn as nn

            class Fixed(nn.Module):
                def forward(self, x):
                    blur = nn.Conv2d(3, 3, 3, bias=False)
                    blur.weight = self.kernel
                    return blur(x)

            def head(x):
                return nn.Linear(x.shape[1], 10)(x)
            """,
            why="The weights are given, or it is no forward pass of a module.",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        package, _, layer = (module.qualified_name(node.func) or "").rpartition(".")
        if package != "torch.nn" or _has_no_weights(node) or not is_made_in_forward(module, node) or is_test(module):
            return
        yield self.finding(
            module,
            node,
            f"This `{layer}` gets new random weights in every forward pass, and no optimizer or checkpoint ever sees "
            "them. Make it in `__init__` as an attribute of the module.",
            error=True,
        )


def _has_no_weights(call: ast.Call) -> bool:
    flags = (argument(call, "affine"), argument(call, "elementwise_affine"))
    return any(isinstance(flag, ast.Constant) and flag.value is False for flag in flags)
