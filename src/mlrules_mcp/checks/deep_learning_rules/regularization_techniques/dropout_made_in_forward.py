from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.deep_learning_rules._modes import asks_for_mode, is_made_in_forward
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.source import Module

_DROPOUTS = {"Dropout": "dropout", "Dropout1d": "dropout1d", "Dropout2d": "dropout2d", "Dropout3d": "dropout3d"}
_ALPHA = {"AlphaDropout": "alpha_dropout", "FeatureAlphaDropout": "feature_alpha_dropout"}
_FUNCTIONS = _DROPOUTS | _ALPHA


class DropoutMadeInForward(Check[ast.Call]):
    """A dropout layer that is made anew in each forward pass.

    ## What it does
    Finds `nn.Dropout(…)` and its kin made in the `forward` of an `nn.Module` and called there.

    ## Why it matters
    A new layer is in training mode, and `model.eval()` does not reach it, because it belongs to no module. So it
    drops activations in validation and prediction too: scores are too low and differ from call to call.

    ## Do not flag
    Layers that are made in `forward` to be kept (`self.dropout = …`), and those that are put in the module's own mode
    (`.train(self.training)`, `.eval()`) or run only in training.

    ## Fix safety
    Suggested, where it is made and called at once: the functional form with `training=self.training`.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """

    names = frozenset(_FUNCTIONS)
    examples = (
        Bad(
            """
            import torch.nn as nn

            class Net(nn.Module):
                def forward(self, x):
                    x = «nn.Dropout(0.5)»(self.fc1(x))
                    return self.fc2(x)
            """,
            suggested_fix="""
            import torch.nn as nn

            class Net(nn.Module):
                def forward(self, x):
                    x = nn.functional.dropout(self.fc1(x), 0.5, training=self.training)
                    return self.fc2(x)
            """,
        ),
        Bad(
            """
            import torch
            from torch.nn import Dropout2d

            class Net(torch.nn.Module):
                def forward(self, x):
                    drop = «Dropout2d(p=self.rate)»
                    for layer in self.layers:
                        x = drop(layer(x))
                    return x
            """,
        ),
        Good(
            """
            import torch.nn as nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.drop = nn.Dropout(0.5)
                    self.layers = nn.Sequential(nn.Linear(3, 3), nn.Dropout())

                def forward(self, x):
                    return self.drop(self.layers(x))
            """
        ),
        Good(
            """
            import torch.nn as nn

            class Net(nn.Module):
                def forward(self, x):
                    if self.drop is None:
                        self.drop = nn.Dropout(0.5)
                    x = self.drop(x)
                    x = nn.Dropout(0.5).train(self.training)(x)
                    return nn.Dropout(0.1)(x) if self.training else x
            """,
            why="A layer that is kept belongs to the module; the others follow its mode.",
        ),
        Good(
            """
            import torch.nn as nn

            def make_head(width):
                return nn.Sequential(nn.Linear(width, width), nn.Dropout(0.1))

            class Head:
                def forward(self, x):
                    return nn.Dropout(0.1)(x)
            """,
            why="Neither is the forward pass of a module.",
        ),
        Good(
            """
            import torch.nn as nn

            class Net(nn.Module):
                def forward(self, x):
                    assert isinstance(self.drop, nn.Dropout)
                    layer = nn.Dropout(0.1)
                    layer.training = self.training
                    return layer(x)
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        package, _, layer = (module.qualified_name(node.func) or "").rpartition(".")
        if package != "torch.nn" or not is_made_in_forward(module, node) or asks_for_mode(module, node):
            return
        yield self.finding(
            module,
            node,
            f"A `{layer}` that is made in `forward` is always in training mode, so it also drops in validation and "
            "prediction. Make it in `__init__` as an attribute of the module.",
            fix=_fix(module, node, layer),
            error=True,
        )


def _fix(module: Module, made: ast.Call, layer: str) -> Fix | None:
    """The functional form, where the layer is called at once and the text shows how to name the function."""
    call = module.parent(made)
    match call, made:
        case (
            ast.Call(func=called, args=[ast.expr() as value], keywords=[]),
            ast.Call(func=ast.Attribute(value=ast.Name() as nn)),
        ) if called is made and module.qualified_name(nn) == "torch.nn":
            arguments = [module.text(value), *map(module.text, made.args)]
            arguments += [f"{each.arg}={module.text(each.value)}" for each in made.keywords]
            arguments.append("training=self.training")
            code = f"{nn.id}.functional.{_FUNCTIONS[layer]}({', '.join(arguments)})"
            return suggested("Use the functional form", Replace(Span.of(call), code))
    return None
