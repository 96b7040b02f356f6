from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Fix, RemoveStatement, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import STEP_METHODS
from mlrules_mcp.source.values import MODULE

_LOADER = pattern(r"loader|(^|_|\.)(batches|dl)\b", re.IGNORECASE)
_ABOUT_THE_DEVICE = pattern(r"cuda|gpu|mps|xpu|npu|device|accelerator|is_available")


class EmptyCacheInLoop(Check[ast.Call]):
    """The allocator's cache is emptied for every batch.

    ## What it does
    Finds `torch.cuda.empty_cache()`, and the same of other devices, in loops over batches and in step methods.

    ## Why it matters
    The cache is what makes allocations fast: emptying it waits for the device and gives all free blocks back, and the
    next batch has to ask the driver for them again. Training gets slower, and tensors that are still alive stay
    where they are, so no larger batch fits than before.

    ## Do not flag
    Calls once an epoch, every so many steps, after an out-of-memory error, before or after training, under conditions
    that don't hold for every batch, and in measurements, which synchronize.

    ## Fix safety
    Suggested: another process may wait for the memory.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-memory-management
    - https://docs.pytorch.org/docs/stable/generated/torch.cuda.memory.empty_cache.html
    """

    names = frozenset({"empty_cache"})
    examples = (
        Bad(
            """
            import torch

            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                «torch.cuda.empty_cache()»
            """,
            suggested_fix="""
            import torch

            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
            """,
        ),
        Bad(
            """
            import torch

            def evaluate(model, data_loader, device):
                with torch.inference_mode():
                    for step, batch in enumerate(tqdm(data_loader)):
                        outputs.append(model(batch.to(device)).cpu())
                        del batch
                        if device.type == "cuda":
                            «torch.cuda.empty_cache()»
            """,
            suggested_fix="""
            import torch

            def evaluate(model, data_loader, device):
                with torch.inference_mode():
                    for step, batch in enumerate(tqdm(data_loader)):
                        outputs.append(model(batch.to(device)).cpu())
                        del batch
                        if device.type == "cuda":
                            pass
            """,
        ),
        Bad(
            """
            import lightning as L
            from torch.mps import empty_cache

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    «empty_cache()»
                    return self.loss(batch)
            """,
            suggested_fix="""
            import lightning as L
            from torch.mps import empty_cache

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)
            """,
        ),
        Good(
            """
            import torch

            for epoch in range(epochs):
                for step, batch in enumerate(loader):
                    try:
                        loss = model(batch).loss
                        loss.backward()
                    except torch.cuda.OutOfMemoryError:
                        torch.cuda.empty_cache()
                        continue
                    if step % 500 == 0:
                        torch.cuda.empty_cache()
                    if torch.cuda.memory_reserved() > limit:
                        torch.cuda.empty_cache()
                torch.cuda.empty_cache()
            """
        ),
        Good(
            """
            import torch

            for name in model_names:
                model = load(name)
                results[name] = benchmark(model)
                del model
                torch.cuda.empty_cache()
            """,
            why="a model a turn, not a batch",
        ),
        Good(
            """
            import torch

            for batch in loader:
                torch.cuda.empty_cache()
                torch.cuda.synchronize()
                start = time.perf_counter()
                model(batch).sum().backward()
                torch.cuda.synchronize()
                times.append(time.perf_counter() - start)
            """,
            why="a measurement",
        ),
        Good(
            """
            import torch

            for batch in loader:
                if batch.is_last:
                    torch.cuda.empty_cache()
                cache.empty_cache()
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = module.qualified_name(node.func) or ""
        if name.startswith("torch.") and _runs_for_each_batch(module, node):
            yield self.finding(
                module,
                node,
                "Emptying the cache for every batch makes each of them wait for the device and allocate its memory "
                "anew, and frees nothing that is in use. Leave it out, or call it once an epoch.",
                fix=_removal(module, node),
            )


def _runs_for_each_batch(module: Module, call: ast.Call) -> bool:
    region = _batch_region(module, call)
    if region is None or any(module.is_inside(other, region) for other in module.calls("synchronize")):
        return False
    for ancestor in module.ancestors(call):
        if ancestor is region:
            return True
        match ancestor:
            case ast.ExceptHandler():
                return False
            case ast.If(test=test) if not _holds_for_every_batch(ast.unparse(test)):
                return False
    return False


def _holds_for_every_batch(test: str) -> bool:
    return bool(_ABOUT_THE_DEVICE.search(test)) and "%" not in test and "memory" not in test


def _batch_region(module: Module, call: ast.Call) -> ast.AST | None:
    """The loop or function that runs a call once for each batch."""
    loop = module.enclosing_loop(call)
    if loop is not None:
        if loop in module.step_regions:
            return loop
        over = ast.unparse(loop.iter) if isinstance(loop, ast.For | ast.AsyncFor) else ""
        return loop if _LOADER.search(over) else None
    function, cls = module.enclosing_function(call), module.enclosing_class(call)
    if function is None:
        return None
    is_step = function.name in STEP_METHODS and cls is not None and module.is_subclass(cls, MODULE)
    return function if is_step or function in module.step_regions else None


def _removal(module: Module, call: ast.Call) -> Fix | None:
    statement = module.statement(call)
    if not isinstance(statement, ast.Expr) or statement.value is not call:
        return None
    return suggested("Leave the cache as it is", RemoveStatement(Span.of(statement)))
