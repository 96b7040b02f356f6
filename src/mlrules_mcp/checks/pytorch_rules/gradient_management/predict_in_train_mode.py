from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.pytorch_rules.gradient_management._evaluations import (
    EVALUATES,
    goes_over_held_out,
    is_test_file,
)
from mlrules_mcp.checks.pytorch_rules.gradient_management._modes import (
    depends_on_mode,
    gradients_off,
    is_plain,
    makers,
    models,
    runs,
    switches,
)
from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import passed
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import MODULE

_IN_TRAINING_MODE = pattern(
    r"^(torch\.nn|torchvision\.models|timm|segmentation_models_pytorch|monai\.networks\.nets)\.(?!.*pretrained$)"
)


class PredictInTrainMode(Check[ast.Module]):
    """A model that is evaluated in training mode.

    ## What it does
    Finds evaluation under `torch.no_grad()` or `torch.inference_mode()` of a model that the module makes, where no
    `.eval()` is called anywhere in the module.

    ## Why it matters
    `no_grad` switches off gradients, not dropout or batch normalization. In training mode predictions change from
    run to run and depend on what else is in the batch, and each batch changes the running statistics.

    ## Do not flag
    Models that a function receives from elsewhere, that come from `from_pretrained` (which switches to evaluation)
    or from an unknown place; models without layers that depend on the mode; the target networks and
    samples that training itself needs; modules of Lightning, whose Trainer switches the mode; `train()` where
    nothing is trained, as for Monte Carlo dropout; models that are neither trained nor loaded; unit tests.

    ## Fix safety
    No fix: where evaluation begins and training goes on is for a reader to say.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval
    """

    examples = (
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))

                def forward(self, x):
                    return self.layers(x)

            model = Net().to(device)
            for epoch in range(10):
                for x, y in train_loader:
                    optimizer.zero_grad()
                    F.cross_entropy(model(x), y).backward()
                    optimizer.step()
                with torch.no_grad():
                    for x, y in val_loader:
                        correct += («model(x)».argmax(1) == y).sum()
            """,
            advice=True,
        ),
        Bad(
            """
            import torch
            from torchvision import models

            @torch.inference_mode()
            def predict(net, image):
                return «net(image)».softmax(1)

            resnet = models.resnet50(weights=None)
            resnet.load_state_dict(torch.load("resnet.pt", map_location="cpu"))
            print(predict(resnet, image))
            """,
            advice=True,
        ),
        Bad(
            """
            import timm
            import torch

            class Predictor:
                def __init__(self):
                    self.model = timm.create_model("resnet18", num_classes=2)

                def predict(self, image):
                    with torch.no_grad():
                        return «self.model(image)»
            """,
            advice=True,
        ),
        Good(
            """
            import torch
            from torchvision import models

            resnet = models.resnet50(weights="DEFAULT")
            resnet.eval()
            with torch.no_grad():
                scores = resnet(image)
            """
        ),
        Good(
            """
            import torch

            @torch.no_grad()
            def evaluate(model, loader):
                return [model(x).argmax(1) for x in loader]
            """,
            "The caller may have called `eval()`.",
        ),
        Good(
            """
            import torch
            from transformers import AutoModel

            model = AutoModel.from_pretrained("bert-base-uncased")
            with torch.no_grad():
                output = model(**inputs)
            """,
            "`from_pretrained` switches to evaluation.",
        ),
        Good(
            """
            model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
            with torch.no_grad():
                scores = model(x)
            """,
            "No layer of this model depends on the mode.",
        ),
        Good(
            """
            target_net = nn.Sequential(nn.Linear(8, 8), nn.Dropout(), nn.Linear(8, 2))
            for states, rewards, next_states in replay:
                with torch.no_grad():
                    wanted = rewards + 0.99 * target_net(next_states).max(1).values
                (network(states) - wanted).square().mean().backward()
                optimizer.step()
            """,
            "Training needs this.",
        ),
        Good(
            """
            model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(), nn.Linear(8, 2))
            model.load_state_dict(weights)
            model.train()
            with torch.no_grad():
                samples = [model(x) for _ in range(100)]
            """,
            "Monte Carlo dropout.",
        ),
        Good(
            """
            class Net(nn.Module):
                def forward(self, x):
                    return F.dropout(x, training=self.training)

            net = Net()
            with torch.no_grad():
                print(net(x))
            """,
            "A model with random weights has nothing to predict.",
        ),
        Good(
            """
            import lightning as L

            class Net(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.net = nn.Sequential(nn.Linear(8, 8), nn.Dropout())

                def predict(self, x):
                    with torch.no_grad():
                        return self.net(x)
            """,
            "The mode of the module is its Trainer's or its caller's to switch.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.calls("no_grad", "inference_mode") or module.calls("eval") or is_test_file(module):
            return
        switched = switches(module)
        if any(switch.training is not True for switch in switched) or (switched and not module.backward_calls):
            return
        seen: set[ast.AST] = set()
        for region in _evaluating(module):
            for run in (*runs(module, region, models(module)), *runs(module, region)):
                if run not in seen and gradients_off(run, module) and _starts_in_training_mode(run, module):
                    seen.add(run)
                    yield self.finding(
                        module,
                        run,
                        "The model is still in training mode here, as it was made: dropout changes its predictions at "
                        "random, and batch normalization uses and updates the statistics of this batch. "
                        "Call `eval()` on it first.",
                        advice=True,
                    )


def _evaluating(module: Module) -> Iterator[list[ast.stmt]]:
    """Code that evaluates: functions named for it, loops over validation and test data, modules without training."""
    for function in module.functions:
        if EVALUATES.search(function.name) and not _is_method_of_module(function, module):
            yield function.body
    for loop in module.nodes(ast.For):
        if goes_over_held_out(loop, module):
            yield loop.body
    if not module.backward_calls:
        yield module.tree.body


def _is_method_of_module(function: Function, module: Module) -> bool:
    cls = module.enclosing_class(function)
    return cls is not None and not is_plain(cls, module)


def _starts_in_training_mode(run: ast.Call, module: Module) -> bool:
    """Whether a model is seen to be made, in this module, by something that leaves it in training mode."""
    given = list(_given(run.func, module))
    made = [maker for model in given for origin in module.origins(model) for maker in makers(origin, module)]
    return bool(made) and all(_makes_training_mode(maker, module) for maker in made) and depends_on_mode(given, module)


def _given(model: ast.expr, module: Module) -> Iterator[ast.expr]:
    """A model, or, where it is a parameter, what the calls of the function pass for it."""
    if isinstance(model, ast.Name):
        for binding in module.reaching(model):
            if binding.kind == "parameter":
                function = module.enclosing_function(model)
                if function is not None:
                    yield from passed(module, function, model.id)
                return
    yield model


def _makes_training_mode(maker: ast.expr, module: Module) -> bool:
    cls = module.local_class(maker)
    if cls is not None:
        has_weights = module.backward_calls or module.calls("load_state_dict")
        return bool(has_weights) and module.is_subclass(cls, MODULE)
    return bool(_IN_TRAINING_MODE.search(module.qualified_name(maker) or ""))
