from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Fix, InsertBefore, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_CLIPS = ("clip_grad_norm_", "clip_grad_value_", "clip_grad_norm", "clip_grads_with_norm_")
_UNSCALES = ("unscale_", "unscale_gradients", "unscale_grads", "unscale")

_SCALED = (
    "The gradients are still multiplied by the scaler's factor here, so clipping cuts them down to almost nothing. "
    "Call `{scaler}.unscale_({optimizer})` before clipping."
)
_TOO_EARLY = (
    "The gradients are clipped before `backward` computes them, so the step uses them unclipped. "
    "Clip between `backward` and the optimizer's step."
)
_TOO_LATE = (
    "The gradients are clipped after the optimizer has used them, so no step is ever clipped. "
    "Clip between `backward` and the optimizer's step."
)


class ClipWithoutUnscale(Check[ast.Call]):
    """Gradient clipping that acts on scaled gradients, or at a time when it does nothing.

    ## What it does
    Finds `clip_grad_norm_` and `clip_grad_value_` before a GradScaler's `step` with no `unscale_` in between the
    backward pass and the clipping, and clipping that comes before `backward` or after the step.

    ## Why it matters
    A GradScaler multiplies the loss, and with it the gradients, by a factor of up to 65,536 and divides again in its
    `step`. A threshold applied in between is that many times too small: after the division every step is tiny, and
    training barely moves. Clipping at the wrong time leaves exploding gradients as they are.

    ## Do not flag
    Clipping in another branch than the scaler; `unscale_` in a function that is called before; Accelerate and Fabric,
    which unscale on their own; a threshold of infinity, which only measures the norm.

    ## Fix safety
    Suggested: the threshold may have been tuned to what the code did.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-clipping
    """

    names = frozenset(_CLIPS)
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
                «torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)»
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
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
            """,
        ),
        Bad(
            """
            from torch.nn.utils import clip_grad_value_

            class Trainer:
                def train_step(self, batch):
                    self.optimizer.zero_grad()
                    loss = self.compute_loss(batch)
                    if self.use_amp:
                        self.scaler.scale(loss).backward()
                        if self.clip:
                            norm = «clip_grad_value_(self.model.parameters(), self.clip)»
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
                    else:
                        loss.backward()
                        clip_grad_value_(self.model.parameters(), self.clip)
                        self.optimizer.step()
            """,
            suggested_fix="""
            from torch.nn.utils import clip_grad_value_

            class Trainer:
                def train_step(self, batch):
                    self.optimizer.zero_grad()
                    loss = self.compute_loss(batch)
                    if self.use_amp:
                        self.scaler.scale(loss).backward()
                        if self.clip:
                            self.scaler.unscale_(self.optimizer)
                            norm = clip_grad_value_(self.model.parameters(), self.clip)
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
                    else:
                        loss.backward()
                        clip_grad_value_(self.model.parameters(), self.clip)
                        self.optimizer.step()
            """,
        ),
        Bad(
            """
            for iteration in range(iterations):
                for micro_step in range(accumulate):
                    loss = model(*next(batches)) / accumulate
                    scaler.scale(loss).backward()
                «torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)»
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
            """,
            suggested_fix="""
            for iteration in range(iterations):
                for micro_step in range(accumulate):
                    loss = model(*next(batches)) / accumulate
                    scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
            """,
        ),
        Bad(
            """
            from torch import nn

            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = criterion(model(inputs), targets)
                «nn.utils.clip_grad_norm_(model.parameters(), 1.0)»
                loss.backward()
                optimizer.step()
            """
        ),
        Bad(
            """
            from torch import nn

            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                «nn.utils.clip_grad_norm_(model.parameters(), 1.0)»
            """
        ),
        Good(
            """
            for step, (inputs, targets) in enumerate(loader):
                with torch.autocast("cuda"):
                    loss = criterion(model(inputs), targets)
                scaler.scale(loss).backward()
                if step % accumulate == 0:
                    if scaler is not None:
                        scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
            """
        ),
        Good(
            """
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                if scaler is not None:
                    scaler.scale(loss).backward()
                else:
                    loss.backward()
                if scaler is None:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                if scaler is not None:
                    scaler.step(optimizer)
                    scaler.update()
                else:
                    optimizer.step()
            """,
            why="clipped only where there is no scaler",
        ),
        Good(
            """
            class Trainer:
                def _unscale(self):
                    if self.amp:
                        self.scaler.unscale_(self.optimizer)

                def step(self, loss):
                    self.scaler.scale(loss).backward()
                    self._unscale()
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    self.scaler.step(self.optimizer)
            """,
            why="unscaled by a method",
        ),
        Good(
            """
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), float("inf"))
                optimizer.zero_grad()
            """,
            why="Accelerate unscales on its own, and a threshold of infinity measures",
        ),
        Good(
            """
            scaler = torch.amp.GradScaler(enabled=False)
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                scaler.scale(loss).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
            """,
            why="a scaler that is switched off",
        ),
        Good(
            """
            for step, (inputs, targets) in enumerate(loader):
                if step and step % accumulate == 0:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad()
                loss = criterion(model(inputs), targets) / accumulate
                loss.backward()
            """,
            why="clips what earlier turns of the loop computed",
        ),
        Good(
            """
            for real in loader:
                loss_d = criterion(discriminator(real), ones)
                loss_d.backward()
                optimizer_d.step()
                loss_g = criterion(discriminator(generator(noise)), ones)
                loss_g.backward()
                torch.nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
                optimizer_g.step()
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not _clips(module, node):
            return
        region = _region(module, node)
        if region is None:
            return
        scaled = _scaled_step_after(module, node, region)
        if scaled is not None and not _is_unscaled(module, node):
            scaler = ast.unparse(scaled.func.value) if isinstance(scaled.func, ast.Attribute) else ""
            optimizer = ast.unparse(scaled.args[0])
            unscaled = _SCALED.format(scaler=scaler, optimizer=optimizer)
            fix = _unscale_first(module, node, scaled, f"{scaler}.unscale_({optimizer})")
            yield self.finding(module, node, unscaled, fix=fix)
        elif message := _wrong_time(module, node, region):
            yield self.finding(module, node, message)


def _clips(module: Module, call: ast.Call) -> bool:
    """Whether a call is PyTorch's own clipping, with a threshold that clips."""
    name = module.qualified_name(call.func)
    if name is None and (isinstance(call.func, ast.Attribute) or module.local_function(call)):
        return False
    limit = argument(call, "max_norm", 1) or argument(call, "clip_value", 1)
    known = name is None or name.startswith("torch.nn.utils.")
    return known and limit is not None and "inf" not in ast.unparse(limit)


def _region(module: Module, clip: ast.Call) -> ast.AST | None:
    """The innermost loop around the clipping that steps an optimizer, or else the function."""
    for loop in module.enclosing_loops(clip):
        if any(module.is_inside(step, loop) for step in module.optimizer_steps):
            return loop
    return module.enclosing_function(clip)


def _in_region(module: Module, calls: list[ast.Call], clip: ast.Call, region: ast.AST) -> list[ast.Call]:
    """The calls of a region that one run of it makes together with the clipping, in the order of the text."""
    function = module.enclosing_function(clip)
    together = [
        call
        for call in calls
        if module.is_inside(call, region)
        and module.enclosing_function(call) is function
        and not _contradict(module, call, clip)
    ]
    return sorted(together, key=_place)


def _place(node: ast.expr) -> tuple[int, int]:
    return (node.lineno, node.col_offset)


def _contradict(module: Module, one: ast.AST, other: ast.AST) -> bool:
    """Whether two nodes run under opposite conditions."""
    conditions = set(_conditions(module, one))
    return any((test, not holds) in conditions for test, holds in _conditions(module, other))


def _conditions(module: Module, node: ast.AST) -> Iterator[tuple[str, bool]]:
    for guard in module.guards(node):
        match guard.test:
            case ast.Compare(left=left, ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
                yield f"{ast.unparse(left)} is None", not guard.holds
            case test:
                yield ast.unparse(test), guard.holds


def _scaled_step_after(module: Module, clip: ast.Call, region: ast.AST) -> ast.Call | None:
    """The `scaler.step(optimizer)` that uses the clipped gradients."""
    for step in _in_region(module, module.optimizer_steps, clip, region):
        match step:
            case ast.Call(func=ast.Attribute(value=scaler, attr="step"), args=[_, *_]) if _place(step) > _place(
                clip
            ) and module.is_grad_scaler(scaler):
                return None if _is_switched_off(module, scaler) else step
    return None


def _is_switched_off(module: Module, scaler: ast.expr) -> bool:
    for origin in module.origins(scaler):
        if isinstance(origin, ast.Call):
            match argument(origin, "enabled"):
                case ast.Constant(value=False):
                    return True
    return False


def _is_unscaled(module: Module, clip: ast.Call) -> bool:
    """Whether something before the clipping may unscale the gradients: in the same function, or in one it calls."""
    unscales = module.calls(*_UNSCALES)
    function = module.enclosing_function(clip)
    helpers = {module.enclosing_function(call) for call in unscales} - {function, None}
    calls = unscales + [call for helper in helpers if helper for call in module.calls(helper.name)]
    return any(module.enclosing_function(call) is function and _place(call) < _place(clip) for call in calls)


def _unscale_first(module: Module, clip: ast.Call, step: ast.Call, code: str) -> Fix | None:
    if module.enclosing_loop(clip) is not module.enclosing_loop(step):
        return None
    return suggested("Unscale the gradients first", InsertBefore(Span.of(module.statement(clip)), code))


def _wrong_time(module: Module, clip: ast.Call, region: ast.AST) -> str | None:
    backward = _in_region(module, module.backward_calls, clip, region)
    steps = _in_region(module, module.optimizer_steps, clip, region)
    events = sorted([*backward, *steps], key=_place)
    before = [event for event in events if _place(event) < _place(clip)]
    after = [event for event in events if _place(event) > _place(clip)]
    if not before and after and after[0] in backward and any(step in after for step in steps):
        return _TOO_EARLY
    if not after and before and before[-1] in steps and any(call in before for call in backward):
        return _TOO_LATE
    return None
