from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_guarded, is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._amp_fix import PARAMETERS, amp_fix
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import FUNCTIONS

_NAME = pattern(r"torch\.cuda\.amp\.(autocast_mode\.|grad_scaler\.)?(autocast|GradScaler|custom_fwd|custom_bwd)$")
_VERSION = pattern(r"version|hasattr|getattr|greater|less|torch_?\d", re.IGNORECASE)
_MESSAGE = (
    "`torch.cuda.amp` is deprecated, and on any device but CUDA it does nothing. "
    'Write `torch.amp` and name the device: `torch.amp.autocast("cuda")`, or `device.type` for `"cuda"`.'
)


class CudaOnlyAmp(Check[ast.Module]):
    """Mixed precision by `torch.cuda.amp`, which knows CUDA alone.

    ## What it does
    Finds calls of `autocast`, `GradScaler`, `custom_fwd` and `custom_bwd` of `torch.cuda.amp`.

    ## Why it matters
    They have been deprecated since PyTorch 2.4 and warn at every call. On an XPU, an Apple GPU or the CPU they switch
    themselves off, where `torch.amp` works on each of them.

    ## Do not flag
    - Code that runs only on CUDA or only on an older PyTorch, and imports with a fallback.
    - `torch.amp` and `torch.autocast`.
    - Tests and benchmarks.

    ## Fix safety
    Safe: `torch.amp` with `"cuda"` is what `torch.cuda.amp` calls. It needs PyTorch 2.3 (`GradScaler`) or 2.4
    (`custom_fwd`, `custom_bwd`).

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html
    """

    words = ("amp",)
    examples = (
        Bad(
            """
            import torch

            scaler = «torch.cuda.amp.GradScaler(enabled=args.amp)»

            def step(x):
                with ‹torch.cuda.amp.autocast()›:
                    return model(x)
            """,
            safe_fix="""
            import torch

            scaler = torch.amp.GradScaler("cuda", enabled=args.amp)

            def step(x):
                with torch.amp.autocast("cuda"):
                    return model(x)
            """,
        ),
        Bad(
            """
            import torch.nn as nn
            from torch.cuda.amp import GradScaler, autocast as mixed

            def fit(model, scaler: GradScaler, use_amp):
                with «mixed(use_amp, cache_enabled=False)»:
                    loss = model()

            fit(Net(), ‹GradScaler(
                init_scale=2.0,
                enabled=True,
            )›, True)
            """,
            safe_fix="""
            import torch.nn as nn
            from torch.amp import GradScaler, autocast as mixed

            def fit(model, scaler: GradScaler, use_amp):
                with mixed("cuda", enabled=use_amp, cache_enabled=False):
                    loss = model()

            fit(Net(), GradScaler(
                "cuda",
                init_scale=2.0,
                enabled=True,
            ), True)
            """,
        ),
        Bad(
            """
            import torch as th
            from torch.cuda import amp, device_count

            scaler = «amp.GradScaler()»

            class Net(th.nn.Module):
                @‹th.cuda.amp.autocast(enabled=False)›
                def forward(self, x):
                    return x
            """,
            safe_fix="""
            import torch as th
            from torch.cuda import device_count
            from torch import amp

            scaler = amp.GradScaler("cuda")

            class Net(th.nn.Module):
                @th.amp.autocast("cuda", enabled=False)
                def forward(self, x):
                    return x
            """,
        ),
        Bad(
            """
            import torch
            from torch.cuda.amp import custom_bwd, custom_fwd

            class Square(torch.autograd.Function):
                @staticmethod
                @«custom_fwd(cast_inputs=torch.float32)»
                def forward(ctx, x):
                    return x * x

                @staticmethod
                @‹custom_bwd›
                def backward(ctx, gradient):
                    return gradient
            """,
            safe_fix="""
            import torch
            from torch.amp import custom_bwd, custom_fwd

            class Square(torch.autograd.Function):
                @staticmethod
                @custom_fwd(device_type="cuda", cast_inputs=torch.float32)
                def forward(ctx, x):
                    return x * x

                @staticmethod
                @custom_bwd(device_type="cuda")
                def backward(ctx, gradient):
                    return gradient
            """,
        ),
        Bad(
            """
            from contextlib import nullcontext
            from torch.cuda.amp import autocast

            def train(use_amp):
                context = autocast if use_amp else nullcontext
                with context():
                    ...
                with «autocast()»:
                    ...
            """
        ),
        Bad(
            """
            import torch

            def save(scaler):
                return scaler.state_dict() if isinstance(scaler, torch.cuda.amp.GradScaler) else {}

            save(«torch.cuda.amp.GradScaler()»)
            """
        ),
        Good(
            """
            import torch
            from torch import autocast
            from torch.amp import GradScaler

            scaler = GradScaler("cuda")
            with autocast("cuda"), torch.amp.autocast(device.type):
                ...
            """
        ),
        Good(
            """
            import torch

            if torch.cuda.is_available():
                scaler = torch.cuda.amp.GradScaler()
            if not hasattr(torch.amp, "GradScaler"):
                scaler = torch.cuda.amp.GradScaler()
            scaler = torch.amp.GradScaler("cuda") if TORCH_GREATER_2_3 else torch.cuda.amp.GradScaler()
            try:
                other = torch.amp.GradScaler(device)
            except AttributeError:
                other = torch.cuda.amp.GradScaler()
            """,
            "the code asks for CUDA, or for an older PyTorch",
        ),
        Good(
            """
            try:
                from torch.amp import autocast
            except ImportError:
                from torch.cuda.amp import autocast

            with autocast():
                ...
            """
        ),
        Good(
            """
            try:
                from torch.cuda.amp import autocast
            except ImportError:
                autocast = None

            with autocast():
                ...
            """,
            "the import has a fallback",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if "cuda" not in module.source.code or is_test_or_benchmark(module):
            return
        if not module.may_run_on("torch", "2.4"):
            return
        uses = sorted(_uses(module), key=lambda use: (use.lineno, use.col_offset))
        found = [use for use in uses if not is_guarded(module, use) and not _is_for_older(module, use)]
        if found:
            yield self.finding(module, found[0], _MESSAGE, fix=amp_fix(module, uses), also_at=found[1:])


def _uses(module: Module) -> Iterator[ast.expr]:
    """The calls of `torch.cuda.amp`, and the decorators that are not called."""
    for call in module.calls(*PARAMETERS):
        if _NAME.match(module.qualified_name(call.func) or ""):
            yield call
    for function in module.functions:
        for decorator in function.decorator_list:
            if _NAME.match(module.qualified_name(decorator) or ""):
                yield decorator


def _is_for_older(module: Module, use: ast.expr) -> bool:
    """Whether a use, or the import of its name, has an alternative for other versions of PyTorch."""
    if any(_VERSION.search(ast.unparse(guard.test)) for guard in module.guards(use)):
        return True
    if any(isinstance(ancestor, ast.ExceptHandler) for ancestor in module.ancestors(use)):
        return True
    name = use.func if isinstance(use, ast.Call) else use
    while isinstance(name, ast.Attribute):
        name = name.value
    bindings = module.bindings_in_scope(name) if isinstance(name, ast.Name) else []
    return any(
        isinstance(ancestor, ast.Try | ast.If)
        for binding in bindings
        if isinstance(binding.node, ast.alias)
        for ancestor in module.ancestors(binding.node)
        if not isinstance(ancestor, FUNCTIONS)
    )
