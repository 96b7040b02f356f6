from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._models import is_model
from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module


class ForwardCalledDirectly(Check[ast.Call]):
    """`model.forward(x)` in the place of `model(x)`.

    ## What it does
    Finds calls of a module's `forward` method.

    ## Why it matters
    Calling the module runs its hooks and then `forward`; calling `forward` leaves the hooks out. Feature extractors,
    pruning, spectral norm, profilers and wrappers such as DistributedDataParallel, which averages the gradients, rest
    on them and stop working without an error.

    ## Do not flag
    `super().forward(…)` and `Base.forward(self, …)`; `self.forward(…)` in the class's own methods and hooks;
    compiled extensions, networks of other libraries and objects that are not known to be modules.

    ## Fix safety
    Safe: without hooks the result is the same, and with hooks leaving them out was the bug.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.forward
    """

    names = frozenset({"forward"})
    examples = (
        Bad(
            """
            for images, labels in loader:
                output = «model.forward(images)»
                loss = criterion(output, labels)
            """,
            safe_fix="""
            for images, labels in loader:
                output = model(images)
                loss = criterion(output, labels)
            """,
        ),
        Bad(
            """
            from torch import nn

            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.stem = nn.Conv2d(3, 16, 3)
                    self.head = nn.Sequential(nn.Flatten(), nn.Linear(16, 10))

                def forward(self, x):
                    return «self.head.forward(‹self.stem.forward(x)›)»
            """,
            safe_fix="""
            from torch import nn

            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.stem = nn.Conv2d(3, 16, 3)
                    self.head = nn.Sequential(nn.Flatten(), nn.Linear(16, 10))

                def forward(self, x):
                    return self.head(self.stem(x))
            """,
        ),
        Bad(
            """
            import torch
            import torch.nn as N

            class Net(N.Module):
                def forward(self, x, scale=1):
                    return x * scale

            detector = Net().to("cpu")
            result = «detector.forward(torch.ones(3), scale=2)»
            error = ‹N.MSELoss().forward(result, result)›
            """,
            safe_fix="""
            import torch
            import torch.nn as N

            class Net(N.Module):
                def forward(self, x, scale=1):
                    return x * scale

            detector = Net().to("cpu")
            result = detector(torch.ones(3), scale=2)
            error = N.MSELoss()(result, result)
            """,
        ),
        Good(
            """
            from torch import nn

            class Residual(nn.Linear):
                def forward(self, x):
                    return x + super().forward(x) + nn.Linear.forward(self, x) + super(Residual, self).forward(x)

                def training_step(self, batch):
                    return self.forward(batch)
            """
        ),
        Good(
            """
            import cv2
            import torch
            import sigmoid_extension

            network = cv2.dnn.readNet("model.onnx")
            output = network.forward(names)
            other = sigmoid_extension.forward(x)
            """,
            why="no modules",
        ),
        Good(
            """
            import torch

            class Perceptron:
                def forward(self, x):
                    return x @ self.weight

            model = Perceptron()
            output = model.forward(x)
            """,
            why="a class of one's own that can't be called",
        ),
        Good(
            """
            import torch

            class Square(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    return x * x

            output = Square.forward(ctx, x)
            browser.forward(2)
            """,
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        match node.func:
            case ast.Attribute(value=base) if node.args or node.keywords:
                if ast.unparse(base) == "self" or not is_model(module, base):
                    return
                text = module.text(base)
                yield self.finding(
                    module,
                    node,
                    "Called directly, `forward` leaves out the module's hooks, and with them what wrappers, pruning "
                    "and profilers do. Call the module itself, as in `model(x)`.",
                    fix=safe("Call the module", Replace(Span.of(node.func), text)),
                )
