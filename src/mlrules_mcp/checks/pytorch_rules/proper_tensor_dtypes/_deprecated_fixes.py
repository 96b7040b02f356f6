"""How calls of deprecated functions are written anew."""

from __future__ import annotations

import ast
from collections.abc import Callable

from mlrules_mcp.checks.check import safe, suggested
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._deprecated import Deprecated
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._torch_name import torch_name
from mlrules_mcp.findings import Edit, Fix, RemoveArgument, Replace, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_DTYPES = {
    "BFloat16Tensor": "bfloat16",
    "DoubleTensor": "float64",
    "FloatTensor": "float32",
    "HalfTensor": "float16",
}


def fix_call(module: Module, call: ast.Call, name: str, fact: Deprecated) -> Fix | None:
    """The fix of a call of a deprecated function; None where it takes a reader to write it.

    Args:
        name: the qualified name of the function.
        fact: what is known of it.
    """
    if name in _WRITERS:
        return _WRITERS[name](module, call)
    if fact.renamed is None or (fact.alone and not _is_alone(call)):
        return None
    edits = _rename(module, call, fact.renamed)
    title = f"Call {fact.renamed}"
    return safe(title, *edits) if fact.exact else suggested(title, *edits)


def _is_alone(call: ast.Call) -> bool:
    return len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred)


def _rename(module: Module, call: ast.Call, renamed: str) -> tuple[Edit, ...]:
    package, _, last = renamed.rpartition(".")
    if isinstance(call.func, ast.Attribute) and module.qualified_name(call.func.value) == package:
        return (Replace(Span.of(call.func), f"{module.text(call.func.value)}.{last}"),)
    torch, imports = torch_name(module, call.func)
    return (Replace(Span.of(call.func), f"{torch}.{renamed.removeprefix('torch.')}"), *imports)


def _chain_matmul(module: Module, call: ast.Call) -> Fix | None:
    if len(call.args) < 2 or call.keywords or passes_unseen_arguments(call):
        return None
    torch, imports = torch_name(module, call.func)
    matrices = ", ".join(map(module.text, call.args))
    code = f"{torch}.linalg.multi_dot([{matrices}])"
    return safe("Call torch.linalg.multi_dot", Replace(Span.of(call), code), *imports)


def _range(module: Module, call: ast.Call) -> Fix | None:
    torch, imports = torch_name(module, call.func)
    match call.args:
        case [ast.Constant(value=int()) as start, ast.Constant(value=int()) as end]:
            arguments = f"{_number(start)}, {_number(end) + 1}"
        case [start, (ast.Name() | ast.Attribute() | ast.Call()) as end]:
            code = f"{torch}.arange({module.text(start)}, {module.text(end)} + 1)"
            return None if call.keywords else suggested("Call torch.arange", Replace(Span.of(call), code), *imports)
        case _:
            return None
    if call.keywords or module.calls("set_default_dtype", "set_default_tensor_type"):
        return None
    # `range` gives floats whatever it is given.
    code = f"{torch}.arange({arguments}, dtype={torch}.float32)"
    return safe("Call torch.arange", Replace(Span.of(call), code), *imports)


def _number(constant: ast.Constant) -> int:
    assert isinstance(constant.value, int)
    return constant.value


def _symeig(module: Module, call: ast.Call) -> Fix | None:
    match call:
        case ast.Call(args=[matrix], keywords=[ast.keyword(arg="eigenvectors", value=ast.Constant(value=True))]):
            torch, imports = torch_name(module, call.func)
            # `symeig` read the upper triangle.
            code = f'{torch}.linalg.eigh({module.text(matrix)}, UPLO="U")'
            return safe("Call torch.linalg.eigh", Replace(Span.of(call), code), *imports)
    return None


def _solve(module: Module, call: ast.Call) -> Fix | None:
    match call.args, module.parent(call):
        case [right, left], ((ast.Subscript(slice=ast.Constant(value=0)) | ast.Attribute(attr="solution")) as whole):
            torch, imports = torch_name(module, call.func)
            code = f"{torch}.linalg.solve({module.text(left)}, {module.text(right)})"
            return suggested("Call torch.linalg.solve", Replace(Span.of(whole), code), *imports)
    return None


def _upsample_bilinear(module: Module, call: ast.Call) -> Fix | None:
    if passes_unseen_arguments(call):
        return None
    mode = SetArgument(Span.of(call), "mode", '"bilinear"')
    corners = SetArgument(Span.of(call), "align_corners", "True")
    edits = _rename(module, call, "torch.nn.functional.interpolate")
    return safe("Call torch.nn.functional.interpolate", *edits, mode, corners)


def _set_default_tensor_type(module: Module, call: ast.Call) -> Fix | None:
    match call.args:
        case [ast.Constant(value=str() as name)]:
            kind: str | None = name
        case [(ast.Name() | ast.Attribute()) as expression]:
            kind = module.qualified_name(expression)
        case _:
            return None
    package, _, last = (kind or "").rpartition(".")
    if package != "torch" or last not in _DTYPES:
        return None
    torch, imports = torch_name(module, call.func)
    code = f"{torch}.set_default_dtype({torch}.{_DTYPES[last]})"
    return safe("Call torch.set_default_dtype", Replace(Span.of(call), code), *imports)


def _variable(module: Module, call: ast.Call) -> Fix | None:
    match call:
        case (
            ast.Call(args=[tensor], keywords=[])
            | ast.Call(args=[tensor], keywords=[ast.keyword(arg="requires_grad", value=ast.Constant(value=False))])
        ):
            return suggested("Take the tensor itself", Replace(Span.of(call), module.text(tensor)))
    return None


def _cpu_autocast(module: Module, call: ast.Call) -> Fix | None:
    if call.args or passes_unseen_arguments(call):
        return None
    torch, imports = torch_name(module, call.func)
    device = SetArgument(Span.of(call), "device_type", '"cpu"')
    return safe("Call torch.amp.autocast", Replace(Span.of(call.func), f"{torch}.amp.autocast"), device, *imports)


_WRITERS: dict[str, Callable[[Module, ast.Call], Fix | None]] = {
    "torch.autograd.Variable": _variable,
    "torch.chain_matmul": _chain_matmul,
    "torch.cpu.amp.autocast": _cpu_autocast,
    "torch.nn.functional.upsample_bilinear": _upsample_bilinear,
    "torch.range": _range,
    "torch.set_default_tensor_type": _set_default_tensor_type,
    "torch.solve": _solve,
    "torch.symeig": _symeig,
}


def fix_missing(module: Module, call: ast.Call, name: str) -> Fix | None:
    """The fix of a call that lacks an argument it should have."""
    span = Span.of(call)
    match name.rpartition(".")[2]:
        case "meshgrid":
            return safe("Say what it does without", SetArgument(span, "indexing", '"ij"'))
        case "checkpoint" | "checkpoint_sequential":
            return suggested("Pass use_reentrant=False", SetArgument(span, "use_reentrant", "False"))
        case "softmax" | "log_softmax" | "softmin" | "Softmax" | "LogSoftmax" | "Softmin":
            return suggested("Take the last dimension", SetArgument(span, "dim", "-1"))
        case "cross":
            return suggested("Call torch.linalg.cross", *_rename(module, call, "torch.linalg.cross"))
    return None


def fix_argument(call: ast.Call, names: list[str]) -> Fix | None:
    """The fix of a call that passes deprecated arguments, all of which are named."""
    span = Span.of(call)
    values = [argument(call, name) for name in names]
    if not all(isinstance(value, ast.Constant) and isinstance(value.value, bool) for value in values):
        return None
    removals = [RemoveArgument(span, name) for name in names]
    if names == ["verbose"]:
        return safe("Leave verbose out", *removals)
    if set(names) <= {"size_average", "reduce"}:
        return safe("Say which reduction", *removals, SetArgument(span, "reduction", f'"{_reduction(call)}"'))
    return None


def _reduction(call: ast.Call) -> str:
    reduce, average = argument(call, "reduce"), argument(call, "size_average")
    if isinstance(reduce, ast.Constant) and reduce.value is False:
        return "none"
    return "sum" if isinstance(average, ast.Constant) and average.value is False else "mean"
