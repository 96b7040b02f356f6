from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._programs import is_started, is_test_path
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good, suggested
from mlrules_mcp.checks.tracking_rules.reproducible_experiments._seeds import is_of_workers
from mlrules_mcp.findings import Edit, Finding, Replace, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_SEEDS = {
    "numpy.random.seed": "seed",
    "numpy.random.default_rng": "seed",
    "numpy.random.RandomState": "seed",
    "numpy.random.SeedSequence": "entropy",
    **dict.fromkeys((f"numpy.random.{name}" for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")), "seed"),
}
_MODELS = TORCH | SKLEARN


class GeneratorWithoutSeed(Check[ast.Call]):
    """A random generator of NumPy that is made without a seed.

    ## What it does
    Finds `np.random.default_rng()`, `RandomState()`, `SeedSequence()`, bit generators, and `np.random.seed()` itself,
    that get no seed, or None, in code that runs when a file is started. It is advice in functions for others to call,
    which can't choose the seed, and in files without any model.

    ## Why it matters
    The seed is taken from the operating system and is another one in each run. What is drawn (a split, noise, initial
    weights) and every result that hangs on it can't be had again, and `np.random.seed` does not reach it.

    ## Do not flag
    Generators for callers that pass none (`rng or default_rng()`, `if rng is None`), defaults of parameters, seeds that
    don't all show, workers of loaders, and tests.

    ## Fix safety
    Suggested: a fixed seed gives the same numbers in each run.

    ## References
    - https://numpy.org/doc/stable/reference/random/generator.html
    """

    names = frozenset(name.rpartition(".")[2] for name in _SEEDS)
    packages = _MODELS | {"numpy"}
    examples = (
        Bad(
            """
            import numpy as np
            from sklearn.linear_model import Ridge

            rng = «np.random.default_rng()»
            order = rng.permutation(len(X))
            """,
            suggested_fix="""
            import numpy as np
            from sklearn.linear_model import Ridge

            rng = np.random.default_rng(seed=42)
            order = rng.permutation(len(X))
            """,
        ),
        Bad(
            """
            import torch
            from numpy.random import RandomState

            def main():
                noise = «RandomState(None)».normal(size=100)

            if __name__ == "__main__":
                main()
            """,
            suggested_fix="""
            import torch
            from numpy.random import RandomState

            def main():
                noise = RandomState(42).normal(size=100)

            if __name__ == "__main__":
                main()
            """,
        ),
        Bad(
            """
            import numpy as np
            import torch

            def split(items):
                return «np.random.default_rng()».permutation(items)
            """,
            suggested_fix="""
            import numpy as np
            import torch

            def split(items):
                return np.random.default_rng(seed=42).permutation(items)
            """,
            advice=True,
        ),
        Bad(
            """
            import numpy as np

            noise = «np.random.default_rng()».normal(size=100)
            """,
            suggested_fix="""
            import numpy as np

            noise = np.random.default_rng(seed=42).normal(size=100)
            """,
            advice=True,
        ),
        Good(
            """
            import numpy as np
            import torch

            def split(items, rng=None, seed=None):
                rng = rng or np.random.default_rng()
                if rng is None:
                    rng = np.random.default_rng()
                return np.random.default_rng(seed).permutation(items)

            class Sampler:
                def __init__(self, rng=None):
                    self.rng = np.random.RandomState() if rng is None else rng
            """,
            "for callers that pass none",
        ),
        Bad(
            """
            import numpy as np
            from lightgbm import LGBMClassifier

            SEED = None
            «np.random.seed()»
            bits = ‹np.random.Philox(SEED)›
            """,
            suggested_fix="""
            import numpy as np
            from lightgbm import LGBMClassifier

            SEED = None
            np.random.seed(seed=42)
            bits = np.random.Philox(42)
            """,
        ),
        Good(
            """
            import numpy as np
            import torch

            def seed_worker(worker):
                np.random.seed()

            rng = np.random.default_rng(7)
            generator = np.random.Generator(np.random.PCG64(seed=7))
            other = np.random.default_rng(*seeds)
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = module.qualified_name(node.func)
        if name not in _SEEDS or passes_unseen_arguments(node) or is_test_path(module):
            return
        seed = argument(node, _SEEDS[name], 0)
        if seed is not None and not all(map(_is_none, module.origins(seed))):
            return
        if _is_fallback(module, node) or is_of_workers(module, node):
            return
        yield self.finding(
            module,
            node,
            "The seed of this generator is another one in each run, so what it draws can't be had again. Pass one: "
            "`seed=42`.",
            fix=suggested("Pass a seed", _seeded(node, seed, _SEEDS[name])),
            advice=not is_started(module, node) or not module.uses(_MODELS),
        )


def _seeded(call: ast.Call, seed: ast.expr | None, parameter: str) -> Edit:
    return SetArgument(Span.of(call), parameter, "42") if seed is None else Replace(Span.of(seed), "42")


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _is_fallback(module: Module, node: ast.Call) -> bool:
    """Whether a generator stands in for one that was not given."""
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, ast.BoolOp | ast.IfExp | ast.arguments):
            return True
        if isinstance(ancestor, ast.stmt):
            break
    return any(True for _ in module.guards(node))
