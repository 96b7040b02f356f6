from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import device_in_scope, is_cuda_only, is_guarded, torch_name
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._moves import receiver_text
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_DTYPES = {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "BFloat16Tensor": "bfloat16",
    "LongTensor": "int64",
    "IntTensor": "int32",
    "ShortTensor": "int16",
    "CharTensor": "int8",
    "ByteTensor": "uint8",
    "BoolTensor": "bool",
}
_TYPE_NAME = pattern(r"torch\.cuda\.(\w+)$")
_TYPE = (
    "A tensor type of `torch.cuda` raises an error on a machine without CUDA and passes other accelerators by. "
    "Write a dtype and a device: `torch.tensor(data, dtype=torch.float32, device=device)`, `x.to(device, torch.int64)`."
)
_DEFAULT_TYPE = (
    "A CUDA type as the default raises an error on a machine without CUDA. Write `torch.set_default_device(device)`, "
    "and `torch.set_default_dtype(…)` for another dtype than float32."
)


class CudaTensorType(Check[ast.Module]):
    """A tensor type such as `torch.cuda.FloatTensor`, which is CUDA and a dtype in one.

    ## What it does
    Finds `torch.cuda.FloatTensor` and its kin called, passed to `.type(…)` or kept in a variable, and
    `torch.set_default_tensor_type` with one of them.

    ## Why it matters
    They raise an error on a machine without CUDA, and no other accelerator has such types. A dtype and a device say
    the same and can be chosen apart; PyTorch has deprecated `set_default_tensor_type` since 2.1.

    ## Do not flag
    - Code that asks for CUDA first: `torch.cuda.FloatTensor if cuda else torch.FloatTensor`.
    - Comparisons, `isinstance`, annotations and tables of types.
    - Code that is about CUDA: kernels, an NCCL process group, tests, benchmarks.

    ## Fix safety
    Suggested, where a device is in scope, or for a default: other code may compare types or expect the CUDA default.

    ## References
    - https://docs.pytorch.org/docs/stable/tensors.html#data-types
    - https://docs.pytorch.org/docs/stable/generated/torch.set_default_tensor_type.html
    """

    words = ("cuda",)
    examples = (
        Bad(
            """
            import torch

            def encode(labels, device):
                weights = «torch.cuda.FloatTensor([0.5, 2.0])»
                return labels.type(‹torch.cuda.LongTensor›), labels.type(‹"torch.cuda.ByteTensor"›), weights
            """,
            suggested_fix="""
            import torch

            def encode(labels, device):
                weights = torch.tensor([0.5, 2.0], dtype=torch.float32, device=device)
                return labels.to(device, torch.int64), labels.to(device, torch.uint8), weights
            """,
        ),
        Bad(
            """
            import torch as th
            from torch.cuda import FloatTensor

            mask = th.arange(0, n, out=«th.cuda.LongTensor(n)»)
            noise = ‹FloatTensor(8, 2)›.normal_()
            Tensor = ‹th.cuda.FloatTensor›
            """
        ),
        Bad(
            """
            import torch

            torch.set_default_tensor_type(«"torch.cuda.FloatTensor"»)
            torch.set_default_tensor_type(‹torch.cuda.FloatTensor›)
            """,
            suggested_fix="""
            import torch

            torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
            torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
            """,
        ),
        Bad(
            """
            import torch

            torch.set_default_tensor_type(«torch.cuda.HalfTensor»)
            """
        ),
        Good(
            """
            import torch

            cuda = torch.cuda.is_available()
            Tensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor
            if args.gpu:
                torch.set_default_tensor_type("torch.cuda.FloatTensor")
            torch.set_default_tensor_type(torch.DoubleTensor)
            labels = labels.type(torch.LongTensor)
            """
        ),
        Good(
            """
            import torch

            def is_half(x: torch.cuda.FloatTensor):
                return x.type() == "torch.cuda.HalfTensor" or isinstance(x, torch.cuda.HalfTensor)

            TYPES = {torch.cuda.FloatTensor: 4, torch.cuda.HalfTensor: 2}
            known = torch.cuda.HalfTensor in TYPES
            print("torch.cuda.FloatTensor")
            """
        ),
        Good(
            """
            import torch
            from torch.autograd import Function
            from ..utils import ext_loader

            class Gather(Function):
                @staticmethod
                def forward(ctx, points):
                    return ext_loader.gather(points, torch.cuda.FloatTensor(3))
            """,
            "the kernel behind it runs on CUDA alone",
        ),
        Good(
            """
            import torch
            import torch.distributed as dist

            dist.init_process_group(backend="nccl")
            total = torch.cuda.FloatTensor([0.0])
            """,
            "NCCL knows only CUDA",
        ),
        Good(
            """
            import torch

            def clip(grads, applier, norm):
                overflow = torch.cuda.IntTensor([0])
                return applier(norm, overflow, [grads])
            """,
            "the flag that Apex's kernels take",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if "Tensor" not in module.source.code:
            return
        for place, kind in _places(module):
            if _is_overflow_flag(place, kind) or is_guarded(module, place) or is_cuda_only(module, place):
                continue
            call = module.parent(place)
            if isinstance(call, ast.Call) and _is_default(module, call):
                yield self.finding(module, place, _DEFAULT_TYPE, fix=_default_fix(module, call, kind))
            else:
                yield self.finding(module, place, _TYPE, fix=_fix(module, place, kind))


def _is_overflow_flag(place: ast.expr, kind: str) -> bool:
    """Whether a tensor is the one that Apex's kernels, which are CUDA's, note an overflow in: `IntTensor([0])`."""
    match place:
        case ast.Call(args=[ast.List(elts=[ast.Constant(value=0)])]):
            return kind == "IntTensor"
    return False


def _places(module: Module) -> Iterator[tuple[ast.expr, str]]:
    """The calls of CUDA tensor types, and where one is handed on, each with the type's last name."""
    for call in module.calls(*_DTYPES):
        if kind := _kind(module, call.func):
            yield call, kind
    for mention in (*module.nodes(ast.Attribute), *module.nodes(ast.Constant)):
        assert isinstance(mention, ast.expr)
        if (kind := _kind(module, mention)) and _is_handed_on(module, mention):
            yield mention, kind


def _kind(module: Module, expression: ast.expr) -> str | None:
    match expression:
        case ast.Constant(value=str() as text):
            name = text
        case ast.Attribute(attr=attribute) if attribute not in _DTYPES:
            return None
        case _:
            name = module.qualified_name(expression) or ""
    found = _TYPE_NAME.match(name)
    return found[1] if found and found[1] in _DTYPES else None


def _is_handed_on(module: Module, mention: ast.expr) -> bool:
    """Whether a type is given to `.type(…)` or as the default, or, not as text, assigned."""
    match module.parent(mention):
        case ast.Call(func=ast.Attribute(attr="type"), args=[first]) if first is mention:
            return True
        case ast.Call() as call if mention in call.args:
            return _is_default(module, call)
        case ast.Assign() as statement:
            return statement.value is mention and not isinstance(mention, ast.Constant)
    return False


def _is_default(module: Module, call: ast.Call) -> bool:
    return module.is_call_to(call, "torch.set_default_tensor_type")


def _default_fix(module: Module, call: ast.Call, kind: str) -> Fix | None:
    if kind != "FloatTensor" or not isinstance(call.func, ast.Attribute):
        return None
    torch = module.text(call.func.value)
    code = f'{torch}.set_default_device("cuda" if {torch}.cuda.is_available() else "cpu")'
    return suggested("Set the default device", Replace(Span.of(call), code))


def _fix(module: Module, place: ast.expr, kind: str) -> Fix | None:
    """A tensor of a list, or a conversion, with a dtype and the device in scope."""
    device, torch = device_in_scope(module, place), torch_name(module)
    if device is None or torch is None:
        return None
    dtype = f"{torch}.{_DTYPES[kind]}"
    match place, module.parent(place):
        case (ast.Call(args=[ast.List() as data], keywords=[]), _):
            code = f"{torch}.tensor({module.text(data)}, dtype={dtype}, device={device})"
            return suggested("Name the dtype and the device", Replace(Span.of(place), code))
        case (_, ast.Call(func=ast.Attribute(attr="type")) as call) if place in call.args:
            converted = receiver_text(module, call)
            code = f"{converted}.to({device}, {dtype})"
            return suggested("Name the dtype and the device", Replace(Span.of(call), code)) if converted else None
    return None
