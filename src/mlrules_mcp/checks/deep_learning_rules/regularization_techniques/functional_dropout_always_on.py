from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.checks.deep_learning_rules._modes import asks_for_mode, module_method
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

# Those whose `training` is True unless it is passed; the alpha dropouts have False.
_DROPOUTS = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d"})
# Randomness that is wanted outside of training: Monte Carlo dropout, sampling, noise, augmentation.
_WANTED = pattern(
    r"(?i:(^|_)mc(_|$|d)|monte|bayes|uncertain|stochastic|sampl|noise|noisy|corrupt|augment|perturb|generate)|"
    r"MC[A-Z]|always"
)


class FunctionalDropoutAlwaysOn(Check[ast.Call]):
    """Functional dropout that `model.eval()` does not switch off.

    ## What it does
    Finds `F.dropout(x)`, `F.dropout1d`, `F.dropout2d` and `F.dropout3d` in the methods of an `nn.Module` without
    `training=`, whose default is True.

    ## Why it matters
    The function does not know the module's mode. After `model.eval()` it goes on dropping activations at random, so
    validation scores are too low, the same input gives another prediction each time, and exported models are wrong.

    ## Do not flag
    `training` passed by keyword or position, whatever its value; a branch that runs only in training
    (`if self.training:`); Monte Carlo dropout and sampling by the names of the class, the method or what is dropped;
    `p=0`; code outside of modules; tests.

    ## Fix safety
    Safe: it changes nothing in training, and evaluation was certainly wrong.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html
    """

    names = _DROPOUTS
    examples = (
        Bad(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def forward(self, x):
                    x = F.relu(self.fc1(x))
                    x = «F.dropout(x)»
                    x = ‹F.dropout(x, 0.3)›
                    x = F.dropout(x, training=self.training)
                    return self.fc2(x)
            """,
            safe_fix="""
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def forward(self, x):
                    x = F.relu(self.fc1(x))
                    x = F.dropout(x, training=self.training)
                    x = F.dropout(x, 0.3, training=self.training)
                    x = F.dropout(x, training=self.training)
                    return self.fc2(x)
            """,
        ),
        Bad(
            """
            from torch.nn.functional import dropout2d, relu
            from lightning.pytorch import LightningModule

            class Classifier(LightningModule):
                def features(self, x):
                    return «dropout2d(relu(self.conv(x)), p=self.p, inplace=True)»

                def forward(self, x):
                    return self.head(self.features(x))
            """,
            safe_fix="""
            from torch.nn.functional import dropout2d, relu
            from lightning.pytorch import LightningModule

            class Classifier(LightningModule):
                def features(self, x):
                    return dropout2d(relu(self.conv(x)), p=self.p, inplace=True, training=self.training)

                def forward(self, x):
                    return self.head(self.features(x))
            """,
        ),
        Bad(
            """
            import torch

            class Block(torch.nn.Module):
                def __init__(self, rate):
                    super().__init__()
                    self.rate = rate

            class Residual(Block):
                def forward(self, x):
                    if self.rate > 0:
                        x = «torch.nn.functional.dropout(x, self.rate)»
                    return x
            """,
            safe_fix="""
            import torch

            class Block(torch.nn.Module):
                def __init__(self, rate):
                    super().__init__()
                    self.rate = rate

            class Residual(Block):
                def forward(self, x):
                    if self.rate > 0:
                        x = torch.nn.functional.dropout(x, self.rate, training=self.training)
                    return x
            """,
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def forward(self, x, train=True):
                    x = F.dropout(x, 0.5, self.training)
                    x = F.dropout(x, 0.5, True)
                    return F.dropout(x, p=0.5, training=train)
            """,
            why="The mode is passed; one that is passed as True is meant.",
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def forward(self, x):
                    if self.training and self.p > 0:
                        x = F.dropout(x, self.p)
                    y = F.dropout(x) if self.training else x
                    if not self.training:
                        return x
                    return F.dropout(y, self.p)
            """,
            why="It runs in training alone.",
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class MCDropout(nn.Module):
                def forward(self, x):
                    return F.dropout(x, self.p)

            class Net(nn.Module):
                def predict_with_uncertainty(self, x):
                    return F.dropout(self(x), 0.1)
            """,
            why="Monte Carlo dropout is on when predicting, on purpose.",
        ),
        Good(
            """
            import torch
            from lightning.pytorch import LightningModule

            class Diffusion(LightningModule):
                def p_step(self, x, noise_dropout=0.0):
                    noise = torch.randn_like(x)
                    if noise_dropout > 0.0:
                        noise = torch.nn.functional.dropout(noise, p=noise_dropout)
                    return x + noise
            """,
            why="Noise that is wanted when sampling.",
        ),
        Good(
            """
            import torch
            import torch.nn.functional as F

            def corrupt(x):
                return F.dropout(x, 0.1)

            class Augmentation:
                def __call__(self, x):
                    return F.dropout(x, 0.1)
            """,
            why="Neither belongs to a module that has a mode.",
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Net(nn.Module):
                def forward(self, x):
                    return F.alpha_dropout(F.dropout(x, p=0), 0.1)
            """,
            why="The alpha dropouts are off unless they are told to train, and `p=0` drops nothing.",
        ),
        Good(
            """
            import torch.nn as nn
            from myproject.layers import dropout

            class Net(nn.Module):
                def forward(self, x):
                    return dropout(x, 0.5)
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if argument(node, "training", 2) is not None or passes_unseen_arguments(node) or not node.args:
            return
        package, _, function = (module.qualified_name(node.func) or "").rpartition(".")
        if package != "torch.nn.functional" or function not in _DROPOUTS:
            return
        found = module_method(module, node)
        if found is None or _is_wanted(module, node, *(each.name for each in found)) or asks_for_mode(module, node):
            return
        yield self.finding(
            module,
            node,
            "Without `training=` this dropout stays on after `model.eval()`, so validation and prediction are random. "
            "Pass `training=self.training`.",
            fix=safe("Pass training=self.training", SetArgument(Span.of(node), "training", "self.training")),
            error=True,
        )


def _is_wanted(module: Module, node: ast.Call, *names: str) -> bool:
    """Whether randomness outside of training is meant, by what it is called, or nothing is dropped."""
    match argument(node, "p", 1):
        case ast.Constant(value=0):
            return True
    return any(map(_WANTED.search, (*names, module.text(node)))) or is_test(module)
