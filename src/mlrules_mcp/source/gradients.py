"""The seventh layer of a Module: training loops, and where gradients are made, cleared, applied or switched off."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.guards import Guards
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS, Function, Loop
from mlrules_mcp.source.values import LIGHTNING_MODULE, OPTIMIZER

STEP_METHODS = frozenset({"training_step", "validation_step", "test_step", "predict_step", "forward"})

_OPTIMIZER_NAME = pattern(
    r"(?i:optim(?!al|um|[iu][sz]ed)|adam|sgd|rmsprop|lbfgs)|(^|_)(?i:opts?)(_|\d|$)|(^|_)[Oo]pts?[A-Z]"
)
_NOT_OPTIMIZER_NAME = pattern(r"sched|lr_|option", re.IGNORECASE)
_SCALER_NAME = pattern(r"scaler", re.IGNORECASE)
_GRAD_SCALERS = ("torch.amp.GradScaler", "torch.cuda.amp.GradScaler", "torch.amp.grad_scaler.GradScaler")
# Methods that so many classes have that the name alone says nothing about whose it is.
_COMMON_METHODS = frozenset({"train", "eval", "forward", "step", "backward", "__call__", "__init__"})


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
        if isinstance(expression, ast.Call) and self.called_name(expression) == "optimizers":
            return True
        base = expression
        while isinstance(base, ast.Subscript):
            base = base.value
        name = last_name(base)
        if name and _OPTIMIZER_NAME.search(name) and not _NOT_OPTIMIZER_NAME.search(name):
            return True
        return self.is_instance(expression, OPTIMIZER)

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
            if isinstance(call.func, ast.Attribute)
            and any(isinstance(part, ast.Attribute) and part.attr == "grad" for part in self.walk(call.func.value))
        ]
        return clears

    @cached_property
    def step_regions(self) -> frozenset[ast.AST]:
        """What runs once for each batch: the innermost loops that compute or apply gradients, the functions
        without a loop of their own that such a loop calls to do it, and `training_step` of a LightningModule."""
        regions: set[ast.AST] = set()
        for call in (self.backward_calls or self.optimizer_steps) + self._scaler_calls:
            regions.update(self._regions_around(call))
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
            for name, calls in self._calls_by_name.items()
            if _SCALER_NAME.search(name)
            for call in calls
            if len(call.args) > 1 and self.is_optimizer(call.args[1])
        ]

    def _regions_around(self, call: ast.Call) -> Iterator[ast.AST]:
        """The innermost loops that repeat a call, and the functions on the way from them to it."""
        came_from: dict[Function, Function | None] = {}
        pending: list[tuple[ast.AST, Function | None]] = [(call, None)]
        while pending:
            node, callee = pending.pop()
            function = self.enclosing_function(node)
            if (loop := self.enclosing_loop(node)) is not None:
                yield loop
                while callee is not None:
                    yield callee
                    callee = came_from[callee]
            elif function is not None and function not in came_from:
                came_from[function] = callee
                pending.extend((caller, function) for caller in self._callers(function))

    def _callers(self, function: Function) -> Iterator[ast.AST]:
        """The calls of a local function or method, and the places where it is passed on to be called."""
        for call in self.calls(function.name):
            if self.local_function(call) is function or self._may_be_method_call(call, function):
                yield call
        for name in self._passed_names.get(function.name, ()):
            if self._local_definition(name) is function:
                yield name

    def _may_be_method_call(self, call: ast.Call, function: Function) -> bool:
        cls = self.enclosing_class(function)
        match call.func:
            case ast.Attribute(value=receiver) if cls is not None and self.parent(function) is cls:
                made = [origin for origin in self.origins(receiver) if isinstance(origin, ast.Call)]
                classes = [made_of for origin in made if (made_of := self.local_class(origin.func))]
                return cls in classes or (not classes and function.name not in _COMMON_METHODS)
        return False

    @cached_property
    def _passed_names(self) -> dict[str, list[ast.Name]]:
        """The names that are arguments of calls: `optimizer.step(closure)`."""
        passed: dict[str, list[ast.Name]] = {}
        for call in self.nodes(ast.Call):
            for value in (*call.args, *(keyword.value for keyword in call.keywords)):
                if isinstance(value, ast.Name):
                    passed.setdefault(value.id, []).append(value)
        return passed

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
        `inference_mode`, `set_grad_enabled(…)`, under such a decorator, or after a bare `set_grad_enabled(False)`.
        The innermost switch decides: `enable_grad` inside `no_grad` has them on."""
        child = node
        for ancestor in self.ancestors(node):
            switches: list[ast.expr] = []
            if isinstance(child, ast.stmt):  # not what stands in the head of a `with` or in a decorator
                match ancestor:
                    case ast.With(items=items) | ast.AsyncWith(items=items):
                        switches = [item.context_expr for item in items]
                    case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
                        switches = decorators
            for switch in reversed(switches):
                if (on := self._switches_gradients(switch)) is not None:
                    return not on
            child = ancestor
        return self._switched_off_before(node)

    def _switched_off_before(self, node: ast.AST) -> bool:
        """Whether the last bare `set_grad_enabled` before a node, in its function or in the module, has them off."""
        off = False
        function = self.enclosing_function(node)
        for call in self.calls("set_grad_enabled"):
            if (
                isinstance(self.parent(call), ast.Expr)
                and start(call) < start(node)
                and self.enclosing_function(call) in (function, None)
                and (on := self._switches_gradients(call)) is not None
            ):
                off = not on
        return off

    def _switches_gradients(self, expression: ast.expr) -> bool | None:
        """Whether a context manager or decorator has gradients on; None if it has nothing to do with them.

        One that may have them off, such as `set_grad_enabled(training)`, counts as having them off.
        """
        answers = {self._switch(origin) for origin in self.origins(expression)} - {None}
        return all(answers) if answers else None

    def _switch(self, expression: ast.expr) -> bool | None:
        call = expression if isinstance(expression, ast.Call) else None
        target = call.func if call else expression
        mode = argument(call, "mode", 0) if call else None
        given = mode.value if isinstance(mode, ast.Constant) else None
        match self.qualified_name(target) or last_name(target):
            case "torch.enable_grad":
                return True
            case "torch.set_grad_enabled":
                return given is True
            case "torch.inference_mode":
                return given is False
            case "torch.no_grad" | "no_grad" | "inference_mode":
                return False
        return None


def last_name(expression: ast.expr) -> str | None:
    """The last identifier of a name or attribute: `optimizer` for `self.optimizer`."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return None
