from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._models import is_model
from mlrules_mcp.checks.check import Bad, Check, Good, safe, suggested
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import passes_unseen_arguments
from mlrules_mcp.source.values import MODULE

# Names under which nothing but a module goes in code that uses PyTorch.
_USUAL_NAMES = frozenset({"model", "net", "network"})
_METHODS_OF_MODULES = ("eval", "train", "parameters", "named_parameters", "state_dict", "load_state_dict", "zero_grad")


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
    wrappers that hand on `*args, **kwargs`; compiled extensions, networks of other libraries and objects that
    are not known to be modules.

    ## Fix safety
    Safe where the object is seen to be a module: without hooks the result is the same, and with hooks leaving them out
    was the bug. Suggested where only its name says so.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.forward
    """

    names = frozenset({"forward"})
    examples = (
        Bad(
            """
            model.train()
            for images, labels in loader:
                output = «model.forward(images)»
                loss = criterion(output, labels)
            """,
            safe_fix="""
            model.train()
            for images, labels in loader:
                output = model(images)
                loss = criterion(output, labels)
            """,
        ),
        Bad(
            """
            def predict(model, image):
                return «model.forward(image.unsqueeze(0))».argmax(dim=1)
            """,
            suggested_fix="""
            def predict(model, image):
                return model(image.unsqueeze(0)).argmax(dim=1)
            """,
        ),
        Bad(
            """
            from torch import nn

            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.stem = nn.Conv2d(3, 16, 3)
                    self.heads = nn.ModuleList([nn.Flatten(), nn.Linear(16, 10)])

                def forward(self, x):
                    return «self.heads[0].forward(‹self.stem.forward(x)›)»
            """,
            safe_fix="""
            from torch import nn

            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.stem = nn.Conv2d(3, 16, 3)
                    self.heads = nn.ModuleList([nn.Flatten(), nn.Linear(16, 10)])

                def forward(self, x):
                    return self.heads[0](self.stem(x))
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
            import lightning as L

            class Forecaster(L.LightningModule):
                def forward(self, *args, **kwargs):
                    return self.model.forward(*args, **kwargs)

            def degrade(image, isp_model=None):
                return isp_model.forward(image.copy(), 2)
            """,
            why="a wrapper that hands everything on, and an object of which nothing is known",
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

            def evaluate(net, x):
                return net.forward(x)

            model = Perceptron()
            output = model.forward(x) + evaluate(model, x)
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
            case ast.Attribute(value=base) if (node.args or node.keywords) and ast.unparse(base) != "self":
                if not is_model(module, base) or _hands_on(module, node):
                    return
                certain = _is_certainly_a_module(module, base)
                if not certain and last_name(base) not in _USUAL_NAMES:
                    return
                text = module.text(base)
                yield self.finding(
                    module,
                    node,
                    "Called directly, `forward` leaves out the module's hooks, and with them what wrappers, pruning "
                    "and profilers do. Call the module itself, as in `model(x)`.",
                    fix=(safe if certain else suggested)("Call the module", Replace(Span.of(node.func), text)),
                )


def _hands_on(module: Module, call: ast.Call) -> bool:
    """Whether a wrapper's own `forward` hands on all that it is given."""
    function = module.enclosing_function(call)
    return function is not None and function.name == "forward" and passes_unseen_arguments(call)


def _is_certainly_a_module(module: Module, base: ast.expr) -> bool:
    """Whether something is made as a module, or used in the same file in a way that only modules can be."""
    owner = base.value if isinstance(base, ast.Subscript) else base
    if module.is_instance(owner, MODULE):
        return True
    text = ast.unparse(base)
    calls = module.calls(*_METHODS_OF_MODULES, last_name(base) or "")
    return any(text in (ast.unparse(call.func), ast.unparse(call.func).rpartition(".")[0]) for call in calls)
