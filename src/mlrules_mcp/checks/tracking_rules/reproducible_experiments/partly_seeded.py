from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import torch_name
from mlrules_mcp.checks._programs import is_started, trained_here
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.tracking_rules.reproducible_experiments._seeds import (
    Seeding,
    global_draws,
    is_of_workers,
    seedings,
    torch_draws,
)
from mlrules_mcp.findings import Finding, Fix, InsertAfter, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_NAMES = {"torch": "PyTorch", "numpy": "NumPy", "random": "Python's `random`"}
_SEEDED_BY = {"torch": "torch.manual_seed", "numpy": "np.random.seed", "random": "random.seed"}
# What a number is drawn for that no result hangs on.
_NOT_DATA = pattern(r"(?i:environ|port\b|_id\b|suffix|file_?name|run_?name|uuid|sleep)")


class PartlySeeded(Check[ast.Module]):
    """A program that seeds one library and draws from another.

    ## What it does
    Finds files that train a model when they are started, seed the generators of some libraries, and draw from the
    global generator of another one that nothing seeds: NumPy's, Python's or PyTorch's. `torch.cuda.manual_seed` alone
    counts as not seeding PyTorch.

    ## Why it matters
    Each library has a generator of its own. The seed that is set makes the program look reproducible, while the split,
    the order or the weights are others in each run. Weights are drawn on the CPU before they are moved, so a seed for
    the GPU alone does not reach them.

    ## Do not flag
    Files that others import, tests, programs that call a function which may seed everything (`seed_everything`, an
    imported `set_seed`), draws in what a loader's workers run (PyTorch seeds those from its own seed), and those of a
    port or a name.

    ## Fix safety
    Suggested: results differ from those of earlier runs.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/randomness.html
    """

    words = ("seed",)
    examples = (
        Bad(
            """
            import numpy as np
            import torch

            torch.manual_seed(0)
            indices = «np.random.permutation(len(dataset))»
            model = torch.nn.Linear(20, 2)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """,
            suggested_fix="""
            import numpy as np
            import torch

            torch.manual_seed(0)
            np.random.seed(0)
            indices = np.random.permutation(len(dataset))
            model = torch.nn.Linear(20, 2)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """,
        ),
        Bad(
            """
            import random
            import torch

            def set_seed(seed):
                random.seed(seed)
                torch.cuda.manual_seed_all(seed)

            def main(args):
                set_seed(args.seed)
                model = «torch.nn.Linear(20, 2)»
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()

            main(parse())
            """,
            suggested_fix="""
            import random
            import torch

            def set_seed(seed):
                random.seed(seed)
                torch.manual_seed(seed)
                torch.cuda.manual_seed_all(seed)

            def main(args):
                set_seed(args.seed)
                model = torch.nn.Linear(20, 2)
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()

            main(parse())
            """,
        ),
        Good(
            """
            import numpy as np
            import random
            import torch

            random.seed(0)
            np.random.seed(0)
            torch.manual_seed(0)
            random.shuffle(files)
            indices = np.random.permutation(len(dataset))
            model = torch.nn.Linear(20, 2)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import numpy as np
            import torch
            from helpers import set_seed

            set_seed(0)
            torch.manual_seed(0)
            np.random.shuffle(files)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """,
            "the helper may seed NumPy too",
        ),
        Good(
            """
            import numpy as np
            import torch

            class Noisy(torch.utils.data.Dataset):
                def __getitem__(self, index):
                    return self.items[index] + np.random.normal()

            torch.manual_seed(0)
            rng = np.random.default_rng(0)
            indices = rng.permutation(100)
            model = torch.nn.Linear(20, 2)
            for batch in torch.utils.data.DataLoader(Noisy(), num_workers=2):
                model(batch).mean().backward()
                optimizer.step()
            """,
            "a generator of its own, and workers, which PyTorch seeds",
        ),
        Good(
            """
            import numpy as np
            import torch
            from torch.utils.data import DataLoader

            model = torch.nn.Linear(20, 2)
            for batch in DataLoader(dataset, num_workers=4, worker_init_fn=lambda i: np.random.seed(start + i)):
                model(batch).mean().backward()
                optimizer.step()
            """,
            "only workers are seeded",
        ),
        Good(
            """
            import os
            from random import randint
            import torch

            torch.manual_seed(0)
            os.environ["MASTER_PORT"] = str(randint(20000, 55555))
            model = torch.nn.Linear(20, 2)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """,
            "a port: no result hangs on it",
        ),
        Good(
            """
            import numpy as np
            import torch

            def fit(loader):
                torch.manual_seed(0)
                np.random.shuffle(files)
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
            """,
            "the program that calls it may have seeded NumPy",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not (module.backward_calls or module.calls("fit")):
            return
        seeded = [each for each in seedings(module) if is_started(module, each.call)]
        if any(is_of_workers(module, each.call) for each in seeded):
            return
        libraries = {each.library for each in seeded}
        if not libraries or len(seedings(module)) != len(seeded) or "every" in libraries:
            return
        if trained_here(module) is None:
            return
        for library in ("torch", "numpy", "random"):
            if library in libraries:
                continue
            draws = torch_draws(module) if library == "torch" else global_draws(module, library)
            draws = [draw for draw in draws if not _is_beside_training(module, draw)]
            if draws:
                yield self._found(module, library, draws[0], seeded)

    def _found(self, module: Module, library: str, draw: ast.Call, seeded: list[Seeding]) -> Finding:
        first = seeded[0].call
        return self.finding(
            module,
            draw,
            f"{_NAMES[library]} draws here from a generator that nothing seeds, so runs differ in spite of the seed "
            f"that is set. Call `{_SEEDED_BY[library]}` with the same seed.",
            fix=_seeded_as_well(module, library, draw, first),
            related=[(first, "what is seeded")],
        )


def _is_beside_training(module: Module, draw: ast.Call) -> bool:
    """Whether a draw picks a port, a name and the like, or a few items at a notebook's own level, as to show them."""
    picks = module.called_name(draw) in ("sample", "choice", "choices", "randint", "randrange")
    in_notebook = module.source.notebook is not None and module.enclosing_function(draw) is None
    return picks and (in_notebook or bool(_NOT_DATA.search(ast.unparse(module.statement(draw)))))


def _seeded_as_well(module: Module, library: str, draw: ast.Call, seeding: ast.Call) -> Fix | None:
    """A seed for another library next to the one there is."""
    statement = module.statement(seeding)
    if not (isinstance(statement, ast.Expr) and statement.value is seeding and len(seeding.args) == 1):
        return None
    match library, draw.func:
        case "torch", _:
            seeder = f"{torch_name(module)}.manual_seed" if torch_name(module) else None
        case _, ast.Attribute(value=generator):
            seeder = f"{module.text(generator)}.seed"
        case _:
            seeder = None
    if seeder is None:
        return None
    return suggested("Seed it as well", InsertAfter(Span.of(statement), f"{seeder}({module.text(seeding.args[0])})"))
