from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark
from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules.mixed_precision._autocast import (
    Autocast,
    autocast_regions,
    device_type,
    innermost_autocast,
)
from mlrules_mcp.findings import Edit, Finding, Fix, InsertAfter, RemoveStatement, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument

_LOSS_FUNCTION = pattern(
    r"^torch\.nn\.functional\.(\w+_loss|cross_entropy|binary_cross_entropy(_with_logits)?|kl_div)$"
)
_LOSS_CLASS = pattern(r"^torch\.nn\.\w*Loss$")
_LOSS_NAME = pattern(r"(?i:criterion|^loss_?(fn|func|function)$)")
_UNSAFE = frozenset({"torch.nn.BCELoss", "torch.nn.functional.binary_cross_entropy"})
_HALF = frozenset({"torch.float16", "torch.half", "torch.bfloat16"})

_OUTSIDE = (
    "The model's output is in half precision and the loss is computed outside `autocast`, so it is in half precision "
    "too: sums and exponentials lose digits, and a scaled loss overflows. Compute it inside the block, which does so "
    "in float32."
)
_CONVERTED = (
    "The loss is computed in half precision, so sums and exponentials lose digits or overflow. "
    "Leave out the conversion, or pass `{output}.float()`."
)
_BCE = (
    "`{name}` raises an error under `autocast` on CUDA, as probabilities in half precision round to 0 and 1. "
    "Leave the sigmoid out and use `{logits}`, which is safe."
)


class LossComputedInHalf(Check[ast.Module]):
    """A loss that is computed in float16 or bfloat16.

    ## What it does
    Finds a loss computed behind the `autocast` block that ran the model, a loss of values converted with `.half()` or
    `.bfloat16()`, and `BCELoss` under `autocast` on CUDA, which raises an error.

    ## Why it matters
    Under `autocast` a model's last layer gives half precision, and losses are computed in float32. Behind the block
    nothing converts: a cross-entropy over many classes or a mean over many pixels loses digits, and the loss times a
    GradScaler's 65,536 is infinite in float16, so that the first steps are skipped.

    ## Do not flag
    Outputs that are converted (`.float()`) first; losses of the project's own, which may convert; evaluation; what
    runs where autocast is off; tests and benchmarks.

    ## Fix safety
    Suggested: the loss moves into the block, or is given float32; its value changes in the last digits.

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html#autocast-op-reference
    - https://docs.pytorch.org/docs/stable/amp.html#prefer-binary-cross-entropy-with-logits-over-binary-cross-entropy
    """

    examples = (
        Bad(
            """
            import torch

            criterion = torch.nn.CrossEntropyLoss()
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    outputs = model(inputs)
                loss = «criterion(outputs, targets)»
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            """,
            suggested_fix="""
            import torch

            criterion = torch.nn.CrossEntropyLoss()
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    outputs = model(inputs)
                    loss = criterion(outputs, targets)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            """,
        ),
        Bad(
            """
            import torch
            import torch.nn.functional as F
            from torch.cuda.amp import autocast

            class Trainer:
                def train_step(self, x, y):
                    self.optimizer.zero_grad()
                    with autocast():
                        logits, aux = self.model(x)
                    y = y.to(self.device)
                    loss = «F.cross_entropy(logits, y)»
                    self.scaler.scale(loss).backward()
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
            """,
            suggested_fix="""
            import torch
            import torch.nn.functional as F
            from torch.cuda.amp import autocast

            class Trainer:
                def train_step(self, x, y):
                    self.optimizer.zero_grad()
                    with autocast():
                        logits, aux = self.model(x)
                    y = y.to(self.device)
                    loss = F.cross_entropy(logits.float(), y)
                    self.scaler.scale(loss).backward()
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            mse = nn.MSELoss()
            for inputs, targets in loader:
                outputs = model(inputs)
                loss = «mse(outputs.half(), targets.half())»
                loss.backward()
                optimizer.step()
            """
        ),
        Bad(
            """
            import torch
            from torch import nn

            criterion = nn.BCELoss()
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    loss = «criterion(model(inputs), targets)»
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            """
        ),
        Bad(
            """
            import torch
            import torch.nn.functional as F

            def step(model, inputs, targets):
                with torch.cuda.amp.autocast():
                    probabilities = torch.sigmoid(model(inputs))
                    loss = «F.binary_cross_entropy(probabilities, targets)»
                return loss
            """
        ),
        Good(
            """
            import torch
            import torch.nn.functional as F

            criterion = torch.nn.CrossEntropyLoss()
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    outputs = model(inputs)
                    loss = criterion(outputs, targets)
                scaler.scale(loss).backward()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    outputs = model(inputs).float()
                    logits = model(inputs)
                loss = criterion(outputs, targets) + criterion(logits.float(), targets)
                loss.backward()
                with torch.autocast("cuda"):
                    logits = model(inputs)
                logits = logits.float()
                loss = F.cross_entropy(logits, targets)
                loss.backward()
                with torch.autocast("cuda", enabled=False):
                    outputs = model(inputs)
                loss = criterion(outputs, targets)
                loss.backward()
            """
        ),
        Good(
            """
            import torch
            from project import DiceLoss

            criterion = DiceLoss()

            def train(model, loader):
                for inputs, targets in loader:
                    with torch.autocast("cuda"):
                        outputs = model(inputs)
                    loss = criterion(outputs, targets)
                    loss.backward()
                    optimizer.step()

            @torch.no_grad()
            def evaluate(model, loader):
                criterion = torch.nn.CrossEntropyLoss()
                for inputs, targets in loader:
                    with torch.autocast("cuda"):
                        outputs = model(inputs)
                    total = total + criterion(outputs, targets)
            """,
            why="a loss of the project's own; evaluation",
        ),
        Good(
            """
            import torch
            from torch import nn

            bce = nn.BCEWithLogitsLoss()
            plain = nn.BCELoss()
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    logits = model(inputs)
                    loss = bce(logits, targets)
                    with torch.autocast("cuda", enabled=False):
                        loss = loss + plain(logits.float().sigmoid(), targets)
                with torch.autocast("cpu"):
                    loss = plain(model(inputs), targets)
                loss.backward()
            """,
            why="safe losses, and autocast switched off around the other",
        ),
        Good(
            """
            import torch

            def train_step(model, inputs, targets):
                loss_function = torch.nn.CrossEntropyLoss()
                amp = torch.autocast("cuda")
                with amp:
                    outputs = model(inputs)
                with amp:
                    loss = loss_function(outputs, targets)
                loss.backward()
                optimizer.step()
            """,
            why="a second block for the loss",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        code = module.source.code
        if is_test_or_benchmark(module):
            return
        if "autocast" in code and autocast_regions(module):
            yield from self._under_autocast(module)
        if module.step_regions and ("half()" in code or "float16" in code or ".half" in code):
            yield from self._converted(module)

    def _under_autocast(self, module: Module) -> Iterator[Finding]:
        for call in _calls_near(module, autocast_regions(module)):
            loss = _loss(module, call)
            if loss is None:
                continue
            around = innermost_autocast(module, call)
            if around is not None and loss in _UNSAFE and device_type(module, around.call) != "cpu":
                safe = "BCEWithLogitsLoss" if loss.endswith("Loss") else "binary_cross_entropy_with_logits"
                message = _BCE.format(name=loss.rpartition(".")[2], logits=safe)
                yield self.finding(module, call, message, related=[(around.call, "autocast is switched on here")])
            elif around is None and call.args and (ran := _run_under_autocast(module, call)) is not None:
                yield self.finding(module, call, _OUTSIDE, fix=_fixed(module, call, ran))

    def _converted(self, module: Module) -> Iterator[Finding]:
        for conversion in module.calls("half", "bfloat16", "to", "type"):
            call = module.parent(conversion)
            if not isinstance(call, ast.Call) or conversion not in call.args[:1]:
                continue
            output = _converted_to_half(module, conversion)
            if output is None or not _loss(module, call) or module.step_region(call) is None:
                continue
            if not module.under_no_grad(call):
                yield self.finding(module, call, _CONVERTED.format(output=module.text(output)))


def _calls_near(module: Module, regions: list[Autocast]) -> list[ast.Call]:
    """The calls in the functions, or at the top of the module, that a region with autocast on stands in."""
    around = dict.fromkeys(module.enclosing_function(each.region.body[0]) or module.tree for each in regions)
    found = {each: None for scope in around for each in module.walk(scope) if isinstance(each, ast.Call)}
    return sorted(found, key=start)


def _loss(module: Module, call: ast.Call) -> str | None:
    """The qualified name of the loss of torch that a call computes; "" for one that is only called like one."""
    name = module.qualified_name(call.func)
    if name is not None:
        return name if _LOSS_FUNCTION.search(name) else None
    origins = module.origins(call.func)
    for origin in origins:
        if isinstance(origin, ast.Call) and _LOSS_CLASS.search(module.qualified_name(origin.func) or ""):
            return module.qualified_name(origin.func)
    unknown = all(isinstance(origin, ast.Name | ast.Attribute) for origin in origins)
    is_called_so = unknown and bool(_LOSS_NAME.search(last_name(call.func) or ""))
    return "" if is_called_so and module.local_function(call) is None else None


def _run_under_autocast(module: Module, loss: ast.Call) -> Autocast | None:
    """The autocast block that ran the model for a training loss's first argument, which nothing converted since."""
    output = loss.args[0]
    if not isinstance(output, ast.Name) or module.under_no_grad(output):
        return None
    if module.step_region(loss) is None and not _is_backpropagated(module, loss):
        return None
    bindings = module.reaching(output)
    if len(bindings) != 1 or bindings[0].value is None or bindings[0].kind not in ("assignment", "unpacking"):
        return None
    if not runs_model(module, bindings[0].value):
        return None
    around = innermost_autocast(module, bindings[0].value)
    same = around is not None and module.enclosing_function(around.region) is module.enclosing_function(output)
    return around if same and isinstance(around.region, ast.With) else None  # type: ignore[union-attr]


def _is_backpropagated(module: Module, call: ast.Call) -> bool:
    """Whether the function of a loss computes gradients."""
    function = module.enclosing_function(call)
    return function is not None and any(module.enclosing_function(each) is function for each in module.backward_calls)


def _converted_to_half(module: Module, value: ast.expr) -> ast.expr | None:
    """What a value is before it is converted to half precision; None where it is not."""
    match value:
        case ast.Call(func=ast.Attribute(value=before, attr="half" | "bfloat16"), args=[]):
            return before
        case ast.Call(func=ast.Attribute(value=before, attr="to" | "type")) as call:
            given = argument(call, "dtype", 0)
            return before if given is not None and module.qualified_name(given) in _HALF else None
    return None


def _fixed(module: Module, call: ast.Call, ran: Autocast) -> Fix:
    """The loss moved into the block where it follows at once, or given float32."""
    statement, region = module.statement(call), ran.region
    block = module.block(region)
    follows = block.index(region) + 1 < len(block) and block[block.index(region) + 1] is statement
    if follows and isinstance(statement, ast.Assign) and statement.lineno == statement.end_lineno:
        edits: list[Edit] = [RemoveStatement(Span.of(statement))]
        return suggested(
            "Compute the loss inside", *edits, InsertAfter(Span.of(region.body[-1]), module.text(statement))
        )
    return suggested(
        "Compute the loss in float32", Replace(Span.of(call.args[0]), f"{module.text(call.args[0])}.float()")
    )
