from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module

_CONTEXT_MANAGERS = {"torch.no_grad", "torch.enable_grad", "torch.inference_mode", "torch.set_grad_enabled"}


class NoGradNotCalled(Check[ast.With | ast.AsyncWith]):
    """A gradient context manager that is named but not called.

    ## What it does
    Finds `with torch.no_grad:`, and the same of `enable_grad` and `inference_mode`.

    ## Why it matters
    A class is not a context manager, so the statement raises a TypeError (an AttributeError before Python 3.11)
    as soon as it runs.

    ## Do not flag
    Context managers that are called or kept in a variable first, and decorators: `@torch.no_grad` without
    parentheses works.

    ## Fix safety
    Safe: the code can't have run as it is.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
    """

    examples = (
        Bad(
            """
            import torch

            with «torch.no_grad»:
                output = model(batch)
            """,
            safe_fix="""
            import torch

            with torch.no_grad():
                output = model(batch)
            """,
        ),
        Bad(
            """
            from torch import inference_mode

            with open("a") as file, «inference_mode»:
                output = model(file.read())
            """,
            safe_fix="""
            from torch import inference_mode

            with open("a") as file, inference_mode():
                output = model(file.read())
            """,
        ),
        Good(
            """
            import torch

            no_gradients = torch.no_grad()
            with no_gradients, torch.inference_mode():
                output = model(batch)

            @torch.no_grad
            def predict(batch):
                return model(batch)
            """
        ),
    )

    def check(self, node: ast.With | ast.AsyncWith, module: Module) -> Iterator[Finding]:
        for item in node.items:
            expression = item.context_expr
            if module.qualified_name(expression) in _CONTEXT_MANAGERS:
                text = module.text(expression)
                yield self.finding(
                    module,
                    expression,
                    f"`with {text}:` raises an error when it runs, because the context manager is not called. "
                    f"Write `with {text}():`.",
                    fix=safe(f"Call {text}", Replace(Span.of(expression), f"{text}()")),
                )
