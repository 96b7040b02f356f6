from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark, torch_name
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules.mixed_precision._autocast import Autocast, autocast_regions, precision
from mlrules_mcp.findings import Finding, Fix, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.values import LIGHTNING_MODULE

# What scales the loss on its own.
_SCALING_PACKAGES = frozenset({"accelerate", "deepspeed", "apex", "fairscale", "colossalai"})
_OTHER_SCALERS = ("standardscaler", "minmaxscaler", "robustscaler", "maxabsscaler")
_SCALING = ("scaler", "loss_scal", "lossscal", "scale_loss", "scaled_loss", "scaledloss", ".scale(")


class Fp16AutocastWithoutScaler(Check[ast.Module]):
    """Training in float16 without scaling the loss.

    ## What it does
    Finds a backward pass of a loss that was computed under autocast in float16, which is the default on CUDA, in a file
    without any GradScaler.

    ## Why it matters
    Gradients below 0.00000006 are zero in float16, and many are that small: layers stop learning, and the loss stalls
    at a value that float32 would get below. A GradScaler multiplies the loss so that they stay apart from zero;
    bfloat16 has the range of float32 and needs none.

    ## Do not flag
    bfloat16, autocast for the CPU, an autocast whose device or type the file does not show, files that mention any
    scaler, Accelerate, DeepSpeed, Apex and Lightning, tests and benchmarks.

    ## Fix safety
    Suggested: `dtype=torch.bfloat16` is fast on GPUs from 2020 on (Ampere), and has fewer digits. Older ones want
    a GradScaler.

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling
    """

    words = ("autocast",)
    examples = (
        Bad(
            """
            import torch

            for inputs, targets in loader:
                optimizer.zero_grad()
                with «torch.autocast("cuda")»:
                    loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
            """,
            suggested_fix="""
            import torch

            for inputs, targets in loader:
                optimizer.zero_grad()
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
            """,
        ),
        Bad(
            """
            from torch.cuda.amp import autocast

            class Trainer:
                def train_step(self, batch):
                    with «autocast(enabled=self.amp)»:
                        loss = self.model(batch).mean()
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            from sklearn.preprocessing import MinMaxScaler

            def train(model, batches, device_type):
                for batch in batches:
                    with «torch.autocast(device_type=device_type, dtype=torch.float16)»:
                        loss = model(batch).mean()
                        loss.backward()
                    optimizer.step()
            """,
            suggested_fix="""
            import torch

            from sklearn.preprocessing import MinMaxScaler

            def train(model, batches, device_type):
                for batch in batches:
                    with torch.autocast(device_type=device_type, dtype=torch.bfloat16):
                        loss = model(batch).mean()
                        loss.backward()
                    optimizer.step()
            """,
        ),
        Good(
            """
            import torch

            for inputs, targets in loader:
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(model(inputs), targets)
                loss.backward()
                with torch.autocast("cpu"):
                    loss = criterion(model(inputs), targets)
                loss.backward()
                with torch.autocast(device.type):
                    loss = criterion(model(inputs), targets)
                loss.backward()
            """
        ),
        Good(
            """
            import torch

            scaler = torch.amp.GradScaler()
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    loss = criterion(model(inputs), targets)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            """
        ),
        Good(
            """
            import torch
            from sklearn.preprocessing import StandardScaler

            def train(model, frozen, loader):
                for inputs in loader:
                    with torch.no_grad(), torch.autocast("cuda"):
                        features = frozen(inputs)
                    with torch.autocast("cuda"), torch.inference_mode():
                        targets = frozen(inputs)
                    loss = (model(inputs) - features).abs().mean()
                    loss.backward()
                    optimizer.step()

            def validate(model, loader):
                with torch.autocast("cuda"):
                    return [model(batch) for batch in loader]
            """,
            why="only what needs no gradients is computed in float16",
        ),
        Good(
            """
            import torch
            from accelerate import Accelerator

            accelerator = Accelerator(mixed_precision="fp16")
            for batch in loader:
                with torch.autocast("cuda"):
                    loss = model(batch).mean()
                accelerator.backward(loss)
                optimizer.step()
            """,
            why="Accelerate scales the loss",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        code = module.source.code
        if _scales(code.lower()):
            return
        if module.imported_packages & _SCALING_PACKAGES or is_test_or_benchmark(module):
            return
        for autocast in autocast_regions(module):
            if precision(module, autocast.call) == "float16" and _is_trained_on(module, autocast):
                yield self.finding(
                    module,
                    autocast.call,
                    "The loss is computed in float16 and not scaled, so small gradients become zero and those layers "
                    "stop learning. Backpropagate through a `torch.amp.GradScaler`, or use `dtype=torch.bfloat16`.",
                    fix=_in_bfloat16(module, autocast.call),
                )


def _scales(code: str) -> bool:
    """Whether code in lower case mentions a scaler of losses."""
    for other in _OTHER_SCALERS:
        code = code.replace(other, "")
    return any(word in code for word in _SCALING)


def _is_trained_on(module: Module, autocast: Autocast) -> bool:
    """Whether what a region computes is backpropagated, in it or behind it in the same function."""
    cls = module.enclosing_class(autocast.call)
    if cls is not None and module.is_subclass(cls, LIGHTNING_MODULE):
        return False
    function = module.enclosing_function(autocast.region)
    for call in module.backward_calls:
        if module.is_inside(call, autocast.region):
            return True
        if module.enclosing_function(call) is function and start(call) > start(autocast.region):
            value = call.func.value if isinstance(call.func, ast.Attribute) else call
            if isinstance(value, ast.Name) and _is_bound_in(module, value, autocast.region):
                return True
    return False


def _is_bound_in(module: Module, name: ast.Name, region: ast.AST) -> bool:
    return any(
        module.is_inside(binding.node, region) and not module.under_no_grad(binding.node)
        for binding in module.reaching(name)
    )


def _in_bfloat16(module: Module, call: ast.Call) -> Fix | None:
    torch = torch_name(module)
    if torch is None or last_name(call.func) is None:
        return None
    return suggested("Compute in bfloat16", SetArgument(Span.of(call), "dtype", f"{torch}.bfloat16"))
