"""Where a tensor that was made on the CPU goes, and whether it meets one on the model's device there."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._model_tensors import ModelTensors, passed_arguments
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._torch_calls import (
    FACTORIES,
    HOST_METHODS,
    MOVES,
    REDUCTIONS,
    VIEW_ATTRIBUTES,
    all_arguments,
    is_tensor_function,
    keeps_dimensions,
    only_converts,
)
from mlrules_mcp.source.gradients import STEP_METHODS
from mlrules_mcp.source.scopes import Binding
from mlrules_mcp.source.tree import Function

# Methods that take of the other tensor only its size, or copy from device to device.
_ACROSS_DEVICES = frozenset({"expand_as", "view_as", "reshape_as", "copy_", "type_as", "to", "new_tensor"})
# Methods whose arguments are sizes and dimensions.
_SHAPING = frozenset(
    "repeat view reshape expand unsqueeze squeeze permute transpose flatten unflatten tile roll flip narrow chunk "
    "split unfold movedim swapaxes t contiguous".split()
)
_ON_CPU_FUNCTIONS = frozenset({"torch.tensor_split", "torch.nn.functional.ctc_loss"})
_JOINS = frozenset({"torch.cat", "torch.concat", "torch.concatenate", "torch.stack", "torch.hstack", "torch.vstack"})
_COLLECTION_METHODS = frozenset({"append", "extend", "insert", "get", "pop", "update", "setdefault", "index", "count"})
_MOST_STEPS = 60


@dataclass(frozen=True, slots=True)
class Meeting:
    """An operation on two devices.

    Attributes:
        place: the operation.
        partner: the tensor on the model's device; None where it is the weights of a layer.
    """

    place: ast.expr | ast.stmt
    partner: ast.expr | None


class Journeys:
    """Follows tensors on the CPU through the methods of a module."""

    def __init__(self, tensors: ModelTensors) -> None:
        self.tensors = tensors
        self.module = tensors.module

    def meeting(self, start: ast.expr, *, scalar: bool = False) -> Meeting | None:
        """The first operation, in no order, that needs a tensor on the CPU on the model's device.

        Follows the value through variables, functions of tensors, collections and methods' results. A number-like
        (0-dimensional) tensor may meet any other but where tensors are joined or it is changed in place.
        """
        pending: list[ast.expr] = [start]
        seen: set[ast.expr] = set()
        while pending and len(seen) < _MOST_STEPS:
            value = pending.pop()
            if value in seen:
                continue
            seen.add(value)
            for step in self._steps(value, scalar):
                if isinstance(step, Meeting):
                    return step
                pending.append(step)
        return None

    def _steps(self, value: ast.expr, scalar: bool) -> Iterator[ast.expr | Meeting]:
        """What becomes of a value where it stands: what holds it next, or its meeting."""
        parent = self.module.parent(value)
        match parent:
            case ast.Attribute(attr=attribute):
                call = self.module.parent(parent)
                if isinstance(call, ast.Call) and call.func is parent:
                    yield from self._own_method(call, attribute, scalar)
                elif attribute in VIEW_ATTRIBUTES:
                    yield parent
            case ast.BinOp(left=left, right=right):
                yield from self._operation(parent, [right if left is value else left], scalar)
            case ast.Compare(left=left, comparators=others, ops=operators):
                if not any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in operators):
                    yield from self._operation(parent, [e for e in (left, *others) if e is not value], scalar)
            case ast.Subscript() if parent.value is value:
                if self.tensors.on_model(parent.slice):
                    yield Meeting(parent, parent.slice)
                elif isinstance(parent.ctx, ast.Load) and (
                    keeps_dimensions(parent.slice) or self._is_collection(value)
                ):
                    yield parent
            case ast.Call():
                yield from self._passed(parent, value, scalar)
            case ast.IfExp(test=test) if test is not value:
                yield parent
            case ast.Tuple():
                yield from self._in_tuple(parent, value, scalar)
            case ast.keyword():
                call = self.module.parent(parent)
                if isinstance(call, ast.Call):
                    yield from self._passed(call, value, scalar)
            case ast.UnaryOp(op=ast.USub() | ast.Invert()) | ast.Starred() | ast.List() | ast.NamedExpr():
                yield parent
                if isinstance(parent, ast.NamedExpr):
                    yield from self._bound(parent.target, scalar)
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from self._bound(target, scalar)
            case ast.AnnAssign(target=target):
                yield from self._bound(target, scalar)
            case ast.AugAssign(target=target) if not scalar and self.tensors.on_model(target):
                yield Meeting(parent, target)
            case ast.Return():
                yield from self._returned(self.module.enclosing_function(parent))

    def _in_tuple(self, parent: ast.Tuple, value: ast.expr, scalar: bool) -> Iterator[ast.expr | Meeting]:
        """The value is an element of `(a, b)`: of an unpacking `x, y = a, b`, of several results, of an argument."""
        position = parent.elts.index(value)
        match self.module.parent(parent):
            case ast.Assign(targets=[ast.Tuple(elts=targets)]) if len(targets) == len(parent.elts):
                yield from self._bound(targets[position], scalar)
            case ast.Return():
                for call in self._returned(self.module.enclosing_function(parent)):
                    match self.module.parent(call):
                        case ast.Assign(targets=[ast.Tuple(elts=targets)]) if len(targets) == len(parent.elts):
                            yield from self._bound(targets[position], scalar)
                        case _:
                            yield call
            case _:
                yield parent

    def _is_collection(self, value: ast.expr) -> bool:
        return any(isinstance(o, ast.List | ast.ListComp | ast.Tuple) for o in self.module.origins(value))

    def _operation(self, node: ast.expr, others: Iterable[ast.expr], scalar: bool) -> Iterator[ast.expr | Meeting]:
        partner = next(filter(self.tensors.on_model, others), None)
        if partner is None:
            yield node
        elif not scalar:
            yield Meeting(node, partner)

    def _own_method(self, call: ast.Call, attribute: str, scalar: bool) -> Iterator[ast.expr | Meeting]:
        """A method of the tensor itself is called."""
        if attribute in MOVES and not only_converts(self.module, call):
            return
        if attribute in _ACROSS_DEVICES | MOVES | _SHAPING:
            yield call
        elif attribute not in HOST_METHODS and not (attribute in REDUCTIONS and not call.args and not call.keywords):
            yield from self._operation(call, all_arguments(call), scalar)

    def _passed(self, call: ast.Call, value: ast.expr, scalar: bool) -> Iterator[ast.expr | Meeting]:
        """The tensor is an argument of a call."""
        if call.func is value:
            return
        name = self.module.qualified_name(call.func)
        others = [other for other in all_arguments(call) if other is not value]
        if isinstance(value, ast.Tuple | ast.List):
            others.extend(value.elts)
        if is_tensor_function(name):
            if name not in _ON_CPU_FUNCTIONS and name not in FACTORIES:
                yield from self._operation(call, others, scalar and name not in _JOINS)
            return
        if name == "torch.autograd.Variable":
            yield call
            return
        if (function := self.module.local_function(call)) is not None:
            yield from self._entered(call, value, function)
            return
        match call.func:
            case func if self.tensors.is_layer(func) and not self._takes_cpu_tensors(func):
                partner = next(filter(self.tensors.on_model, others), None)
                if not scalar and (partner is not None or self.tensors.has_weights(func)):
                    yield Meeting(call, partner)
            case ast.Attribute(value=receiver, attr=attribute) if name is None and self.tensors.on_model(receiver):
                if not scalar and attribute not in _ACROSS_DEVICES | _COLLECTION_METHODS:
                    yield Meeting(call, receiver)

    def _takes_cpu_tensors(self, layer: ast.expr) -> bool:
        return any(self.module.is_call_to(origin, "torch.nn.CTCLoss") for origin in self.module.origins(layer))

    def _entered(self, call: ast.Call, value: ast.expr, function: Function) -> Iterator[ast.expr]:
        """The uses of the parameter that a value is passed for, where the function is called from nowhere else.

        From elsewhere, what it returns would be taken for what it returns here.
        """
        if len(list(self._calls_of(function))) != 1:
            return
        for parameter, passed in passed_arguments(self.module, call, function):
            if passed is value:
                yield from self._reads(parameter.arg, parameter, function)

    def _bound(self, target: ast.expr, scalar: bool) -> Iterator[ast.expr | Meeting]:
        """The uses of a variable that a value is bound to, unless the variable is moved to a device anywhere."""
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                yield from self._bound(each, scalar)
        if isinstance(target, ast.Attribute):
            yield from self._kept(target)
        if not isinstance(target, ast.Name):
            return
        function = self.module.enclosing_function(target)
        bindings = self.module.bindings_in_scope(target)
        if function is None or any(self._moves(binding) for binding in bindings):
            return
        yield from self._reads(target.id, target, function)
        for binding in bindings:
            statement = self.module.parent(binding.node)
            if (
                isinstance(statement, ast.AugAssign)
                and isinstance(statement.target, ast.Name)
                and self._sees(statement.target, target)
                and self.tensors.on_model(statement.value)
            ):
                yield Meeting(statement, statement.value)

    def _kept(self, target: ast.Attribute) -> Iterator[ast.Attribute]:
        """The later uses in a method of what it puts into `self.x`, if it puts nothing else there."""
        function = self.module.enclosing_function(target)
        if function is None or not (isinstance(target.value, ast.Name) and target.value.id == "self"):
            return
        others = [
            node
            for node in self.module.walk(function.body)
            if isinstance(node, ast.Attribute) and node.attr == target.attr and node is not target
        ]
        if all(isinstance(other.ctx, ast.Load) for other in others):
            yield from (other for other in others if other.lineno > target.lineno)

    def _reads(self, name: str, bound: ast.AST, function: Function) -> Iterator[ast.Name]:
        for use in self.tensors.uses(name, function):
            if self._sees(use, bound):
                yield use

    def _sees(self, use: ast.Name, bound: ast.AST) -> bool:
        return any(binding.node is bound for binding in self.module.reaching(use))

    def _moves(self, binding: Binding) -> bool:
        """Whether a variable gets a value that was just moved: `h = h.to(x.device)`."""
        return any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in MOVES
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == binding.name
            and not only_converts(self.module, node)
            for node in (ast.walk(binding.value) if binding.value is not None else ())
        )

    def _returned(self, function: Function | None) -> Iterator[ast.Call]:
        """The calls of the function that returns a value; what calls a step method is not to be seen."""
        if function is None or function.name in STEP_METHODS:
            return
        for call in self._calls_of(function):
            if self.tensors.runs_in_model(call):
                yield call

    def _calls_of(self, function: Function) -> Iterator[ast.Call]:
        for call in self.module.calls(function.name):
            if self.module.local_function(call) is function:
                yield call
