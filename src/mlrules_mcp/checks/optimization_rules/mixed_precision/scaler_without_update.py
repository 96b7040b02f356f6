from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe, suggested
from mlrules_mcp.checks.optimization_rules.mixed_precision._scalers import is_switched_off, made_scaler
from mlrules_mcp.findings import Finding, Fix, InsertAfter, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import code_of


class ScalerWithoutUpdate(Check[ast.Module]):
    """A GradScaler that steps and is never updated.

    ## What it does
    Finds `scaler.step(optimizer)` in a file that makes the GradScaler and never calls its `update()`.

    ## Why it matters
    `update` ends the step: it lowers the factor after an overflow and raises it while all goes well. Without it the
    second `scaler.step` of the same optimizer raises `step() has already been called since the last update()`.

    ## Do not flag
    Scalers that come from elsewhere or are passed on, so that others may update them; scalers that are switched off.

    ## Fix safety
    Safe where one optimizer is stepped in one place: the loop can't get past its second turn without it. Suggested
    where there are several steps: `update` belongs behind the last.

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html#torch.amp.GradScaler.update
    """

    words = ("GradScaler",)
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
                «scaler.step(optimizer)»
            """,
            safe_fix="""
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
            from torch.cuda.amp import GradScaler, autocast

            class Trainer:
                def __init__(self):
                    self.scaler = GradScaler(enabled=self.amp)

                def step(self, loss, number):
                    self.scaler.scale(loss / self.accumulate).backward()
                    if number % self.accumulate == 0:
                        self.scaler.unscale_(self.optimizer)
                        «self.scaler.step(self.optimizer)»
                        self.optimizer.zero_grad()
            """,
            safe_fix="""
            from torch.cuda.amp import GradScaler, autocast

            class Trainer:
                def __init__(self):
                    self.scaler = GradScaler(enabled=self.amp)

                def step(self, loss, number):
                    self.scaler.scale(loss / self.accumulate).backward()
                    if number % self.accumulate == 0:
                        self.scaler.unscale_(self.optimizer)
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
                        self.optimizer.zero_grad()
            """,
        ),
        Bad(
            """
            import torch

            def train(model, loader, scaler):
                for batch in loader:
                    scaler.scale(model(batch).mean()).backward()
                    scaler.step(encoder_optimizer)
                    «scaler.step(decoder_optimizer)»

            train(Net(), loader, torch.amp.GradScaler("cuda"))
            """,
            suggested_fix="""
            import torch

            def train(model, loader, scaler):
                for batch in loader:
                    scaler.scale(model(batch).mean()).backward()
                    scaler.step(encoder_optimizer)
                    scaler.step(decoder_optimizer)
                    scaler.update()

            train(Net(), loader, torch.amp.GradScaler("cuda"))
            """,
        ),
        Good(
            """
            import torch

            scaler = torch.amp.GradScaler()
            for step, (inputs, targets) in enumerate(loader):
                scaler.scale(criterion(model(inputs), targets)).backward()
                if step % 4 == 0:
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
            """
        ),
        Good(
            """
            import torch
            from sklearn.preprocessing import StandardScaler

            def step(scaler, loss, optimizer):
                scaler.scale(loss).backward()
                scaler.step(optimizer)

            scaler = StandardScaler()
            data = scaler.fit_transform(data)
            """,
            why="the caller may update it",
        ),
        Good(
            """
            import torch
            from project import finish_step

            scaler = torch.amp.GradScaler()
            for batch in loader:
                scaler.scale(model(batch).mean()).backward()
                scaler.step(optimizer)
                finish_step(optimizer, scaler)
            """,
            why="passed on",
        ),
        Good(
            """
            import torch

            class Run:
                def __init__(self):
                    self.scaler = torch.amp.GradScaler(enabled=False)
                    self.grad_scaler = torch.amp.GradScaler()

                def train_step(self, batch):
                    self.scaler.scale(self.model(batch).mean()).backward()
                    self.scaler.step(self.optimizer)

                def other_step(self, batch):
                    grad_scaler = self.grad_scaler
                    grad_scaler.scale(self.model(batch).mean()).backward()
                    grad_scaler.step(self.optimizer)

                def after_step(self):
                    self.grad_scaler.update()
            """,
            why="one is switched off, the other updated in another method",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        steps = [call for call in module.optimizer_steps if call.args and made_scaler(module, call) is not None]
        scalers = {code_of(call.func.value) for call in steps if isinstance(call.func, ast.Attribute)}
        for scaler in sorted(scalers):
            own = [
                call for call in steps if isinstance(call.func, ast.Attribute) and code_of(call.func.value) == scaler
            ]
            if all(map(is_switched_off, (made_scaler(module, call) for call in own))) or _may_be_updated(
                module, scaler
            ):
                continue
            yield self.finding(
                module,
                own[-1],
                f"`{scaler}` is never updated, so that its second step raises `step() has already been called since "
                f"the last update()`. Call `{scaler}.update()` after the last step of each batch.",
                fix=_update_after(module, own, scaler),
            )


def _may_be_updated(module: Module, scaler: str) -> bool:
    """Whether anything but the plain methods is called on a scaler of this name, or it is passed on."""
    name = scaler.rpartition(".")[2]
    for update in module.calls("update"):
        if isinstance(update.func, ast.Attribute) and "scaler" in (last_name(update.func.value) or "").lower():
            return True
    uses = [use for use in (*module.nodes(ast.Name), *module.nodes(ast.Attribute)) if last_name(use) == name]
    return any(_is_passed_on(module, use) for use in uses)


def _is_passed_on(module: Module, use: ast.expr) -> bool:
    """Whether a use of a scaler hands it to something that this file does not show."""
    match module.parent(use):
        case ast.Call(func=func) as call if func is not use:
            return module.local_function(call) is None and module.qualified_name(func) != "builtins.print"
        case ast.keyword() as keyword:
            passed_to = module.parent(keyword)
            return isinstance(passed_to, ast.Call) and module.local_function(passed_to) is None
        case ast.Return() | ast.Tuple() | ast.List() | ast.Dict() | ast.Yield():
            return True
        case ast.Attribute(attr="update"):
            return True
    return False


def _update_after(module: Module, steps: list[ast.Call], scaler: str) -> Fix | None:
    statement = module.statement(steps[-1])
    if not isinstance(statement, ast.Expr | ast.Assign):
        return None
    make = safe if len(steps) == 1 else suggested
    return make("Update the scaler after the step", InsertAfter(Span.of(statement), f"{scaler}.update()"))
