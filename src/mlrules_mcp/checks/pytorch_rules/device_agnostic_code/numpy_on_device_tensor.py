from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import asks_device
from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._model_tensors import model_tensors
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._places import places
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_METHOD = pattern(r"\s*\.\s*numpy$")


class NumpyOnDeviceTensor(Check[ast.Call]):
    """A tensor on a device that is turned into a NumPy array.

    ## What it does
    Finds `.numpy()`, `np.array(…)` and `np.asarray(…)` of tensors that were moved with `.to(device)` or `.cuda()` and
    not brought back: the tensors themselves, what is computed from them, and what a model returns for them. In a
    step method of a LightningModule and in `forward`, the batch and what the layers return count as moved.

    ## Why it matters
    NumPy arrays live in the memory of the CPU. The call raises a TypeError ("can't convert cuda:0 device type tensor
    to numpy") as soon as the code runs on a GPU.

    ## Do not flag
    Tensors after `.cpu()` or `.to("cpu")`, `.numpy(force=True)`, code whose device is always the CPU, and code that
    runs under a condition on the device.

    ## Fix safety
    Safe: on the CPU `.cpu()` gives the same tensor back.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.Tensor.numpy.html
    """

    names = frozenset({"numpy", "array", "asarray"})
    examples = (
        Bad(
            """
            import torch

            def predict(model, loader, device):
                model.to(device)
                predictions = []
                for images, _ in loader:
                    images = images.to(device)
                    output = model(images).softmax(dim=1)
                    predictions.append(«output.detach().numpy()»)
                return predictions
            """,
            safe_fix="""
            import torch

            def predict(model, loader, device):
                model.to(device)
                predictions = []
                for images, _ in loader:
                    images = images.to(device)
                    output = model(images).softmax(dim=1)
                    predictions.append(output.detach().cpu().numpy())
                return predictions
            """,
        ),
        Bad(
            """
            import torch
            from torchvision import models

            net = models.resnet18().cuda()
            probabilities, labels = [], []
            with torch.no_grad():
                for batch, target in loader:
                    probabilities.append(net(batch.cuda()))
                    labels.append(target)
            scores = «torch.cat(probabilities).numpy()»
            truth = torch.cat(labels).numpy()
            """,
            safe_fix="""
            import torch
            from torchvision import models

            net = models.resnet18().cuda()
            probabilities, labels = [], []
            with torch.no_grad():
                for batch, target in loader:
                    probabilities.append(net(batch.cuda()))
                    labels.append(target)
            scores = torch.cat(probabilities).cpu().numpy()
            truth = torch.cat(labels).numpy()
            """,
        ),
        Bad(
            """
            import lightning as L
            import torch
            from sklearn.metrics import f1_score

            class Classifier(L.LightningModule):
                def __init__(self, model):
                    super().__init__()
                    self.model = model

                def validation_step(self, batch, batch_idx):
                    x, y = batch
                    predicted = self.model(x).argmax(dim=1)
                    self.log("f1", f1_score(«y.numpy()», ‹predicted.numpy()›))
            """,
            safe_fix="""
            import lightning as L
            import torch
            from sklearn.metrics import f1_score

            class Classifier(L.LightningModule):
                def __init__(self, model):
                    super().__init__()
                    self.model = model

                def validation_step(self, batch, batch_idx):
                    x, y = batch
                    predicted = self.model(x).argmax(dim=1)
                    self.log("f1", f1_score(y.cpu().numpy(), predicted.cpu().numpy()))
            """,
        ),
        Bad(
            """
            import numpy as np
            import torch as t

            device = t.device("cuda" if t.cuda.is_available() else "cpu")
            noise = t.randn(8, 8, device=device)
            batch = {name: value.to(device) for name, value in batch.items()}
            image = «np.asarray(noise * batch["image"])»
            field = ‹(noise + 1).numpy()›
            """,
            safe_fix="""
            import numpy as np
            import torch as t

            device = t.device("cuda" if t.cuda.is_available() else "cpu")
            noise = t.randn(8, 8, device=device)
            batch = {name: value.to(device) for name, value in batch.items()}
            image = np.asarray((noise * batch["image"]).cpu())
            field = (noise + 1).cpu().numpy()
            """,
        ),
        Bad(
            """
            import torch

            class Agent:
                def __init__(self, actor, device):
                    self.device = device
                    self.actor = actor.to(device)

                def act(self, state):
                    state = torch.as_tensor(state).to(self.device)
                    return «self.actor(state).detach().numpy()»
            """,
            safe_fix="""
            import torch

            class Agent:
                def __init__(self, actor, device):
                    self.device = device
                    self.actor = actor.to(device)

                def act(self, state):
                    state = torch.as_tensor(state).to(self.device)
                    return self.actor(state).detach().cpu().numpy()
            """,
        ),
        Bad(
            """
            import torch
            from transformers import AutoModel

            model = AutoModel.from_pretrained("x").to("cuda")
            for batch in loader:
                batch = {name: value.cuda() for name, value in batch.items()}
                labels.append(«batch["labels"].numpy()»)
                logits.append(‹model(**batch).logits.detach().numpy()›)
            """,
            safe_fix="""
            import torch
            from transformers import AutoModel

            model = AutoModel.from_pretrained("x").to("cuda")
            for batch in loader:
                batch = {name: value.cuda() for name, value in batch.items()}
                labels.append(batch["labels"].cpu().numpy())
                logits.append(model(**batch).logits.detach().cpu().numpy())
            """,
        ),
        Good(
            """
            import torch

            for images, labels in loader:
                output = model(images.to(device))
                a = output.detach().cpu().numpy()
                b = output.to("cpu").numpy()
                c = output.numpy(force=True)
                d = labels.numpy()
                output = output.cpu()
                e = output.numpy()
            """
        ),
        Good(
            """
            import torch

            device = torch.device("cpu")
            model = Net().to(device)
            prediction = model(x.to(device)).detach().numpy()
            """,
            why="the device is the CPU wherever it runs",
        ),
        Good(
            """
            import torch

            x = x.to(device)
            output = model(x)
            if torch.cuda.is_available():
                output = output.cpu()
            array = output.detach().numpy()
            other = x.cpu().numpy() if x.is_cuda else x.numpy()
            """
        ),
        Good(
            """
            import numpy as np
            import torch

            class Separator:
                def separate(self, wave):
                    input_device = wave.device
                    output = self.model(wave.to(self.device))
                    return output.to(input_device).numpy()

                def count(self, model, x):
                    model = Model().to(self.device)
                    return np.array(model.count(x.to(self.device)))
            """,
            why="it goes back to where the input was, and what the method returns isn't seen",
        ),
        Good(
            """
            import numpy as np
            from torch import nn

            class Preprocess(nn.Module):
                def forward(self, image):
                    return to_tensor(np.array(image))
            """,
            why="the input is an image",
        ),
        Good(
            """
            import tensorflow as tf
            import torch

            losses = tf.reduce_mean(values).numpy()
            accuracies = []
            accuracies.append((model(x.to(device)) == y.to(device)).float().mean().item())
            mean = np.array(accuracies).mean()
            """
        ),
        Good(
            """
            import torch

            def sample(count, device=None):
                return torch.randperm(count, device=device)

            chosen = sample(8, device="cpu").numpy()
            """,
            why="the caller chooses the device",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        tensor = _converted(node, module)
        if tensor is None or not _lies_on_device(node, tensor, module):
            return
        if any(asks_device(module, guard.test) for guard in module.guards(node)):
            return
        yield self.finding(
            module,
            node,
            "This tensor lies on the model's device, and turning it into an array fails on a GPU. "
            "Bring it to the CPU first: `.cpu()`.",
            fix=_fix(node, tensor, module),
        )


def _converted(node: ast.Call, module: Module) -> ast.expr | None:
    """The value that a call turns into an array."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="numpy"), args=[], keywords=[]):
            return value if module.qualified_name(node.func) is None else None
        case ast.Call(args=[value, *_]) if module.is_call_to(node, "numpy.array", "numpy.asarray"):
            collections = (ast.List, ast.Tuple, ast.ListComp, ast.GeneratorExp)
            return None if any(isinstance(origin, collections) for origin in module.origins(value)) else value
    return None


def _lies_on_device(node: ast.Call, tensor: ast.expr, module: Module) -> bool:
    place = places(module).place(tensor)
    if place is None and isinstance(node.func, ast.Attribute) and node.func.value is tensor:
        tensors = model_tensors(module)
        return tensors.runs_in_model(node) and tensors.on_model(tensor)
    return place == "device"


def _fix(node: ast.Call, tensor: ast.expr, module: Module) -> Fix | None:
    title = "Bring it to the CPU"
    if isinstance(node.func, ast.Attribute) and node.func.value is tensor:
        text = module.text(node.func)
        found = _METHOD.search(text)
        if found is None:
            return None
        return safe(title, Replace(Span.of(node.func), f"{text[: found.start()]}.cpu(){found[0]}"))
    text = module.text(tensor)
    if not isinstance(tensor, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
        text = f"({text})"
    return safe(title, Replace(Span.of(tensor), f"{text}.cpu()"))
