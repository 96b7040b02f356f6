from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._programs import is_test_path
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good, suggested
from mlrules_mcp.checks.tracking_rules.reproducible_experiments._seeds import SEEDING
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module

_CHANGING = frozenset(
    "time.time time.time_ns time.perf_counter time.monotonic datetime.datetime.now datetime.datetime.utcnow "
    "datetime.now datetime.datetime.today os.getpid os.urandom uuid.uuid4".split()
)


class TimeAsSeed(Check[ast.Call]):
    """A seed that is another one in each run.

    ## What it does
    Finds seeds and `random_state`s that are computed from the clock, the number of the process or the system's
    entropy, and that nothing else in the file uses, so that no run says which seed it had.

    ## Why it matters
    The generators are seeded, but no result can be had again: it is as if there were no seed.

    ## Do not flag
    A seed that is printed, logged, saved or passed on, one that is drawn only where none was given
    (`if args.seed is None`), one that is added to a given seed or that a loop draws anew in each turn, and tests.

    ## Fix safety
    Suggested: a fixed seed gives the same numbers in each run, which the old code did not.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/randomness.html
    - https://numpy.org/doc/stable/reference/random/index.html#seeding-and-entropy
    """

    names = frozenset(
        {"time", "time_ns", "perf_counter", "monotonic", "now", "utcnow", "today", "getpid", "urandom", "uuid4"}
    )
    packages = TORCH | SKLEARN | {"tensorflow", "keras", "jax", "gym", "gymnasium"}
    words = ("seed", "random_state")
    examples = (
        Bad(
            """
            import time
            import torch

            torch.manual_seed(«int(time.time())»)
            """,
            suggested_fix="""
            import time
            import torch

            torch.manual_seed(42)
            """,
        ),
        Bad(
            """
            from datetime import datetime
            import numpy as np
            import torch

            seed = «int(datetime.now().timestamp()) % 2**32»
            np.random.seed(seed)
            torch.manual_seed(seed)
            """,
            suggested_fix="""
            from datetime import datetime
            import numpy as np
            import torch

            seed = 42
            np.random.seed(seed)
            torch.manual_seed(seed)
            """,
        ),
        Bad(
            """
            import os
            import time
            from sklearn.model_selection import train_test_split

            X_train, X_test = train_test_split(X, random_state=«os.getpid()»)
            """,
            suggested_fix="""
            import os
            import time
            from sklearn.model_selection import train_test_split

            X_train, X_test = train_test_split(X, random_state=42)
            """,
        ),
        Good(
            """
            import time
            import torch

            seed = int(time.time())
            print("seed:", seed)
            torch.manual_seed(seed)
            """,
            "the run says which seed it had",
        ),
        Good(
            """
            import time
            import numpy as np
            import torch

            for generation in range(300):
                np.random.seed(int(time.time()))
                train(mutated(best))
            """,
            "a search that is to differ in each turn",
        ),
        Good(
            """
            import time
            import torch

            def seed_everything(seed=None):
                if seed is None:
                    seed = int(time.time())
                torch.manual_seed(seed)
                return seed

            start = time.time()
            torch.manual_seed(args.seed if args.seed is not None else int(time.time()))
            args.seed = int(time.time())
            torch.manual_seed(args.seed + int(time.time()) % 100)
            """,
            "where none is given, where it is kept with the other arguments, and added to a given one",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if module.qualified_name(node.func) not in _CHANGING or is_test_path(module):
            return
        seed = _seed_from(module, node)
        if seed is None or SEEDING.search(ast.unparse(seed)) or module.enclosing_loops(node):
            return
        if any("seed" in ast.unparse(guard.test).lower() for guard in module.guards(node)):
            return
        yield self.finding(
            module,
            seed,
            "The seed is another one in each run and is kept nowhere, so no result can be had again. Use a fixed seed, "
            "or log the one that is drawn.",
            fix=suggested("Use a fixed seed", Replace(Span.of(seed), "42")),
        )


def _seed_from(module: Module, clock: ast.Call) -> ast.expr | None:
    """The whole expression of a seed that a call is part of, if it is used for nothing but seeding."""
    expression: ast.expr = clock
    for ancestor in module.ancestors(clock):
        match ancestor:
            case ast.Call(func=func) if expression is not func and _seeds(module, ancestor):
                return expression
            case ast.keyword(arg=str(name)) if SEEDING.search(name):
                return expression
            case ast.Assign(targets=[ast.Name() as name]):
                return expression if _only_seeds(module, name) else None
            case ast.expr():
                expression = ancestor
            case ast.keyword():
                continue
            case _:
                return None
    return None


def _seeds(module: Module, call: ast.Call) -> bool:
    name = module.called_name(call) or ""
    return name in ("RandomState", "default_rng") or bool(SEEDING.search(name))


def _only_seeds(module: Module, variable: ast.Name) -> bool:
    """Whether every use of a variable is the seed of something, and there is one."""
    uses = [name for name in module.nodes(ast.Name) if name.id == variable.id and isinstance(name.ctx, ast.Load)]
    return bool(uses) and all(_is_seed(module, use) for use in uses)


def _is_seed(module: Module, use: ast.Name) -> bool:
    parent = module.parent(use)
    if isinstance(parent, ast.keyword):
        return bool(SEEDING.search(parent.arg or ""))
    return isinstance(parent, ast.Call) and parent.func is not use and _seeds(module, parent)
