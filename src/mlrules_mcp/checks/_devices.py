"""What the checks of devices share: which code runs on CUDA alone on purpose, and which names hold a device."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import FUNCTIONS, Function
from mlrules_mcp.source.values import LIGHTNING_MODULE

_DEVICE_WORD = pattern(
    r"cuda|gpu|device|nvidia|accelerator|(?<![a-z])(cpu|mps|xpu|npu|hip|rocm|nccl)(?![a-z])", re.IGNORECASE
)
_CUDA_UNIT = pattern(r"cuda|gpu|triton|nccl|tensorrt|(^|_)trt(_|$)|bench|profil|latency|throughput", re.IGNORECASE)
_TEST_OR_BENCHMARK = pattern(
    r"(^|/)(tests?(_\w+)?|testing|[^/]*bench[^/]*|[^/]*profil[^/]*)/|(^|/)(test_|conftest|bench|profil)[^/]*$|_test\.py$"
)
_CUDA_PATH = pattern(r"cuda|gpu|(^|[/_-])(triton|tensorrt|trt|megatron)([/_.-]|$)")
_KERNELS = pattern(r"(^|\.)(_C|_ext|ext_loader|amp_C|\w+_(cuda|ext|cuda_ext))$")
_CUDA_STRING = pattern(r"cuda(:|$)")
_CATCHES_MISSING_DEVICE = frozenset({"Exception", "BaseException", "RuntimeError", "AssertionError"})
_ENTRY_POINTS = frozenset({"main", "main_worker", "run", "train", "setup", "cli"})
_DEEPEST = 3
_LARGEST_CHOICE = 6  # statements in the branches of an `if` that may be one choice between two devices

_KERNEL_DECORATORS = frozenset(
    f"torch.{package}.{name}" for package in ("amp", "cuda.amp") for name in ("custom_fwd", "custom_bwd")
)
# Packages that do nothing without CUDA.
_CUDA_PACKAGES = frozenset(
    "triton cupy cudf cuml cugraph pylibcugraph rmm pycuda flash_attn tensorrt torch_tensorrt apex pynvml "
    "transformer_engine mamba_ssm causal_conv1d nvidia tilelang cutlass cuda".split()
)
_CUDA_CALLS = frozenset(
    {
        "torch.cuda.CUDAGraph",
        "torch.cuda.CUDAPluggableAllocator",
        "torch.cuda.Event",
        "torch.cuda.ExternalStream",
        "torch.cuda.Stream",
        "torch.cuda.cudart",
        "torch.cuda.current_stream",
        "torch.cuda.default_stream",
        "torch.cuda.graph",
        "torch.cuda.make_graphed_callables",
        "torch.cuda.nvtx.range",
        "torch.cuda.nvtx.range_push",
        "torch.cuda.profiler.start",
        "torch.cuda.stream",
    }
)
_CUDA_CALL_NAMES = tuple({name.rpartition(".")[2] for name in _CUDA_CALLS})


def is_cuda_string(node: ast.AST | None) -> bool:
    """Whether an expression is text that names a CUDA device: `"cuda"`, `"cuda:0"`, `f"cuda:{rank}"`, `"cuda:" + n`."""
    match node:
        case ast.Constant(value=str() as text):
            return bool(_CUDA_STRING.match(text))
        case ast.JoinedStr(values=[ast.Constant() as first, *_]):
            return is_cuda_string(first)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod()):
            return is_cuda_string(left)
        case ast.Call(func=ast.Attribute(value=text, attr="format")):
            return is_cuda_string(text)
    return False


def asks_device(module: Module, expression: ast.expr, *, depth: int = _DEEPEST) -> bool:
    """Whether the outcome of a condition has to do with which devices there are or are wanted.

    `torch.cuda.is_available()`, `device.type == "cuda"`, `args.cuda`, `n_gpu > 0`, `x.is_cuda`, and a variable
    that holds such an answer. Goes by the words, so it also takes what only mentions a device.
    """
    known = module.fact(_answers)
    if (expression, depth) not in known:
        known[expression, depth] = _asks_device(module, expression, depth)
    return known[expression, depth]


def _answers(_: Module) -> dict[tuple[ast.AST, int], bool]:
    return {}


def _asks_device(module: Module, expression: ast.expr, depth: int) -> bool:
    for node in ast.walk(expression):
        match node:
            case ast.Name(id="accelerator") | ast.Attribute(value=ast.Name(id="self"), attr="accelerator"):
                continue  # what scripts with Accelerate call the object that everything goes through
            case (
                ast.Name(id=str() as word)
                | ast.Attribute(attr=str() as word)
                | ast.Constant(value=str() as word)
                | ast.keyword(arg=str() as word)
            ) if _DEVICE_WORD.search(word):
                return True
            case (ast.Name() | ast.Attribute(value=ast.Name(id="self"))) as variable if depth:
                for origin in _conditions_behind(module, variable):
                    if asks_device(module, origin, depth=depth - 1):
                        return True
    return False


def _conditions_behind(module: Module, variable: ast.Name | ast.Attribute) -> Iterator[ast.expr]:
    """The tests that a variable's value comes from; a value that merely lies on a device is no test."""
    values = module.values_of(variable) if isinstance(variable, ast.Name) else module.origins(variable)
    for value in values:
        match value:
            case ast.IfExp(test=test):
                yield test
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                yield value
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name.startswith(("is_", "has_")):
                yield value.func
            case ast.Call(func=func):
                # pytest.mark.skipif(not torch.cuda.is_available())
                if (module.qualified_name(func) or "").startswith(("pytest.", "unittest.")):
                    yield value


def is_guarded(module: Module, node: ast.AST, *, depth: int = _DEEPEST) -> bool:
    """Whether a node runs only where a device was asked for, tested or has a fallback.

    Counts conditions (see `asks_device`), one of two branches that stand for two devices, a `try` that catches a
    missing device, decorators and marks that skip tests, a script that ends without CUDA, and a function that is
    called only from such places.
    """
    return (
        any(asks_device(module, guard.test) for guard in module.guards(node))
        or any(_chooses_device(module, node))
        or _is_marked(module, node)
        or module.fact(demands_cuda)
        or (depth > 0 and _is_called_guarded(module, module.enclosing_function(node), depth - 1))
    )


def _chooses_device(module: Module, node: ast.AST) -> Iterator[bool]:
    """True for each construct around a node that holds a way out for machines without the device."""
    child = node
    for ancestor in module.ancestors(node):
        match ancestor:
            case ast.If(body=body, orelse=orelse) if len(body) + len(orelse) <= _LARGEST_CHOICE:
                yield _names_cpu(module, orelse) if child in body else child in orelse and _names_cpu(module, body)
            case ast.IfExp(body=body, orelse=orelse):
                yield (child is body and _names_cpu(module, [orelse])) or (
                    child is orelse and _names_cpu(module, [body])
                )
            case ast.Match(subject=subject):
                yield asks_device(module, subject)
            case ast.Try(body=body, handlers=handlers):
                yield child in body and any(map(_catches_missing_device, handlers))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return
        child = ancestor


def _names_cpu(module: Module, nodes: Sequence[ast.stmt | ast.expr]) -> bool:
    known = module.fact(_nodes_with_cpu)
    return any(node in known for node in nodes)


def _nodes_with_cpu(module: Module) -> frozenset[ast.AST]:
    """Everything that "cpu" is written in."""
    strings = [node for node in module.nodes(ast.Constant) if node.value == "cpu"]
    attributes = [node for node in module.nodes(ast.Attribute) if node.attr == "cpu"]
    found: set[ast.AST] = set()
    for node in (*strings, *attributes):
        for around in (node, *module.ancestors(node)):
            if around in found:
                break
            found.add(around)
    return frozenset(found)


def _catches_missing_device(handler: ast.ExceptHandler) -> bool:
    match handler.body:
        case [ast.Raise(exc=None)]:
            return False
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in _CATCHES_MISSING_DEVICE) for kind in caught)


def _is_marked(module: Module, node: ast.AST) -> bool:
    """Whether decorators around a node, or marks of its tests, speak of devices."""
    for around in (node, *module.ancestors(node)):
        if isinstance(around, (*FUNCTIONS, ast.ClassDef)) and any(
            asks_device(module, decorator) and not _is_of_torch(module, decorator)
            for decorator in around.decorator_list
        ):
            return True
        if isinstance(around, ast.ClassDef | ast.Module) and around in module.fact(_marked_for_devices):
            return True
    return False


def _marked_for_devices(module: Module) -> frozenset[ast.AST | None]:
    """The module and the classes with a `pytestmark` that speaks of devices."""
    return frozenset(
        module.parent(mark)
        for mark in module.nodes(ast.Assign)
        if isinstance(mark.targets[0], ast.Name)
        and mark.targets[0].id == "pytestmark"
        and asks_device(module, mark.value)
    )


def _is_of_torch(module: Module, decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (module.qualified_name(target) or "").startswith("torch.")


def _is_called_guarded(module: Module, function: Function | None, depth: int) -> bool:
    if function is None:
        return False
    calls = [
        call
        for call in module.calls(function.name)
        if module.local_function(call) is function and module.enclosing_function(call) is not function
    ]
    return bool(calls) and all(is_guarded(module, call, depth=depth) for call in calls)


def demands_cuda(module: Module) -> bool:
    """Whether a script itself ends where there is no CUDA: `assert torch.cuda.is_available()` at its start."""
    for call in module.calls("is_available"):
        if module.qualified_name(call.func) != "torch.cuda.is_available":
            continue
        function = module.enclosing_function(call)
        if function is not None and function.name not in _ENTRY_POINTS:
            continue
        statement = module.statement(call)
        if module.parent(statement) is not (function or module.tree) and not _is_main_block(module.parent(statement)):
            continue
        match statement:
            case ast.Assert():
                return True
            case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=operand), body=body) if operand is call:
                return module.always_leaves(body)
    return False


def _is_main_block(node: ast.AST | None) -> bool:
    return isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)


def is_cuda_only(module: Module, node: ast.AST) -> bool:
    """Whether a node belongs to code that is about CUDA itself, so that it can't be written for other devices.

    The module is a test or a benchmark, is named for CUDA, or imports a package that needs it; its outermost function
    or class uses CUDA graphs, streams, events or kernels, or is named for the GPU or for measuring; or the process
    group is NCCL's.
    """
    if is_test_or_benchmark(module) or _CUDA_PATH.search(module.source.path.lower()):
        return True
    if module.fact(_needs_cuda_package) or module.fact(_joins_nccl):
        return True
    unit: ast.AST = module.tree
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, (*FUNCTIONS, ast.ClassDef)):
            if _CUDA_UNIT.search(ancestor.name) or _KERNEL_DECORATORS & set(module.decorator_names(ancestor)):
                return True
            unit = ancestor
    return any(
        module.qualified_name(call.func) in _CUDA_CALLS
        and _unit(module, call) is unit
        and not any(asks_device(module, guard.test) for guard in module.guards(call))
        for call in module.calls(*_CUDA_CALL_NAMES)
    )


def is_test_or_benchmark(module: Module) -> bool:
    """Whether a module is a test or a benchmark, by its path or its checks of gradients: it picks its devices."""
    path = module.source.path.lower().replace("\\", "/")
    return bool(_TEST_OR_BENCHMARK.search(path)) or bool(module.calls("gradcheck", "gradgradcheck"))


def _unit(module: Module, node: ast.AST) -> ast.AST:
    """The outermost function or class around a node, or the module."""
    around = [ancestor for ancestor in module.ancestors(node) if isinstance(ancestor, (*FUNCTIONS, ast.ClassDef))]
    return around[-1] if around else module.tree


def _needs_cuda_package(module: Module) -> bool:
    """Whether a module can't be imported without CUDA, builds or binds kernels, or uses Megatron or DALI."""
    if module.imported_packages & {"megatron", "nvidia"} or "cpp_extension" in module.source.code:
        return True
    for statement in module.nodes(ast.Import, ast.ImportFrom):
        assert isinstance(statement, ast.Import | ast.ImportFrom)
        names = [alias.name for alias in statement.names]
        if any(map(_KERNELS.search, names)):
            return True
        if isinstance(statement, ast.ImportFrom):
            names = [] if statement.level else [statement.module or ""]
        at_top = module.parent(statement) is module.tree
        if at_top and any(name.partition(".")[0] in _CUDA_PACKAGES for name in names):
            return True
    return False


def _joins_nccl(module: Module) -> bool:
    for call in module.calls("init_process_group"):
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(isinstance(argument, ast.Constant) and argument.value == "nccl" for argument in arguments):
            return True
    return False


def device_in_scope(module: Module, node: ast.expr) -> str | None:
    """How to write the device at a node: `device` where that name surely has a value there, else `self.device` in a
    LightningModule or a class that has it, but for their `__init__`; None where there is neither."""
    if _is_bound(module, node, "device"):
        return "device"
    function, cls = module.enclosing_function(node), module.enclosing_class(node)
    if cls is None or function is None or function.name == "__init__":
        return None
    if not function.args.args or function.args.args[0].arg != "self":
        return None
    known = module.attribute_values(cls, "device") or module.method(cls, "device")
    return "self.device" if known or module.is_subclass(cls, LIGHTNING_MODULE) else None


def _is_bound(module: Module, node: ast.expr, name: str) -> bool:
    bindings = [b for b in module.bindings.get(name, ()) if b.kind in {"parameter", "assignment", "unpacking"}]
    scopes = [module.tree, *(ancestor for ancestor in module.ancestors(node) if isinstance(ancestor, FUNCTIONS))]
    here = module.enclosing_function(node) or module.tree
    for binding in bindings:
        if binding.scope not in scopes:
            continue
        if binding.scope is not here or binding.kind == "parameter":
            return True
        if binding.end < (node.lineno, node.col_offset):
            block = module.parent(module.statement(binding.node))
            if block is here or any(block is ancestor for ancestor in module.ancestors(node)):
                return True
    return False


def torch_name(module: Module) -> str | None:
    """What a module calls the package torch: `torch`, or `th` after `import torch as th`; None if not imported."""
    for statement in module.nodes(ast.Import):
        for alias in statement.names:
            if alias.name == "torch":
                return alias.asname or "torch"
    return None
