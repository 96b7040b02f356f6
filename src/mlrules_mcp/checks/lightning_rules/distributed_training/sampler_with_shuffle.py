from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding, RemoveArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_POSITIONS = {"shuffle": 2, "sampler": 3, "batch_sampler": 4}


class SamplerWithShuffle(Check[ast.Call]):
    """A DataLoader with a sampler that is told to shuffle as well.

    ## What it does
    Finds `DataLoader(…, sampler=s, shuffle=True)`, and the same with `batch_sampler`.

    ## Why it matters
    The sampler is what decides on the order, so that the call raises a ValueError. Where the sampler is made for
    distributed training alone, that happens on the first machine with several devices.

    ## Do not flag
    `shuffle=False`, `shuffle=sampler is None`, a sampler that is None, loaders of other libraries, tests.

    ## Fix safety
    Safe: the code can't run as it is, and `DistributedSampler` shuffles by default. For a sampler that may be None
    there is no fix.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
    """

    names = frozenset({"DataLoader"})
    examples = (
        Bad(
            """
            from torch.utils.data import DataLoader, DistributedSampler

            loader = DataLoader(dataset, batch_size=8, «shuffle=True», sampler=DistributedSampler(dataset))
            """,
            safe_fix="""
            from torch.utils.data import DataLoader, DistributedSampler

            loader = DataLoader(dataset, batch_size=8, sampler=DistributedSampler(dataset))
            """,
        ),
        Bad(
            """
            import torch

            sampler = torch.utils.data.WeightedRandomSampler(weights, len(weights))
            loader = torch.utils.data.DataLoader(dataset, sampler=sampler, «shuffle=True»)
            batches = torch.utils.data.DataLoader(dataset, batch_sampler=Batches(dataset), ‹shuffle=True›)
            """,
            safe_fix="""
            import torch

            sampler = torch.utils.data.WeightedRandomSampler(weights, len(weights))
            loader = torch.utils.data.DataLoader(dataset, sampler=sampler)
            batches = torch.utils.data.DataLoader(dataset, batch_sampler=Batches(dataset))
            """,
        ),
        Bad(
            """
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler

            sampler = DistributedSampler(dataset) if distributed else None
            loader = DataLoader(dataset, sampler=sampler, «shuffle=True»)
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader, DistributedSampler

            sampler = DistributedSampler(dataset) if distributed else None
            loader = DataLoader(dataset, sampler=sampler, shuffle=(sampler is None))
            plain = DataLoader(dataset, sampler=None, shuffle=True)
            unshuffled = DataLoader(dataset, sampler=sampler, shuffle=False)
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader

            def loader(dataset, sampler=None):
                return DataLoader(dataset, sampler=sampler, shuffle=True)
            """,
            "a parameter that may be None",
        ),
        Good(
            """
            from torch_geometric.loader import DataLoader

            loader = DataLoader(dataset, sampler=sampler(dataset), shuffle=True)
            """,
            "another library's loader",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        keyword = next((each for each in node.keywords if each.arg == "shuffle"), None)
        if (
            keyword is None
            or not (isinstance(keyword.value, ast.Constant) and keyword.value.value is True)
            or not module.is_call_to(node, "torch.utils.data.DataLoader")
            or is_test(module)
        ):
            return
        for name in ("sampler", "batch_sampler"):
            sampler = argument(node, name, _POSITIONS[name])
            origins = module.origins(sampler) if sampler is not None else []
            if any(isinstance(origin, ast.Call) for origin in origins):
                certain = all(isinstance(origin, ast.Call) for origin in origins)
                fix = safe("Leave the order to the sampler", RemoveArgument(Span.of(node), "shuffle"))
                yield self.finding(
                    module,
                    keyword,
                    "`DataLoader` raises a ValueError, because a sampler and `shuffle=True` exclude each other. "
                    "Leave the order to the sampler, and pass `shuffle=True` only where there is none.",
                    fix=fix if certain else None,
                )
                return
