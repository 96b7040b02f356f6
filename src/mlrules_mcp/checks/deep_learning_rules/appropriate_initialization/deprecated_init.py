from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.findings import AddImport, Finding, Fix, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name

# The names of `torch.nn.init` without an underscore (deprecated since 0.4, there in 2.13).
_DEPRECATED = frozenset(
    "uniform normal constant eye dirac xavier_uniform xavier_normal kaiming_uniform kaiming_normal orthogonal "
    "sparse".split()
)


class DeprecatedInit(Check[ast.Call]):
    """An initialiser by its deprecated name.

    ## What it does
    Finds calls of the initialisers of `torch.nn.init` by the names they had before PyTorch 0.4, without the
    underscore at the end: `init.xavier_uniform(w)`, `init.constant(b, 0)`.

    ## Why it matters
    Each call warns with a FutureWarning, and fails where warnings are errors. The underscore says what all of them
    do: they change the tensor in place.

    ## Do not flag
    Functions of the same name from elsewhere (`np.random.normal`), and code that asks for the version of PyTorch or
    whether the new name is there.

    ## Fix safety
    Safe: the deprecated name calls the new one.

    ## References
    - https://docs.pytorch.org/docs/stable/nn.init.html
    """

    names = _DEPRECATED
    examples = (
        Bad(
            """
            import torch.nn as nn

            def init_weights(m):
                if isinstance(m, nn.Linear):
                    «nn.init.xavier_uniform»(m.weight)
                    nn.init.zeros_(m.bias)
            """,
            safe_fix="""
            import torch.nn as nn

            def init_weights(m):
                if isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight)
                    nn.init.zeros_(m.bias)
            """,
        ),
        Bad(
            """
            import torch.nn.init as init

            class Net(nn.Module):
                def reset(self):
                    for layer in self.layers:
                        «init.constant»(layer.bias, 0)
                    ‹init.constant›(self.norm.weight, val=1)
            """,
            safe_fix="""
            import torch.nn.init as init

            class Net(nn.Module):
                def reset(self):
                    for layer in self.layers:
                        init.constant_(layer.bias, 0)
                    init.constant_(self.norm.weight, val=1)
            """,
        ),
        Bad(
            """
            from torch.nn.init import kaiming_normal

            «kaiming_normal»(layer.weight, mode="fan_out")
            """,
            safe_fix="""
            from torch.nn.init import kaiming_normal, kaiming_normal_

            kaiming_normal_(layer.weight, mode="fan_out")
            """,
        ),
        Bad(
            """
            from torch.nn.init import orthogonal as ortho

            «ortho»(layer.weight)
            """,
            safe_fix="""
            from torch.nn.init import orthogonal as ortho, orthogonal_

            orthogonal_(layer.weight)
            """,
        ),
        Good(
            """
            import numpy as np
            import torch
            from torch.nn import init

            init.xavier_uniform_(layer.weight)
            noise = np.random.normal(size=3) + np.random.uniform(-1, 1)
            mean = torch.normal(0.0, torch.ones(3))
            """,
            why="The names with an underscore, and functions of the same name from elsewhere.",
        ),
        Good(
            """
            from torch.nn import init

            if hasattr(init, "xavier_uniform_"):
                init.xavier_uniform_(layer.weight)
            else:
                init.xavier_uniform(layer.weight)
            """,
            why="It runs only where the new name is missing.",
        ),
        Good(
            """
            import torch
            from myproject.init import xavier_uniform

            xavier_uniform(layer.weight)
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = module.qualified_name(node.func) or ""
        package, _, old = name.rpartition(".")
        if package != "torch.nn.init" or old not in _DEPRECATED or _asks_for_version(module, node):
            return
        yield self.finding(
            module,
            node.func,
            f"`init.{old}` is deprecated and warns at every call, so it fails where warnings are errors. Write "
            f"`init.{old}_`, which it calls.",
            fix=_fix(module, node.func, old),
        )


def _asks_for_version(module: Module, node: ast.Call) -> bool:
    tests = (module.text(guard.test) for guard in module.guards(node))
    return any("hasattr" in test or "version" in test for test in tests)


def _fix(module: Module, function: ast.expr, old: str) -> Fix:
    title = f"Call {old}_"
    if isinstance(function, ast.Attribute) and last_name(function) == old:
        return safe(title, Replace(Span.of(function), f"{module.text(function)}_"))
    return safe(title, Replace(Span.of(function), f"{old}_"), AddImport("torch.nn.init", f"{old}_"))
