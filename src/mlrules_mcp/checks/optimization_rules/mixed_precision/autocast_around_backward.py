from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules.mixed_precision._autocast import Autocast, innermost_autocast
from mlrules_mcp.findings import Edit, Finding, Fix, InsertAfter, RemoveStatement, Span
from mlrules_mcp.source import Module


class AutocastAroundBackward(Check[ast.Module]):
    """A backward pass that runs with autocast on.

    ## What it does
    Finds `loss.backward()`, and backward through a scaler, within `with torch.autocast(…):` or in a function that
    is decorated with it.

    ## Why it matters
    The backward pass uses the types that autocast chose in the forward pass by itself. With autocast still on, what
    runs in it is converted a second time: custom backward functions, hooks and recomputed activations get half
    precision where they asked for float32. PyTorch's documentation advises against it.

    ## Do not flag
    `enabled=False`; a branch that runs where autocast is off; `accelerator.autocast()` and other libraries' own; tests
    and benchmarks.

    ## Fix safety
    Suggested: what follows in the block is moved out of it with the backward pass.

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html#autocasting
    """

    words = ("autocast",)
    examples = (
        Bad(
            """
            import torch

            scaler = torch.amp.GradScaler()
            for inputs, targets in loader:
                optimizer.zero_grad()
                with torch.autocast("cuda"):
                    loss = criterion(model(inputs), targets)
                    «scaler.scale(loss).backward()»
                scaler.step(optimizer)
                scaler.update()
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
            from torch.cuda.amp import autocast

            class Trainer:
                def step(self, batch):
                    with autocast(enabled=self.amp):
                        loss = self.model(batch).mean()
                        «loss.backward()»
                        self.optimizer.step()
                        self.optimizer.zero_grad()
                    return loss.detach()
            """,
            suggested_fix="""
            from torch.cuda.amp import autocast

            class Trainer:
                def step(self, batch):
                    with autocast(enabled=self.amp):
                        loss = self.model(batch).mean()
                    loss.backward()
                    self.optimizer.step()
                    self.optimizer.zero_grad()
                    return loss.detach()
            """,
        ),
        Bad(
            """
            import torch

            context = torch.autocast(device_type="cuda", dtype=torch.bfloat16)
            with context:
                for micro_batch in batch:
                    loss = model(micro_batch).mean() / len(batch)
                    «loss.backward()»
            optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            @torch.autocast("cuda", dtype=torch.bfloat16)
            def train_step(model, batch):
                loss = model(batch).mean()
                «loss.backward()»
                optimizer.step()
            """
        ),
        Good(
            """
            import torch

            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    loss = criterion(model(inputs), targets)
                scaler.scale(loss).backward()
                with torch.autocast("cuda", enabled=False):
                    loss = criterion(model(inputs), targets)
                    loss.backward()
                with torch.autocast("cuda"):
                    with torch.autocast("cuda", enabled=False):
                        penalty(model).backward()
            """
        ),
        Good(
            """
            import torch

            for batch in loader:
                with torch.cuda.amp.autocast(enabled=scaler is not None):
                    loss = model(batch).mean()
                    if scaler is None:
                        loss.backward()
                with accelerator.autocast():
                    accelerator.backward(model(batch).mean())
            """,
            why="autocast is off in that branch; Accelerate's own",
        ),
        Good(
            """
            import torch

            with torch.autocast("cuda"):

                def closure():
                    loss = model(batch).mean()
                    loss.backward()
                    return loss

            optimizer.step(closure)
            """,
            why="the function runs later",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_or_benchmark(module):
            return
        for call in module.backward_calls:
            around = innermost_autocast(module, call)
            if around is None or _runs_where_it_is_off(module, call, around):
                continue
            yield self.finding(
                module,
                call,
                "This backward pass runs with autocast on, which converts its operations anew instead of leaving them "
                "the types of the forward pass. End the `autocast` block after the loss and call `backward` behind it.",
                fix=_moved_out(module, call, around),
                related=[(around.call, "autocast is switched on here")],
            )


def _runs_where_it_is_off(module: Module, call: ast.Call, around: Autocast) -> bool:
    """Whether a condition between the autocast and the call speaks of what switches it on."""
    if around.enabled is None:
        return False
    switches = {ast.unparse(each) for each in ast.walk(around.enabled) if isinstance(each, ast.Name | ast.Attribute)}
    return any(
        ast.unparse(each) in switches
        for guard in module.guards(call)
        if module.is_inside(guard.test, around.region)
        for each in ast.walk(guard.test)
        if isinstance(each, ast.Name | ast.Attribute)
    )


def _moved_out(module: Module, call: ast.Call, around: Autocast) -> Fix | None:
    """The statements from the backward pass on put behind the `with`; None where that is more than moving lines."""
    region, statement = around.region, module.statement(call)
    if not isinstance(region, ast.With) or len(region.items) > 1 or statement not in region.body[1:]:
        return None
    moved = region.body[region.body.index(statement) :]
    if not all(isinstance(each, ast.Expr | ast.Assign | ast.AugAssign) for each in moved):
        return None
    if any(each.lineno != each.end_lineno for each in moved):
        return None
    edits: list[Edit] = [RemoveStatement(Span.of(each)) for each in moved]
    code = "\n".join(module.text(each) for each in moved)
    return suggested("Move the backward pass behind the block", *edits, InsertAfter(Span.of(region), code))
