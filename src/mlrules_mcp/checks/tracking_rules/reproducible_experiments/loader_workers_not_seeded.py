from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._programs import is_test_path
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import Function

_GENERATORS = frozenset(
    {"numpy.random.RandomState", "numpy.random.default_rng", "numpy.random.Generator", "random.Random"}
)
_SEEDERS = frozenset({"numpy.random.seed", "random.seed", "torch.manual_seed"})


class LoaderWorkersNotSeeded(Check[ast.Module]):
    """Workers of a loader that all draw the same random numbers.

    ## What it does
    Finds datasets that make a random generator in `__init__` and draw from it in `__getitem__`, and a
    `worker_init_fn` that gives every worker one and the same seed. Where the file makes no loader with workers, a
    generator on the dataset is advice.

    ## Why it matters
    Each worker gets a copy of the dataset, and with it of the generator: all of them draw the same crops, flips and
    noise, and the same again in each epoch, because the workers are made anew from the first copy. The training set
    is augmented with a fraction of the draws that were meant.

    ## Do not flag
    The global generators of NumPy, Python and PyTorch in `__getitem__`: PyTorch seeds them in each worker, NumPy's
    since 1.9. Generators that are made in `__getitem__` itself, from the index, or replaced in a `worker_init_fn`.

    ## Fix safety
    No fix: draw from the global generators, or make the generator when a worker asks first.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/faq.html#my-data-loader-workers-return-identical-random-numbers
    - https://docs.pytorch.org/docs/stable/data.html#randomness-in-multi-process-data-loading
    """

    examples = (
        Bad(
            """
            import numpy as np
            from torch.utils.data import DataLoader, Dataset

            class Noisy(Dataset):
                def __init__(self, images):
                    self.images = images
                    self.rng = np.random.default_rng(0)

                def __len__(self):
                    return len(self.images)

                def __getitem__(self, index):
                    return self.images[index] + «self.rng.normal(size=3)»

            loader = DataLoader(Noisy(images), batch_size=8, num_workers=4)
            """
        ),
        Bad(
            """
            import random
            import torch

            class Crops(torch.utils.data.Dataset):
                def __init__(self, images, seed, fixed=False):
                    self.random = random.Random(seed)
                    self.fixed = fixed

                def _crop(self, image):
                    rng = random.Random(0) if self.fixed else self.random
                    return image[«rng.randint(0, 10)»:]

                def __getitem__(self, index):
                    return self._crop(self.images[index])
            """,
            advice=True,
        ),
        Bad(
            """
            import numpy as np
            from torch.utils.data import DataLoader

            def init_worker(worker_id):
                «np.random.seed(0)»

            loader = DataLoader(dataset, num_workers=4, worker_init_fn=init_worker)
            other = DataLoader(dataset, num_workers=4, worker_init_fn=lambda _: «np.random.seed(42)»)
            """
        ),
        Good(
            """
            import numpy as np
            import torch
            from torch.utils.data import DataLoader, Dataset

            class Noisy(Dataset):
                def __init__(self, images):
                    self.order = np.random.default_rng(0).permutation(len(images))

                def __getitem__(self, index):
                    rng = np.random.default_rng(index)
                    return self.images[index] + np.random.normal(size=3) + rng.normal()

            def init_worker(worker_id):
                np.random.seed(torch.initial_seed() % 2**32)

            loader = DataLoader(Noisy(images), num_workers=4, worker_init_fn=init_worker)
            """,
            "the global generator, which PyTorch seeds in each worker, and one made from the index",
        ),
        Good(
            """
            import numpy as np
            from torch.utils.data import DataLoader, Dataset, get_worker_info

            class Noisy(Dataset):
                def __init__(self, images):
                    self.rng = np.random.default_rng(0)

                def __getitem__(self, index):
                    return self.images[index] + self.rng.normal()

            def init_worker(worker_id):
                info = get_worker_info()
                info.dataset.rng = np.random.default_rng(info.seed)

            loader = DataLoader(Noisy(images), num_workers=4, worker_init_fn=init_worker)
            """,
            "each worker gets its own",
        ),
        Good(
            """
            import numpy as np
            from torch.utils.data import DataLoader, Dataset

            class Noisy(Dataset):
                def __init__(self, images):
                    self.rng = np.random.RandomState(0)
                    self.noise = self.rng.normal(size=len(images))

                def __getitem__(self, index):
                    return self.images[index] + self.noise[index]

            def seed_worker(worker_id):
                np.random.seed(SEED + worker_id)

            loader = DataLoader(Noisy(images), num_workers=4, worker_init_fn=seed_worker)
            """,
            "drawn once for all, and a seed for each worker",
        ),
        Good(
            """
            import numpy as np
            from torch.utils.data import DataLoader, Dataset

            class Noisy(Dataset):
                def __init__(self, images):
                    self.rng = np.random.RandomState(0)

                def __getitem__(self, index):
                    return self.images[index] + self.rng.normal()

            loader = DataLoader(Noisy(images), batch_size=8)
            """,
            "no workers",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_path(module):
            return
        if "worker_init_fn" in module.source.code:
            for call in _same_seeds(module):
                yield self.finding(
                    module,
                    call,
                    "Every worker gets the same seed, so all draw the same random numbers, and the same again in each "
                    "epoch. Leave it to PyTorch, which seeds each worker, or use `torch.initial_seed() % 2**32`.",
                )
        elif "__getitem__" in module.source.code:
            loaders = module.calls("DataLoader")
            if not loaders or any(map(_has_workers, loaders)):
                for call in _copied_generators(module):
                    yield self.finding(
                        module,
                        call,
                        "Each worker of a loader gets a copy of this generator, so all draw the same numbers, and the "
                        "same again in each epoch. Draw from the global generator, which PyTorch seeds in each worker.",
                        advice=not loaders,
                    )


def _has_workers(loader: ast.Call) -> bool:
    workers = argument(loader, "num_workers", 5)
    return workers is not None and not (isinstance(workers, ast.Constant) and not workers.value)


def _copied_generators(module: Module) -> Iterator[ast.Call]:
    """The first draw in `__getitem__`, or in what it calls, from a generator that a dataset makes for all items."""
    for cls in module.nodes(ast.ClassDef):
        getter = module.method(cls, "__getitem__")
        if getter is None or module.enclosing_class(getter) is not cls or not _is_dataset(module, cls):
            continue
        draws = (draw for function in _with_helpers(module, cls, getter) for draw in _draws(module, cls, function))
        yield from list(draws)[:1]


def _is_dataset(module: Module, cls: ast.ClassDef) -> bool:
    return any((name or "").rpartition(".")[2].endswith("Dataset") for name in module.base_names(cls))


def _with_helpers(module: Module, cls: ast.ClassDef, function: Function) -> list[Function]:
    found = [function]
    for each in found:
        for node in module.walk(each.body):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
                    helper = module.method(cls, name)
                    if helper is not None and helper not in found:
                        found.append(helper)
    return found


def _draws(module: Module, cls: ast.ClassDef, function: Function) -> Iterator[ast.Call]:
    for node in module.walk(function.body):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name() | ast.Attribute() as generator)):
                if any(_is_made_once(module, cls, origin) for origin in module.origins(generator)):
                    yield node


def _is_made_once(module: Module, cls: ast.ClassDef, origin: ast.expr) -> bool:
    if not (isinstance(origin, ast.Call) and module.qualified_name(origin.func) in _GENERATORS):
        return False
    function = module.enclosing_function(origin)
    return module.enclosing_class(origin) is cls and (function is None or function.name == "__init__")


def _same_seeds(module: Module) -> Iterator[ast.Call]:
    for loader in module.nodes(ast.Call):
        init = argument(loader, "worker_init_fn")
        if init is None:
            continue
        for origin in module.origins(init):
            yield from _seeds_alike(module, origin)


def _seeds_alike(module: Module, init: ast.expr) -> Iterator[ast.Call]:
    """The calls in a `worker_init_fn` that seed with a constant."""
    function: ast.AST | None = init if isinstance(init, ast.Lambda) else None
    if isinstance(init, ast.Name):
        function = next((each for each in module.functions if each.name == init.id), None)
    if function is None:
        return
    for node in module.walk(function):
        match node:
            case ast.Call(func=func, args=[ast.Constant(value=int())]) if module.qualified_name(func) in _SEEDERS:
                yield node
