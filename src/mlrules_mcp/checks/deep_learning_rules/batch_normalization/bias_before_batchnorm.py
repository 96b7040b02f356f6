from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.deep_learning_rules._layers import Layer, pairs
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

# Weights made elsewhere hold a bias, which a layer without one refuses.
_LOADS_WEIGHTS = pattern(r"pretrained|load_state_dict|load_url|model_zoo|load_from_checkpoint|checkpoint|\.bias\b")
_NORMS = {
    "Linear": ("BatchNorm1d", "SyncBatchNorm"),
    "LazyLinear": ("BatchNorm1d", "LazyBatchNorm1d", "SyncBatchNorm"),
    **{
        f"{lazy}{kind}{dimensions}d": (f"BatchNorm{dimensions}d", f"LazyBatchNorm{dimensions}d", "SyncBatchNorm")
        for lazy in ("", "Lazy")
        for kind in ("Conv", "ConvTranspose")
        for dimensions in (1, 2, 3)
    },
}


class BiasBeforeBatchnorm(Check[ast.Module]):
    """A bias that the batch normalisation behind it takes away.

    ## What it does
    Finds linear and convolutional layers with a bias (the default) directly before a batch normalisation: in an
    `nn.Sequential` or a list of layers, and in what `forward` applies to the result.

    ## Why it matters
    Batch normalisation subtracts the mean of each channel, and a bias with it, in training as in evaluation. The
    parameter has no effect and its gradient is zero; it costs memory and time, and weight decay and optimizer states
    are spent on it.

    ## Do not flag
    Layers with `bias=False` or a bias that a variable decides; anything between the two, such as an activation or
    dropout; layers whose result is used elsewhere as well, or that are called several times; a normalisation that
    is there only under a condition; files that load weights made elsewhere, which hold the bias, and files that
    initialise or read biases.

    ## Fix safety
    Suggested: `bias=False` computes the same, but checkpoints that hold the bias no longer fit.

    ## References
    - https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
    """

    words = ("BatchNorm",)
    examples = (
        Bad(
            """
            import torch.nn as nn

            block = nn.Sequential(
                «nn.Conv2d(3, 64, 3, padding=1)»,
                nn.BatchNorm2d(64),
                nn.ReLU(),
                nn.Conv2d(64, 64, 3, padding=1, bias=False),
                nn.BatchNorm2d(64),
                nn.ReLU(),
            )
            """,
            suggested_fix="""
            import torch.nn as nn

            block = nn.Sequential(
                nn.Conv2d(3, 64, 3, padding=1, bias=False),
                nn.BatchNorm2d(64),
                nn.ReLU(),
                nn.Conv2d(64, 64, 3, padding=1, bias=False),
                nn.BatchNorm2d(64),
                nn.ReLU(),
            )
            """,
        ),
        Bad(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv1 = «nn.Conv2d(1, 20, 5)»
                    self.bn1 = nn.BatchNorm2d(20)
                    self.conv2 = ‹nn.Conv2d(20, 40, 5, bias=True)›
                    self.bn2 = nn.BatchNorm2d(40)
                    self.fc = nn.Linear(640, 10)

                def forward(self, x):
                    x = F.relu(self.bn1(self.conv1(x)))
                    x = self.conv2(x)
                    x = self.bn2(x)
                    x = F.relu(x)
                    return self.fc(x.flatten(1))
            """,
            suggested_fix="""
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv1 = nn.Conv2d(1, 20, 5, bias=False)
                    self.bn1 = nn.BatchNorm2d(20)
                    self.conv2 = nn.Conv2d(20, 40, 5, bias=False)
                    self.bn2 = nn.BatchNorm2d(40)
                    self.fc = nn.Linear(640, 10)

                def forward(self, x):
                    x = F.relu(self.bn1(self.conv1(x)))
                    x = self.conv2(x)
                    x = self.bn2(x)
                    x = F.relu(x)
                    return self.fc(x.flatten(1))
            """,
        ),
        Bad(
            """
            from torch import nn

            def make_layers(widths):
                layers = []
                for before, width in zip(widths, widths[1:]):
                    layers.append(«nn.Linear(before, width)»)
                    layers.append(nn.BatchNorm1d(width))
                    layers += [nn.ReLU(), ‹nn.Linear(width, width)›, nn.BatchNorm1d(width)]
                return nn.Sequential(*layers)
            """,
            suggested_fix="""
            from torch import nn

            def make_layers(widths):
                layers = []
                for before, width in zip(widths, widths[1:]):
                    layers.append(nn.Linear(before, width, bias=False))
                    layers.append(nn.BatchNorm1d(width))
                    layers += [nn.ReLU(), nn.Linear(width, width, bias=False), nn.BatchNorm1d(width)]
                return nn.Sequential(*layers)
            """,
        ),
        Bad(
            """
            from collections import OrderedDict
            from torch.nn import BatchNorm2d, ConvTranspose2d, Sequential

            up = Sequential(OrderedDict([("up", «ConvTranspose2d(8, 4, 2)»), ("norm", BatchNorm2d(4))]))
            """,
            suggested_fix="""
            from collections import OrderedDict
            from torch.nn import BatchNorm2d, ConvTranspose2d, Sequential

            up = Sequential(OrderedDict([("up", ConvTranspose2d(8, 4, 2, bias=False)), ("norm", BatchNorm2d(4))]))
            """,
        ),
        Good(
            """
            import torch.nn as nn

            def block(width, use_bias=False):
                return nn.Sequential(
                    nn.Conv2d(3, width, 3, bias=False),
                    nn.BatchNorm2d(width),
                    nn.Conv2d(width, width, 3, bias=use_bias),
                    nn.BatchNorm2d(width),
                    nn.Conv2d(width, width, 1, 1, 0, 1, 1, False),
                    nn.BatchNorm2d(width),
                    nn.Conv2d(width, width, 1),
                    nn.ReLU(),
                    nn.BatchNorm2d(width),
                    nn.Conv2d(width, width, 1),
                    nn.LayerNorm(width),
                )
            """,
            why="No bias, an activation in between, and a normalisation that keeps the bias.",
        ),
        Good(
            """
            import torch.nn as nn

            class Block(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.conv = nn.Conv2d(width, width, 3)
                    self.shared = nn.Conv2d(width, width, 3)
                    self.bn = nn.BatchNorm2d(width)

                def forward(self, x):
                    x = self.conv(x)
                    y = self.bn(x)
                    y = self.bn(self.shared(y)) + self.shared(y)
                    return x + y
            """,
            why="The results of both layers are used without the normalisation too.",
        ),
        Good(
            """
            import torch.nn as nn

            def make_layers(norm):
                layers = [nn.Conv2d(3, 8, 3)]
                layers.append(nn.Conv2d(8, 8, 3))
                if norm:
                    layers.append(nn.BatchNorm2d(8))
                layers.append(nn.Conv2d(8, 8, 3))
                layers.append(nn.BatchNorm2d(8) if norm else nn.Identity())
                conv = nn.Conv2d(8, 8, 3)
                if norm:
                    layers += [conv, nn.BatchNorm2d(8), nn.ReLU()]
                else:
                    layers += [conv, nn.ReLU()]
                return layers
            """,
            why="Without the normalisation the bias counts.",
        ),
        Good(
            """
            import torch
            import torch.nn as nn

            net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
            net.load_state_dict(torch.load("published_weights.pt"))
            """,
            why="The weights that are loaded hold the bias.",
        ),
        Good(
            """
            import torch.nn as nn

            net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
            for layer in net:
                nn.init.zeros_(layer.bias)
            """,
            why="The bias is asked for.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        code = module.source.code
        if _LOADS_WEIGHTS.search(code) or is_test(module):
            return
        found = {first.node: first for first, second in pairs(module) if second.name in _NORMS.get(first.name, ())}
        for layer in found.values():
            if _has_bias(layer):
                yield self.finding(
                    module,
                    layer.node,
                    "The batch normalisation that follows subtracts this layer's bias again, so the bias is a "
                    "parameter without effect. Write `bias=False`.",
                    fix=suggested("Leave the bias out", SetArgument(Span.of(layer.node), "bias", "False")),
                )


def _has_bias(layer: Layer) -> bool:
    assert isinstance(layer.node, ast.Call)
    if passes_unseen_arguments(layer.node):
        return False
    position = (2 if layer.name == "Linear" else 7) - (1 if layer.name.startswith("Lazy") else 0)
    match argument(layer.node, "bias", position):
        case None:
            return True
        case ast.Constant(value=True):
            return bool(re.search(r"\bbias\b", " ".join(each.arg or "" for each in layer.node.keywords)))
    return False
