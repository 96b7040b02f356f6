from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._kept import kept_values
from mlrules_mcp.checks._losses import Losses, carrying_parts, losses
from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_FROZEN = pattern(r"teacher|ema|target|(^|_)(ref|old)(_|$)|frozen|pretrain|vgg|expert|lpips", re.IGNORECASE)


class OutputsKeptWithGraph(Check[ast.Module]):
    """Outputs of a model in training that are collected together with their graphs.

    ## What it does
    Finds what a model returns in a training step and what is appended or joined, undetached, to something that
    outlives the step: `predictions.append(output)`, `all_outputs = torch.cat([all_outputs, output])`.

    ## Why it matters
    An output holds on to every activation that its backward pass needs, or needed: the list grows by a graph a step,
    which uses up the memory of the device long before the outputs themselves would.

    ## Do not flag
    Outputs that are detached or turned into numbers; lists that are backpropagated; lists that start anew with every
    step; evaluation; losses, which `loss-kept-with-graph` finds.

    ## Fix safety
    Safe: the values stay the same. Only a list that nothing backpropagates is found.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/faq.html#my-model-reports-cuda-runtime-error-2-out-of-memory
    """

    examples = (
        Bad(
            """
            predictions = []
            for inputs, targets in loader:
                output = model(inputs)
                loss = criterion(output, targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                «predictions.append(output)»
            """,
            safe_fix="""
            predictions = []
            for inputs, targets in loader:
                output = model(inputs)
                loss = criterion(output, targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                predictions.append(output.detach())
            """,
        ),
        Bad(
            """
            def train(net, loader):
                for inputs, targets in loader:
                    scores, hidden = net(inputs)
                    loss = F.cross_entropy(scores, targets)
                    loss.backward()
                    optimizer.step()
                    «all_scores = torch.cat([all_scores, scores.cpu()])»
                    «results.append((F.softmax(scores, dim=1), targets))»
                return all_scores, results
            """,
            safe_fix="""
            def train(net, loader):
                for inputs, targets in loader:
                    scores, hidden = net(inputs)
                    loss = F.cross_entropy(scores, targets)
                    loss.backward()
                    optimizer.step()
                    all_scores = torch.cat([all_scores, scores.detach().cpu()])
                    results.append((F.softmax(scores.detach(), dim=1), targets))
                return all_scores, results
            """,
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    x, y = batch
                    y_hat = self(x)
                    loss = F.cross_entropy(y_hat, y)
                    «self.training_outputs.append({"prediction": y_hat, "target": y})»
                    return loss
            """,
            safe_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    x, y = batch
                    y_hat = self(x)
                    loss = F.cross_entropy(y_hat, y)
                    self.training_outputs.append({"prediction": y_hat.detach(), "target": y})
                    return loss
            """,
        ),
        Bad(
            """
            for epoch in range(epochs):
                for real in loader:
                    loss = criterion(D(G(noise)), ones)
                    loss.backward()
                    optimizer.step()
                samples = G(fixed_noise)
                «pictures.append(samples)»
            """,
            safe_fix="""
            for epoch in range(epochs):
                for real in loader:
                    loss = criterion(D(G(noise)), ones)
                    loss.backward()
                    optimizer.step()
                samples = G(fixed_noise)
                pictures.append(samples.detach())
            """,
        ),
        Good(
            """
            for inputs, targets in loader:
                output = model(inputs)
                loss = criterion(output, targets)
                loss.backward()
                optimizer.step()
                predictions.append(output.detach().cpu())
                classes.append(output.argmax(dim=1))
                arrays.append(output.data.cpu().numpy())
                correct.append(output > 0)
                all_targets.append(targets)
                last_output = output
                with torch.no_grad():
                    samples.append(model(fixed_inputs))
            """,
        ),
        Good(
            """
            for inputs, targets in loader:
                outputs = []
                for part in inputs:
                    outputs.append(model(part))
                loss = criterion(torch.stack(outputs), targets)
                loss.backward()
                optimizer.step()
            """,
            why="the list is backpropagated, and starts anew with every step",
        ),
        Good(
            """
            def predict(model, loader):
                outputs = []
                for inputs, _ in loader:
                    outputs.append(model(inputs))
                return torch.cat(outputs)

            def train(model, loader):
                for inputs, targets in loader:
                    loss = criterion(model(inputs), targets)
                    loss.backward()
                    optimizer.step()
            """,
            why="an evaluation without `no_grad` is found by evaluation-without-no-grad",
        ),
        Good(
            """
            for inputs, targets in loader:
                features = teacher(inputs)
                loss = criterion(student(inputs), features)
                loss.backward()
                optimizer.step()
                collected.append(features)
            """,
            why="a frozen model's output has no graph",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        found = losses(module)
        if not found.roots:
            return
        for kept in module.fact(kept_values):
            outputs = [part for part in carrying_parts(module, kept.value) if _is_output(module, part, found)]
            if not outputs or found.feeds_backward(kept.target) or module.under_no_grad(kept.place):
                continue
            target, output = ast.unparse(kept.target), ast.unparse(outputs[0])
            yield self.finding(
                module,
                kept.place,
                f"`{output}` goes into `{target}` with its graph, so the activations of all steps stay in memory as "
                f"long as `{target}` does. Write `{output}.detach()`.",
                fix=safe(
                    "Detach what is kept",
                    *(Replace(Span.of(part), f"{ast.unparse(part)}.detach()") for part in outputs),
                ),
            )


def _is_output(module: Module, part: ast.expr, found: Losses) -> bool:
    """Whether a part of a value is what a model in training returned, with its graph."""
    match part:
        case ast.Call():
            return _runs_trained_model(module, part, found)
        case ast.Name():
            bindings = module.reaching(part)
            return (
                bool(bindings)
                and not found.is_loss(part)
                and all(
                    binding.kind in ("assignment", "unpacking")
                    and _runs_trained_model(module, binding.value, found)
                    and not module.under_no_grad(binding.node)
                    for binding in bindings
                )
            )
    return False


def _runs_trained_model(module: Module, call: ast.expr | None, found: Losses) -> bool:
    if not isinstance(call, ast.Call) or not runs_model(module, call) or _FROZEN.search(ast.unparse(call.func)):
        return False
    return ast.unparse(call.func) == "self" or found.feeds_backward(call.func)
