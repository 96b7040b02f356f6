"""Which expressions name a dtype, and which NumPy values are float64."""

from __future__ import annotations

import ast

from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

DOUBLE = frozenset({"torch.float64", "torch.double", "torch.DoubleTensor"})
HALF = frozenset({"torch.float16", "torch.half", "torch.HalfTensor"})

# What gives float64 whatever it is given, as long as no dtype is passed.
_MAKES_FLOAT64 = frozenset(
    f"numpy.{name}"
    for name in "empty eye genfromtxt identity linspace loadtxt logspace ones random.normal random.rand random.randn "
    "random.random random.random_sample random.standard_normal random.uniform zeros".split()
)
# What keeps the dtype of its first argument, where that is floating.
_KEEPS_DTYPE = frozenset(
    f"numpy.{name}"
    for name in "abs ascontiguousarray concatenate cos copy exp expand_dims flip hstack log repeat reshape roll sin "
    "sqrt square squeeze stack tan tanh tile transpose vstack".split()
)
_KEEPING_METHODS = frozenset("clip copy flatten ravel repeat reshape squeeze swapaxes transpose".split())
_DEEPEST = 6


def names_dtype(module: Module, expression: ast.expr | None, dtypes: frozenset[str]) -> bool:
    """Whether an expression can only be one of some dtypes: `torch.float64`, `"torch.DoubleTensor"`, or a variable."""
    match expression:
        case ast.Constant(value=value):
            return value in dtypes
        case ast.Attribute(value=base) if not (isinstance(base, ast.Name) and base.id == "self"):
            return module.qualified_name(expression) in dtypes
        case None | ast.Call() | ast.Attribute(attr="device"):
            return False
    origins = module.origins(expression)
    return bool(origins) and all(
        (isinstance(origin, ast.Constant) and origin.value in dtypes) or module.qualified_name(origin) in dtypes
        for origin in origins
    )


def converts_to(module: Module, call: ast.Call, method: str, dtypes: frozenset[str]) -> bool:
    """Whether a call converts what it is called on: `x.double()` (the method), `x.to(torch.float64)`, `x.type(…)`."""
    match call.func:
        case ast.Attribute(attr="to" | "type"):
            given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg in {"dtype", "dst_type"})]
            return any(names_dtype(module, value, dtypes) for value in given)
        case ast.Attribute(attr=name):
            return name == method and not call.args and not call.keywords
    return False


def is_numpy_float64(module: Module, expression: ast.expr, depth: int = _DEEPEST) -> bool:
    """Whether the code shows that a value is a NumPy array of float64."""
    if depth == 0:
        return False
    match expression:
        case ast.Name():
            values = module.values_of(expression)
            return bool(values) and all(is_numpy_float64(module, value, depth - 1) for value in values)
        case ast.BinOp(left=left, right=right):
            # A Python number leaves an array's dtype alone; two arrays give the wider one.
            return is_numpy_float64(module, left, depth - 1) or is_numpy_float64(module, right, depth - 1)
        case ast.UnaryOp(op=ast.USub(), operand=value) | ast.Subscript(value=value):
            return is_numpy_float64(module, value, depth - 1)
        case ast.Call() as call:
            return _gives_float64(module, call, depth)
    return False


def _gives_float64(module: Module, call: ast.Call, depth: int) -> bool:
    name = module.qualified_name(call.func) or ""
    if name in _MAKES_FLOAT64:
        return argument(call, "dtype") is None and not _has_positional_dtype(name, call)
    if name == "numpy.array" and call.args and argument(call, "dtype", 1) is None:
        return _holds_floats(call.args[0])
    if name in _KEEPS_DTYPE and call.args and argument(call, "dtype") is None:
        first = call.args[0]
        parts = first.elts if isinstance(first, ast.List | ast.Tuple) else [first]
        return any(is_numpy_float64(module, part, depth - 1) for part in parts)
    match call:
        case ast.Call(func=ast.Attribute(attr="astype"), args=[dtype, *_]):
            return _names_numpy_float64(module, dtype)
        case ast.Call(func=ast.Attribute(value=value, attr=method)) if not name and method in _KEEPING_METHODS:
            return is_numpy_float64(module, value, depth - 1)
    return False


def _has_positional_dtype(name: str, call: ast.Call) -> bool:
    """Whether a dtype may be among the positional arguments: `np.zeros(shape, np.float32)`."""
    return (
        name in {"numpy.empty", "numpy.ones", "numpy.zeros", "numpy.loadtxt", "numpy.genfromtxt"} and len(call.args) > 1
    )


def _names_numpy_float64(module: Module, dtype: ast.expr) -> bool:
    if isinstance(dtype, ast.Constant):
        return dtype.value in {"float64", "double", "float", "f8"}
    return module.qualified_name(dtype) in {"numpy.float64", "numpy.double", "builtins.float"}


def _holds_floats(data: ast.expr) -> bool:
    """Whether data written out holds a float: an integer beside it becomes one too."""
    match data:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return any(map(_holds_floats, items))
        case ast.UnaryOp(operand=operand):
            return _holds_floats(operand)
        case ast.Constant(value=float()):
            return True
    return False
