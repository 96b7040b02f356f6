from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.deep_learning_rules._numbers import numbers
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import AddImport, Finding, Fix, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument

# Networks on graphs, whose published recipes are Adam with an L2 penalty.
_GRAPH_LIBRARIES = frozenset({"torch_geometric", "dgl", "ogb"})
_GRAPH_WORD = pattern(r"\b(GCN|GAT|GNN|adj)\b|edge_index|adj_mat")


class AdamWithWeightDecay(Check[ast.Call]):
    """Weight decay through Adam, which is an L2 penalty.

    ## What it does
    Finds `torch.optim.Adam` with a `weight_decay` other than zero, also in its parameter groups.

    ## Why it matters
    Adam adds the decay to the gradient and then divides both by the gradient's running size. So weights with large
    gradients are hardly decayed and those with small ones strongly, and the best decay depends on the learning rate.
    AdamW decays all weights alike, and generalises better with the same tuning.

    ## Do not flag
    `weight_decay=0`, a decay whose value the file does not show, `decoupled_weight_decay=True`, Adam
    as one of several optimizers that the user names, a comment that speaks of L2, and tests. Networks on graphs get
    advice, because their published settings are an L2 penalty in Adam.

    ## Fix safety
    Suggested: AdamW with the same number decays more, so the decay has to be tuned again.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
    - https://arxiv.org/abs/1711.05101
    """

    names = frozenset({"Adam"})
    examples = (
        Bad(
            """
            import torch

            optimizer = «torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)»
            """,
            suggested_fix="""
            import torch

            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-5)
            """,
        ),
        Bad(
            """
            from torch.optim import Adam

            DECAY = 0.01

            class Trainer:
                def __init__(self, model, decay=5e-4):
                    self.optimizer = «Adam(model.parameters(), weight_decay=decay)»
                    self.other = ‹Adam(model.parameters(), 1e-3, (0.9, 0.999), 1e-8, DECAY)›
            """,
            suggested_fix="""
            from torch.optim import Adam, AdamW

            DECAY = 0.01

            class Trainer:
                def __init__(self, model, decay=5e-4):
                    self.optimizer = AdamW(model.parameters(), weight_decay=decay)
                    self.other = AdamW(model.parameters(), 1e-3, (0.9, 0.999), 1e-8, DECAY)
            """,
        ),
        Bad(
            """
            import argparse
            import torch.optim as optim

            parser = argparse.ArgumentParser()
            parser.add_argument("--weight-decay", type=float, default=1e-4)
            args = parser.parse_args()
            optimizer = «optim.Adam(net.parameters(), lr=args.lr, weight_decay=args.weight_decay)»
            """,
            suggested_fix="""
            import argparse
            import torch.optim as optim

            parser = argparse.ArgumentParser()
            parser.add_argument("--weight-decay", type=float, default=1e-4)
            args = parser.parse_args()
            optimizer = optim.AdamW(net.parameters(), lr=args.lr, weight_decay=args.weight_decay)
            """,
        ),
        Bad(
            """
            from torch import optim

            groups = [
                {"params": decayed, "weight_decay": 0.05},
                {"params": others, "weight_decay": 0.0},
            ]
            optimizer = «optim.Adam(groups, lr=1e-3)»
            """,
            suggested_fix="""
            from torch import optim

            groups = [
                {"params": decayed, "weight_decay": 0.05},
                {"params": others, "weight_decay": 0.0},
            ]
            optimizer = optim.AdamW(groups, lr=1e-3)
            """,
        ),
        Bad(
            """
            import torch
            from torch_geometric.nn import GCNConv

            optimizer = «torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)»
            """,
            suggested_fix="""
            import torch
            from torch_geometric.nn import GCNConv

            optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=5e-4)
            """,
            advice=True,
        ),
        Good(
            """
            import torch

            def optimizers(model, args, decay):
                yield torch.optim.AdamW(model.parameters(), weight_decay=0.01)
                yield torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=5e-4)
                yield torch.optim.Adam(model.parameters())
                yield torch.optim.Adam(model.parameters(), weight_decay=0)
                yield torch.optim.Adam(model.parameters(), weight_decay=args.weight_decay)
                yield torch.optim.Adam(model.parameters(), weight_decay=decay)
                yield torch.optim.Adam(model.parameters(), weight_decay=0.01, decoupled_weight_decay=True)
            """,
            why="Other optimizers, no decay, one that nobody shows, and one that is decoupled.",
        ),
        Good(
            """
            import argparse
            import torch

            parser = argparse.ArgumentParser()
            parser.add_argument("--weight_decay", "--wd", default=0.0, type=float)
            args = parser.parse_args()
            optimizer = torch.optim.Adam(model.parameters(), weight_decay=args.weight_decay)
            """,
            why="It is off unless it is asked for.",
        ),
        Good(
            """
            import torch

            def make(name, model):
                if name == "adam":
                    return torch.optim.Adam(model.parameters(), weight_decay=1e-4)
                return torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-4)

            penalized = torch.optim.Adam(model.parameters(), weight_decay=1e-4)  # an L2 penalty
            """,
            why="Adam was asked for, or the penalty is what is meant.",
        ),
        Good(
            """
            import torch
            from keras.optimizers import Adam

            optimizer = Adam(learning_rate=0.01, weight_decay=0.01)
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not _may_decay(node) or module.qualified_name(node.func) != "torch.optim.Adam":
            return
        if argument(node, "decoupled_weight_decay") is not None or not _decays(module, node):
            return
        if _is_meant(module, node) or is_test(module):
            return
        yield self.finding(
            module,
            node,
            "In Adam `weight_decay` is an L2 penalty scaled by each weight's gradients, so it hardly decays the "
            "weights with large ones. Use `torch.optim.AdamW`, and tune the decay again.",
            fix=_fix(module, node.func),
            advice=_is_graph_network(module),
        )


def _is_meant(module: Module, call: ast.Call) -> bool:
    """Whether Adam is what the user asked for by name, or a comment speaks of an L2 penalty."""
    lines = module.source.code.split("\n")[call.lineno - 1 : call.end_lineno]
    if any("L2" in line.partition("#")[2] for line in lines):
        return True
    texts = (guard.test for guard in module.guards(call) if guard.holds and isinstance(guard.test, ast.Compare))
    return any("adam" in module.text(test).lower() for test in texts)


def _is_graph_network(module: Module) -> bool:
    return not module.imported_packages.isdisjoint(_GRAPH_LIBRARIES) or bool(_GRAPH_WORD.search(module.source.code))


def _may_decay(call: ast.Call) -> bool:
    return argument(call, "weight_decay", 4) is not None or argument(call, "params", 0) is not None


def _decays(module: Module, call: ast.Call) -> bool:
    """Whether a decay is seen to be other than zero, for all parameters or for a group of them."""
    found = numbers(module, argument(call, "weight_decay", 4))
    if found and all(found):
        return True
    groups = argument(call, "params", 0)
    origins = module.origins(groups) if groups is not None else []
    return any(
        isinstance(key, ast.Constant) and key.value == "weight_decay" and any(numbers(module, value))
        for origin in origins
        if isinstance(origin, ast.List | ast.Tuple)
        for group in origin.elts
        if isinstance(group, ast.Dict)
        for key, value in zip(group.keys, group.values, strict=True)
    )


def _fix(module: Module, function: ast.expr) -> Fix | None:
    title = "Use AdamW"
    if last_name(function) != "Adam":
        return None
    if isinstance(function, ast.Attribute):
        return suggested(title, Replace(Span.of(function), f"{module.text(function)}W"))
    return suggested(title, Replace(Span.of(function), "AdamW"), AddImport("torch.optim", "AdamW"))
