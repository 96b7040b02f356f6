from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.deep_learning_rules._modes import asks_for_mode, module_method
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_FUNCTION = "torch.nn.functional.batch_norm"
_FROZEN = pattern(r"(?i:frozen|freeze|fixed|eval|infer|fused|folded|export|onnx)")


class FunctionalBatchNormWithoutTraining(Check[ast.Call]):
    """Functional batch normalisation that never trains.

    ## What it does
    Finds `F.batch_norm(x, mean, var, …)` in an `nn.Module` without `training=`, whose default is False.

    ## Why it matters
    It always normalises with the running statistics and never updates them. They keep the zeros and ones they start
    with, so nothing is normalised, in training or afterwards; without running statistics the call raises an error.

    ## Do not flag
    `training` passed by keyword or position, also `training=False`; layers that are frozen by name
    (`FrozenBatchNorm2d`); a call in a branch on `self.training` that has a twin for the other mode; code outside of
    modules, which has no mode.

    ## Fix safety
    Suggested: `training=self.training` changes what is computed, and a frozen layer may be meant.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
    """

    names = frozenset({"batch_norm"})
    examples = (
        Bad(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Norm(nn.Module):
                def forward(self, x):
                    return «F.batch_norm(x, self.mean, self.var, self.weight, self.bias)»
            """,
            suggested_fix="""
            import torch.nn as nn
            import torch.nn.functional as F

            class Norm(nn.Module):
                def forward(self, x):
                    return F.batch_norm(x, self.mean, self.var, self.weight, self.bias, training=self.training)
            """,
        ),
        Bad(
            """
            from torch import nn

            class Slimmable(nn.BatchNorm2d):
                def forward(self, x):
                    width = x.size(1)
                    y = «nn.functional.batch_norm(
                        x,
                        self.running_mean[:width],
                        self.running_var[:width],
                        momentum=self.momentum,
                    )»
                    return y
            """,
            suggested_fix="""
            from torch import nn

            class Slimmable(nn.BatchNorm2d):
                def forward(self, x):
                    width = x.size(1)
                    y = nn.functional.batch_norm(
                        x,
                        self.running_mean[:width],
                        self.running_var[:width],
                        momentum=self.momentum,
                        training=self.training,
                    )
                    return y
            """,
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Norm(nn.Module):
                def forward(self, x):
                    x = F.batch_norm(x, self.mean, self.var, self.weight, self.bias, self.training)
                    return F.batch_norm(x, self.mean, self.var, training=False)
            """,
            why="The mode is passed, by position or keyword.",
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class FrozenBatchNorm2d(nn.Module):
                def forward(self, x):
                    return F.batch_norm(x, self.mean, self.var, self.weight, self.bias, eps=self.eps)
            """,
            why="Its statistics are meant to stay.",
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Norm(nn.BatchNorm2d):
                def forward(self, x):
                    if not self.training:
                        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)
                    return self.normalize_over_groups(x)
            """,
            why="It runs in evaluation alone.",
        ),
        Good(
            """
            import torch.nn.functional as F

            def fold(x, bn):
                return F.batch_norm(x, bn.running_mean, bn.running_var)
            """,
            why="A function that belongs to no module has no mode of its own.",
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F

            class Norm(nn.Module):
                def forward(self, x, **how):
                    return F.batch_norm(x, self.mean, self.var, **how)
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if argument(node, "training", 5) is not None or passes_unseen_arguments(node):
            return
        if module.qualified_name(node.func) != _FUNCTION:
            return
        found = module_method(module, node)
        if found is None or asks_for_mode(module, node):
            return
        cls, method = found
        if _FROZEN.search(cls.name) or _FROZEN.search(method.name):
            return
        yield self.finding(
            module,
            node,
            "Without `training=` this always normalises with the running statistics, which nothing ever updates. "
            "Pass `training=self.training`.",
            fix=suggested("Pass training=self.training", SetArgument(Span.of(node), "training", "self.training")),
        )
