from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_guarded
from mlrules_mcp.checks.check import Bad, Check, suggested
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._journeys import Journeys, Meeting
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._model_tensors import ModelTensors, model_tensors, parameters
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._tensor_created_on_cpu_good import GOOD
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._torch_calls import (
    FACTORIES,
    LEGACY_FACTORIES,
    made_on_cpu,
    makes_scalar,
)
from mlrules_mcp.findings import Finding, Fix, Replace, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE

_DEFAULT_DEVICE = ("set_default_device", "set_default_tensor_type")


class TensorCreatedOnCpu(Check[ast.Call]):
    """A tensor made on the CPU that meets tensors on the model's device.

    ## What it does
    Follows what `torch.zeros`, `torch.arange` and other factories without `device=` make in `forward`, in a step
    method of a LightningModule, and in the methods these call. Finds those that are combined with the module's
    input, given to one of its layers, or joined with what the layers return.

    ## Why it matters
    Factories make tensors on the CPU. The code runs there, and raises a RuntimeError ("Expected all tensors to be
    on the same device") as soon as the model is on a GPU.

    ## Do not flag
    Tensors that are moved before they meet others (`.to(x)`, `.type_as(x)`), `zeros_like` and `x.new_zeros`,
    tensors that are used only as sizes, lengths or indices, since an index may lie on the CPU, numbers as tensors
    (`torch.tensor(0.5)`), which may meet any device, and code that sets a default device.

    ## Fix safety
    Suggested: the tensor that the device is taken from is a guess where several meet.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/cuda.html#device-agnostic-code
    - https://lightning.ai/docs/pytorch/stable/accelerators/accelerator_prepare.html
    """

    names = frozenset(name.rpartition(".")[2] for name in FACTORIES | LEGACY_FACTORIES)
    examples = (
        Bad(
            """
            import torch
            from torch import nn

            class Tagger(nn.Module):
                def __init__(self, size):
                    super().__init__()
                    self.lstm = nn.LSTM(size, size)

                def forward(self, x):
                    h0 = «torch.zeros(1, x.size(1), 8)»
                    c0 = ‹torch.zeros(1, x.size(1), 8)›
                    out, _ = self.lstm(x, (h0, c0))
                    return out
            """,
            suggested_fix="""
            import torch
            from torch import nn

            class Tagger(nn.Module):
                def __init__(self, size):
                    super().__init__()
                    self.lstm = nn.LSTM(size, size)

                def forward(self, x):
                    h0 = torch.zeros(1, x.size(1), 8, device=x.device)
                    c0 = torch.zeros(1, x.size(1), 8, device=x.device)
                    out, _ = self.lstm(x, (h0, c0))
                    return out
            """,
        ),
        Bad(
            """
            import torch
            import torch.nn as nn

            class Net(nn.Module):
                def forward(self, x):
                    mu, log_var = x.chunk(2, dim=-1)
                    return self.reparameterize(mu, log_var)

                def reparameterize(self, mu, log_var):
                    eps = «torch.randn(mu.shape)»
                    return mu + eps * torch.exp(0.5 * log_var)
            """,
            suggested_fix="""
            import torch
            import torch.nn as nn

            class Net(nn.Module):
                def forward(self, x):
                    mu, log_var = x.chunk(2, dim=-1)
                    return self.reparameterize(mu, log_var)

                def reparameterize(self, mu, log_var):
                    eps = torch.randn(mu.shape, device=mu.device)
                    return mu + eps * torch.exp(0.5 * log_var)
            """,
        ),
        Bad(
            """
            import lightning as L
            import torch
            from torch import nn

            class GAN(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.generator = nn.Linear(100, 784)

                def training_step(self, batch, batch_idx):
                    images, _ = batch
                    noise = «torch.randn(images.size(0), 100)»
                    fake = self.generator(noise)
                    return nn.functional.mse_loss(fake, images)
            """,
            suggested_fix="""
            import lightning as L
            import torch
            from torch import nn

            class GAN(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.generator = nn.Linear(100, 784)

                def training_step(self, batch, batch_idx):
                    images, _ = batch
                    noise = torch.randn(images.size(0), 100, device=self.device)
                    fake = self.generator(noise)
                    return nn.functional.mse_loss(fake, images)
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Embedder(nn.Module):
                def __init__(self, words, size):
                    super().__init__()
                    self.words = nn.Embedding(words, size)
                    self.positions = nn.Embedding(512, size)

                def forward(self, tokens):
                    positions = «torch.arange(tokens.size(1))».unsqueeze(0).expand_as(tokens)
                    return self.words(tokens) + self.positions(positions)
            """,
            suggested_fix="""
            import torch
            from torch import nn

            class Embedder(nn.Module):
                def __init__(self, words, size):
                    super().__init__()
                    self.words = nn.Embedding(words, size)
                    self.positions = nn.Embedding(512, size)

                def forward(self, tokens):
                    positions = torch.arange(tokens.size(1), device=tokens.device).unsqueeze(0).expand_as(tokens)
                    return self.words(tokens) + self.positions(positions)
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Block(nn.Module):
                def forward(self, x: torch.Tensor, mask=None):
                    if mask is None:
                        mask = torch.tril(«torch.ones(x.size(1), x.size(1))»)
                    return x.masked_fill(mask == 0, float("-inf"))
            """,
            suggested_fix="""
            import torch
            from torch import nn

            class Block(nn.Module):
                def forward(self, x: torch.Tensor, mask=None):
                    if mask is None:
                        mask = torch.tril(torch.ones(x.size(1), x.size(1), device=x.device))
                    return x.masked_fill(mask == 0, float("-inf"))
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Decoder(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.cell = nn.GRUCell(8, 8)

                def init_hidden(self, size):
                    return «torch.zeros(size, 8)»

                def forward(self, x):
                    hidden = self.init_hidden(len(x))
                    for step in x.unbind(1):
                        hidden = self.cell(step, hidden)
                    return hidden
            """
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Losses(nn.Module):
                def __init__(self, heads):
                    super().__init__()
                    self.heads = nn.ModuleList(nn.Linear(4, 1) for _ in range(heads))

                def forward(self, x):
                    total = «torch.tensor(0.0)»
                    for head in self.heads:
                        total += head(x).mean()
                    return torch.stack([total, x.mean(), ‹torch.tensor(1.0)›])
            """,
            suggested_fix="""
            import torch
            from torch import nn

            class Losses(nn.Module):
                def __init__(self, heads):
                    super().__init__()
                    self.heads = nn.ModuleList(nn.Linear(4, 1) for _ in range(heads))

                def forward(self, x):
                    total = torch.tensor(0.0, device=x.device)
                    for head in self.heads:
                        total += head(x).mean()
                    return torch.stack([total, x.mean(), torch.tensor(1.0, device=x.device)])
            """,
        ),
        Bad(
            """
            from torch import FloatTensor, nn

            class Scale(nn.Module):
                def forward(self, x):
                    return x.float() * «FloatTensor([0.2, 0.3, 0.5])»
            """,
            suggested_fix="""
            from torch import FloatTensor, nn

            class Scale(nn.Module):
                def forward(self, x):
                    return x.float() * FloatTensor([0.2, 0.3, 0.5]).to(x.device)
            """,
        ),
        Bad(
            """
            import torch as t
            from torch.nn import Module, Parameter

            class Prompt(Module):
                def __init__(self, size):
                    super().__init__()
                    self.prompt = Parameter(t.randn(1, size))

                def forward(self, count: int):
                    return t.cat([self.prompt.expand(count, -1), «t.ones(count, 1)»], dim=1)
            """,
            suggested_fix="""
            import torch as t
            from torch.nn import Module, Parameter

            class Prompt(Module):
                def __init__(self, size):
                    super().__init__()
                    self.prompt = Parameter(t.randn(1, size))

                def forward(self, count: int):
                    return t.cat([self.prompt.expand(count, -1), t.ones(count, 1, device=self.prompt.device)], dim=1)
            """,
        ),
        *GOOD,
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not made_on_cpu(module, node):
            return
        tensors = model_tensors(module)
        if not tensors.runs_in_model(node):
            return
        meeting = Journeys(tensors).meeting(node, scalar=makes_scalar(module, node))
        if meeting is None or _has_device(module, node):
            return
        device = _device_for(tensors, node, meeting)
        takes_device = module.qualified_name(node.func) not in LEGACY_FACTORIES | {"torch.from_numpy"}
        remedy = f"`device={device or 'x.device'}`" if takes_device else f"`.to({device or 'x.device'})`"
        yield self.finding(
            module,
            node,
            "This tensor is made on the CPU, and what it meets here fails once the model is on another device. "
            f"Make it on the model's device: {remedy}.",
            fix=_fix(module, node, device, takes_device) if device else None,
        )


def _has_device(module: Module, node: ast.Call) -> bool:
    """Whether the code sees to the device in another way."""
    if module.calls(*_DEFAULT_DEVICE) or is_guarded(module, node):
        return True
    if any(_asks_for_tensor(module, guard.test) for guard in module.guards(node)):
        return True  # made of an input that is no tensor, and lies nowhere yet
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, ast.With) and any(
            module.is_call_to(item.context_expr, "torch.device") for item in ancestor.items
        ):
            return True
    return False


def _asks_for_tensor(module: Module, test: ast.expr) -> bool:
    return any(module.is_call_to(node, "builtins.isinstance", "torch.is_tensor") for node in ast.walk(test))


def _device_for(tensors: ModelTensors, node: ast.Call, meeting: Meeting) -> str | None:
    """How the model's device is written at a node."""
    module = tensors.module
    cls, function = module.enclosing_class(node), module.enclosing_function(node)
    if function is None:
        return None
    if cls and (module.is_subclass(cls, LIGHTNING_MODULE) or module.method(cls, "device")):
        return "self.device"
    partner = _root(meeting.partner)
    match partner:
        case ast.Attribute(attr=attribute):
            return f"self.{attribute}.device"
    tensor_parameters = [
        binding.name
        for arg in parameters(module, function)
        for binding in module.bindings[arg.arg]
        if binding.node is arg and binding.value is None and tensors.is_tensor_parameter(arg, None)
    ]
    if isinstance(partner, ast.Name) and partner.id in tensor_parameters:
        return f"{partner.id}.device"
    return f"{tensor_parameters[0]}.device" if tensor_parameters else None


def _root(partner: ast.expr | None) -> ast.expr | None:
    """The variable, or the `self.x`, that a tensor is a view or a part of."""
    while True:
        match partner:
            case ast.Attribute(value=ast.Name(id="self")) | ast.Name():
                return partner
            case ast.Call(func=ast.Attribute(value=value)) | ast.Subscript(value=value) | ast.Attribute(value=value):
                partner = value
            case _:
                return None


def _fix(module: Module, node: ast.Call, device: str, takes_device: bool) -> Fix:
    edit = (
        SetArgument(Span.of(node), "device", device)
        if takes_device
        else Replace(Span.of(node), f"{module.text(node)}.to({device})")
    )
    return suggested("Make it on the model's device", edit)
