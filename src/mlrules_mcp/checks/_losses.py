"""Which values of a module are backpropagated, and what they are made of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.scopes import Binding
from mlrules_mcp.source.tree import Function, code_of
from mlrules_mcp.source.values import LIGHTNING_MODULE

# Methods and functions whose result has its gradients from what they are called on.
_DIFFERENTIABLE_METHODS = frozenset(
    "abs add clone contiguous cpu cuda div double exp flatten float half log mean mul neg permute pow reshape sigmoid "
    "softmax log_softmax sqrt square squeeze sub sum tanh to transpose type type_as unsqueeze view relu t".split()
)
_DIFFERENTIABLE_FUNCTIONS = frozenset(
    {f"torch.{name}" for name in "mean sum stack cat exp log sigmoid softmax log_softmax tanh relu squeeze abs".split()}
    | {f"torch.nn.functional.{name}" for name in "softmax log_softmax relu sigmoid tanh".split()}
    | {"builtins.sum"}
)
_LOSS_NAME = pattern(r"loss|err|cost|kld?(_|$)|nll|bce|mse|penalty|elbo", re.IGNORECASE)
_TENSOR_NAME = pattern(r"loss|err|cost|obj|nll|bce|mse|kl|total|out|pred|logit|score|^[a-z]\d?$", re.IGNORECASE)
_MOST_STEPS = 3000


def backpropagated(module: Module, call: ast.Call) -> list[ast.expr]:
    """The values that a backward call computes gradients of: `loss` for `scaler.scale(loss).backward()`."""
    base = call.func.value if isinstance(call.func, ast.Attribute) else None
    if base is None:
        return []
    first = argument(call, "loss", 0) or argument(call, "tensors", 0)
    name = last_name(base) or ""
    if first is not None and not _TENSOR_NAME.search(name):
        return list(first.elts) if isinstance(first, ast.List | ast.Tuple) else [first]
    match base:
        case ast.Call(func=ast.Attribute(attr="scale"), args=[scaled, *_]):
            return [scaled]
    return [base]


def keeps_graph(call: ast.Call) -> bool:
    """Whether a backward call leaves its graph for a further one."""
    for name in ("retain_graph", "create_graph"):
        match argument(call, name):
            case None | ast.Constant(value=False | None):
                continue
        return True
    return False


def losses(module: Module) -> Losses:
    """The losses of a module; the same object for all checks that ask for it in turn."""
    return module.fact(Losses)


class Losses:
    """What a module backpropagates, and where it comes from.

    Attributes:
        roots: the expressions that are backpropagated, and what `training_step` of a LightningModule returns.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self.roots: list[ast.expr] = []
        self._kept: list[ast.expr] = []
        for call in module.backward_calls:
            (self._kept if keeps_graph(call) else self.roots).extend(backpropagated(module, call))
        self.roots.extend(self._returned_by_steps())
        self._bindings: set[Binding] = set()
        self._attributes: set[str] = set()
        for root in self.roots:
            self._add(root)
        self._sources: tuple[set[Binding], set[str]] | None = None
        self._asked: set[Function] = set()

    def _returned_by_steps(self) -> Iterator[ast.expr]:
        module = self._module
        for function in module.functions:
            cls = module.enclosing_class(function) if function.name == "training_step" else None
            if cls is None or not module.is_subclass(cls, LIGHTNING_MODULE):
                continue
            for value in _returns(module, function):
                match value:
                    case ast.Dict(keys=keys, values=values):
                        for key, each in zip(keys, values, strict=True):
                            if isinstance(key, ast.Constant) and key.value == "loss":
                                yield each
                    case _:
                        yield value

    def _add(self, expression: ast.expr) -> None:
        """Note the variables that hold a backpropagated value, and the terms it is the sum of."""
        for part in self._terms(expression):
            match part:
                case ast.Name():
                    for binding in self._module.reaching(part):
                        held = binding.kind in ("assignment", "augmented", "unpacking")
                        if held and binding.value is not None and binding not in self._bindings:
                            if not isinstance(binding.value, ast.Constant):
                                self._bindings.add(binding)
                            if binding.kind != "unpacking":
                                self._add(binding.value)
                case ast.Attribute():
                    text = code_of(part)
                    if text not in self._attributes:
                        self._attributes.add(text)
                        for origin in self._module.origins(part):
                            if origin is not part:
                                self._add(origin)

    def _terms(self, expression: ast.expr) -> Iterator[ast.expr]:
        match expression:
            case ast.Name() | ast.Attribute():
                yield expression
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                yield from self._terms(left)
                yield from self._terms(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                for factor, other in ((left, right), (right, left)):
                    is_variable = isinstance(factor, ast.Name | ast.Attribute)
                    name = last_name(factor) or ""
                    if isinstance(other, ast.Constant) or not is_variable or _LOSS_NAME.search(name):
                        yield from self._terms(factor)
            case ast.BinOp(left=left, op=ast.Div() | ast.Pow()):
                yield from self._terms(left)
            case ast.UnaryOp(operand=operand):
                yield from self._terms(operand)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._terms(body)
                yield from self._terms(orelse)
            case ast.Call(func=ast.Attribute(value=base, attr=attr)) if attr in _DIFFERENTIABLE_METHODS:
                yield from self._terms(base)

    def carried(self, expression: ast.expr) -> list[ast.expr]:
        """The parts of a value that bring a loss's graph into it: `[loss]` for `loss * n`, none for `loss.item()`."""
        return [part for part in carrying_parts(self._module, expression) if self.is_loss(part)]

    def is_loss(self, part: ast.expr) -> bool:
        """Whether a name, an attribute or a call gives a loss with its graph."""
        match part:
            case ast.Name():
                bindings = self._module.reaching(part)
                held = [b for b in bindings if not isinstance(b.value, ast.Constant)]
                return bool(held) and all(b in self._bindings or self._holds_loss(b) for b in held)
            case ast.Attribute():
                return code_of(part) in self._attributes
            case ast.Call():
                return self._gives_loss(part, None) or self._computes_loss(part)
        return False

    def _holds_loss(self, binding: Binding) -> bool:
        """Whether a binding binds what a step of training, or the loss function, returns beside or as the loss."""
        if not isinstance(binding.value, ast.Call):
            return False
        if binding.kind == "unpacking" and binding.index is not None:
            beside_a_loss = bool(_LOSS_NAME.search(binding.name)) and any(
                other.value is binding.value for other in self._bindings
            )
            if beside_a_loss and self._returns_graph(binding.value, binding.index):
                return True
            return self._gives_loss(binding.value, binding.index)
        return binding.kind == "assignment" and self._gives_loss(binding.value, None)

    def _returns_graph(self, call: ast.Call, index: int) -> bool:
        """Whether a part of what a local function returns is seen to be computed without being detached."""
        function = self._module.local_function(call)
        parts = [_element(value, index) for value in _returns(self._module, function)] if function else []
        return bool(parts) and all(
            part is not None and any(isinstance(each, ast.Name) for each in carrying_parts(self._module, part))
            for part in parts
        )

    def _computes_loss(self, call: ast.Call) -> bool:
        """Whether a call calls the function that the loss is computed by on what a model returns."""
        values = [binding.value for binding in self._bindings if isinstance(binding.value, ast.Call)]
        callee = code_of(call.func)
        if runs_model(self._module, call) or not any(code_of(value.func) == callee for value in values):
            return False
        inputs = [origin for arg in call.args for origin in self._module.origins(arg)]
        return any(runs_model(self._module, value) for value in inputs)

    def _gives_loss(self, call: ast.Call, index: int | None) -> bool:
        """Whether a call runs a function of this module that backpropagates a loss and then returns it, graph and all.

        Args:
            index: the place in the returned tuple; None for the returned value itself.
        """
        function = self._module.local_function(call)
        if function is None or function in self._asked:
            return False
        if not any(self._module.enclosing_function(root) is function for root in self.roots):
            return False
        self._asked.add(function)
        returned = [_element(value, index) for value in _returns(self._module, function)]
        gives = bool(returned) and all(value is not None and self.carried(value) for value in returned)
        self._asked.discard(function)
        return gives

    def feeds_backward(self, target: ast.expr) -> bool:
        """Whether something backpropagated, here or later, is computed from a variable or attribute."""
        while isinstance(target, ast.Subscript):
            target = target.value
        bindings, names = self._all_sources()
        if isinstance(target, ast.Name):
            own = self._module.bindings_in_scope(target)
            return any(binding in bindings for binding in own) if own else target.id in names
        return isinstance(target, ast.Attribute) and target.attr in names

    def _all_sources(self) -> tuple[set[Binding], set[str]]:
        if self._sources is None:
            self._sources = self._find_sources()
        return self._sources

    def _find_sources(self) -> tuple[set[Binding], set[str]]:
        """Every binding, and the name of every attribute and unbound variable, that a loss is computed from."""
        module = self._module
        roots = [*self.roots, *self._kept, *(call.args[0] for call in module.calls("grad") if call.args)]
        bindings: set[Binding] = set()
        names: set[str] = set()
        for node in sources(module, roots):
            if isinstance(node, ast.Name):
                reaching = module.reaching(node)
                bindings.update(reaching)
                names.update(() if reaching else (node.id,))
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
        return bindings, names


def sources(module: Module, expressions: Iterable[ast.expr]) -> Iterator[ast.AST]:
    """Every node that values are computed from, followed back through variables, attributes and local functions."""
    bindings: set[Binding] = set()
    attributes: set[str] = set()
    functions: set[Function] = set()
    pending: list[ast.AST] = list(expressions)
    for _ in range(_MOST_STEPS):
        if not pending:
            return
        node = pending.pop()
        yield node
        match node:
            case ast.Name():
                new = [binding for binding in module.reaching(node) if binding not in bindings]
                bindings.update(new)
                pending.extend(binding.value for binding in new if binding.value is not None)
            case ast.Attribute(attr=attr) if attr not in attributes:
                attributes.add(attr)
                pending.extend(origin for origin in module.origins(node) if origin is not node)
            case ast.Call():
                function = module.local_function(node)
                if function is not None and function not in functions:
                    functions.add(function)
                    pending.extend(_returns(module, function))
        pending.extend(ast.iter_child_nodes(node))


def carrying_parts(module: Module, expression: ast.expr) -> Iterator[ast.expr]:
    """The names, attributes and calls whose graph a value takes on, seen through arithmetic, collections and the like.

    What is under `.detach()`, `.item()` or anything unknown is left out.
    """
    match expression:
        case ast.Name() | ast.Attribute():
            yield expression
        case ast.BinOp(left=left, right=right):
            yield from carrying_parts(module, left)
            yield from carrying_parts(module, right)
        case ast.UnaryOp(operand=operand, op=ast.USub() | ast.UAdd()):
            yield from carrying_parts(module, operand)
        case ast.IfExp(body=body, orelse=orelse):
            yield from carrying_parts(module, body)
            yield from carrying_parts(module, orelse)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
            for part in parts:
                yield from carrying_parts(module, part)
        case ast.Call(func=ast.Attribute(value=base, attr=attr)) if (
            attr in _DIFFERENTIABLE_METHODS and module.qualified_name(expression.func) is None
        ):
            yield from carrying_parts(module, base)
        case ast.Call(func=func, args=args) if module.qualified_name(func) in _DIFFERENTIABLE_FUNCTIONS:
            for arg in args:
                yield from carrying_parts(module, arg)
        case ast.Call():
            yield expression


def _element(value: ast.expr, index: int | None) -> ast.expr | None:
    if index is None:
        return None if isinstance(value, ast.Tuple) else value
    return value.elts[index] if isinstance(value, ast.Tuple) and index < len(value.elts) else None


def _returns(module: Module, function: Function) -> Iterator[ast.expr]:
    for node in module.walk(function.body):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value
