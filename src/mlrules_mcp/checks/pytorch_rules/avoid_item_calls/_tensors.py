"""Which expressions are tensors that may lie on a device."""

from __future__ import annotations

import ast

from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.checks.pytorch_rules.avoid_item_calls._steps import loop_targets
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument

_DEEPEST = 6
_LOSS_FUNCTION = pattern(r"(^|_)(criterion|loss_fn|loss_func|loss_function)$")

# Methods that nothing but a tensor has.
_TENSOR_ONLY = frozenset(
    "detach cuda requires_grad_ logsumexp softmax log_softmax isnan isinf isfinite masked_fill masked_select mul_ add_ "
    "unsqueeze contiguous".split()
)
# Methods that give a tensor where they are called on one; arrays and other objects have them too.
_TENSOR_KEEPING = frozenset(
    "abs all amax amin any argmax argmin bool clamp clip clone cpu data double eq exp flatten float ge gather gt half "
    "int item_ le log long lt max mean min ne norm pow prod reshape round sigmoid sqrt square squeeze std sub sum t "
    "tanh to topk transpose type type_as var view".split()
)
_TENSOR_ATTRIBUTES = frozenset({"data", "grad", "T", "mT", "real", "imag", "values", "indices"})
_TORCH_NOT_TENSORS = frozenset(
    "torch.Generator torch.Size torch.device torch.dtype torch.load torch.save torch.no_grad torch.enable_grad "
    "torch.inference_mode torch.set_grad_enabled torch.is_grad_enabled torch.is_tensor torch.numel torch.compile "
    "torch.autocast torch.manual_seed torch.seed torch.initial_seed torch.get_default_dtype torch.get_num_threads "
    "torch.is_floating_point torch.is_complex torch.is_autocast_enabled torch.finfo torch.iinfo torch.promote_types "
    "torch.result_type torch.can_cast torch.typename torch.get_rng_state torch.set_rng_state torch.is_storage".split()
)
_TORCH_BOOLS = frozenset({"torch.allclose", "torch.equal", "torch.is_nonzero"})
FACTORIES = frozenset(
    f"torch.{name}"
    for name in "arange empty eye full linspace logspace normal ones rand randint randn randperm tensor zeros".split()
)


def is_tensor(module: Module, expression: ast.expr, depth: int = _DEEPEST) -> bool:
    """Whether the code shows that an expression is a tensor: it is backpropagated, or comes from torch or a model."""
    if depth == 0:
        return False
    match expression:
        case ast.Name() as name:
            return is_backpropagated(module, name) or any(
                is_tensor(module, value, depth - 1) for value in module.values_of(name)
            )
        case ast.Attribute(value=value, attr=attribute):
            if is_backpropagated(module, expression):
                return True
            return attribute in _TENSOR_ATTRIBUTES and is_tensor(module, value, depth - 1)
        case ast.Subscript(value=value) | ast.UnaryOp(op=ast.USub() | ast.Invert(), operand=value):
            return is_tensor(module, value, depth - 1)
        case ast.BinOp(left=left, right=right):
            return is_tensor(module, left, depth - 1) or is_tensor(module, right, depth - 1)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            if any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in ops):
                return False
            return any(is_tensor(module, operand, depth - 1) for operand in (left, *comparators))
        case ast.Call() as call:
            return _returns_tensor(module, call, depth)
    return False


def _returns_tensor(module: Module, call: ast.Call, depth: int) -> bool:
    name = module.qualified_name(call.func)
    if name is not None:
        return _is_tensor_function(name)
    if isinstance(call.func, ast.Attribute):
        method, receiver = call.func.attr, call.func.value
        if method in _TENSOR_ONLY:
            return True
        if method in _TENSOR_KEEPING:
            moved = method == "to" and is_on_host(module, receiver)  # a batch as the loader gives it
            return moved or is_tensor(module, receiver, depth - 1)
    return _calls_module(module, call)


def _is_tensor_function(name: str) -> bool:
    package, _, last = name.rpartition(".")
    if package not in {"torch", "torch.nn.functional", "torch.linalg", "torch.special", "torch.fft"}:
        return False
    return last[:1].islower() and name not in _TORCH_NOT_TENSORS and name not in _TORCH_BOOLS


def _calls_module(module: Module, call: ast.Call) -> bool:
    """Whether a call runs a model or a loss: `model(x)`, `self.criterion(y, t)`, `nn.MSELoss()(y, t)`."""
    return bool(_LOSS_FUNCTION.search(last_name(call.func) or "")) or runs_model(module, call)


def is_backpropagated(module: Module, expression: ast.expr) -> bool:
    """Whether `backward` is called on this variable in the same function, or `training_step` returns it."""
    function = module.enclosing_function(expression)
    text = ast.unparse(expression)
    return any(text in _losses(call) and module.enclosing_function(call) is function for call in module.backward_calls)


def _losses(call: ast.Call) -> set[str]:
    """What a `backward` call computes the gradients of, as text."""
    losses = [ast.unparse(argument) for argument in call.args]
    match call.func:
        case ast.Attribute(value=ast.Call(args=[scaled])):
            losses.append(ast.unparse(scaled))
        case ast.Attribute(value=loss):
            losses.append(ast.unparse(loss))
    return set(losses)


def is_on_host(module: Module, expression: ast.expr, depth: int = _DEEPEST) -> bool:
    """Whether the code shows that a value is already in the CPU's memory: a NumPy value, a batch as the loader gives
    it, or a tensor that was just made there."""
    root = expression
    while depth:
        match root:
            case ast.Call(func=func) if (name := module.qualified_name(func)) is not None:
                if name in FACTORIES:
                    return argument(root, "device") is None
                return name.startswith(("numpy.", "random.", "math."))
            case ast.Call(func=ast.Attribute(attr="to" | "cuda")):
                return False
            case ast.Call(func=ast.Attribute(attr="numpy" | "tolist")):
                return True
            case ast.Call(func=ast.Attribute(value=value)) | ast.Attribute(value=value) | ast.Subscript(value=value):
                root = value
            case ast.Name() as variable:
                return _is_host_variable(module, variable, depth - 1)
            case _:
                return False
    return False


def _is_host_variable(module: Module, name: ast.Name, depth: int) -> bool:
    bindings = module.reaching(name)
    return bool(bindings) and all(
        (binding.kind == "loop" and any(module.is_inside(binding.node, t) for t in loop_targets(module, name)))
        or (
            binding.kind in {"assignment", "unpacking"}
            and binding.value is not None
            and is_on_host(module, binding.value, depth)
        )
        for binding in bindings
    )
