from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.gradient_management._activations import last_activation
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_CLASSES = ("CrossEntropyLoss", "BCEWithLogitsLoss", "NLLLoss", "BCELoss")
_FUNCTIONS = {
    "cross_entropy": "CrossEntropyLoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "nll_loss": "NLLLoss",
    "binary_cross_entropy": "BCELoss",
}
_APPLIED_TWICE = (
    "`{loss}` applies {own} itself, so here it acts on what a {applied} gave: gradients shrink, and training is slow "
    "or stalls. Pass the raw scores, and apply the {applied} for predictions only."
)
_NO_LOGARITHM = (
    "`{loss}` expects log-probabilities, and here gets {given}: it minimises something else than the likelihood. "
    "Pass `F.log_softmax(scores, dim=1)`, or use cross-entropy on the raw scores."
)
_NO_PROBABILITIES = (
    "`{loss}` expects probabilities, and here gets {given}: values outside of 0 to 1 raise an error. "
    "Use `BCEWithLogitsLoss` on the raw scores."
)
# What each loss must not get, and what is said of it.
_PROBLEMS = {
    ("CrossEntropyLoss", "softmax"): (_APPLIED_TWICE, "log-softmax"),
    ("CrossEntropyLoss", "sigmoid"): (_APPLIED_TWICE, "log-softmax"),
    ("BCEWithLogitsLoss", "softmax"): (_APPLIED_TWICE, "a sigmoid"),
    ("BCEWithLogitsLoss", "sigmoid"): (_APPLIED_TWICE, "a sigmoid"),
    ("NLLLoss", "softmax"): (_NO_LOGARITHM, "probabilities"),
    ("NLLLoss", "sigmoid"): (_NO_LOGARITHM, "probabilities"),
    ("NLLLoss", "layer"): (_NO_LOGARITHM, "the raw scores of a layer"),
    ("BCELoss", "logarithm"): (_NO_PROBABILITIES, "logarithms"),
    ("BCELoss", "layer"): (_NO_PROBABILITIES, "the raw scores of a layer"),
}


class SoftmaxIntoCrossEntropy(Check[ast.Module]):
    """A classification loss whose input went through the wrong activation, or not through the right one.

    ## What it does
    Finds softmax or sigmoid before `CrossEntropyLoss` and `BCEWithLogitsLoss`, which apply their own; raw scores or
    probabilities in `NLLLoss`, which expects log-probabilities; raw scores in `BCELoss`, which expects
    probabilities. Follows the values through variables, models, layers and functions of the same file.

    ## Why it matters
    A softmax of a softmax is nearly flat: the loss can't come near zero, its gradients are small, and the model learns
    slowly or gets stuck well below its possible accuracy, without any error.

    ## Do not flag
    A softmax for metrics or predictions only, or on the targets; log-softmax before cross-entropy, which changes
    nothing; models that apply it outside of training only; values whose way doesn't show.

    ## Fix safety
    Suggested, and only where the activation stands in the call of the loss itself: learning rates and
    thresholds may have been tuned to what the code did.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
    """

    examples = (
        Bad(
            """
            import torch.nn.functional as F

            loss = «F.cross_entropy(F.softmax(model(x), dim=1), y)»
            """,
            suggested_fix="""
            import torch.nn.functional as F

            loss = F.cross_entropy(model(x), y)
            """,
        ),
        Bad(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(10, 3)
                    self.softmax = nn.Softmax(dim=1)

                def forward(self, x):
                    x = self.body(x)
                    return self.softmax(x)

            def train(model, loader, criterion):
                for x, y in loader:
                    output = model(x)
                    loss = «criterion(output, y)»
                    loss.backward()

            model = Net().to(device)
            train(model, loader, nn.CrossEntropyLoss())
            """
        ),
        Bad(
            """
            import lightning as L
            from torch import nn

            class Classifier(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
                    self.loss = nn.BCEWithLogitsLoss()

                def forward(self, x):
                    return self.net(x).squeeze()

                def training_step(self, batch, batch_idx):
                    x, y = batch
                    return «self.loss(self(x), y)»
            """
        ),
        Bad(
            """
            import torchvision
            from torch import nn

            model = torchvision.models.resnet18()
            model.fc = nn.Sequential(nn.Linear(512, 10), nn.Softmax(dim=1))
            criterion = nn.CrossEntropyLoss().cuda()
            loss = «criterion(model(images), labels)»
            """
        ),
        Bad(
            """
            from torch import nn

            scores = nn.Linear(10, 3)(x)
            loss = «nn.NLLLoss()(scores, y)»
            """
        ),
        Bad(
            """
            from torch import nn

            class Critic(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.head = nn.Linear(10, 1)

                def forward(self, x):
                    return self.head(x), x

            critic = Critic()
            criterion = nn.BCELoss()
            score, features = critic(x)
            loss = «criterion(score.view(-1), y)»
            """
        ),
        Bad(
            """
            import torch
            from torch.nn.functional import binary_cross_entropy_with_logits, nll_loss

            loss = «binary_cross_entropy_with_logits(model(x).sigmoid(), y)»
            other = «nll_loss(input=torch.softmax(scores, 1), target=y)»
            """,
            suggested_fix="""
            import torch
            from torch.nn.functional import binary_cross_entropy_with_logits, nll_loss

            loss = binary_cross_entropy_with_logits(model(x), y)
            other = nll_loss(input=torch.softmax(scores, 1), target=y)
            """,
        ),
        Good(
            """
            import torch
            from torch import nn
            from torch.nn import functional as F

            scores = model(x)
            loss = nn.CrossEntropyLoss()(scores, y)
            probabilities = F.softmax(scores, dim=1)
            accuracy(probabilities, y)
            other = F.cross_entropy(scores, F.softmax(teacher(x), dim=1))
            third = F.nll_loss(F.log_softmax(scores, dim=1), y) + F.nll_loss(torch.log(probabilities), y)
            fourth = F.binary_cross_entropy(torch.sigmoid(scores), y)
            fifth = F.cross_entropy(F.log_softmax(scores, dim=1), y)
            """,
            why="softmax for metrics, for soft targets, and in its logarithm",
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(10, 3)

                def forward(self, x):
                    x = self.body(x)
                    if not self.training:
                        x = x.softmax(dim=1)
                    return x

            model = Net()
            loss = nn.CrossEntropyLoss()(model(x), y)
            """,
            why="softmax outside of training only",
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(10, 3)

                def forward(self, x):
                    scores = self.body(x)
                    return scores, scores.softmax(dim=1)

            model = Net()
            criterion = nn.CrossEntropyLoss()
            scores, probabilities = model(x)
            loss = criterion(scores, y)
            """,
            why="both are returned, and the loss gets the scores",
        ),
        Good(
            """
            from torch import nn

            def train(model, criterion):
                return criterion(model(x).softmax(1), y)

            train(net, nn.CrossEntropyLoss())
            train(net, nn.MSELoss())
            """,
            why="not always cross-entropy",
        ),
        Good(
            """
            from torch import nn

            criterion = nn.CrossEntropyLoss()
            loss = criterion(1 - torch.sigmoid(x) * scale, y)
            other = criterion(layers(x), y)
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        for call, loss in _loss_calls(module):
            value = argument(call, "input", 0)
            found = last_activation(module, value) if value is not None else None
            if value is None or found is None or (loss, found[0]) not in _PROBLEMS:
                continue
            activation, place = found
            text, what = _PROBLEMS[loss, activation]
            yield self.finding(
                module,
                call,
                text.format(loss=loss, applied=activation, own=what, given=what),
                fix=_without(module, place) if place is value and text is _APPLIED_TWICE else None,
                related=() if place is value else [(place, f"here the {activation} is applied")],
            )


def _loss_calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """The calls of losses, each with the class of the loss."""
    for call in module.calls(*_FUNCTIONS):
        package, _, name = (module.qualified_name(call.func) or "").rpartition(".")
        if package == "torch.nn.functional":
            yield call, _FUNCTIONS[name]
    if not module.calls(*_CLASSES):
        return
    for call in module.nodes(ast.Call):
        match call:
            case ast.Call(func=ast.Name() | ast.Attribute(value=ast.Name(id="self")) | ast.Call(), args=[_, *_]):
                if loss := _loss_class(module, call.func):
                    yield call, loss


def _loss_class(module: Module, callee: ast.expr) -> str | None:
    """The class of the loss that is called, where it is the same whatever the caller passes."""
    classes: set[str | None] = set()
    for origin in origins_through_calls(module, callee):
        made = origin
        while isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and made.func.attr in ("to", "cuda"):
            made = made.func.value
        package, _, name = (
            (module.qualified_name(made.func) or "").rpartition(".") if isinstance(made, ast.Call) else ("", "", "")
        )
        classes.add(name if package == "torch.nn" and name in _CLASSES else None)
    return classes.pop() if len(classes) == 1 else None


def _without(module: Module, activation: ast.expr) -> Fix | None:
    """The fix that passes what the activation is applied to."""
    match activation:
        case ast.Call(func=ast.Attribute(value=base)) if module.qualified_name(activation.func) is None:
            inner = base
        case ast.Call(args=[first, *_]):
            inner = first
        case _:
            return None
    return suggested("Pass the raw scores", Replace(Span.of(activation), module.text(inner)))
