from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import is_script, is_test_file
from mlrules_mcp.checks._lightning import LIGHTNING_DATA_MODULE
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import AddImport, Finding, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_OTHER_GENERATORS = frozenset({"numpy.random.seed", "random.seed", "numpy.random.default_rng", "random.Random"})


class RandomSplitWithoutGenerator(Check[ast.Call]):
    """A random split that falls out otherwise each time.

    ## What it does
    Finds `random_split` without `generator=` where nothing in the file seeds PyTorch. It is advice in functions that
    other files may call after they have set a seed.

    ## Why it matters
    Each run, each process and each call of `setup` draws another split. Who stops and resumes training, or loads a
    checkpoint and tests it, then tests on rows that the model was trained on, and scores of two runs can't be compared.

    ## Do not flag
    A `generator`, files that seed PyTorch, tests.

    ## Fix safety
    Suggested: it draws another split than the last run did.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split
    """

    names = frozenset({"random_split"})
    also_enforces = ("tracking_rules.reproducible_experiments",)
    examples = (
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader, random_split

            train_set, val_set = «random_split(dataset, [0.8, 0.2])»
            loader = DataLoader(train_set, batch_size=32, shuffle=True)
            """,
            suggested_fix="""
            import torch
            from torch.utils.data import DataLoader, random_split

            train_set, val_set = random_split(dataset, [0.8, 0.2], generator=torch.Generator().manual_seed(42))
            loader = DataLoader(train_set, batch_size=32, shuffle=True)
            """,
        ),
        Bad(
            """
            import lightning as L
            import torch

            class Digits(L.LightningDataModule):
                def setup(self, stage):
                    self.train, self.val = «torch.utils.data.random_split(self.full, [55000, 5000])»
            """,
            suggested_fix="""
            import lightning as L
            import torch

            class Digits(L.LightningDataModule):
                def setup(self, stage):
                    self.train, self.val = torch.utils.data.random_split(self.full, [55000, 5000], generator=torch.Generator().manual_seed(42))
            """,  # noqa: E501
        ),
        Bad(
            """
            import numpy as np
            import torch
            from torch.utils.data import random_split

            np.random.seed(0)

            def main():
                train, test = «random_split(dataset, lengths=[n, m])»

            if __name__ == "__main__":
                main()
            """,
            suggested_fix="""
            import numpy as np
            import torch
            from torch.utils.data import random_split

            np.random.seed(0)

            def main():
                train, test = random_split(dataset, lengths=[n, m], generator=torch.Generator().manual_seed(42))

            if __name__ == "__main__":
                main()
            """,
        ),
        Bad(
            """
            import torch
            from torch.utils.data import random_split

            def split(dataset):
                return «random_split(dataset, [0.9, 0.1])»
            """,
            advice=True,
            suggested_fix="""
            import torch
            from torch.utils.data import random_split

            def split(dataset):
                return random_split(dataset, [0.9, 0.1], generator=torch.Generator().manual_seed(42))
            """,
        ),
        Bad(
            """
            import lightning as L
            import torch
            from torch.utils.data import random_split

            class Digits(L.LightningDataModule):
                def setup(self, stage):
                    if stage == "fit":
                        self.train, self.val = «random_split(self.full, [55000, 5000])»
            """,
            advice=True,
            suggested_fix="""
            import lightning as L
            import torch
            from torch.utils.data import random_split

            class Digits(L.LightningDataModule):
                def setup(self, stage):
                    if stage == "fit":
                        self.train, self.val = random_split(self.full, [55000, 5000], generator=torch.Generator().manual_seed(42))
            """,  # noqa: E501
        ),
        Good(
            """
            import torch
            from torch.utils.data import random_split

            generator = torch.Generator().manual_seed(0)
            train, val = random_split(dataset, [0.8, 0.2], generator=generator)
            first, second = random_split(dataset, [0.5, 0.5], torch.Generator().manual_seed(1))
            """
        ),
        Good(
            """
            import torch
            from torch.utils.data import random_split
            from utils import set_seed

            set_seed(0)
            train, val = random_split(dataset, [0.8, 0.2])
            """,
            why="the file seeds the generator of all",
        ),
        Good(
            """
            import torch

            train, val = project.random_split(dataset, [0.8, 0.2])
            """,
            why="another function of that name",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not _is_random_split(module, node) or argument(node, "generator", 2) is not None:
            return
        if passes_unseen_arguments(node) or is_test_file(module) or module.fact(_seeds_torch):
            return
        yield self.finding(
            module,
            node,
            "Every run and every process draws another split, so that a resumed or reloaded model is tested on rows it "
            "was trained on. Pass `generator=torch.Generator().manual_seed(42)`.",
            advice=not _is_drawn_anew(module, node),
            fix=suggested(
                "Draw the same split each time",
                SetArgument(Span.of(node), "generator", "torch.Generator().manual_seed(42)"),
                AddImport("torch"),
            ),
        )


def _is_random_split(module: Module, call: ast.Call) -> bool:
    name = module.qualified_name(call.func)
    return name is not None and name.startswith("torch.utils.data") and name.endswith("random_split")


def _is_drawn_anew(module: Module, call: ast.Call) -> bool:
    """Whether a split is drawn in the script itself, or by a hook that the Trainer calls for each stage."""
    cls = module.enclosing_class(call)
    if cls is not None:
        drawn_for_each_stage = not any("stage" in module.text(guard.test) for guard in module.guards(call))
        in_data_module = module.is_subclass(cls, LIGHTNING_DATA_MODULE)
        return in_data_module and (drawn_for_each_stage or is_script(module))
    return module.enclosing_function(call) is None or is_script(module)


def _seeds_torch(module: Module) -> bool:
    """Whether anything in a module seeds PyTorch, or may do so by its name."""
    return any(
        "seed" in (module.called_name(call) or "").lower() and module.qualified_name(call.func) not in _OTHER_GENERATORS
        for call in module.nodes(ast.Call)
    )
