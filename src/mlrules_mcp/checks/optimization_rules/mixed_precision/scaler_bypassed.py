from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules.mixed_precision._scalers import is_switched_off, made_scaler
from mlrules_mcp.findings import Edit, Finding, Fix, InsertAfter, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start

_PRECISION = pattern(r"(?i:scaler|amp|fp16|half|mixed|precision|cuda|device)")


class ScalerBypassed(Check[ast.Module]):
    """An optimizer step that takes the gradients as a GradScaler multiplied them.

    ## What it does
    Finds `optimizer.step()` behind `scaler.scale(loss).backward()`, where `scaler.step(optimizer)` belongs.

    ## Why it matters
    The gradients are still multiplied by up to 65,536, and nothing looks for infinities. SGD takes steps that are that
    many times too long and diverges at once; Adam divides most of the factor away, until the first overflow writes
    NaN into every weight.

    ## Do not flag
    Gradients that `unscale_` has divided; a step in another branch than the scaler; another backward pass in between;
    scalers that are switched off; MS-AMP, which brings optimizers of its own; tests and benchmarks.

    ## Fix safety
    Suggested: the learning rate may have been tuned to what the code did.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/amp_examples.html#typical-mixed-precision-training
    """

    words = ("scaler",)
    examples = (
        Bad(
            """
            import torch

            scaler = torch.amp.GradScaler()
            for inputs, targets in loader:
                optimizer.zero_grad()
                with torch.autocast("cuda"):
                    loss = criterion(model(inputs), targets)
                scaler.scale(loss).backward()
                «optimizer.step()»
            """,
            suggested_fix="""
            import torch

            scaler = torch.amp.GradScaler()
            for inputs, targets in loader:
                optimizer.zero_grad()
                with torch.autocast("cuda"):
                    loss = criterion(model(inputs), targets)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            """,
        ),
        Bad(
            """
            class Trainer:
                def train_step(self, batch, number):
                    loss = self.loss(batch) / self.accumulate
                    self.scaler.scale(loss).backward()
                    if number % self.accumulate == 0:
                        «self.optimizer.step()»
                        self.scaler.update()
                        self.optimizer.zero_grad()
            """,
            suggested_fix="""
            class Trainer:
                def train_step(self, batch, number):
                    loss = self.loss(batch) / self.accumulate
                    self.scaler.scale(loss).backward()
                    if number % self.accumulate == 0:
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
                        self.optimizer.zero_grad()
            """,
        ),
        Good(
            """
            import torch

            scaler = torch.amp.GradScaler()
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    loss = criterion(model(inputs), targets)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
            """
        ),
        Good(
            """
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                if use_amp:
                    scaler.scale(loss).backward()
                else:
                    loss.backward()
                if use_amp:
                    scaler.step(optimizer)
                    scaler.update()
                else:
                    optimizer.step()
            """,
            why="another branch",
        ),
        Good(
            """
            import msamp
            import torch

            scaler = torch.amp.GradScaler()
            model, optimizer = msamp.initialize(model, optimizer, opt_level="O2")
            for batch in loader:
                scaler.scale(model(batch).mean()).backward()
                optimizer.step()
            """,
            why="MS-AMP's optimizer",
        ),
        Good(
            """
            for inputs, targets in loader:
                scaler.scale(criterion(model(inputs), targets)).backward()
                scaler.unscale_(optimizer)
                optimizer.step()
                scaler.update()
            """,
            why="unscaled before",
        ),
        Good(
            """
            import torch

            scaler = torch.amp.GradScaler(enabled=False)
            for real in loader:
                scaler.scale(generator_loss(real)).backward()
                generator_optimizer.step()

            grad_scaler = torch.amp.GradScaler()
            for real in loader:
                grad_scaler.scale(generator_loss(real)).backward()
                grad_scaler.step(generator_optimizer)
                penalty(real).backward()
                critic_optimizer.step()
                grad_scaler.update()
            """,
            why="switched off; an optimizer with a backward pass of its own",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if ".scale(" not in module.source.code:
            return
        if is_test_or_benchmark(module) or "msamp" in module.imported_packages:
            return
        for backward in module.backward_calls:
            scaler = _scaler(module, backward)
            step = _step_behind(module, backward) if scaler is not None else None
            if scaler is not None and step is not None:
                name = module.text(scaler)
                optimizer = module.text(step.func.value) if isinstance(step.func, ast.Attribute) else ""
                yield self.finding(
                    module,
                    step,
                    f"This step uses gradients that are still multiplied by the factor of `{name}`, and doesn't skip "
                    f"infinite ones. Write `{name}.step({optimizer})`, followed by `{name}.update()`.",
                    fix=_through_scaler(module, step, name, optimizer),
                    related=[(backward, "the loss is scaled here")],
                )


def _scaler(module: Module, backward: ast.Call) -> ast.expr | None:
    """The GradScaler that scales what is backpropagated; None where there is none, or it is switched off."""
    match backward.func:
        case ast.Attribute(value=ast.Call(func=ast.Attribute(value=scaler, attr="scale")) as scale):
            if module.is_grad_scaler(scaler) and not is_switched_off(made_scaler(module, scale)):
                return scaler
    return None


def _step_behind(module: Module, backward: ast.Call) -> ast.Call | None:
    """The first use of the scaled gradients, if it is an optimizer's own step in the same block or a branch of it."""
    function = module.enclosing_function(backward)
    calls = [*module.optimizer_steps, *module.backward_calls, *module.calls("unscale_")]
    events = sorted(
        (each for each in calls if module.enclosing_function(each) is function and start(each) > start(backward)),
        key=start,
    )
    unscaled = [each for each in module.calls("unscale_") if module.enclosing_function(each) is function]
    if not events or events[0] not in module.optimizer_steps or unscaled:
        return None
    step = events[0]
    direct = isinstance(step.func, ast.Attribute) and step.func.attr == "step" and module.is_optimizer(step.func.value)
    if not direct or module.is_grad_scaler(step.func.value):  # type: ignore[attr-defined]
        return None
    block = module.parent(module.statement(backward))
    for ancestor in module.ancestors(step):
        if ancestor is block:
            return step
        if isinstance(ancestor, ast.If) and _PRECISION.search(ast.unparse(ancestor.test)):
            return None
    return None


def _through_scaler(module: Module, step: ast.Call, scaler: str, optimizer: str) -> Fix | None:
    if step.args or step.keywords:
        return None
    edits: list[Edit] = [Replace(Span.of(step), f"{scaler}.step({optimizer})")]
    function = module.enclosing_function(step)
    if not any(module.enclosing_function(each) is function for each in module.calls("update")):
        edits.append(InsertAfter(Span.of(module.statement(step)), f"{scaler}.update()"))
    return suggested("Step through the scaler", *edits)
