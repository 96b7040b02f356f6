from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._programs import is_example_path, is_started, is_test_path
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good
from mlrules_mcp.checks.tracking_rules.reproducible_experiments._seeds import mentions_seeds
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import FUNCTIONS, Function
from mlrules_mcp.source.values import MODULE, is_library_subclass

_DRAWS = frozenset(
    "shuffle permutation choice rand randn randint random random_sample uniform normal standard_normal binomial beta "
    "multivariate_normal exponential poisson dirichlet gamma multinomial laplace".split()
)
# Functions that are there to seed, and those that a program starts with.
_SEEDING = pattern(
    r"(?i:seed|reproduc|determinis|random_state|worker|setup|set_up|init_env|(^|_)main|test|demo|example)"
)
# Methods that a loader's workers run, whose generators PyTorch seeds.
_IN_WORKERS = frozenset({"__getitem__", "__call__", "__iter__", "forward", "transform", "augment", "collate_fn"})


class GlobalNumpyRandom(Check[ast.Module]):
    """A function for others to call that seeds NumPy's global generator, or orders data by it.

    ## What it does
    Points at functions and methods of modules that others import which call `np.random.seed`, with what they draw then.
    In modules without any seed it points at `np.random.shuffle` and `np.random.permutation`. Always advice, one for a
    module.

    ## Why it matters
    There is one global generator for the whole process. A function that seeds it makes everything else that draws from
    it start over: the shuffling of the data, the augmentation, another model's initialisation. Two runs with different
    seeds get the same draws behind the call.

    ## Do not flag
    What runs when the file is started (the program's own seed), functions that seed PyTorch as well or are called like
    a helper for seeding, set-up code, the methods of datasets and models, examples and tests.

    ## Fix safety
    No fix: the generator has to be passed on to where it is used.

    ## References
    - https://numpy.org/doc/stable/reference/random/legacy.html
    - https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness
    """

    packages = TORCH | SKLEARN
    words = ("random.",)
    examples = (
        Bad(
            """
            import numpy as np
            import torch

            def split(items, seed=0):
                «np.random.seed(seed)»
                order = ‹np.random.permutation(len(items))›
                return order[:100], order[100:]
            """,
            advice=True,
        ),
        Bad(
            """
            import numpy as np
            from sklearn.base import BaseEstimator

            class Sampler(BaseEstimator):
                def fit(self, X, y=None):
                    «np.random.seed(self.random_state)»
                    self.weights_ = ‹np.random.rand(X.shape[1])›
                    return self
            """,
            advice=True,
        ),
        Bad(
            """
            import numpy as np
            import torch

            class Data:
                def split(self, share):
                    order = «np.random.permutation(len(self.items))»
                    return order[: int(share * len(order))]
            """,
            advice=True,
        ),
        Good(
            """
            import numpy as np
            import torch

            def sample(probabilities):
                return np.random.choice(len(probabilities), p=probabilities)

            np.random.shuffle(items)
            """,
            "one draw, and a program",
        ),
        Good(
            """
            import numpy as np
            import torch

            def split(items, seed=0):
                rng = np.random.default_rng(seed)
                return rng.permutation(len(items))

            def set_seed(seed):
                np.random.seed(seed)
                torch.manual_seed(seed)

            def worker_init(worker):
                np.random.seed(torch.initial_seed() % 2**32)
            """
        ),
        Good(
            """
            import numpy as np
            import torch

            def main(seed):
                np.random.seed(seed)
                train(np.random.permutation(100))

            def run():
                np.random.seed(1)

            run()
            """,
            "a program seeds for itself",
        ),
        Good(
            """
            import random
            import numpy as np
            import torch

            class Trainer:
                def __init__(self, seed):
                    random.seed(seed)
                    np.random.seed(seed)
                    torch.manual_seed(seed)
            """,
            "all generators, for a whole run",
        ),
        Good(
            """
            import numpy as np
            import torch

            class Boxes(torch.utils.data.Dataset):
                def _augmented(self, boxes):
                    np.random.shuffle(boxes)
                    return boxes

            class Mixed:
                def __call__(self, images):
                    return images[np.random.permutation(len(images))]
            """,
            "PyTorch seeds the workers that run it",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if module.source.notebook is not None:
            return
        if is_test_path(module) or is_example_path(module):
            return
        seeds = [call for call in module.calls("seed") if _is_aside(module, call)]
        if seeds:
            functions = {module.enclosing_function(call) for call in seeds}
            draws = [call for call in module.calls(*_DRAWS) if module.enclosing_function(call) in functions]
            yield self._found(
                module,
                [*seeds, *(call for call in draws if _is_numpy(module, call))],
                "Seeding NumPy's global generator makes everything else in the process that draws from it start over. "
                "Make a generator, `rng = np.random.default_rng(seed)`, and draw from that.",
            )
        elif orders := [call for call in module.calls("shuffle", "permutation") if _orders_for_others(module, call)]:
            yield self._found(
                module,
                orders,
                "This order comes from NumPy's global generator, so it hangs on whatever drew from that before, and "
                "callers can't fix it alone. Take a generator, `rng`, as an argument and draw from that.",
            )

    def _found(self, module: Module, places: list[ast.Call], message: str) -> Finding:
        return self.finding(module, places[0], message, advice=True, also_at=places[1:])


def _is_aside(module: Module, call: ast.Call) -> bool:
    """Whether a call seeds NumPy's global generator in a function that is there for something else."""
    if module.qualified_name(call.func) != "numpy.random.seed" or is_started(module, call):
        return False
    functions: list[Function] = [each for each in module.ancestors(call) if isinstance(each, FUNCTIONS)]
    if not functions or any(_SEEDING.search(each.name) for each in functions):
        return False
    if any("test" in ast.unparse(guard.test) for guard in module.guards(call)):
        return False
    return all(module.enclosing_function(other) is not functions[0] for other in module.calls("manual_seed"))


def _is_numpy(module: Module, call: ast.Call) -> bool:
    return (module.qualified_name(call.func) or "").startswith("numpy.random.")


def _orders_for_others(module: Module, call: ast.Call) -> bool:
    """Whether a call brings data into a random order in a function that other files call, in a module without seeds."""
    function = module.enclosing_function(call)
    if function is None or function.name in _IN_WORKERS or not _is_numpy(module, call):
        return False
    cls = module.enclosing_class(call)
    bases = module.base_names(cls) if cls is not None else ()
    if any(is_library_subclass(base, MODULE) or base.endswith("Dataset") for base in bases):
        return False
    return not is_started(module, call) and not mentions_seeds(module)
