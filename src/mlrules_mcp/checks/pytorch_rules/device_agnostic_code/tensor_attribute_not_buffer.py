from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, safe
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._journeys import Journeys
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._kinds import cpu_kind
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._model_tensors import model_tensors
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._tensor_attribute_not_buffer_good import GOOD
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._torch_calls import (
    FACTORIES,
    LEGACY_FACTORIES,
    MOVES,
    only_converts,
)
from mlrules_mcp.findings import Finding, Fix, InsertBefore, RemoveStatement, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE

_FACTORY_NAMES = frozenset(name.rpartition(".")[2] for name in FACTORIES | LEGACY_FACTORIES)
_MOVERS = ("_apply", "to", "cuda")
_DEFAULT_DEVICE = ("set_default_device", "set_default_tensor_type")


class TensorAttributeNotBuffer(Check[ast.Assign | ast.AnnAssign]):
    """A tensor kept as a plain attribute of a module.

    ## What it does
    Finds `self.x = torch.…` in the `__init__` of an `nn.Module` or LightningModule where `forward`, a step method or
    what these call combines `self.x` with the input, or gives it to a layer.

    ## Why it matters
    `model.to(device)` moves parameters and buffers, and nothing else. The attribute stays on the CPU, and its first
    use on a GPU raises a RuntimeError.

    ## Do not flag
    Parameters and buffers, attributes that are moved where they are used or in another method, that are used only as
    indices or become Python numbers, numbers as tensors (`torch.tensor(0.5)`), which may meet any device, tensors made
    with an explicit `device=`, and classes that override `to`, `cuda` or `_apply`.

    ## Fix safety
    Safe where the assignment is the only one, has a name of its own and follows `super().__init__()`: a buffer that
    is not persistent is read and written like the attribute, and leaves the state dict as it is. Elsewhere there is
    no fix.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_buffer
    - https://lightning.ai/docs/pytorch/stable/accelerators/accelerator_prepare.html
    """

    examples = (
        Bad(
            """
            import torch
            from torch import nn

            class Normalize(nn.Module):
                def __init__(self):
                    super().__init__()
                    # ImageNet
                    «self.mean = torch.tensor([0.5, 0.4, 0.4]).view(3, 1, 1)»  # RGB

                def forward(self, images):
                    return images - self.mean
            """,
            safe_fix="""
            import torch
            from torch import nn

            class Normalize(nn.Module):
                def __init__(self):
                    super().__init__()
                    # ImageNet
                    self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.4]).view(3, 1, 1), persistent=False)  # RGB

                def forward(self, images):
                    return images - self.mean
            """,
        ),
        Bad(
            """
            import math
            import torch
            from torch import nn

            class PositionalEncoding(nn.Module):
                def __init__(self, size, length=5000):
                    super(PositionalEncoding, self).__init__()
                    pe = torch.zeros(length, size)
                    position = torch.arange(length).unsqueeze(1)
                    rate = torch.exp(torch.arange(0, size, 2) * (-math.log(10000.0) / size))
                    pe[:, 0::2] = torch.sin(position * rate)
                    pe[:, 1::2] = torch.cos(position * rate)
                    pe = pe.unsqueeze(0)
                    «self.pe = pe»

                def forward(self, x):
                    return x + self.pe[:, : x.size(1)]
            """,
            safe_fix="""
            import math
            import torch
            from torch import nn

            class PositionalEncoding(nn.Module):
                def __init__(self, size, length=5000):
                    super(PositionalEncoding, self).__init__()
                    pe = torch.zeros(length, size)
                    position = torch.arange(length).unsqueeze(1)
                    rate = torch.exp(torch.arange(0, size, 2) * (-math.log(10000.0) / size))
                    pe[:, 0::2] = torch.sin(position * rate)
                    pe[:, 1::2] = torch.cos(position * rate)
                    pe = pe.unsqueeze(0)
                    self.register_buffer("pe", pe, persistent=False)

                def forward(self, x):
                    return x + self.pe[:, : x.size(1)]
            """,
        ),
        Bad(
            """
            import torch
            import pytorch_lightning as pl
            from torch.nn import functional as F

            class Classifier(pl.LightningModule):
                def __init__(self, classes):
                    super().__init__()
                    «self.weights = torch.ones(classes)»
                    self.layer = torch.nn.Linear(8, classes)

                def training_step(self, batch, batch_idx):
                    x, y = batch
                    return F.cross_entropy(self.layer(x), y, weight=self.weights)
            """,
            safe_fix="""
            import torch
            import pytorch_lightning as pl
            from torch.nn import functional as F

            class Classifier(pl.LightningModule):
                def __init__(self, classes):
                    super().__init__()
                    self.register_buffer("weights", torch.ones(classes), persistent=False)
                    self.layer = torch.nn.Linear(8, classes)

                def training_step(self, batch, batch_idx):
                    x, y = batch
                    return F.cross_entropy(self.layer(x), y, weight=self.weights)
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            def causal_mask(length):
                return torch.tril(torch.ones(length, length))

            class Attention(nn.Module):
                def __init__(self, size, length):
                    super().__init__()
                    self.query = nn.Linear(size, size)
                    «self.mask = causal_mask(length)»

                def forward(self, x):
                    scores = self.score(x)
                    return scores.masked_fill(self.mask == 0, float("-inf"))

                def score(self, x):
                    return self.query(x) @ x.transpose(1, 2)
            """,
            safe_fix="""
            import torch
            from torch import nn

            def causal_mask(length):
                return torch.tril(torch.ones(length, length))

            class Attention(nn.Module):
                def __init__(self, size, length):
                    super().__init__()
                    self.query = nn.Linear(size, size)
                    self.register_buffer("mask", causal_mask(length), persistent=False)

                def forward(self, x):
                    scores = self.score(x)
                    return scores.masked_fill(self.mask == 0, float("-inf"))

                def score(self, x):
                    return self.query(x) @ x.transpose(1, 2)
            """,
        ),
        Bad(
            """
            import numpy as np
            import torch
            from torch import nn

            class Filter(nn.Module):
                def __init__(self, mirrored):
                    super().__init__()
                    if mirrored:
                        «self.kernel = torch.from_numpy(np.load("mirrored.npy"))»
                    else:
                        ‹self.kernel = torch.from_numpy(np.load("kernel.npy"))›

                def forward(self, x):
                    return nn.functional.conv2d(x, self.kernel)
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Affine(nn.Module):
                def __init__(self, size):
                    super().__init__()
                    «self.scale = torch.ones(size, requires_grad=True)»

                def forward(self, x: torch.Tensor):
                    return x * self.scale
            """
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Affine(nn.Module):
                def __init__(self, size):
                    «self.shift = torch.zeros(size)»
                    super().__init__()
                    «self.scale = torch.ones(size)»

                def scale(self, x):
                    return x

                def forward(self, x):
                    return x * self.scale + self.shift
            """
        ),
        *GOOD,
    )

    def check(self, node: ast.Assign | ast.AnnAssign, module: Module) -> Iterator[Finding]:
        match node:
            case (
                ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)], value=value)
                | ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id="self"), attr=attribute), value=ast.expr() as value
                )
            ) if not isinstance(value, ast.Constant):
                init, cls = module.enclosing_function(node), module.enclosing_class(node)
                if init is None or init.name != "__init__" or cls is None or not module.calls(*_FACTORY_NAMES):
                    return
                if cpu_kind(module, value) is None:
                    return
                if module.is_subclass(cls, MODULE) and self._stays_behind(module, cls, init, attribute, value):
                    yield self._found(module, cls, init, node, attribute, value)

    def _stays_behind(self, module: Module, cls: ast.ClassDef, init: Function, attribute: str, value: ast.expr) -> bool:
        """Whether `self.<attribute>` is a tensor on the CPU, and meets tensors on the model's device."""
        if module.calls(*_DEFAULT_DEVICE) or any(module.method(cls, name) for name in _MOVERS):
            return False
        if _is_set_elsewhere(module, cls, init, attribute):
            return False
        tensors = model_tensors(module)
        journeys = Journeys(tensors)
        return any(
            use.attr == attribute
            and isinstance(use.ctx, ast.Load)
            and isinstance(use.value, ast.Name)
            and use.value.id == "self"
            and tensors.runs_in_model(use)
            and (owner := module.enclosing_class(use)) is not None
            and _are_related(module, owner, cls)
            and journeys.meeting(use, scalar=cpu_kind(module, value) == "number") is not None
            for use in module.nodes(ast.Attribute)
        )

    def _found(
        self, module: Module, cls: ast.ClassDef, init: Function, statement: ast.stmt, attribute: str, value: ast.expr
    ) -> Finding:
        if _requires_grad(value):
            return self.finding(
                module,
                statement,
                f"`self.{attribute}` is neither moved by `.to(device)` nor given to the optimizer, because a plain "
                "tensor is not registered. Make it an `nn.Parameter`.",
            )
        return self.finding(
            module,
            statement,
            f"`self.{attribute}` stays on the CPU when the module is moved, so its use in `forward` fails on a GPU. "
            f'Register it: `self.register_buffer("{attribute}", …, persistent=False)`.',
            fix=_fix(module, cls, init, statement, attribute, value),
        )


def _are_related(module: Module, one: ast.ClassDef, other: ast.ClassDef) -> bool:
    """Whether two local classes are the same, or one is a direct base of the other."""
    return one is other or other in map(module.local_class, one.bases) or one in map(module.local_class, other.bases)


def _is_set_elsewhere(module: Module, cls: ast.ClassDef, init: Function, attribute: str) -> bool:
    """Whether an attribute is a parameter or a buffer, or also set outside `__init__`, which may move it."""
    for value in module.attribute_values(cls, attribute):
        if module.is_call_to(value, "torch.nn.Parameter", "torch.nn.Buffer") or _is_moved(module, value, attribute):
            return True
    for call in module.calls("register_buffer", "register_parameter", "setattr"):
        if any(isinstance(arg, ast.Constant) and arg.value == attribute for arg in call.args[:2]):
            return True
    for node in module.nodes(ast.Attribute):
        if node.attr != attribute or isinstance(node.ctx, ast.Load) or module.is_inside(node, init):
            continue
        owner = module.enclosing_class(node)
        is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
        if not is_own or (owner is not None and _are_related(module, owner, cls)):
            return True
    return False


def _is_moved(module: Module, value: ast.expr, attribute: str) -> bool:
    """Whether a value is what `self.<attribute>` was, on another device."""
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in MOVES
        and any(isinstance(node, ast.Attribute) and node.attr == attribute for node in ast.walk(value.func.value))
        and not only_converts(module, value)
    )


def _requires_grad(value: ast.expr) -> bool:
    match value:
        case ast.Call(keywords=keywords):
            return any(
                keyword.arg == "requires_grad"
                and isinstance(keyword.value, ast.Constant)
                and keyword.value.value is True
                for keyword in keywords
            )
    return False


def _fix(
    module: Module, cls: ast.ClassDef, init: Function, statement: ast.stmt, attribute: str, value: ast.expr
) -> Fix | None:
    block = module.block(statement)
    alone = all(other is statement or other.lineno != statement.lineno for other in block)
    known = all(name == LIGHTNING_MODULE or name.startswith("torch.nn.") for name in module.base_names(cls))
    if (
        not isinstance(statement, ast.Assign)
        or not (alone and known)
        or len(module.attribute_values(cls, attribute)) != 1
        or module.method(cls, attribute) is not None
        or not _follows_super(init, statement)
    ):
        return None
    code = f'self.register_buffer("{attribute}", {module.text(value)}, persistent=False)'
    span = Span.of(statement)
    return safe("Register it as a buffer", InsertBefore(span, code), RemoveStatement(span))


def _follows_super(init: Function, statement: ast.stmt) -> bool:
    """Whether `super().__init__()`, or that of a base class, has run before a statement."""
    for earlier in init.body:
        match earlier:
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="__init__"))):
                return earlier.lineno < statement.lineno
    return False
