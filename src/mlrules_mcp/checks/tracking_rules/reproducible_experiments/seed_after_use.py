from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._programs import is_test_path, trained_here
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good
from mlrules_mcp.checks.tracking_rules.reproducible_experiments._seeds import (
    global_draws,
    is_of_workers,
    seedings,
    torch_draws,
)
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.names import argument

_IN_ORDER = frozenset({"shuffle", "permutation"})


class SeedAfterUse(Check[ast.Module]):
    """A seed that is set when weights or a split are drawn already.

    ## What it does
    Finds models that are made, and data that is split or shuffled, before the first seed of that library in the same
    function, or at a file's own level, and used behind it.

    ## Why it matters
    The weights or the split are others in each run, and so are the results, although the code has a seed.

    ## Do not flag
    Functions in a file where anything is seeded elsewhere as well, loaders (they draw when they are iterated), models
    that are only tried out, and what happens in another branch.

    ## Fix safety
    No fix: what else stands between the two has to be looked at.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/randomness.html
    """

    packages = TORCH | SKLEARN
    words = ("seed",)
    examples = (
        Bad(
            """
            import torch
            from torch import nn

            model = nn.Sequential(«nn.Linear(20, 50)», nn.ReLU(), nn.Linear(50, 2))
            torch.manual_seed(0)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for batch in loader:
                loss = model(batch).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            """
        ),
        Bad(
            """
            import numpy as np
            from sklearn.model_selection import train_test_split

            def main():
                X_train, X_test = «train_test_split(X, test_size=0.2)»
                np.random.seed(42)
                fit(X_train)
            """
        ),
        Bad(
            """
            import lightning as L
            import torch
            from torch.utils.data import random_split

            train, val = «random_split(dataset, [0.8, 0.2])»
            L.seed_everything(42, workers=True)
            L.Trainer().fit(model, torch.utils.data.DataLoader(train))
            """
        ),
        Good(
            """
            import numpy as np
            import torch
            from torch import nn

            torch.manual_seed(0)
            net = nn.Linear(20, 2)
            torch.manual_seed(1)
            np.random.seed(1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            for batch in loader:
                net(batch).mean().backward()
                optimizer.step()
            """,
            "seeded before, and again",
        ),
        Good(
            """
            import torch
            from torch import nn

            layer = nn.Linear(20, 2)
            print(layer(torch.rand(1, 20)))
            loader = torch.utils.data.DataLoader(data, shuffle=True)
            torch.manual_seed(0)
            model = nn.Linear(20, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """,
            "tried out, and a loader, which draws later",
        ),
        Good(
            """
            import numpy as np
            import torch
            from sklearn.model_selection import train_test_split
            from models import Llama

            model = torch.nn.Linear(20, 2)
            load_weights(model)
            torch.manual_seed(0)
            print(generate(model))

            X_train, X_test = train_test_split(X)
            fit(X_train)
            np.random.seed(0)
            X_train, X_test = train_test_split(X)
            fit(X_train)
            """,
            "nothing is trained, and a split that is made anew",
        ),
        Good(
            """
            import numpy as np
            import torch
            from sklearn.model_selection import train_test_split

            X_train, X_test = train_test_split(X, random_state=0)
            np.random.seed(0)
            """,
            "drawn by a seed of its own",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_path(module):
            return
        every = [each for each in seedings(module) if not is_of_workers(module, each.call)]
        for libraries in (("torch", "every"), ("numpy", "every"), ("random", "every")):
            found = [each for each in every if each.library in libraries]
            functions = {module.enclosing_function(each.call) for each in found}
            if len(functions) != 1 or module.enclosing_loops(found[0].call):
                continue
            draw = next(_drawn_before(module, libraries[0], found[0].call), None)
            if draw is not None:
                yield self.finding(
                    module,
                    draw,
                    "This is drawn before the seed is set, so it is another one in each run. Set the seed first.",
                    related=[(found[0].call, "the seed")],
                )


def _drawn_before(module: Module, library: str, seeding: ast.Call) -> Iterator[ast.Call]:
    function = module.enclosing_function(seeding)
    for draw in _draws(module, library):
        before = start(draw) < start(seeding) and module.enclosing_function(draw) is function
        if before and not _in_another_branch(module, draw, seeding) and _is_used_after(module, draw, seeding):
            yield draw


def _draws(module: Module, library: str) -> Iterator[ast.Call]:
    if library == "torch" and trained_here(module) is not None:
        for call in torch_draws(module):
            if module.called_name(call) != "DataLoader" and argument(call, "generator") is None:
                yield call
    elif library == "numpy":
        for call in module.calls("train_test_split"):
            is_of_sklearn = (module.qualified_name(call.func) or "").startswith("sklearn.")
            if is_of_sklearn and argument(call, "random_state") is None and argument(call, "shuffle") is None:
                yield call
    if library != "torch":
        yield from (draw for draw in global_draws(module, library) if module.called_name(draw) in _IN_ORDER)


def _is_used_after(module: Module, draw: ast.Call, seeding: ast.Call) -> bool:
    """Whether what is drawn is used behind the seed: a split, or a model that is run in a loop or passed on."""
    statement = module.statement(draw)
    if isinstance(statement, ast.Expr):  # shuffled in place
        return True
    bound = {
        node.id for node in module.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    for name in module.nodes(ast.Name):
        if name.id in bound and start(name) > start(seeding) and isinstance(name.ctx, ast.Load):
            values = (binding.value for binding in module.reaching(name))
            if any(value is not None and module.is_inside(draw, value) for value in values) and _matters(module, name):
                return True
    return False


def _matters(module: Module, use: ast.Name) -> bool:
    parent = module.parent(use)
    is_run = isinstance(parent, ast.Call) and parent.func is use
    return not isinstance(parent, ast.Expr) and (not is_run or module.enclosing_loop(use) is not None)


def _in_another_branch(module: Module, draw: ast.Call, seeding: ast.Call) -> bool:
    """Whether the seed is set under conditions that the draw is not under, or the other way round."""
    return [g.test for g in module.guards(draw)] != [g.test for g in module.guards(seeding)]
