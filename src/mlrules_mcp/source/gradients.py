"""The seventh layer of a Module: training loops, and where gradients are made, cleared, applied or switched off."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from mlrules_mcp.source.guards import Guards
from mlrules_mcp.source.tree import FUNCTIONS, Function, Loop
from mlrules_mcp.source.values import LIGHTNING_MODULE, OPTIMIZER

STEP_METHODS = frozenset({"training_step", "validation_step", "test_step", "predict_step", "forward"})

_OPTIMIZER_NAME = re.compile(r"optim|(^|_)opts?(_|\d|$)|(^|_)opts?[A-Z]|adam|sgd|rmsprop|lbfgs", re.IGNORECASE)
_NOT_OPTIMIZER_NAME = re.compile(r"sched|lr_|option", re.IGNORECASE)
_SCALER_NAME = re.compile(r"scaler", re.IGNORECASE)
_GRAD_SCALERS = ("torch.amp.GradScaler", "torch.cuda.amp.GradScaler", "torch.amp.grad_scaler.GradScaler")
_NO_GRAD = frozenset({"torch.no_grad", "torch.inference_mode", "torch.set_grad_enabled"})


class Gradients(Guards):
    """Guards that know the life of gradients."""

    @cached_property
    def backward_calls(self) -> list[ast.Call]:
        """Every call that computes gradients.

        `loss.backward()`, `scaler.scale(loss).backward()`, `fabric.backward(loss)`, `accelerator.backward(loss)`,
        `self.manual_backward(loss)`, `torch.autograd.backward(…)`; not a `backward` that an autograd function defines.
        """
        return [
            call
            for call in self.calls("backward", "manual_backward")
            if isinstance(call.func, ast.Attribute) and not self._is_own_backward(call)
        ]

    def _is_own_backward(self, call: ast.Call) -> bool:
        function = self.enclosing_function(call)
        if function is not None and function.name == "backward" and self.enclosing_class(call):
            return True
        match call.func:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                return True
        return False

    def is_optimizer(self, expression: ast.expr) -> bool:
        """Whether an expression is an optimizer: made by `torch.optim`, or called like one."""
        if self.is_instance(expression, OPTIMIZER):
            return True
        if isinstance(expression, ast.Call):
            return self.called_name(expression) == "optimizers"
        while isinstance(expression, ast.Subscript):
            expression = expression.value
        name = last_name(expression)
        return bool(name and _OPTIMIZER_NAME.search(name) and not _NOT_OPTIMIZER_NAME.search(name))

    def is_grad_scaler(self, expression: ast.expr) -> bool:
        """Whether an expression is a GradScaler: made as one, or called like one."""
        name = last_name(expression)
        if name and _SCALER_NAME.search(name):
            return not any(self._is_other_scaler(origin) for origin in self.origins(expression))
        return any(self.is_call_to(origin, *_GRAD_SCALERS) for origin in self.origins(expression))

    def _is_other_scaler(self, origin: ast.expr) -> bool:
        return isinstance(origin, ast.Call) and (self.qualified_name(origin.func) or "").startswith("sklearn.")

    @cached_property
    def optimizer_steps(self) -> list[ast.Call]:
        """Every call that applies gradients: `optimizer.step()`, `scaler.step(optimizer)`, `xm.optimizer_step(…)`."""
        return [
            call
            for call in self.calls("step", "optimizer_step")
            if isinstance(call.func, ast.Attribute)
            and (
                call.func.attr == "optimizer_step"
                or self.is_optimizer(call.func.value)
                or self.is_grad_scaler(call.func.value)
            )
        ]

    @cached_property
    def gradient_clears(self) -> list[ast.AST]:
        """Every node that clears gradients: `zero_grad()` calls, and assignments or deletions of a `.grad`."""
        clears: list[ast.AST] = list(self.calls("zero_grad"))
        clears += [
            attribute
            for attribute in self.nodes(ast.Attribute)
            if attribute.attr == "grad" and isinstance(attribute.ctx, ast.Store | ast.Del)
        ]
        clears += [
            call
            for call in self.calls("zero_", "zero")
            if isinstance(call.func, ast.Attribute) and ".grad" in ast.unparse(call.func.value)
        ]
        return clears

    @cached_property
    def step_regions(self) -> frozenset[ast.AST]:
        """What runs once for each batch: the innermost loops that compute or apply gradients, the functions
        without a loop of their own that such a loop calls to do it, and `training_step` of a LightningModule."""
        regions: set[ast.AST] = set()
        gradient_calls = self.backward_calls or self.optimizer_steps or self._scaler_calls
        for call in gradient_calls:
            loop = self.enclosing_loop(call)
            if loop is not None:
                regions.add(loop)
            elif (function := self.enclosing_function(call)) is not None:
                regions.update(self._calling_loops(function))
        for function in self.functions:
            cls = self.enclosing_class(function)
            if function.name == "training_step" and cls is not None and self.is_subclass(cls, LIGHTNING_MODULE):
                regions.add(function)
        return frozenset(regions)

    @cached_property
    def _scaler_calls(self) -> list[ast.Call]:
        """Calls of timm's kind, which compute and apply gradients at once: `loss_scaler(loss, optimizer)`."""
        return [
            call
            for call in self.nodes(ast.Call)
            if len(call.args) > 1
            and _SCALER_NAME.search(last_name(call.func) or "")
            and self.is_optimizer(call.args[1])
        ]

    def _calling_loops(self, function: Function) -> Iterator[ast.AST]:
        for call in self.calls(function.name):
            if self.local_function(call) is function or self._is_method_call(call, function):
                loop = self.enclosing_loop(call)
                if loop is not None:
                    yield loop
                    yield function

    def _is_method_call(self, call: ast.Call, function: Function) -> bool:
        return isinstance(call.func, ast.Attribute) and self.enclosing_class(function) is not None

    def step_region(self, node: ast.AST) -> ast.AST | None:
        """The training loop or step function that runs a node once for each batch; None if nothing does.

        What an epoch loop does around its batch loop is not in it, nor is what a nested function does.
        """
        for loop in self.enclosing_loops(node):
            if loop in self.step_regions:
                return loop
        function = self.enclosing_function(node)
        return function if function in self.step_regions else None

    @cached_property
    def training_loops(self) -> list[Loop]:
        """Every loop that trains: its body computes or applies gradients, itself or through functions it calls."""
        loops: dict[Loop, None] = {}
        for region in self.step_regions:
            inner = region if not isinstance(region, FUNCTIONS) else None
            if inner is not None:
                loops[inner] = None  # type: ignore[index]
                loops.update(dict.fromkeys(self.enclosing_loops(inner)))
        return sorted(loops, key=lambda loop: (loop.lineno, loop.col_offset))

    def under_no_grad(self, node: ast.AST) -> bool:
        """Whether a node runs with gradients switched off, or perhaps off: inside `with torch.no_grad():`,
        `inference_mode`, `set_grad_enabled(…)`, under such a decorator, or after a bare `set_grad_enabled(False)`."""
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, ast.With | ast.AsyncWith):
                for item in ancestor.items:
                    if self._switches_gradients_off(item.context_expr):
                        return True
            elif isinstance(ancestor, FUNCTIONS) and any(map(self._switches_gradients_off, ancestor.decorator_list)):
                return True
        function = self.enclosing_function(node)
        return any(
            isinstance(self.parent(call), ast.Expr)
            and self.is_call_to(call, "torch.set_grad_enabled")
            and self._switches_gradients_off(call)
            and call.lineno < getattr(node, "lineno", 0)
            and self.enclosing_function(call) in (function, None)
            for call in self.calls("set_grad_enabled")
        )

    def _switches_gradients_off(self, expression: ast.expr) -> bool:
        target = expression.func if isinstance(expression, ast.Call) else expression
        if isinstance(expression, ast.IfExp):
            return self._switches_gradients_off(expression.body) or self._switches_gradients_off(expression.orelse)
        name = self.qualified_name(target)
        if name is None and isinstance(target, ast.Name):
            return any(self._switches_gradients_off(v) for v in self.values_of(target))
        if name == "torch.set_grad_enabled" and isinstance(expression, ast.Call):
            match expression.args:
                case [ast.Constant(value=True)]:
                    return False
        return name in _NO_GRAD or (last_name(target) or "") in {"no_grad", "inference_mode"}


def last_name(expression: ast.expr) -> str | None:
    """The last identifier of a name or attribute: `optimizer` for `self.optimizer`."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return None
