from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.checks._programs import is_test_path
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import code_of

_LOSSES = ("torch.nn.BCEWithLogitsLoss", "torch.nn.functional.binary_cross_entropy_with_logits")
_LOSS_NAMES = pattern(r"BCEWithLogitsLoss|binary_cross_entropy_with_logits")
# Methods that leave the values as they are.
_KEEP = frozenset(
    {"squeeze", "view", "reshape", "flatten", "detach", "cpu", "float", "unsqueeze", "to", "cuda", "clone"}
)


class ThresholdedLogits(Check[ast.Module]):
    """Logits that are turned into classes as if they were probabilities.

    ## What it does
    Finds outputs of a model that is trained with `BCEWithLogitsLoss` and whose predictions are made by `> 0.5` or
    `torch.round`, without a sigmoid between.

    ## Why it matters
    The loss takes logits: the decision lies at 0, which is a probability of 0.5. At 0.5 the model needs a probability
    of 0.62 to say yes, and rounding needs the same, or gives classes such as -3. Accuracy, precision and recall are
    all computed on other predictions than those of the model.

    ## Do not flag
    A sigmoid before the threshold, a threshold at 0, models whose `forward` ends in a sigmoid, outputs of another model
    than the one that the loss gets.

    ## Fix safety
    Suggested: the threshold moves to 0, which changes the predictions to what the model means.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """

    examples = (
        Bad(
            """
            import torch
            from torch import nn

            criterion = nn.BCEWithLogitsLoss()
            for x, y in train_loader:
                loss = criterion(model(x).squeeze(), y)
                loss.backward()
                optimizer.step()

            with torch.no_grad():
                for x, y in test_loader:
                    outputs = model(x).squeeze()
                    predicted = «outputs > 0.5»
                    correct += (predicted == y).sum()
            """,
            suggested_fix="""
            import torch
            from torch import nn

            criterion = nn.BCEWithLogitsLoss()
            for x, y in train_loader:
                loss = criterion(model(x).squeeze(), y)
                loss.backward()
                optimizer.step()

            with torch.no_grad():
                for x, y in test_loader:
                    outputs = model(x).squeeze()
                    predicted = outputs > 0
                    correct += (predicted == y).sum()
            """,
        ),
        Bad(
            """
            import torch
            import torch.nn.functional as F

            def step(model, x, y):
                logits = model(x)
                loss = F.binary_cross_entropy_with_logits(logits, y)
                accuracy = («torch.round(logits)» == y).float().mean()
                return loss, accuracy
            """,
            suggested_fix="""
            import torch
            import torch.nn.functional as F

            def step(model, x, y):
                logits = model(x)
                loss = F.binary_cross_entropy_with_logits(logits, y)
                accuracy = ((logits > 0).float() == y).float().mean()
                return loss, accuracy
            """,
        ),
        Good(
            """
            import torch
            from torch import nn

            criterion = nn.BCEWithLogitsLoss()
            outputs = model(x)
            loss = criterion(outputs, y)
            predicted = torch.sigmoid(outputs) > 0.5
            rounded = torch.round(torch.sigmoid(model(x)))
            positive = outputs > 0
            """
        ),
        Good(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    return torch.sigmoid(self.fc(x))

            net = Net()
            loss = nn.BCEWithLogitsLoss()(net(x), y)
            predicted = net(x) > 0.5
            """,
            "the sigmoid is in the model: its loss is what is wrong",
        ),
        Good(
            """
            import torch
            from torch import nn

            criterion = nn.BCEWithLogitsLoss()
            loss = criterion(model(x), y)
            outputs = model(x)
            outputs = torch.sigmoid(outputs)
            predicted = outputs > 0.5
            mask = teacher_model(x) > 0.5
            """,
            "another value by then, and another model",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not _LOSS_NAMES.search(module.source.code) or is_test_path(module):
            return
        trained = set(_trained_on_logits(module))
        if not trained:
            return
        for place, outputs, fix in _decisions(module):
            run = _run(module, outputs)
            if run is not None and code_of(run.func) in trained and not _ends_in_sigmoid(module, run):
                yield self.finding(
                    module,
                    place,
                    "The model gives logits, as its loss wants them, and 0.5 is a threshold for probabilities: "
                    "predictions between are wrong. Compare with 0, or apply `torch.sigmoid` first.",
                    fix=fix,
                )


def _trained_on_logits(module: Module) -> Iterator[str]:
    """The code of the models whose outputs a loss that takes logits gets."""
    for call in module.nodes(ast.Call):
        if not call.args and not call.keywords:
            continue
        made = [origin.func for origin in module.origins(call.func) if isinstance(origin, ast.Call)]
        if isinstance(call.func, ast.Call):
            made = [call.func.func]
        is_loss = module.qualified_name(call.func) == _LOSSES[1]
        if is_loss or (made and all(module.qualified_name(each) == _LOSSES[0] for each in made)):
            outputs = argument(call, "input", 0)
            if outputs is not None and (run := _run(module, outputs)) is not None:
                yield code_of(run.func)


def _decisions(module: Module) -> Iterator[tuple[ast.expr, ast.expr, Fix]]:
    """Where values are turned into classes as probabilities are: the place, the values and how it is mended."""
    for compare in module.nodes(ast.Compare):
        match compare:
            case ast.Compare(left=left, ops=[ast.Gt() | ast.GtE()], comparators=[ast.Constant(value=0.5) as half]):
                yield compare, left, suggested("Compare with 0", Replace(Span.of(half), "0"))
    for call in module.calls("round"):
        outputs: ast.expr | None = None
        if module.is_call_to(call, "torch.round"):
            outputs = argument(call, "input", 0)
        elif isinstance(call.func, ast.Attribute) and not call.args and not call.keywords:
            outputs = call.func.value
        if outputs is not None:
            code = f"({module.text(outputs)} > 0).float()"
            yield call, outputs, suggested("Compare with 0", Replace(Span.of(call), code))


def _run(module: Module, outputs: ast.expr) -> ast.Call | None:
    """The call of a model that values come from as they are; None where they may come from anything else."""
    found: ast.Call | None = None
    for origin in module.origins(_bare(outputs)):
        call = _bare(origin)
        if isinstance(call, ast.Name) and call is not origin:
            inner = [_bare(each) for each in module.origins(call)]
            call = inner[0] if len(inner) == 1 else call
        if not isinstance(call, ast.Call) or not runs_model(module, call):
            return None
        found = call
    return found


def _bare(expression: ast.expr) -> ast.expr:
    while True:
        match expression:
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _KEEP:
                expression = inner
            case ast.Subscript(value=inner):
                expression = inner
            case _:
                return expression


def _ends_in_sigmoid(module: Module, run: ast.Call) -> bool:
    """Whether the model may apply a sigmoid itself: its class, or another that the file makes models of, has one."""
    classes = {cls for cls in module.nodes(ast.ClassDef) if module.is_subclass(cls, "torch.nn.Module")}
    made = {module.local_class(origin.func) for origin in module.origins(run.func) if isinstance(origin, ast.Call)}
    looked_at = (classes & made) or classes
    return any("igmoid" in module.text(cls) for cls in looked_at if cls is not None)
