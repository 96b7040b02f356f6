from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe, suggested
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._torch_name import torch_name
from mlrules_mcp.findings import Finding, Fix, Replace, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

# The dtype that each of them gives; that of `torch.Tensor` is the default one.
_DTYPES = {
    "BFloat16Tensor": "bfloat16",
    "BoolTensor": "bool",
    "ByteTensor": "uint8",
    "CharTensor": "int8",
    "DoubleTensor": "float64",
    "FloatTensor": "float32",
    "HalfTensor": "float16",
    "IntTensor": "int32",
    "LongTensor": "int64",
    "ShortTensor": "int16",
    "Tensor": "float32",
}
_WHOLE = frozenset({"ByteTensor", "CharTensor", "IntTensor", "LongTensor", "ShortTensor"})
_DEFAULT_SETTERS = ("set_default_dtype", "set_default_tensor_type", "set_default_device")
_SIZE_WORD = pattern(r"dim|size|shape|features|channels|units|hidden|num|len|width|height", re.IGNORECASE)
_DATA_WORD = pattern(r"weight|bias|data|init|value|array|matrix|vector|emb|anchor|scale", re.IGNORECASE)
_FILLS = frozenset(
    "uniform_ normal_ fill_ zero_ random_ bernoulli_ exponential_ cauchy_ log_normal_ geometric_".split()
)


class LegacyTensorConstructor(Check[ast.Call]):
    """A tensor that is made by calling a tensor type.

    ## What it does
    Finds calls of `torch.Tensor`, `torch.FloatTensor`, `torch.LongTensor` and the like, also through a variable
    that holds one of them.

    ## Why it matters
    One call has two meanings: numbers are sizes and give uninitialised memory, a list is data. `torch.Tensor(5)` has
    five arbitrary elements, and `torch.Tensor([5])` holds the integer as a float. The type also names the
    CPU: what it makes has to be moved, and ignores the default device.

    ## Do not flag
    `isinstance(x, torch.Tensor)`, annotations, `torch.tensor`; the CUDA types, which are `cuda-tensor-type`.

    ## Fix safety
    Safe where the arguments are literal numbers or several sizes, and the module sets no default dtype or device.
    Suggested where a single argument has to be told to be a size or data by its looks.

    ## References
    - https://docs.pytorch.org/docs/stable/tensors.html
    """

    names = frozenset(_DTYPES)
    examples = (
        Bad(
            """
            import torch

            weights = «torch.Tensor([1, 2.5, -3])»
            labels = «torch.LongTensor([[0, 1], [2, 3]])»
            """,
            safe_fix="""
            import torch

            weights = torch.tensor([1, 2.5, -3], dtype=torch.float32)
            labels = torch.tensor([[0, 1], [2, 3]], dtype=torch.int64)
            """,
        ),
        Bad(
            """
            import torch.nn as nn
            from torch import Tensor

            class Projection(nn.Module):
                def __init__(self, inputs, outputs):
                    super().__init__()
                    self.weight = nn.Parameter(«Tensor(outputs, inputs)»)
            """,
            safe_fix="""
            import torch.nn as nn
            from torch import Tensor
            import torch

            class Projection(nn.Module):
                def __init__(self, inputs, outputs):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(outputs, inputs))
            """,
        ),
        Bad(
            """
            import torch as t

            noise = «t.FloatTensor(4, 3, device=device)».normal_()
            nothing = «t.Tensor()»
            """,
            safe_fix="""
            import torch as t

            noise = t.empty(4, 3, device=device, dtype=t.float32).normal_()
            nothing = t.empty(0)
            """,
        ),
        Bad(
            """
            import numpy as np
            import torch

            tokens = «torch.LongTensor(ids)»
            buffer = «torch.ShortTensor(out_size)»
            mean = «torch.Tensor(np.mean(images, axis=0))»
            bias = torch.nn.Parameter(«torch.Tensor(out_features)»)
            gate = «torch.FloatTensor(shape)».uniform_()
            scale = torch.nn.Parameter(‹torch.Tensor(initial_scale)›)
            """,
            suggested_fix="""
            import numpy as np
            import torch

            tokens = torch.tensor(ids, dtype=torch.int64)
            buffer = torch.ShortTensor(out_size)
            mean = torch.tensor(np.mean(images, axis=0), dtype=torch.float32)
            bias = torch.nn.Parameter(torch.empty(out_features))
            gate = torch.empty(shape, dtype=torch.float32).uniform_()
            scale = torch.nn.Parameter(torch.tensor(initial_scale, dtype=torch.float32))
            """,
        ),
        Bad(
            """
            import torch

            Tensor = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.FloatTensor
            for images in loader:
                real = «Tensor(images.size(0), 1)».fill_(1.0)
                fake = ‹Tensor(images.size(0), 1)›.fill_(0.0)
            """
        ),
        Bad(
            """
            import torch

            torch.set_default_dtype(torch.float64)
            weights = «torch.Tensor([1, 2])»
            """,
            suggested_fix="""
            import torch

            torch.set_default_dtype(torch.float64)
            weights = torch.tensor([1, 2], dtype=torch.get_default_dtype())
            """,
        ),
        Good(
            """
            import torch
            from torch import Tensor

            def scale(x: torch.Tensor, by: "torch.FloatTensor") -> Tensor:
                if not isinstance(x, (torch.Tensor, torch.LongTensor)):
                    x = torch.tensor(x, dtype=torch.float32)
                return x.type(torch.FloatTensor) * by + torch.empty(3, 4)
            """
        ),
        Good(
            """
            import torch
            from torchvision import transforms
            from tensorlib import Tensor

            to_tensor = transforms.ToTensor()
            other = Tensor([1, 2])
            on_gpu = torch.cuda.FloatTensor(2, 3)
            received = torch.ByteTensor(torch.ByteStorage.from_buffer(buffer))
            """,
            "other libraries' types; a CUDA type is `cuda-tensor-type`; a storage has no other short way",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = _type_called(module, node.func)
        if name is None or _is_storage(node):
            return
        sized = _is_sized(module, node)
        direct = module.qualified_name(node.func) == f"torch.{name}"
        fix = _fix(module, node, name, sized) if direct and sized is not None else None
        if sized:
            message = (
                f"`torch.{name}` of numbers is uninitialised memory of that size, and of a list it is data. "
                f"Write `torch.empty(…)` for memory that is filled afterwards, or `torch.zeros(…)`."
            )
        else:
            message = (
                f"`torch.{name}` of a list is data, and of a number it is uninitialised memory of that size. "
                f"Write `torch.tensor(…, dtype=torch.{_DTYPES[name]})`, which takes data alone."
            )
        yield self.finding(module, node, message, fix=fix)


def _type_called(module: Module, func: ast.expr) -> str | None:
    """The CPU tensor type that a call calls, or may call through a variable."""
    name = module.qualified_name(func)
    if name is None and isinstance(func, ast.Name):
        origins = {module.qualified_name(origin) for origin in module.origins(func)}
        name = next((origin for origin in sorted(filter(None, origins)) if _plain_type(origin)), None)
    return _plain_type(name) if name else None


def _plain_type(name: str) -> str | None:
    package, _, last = name.rpartition(".")
    return last if package == "torch" and last in _DTYPES else None


def _is_sized(module: Module, call: ast.Call) -> bool | None:
    """Whether the arguments are sizes (True) or data (False); None where they may be either."""
    match call.args:
        case []:
            return True if not call.keywords else None
        case [ast.List() | ast.Tuple() | ast.ListComp() | ast.Dict()]:
            return False
        case [ast.Constant(value=int())]:
            return True
        case [ast.Starred(), *_] | [_, _, *_]:
            return True
        case [only]:
            return _looks_sized(module, call, only)
    return None


def _looks_sized(module: Module, call: ast.Call, only: ast.expr) -> bool | None:
    match module.parent(call), only:
        case ast.Attribute(attr=method), _ if method in _FILLS:
            return True
        case ast.Call(func=func), ast.Name() | ast.BinOp() if module.qualified_name(func) == "torch.nn.Parameter":
            return not _DATA_WORD.search(ast.unparse(only))
    match only:
        case ast.Call(func=ast.Attribute(attr="size")) | ast.Call(func=ast.Name(id="len")):
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return True
        case ast.Attribute(attr="shape"):
            return None  # the shape of a tensor is a size, that of a NumPy array is data
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return None if _SIZE_WORD.search(name) else False
    return False


def _is_storage(call: ast.Call) -> bool:
    return len(call.args) == 1 and "storage" in ast.unparse(call.args[0]).lower()


def _fix(module: Module, call: ast.Call, name: str, sized: bool) -> Fix:
    torch, imports = torch_name(module, call.func)
    has_default = bool(module.calls(*_DEFAULT_SETTERS))
    dtype = f"{torch}.{_DTYPES[name]}"
    if name == "Tensor" and has_default:
        dtype = f"{torch}.get_default_dtype()"
    function = "empty" if sized else "tensor"
    edits = [Replace(Span.of(call.func), f"{torch}.{function}"), *imports]
    if not call.args:
        edits[0] = Replace(Span.of(call), f"{torch}.empty(0)")
    if name != "Tensor" or not sized:
        edits.append(SetArgument(Span.of(call), "dtype", dtype))
    title = f"Write torch.{function}"
    exact = not has_default and (_are_sizes(call.args) if sized else _are_numbers(call.args[0], whole=name in _WHOLE))
    return safe(title, *edits) if exact else suggested(title, *edits)


def _are_sizes(arguments: list[ast.expr]) -> bool:
    """Whether arguments can only be sizes: none, a literal number, or several of which none is a list."""
    match arguments:
        case [] | [ast.Constant()]:
            return True
        case [_]:
            return False
    return not any(isinstance(argument, ast.Starred | ast.List | ast.Tuple) for argument in arguments)


def _are_numbers(data: ast.expr, *, whole: bool) -> bool:
    """Whether data is made of literal numbers alone, whole ones where the type cuts the others off."""
    match data:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return all(_are_numbers(item, whole=whole) for item in items)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _are_numbers(operand, whole=whole)
        case ast.Constant(value=bool() | int()):
            return True
        case ast.Constant(value=float()):
            return not whole
    return False
