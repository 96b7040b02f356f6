from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules._numbers import numbers
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_LAYERS = frozenset({"Linear", *(f"{kind}{n}d" for kind in ("Conv", "ConvTranspose") for n in (1, 2, 3))})
# What `m.__class__.__name__.find("Conv") != -1` asks for.
_BY_CLASS_NAME = {"Conv": _LAYERS - {"Linear"}, "Linear": frozenset({"Linear"})}
_CONSTANTS = {"zeros_": 0.0, "ones_": 1.0}
_FILLS = frozenset({"fill_", "zero_", "constant_", "zeros_", "ones_"})
_OTHER_VALUES = pattern(r"normal_|uniform_|orthogonal_|dirac_|eye_|sparse_|copy_|kaiming|xavier|trunc")


class _Fill(NamedTuple):
    """A call that gives all weights of a layer one value.

    Attributes:
        layer: what the weight belongs to: `m` of `m.weight`, `self.fc1` of `self.fc1.weight`.
    """

    call: ast.Call
    layer: ast.expr
    value: float


class ConstantWeights(Check[ast.Module]):
    """Weights of several layers that all start with one value.

    ## What it does
    Finds initialisation that gives the weights of linear or convolutional layers a constant: for all layers of a kind
    (`if isinstance(m, nn.Linear): m.weight.data.fill_(0.01)`), or two or more layers of a class one by one.

    ## Why it matters
    All units of a layer compute the same and get the same gradient, so they stay equal for good: the layer is as wide
    as one unit. With zeros in every layer no gradient gets through at all.

    ## Do not flag
    Biases and normalisation layers; one layer alone, such as the last of a residual branch that starts at zero, and
    layers that are picked by name or attribute; zeros for single layers, which start branches off; a value that
    another call replaces; kernels that are kept fixed; tests.

    ## Fix safety
    No fix: which initialisation is right hangs on the layer. PyTorch's default for these layers is a good one.

    ## References
    - https://docs.pytorch.org/docs/stable/nn.init.html
    - https://d2l.ai/chapter_multilayer-perceptrons/numerical-stability-and-init.html
    """

    examples = (
        Bad(
            """
            import torch.nn as nn

            def init_weights(m):
                if isinstance(m, nn.Linear):
                    «nn.init.constant_(m.weight, 0.01)»
                    nn.init.zeros_(m.bias)

            net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 1))
            net.apply(init_weights)
            """
        ),
        Bad(
            """
            import torch.nn as nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv1 = nn.Conv2d(3, 8, 3)
                    self.conv2 = nn.Conv2d(8, 8, 3)
                    self.norm = nn.BatchNorm2d(8)
                    for m in self.modules():
                        if isinstance(m, (nn.Conv2d, nn.Linear)):
                            «m.weight.data.zero_()»
                            m.bias.data.zero_()
                        elif isinstance(m, nn.BatchNorm2d):
                            m.weight.data.fill_(1)
            """
        ),
        Bad(
            """
            import torch.nn as nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(10, 64)
                    self.fc2 = nn.Linear(64, 1)
                    «nn.init.ones_(self.fc1.weight)»
                    ‹nn.init.constant_(self.fc2.weight, 0.5)›
            """
        ),
        Bad(
            """
            import torch

            def init(layer):
                if type(layer) == torch.nn.Linear:
                    «layer.weight.data.fill_(1.0)»

            net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 1))
            net.apply(init)
            """
        ),
        Bad(
            """
            import torch.nn as nn

            def weights_init(m):
                classname = m.__class__.__name__
                if classname.find("Conv") != -1:
                    «m.weight.data.fill_(0.02)»
                elif classname.find("BatchNorm") != -1:
                    m.weight.data.fill_(1.0)
                    m.bias.data.fill_(0)

            net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))
            net.apply(weights_init)
            """
        ),
        Good(
            """
            import torch.nn as nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(10, 64)
                    self.fc2 = nn.Linear(64, 64)
                    self.scale = nn.Linear(64, 64)
                    self.shift = nn.Linear(64, 64)
                    self.norm = nn.LayerNorm(64)
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.xavier_uniform_(m.weight)
                            nn.init.zeros_(m.bias)
                        elif isinstance(m, (nn.LayerNorm, nn.BatchNorm1d)):
                            nn.init.ones_(m.weight)
                    nn.init.zeros_(self.fc2.weight)
                    nn.init.zeros_(self.scale.weight)
                    nn.init.zeros_(self.shift.weight)
            """,
            why="Normalisation, and branches that start at zero on purpose.",
        ),
        Good(
            """
            import torch.nn as nn

            class Head(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3)
                    self.fc = nn.Linear(8, 2)
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            m.weight.data.zero_()
            """,
            why="There is one linear layer only.",
        ),
        Good(
            """
            import torch.nn as nn

            def init_weights(m, name):
                if isinstance(m, nn.Linear):
                    if name.startswith("head"):
                        nn.init.zeros_(m.weight)
                    else:
                        nn.init.xavier_uniform_(m.weight)

            net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))
            """,
            why="The layer is picked by its name.",
        ),
        Good(
            """
            import torch.nn as nn

            class Blur(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.horizontal = nn.Conv2d(1, 1, (1, 3), bias=False)
                    self.vertical = nn.Conv2d(1, 1, (3, 1), bias=False)
                    nn.init.constant_(self.horizontal.weight, 1 / 3)
                    nn.init.constant_(self.vertical.weight, 1 / 3)
                    self.requires_grad_(False)

            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    m.weight.data.fill_(0)
                    m.weight.data.normal_(0, 0.02)
            """,
            why="Fixed kernels, and a value that the next line replaces.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        fills = [fill for call in module.calls(*_FILLS) if (fill := _fill(module, call)) is not None]
        if not fills or is_test(module):
            return
        for call in (*_of_all(module, fills), *_of_several(module, fills)):
            yield self.finding(
                module,
                call,
                "All weights of these layers start with one value, so all units of a layer compute the same and stay "
                "equal. Leave PyTorch's default, or draw them: `nn.init.kaiming_normal_(layer.weight)`.",
            )


def _fill(module: Module, call: ast.Call) -> _Fill | None:
    """The layer and the value, where a call fills a weight: `init.zeros_(m.weight)`, `m.weight.data.fill_(1)`."""
    function, _, name = (module.qualified_name(call.func) or "").rpartition(".")
    if function == "torch.nn.init":
        weight, value = argument(call, "tensor", 0), argument(call, "val", 1)
    elif isinstance(call.func, ast.Attribute) and call.func.attr in {"fill_", "zero_"}:
        name, weight, value = call.func.attr, call.func.value, argument(call, "value", 0)
    else:
        return None
    if isinstance(weight, ast.Attribute) and weight.attr == "data":
        weight = weight.value
    if not isinstance(weight, ast.Attribute) or weight.attr != "weight" or _is_replaced(module, call, weight):
        return None
    values = numbers(module, value) if name in {"fill_", "constant_"} else [_CONSTANTS.get(name, 0.0)]
    return _Fill(call, weight.value, values[0]) if len(values) == 1 else None


def _is_replaced(module: Module, call: ast.Call, weight: ast.Attribute) -> bool:
    """Whether another statement of the block gives the weight other values."""
    text = module.text(weight)
    statement = module.statement(call)
    others = (module.text(each) for each in module.block(statement) if each is not statement)
    return any(text in other and _OTHER_VALUES.search(other) for other in others)


def _of_all(module: Module, fills: list[_Fill]) -> Iterator[ast.Call]:
    """The fills of all layers of a kind, of which the file makes more than one."""
    for fill in fills:
        if isinstance(fill.layer, ast.Name):
            kinds = _kinds(module, fill)
            if kinds and _makes_several(module, fill.call, kinds):
                yield fill.call


def _kinds(module: Module, fill: _Fill) -> frozenset[str]:
    """The kinds of layers that a fill is for by the conditions around it; empty where they ask for anything else."""
    name = fill.layer.id if isinstance(fill.layer, ast.Name) else ""
    around = module.enclosing_function(fill.call) or module.tree
    kinds: set[str] = set()
    for guard in module.guards(fill.call):
        if not module.is_inside(guard.test, around):
            break
        asked = _asked_kinds(module, guard.test, name)
        if asked is None:
            return frozenset()
        if guard.holds:
            if not asked <= _LAYERS:
                return frozenset()
            kinds |= asked
    return frozenset(kinds)


def _asked_kinds(module: Module, test: ast.expr, name: str) -> frozenset[str] | None:
    """The classes of torch that a test asks for: `isinstance(m, (nn.Linear, nn.Conv2d))`, `type(m) == nn.Linear`."""
    match test:
        case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=asked), classes]) if asked == name:
            elements = classes.elts if isinstance(classes, ast.Tuple) else [classes]
        case ast.Compare(
            left=ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=asked)]),
            ops=[ast.Eq() | ast.Is() | ast.In()],
            comparators=[classes],
        ) if asked == name:
            elements = classes.elts if isinstance(classes, ast.Tuple | ast.List | ast.Set) else [classes]
        case ast.Compare(
            left=ast.Call(func=ast.Attribute(attr="find"), args=[ast.Constant(value=str() as kind)]),
            ops=[ast.NotEq() | ast.Gt()],
        ):
            return _BY_CLASS_NAME.get(kind, frozenset({kind}))
        case ast.BoolOp(op=ast.Or(), values=values):
            parts = [_asked_kinds(module, value, name) for value in values]
            return None if None in parts else frozenset().union(*(part for part in parts if part is not None))
        case _:
            return None
    return frozenset((module.qualified_name(each) or "?").rpartition(".")[2] for each in elements)


def _makes_several(module: Module, call: ast.Call, kinds: frozenset[str]) -> bool:
    """Whether the class around a call, or else the file, makes two or more layers of some kinds, or makes them in a
    loop."""
    place = module.enclosing_class(call) or module.tree
    made = [
        layer
        for layer in module.calls(*kinds)
        if (module.qualified_name(layer.func) or "").startswith("torch.nn.") and module.is_inside(layer, place)
    ]
    return len(made) > 1 or any(module.enclosing_loop(layer) is not None for layer in made)


def _of_several(module: Module, fills: list[_Fill]) -> Iterator[ast.Call]:
    """The fills with a value other than zero of two or more layers that a class holds."""
    by_class: dict[ast.ClassDef, dict[str, ast.Call]] = {}
    for fill in fills:
        cls = module.enclosing_class(fill.call)
        match fill.layer:
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if cls is not None and fill.value:
                made = [each.func for each in module.attribute_values(cls, name) if isinstance(each, ast.Call)]
                if made and all(
                    (module.qualified_name(each) or "").removeprefix("torch.nn.") in _LAYERS for each in made
                ):
                    by_class.setdefault(cls, {})[name] = fill.call
    for cls, calls in by_class.items():
        if len(calls) > 1 and "requires_grad" not in module.text(cls):
            yield from calls.values()
