from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments


class LoadWithoutMapLocation(Check[ast.Call]):
    """`torch.load` without `map_location`.

    ## What it does
    Finds calls of `torch.load` that leave `map_location` out.

    ## Why it matters
    Tensors are put back on the device they were saved from. A checkpoint written on a GPU raises a RuntimeError
    on a machine without one, and on a machine with several it fills the memory of the first.

    ## Do not flag
    Calls that may pass it through `*args` or `**kwargs`.

    ## Fix safety
    Suggested: the loaded tensors may be expected on the GPU by the code that follows.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.load.html
    """

    names = frozenset({"load"})
    examples = (
        Bad(
            """
            import torch

            state = «torch.load("model.pt")»
            """,
            suggested_fix="""
            import torch

            state = torch.load("model.pt", map_location="cpu")
            """,
        ),
        Bad(
            """
            from torch import load as read

            model.load_state_dict(«read(path, weights_only=True)»)
            """,
            suggested_fix="""
            from torch import load as read

            model.load_state_dict(read(path, weights_only=True, map_location="cpu"))
            """,
        ),
        Good(
            """
            import json
            import torch

            state = torch.load("model.pt", map_location=device)
            other = torch.load("model.pt", "cpu")
            third = torch.load(path, **options)
            settings = json.load(file)
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not module.is_call_to(node, "torch.load") or passes_unseen_arguments(node):
            return
        if argument(node, "map_location", 1) is None:
            yield self.finding(
                module,
                node,
                "Loading fails on a machine that lacks the device this checkpoint was saved from. "
                'Pass `map_location="cpu"`, and move the model to its device afterwards.',
                fix=suggested("Load to the CPU", SetArgument(Span.of(node), "map_location", '"cpu"')),
            )
