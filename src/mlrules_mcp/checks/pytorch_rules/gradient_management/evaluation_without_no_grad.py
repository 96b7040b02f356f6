from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.gradient_management._evaluations import (
    evaluations,
    identifier,
    is_test_file,
    is_wanted,
)
from mlrules_mcp.checks.pytorch_rules.gradient_management._modes import gradients_off
from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import gradient_sites
from mlrules_mcp.findings import AddImport, Decorate, Edit, Finding, Fix, Span, WrapInWith
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_EVALUATION = pattern(r"^_*(eval|evaluate|validate|validation|test|predict|infer|inference)(_|$)", re.IGNORECASE)
_TRAINS = pattern(r"^fit|optim|^train_|enable_grad", re.IGNORECASE)


class EvaluationWithoutNoGrad(Check[ast.Module]):
    """A model that is evaluated while gradients are recorded.

    ## What it does
    Finds code that switches a model to evaluation, or goes over a validation or test loader, and runs the model
    outside `torch.no_grad()` and `torch.inference_mode()`.

    ## Why it matters
    `model.eval()` changes what dropout and batch normalization do, not what autograd does: every activation is
    kept for a backward pass that never comes. Evaluation then takes several times the memory and is slower, and
    results that are kept hold on to the graph of their batch.

    ## Do not flag
    Gradients switched off by a context manager, a decorator, `set_grad_enabled`, or anywhere up the calls of the
    module; hooks that Lightning's Trainer runs without gradients; gradients that are wanted
    (`requires_grad_`, `autograd.grad`, `backward`); models whose parameters are frozen; `forward` methods; unit
    tests; made-up inputs that only try a model out.

    ## Fix safety
    Suggested: a caller in another module may want the gradients.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
    - https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
    """

    examples = (
        Bad(
            """
            import torch

            def evaluate(model, loader):
                model.eval()
                correct = 0
                for images, labels in loader:
                    correct += («model(images)».argmax(1) == labels).sum().item()
                return correct / len(loader.dataset)
            """,
            suggested_fix="""
            import torch

            @torch.no_grad()
            def evaluate(model, loader):
                model.eval()
                correct = 0
                for images, labels in loader:
                    correct += (model(images).argmax(1) == labels).sum().item()
                return correct / len(loader.dataset)
            """,
        ),
        Bad(
            """
            from torch import nn

            class Trainer:
                def fit(self, epochs):
                    for epoch in range(epochs):
                        self.net.train()
                        for x, y in self.train_loader:
                            self.optimizer.zero_grad()
                            self.loss(self.net(x), y).backward()
                            self.optimizer.step()
                        self.net.eval()
                        total = 0.0
                        for x, y in self.val_loader:
                            total += self.loss(«self.net(x)», y).item()
            """,
            suggested_fix="""
            from torch import nn
            import torch

            class Trainer:
                def fit(self, epochs):
                    for epoch in range(epochs):
                        self.net.train()
                        for x, y in self.train_loader:
                            self.optimizer.zero_grad()
                            self.loss(self.net(x), y).backward()
                            self.optimizer.step()
                        self.net.eval()
                        total = 0.0
                        with torch.no_grad():
                            for x, y in self.val_loader:
                                total += self.loss(self.net(x), y).item()
            """,
        ),
        Bad(
            """
            for epoch in range(10):
                train(model, train_dl)
                losses = []
                for batch in tqdm(valid_dl):
                    losses.append(criterion(«model(batch)»))
            """,
            suggested_fix="""
            for epoch in range(10):
                train(model, train_dl)
                losses = []
                with torch.no_grad():
                    for batch in tqdm(valid_dl):
                        losses.append(criterion(model(batch)))
            """,
        ),
        Bad(
            """
            import torch

            model = torch.load("model.pt", weights_only=False).eval()
            output = «model(image)»
            torch.save(output, "output.pt")
            """,
            suggested_fix="""
            import torch

            model = torch.load("model.pt", weights_only=False).eval()
            with torch.no_grad():
                output = model(image)
            torch.save(output, "output.pt")
            """,
        ),
        Bad(
            """
            class Predictor:
                def __init__(self, path):
                    self.model = load(path)
                    self.model.eval()

                def predict(self, image):
                    scores = «self.model(image[None])»
                    return scores.argmax().item()
            """,
            suggested_fix="""
            class Predictor:
                def __init__(self, path):
                    self.model = load(path)
                    self.model.eval()

                @torch.no_grad()
                def predict(self, image):
                    scores = self.model(image[None])
                    return scores.argmax().item()
            """,
        ),
        Good(
            """
            @torch.inference_mode()
            def evaluate(model, loader):
                model.eval()
                return [model(batch).argmax(1) for batch in loader]

            def test(model, test_loader):
                model.eval()
                with torch.no_grad(), torch.autocast("cuda"):
                    for batch in test_loader:
                        model(batch)
            """
        ),
        Good(
            """
            def accuracy(loader):
                model.eval()
                return sum((model(x).argmax(1) == y).sum().item() for x, y in loader)

            def report():
                with torch.no_grad():
                    print(accuracy(val_loader))
            """,
            "The caller switches gradients off.",
        ),
        Good(
            """
            for phase in ["train", "val"]:
                if phase == "train":
                    model.train()
                else:
                    model.eval()
                for x, y in loaders[phase]:
                    with torch.set_grad_enabled(phase == "train"):
                        loss = criterion(model(x), y)
                    if phase == "train":
                        loss.backward()
            """
        ),
        Good(
            """
            def run_epoch(model, val_loader, training):
                context = torch.enable_grad() if training else torch.no_grad()
                model.train(training)
                with context:
                    for batch in val_loader:
                        model(batch)

            def evaluate(model, test_loader):
                model.eval()
                with ExitStack() as stack:
                    stack.enter_context(torch.no_grad())
                    for batch in test_loader:
                        model(batch)
            """
        ),
        Good(
            """
            import torch

            def prepare():
                torch.set_grad_enabled(False)

            def evaluate(model, test_loader):
                model.eval()
                for batch in test_loader:
                    print(model(batch).argmax(1))
            """
        ),
        Good(
            """
            def saliency(model, image):
                model.eval()
                image.requires_grad_()
                model(image).max().backward()
                return image.grad

            def attack(model, test_loader):
                model.eval()
                for x, y in test_loader:
                    x = x.requires_grad_()
                    grad, = torch.autograd.grad(criterion(model(x), y), x)
                    x = x + 0.01 * grad.sign()
            """,
            "The gradients of the input are wanted.",
        ),
        Good(
            """
            def distill(student, teacher, train_loader):
                teacher.eval()
                for x in train_loader:
                    loss = criterion(student(x), teacher(x))
                    loss.backward()
                    optimizer.step()
            """,
            "Gradients are computed here.",
        ),
        Good(
            """
            import lightning as L

            class Net(L.LightningModule):
                def on_validation_epoch_end(self):
                    self.model.eval()
                    self.log("score", self.score(self.model(self.sample)).item())

                def test_step(self, batch, batch_idx):
                    for part in batch["test_data"]:
                        self.log("loss", self.model(part).item())
            """,
            "Lightning's Trainer runs these without gradients.",
        ),
        Good(
            """
            from torch import nn

            class PerceptualLoss(nn.Module):
                def __init__(self, vgg):
                    super().__init__()
                    self.vgg = vgg.eval()

                def forward(self, x, y):
                    return (self.vgg(x) - self.vgg(y)).square().mean()

            class Loss:
                def __init__(self, vgg):
                    self.vgg = vgg
                    self.vgg.eval()

                def compute(self, x, y):
                    return (self.vgg(x) - self.vgg(y)).square().mean()
            """,
            "The caller decides.",
        ),
        Good(
            """
            model.eval()
            example = torch.randn(1, 3, 224, 224)
            print(model(example).shape, model(augment(example.flip(0)), training=False)[0])
            print(model(first_batch)["scores"].size())
            traced = torch.jit.trace(model, example)
            """,
            "These only try the model out.",
        ),
        Good(
            """
            for p in backbone.parameters():
                p.requires_grad = False
            backbone.eval()
            features = [backbone(x).cpu() for x in test_loader]
            """,
            "Nothing is recorded for frozen parameters.",
        ),
        Good(
            """
            from transformers import pipeline

            classifier = pipeline("sentiment-analysis")

            def predict(loader):
                return [label for batch in loader for label in classifier(batch)]

            def evaluate(loader):
                for batch in loader:
                    print(classifier(batch))

            def query_model(prompt):
                return requests.post(URL, json=prompt)

            for prompt in test_data:
                print(query_model(prompt))

            def test_shapes():
                model = Net().eval()
                assert model(example).shape == (1, 10)
            """,
            "A pipeline switches gradients off itself, and unit tests are small; not all that is called so is a model.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_file(module) or _off_everywhere(module):
            return
        seen: set[ast.AST] = set()
        for evaluation in evaluations(module):
            run, statement = evaluation.run, evaluation.statement
            if run in seen or gradients_off(run, module) or not is_wanted(evaluation, module):
                continue
            seen.update(module.walk(statement))
            yield self.finding(
                module,
                run,
                "Gradients are recorded while the model is evaluated, which keeps every activation in memory for a "
                "backward pass that never comes. Run the model under `torch.no_grad()`.",
                fix=_fix(statement, module),
            )


def _off_everywhere(module: Module) -> bool:
    """Whether the module switches gradients off for all that runs afterwards."""
    return any(
        isinstance(module.parent(call), ast.Expr) and [ast.unparse(argument) for argument in call.args] == ["False"]
        for call in module.calls("set_grad_enabled", "_set_grad_enabled")
    )


def _fix(statement: ast.stmt, module: Module) -> Fix:
    """Decorate a function that does nothing but evaluate; otherwise wrap the statement that evaluates."""
    imports: tuple[Edit, ...] = ()
    if "torch" not in module.bindings and module.imported_packages:
        imports = (AddImport("torch"),)
    function = module.enclosing_function(statement)
    if isinstance(function, ast.FunctionDef) and _EVALUATION.search(function.name):
        parts = module.walk(function, into_functions=True)
        computing = module.fact(gradient_sites)
        if not any(part in computing or _TRAINS.search(identifier(part) or "") for part in parts):
            decorate = Decorate(Span.of(function), "torch.no_grad()")
            return suggested(f"Switch gradients off in {function.name}", decorate, *imports)
    return suggested("Switch gradients off here", WrapInWith(Span.of(statement), "torch.no_grad()"), *imports)
