from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks._programs import is_test_path
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.lightning_rules._trainers import uses_several_devices
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments


class SeedEverythingWithoutWorkers(Check[ast.Call]):
    """`seed_everything` without `workers=True`, in training on several devices.

    ## What it does
    Finds `seed_everything(seed)` in files whose Trainer uses several devices and whose loaders have workers.

    ## Why it matters
    Every process gets the same seed, and PyTorch seeds a loader's workers from it and from their number alone: the
    first worker of each process draws the same crops and flips, and the set is augmented with fewer different draws
    than it seems. With `workers=True` the process's rank goes into the seeds.

    ## Do not flag
    Training on one device, where PyTorch seeds the workers well by itself; loaders without workers or with a
    `worker_init_fn`; tests.

    ## Fix safety
    Suggested: the augmentations differ from those of earlier runs.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/trainer.html#reproducibility
    """

    names = frozenset({"seed_everything"})
    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            «L.seed_everything(42)»
            loader = DataLoader(dataset, batch_size=32, shuffle=True, num_workers=8)
            trainer = L.Trainer(devices=4, strategy="ddp")
            trainer.fit(model, loader)
            """,
            suggested_fix="""
            import lightning as L
            from torch.utils.data import DataLoader

            L.seed_everything(42, workers=True)
            loader = DataLoader(dataset, batch_size=32, shuffle=True, num_workers=8)
            trainer = L.Trainer(devices=4, strategy="ddp")
            trainer.fit(model, loader)
            """,
        ),
        Bad(
            """
            from pytorch_lightning import Trainer, seed_everything
            from torch.utils.data import DataLoader

            «seed_everything(args.seed, workers=False)»
            loader = DataLoader(images, num_workers=args.workers)
            Trainer(accelerator="gpu", devices=[0, 1]).fit(model, loader)
            """,
            suggested_fix="""
            from pytorch_lightning import Trainer, seed_everything
            from torch.utils.data import DataLoader

            seed_everything(args.seed, workers=True)
            loader = DataLoader(images, num_workers=args.workers)
            Trainer(accelerator="gpu", devices=[0, 1]).fit(model, loader)
            """,
        ),
        Good(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            L.seed_everything(42)
            L.Trainer(devices=1).fit(model, DataLoader(dataset, num_workers=8))
            """,
            "one process: PyTorch seeds its workers",
        ),
        Good(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            L.seed_everything(42, workers=True)
            L.seed_everything(42, True)
            L.Trainer(devices=4).fit(model, DataLoader(dataset, num_workers=8))
            """
        ),
        Good(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            L.seed_everything(42)
            L.Trainer(devices=4).fit(model, DataLoader(dataset, batch_size=32))
            """,
            "no workers",
        ),
        Good(
            """
            import lightning as L
            from project.data import ImageData

            L.seed_everything(42)
            L.Trainer(devices=4).fit(model, datamodule=ImageData())
            """,
            "whether its loaders have workers does not show",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = module.qualified_name(node.func) or ""
        if not name.startswith("lightning.") or passes_unseen_arguments(node) or is_test_path(module):
            return
        workers = argument(node, "workers", 1)
        if workers is not None and not (isinstance(workers, ast.Constant) and not workers.value):
            return
        loaders = module.calls("DataLoader")
        if not any(map(_has_workers, loaders)) or not uses_several_devices(module):
            return
        yield self.finding(
            module,
            node,
            "The workers of all processes draw the same random numbers, because they are seeded without the process's "
            "rank. Pass `workers=True`.",
            fix=suggested("Pass workers=True", SetArgument(Span.of(node), "workers", "True")),
        )


def _has_workers(loader: ast.Call) -> bool:
    workers = argument(loader, "num_workers", 5)
    has_none = workers is None or (isinstance(workers, ast.Constant) and not workers.value)
    return not has_none and argument(loader, "worker_init_fn") is None
