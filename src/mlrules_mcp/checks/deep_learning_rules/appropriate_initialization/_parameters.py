"""Parameters that are made without values, and where attributes get theirs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.values import LIGHTNING_MODULE

_EMPTY = frozenset({"torch.empty", "torch.empty_like", "torch.empty_strided"})
_BY_SIZES = frozenset({"torch.Tensor", "torch.FloatTensor", "torch.DoubleTensor", "torch.HalfTensor"})
_SIZE = pattern(
    r"(?i)dim|size|num|feature|channel|hidden|(^|[._])n(_|\d|$)|len|unit|head|width|depth|(^|[._])(in|out)_"
)
_INITIALISES = pattern(
    r"(?i)init|xavier|kaiming|glorot|zeros?(_|$)|ones?(_|$)|uniform|normal|constant|trunc|orthogonal|fill|copy|reset|"
    r"load|set|assign|eye|sparse|dirac|[^_]_$"
)
_KEEPS_VALUES = frozenset({"requires_grad_", "retain_grad", "register_hook"})
_LOADS = pattern(r"load_state_dict|pretrained|PreTrained|ModelMixin|load_weights|load_checkpoint|safetensors")
_ALL_PARAMETERS = frozenset({"parameters", "named_parameters", "modules", "named_modules", "_parameters", "__dict__"})


def is_uninitialised_tensor(module: Module, data: ast.expr) -> bool:
    """Whether a value is a new tensor that nothing has been written to."""
    if isinstance(data, ast.Name):
        return _is_untouched(module, data)
    return isinstance(data, ast.Call) and _is_empty(module, data)


def _is_untouched(module: Module, name: ast.Name) -> bool:
    """Whether a variable holds an empty tensor, and is used for nothing else."""
    bindings = module.reaching(name)
    if len(bindings) != 1 or bindings[0].kind != "assignment" or not isinstance(bindings[0].value, ast.Call):
        return False
    scope = bindings[0].scope
    uses = sum(1 for node in module.walk(scope) if isinstance(node, ast.Name) and node.id == name.id)
    return uses == 2 and _is_empty(module, bindings[0].value)


def _is_empty(module: Module, call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute) and call.func.attr == "new_empty":
        return not _has_no_elements(call)
    name = module.qualified_name(call.func)
    if name in _EMPTY:
        device = argument(call, "device")
        return not _has_no_elements(call) and not (isinstance(device, ast.Constant) and device.value == "meta")
    return name in _BY_SIZES and _is_given_sizes(module, call)


def _has_no_elements(call: ast.Call) -> bool:
    return any(isinstance(part, ast.Constant) and part.value == 0 for arg in call.args for part in ast.walk(arg))


def _is_given_sizes(module: Module, call: ast.Call) -> bool:
    """Whether `torch.Tensor(…)` is given sizes and not data: several numbers, or one that is called like a size."""
    if any(isinstance(each, ast.Starred) for each in call.args) or _has_no_elements(call):
        return False
    match call.args:
        case [_, _, *_]:
            return True
        case [ast.Constant(value=int())]:
            return True
        case [ast.Name() | ast.Attribute() | ast.BinOp() as size]:
            return bool(_SIZE.search(module.text(size)))
    return False


def may_initialise_all(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class, or a function of the file, goes through all parameters, or hands the whole module on."""
    for each in module.lineage(cls):
        for node in module.walk(each, into_functions=True):
            match node:
                case ast.Attribute(value=ast.Name(id="self"), attr="apply"):
                    return True
                case ast.Attribute(attr=name) if name in _ALL_PARAMETERS:
                    return True
                case ast.Call(args=args) if _hands_itself_on(module, node, args):
                    return True
    return module.fact(_has_general_initialiser)


def _hands_itself_on(module: Module, call: ast.Call, args: list[ast.expr]) -> bool:
    given = any(isinstance(arg, ast.Name) and arg.id == "self" for arg in args)
    return given and module.called_name(call) not in {"super", "isinstance", "type", "print", "getattr", "hasattr"}


def _has_general_initialiser(module: Module) -> bool:
    """Whether a loop over parameters anywhere in a file writes to them."""
    for loop in module.nodes(ast.For):
        if any(isinstance(node, ast.Attribute) and node.attr in _ALL_PARAMETERS for node in ast.walk(loop.iter)):
            names = (last_name(node.func) or "" for node in module.walk(loop.body) if isinstance(node, ast.Call))
            if any(_INITIALISES.search(name) and name not in _KEEPS_VALUES for name in names):
                return True
    return False


def initialised_attributes(module: Module) -> frozenset[str]:
    """The names of attributes that get values somewhere in a file, or are handed to what may give them. To be asked
    for as a fact."""
    return frozenset(_initialised(module))


def _initialised(module: Module) -> Iterator[str]:
    for attribute in module.nodes(ast.Attribute):
        if _is_written(module, attribute):
            yield attribute.attr
    for call in module.calls("getattr", "setattr", "hasattr"):
        name = argument(call, "name", 1)
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value


def _is_written(module: Module, attribute: ast.Attribute) -> bool:
    node: ast.AST = attribute
    parent = module.parent(node)
    while True:
        match parent:
            case ast.Attribute(attr=name):
                call = module.parent(parent)
                if isinstance(call, ast.Call) and call.func is parent and name.endswith("_"):
                    return name not in _KEEPS_VALUES
                if isinstance(parent.ctx, ast.Store):
                    return name in {"data", "weight", "requires_grad"}
                if name == "data":
                    pass
                elif isinstance(call, ast.Call) and call.func is parent and name in {"view", "t", "reshape", "view_as"}:
                    parent = call
                else:
                    return False
            case ast.Subscript(ctx=ast.Store()):
                return True
            case ast.Subscript(value=value) if value is node:
                pass
            case ast.Call(func=function) if function is not node:
                return bool(_INITIALISES.search(last_name(function) or "")) or _is_built(module, parent)
            case ast.keyword():
                pass
            case ast.Tuple() | ast.List() | ast.Dict() | ast.Set():
                return True
            case ast.For(iter=iterable):
                return iterable is node
            case ast.Return() | ast.Yield():
                return False
            case ast.Assign(value=value):
                return value is node
            case ast.AugAssign(target=target):
                return target is node
            case _:
                return False
        node, parent = parent, module.parent(parent)


def _is_built(module: Module, call: ast.AST) -> bool:
    """Whether a call stands where a module is built: what it calls may initialise what it is given."""
    function = module.enclosing_function(call)
    return function is not None and bool(_INITIALISES.search(function.name))


def is_filled_by_loading(module: Module) -> bool:
    """Whether a file loads weights, or its models are made to be loaded."""
    return bool(_LOADS.search(module.source.code))


def is_trained_here(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a file trains, or a class initialises other parameters of its own, so that nobody else does it later."""
    if module.backward_calls or module.optimizer_steps or module.is_subclass(cls, LIGHTNING_MODULE):
        return True
    return any(
        isinstance(node, ast.Call) and (module.qualified_name(node.func) or "").startswith("torch.nn.init.")
        for node in module.walk(cls, into_functions=True)
    )


def is_part_of_package(module: Module) -> bool:
    """Whether a file belongs to a package, whose other files may initialise its modules or load their weights."""
    if module.source.path.endswith("__init__.py"):
        return True
    return any(statement.level for statement in module.nodes(ast.ImportFrom))
