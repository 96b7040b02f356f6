from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.pytorch_rules.avoid_item_calls._steps import runs_each_step
from mlrules_mcp.checks.pytorch_rules.avoid_item_calls._tensors import is_on_host, is_tensor
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module

_READS_TENSOR = frozenset(
    "builtins.bool builtins.float builtins.int math.isfinite math.isinf math.isnan numpy.isfinite numpy.isinf "
    "numpy.isnan torch.allclose torch.equal torch.is_nonzero".split()
)


class BranchOnTensor(Check[ast.If | ast.While | ast.IfExp | ast.Assert]):
    """A condition on a tensor's value in every training step.

    ## What it does
    Finds `if`, `while`, `assert` and conditional expressions that test a tensor (`loss > 10`, `torch.isnan(loss)`,
    `mask.any()`, `loss.item() < best`) in code that runs in every step of a training loop.

    ## Why it matters
    Python has to know the answer before it goes on, so it waits until the device has worked off its queue, and the
    device idles meanwhile. Under `torch.compile` the graph is cut there.

    ## Do not flag
    Python numbers, shapes, `is None`; conditions that are tested every so many steps, once an epoch, in evaluation or
    in a test; values that are on the CPU already.

    ## Fix safety
    There is no fix: whether the test can be made rarer, or on the device (`torch.where`), is the author's to know.

    ## References
    - https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html#avoid-unnecessary-cpu-gpu-synchronization
    """

    examples = (
        Bad(
            """
            import torch

            for inputs, targets in loader:
                loss = criterion(model(inputs.to(device)), targets.to(device))
                if «torch.isnan(loss)»:
                    continue
                loss.backward()
                optimizer.step()
            """,
            advice=True,
        ),
        Bad(
            """
            import math
            import torch

            for batch in loader:
                loss = model(batch.to(device)).mean()
                loss.backward()
                optimizer.step()
                if «loss.item() > limit»:
                    break
                if not ‹math.isfinite(loss)›:
                    raise FloatingPointError
                scale = 0.5 if ‹loss > 1› else 1.0
                assert ‹(batch.to(device) >= 0).all()›
            """,
            advice=True,
        ),
        Bad(
            """
            import torch.nn.functional as F

            while «loss > tolerance»:
                optimizer.zero_grad()
                loss = F.mse_loss(model(inputs), targets)
                loss.backward()
                optimizer.step()
            """,
            advice=True,
        ),
        Good(
            """
            import torch

            for epoch in range(epochs):
                for step, (inputs, targets) in enumerate(loader):
                    output = model(inputs.to(device))
                    if output.shape[0] < 2 or output.dim() == 1 or output is None or output.requires_grad is False:
                        continue
                    loss = criterion(output, targets.to(device))
                    loss.backward()
                    optimizer.step()
                    if step % 100 == 0 and loss > limit:
                        print("the loss is high")
                if loss < best:
                    best = loss.item()
            """,
            "shapes are Python numbers; tested every so many steps, and once an epoch",
        ),
        Good(
            """
            import torch

            for inputs, targets in loader:
                if (targets == 0).all() or targets.sum().item() == 0:
                    continue
                loss = criterion(model(inputs.to(device)), targets.to(device))
                loss.backward()
                optimizer.step()
            """,
            "a batch as the loader gives it is on the CPU",
        ),
    )

    def check(self, node: ast.If | ast.While | ast.IfExp | ast.Assert, module: Module) -> Iterator[Finding]:
        if not module.step_regions or module.step_region(node.test) is None:
            return
        for condition in _conditions(node.test):
            if _reads_tensor(module, condition) and runs_each_step(module, condition):
                yield self.finding(
                    module,
                    condition,
                    "Each step waits at this condition until the device has finished, because Python has to know the "
                    "tensor's value. Test it every so many steps, or choose on the device with `torch.where`.",
                    advice=True,
                )


def _conditions(test: ast.expr) -> Iterator[ast.expr]:
    """The parts of a condition between `and`, `or` and `not`."""
    match test:
        case ast.BoolOp(values=values):
            for value in values:
                yield from _conditions(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from _conditions(operand)
        case _:
            yield test


def _reads_tensor(module: Module, condition: ast.expr) -> bool:
    match condition:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            if any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in ops):
                return False
            return any(_reads_tensor(module, operand) for operand in (left, *comparators))
        case ast.Call(func=ast.Attribute(value=receiver, attr="item"), args=[]):
            return not is_on_host(module, receiver)
        case ast.Call(func=func, args=[value, *_]) if module.qualified_name(func) in _READS_TENSOR:
            return _reads_tensor(module, value)
    return is_tensor(module, condition) and not is_on_host(module, condition)
