from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules._numbers import numbers
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_NORMS = tuple(f"BatchNorm{n}d" for n in (1, 2, 3))
# Statistics that are shared between devices, kept from training, or taken over nodes of graphs.
_OTHER_STATISTICS = pattern(r"SyncBatchNorm|[Ff]reeze|[Ff]rozen|isinstance\([^)]*BatchNorm|torch_geometric|\bdgl\b")
_WRAPPERS = frozenset({"enumerate", "tqdm", "iter", "trange", "track", "islice", "zip"})


class BatchnormOnSingleSample(Check[ast.Call]):
    """Batch normalisation trained on batches of one sample.

    ## What it does
    Finds a training loop over a `DataLoader` with `batch_size=1` in a file whose modules use batch normalisation, and a
    `train_dataloader` of Lightning that returns such a loader.

    ## Why it matters
    The statistics of a batch of one are those of the sample itself. `BatchNorm1d` of features raises an error in
    training; with images each is normalised by itself, and the running statistics used in evaluation fit none.

    ## Do not flag
    Loaders for validation, test or prediction; batches put together by a `collate_fn` or a `batch_sampler`; batch
    normalisation that is frozen or synchronised between devices; graphs, whose batch is all nodes; tests.

    ## Fix safety
    No fix: a larger batch needs memory, and `GroupNorm` in its place changes the model.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
    - https://arxiv.org/abs/1803.08494
    """

    names = frozenset({"DataLoader"})
    examples = (
        Bad(
            """
            import torch.nn as nn
            from torch.utils.data import DataLoader

            model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
            loader = «DataLoader(train_set, batch_size=1, shuffle=True)»
            for epoch in range(10):
                for x, y in tqdm(loader):
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
            """
        ),
        Bad(
            """
            import argparse
            import torch
            from torch import nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.bn = nn.BatchNorm1d(10)

            def train(model, loader, optimizer):
                for i, (x, y) in enumerate(loader):
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()

            parser = argparse.ArgumentParser()
            parser.add_argument("--batch-size", type=int, default=1)
            args = parser.parse_args()
            loader = «torch.utils.data.DataLoader(train_set, args.batch_size)»
            train(Net(), loader, torch.optim.SGD(net.parameters(), lr=0.1))
            """
        ),
        Bad(
            """
            import lightning as L
            from torch import nn
            from torch.utils.data import DataLoader

            class Net(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.net = nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4))

                def train_dataloader(self):
                    return «DataLoader(self.train_set)»
            """
        ),
        Good(
            """
            import torch.nn as nn
            from torch.utils.data import DataLoader

            model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
            train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
            test_loader = DataLoader(test_set, batch_size=1)
            whole_batches = DataLoader(batches, batch_size=1, collate_fn=first)
            for x, y in train_loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
            for x, y in test_loader:
                predict(model(x))
            for x, y in whole_batches:
                criterion(model(x), y).backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import torch.nn as nn
            from torch.utils.data import DataLoader

            model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.ReLU())
            loader = DataLoader(train_set, batch_size=1, shuffle=True)
            for x, y in loader:
                criterion(model(x), y).backward()
                optimizer.step()
            """,
            why="Group normalisation does not look at the batch.",
        ),
        Good(
            """
            import torch.nn as nn
            from torch.utils.data import DataLoader

            model = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
            loader = DataLoader(train_set, batch_size=1, shuffle=True)
            for x, y in loader:
                criterion(model(x), y).backward()
                optimizer.step()
            """,
            why="The statistics are those of all devices.",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not _has_one_sample(module, node) or module.qualified_name(node.func) != "torch.utils.data.DataLoader":
            return
        normalises = any((module.qualified_name(c.func) or "").startswith("torch.nn.") for c in module.calls(*_NORMS))
        if not normalises or _OTHER_STATISTICS.search(module.source.code) or is_test(module):
            return
        if _is_for_training(module, node):
            yield self.finding(
                module,
                node,
                "Batch normalisation over a batch of one sample normalises the sample by itself, or raises an error, "
                "and its running statistics fit nothing. Use a larger batch, or `GroupNorm`.",
            )


def _has_one_sample(module: Module, loader: ast.Call) -> bool:
    if any(keyword.arg in {None, "collate_fn", "batch_sampler"} for keyword in loader.keywords):
        return False
    size = argument(loader, "batch_size", 1)
    return (size is None and len(loader.args) == 1) or set(numbers(module, size)) == {1.0}


def _is_for_training(module: Module, loader: ast.Call) -> bool:
    """Whether a training loop goes over a loader, or Lightning is given it for training."""
    function = module.enclosing_function(loader)
    if function is not None and function.name == "train_dataloader":
        return True
    return any(isinstance(loop, ast.For) and loader in _iterated(module, loop.iter) for loop in module.step_regions)


def _iterated(module: Module, iterable: ast.expr) -> list[ast.expr]:
    while isinstance(iterable, ast.Call) and iterable.args and module.called_name(iterable) in _WRAPPERS:
        iterable = iterable.args[0]
    return origins_through_calls(module, iterable)
