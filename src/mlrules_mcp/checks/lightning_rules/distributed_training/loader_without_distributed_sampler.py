from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_DDP = ("torch.nn.parallel.DistributedDataParallel", "torch.nn.parallel.distributed.DistributedDataParallel")
_SPLITS = pattern(r"sampler|iterable|shard|rank|webdataset|split_by_node|world_size", re.IGNORECASE)
# They put a sampler of their own into loaders.
_PUT_IT = frozenset({"lightning", "lightning_fabric", "accelerate", "transformers", "deepspeed", "ignite", "fastai"})


class LoaderWithoutDistributedSampler(Check[ast.Call]):
    """A shuffled loader that every process of DistributedDataParallel goes through whole.

    ## What it does
    Finds `DataLoader(…, shuffle=True)` in a file that trains with DistributedDataParallel, where nothing splits the
    data over the processes.

    ## Why it matters
    Each process goes through all of the data, in an order of its own: an epoch costs as much as on one device, and
    more devices only make the batch larger.

    ## Do not flag
    Files in which a sampler, a shard or the rank takes part in choosing the data; iterable data sets; loaders for
    validation, which are not shuffled; Lightning, Accelerate and others that put a sampler in; tests.

    ## Fix safety
    No fix: the sampler has to be told the epoch as well.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler
    - https://docs.pytorch.org/tutorials/beginner/ddp_series_multigpu.html
    """

    names = frozenset({"DataLoader"})
    examples = (
        Bad(
            """
            import torch.distributed as dist
            from torch.nn.parallel import DistributedDataParallel
            from torch.utils.data import DataLoader

            def main(local, dataset):
                dist.init_process_group("nccl")
                model = DistributedDataParallel(Net().to(local), device_ids=[local])
                loader = «DataLoader(dataset, batch_size=32, shuffle=True)»
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
            """
        ),
        Good(
            """
            import torch.distributed as dist
            from torch.nn.parallel import DistributedDataParallel
            from torch.utils.data import DataLoader, DistributedSampler

            def main(local, dataset, val_set):
                dist.init_process_group("nccl")
                model = DistributedDataParallel(Net().to(local), device_ids=[local])
                loader = DataLoader(dataset, batch_size=32, sampler=DistributedSampler(dataset))
                all_of_it = DataLoader(dataset, shuffle=True)
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
            """,
            "there is a sampler",
        ),
        Good(
            """
            import torch.distributed as dist
            from torch.nn.parallel import DistributedDataParallel
            from torch.utils.data import DataLoader, Subset

            dist.init_process_group("nccl")
            model = DistributedDataParallel(Net())
            mine = Subset(dataset, range(dist.get_rank(), len(dataset), dist.get_world_size()))
            for batch in DataLoader(mine, shuffle=True):
                model(batch).mean().backward()
                optimizer.step()
            """,
            "split by the rank",
        ),
        Good(
            """
            import torch.distributed as dist
            from torch.nn.parallel import DistributedDataParallel
            from torch.utils.data import DataLoader

            dist.init_process_group("nccl")
            model = DistributedDataParallel(Net())
            dataset = Pictures("train", rank=dist.get_rank())
            for batch in DataLoader(dataset, shuffle=True):
                model(batch).mean().backward()
                optimizer.step()
            """,
            "a data set of the process's own",
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader

            for batch in DataLoader(dataset, shuffle=True):
                model(batch).mean().backward()
                optimizer.step()
            """,
            "one process",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        shuffle = argument(node, "shuffle", 2)
        if not (isinstance(shuffle, ast.Constant) and shuffle.value is True) or passes_unseen_arguments(node):
            return
        if (
            any(module.is_call_to(call, *_DDP) for call in module.calls("DistributedDataParallel"))
            and module.calls("init_process_group")
            and bool(module.training_loops)
            and module.is_call_to(node, "torch.utils.data.DataLoader")
            and not module.imported_packages & _PUT_IT
            and not _splits(module)
            and not _is_a_share(module, argument(node, "dataset", 0))
            and not is_test(module)
        ):
            yield self.finding(
                module,
                node,
                "Each process goes through all of the data, so that more devices make no epoch shorter. "
                "Pass `sampler=DistributedSampler(dataset)` in the place of `shuffle=True`, and tell it each epoch.",
            )


def _splits(module: Module) -> bool:
    """Whether anything in a file may divide the data: a sampler, a shard, or the rank among a data set's arguments."""
    names = {alias.name for alias in module.nodes(ast.alias)}
    if any("ampler" in name or "Iterable" in name for name in names) or "ampler" in module.source.code:
        return True
    return any(
        _SPLITS.search(ast.unparse(call)) and not module.is_call_to(call, *_DDP)
        for call in module.calls("Subset", "DataLoader", "random_split", "load_dataset", "select", "shard")
    )


def _is_a_share(module: Module, dataset: ast.expr | None) -> bool:
    """Whether a data set is made for one process: from its rank, or as a stream."""
    origins = module.origins(dataset) if dataset is not None else []
    return any(_SPLITS.search(ast.unparse(origin)) for origin in origins)
