from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._deprecated import (
    ARGUMENTS,
    CALLS,
    METHODS,
    MISSING,
    MODULES,
    OLDEST,
    Deprecated,
)
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._deprecated_fixes import fix_argument, fix_call, fix_missing
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._fallbacks import is_fallback
from mlrules_mcp.findings import Finding, Fix, RemoveArgument, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_Fact: TypeAlias = tuple[str, Deprecated, Fix | None]

_NAMES = frozenset(name.rpartition(".")[2] for table in (CALLS, MISSING, ARGUMENTS, METHODS) for name in table)
_SCHEDULER_PACKAGE = "torch.optim.lr_scheduler."
_STEPPED_WITH_ARGUMENT = frozenset({"ReduceLROnPlateau", "CosineAnnealingWarmRestarts", "SequentialLR"})
_LEARNING_RATE = Deprecated("1.8", "`scheduler.get_last_lr()`")
_EPOCH = Deprecated("1.8", "`scheduler.step()`, which counts for itself", silent=True)


class RemovedOrDeprecatedCall(Check[ast.Module]):
    """A PyTorch function, argument or module that was removed or is deprecated.

    ## What it does
    Finds calls of functions that PyTorch has removed (`torch.symeig`, `torch.solve`, `torch.rfft`) or deprecated
    (`torch.qr`, `F.upsample`, `Variable`), arguments it no longer takes (`verbose` of a scheduler, `size_average` of a
    loss) or wants to be passed (`dim` of softmax, `use_reentrant` of checkpoint), and imports of removed modules.
    What only the documentation deprecates, without a warning at run time, is advice.

    ## Why it matters
    What was removed raises an error. What is deprecated will, and some of it already computes something else than
    it looks like: a softmax without `dim` takes another dimension for three-dimensional input, and `Variable(x)` cuts
    `x` off from its graph.

    ## Do not flag
    Code that asks for the version of PyTorch, or falls back after an ImportError or AttributeError; functions of the
    same name from elsewhere; `torch.cuda.amp`, TorchScript and the old names of initialisers, which other checks
    are about.

    ## Fix safety
    Safe where the new call gives the same result for these very arguments, or the old one can't run. Suggested
    where results may differ, such as in the order of arguments or in the dimension.

    ## References
    - https://docs.pytorch.org/docs/stable/torch.html
    - https://github.com/pytorch/pytorch/releases
    """

    examples = (
        Bad(
            """
            import torch

            Q, R = «torch.qr(A)»
            L = «torch.cholesky(A)»
            P = «torch.chain_matmul(A, B, C)»
            steps = «torch.range(0, 9)»
            outer = torch.outer(a, b)
            values, vectors = «torch.symeig(A, eigenvectors=True)»
            """,
            safe_fix="""
            import torch

            Q, R = torch.linalg.qr(A)
            L = torch.linalg.cholesky(A)
            P = torch.linalg.multi_dot([A, B, C])
            steps = torch.arange(0, 10, dtype=torch.float32)
            outer = torch.outer(a, b)
            values, vectors = torch.linalg.eigh(A, UPLO="U")
            """,
        ),
        Bad(
            """
            import torch.nn.functional as F
            from torch.nn.utils import clip_grad_norm

            up = «F.upsample(x, scale_factor=2, mode="nearest")»
            smooth = «F.upsample_bilinear(x, size=(8, 8))»
            «clip_grad_norm(model.parameters(), 1.0)»
            """,
            safe_fix="""
            import torch.nn.functional as F
            from torch.nn.utils import clip_grad_norm
            import torch

            up = F.interpolate(x, scale_factor=2, mode="nearest")
            smooth = F.interpolate(x, size=(8, 8), mode="bilinear", align_corners=True)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            criterion = «nn.CrossEntropyLoss(weight=w, size_average=False)»
            scheduler = «ReduceLROnPlateau(optimizer, patience=3, verbose=True)»
            y, x = «torch.meshgrid(rows, columns)»
            """,
            safe_fix="""
            import torch
            from torch import nn
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            criterion = nn.CrossEntropyLoss(weight=w, reduction="sum")
            scheduler = ReduceLROnPlateau(optimizer, patience=3)
            y, x = torch.meshgrid(rows, columns, indexing="ij")
            """,
        ),
        Bad(
            """
            import torch
            import torch.nn.functional as F
            from torch import nn
            from torch.utils.checkpoint import checkpoint

            class Net(nn.Module):
                def forward(self, x):
                    x = «checkpoint(self.block, x)»
                    normal = «torch.cross(x, self.up)»
                    return «F.softmax(x)» * self.scale
            """,
            suggested_fix="""
            import torch
            import torch.nn.functional as F
            from torch import nn
            from torch.utils.checkpoint import checkpoint

            class Net(nn.Module):
                def forward(self, x):
                    x = checkpoint(self.block, x, use_reentrant=False)
                    normal = torch.linalg.cross(x, self.up)
                    return F.softmax(x, dim=-1) * self.scale
            """,
        ),
        Bad(
            """
            import torch
            from torch.optim import lr_scheduler

            solution = «torch.solve(b, A)»[0]
            scheduler = lr_scheduler.StepLR(optimizer, 10)
            print(«scheduler.get_lr()»[0])
            """,
            suggested_fix="""
            import torch
            from torch.optim import lr_scheduler

            solution = torch.linalg.solve(A, b)
            scheduler = lr_scheduler.StepLR(optimizer, 10)
            print(scheduler.get_last_lr()[0])
            """,
        ),
        Bad(
            """
            from torch.autograd import Variable

            for images, labels in loader:
                images = «Variable(images.to(device))»
                labels = ‹Variable(labels, requires_grad=False)›
            """,
            suggested_fix="""
            from torch.autograd import Variable

            for images, labels in loader:
                images = images.to(device)
                labels = labels
            """,
            advice=True,
        ),
        Bad(
            """
            import torch
            from torch.autograd import Variable

            images = «Variable(images, volatile=True)»
            spectrum = «torch.rfft(x, 2, onesided=False)»
            values, _ = «torch.eig(A)»
            """
        ),
        Bad(
            """
            import torch

            length = «torch.norm(x, dim=1)»
            U, S, V = «torch.svd(A)»
            «net.register_backward_hook(hook)»
            """,
            advice=True,
        ),
        Bad(
            """
            from torch import nn

            each = «nn.MSELoss(reduce=False)»
            """,
            safe_fix="""
            from torch import nn

            each = nn.MSELoss(reduction="none")
            """,
        ),
        Bad(
            """
            import torch
            «from torch._six import inf, string_classes»
            """
        ),
        Good(
            """
            import torch
            import torch.nn.functional as F
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            Q, R = torch.linalg.qr(A)
            p = F.softmax(x, dim=1) + F.softmax(x, -1) + torch.softmax(x, 1)
            normal = torch.cross(a, b, dim=1) + torch.linalg.cross(a, b)
            grid = torch.meshgrid(rows, columns, indexing="xy")
            steps = torch.arange(0, 10)
            scheduler = ReduceLROnPlateau(optimizer, patience=3)
            scheduler.step(loss)
            torch.set_default_tensor_type("torch.cuda.FloatTensor")
            """,
            "a plateau scheduler takes the metric; the CUDA type is `cuda-tensor-type`",
        ),
        Good(
            """
            import numpy as np
            import scipy.linalg
            import torch
            from timm.scheduler import StepLRScheduler

            Q, R = np.linalg.qr(A)
            x = scipy.linalg.solve(A, b) + np.range(3) + model.norm(x)
            y = torch.nn.functional.softmax(x, **options)
            scheduler = StepLRScheduler(optimizer, verbose=True)
            scheduler.step(epoch)
            """,
            "other libraries' functions; arguments that can't be seen",
        ),
        Good(
            """
            import torch

            try:
                from torch._six import inf
            except ImportError:
                from torch import inf

            if hasattr(torch, "linalg"):
                Q, R = torch.linalg.qr(A)
            else:
                Q, R = torch.qr(A)
            if torch.__version__ < "1.8":
                spectrum = torch.rfft(x, 2)
            """,
            "it asks for the version, or falls back",
        ),
        Good(
            """
            import torch

            def norm(x):
                return x

            class StepSchedule(torch.optim.lr_scheduler.LRScheduler):
                def get_lr(self):
                    return [0.1]

                def step(self, epoch=None):
                    self.rates = self.get_lr()
            """,
            "a scheduler's own method",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        for call in module.calls(*_NAMES, "get_lr", "step"):
            if (found := _call_fact(module, call) or _scheduler_fact(module, call)) and not is_fallback(module, call):
                what, fact, fix = found
                if module.may_run_on("torch", fact.since):
                    yield self.finding(module, call, _message(module, what, fact), fix=fix, advice=fact.silent)
        statements: list[ast.Import | ast.ImportFrom] = [*module.nodes(ast.Import), *module.nodes(ast.ImportFrom)]
        for statement in statements:
            gone = _removed_module(statement)
            if gone is None or is_fallback(module, statement):
                continue
            if module.may_run_on("torch", MODULES[gone].since):
                yield self.finding(module, statement, _message(module, f"The module `{gone}`", MODULES[gone]))


def _message(module: Module, what: str, fact: Deprecated) -> str:
    if fact.removed and module.may_run_on("torch", fact.removed):
        effect = "has no effect" if fact.ignored else "raises an error"
        return f"{what} {effect} since PyTorch {_release(module, fact.removed)}. Write {fact.instead}."
    quietly = "in the documentation " if fact.silent else ""
    return f"{what} is deprecated {quietly}since PyTorch {_release(module, fact.since)}. Write {fact.instead}."


def _release(module: Module, release: str) -> str:
    return module.named_release("torch", f"{OLDEST} or earlier" if release == OLDEST else release)


def _call_fact(module: Module, call: ast.Call) -> _Fact | None:
    """What is removed or deprecated about a call, and its fix."""
    name = module.qualified_name(call.func)
    if name is None:
        if isinstance(call.func, ast.Attribute) and (fact := METHODS.get(call.func.attr)):
            return f"`{call.func.attr}`", fact, None
        return None
    passed = [known for known in ARGUMENTS.get(name, ()) if argument(call, known) is not None]
    if passed:
        return f"The argument `{passed[0]}`", ARGUMENTS[name][passed[0]], fix_argument(call, passed)
    if name in MISSING and _lacks(call, *MISSING[name][:2]):
        return f"`{name}` without `{MISSING[name][0]}`", MISSING[name][2], fix_missing(module, call, name)
    if name in CALLS and not _sets_cuda_type(call, name):
        return f"`{name}`", CALLS[name], fix_call(module, call, name, CALLS[name])
    return None


def _sets_cuda_type(call: ast.Call, name: str) -> bool:
    """Whether a call is the matter of `cuda-tensor-type`."""
    return name == "torch.set_default_tensor_type" and "cuda" in ast.unparse(call)


def _lacks(call: ast.Call, name: str, position: int | None) -> bool:
    """Whether a call is seen not to pass an argument."""
    if any(keyword.arg is None for keyword in call.keywords):
        return False
    if position is not None and any(isinstance(given, ast.Starred) for given in call.args):
        return False
    return argument(call, name, position) is None


def _scheduler_fact(module: Module, call: ast.Call) -> _Fact | None:
    """`scheduler.get_lr()` and `scheduler.step(epoch)`, where the variable holds a scheduler of PyTorch."""
    match call:
        case ast.Call(func=ast.Attribute(value=scheduler, attr="get_lr") as func, args=[]):
            if _scheduler_class(module, scheduler):
                code = f"{module.text(scheduler)}.get_last_lr"
                return "`get_lr()`", _LEARNING_RATE, suggested("Call get_last_lr", Replace(Span.of(func), code))
        case ast.Call(func=ast.Attribute(value=scheduler, attr="step"), args=[_], keywords=[]):
            if (_scheduler_class(module, scheduler) or "ReduceLROnPlateau") not in _STEPPED_WITH_ARGUMENT:
                fix = suggested("Leave the epoch out", RemoveArgument(Span.of(call), 0))
                return "The epoch passed to `step`", _EPOCH, fix
    return None


def _scheduler_class(module: Module, expression: ast.expr) -> str | None:
    for origin in module.origins(expression):
        if isinstance(origin, ast.Call):
            name = module.qualified_name(origin.func) or ""
            if name.startswith(_SCHEDULER_PACKAGE):
                return name.removeprefix(_SCHEDULER_PACKAGE)
    return None


def _removed_module(statement: ast.Import | ast.ImportFrom) -> str | None:
    """The module that a statement imports, or imports something of, and that is no more."""
    if isinstance(statement, ast.Import):
        imported = [alias.name for alias in statement.names]
    elif statement.level == 0 and (statement.module or "").startswith("torch"):
        imported = [f"{statement.module}.{alias.name}" for alias in statement.names]
    else:
        return None
    return next((gone for name in imported for gone in MODULES if f"{name}.".startswith(f"{gone}.")), None)
