from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.values import LIGHTNING_MODULE

_EVALUATION = pattern(r"(^|_)(val|valid|validation|test|eval|dev|query|gallery)", re.IGNORECASE)
# They call `set_epoch` themselves, or bring samplers of their own.
_CALL_IT = frozenset({"lightning", "lightning_fabric", "accelerate", "transformers", "deepspeed", "ignite", "fastai"})


class SamplerWithoutSetEpoch(Check[ast.Call]):
    """A DistributedSampler that is never told the epoch.

    ## What it does
    Finds a `DistributedSampler` that shuffles, in a file with a training loop, where nothing calls `set_epoch`.

    ## Why it matters
    The order is drawn from the seed and the epoch. Without `set_epoch` every epoch goes through the data in the same
    order and every process keeps the same part of it, with no error to show it.

    ## Do not flag
    `shuffle=False`, samplers of validation and test, files without a training loop, libraries that call it (Lightning,
    Accelerate, Transformers), tests.

    ## Fix safety
    No fix: the call belongs at the top of the epoch's loop, which may stand elsewhere.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler
    """

    names = frozenset({"DistributedSampler"})
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler

            sampler = «DistributedSampler(dataset)»
            loader = DataLoader(dataset, batch_size=8, sampler=sampler)
            for epoch in range(10):
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            def train(rank, epochs):
                loader = torch.utils.data.DataLoader(
                    data,
                    sampler=«torch.utils.data.DistributedSampler(data, num_replicas=8, rank=rank, shuffle=True)»,
                )
                for epoch in range(epochs):
                    for batch in loader:
                        model(batch).mean().backward()
                        optimizer.step()
            """
        ),
        Good(
            """
            import torch
            from torch.utils.data import DistributedSampler

            sampler = DistributedSampler(dataset)
            val_sampler = DistributedSampler(val_set)
            in_order = DistributedSampler(dataset, shuffle=False)
            for epoch in range(10):
                sampler.set_epoch(epoch)
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader, DistributedSampler

            def make_loader(dataset):
                return DataLoader(dataset, sampler=DistributedSampler(dataset))
            """,
            "the loop stands elsewhere",
        ),
        Good(
            """
            import torch
            from torch.utils.data import DistributedSampler

            val_sampler = DistributedSampler(val_set)
            once = DistributedSampler(dataset)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """,
            "validation, and one epoch",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if (
            not module.is_call_to(node, "torch.utils.data.DistributedSampler")
            or _never_shuffles(node)
            or "set_epoch" in module.source.code
            or module.imported_packages & _CALL_IT
            or not any(module.enclosing_loops(loop) for loop in module.training_loops)
            or _is_for_evaluation(module, node)
            or any(module.is_subclass(cls, LIGHTNING_MODULE) for cls in module.nodes(ast.ClassDef))
            or is_test(module)
        ):
            return
        yield self.finding(
            module,
            node,
            "Every epoch goes through the data in the same order, because nothing tells this sampler the epoch. "
            "Call `sampler.set_epoch(epoch)` at the beginning of each epoch.",
        )


def _never_shuffles(call: ast.Call) -> bool:
    shuffle = argument(call, "shuffle", 3)
    return isinstance(shuffle, ast.Constant) and shuffle.value is False


def _is_for_evaluation(module: Module, call: ast.Call) -> bool:
    """Whether a sampler is called after validation or test: by its variable, its data or the loader around it."""
    statement = module.statement(call)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    words = [ast.unparse(each) for each in (*targets, *call.args[:1])]
    return any(_EVALUATION.search(word.rpartition(".")[2]) for word in words)
