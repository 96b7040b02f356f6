"""Which scripts train a model of some size on CUDA: what advice on speed is worth a line for."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.checks._devices import is_cuda_string, is_test_or_benchmark
from mlrules_mcp.source import Module

# Packages and classes whose models have millions of parameters.
_LARGE_PACKAGES = frozenset(
    {"torchvision", "timm", "segmentation_models_pytorch", "efficientnet_pytorch", "transformers"}
)
_LARGE = ("torchvision.models.", "timm.", "segmentation_models_pytorch.", "efficientnet_pytorch.")
_DEEPEST = 6
_RETURN_SELF = frozenset({"to", "cuda", "train", "eval", "float"})
_WRAPPERS = frozenset(
    {"torch.nn.DataParallel", "torch.nn.parallel.DataParallel"} | {"torch.nn.parallel.DistributedDataParallel"}
)


def is_entry_script(module: Module) -> bool:
    """Whether a file is what is run to train: a notebook, a script with a main guard, or one that trains at its top."""
    if is_test_or_benchmark(module):
        return False
    if module.source.notebook is not None or any(
        module.enclosing_function(each) is None for each in module.step_regions
    ):
        return True
    return any(isinstance(each, ast.If) and "__main__" in ast.unparse(each.test) for each in module.tree.body)


def uses_cuda(module: Module) -> bool:
    """Whether something is moved to CUDA: `.cuda()`, or a device that is named."""
    return module.fact(_uses_cuda)


def _uses_cuda(module: Module) -> bool:
    if any(isinstance(call.func, ast.Attribute) for call in module.calls("cuda")):
        return True
    named = '"cuda' in module.source.code or "'cuda" in module.source.code
    return named and any(is_cuda_string(each) for each in module.nodes(ast.Constant))


def may_run_large_model(module: Module) -> bool:
    """Whether a file trains and imports a library of large models: a quick question before `large_model_runs`."""
    return bool(module.imported_packages & _LARGE_PACKAGES and module.step_regions)


def large_model_runs(module: Module) -> Iterator[ast.Call]:
    """The calls in a training loop that run a large model of a library with gradients."""
    if not may_run_large_model(module):
        return
    for call in module.nodes(ast.Call):
        if not isinstance(call.func, ast.Name | ast.Attribute) or module.step_region(call) is None:
            continue
        if _is_large(module, call.func, depth=_DEEPEST) and not module.under_no_grad(call):
            yield call


def _is_large(module: Module, model: ast.expr, depth: int) -> bool:
    if not depth:
        return True  # `model = model.cuda()` in a loop: what it was before decides
    return all(_makes_large(module, origin, depth - 1) for origin in origins_through_calls(module, model))


def _makes_large(module: Module, origin: ast.expr, depth: int) -> bool:
    """Whether an expression is a model of a library, as it is made, moved or wrapped."""
    match origin:
        case ast.Call(func=ast.Attribute(value=ast.Call() as made, attr=method)) if method in _RETURN_SELF:
            return _makes_large(module, made, depth)
        case ast.Call(func=ast.Attribute(value=ast.Name() as name, attr=method)) if method in _RETURN_SELF:
            return _is_large(module, name, depth)
        case ast.Call(func=func, args=args):
            name_of = module.qualified_name(func) or ""
            if name_of in _WRAPPERS:
                return bool(args) and _is_large(module, args[0], depth)
            if name_of.startswith("transformers."):
                return name_of.endswith(".from_pretrained") and ("Model" in name_of or "For" in name_of)
            return name_of.startswith(_LARGE)
    return False
