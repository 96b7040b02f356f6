"""Which `.data` attributes are those of tensors, and what is done with them."""

from __future__ import annotations

import ast
import re

from mlrules_mcp.checks._losses import losses
from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import FUNCTIONS
from mlrules_mcp.source.values import MODULE, OPTIMIZER

_PARAMETER_NAME = pattern(r"^(p|param|parameter)$|_(param|parameter)$|(^|_)(weight|bias)(_\w+)?$")
_PARAMETER_SOURCE = pattern(r"parameters\(|params\b|state_dict\(|buffers\(")
_INITIALISES = pattern(r"init|reset|xavier|kaiming|weights?_norm", re.IGNORECASE)
_INITIALISERS = frozenset(
    "normal_ uniform_ trunc_normal_ fill_ zero_ xavier_normal_ xavier_uniform_ kaiming_normal_ kaiming_uniform_ "
    "orthogonal_ constant_ ones_ zeros_ eye_ dirac_ sparse_".split()
)
_NOT_TENSORS = pattern(
    r"data|binding|set$|set_|mnist|cifar|loader|batch|corpus|request|response|packed|frame|^(self|args|cfg|config|ds|df)$",
    re.IGNORECASE,
)
_PACKS = ("pack_padded_sequence", "pack_sequence", "PackedSequence")
# What no object but a tensor is asked for after `.data`.
_TENSOR_READS = frozenset("cpu numpy item cuda argmax topk view eq norm squeeze unsqueeze sigmoid clamp".split())
_VIEWS = frozenset("view reshape squeeze unsqueeze flatten transpose permute t contiguous".split())
_KEEPING_VALUES = frozenset({"requires_grad_", "share_memory_", "detach_"})
_FOLLOWS = pattern(r"target|ema|shadow|teacher|momentum|(^|_)(k|avg|old)(_|$)", re.IGNORECASE)
_TRAINS = pattern(r"train|step|update|optimi[sz]e|learn|fit", re.IGNORECASE)
_TORCH_NOT_TENSORS = frozenset({"torch.load", "torch.device", "torch.Size", "torch.save", "torch.Generator"})


def is_tensor_data(module: Module, attribute: ast.Attribute) -> bool:
    """Whether a `.data` is seen to be a tensor's: of a parameter, a gradient, a model's output, a loss …"""
    base = attribute.value
    if is_parameter(module, base):
        return True
    if isinstance(base, ast.Attribute) and base.attr == "grad":
        return True
    name = _name(base)
    method = called_after(module, attribute) or ""
    if _is_in_place(method) and not _NOT_TENSORS.search(name):
        return True
    if _is_tensor(module, base) or losses(module).is_loss(base):
        return not module.calls(*_PACKS) or _is_torch_call(module, base)
    return bool(method in _TENSOR_READS and name and not _NOT_TENSORS.search(name))


def _name(base: ast.expr) -> str:
    while isinstance(base, ast.Subscript):
        base = base.value
    return last_name(base) or ""


def _is_in_place(method: str) -> bool:
    return method.endswith("_") and not method.startswith("_") and method not in _KEEPING_VALUES


def is_parameter(module: Module, base: ast.expr) -> bool:
    """Whether an expression is a parameter: called like one, made as one, or taken from a module's parameters."""
    while isinstance(base, ast.Subscript):
        base = base.value
    if isinstance(base, ast.Attribute):
        made = any(module.is_call_to(origin, "torch.nn.Parameter") for origin in module.origins(base))
        return made or bool(_PARAMETER_NAME.search(base.attr))
    if isinstance(base, ast.Name):
        return any(
            binding.value is not None
            and (
                (binding.kind == "loop" and _PARAMETER_SOURCE.search(ast.unparse(binding.value)))
                or module.is_call_to(binding.value, "torch.nn.Parameter")
            )
            for binding in module.reaching(base)
        )
    return False


def _is_tensor(module: Module, expression: ast.expr, depth: int = 4) -> bool:
    """Whether a value comes from a model or a function of torch, through arithmetic, indexing and unpacking."""
    for origin in module.origins(expression) if depth else ():
        match origin:
            case ast.Subscript(value=value) | ast.BinOp(left=value):
                found = _is_tensor(module, value, depth - 1)
            case ast.Name():
                found = any(b.kind == "unpacking" and runs_model(module, b.value) for b in module.reaching(origin))
            case _:
                found = runs_model(module, origin) or _is_torch_call(module, origin)
        if found:
            return True
    return False


def _is_torch_call(module: Module, origin: ast.expr) -> bool:
    """Whether an expression is a call of a function of torch that gives a tensor, or of methods on one."""
    while isinstance(origin, ast.Call):
        name = module.qualified_name(origin.func)
        if name is not None:
            package, _, last = name.rpartition(".")
            tensor = package in ("torch", "torch.nn.functional") and name not in _TORCH_NOT_TENSORS
            return (tensor and (last[:1].islower() or last.endswith("Tensor"))) or name == "torch.autograd.Variable"
        if not isinstance(origin.func, ast.Attribute):
            return False
        origin = origin.func.value
    return False


def called_after(module: Module, attribute: ast.expr) -> str | None:
    """The method that is called on an attribute: `cpu` for `x.data.cpu()`."""
    match module.parent(attribute):
        case ast.Attribute(attr=method) as access if isinstance(call := module.parent(access), ast.Call):
            return method if call.func is access else None
    return None


def is_written(module: Module, attribute: ast.Attribute) -> bool:
    """Whether a `.data` is assigned to, in whole or in part, or changed in place."""
    if isinstance(attribute.ctx, ast.Store | ast.Del):
        return True
    if _is_in_place(called_after(module, attribute) or ""):
        return True
    child: ast.AST = attribute
    parent = module.parent(child)
    while isinstance(parent, ast.Subscript) and parent.value is child:
        if isinstance(parent.ctx, ast.Store):
            return True
        if _is_in_place(called_after(module, parent) or ""):
            return True
        child, parent = parent, module.parent(parent)
    return is_given_to_initialiser(module, attribute)


def is_given_to_initialiser(module: Module, attribute: ast.Attribute) -> bool:
    """Whether an attribute is what a function of `torch.nn.init` fills."""
    match module.parent(attribute):
        case ast.Call(func=func, args=[first, *_]) if first is attribute:
            return (module.qualified_name(func) or "").startswith("torch.nn.init.")
    return False


def initialises(module: Module, attribute: ast.Attribute) -> bool:
    """Whether a `.data` is used to give a parameter its first values."""
    if is_given_to_initialiser(module, attribute) or called_after(module, attribute) in _INITIALISERS:
        return is_parameter(module, attribute.value)
    around = [a.name for a in module.ancestors(attribute) if isinstance(a, FUNCTIONS)]
    return any(_INITIALISES.search(name) for name in around)


def is_shared(module: Module, attribute: ast.Attribute) -> bool:
    """Whether something goes on to share a tensor's memory: its data, or a view of them, are assigned or returned."""
    node: ast.AST = attribute
    while True:
        parent = module.parent(node)
        match parent:
            case ast.Attribute(attr=name) if name in _VIEWS and isinstance(module.parent(parent), ast.Call):
                node = module.parent(parent) or parent
            case ast.Subscript(value=value, slice=index) if value is node and not isinstance(index, ast.Constant):
                node = parent
            case ast.Tuple() | ast.List() | ast.ListComp() | ast.GeneratorExp() | ast.IfExp():
                node = parent
            case ast.Assign() | ast.AnnAssign() | ast.Return() | ast.NamedExpr():
                return True
            case _:
                return False


def may_need_gradients(module: Module, base: ast.expr) -> bool:
    """Whether a tensor takes part in a backward pass as far as the code shows: a parameter, a model's output, an
    intermediate result of a `forward`, or what has its `.grad` read; not the parameters of a target network."""
    if _FOLLOWS.search(_name(base)):
        return False
    if is_parameter(module, base):
        return True
    function = module.enclosing_function(base)
    if function is not None and function.name in ("forward", "training_step"):
        return True
    text = ast.unparse(base)
    read = (a for a in module.nodes(ast.Attribute) if a.attr == "grad" and module.enclosing_function(a) is function)
    return any(ast.unparse(a.value) == text for a in read) or any(runs_model(module, o) for o in module.origins(base))


def is_replaced(module: Module, attribute: ast.Attribute) -> bool:
    """Whether a `.data` gets other memory, as when weights are exchanged or cast: `p.data = p.data.float()`.

    There is no way without `.data` that does the same.
    """
    return isinstance(module.parent(attribute), ast.Assign | ast.AnnAssign) and isinstance(attribute.ctx, ast.Store)


def in_training(module: Module, node: ast.AST) -> bool:
    """Whether autograd records what a node does: in a training step, or in the `forward` of a module."""
    if module.under_no_grad(node):
        return False
    function = module.enclosing_function(node)
    cls = module.enclosing_class(node)
    if cls is not None and (module.is_subclass(cls, OPTIMIZER) or module.is_subclass(cls, "torch.autograd.Function")):
        return False
    if function is not None and function.name in ("forward", "training_step"):
        return cls is not None and module.is_subclass(cls, MODULE)
    for call in module.backward_calls:
        if module.enclosing_function(call) is not function:
            continue
        loops = module.enclosing_loops(call)
        if any(module.is_inside(node, loop) for loop in loops):
            return True
        if not loops and function is not None and (function in module.step_regions or _TRAINS.search(function.name)):
            return True
    return False
