from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules.appropriate_initialization._parameters import (
    initialised_attributes,
    is_filled_by_loading,
    is_part_of_package,
    is_trained_here,
    is_uninitialised_tensor,
    may_initialise_all,
)
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE

_BASES = frozenset({MODULE, LIGHTNING_MODULE, "builtins.object", "abc.ABC", "typing.Generic"})


class UninitialisedParameter(Check[ast.Call]):
    """A parameter that starts with whatever was in memory.

    ## What it does
    Finds `nn.Parameter(torch.empty(…))` in an `nn.Module`, also with `torch.Tensor(sizes)`, `torch.FloatTensor(sizes)`
    and `empty_like`, where nothing in the file gives the parameter its values. It is advice in a file that neither
    trains nor initialises other parameters of the module, which another file may do.

    ## Why it matters
    `torch.empty` does not write its memory. The parameter starts with zeros, huge numbers or NaN, another time
    differently, so training fails now and then, and no seed makes it repeat.

    ## Do not flag
    Parameters that are initialised or loaded anywhere in the file, by their name or with all others
    (`for p in self.parameters()`, `self.apply(…)`); modules that inherit from classes of other files, which may
    initialise them; `requires_grad=False`, the device `meta` and files that load weights; empty tensors; tests.

    ## Fix safety
    No fix: which initialisation is right hangs on the layer.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.empty.html
    - https://docs.pytorch.org/docs/stable/nn.init.html
    """

    names = frozenset({"Parameter"})
    examples = (
        Bad(
            """
            import torch
            from torch import nn

            class Attention(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.query = «nn.Parameter(torch.empty(1, dim))»
                    self.key = nn.Parameter(torch.empty(1, dim))
                    nn.init.xavier_uniform_(self.key)

                def forward(self, x):
                    return (x @ self.query.T) * (x @ self.key.T)
            """
        ),
        Bad(
            """
            import torch as t
            from torch.nn import Module, Parameter

            class Scale(Module):
                def __init__(self, num_features):
                    super().__init__()
                    self.scale = «Parameter(t.Tensor(num_features))»
                    self.register_parameter("shift", ‹Parameter(t.FloatTensor(1, 3))›)

                def forward(self, x):
                    return x * self.scale + self.shift
            """,
            advice=True,
        ),
        Bad(
            """
            import torch
            import torch.nn as nn

            class Embedding(nn.Module):
                def __init__(self, like):
                    super().__init__()
                    start = torch.empty_like(like)
                    self.table = «nn.Parameter(start)»

                def forward(self, i):
                    return self.table[i]

            embedding = Embedding(vectors)
            optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1)
            for i, y in loader:
                optimizer.zero_grad()
                criterion(embedding(i), y).backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import torch
            import torch.nn as nn

            class LoRA(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(dim, dim))
                    self.weight.requires_grad = False
            """,
            why="It is frozen, so its values are loaded.",
        ),
        Good(
            """
            import torch
            import torch.nn as nn

            class Decoder(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.positions = nn.Parameter(torch.empty(dim, dim))

            decoder = Decoder(512)
            decoder.load_state_dict(torch.load("weights.pt"))
            """
        ),
        Good(
            """
            import torch
            import torch.nn as nn

            class Layer(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.a = nn.Parameter(torch.empty(dim, dim))
                    self.b = nn.Parameter(torch.empty(dim).normal_(std=0.02))
                    self.c = nn.Parameter(nn.init.orthogonal_(torch.empty(dim, dim)))
                    self.d = nn.Parameter(torch.Tensor(dim))
                    self.e = nn.Parameter(torch.Tensor([1.0, 2.0]))
                    self.f = nn.Parameter(torch.empty(dim))
                    start = torch.empty(dim)
                    start.uniform_(-1, 1)
                    self.g = nn.Parameter(start)
                    self.h = nn.Parameter(torch.randn(dim) / dim)
                    self.reset_parameters()

                def reset_parameters(self):
                    nn.init.kaiming_uniform_(self.a, a=5**0.5)
                    self.d.data.uniform_(-1, 1)
                    self.f[:] = 0
            """
        ),
        Good(
            """
            import torch
            from .layers import Block

            class Decoder(torch.nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.positions = torch.nn.Parameter(torch.empty(dim, dim))
                    self.block = Block(dim)
            """,
            why="Another file of the package may initialise it or load its weights.",
        ),
        Good(
            """
            import math
            import torch
            import torch.nn as nn

            class Cell(nn.Module):
                def __init__(self, size):
                    super().__init__()
                    self.w = nn.Parameter(torch.Tensor(size, size))
                    self.u = nn.Parameter(torch.Tensor(size, size))
                    for weight in self.parameters():
                        weight.data.uniform_(-1 / math.sqrt(size), 1 / math.sqrt(size))
            """,
            why="All parameters are initialised at once.",
        ),
        Good(
            """
            import torch
            import torch.nn as nn
            from myproject.layers import BaseLayer

            class Layer(BaseLayer):
                def __init__(self, dim):
                    super().__init__()
                    self.w = nn.Parameter(torch.empty(dim))
            """,
            why="The base class may initialise it.",
        ),
        Good(
            """
            import torch
            import torch.nn as nn

            class Quantized(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.w = nn.Parameter(torch.empty(dim, dtype=torch.uint8), requires_grad=False)
                    self.m = nn.Parameter(torch.empty(dim, device="meta"))
                    self.none = nn.Parameter(torch.empty(0))
            """,
            why="Values are loaded into the first two, and the last has none.",
        ),
        Good(
            """
            import torch
            import torch.nn as nn

            class Layer(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.att_src = nn.Parameter(torch.empty(dim))
                    self.att_dst = nn.Parameter(torch.empty(dim))
                    for weight in (self.att_src, self.att_dst):
                        nn.init.normal_(weight)

            class Other(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.scale = nn.Parameter(torch.empty(dim))

            def init_weights(module):
                if isinstance(module, Other):
                    module.scale.data.fill_(1.0)
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if module.qualified_name(node.func) != "torch.nn.Parameter" or not _is_trained(node):
            return
        data = argument(node, "data", 0)
        cls = module.enclosing_class(node)
        if data is None or cls is None or not is_uninitialised_tensor(module, data):
            return
        name = _attribute(module, node)
        if name is None or not _knows_its_bases(module, cls) or is_test(module):
            return
        if (
            name in module.fact(initialised_attributes)
            or may_initialise_all(module, cls)
            or is_filled_by_loading(module)
        ):
            return
        is_sure = is_trained_here(module, cls)
        if not is_sure and is_part_of_package(module):
            return
        yield self.finding(
            module,
            node,
            "Nothing gives this parameter its values, so it starts with whatever was in memory: zeros, huge numbers or "
            "NaN. Initialise it, such as with `nn.init.xavier_uniform_`, or start from `torch.zeros` or `torch.randn`.",
            error=True,
            advice=not is_sure,
        )


def _is_trained(call: ast.Call) -> bool:
    match argument(call, "requires_grad", 1):
        case None | ast.Constant(value=True):
            return True
    return False


def _attribute(module: Module, parameter: ast.Call) -> str | None:
    """The attribute that a parameter becomes."""
    match module.parent(parameter):
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)]):
            return name
        case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=name)):
            return name
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="self"), attr="register_parameter"),
            args=[ast.Constant(value=str() as name), _],
        ):
            return str(name)
    return None


def _knows_its_bases(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class is a module, and all that it inherits stands in this file or initialises nothing of its own."""
    return module.is_subclass(cls, MODULE) and all(
        module.local_class(base) is not None or module.qualified_name(base) in _BASES
        for each in module.lineage(cls)
        for base in each.bases
    )
