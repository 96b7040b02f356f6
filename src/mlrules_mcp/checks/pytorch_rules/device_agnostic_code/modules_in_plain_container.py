from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._containers import Container, Containers, may_be_collection
from mlrules_mcp.findings import AddImport, Finding, Fix, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import MODULE


class ModulesInPlainContainer(Check[ast.Assign | ast.AnnAssign]):
    """Modules or parameters that a module keeps in a plain list or dict.

    ## What it does
    Finds attributes of an `nn.Module` or LightningModule that are lists, tuples or dicts of modules or parameters
    made there: `self.layers = [nn.Linear(…), …]`, a comprehension, or an empty list that they are appended to.

    ## Why it matters
    A module looks for its parts among its attributes, not inside plain collections. What lies there is not moved by
    `.to(device)`, is missing from `parameters()`, so the optimizer never trains it, and from the state dict, so
    it is not saved.

    ## Do not flag
    Lists that are also turned into a `ModuleList` or a `Sequential`, lists of modules that are attributes of their
    own (`[self.a, self.b]`) or registered with `add_module` or `setattr`, activations and losses without weights, a
    single module hidden in a list (`self.teacher = [teacher]`), containers that another part is made with, classes that
    override `parameters` or `to`.

    ## Fix safety
    Suggested: the parameters appear in the optimizer and the state dict, so earlier checkpoints no longer fit.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleDict.html
    """

    examples = (
        Bad(
            """
            from torch import nn

            class MLP(nn.Module):
                def __init__(self, sizes):
                    super().__init__()
                    self.layers = «[nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]»

                def forward(self, x):
                    for layer in self.layers:
                        x = layer(x).relu()
                    return x
            """,
            suggested_fix="""
            from torch import nn

            class MLP(nn.Module):
                def __init__(self, sizes):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])

                def forward(self, x):
                    for layer in self.layers:
                        x = layer(x).relu()
                    return x
            """,
        ),
        Bad(
            """
            import torch.nn as N

            class Block(N.Module):
                def __init__(self, size):
                    super().__init__()
                    self.conv = N.Conv2d(size, size, 3)

            class Encoder(N.Module):
                def __init__(self, depth):
                    super().__init__()
                    self.blocks = «[]»
                    self.blocks.append(Block(2**depth))
            """,
            suggested_fix="""
            import torch.nn as N

            class Block(N.Module):
                def __init__(self, size):
                    super().__init__()
                    self.conv = N.Conv2d(size, size, 3)

            class Encoder(N.Module):
                def __init__(self, depth):
                    super().__init__()
                    self.blocks = N.ModuleList()
                    self.blocks.append(Block(2**depth))
            """,
        ),
        Bad(
            """
            from torch.nn import Linear, Module

            class Heads(Module):
                def __init__(self, size):
                    super().__init__()
                    self.heads = «{"age": Linear(size, 1), "sex": Linear(size, 2)}»

                def forward(self, x):
                    return {name: head(x) for name, head in self.heads.items()}
            """,
            suggested_fix="""
            from torch.nn import Linear, Module, ModuleDict

            class Heads(Module):
                def __init__(self, size):
                    super().__init__()
                    self.heads = ModuleDict({"age": Linear(size, 1), "sex": Linear(size, 2)})

                def forward(self, x):
                    return {name: head(x) for name, head in self.heads.items()}
            """,
        ),
        Bad(
            """
            import lightning.pytorch as pl
            from torch import nn

            def conv(a, b):
                return nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU())

            class Net(pl.LightningModule):
                def __init__(self, widths):
                    super().__init__()
                    layers = []
                    for a, b in widths:
                        layers.append(conv(a, b))
                    self.layers = «layers»
            """,
            suggested_fix="""
            import lightning.pytorch as pl
            from torch import nn

            def conv(a, b):
                return nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU())

            class Net(pl.LightningModule):
                def __init__(self, widths):
                    super().__init__()
                    layers = []
                    for a, b in widths:
                        layers.append(conv(a, b))
                    self.layers = nn.ModuleList(layers)
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Experts(nn.Module):
                def __init__(self, count, size):
                    super().__init__()
                    self.weights = «[nn.Parameter(torch.randn(size, size)) for _ in range(count)]»
                    self.towers = «{}»
                    self.tower = «(nn.Linear(size, size),) * count»

                def add(self, name, size):
                    self.towers[name] = nn.Linear(size, size)
            """,
            suggested_fix="""
            import torch
            from torch import nn

            class Experts(nn.Module):
                def __init__(self, count, size):
                    super().__init__()
                    self.weights = nn.ParameterList([nn.Parameter(torch.randn(size, size)) for _ in range(count)])
                    self.towers = {}
                    self.tower = nn.ModuleList((nn.Linear(size, size),) * count)

                def add(self, name, size):
                    self.towers[name] = nn.Linear(size, size)
            """,
        ),
        Bad(
            """
            from torch import nn

            class Grid(nn.Module):
                def __init__(self, rows):
                    super().__init__()
                    self.cells = «[[nn.Linear(1, 1), nn.Linear(1, 1)] for _ in range(rows)]»
            """
        ),
        Bad(
            """
            import torch

            class Layer(torch.nn.Linear):
                pass

            class Net(torch.nn.Module):
                def __init__(self, sizes, device):
                    super().__init__()
                    self.layers = []
                    for size in sizes:
                        self.layers = «self.layers + [Layer(size, size).to(device)]»
            """
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, sizes):
                    super().__init__()
                    layers = [nn.Linear(size, size) for size in sizes]
                    self.layers = nn.ModuleList(layers)
                    self.net = nn.Sequential(*[nn.Linear(size, size) for size in sizes])
                    self.heads = nn.ModuleDict({"a": nn.Linear(1, 1)})
            """
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, sizes):
                    super().__init__()
                    self.blocks = [nn.Linear(size, size) for size in sizes]
                    self.net = nn.Sequential(*self.blocks)
                    layers = []
                    layers.append(nn.Linear(1, 1))
                    self.layers = layers
                    self.stack = nn.ModuleList(layers)
                    self.late = [nn.Linear(1, 1)]
                    self.late = nn.ModuleList(self.late)
            """,
            why="they are registered through the Sequential or the ModuleList",
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first = nn.Linear(1, 1)
                    self.second = second = nn.Linear(1, 1)
                    third = nn.Linear(1, 1)
                    self.third = third
                    self.layers = [self.first, second, third]
            """,
            why="each is an attribute of its own",
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, sizes):
                    super().__init__()
                    self.layers = []
                    for number, size in enumerate(sizes):
                        layer = nn.Linear(size, size)
                        self.layers.append(layer)
                        self.add_module(f"layer{number}", layer)

            class Other(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
                    setattr(self, "first", self.layers[0])
            """
        ),
        Good(
            """
            from torch import nn

            class Pool(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.pool = nn.AvgPool1d(width)

            class Net(nn.Module):
                def __init__(self, widths):
                    super().__init__()
                    self.losses = {"l1": nn.L1Loss(), "l2": nn.MSELoss()}
                    self.pools = [Pool(width) for width in widths]
            """,
            why="they have no weights and behave the same in training and evaluation",
        ),
        Good(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                def __init__(self, teacher):
                    super().__init__()
                    self.teacher = [teacher]
                    self.features = [nn.Conv2d(3, 3, 3)]
                    self.optimizers = [torch.optim.Adam(self.parameters())]

                def forward(self, x):
                    return self.features[0](x)
            """,
            why="a module is hidden in a list on purpose, so that it is not trained",
        ),
        Good(
            """
            from torch import nn
            from mylib import VariableSelection

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.scalers = {"age": nn.Linear(1, 8)}
                    self.selection = VariableSelection(scalers=self.scalers)
            """,
            why="the part that is made with them may register them",
        ),
        Good(
            """
            from torch import nn

            class Ensemble:
                def __init__(self, count):
                    self.models = [nn.Linear(1, 1) for _ in range(count)]

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.models = [nn.Linear(1, 1), nn.Linear(1, 1)]

                def parameters(self):
                    return self.models[0].parameters()

            class Sharded(nn.Module):
                def __init__(self, shards):
                    super().__init__()
                    self.chunks = [nn.Parameter(shard) for shard in shards]

                def trainable(self):
                    return self.chunks[0]
            """,
            why="a class that is no module, and two that hand the parameters out by themselves",
        ),
    )

    def check(self, node: ast.Assign | ast.AnnAssign, module: Module) -> Iterator[Finding]:
        match node:
            case (
                ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)], value=value)
                | ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id="self"), attr=attribute), value=ast.expr() as value
                )
            ) if may_be_collection(module, value):
                cls = module.enclosing_class(node)
                if cls is None or not module.is_subclass(cls, MODULE):
                    return
                container = Containers(module, cls).unregistered(attribute, value)
                if container is not None:
                    yield self._found(module, cls, container)

    def _found(self, module: Module, cls: ast.ClassDef, container: Container) -> Finding:
        kind = _kind(module, container.value)
        registering = f"{container.content}{kind}"
        what = "Modules" if container.content == "Module" else "Parameters"
        return self.finding(
            module,
            container.value,
            f"{what} in a plain {kind.lower()} are not part of the module: `.to(device)` leaves them behind, the "
            f"optimizer never gets them and the state dict lacks them. Use `nn.{registering}`.",
            fix=_fix(module, cls, container, registering),
        )


def _kind(module: Module, value: ast.expr) -> str:
    """Whether a container is a `Dict` or a `List`."""
    match module.origins(value)[0]:
        case ast.Dict() | ast.DictComp() | ast.Call(func=ast.Name(id="dict" | "OrderedDict" | "defaultdict")):
            return "Dict"
    return "List"


def _fix(module: Module, cls: ast.ClassDef, container: Container, registering: str) -> Fix | None:
    value = container.value
    if len(module.attribute_values(cls, container.attribute)) > 1:
        return None
    match value:
        case ast.Dict(keys=keys):
            if not keys or not all(isinstance(key, ast.Constant) and str(key.value).isidentifier() for key in keys):
                return None
        case ast.List(elts=[]):
            pass
        case ast.Call(args=[]) | ast.DictComp() | ast.Set() if not isinstance(value, ast.Name):
            return None
    if container.nested or (registering.endswith("Dict") and not isinstance(value, ast.Dict)):
        return None
    text = module.text(value)
    if isinstance(value, ast.Tuple) and not text.startswith("("):
        text = f"({text})"
    prefix = _prefix(module, cls, container.element)
    code = f"{prefix}{registering}({'' if text in ('[]', '{}') else text})"
    imports = () if prefix else (AddImport("torch.nn", registering),)
    return suggested(f"Keep them in a {registering}", Replace(Span.of(value), code), *imports)


def _prefix(module: Module, cls: ast.ClassDef, element: ast.Call) -> str:
    """How `torch.nn.` is written in a class: `nn.`, or nothing where names are imported from it."""
    for expression in (element.func, *cls.bases, *module.nodes(ast.Attribute)):
        if isinstance(expression, ast.Attribute) and module.qualified_name(expression.value) == "torch.nn":
            return f"{module.text(expression.value)}."
    return ""
