"""Where a module writes the name of a CUDA device down as the device to use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mlrules_mcp.checks._devices import asks_device, device_in_scope, is_cuda_string, torch_name
from mlrules_mcp.checks.check import suggested
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._moves import is_index_of_many
from mlrules_mcp.findings import AddImport, Fix, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.scopes import Binding

Use: TypeAlias = Literal["argument", "choice", "default"]

_DEVICE_NAME = pattern(r"(^|_)dev(ice)?(_?\d+)?$", re.IGNORECASE)
_DEVICE_KEYWORDS = frozenset({"device", "map_location", "device_map"})
_OPTION_CALLS = frozenset({"add_argument", "add_option", "option", "Option", "Argument", "Field", "field"})

# Calls that take a device at these positions.
_POSITIONS = {"torch.load": 1, "torch.jit.load": 1, "torch.Generator": 0}
# What takes the name of a kind of device, and switches itself off where there is none of it.
_NAMES_A_KIND = ("torch.amp.", "torch.autocast", "torch.cuda.", "torch.backends.", "torch.profiler.")


@dataclass(frozen=True, slots=True)
class CudaString:
    """Text that names a CUDA device, and how it is used.

    `argument`: passed to a call that needs a device. `choice`: a variable or `torch.device(…)` that other code
    takes its device from. `default`: what a caller or a command line can choose otherwise.
    """

    node: ast.expr
    use: Use


def cuda_strings(module: Module) -> Iterator[CudaString]:
    """Every text of a module that puts something on a CUDA device, without regard to what guards it."""
    for constant in module.nodes(ast.Constant):
        if isinstance(constant.value, str) and is_cuda_string(constant):
            node = _whole_text(module, constant)
            if not _numbers_many(node) and (use := _use(module, node)) is not None:
                yield CudaString(node, use)


def _whole_text(module: Module, constant: ast.expr) -> ast.expr:
    """The expression that starts with a text and adds a number to it."""
    current: ast.expr = constant
    while True:
        match module.parent(current):
            case ast.JoinedStr() | ast.BinOp() as whole if is_cuda_string(whole):
                current = whole
            case ast.Attribute(attr="format") as method if isinstance(filled := module.parent(method), ast.Call):
                current = filled
            case _:
                return current


def _numbers_many(text: ast.expr) -> bool:
    """Whether the number in a text is that of one of several GPUs: `f"cuda:{rank}"`."""
    match text:
        case ast.JoinedStr(values=values):
            return any(is_index_of_many(part.value) for part in values if isinstance(part, ast.FormattedValue))
        case ast.BinOp(right=ast.Call(func=ast.Name(id="str"), args=[number])) | ast.BinOp(right=number):
            return is_index_of_many(number)
        case ast.Call(args=arguments):
            return any(map(is_index_of_many, arguments))
    return False


def _use(module: Module, node: ast.expr) -> Use | None:
    child = node
    while isinstance(parent := module.parent(child), ast.IfExp) and child is not parent.test:
        child = parent
    match parent:
        case ast.Call(args=arguments) as call if child in arguments:
            return _use_as_argument(module, call, arguments.index(child))
        case ast.keyword(arg=str() as name) as keyword if isinstance(owner := module.parent(keyword), ast.Call):
            return _use_as_keyword(module, owner, name)
    return _use_of_value(module, child)


def _use_as_argument(module: Module, call: ast.Call, position: int) -> Use | None:
    name = module.qualified_name(call.func)
    if name == "torch.device":
        return _use_of_device(module, call) if position == 0 else None
    if name == "torch.set_default_device":
        return "choice"
    if isinstance(call.func, ast.Attribute) and call.func.attr == "to":
        return "argument" if position == 0 else None
    return "argument" if _POSITIONS.get(name or "") == position else None


def _use_as_keyword(module: Module, call: ast.Call, name: str) -> Use | None:
    called = module.called_name(call)
    if name == "default" and called in _OPTION_CALLS:
        return "default" if "device" in ast.unparse(call) and not _is_option_corrected(module) else None
    if name not in _DEVICE_KEYWORDS or (module.qualified_name(call.func) or "").startswith(_NAMES_A_KIND):
        return None
    if called is not None and "Precision" in called:  # the precision plugins of Lightning
        return None
    return "argument"


def _is_option_corrected(module: Module) -> bool:
    """Whether the device from the command line is weighed against what is there."""
    return any(
        ".device" in ast.unparse(statement.test if isinstance(statement, ast.While) else statement)
        for call in module.calls("is_available")
        if isinstance(statement := module.statement(call), ast.If | ast.Assign | ast.Expr | ast.Assert)
    )


def _use_of_device(module: Module, device: ast.Call) -> Use | None:
    """The use of `torch.device("cuda")` by what it is part of."""
    if any(map(is_index_of_many, device.args[1:])):
        return None
    match module.parent(device):
        case ast.Compare() | ast.Attribute() | ast.List() | ast.Tuple() | ast.Set() | ast.Dict():
            return None
        case ast.keyword(arg="default"):
            return "default"
        case ast.keyword(arg=name) if name in _DEVICE_KEYWORDS:
            return "argument"
        case ast.Call(func=ast.Attribute(attr="to")):
            return "argument"
        case ast.arguments() | ast.Assign() | ast.AnnAssign():
            return _use_of_value(module, device)
    return "choice"


def _use_of_value(module: Module, value: ast.expr) -> Use | None:
    """The use of a value that is assigned to a variable, or the default of a parameter."""
    match module.parent(value):
        case ast.arguments():
            return "default" if _is_device_parameter(module, value) else None
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target) as statement:
            return _use_of_target(module, target, statement, value)
    return None


def _is_device_parameter(module: Module, default: ast.expr) -> bool:
    """Whether a default is that of a device parameter whose function puts something there, and asks for nothing."""
    for name, bindings in module.bindings.items():
        for binding in bindings:
            if binding.value is not default or binding.kind != "parameter":
                continue
            if not _DEVICE_NAME.search(name) or any(
                module.is_inside(call, binding.scope) for call in module.calls("is_available")
            ):
                return False
            return any(
                used.id == name and module.is_inside(used, binding.scope) and _is_place(module, used)
                for used in module.nodes(ast.Name)
            )
    return False


def _is_place(module: Module, used: ast.Name) -> bool:
    """Whether a use of a variable puts something on the device that it holds."""
    match module.parent(used):
        case ast.keyword(arg="device" | "map_location") as keyword:
            call = module.parent(keyword)
            return isinstance(call, ast.Call) and _use_as_keyword(module, call, "device") is not None
        case ast.Call(func=ast.Attribute(attr="to" | "device" | "to_empty"), args=[first, *_]):
            return first is used
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"))]):
            return True
    return False


def _use_of_target(module: Module, target: ast.expr, statement: ast.stmt, value: ast.expr) -> Use | None:
    is_device = isinstance(value, ast.Call)
    match target:
        case ast.Name(id=name) if is_device or _DEVICE_NAME.search(name):
            if isinstance(module.parent(statement), ast.ClassDef) or module.calls("exec"):
                return "default"
            return None if _is_chosen_again(module, module.bindings[name], target) else "choice"
        case ast.Attribute(value=ast.Name(id="self"), attr=name) if is_device or _DEVICE_NAME.search(name):
            cls = module.enclosing_class(target)
            values = module.attribute_values(cls, name) if cls else []
            return "choice" if len(values) == 1 else None
        case ast.Attribute(attr=name) if _DEVICE_NAME.search(name):
            return "choice"
    return "choice" if is_device else None


def _is_chosen_again(module: Module, bindings: list[Binding], target: ast.Name) -> bool:
    """Whether the variable gets another value where the device is missing or asked for."""
    scope = module.scope(target)
    return any(
        any(asks_device(module, guard.test) for guard in module.guards(binding.node))
        for binding in bindings
        if binding.node is not target and binding.scope is scope
    )


def text_fix(module: Module, text: CudaString) -> Fix | None:
    """`"cuda"` as the device in scope, or as a question of what there is where the device is chosen."""
    device = device_in_scope(module, text.node)
    if text.use == "choice" and (device is None or _is_assigned(module, text.node, device)):
        return choice_fix(module, text)
    whole, parent = text.node, module.parent(text.node)
    if device is None:
        loads = isinstance(parent, ast.keyword) and parent.arg == "map_location"
        return suggested("Load to the CPU", Replace(Span.of(whole), '"cpu"')) if loads else None
    if isinstance(parent, ast.Call) and module.is_call_to(parent, "torch.device"):
        whole = parent
    return suggested(f"Use `{device}`", Replace(Span.of(whole), device))


def _is_assigned(module: Module, node: ast.expr, device: str) -> bool:
    """Whether the statement around a node assigns the device itself."""
    match module.statement(node):
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return ast.unparse(target) == device
    return False


def choice_fix(module: Module, text: CudaString) -> Fix | None:
    """`"cuda"` as `"cuda" if torch.cuda.is_available() else "cpu"`; None in a signature, which runs on import."""
    if any(isinstance(ancestor, ast.arguments) for ancestor in module.ancestors(text.node)):
        return None
    device = module.parent(text.node)
    if module.is_call_to(device, "torch.device") and not _has_plain_index(device):
        return None
    torch = torch_name(module)
    written = module.text(text.node)
    quote = "'" if "'" in written else '"'
    code = f"{written} if {torch or 'torch'}.cuda.is_available() else {quote}cpu{quote}"
    edit = Replace(Span.of(text.node), code)
    return suggested("Ask for CUDA", *((edit,) if torch else (edit, AddImport("torch"))))


def _has_plain_index(device: ast.AST | None) -> bool:
    """Whether `torch.device("cuda", index)` is given an index that the CPU has too, or none."""
    match device:
        case ast.Call(args=[_], keywords=[]) | ast.Call(args=[_, ast.Constant(value=0)], keywords=[]):
            return True
    return False
