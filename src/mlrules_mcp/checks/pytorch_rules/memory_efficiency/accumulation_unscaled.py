from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._losses import backpropagated, sources
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.memory_efficiency._groups import Group, accumulated_group
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name

_DIVIDES_ITSELF = pattern(r"accelerator|engine", re.IGNORECASE)


class AccumulationUnscaled(Check[ast.Call]):
    """Gradients that are accumulated over several batches without dividing the loss, or without the last batches.

    ## What it does
    Finds training loops that step the optimizer every k batches, where the loss is not divided by k, and such loops
    over a loader where the last batches are never stepped if their number is no multiple of k.

    ## Why it matters
    Gradients add up: after k backward passes they are k times those of one large batch, which acts like a
    k times larger learning rate and makes clipping thresholds wrong. Batches left over at the end of an epoch are
    wasted, or their gradients spill into the first step of the next.

    ## Do not flag
    Losses that are divided, by whatever; Accelerate and DeepSpeed, which divide on their own; gradients
    that are rescaled by hand; a second optimizer that is stepped less often; loops without an end.

    ## Fix safety
    Suggested: the learning rate may have been tuned to the undivided loss.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation
    """

    names = frozenset({"backward", "manual_backward"})
    examples = (
        Bad(
            """
            for i, (inputs, targets) in enumerate(loader):
                loss = criterion(model(inputs), targets)
                «loss.backward()»
                if (i + 1) % accumulation_steps == 0 or (i + 1) == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
            """,
            suggested_fix="""
            for i, (inputs, targets) in enumerate(loader):
                loss = criterion(model(inputs), targets)
                (loss / accumulation_steps).backward()
                if (i + 1) % accumulation_steps == 0 or (i + 1) == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
            """,
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    loss = self.reconstruction(batch) + self.beta * self.divergence(batch)
                    «self.manual_backward(loss)»
                    if (batch_idx + 1) % self.hparams.accumulate:
                        return
                    optimizer.step()
                    optimizer.zero_grad()
            """,
            suggested_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    loss = self.reconstruction(batch) + self.beta * self.divergence(batch)
                    self.manual_backward(loss / self.hparams.accumulate)
                    if (batch_idx + 1) % self.hparams.accumulate:
                        return
                    optimizer.step()
                    optimizer.zero_grad()
            """,
        ),
        Bad(
            """
            for step in range(max_steps):
                for micro_step in range(gradient_accumulation_steps):
                    inputs, targets = next(batches)
                    «scaler.scale(F.cross_entropy(model(inputs), targets)).backward()»
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
            """,
            suggested_fix="""
            for step in range(max_steps):
                for micro_step in range(gradient_accumulation_steps):
                    inputs, targets = next(batches)
                    scaler.scale(F.cross_entropy(model(inputs), targets) / gradient_accumulation_steps).backward()
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
            """,
        ),
        Bad(
            """
            def train_epoch(model, train_loader, optimizer):
                for i, (inputs, targets) in enumerate(train_loader):
                    loss = criterion(model(inputs), targets) / 4
                    loss.backward()
                    if (i + 1) % 4 == 0:
                        «optimizer.step()»
                        optimizer.zero_grad()
            """
        ),
        Good(
            """
            for i, (inputs, targets) in enumerate(loader):
                loss = criterion(model(inputs), targets)
                loss = loss / accumulation_steps
                loss.backward()
                if (i + 1) % accumulation_steps == 0 or i + 1 == len(loader):
                    optimizer.step()
                    optimizer.zero_grad()
            """
        ),
        Good(
            """
            for i, (inputs, targets) in enumerate(loader):
                loss = criterion(model(inputs), targets)
                loss /= steps
                loss.backward()
                if (i + 1) % steps == 0:
                    optimizer.step()
                    optimizer.zero_grad()
            if (i + 1) % steps:
                optimizer.step()
                optimizer.zero_grad()
            """,
            why="the rest is stepped after the loop",
        ),
        Good(
            """
            for i, real in enumerate(loader):
                optimizer_d.zero_grad()
                loss_d = criterion(discriminator(real), ones)
                loss_d.backward()
                optimizer_d.step()
                if i % critic_steps == 0:
                    optimizer_g.zero_grad()
                    loss_g = criterion(discriminator(generator(noise)), ones)
                    loss_g.backward()
                    optimizer_g.step()
            """,
            why="a second optimizer that is stepped less often",
        ),
        Good(
            """
            for step, batch in enumerate(loader):
                with accelerator.accumulate(model):
                    loss = model(**batch).loss
                    accelerator.backward(loss)
                    optimizer.step()
                    optimizer.zero_grad()
            """,
            why="Accelerate divides on its own",
        ),
        Good(
            """
            for step in range(max_steps):
                loss = compute_loss(next(batches))
                (loss * (1 / k)).backward()
                if (step + 1) % k == 0:
                    optimizer.step()
                    optimizer.zero_grad()
            """,
            why="a loop over steps: what is left over comes once, at the end of training",
        ),
        Good(
            """
            for i, batch in enumerate(loader):
                loss = model(batch).sum()
                loss.backward()
                count += len(batch)
                if i % k == k - 1 or i == len(loader) - 1:
                    for parameter in model.parameters():
                        parameter.grad.div_(count)
                    optimizer.step()
                    optimizer.zero_grad()
            """,
            why="the gradients are divided by hand",
        ),
        Good(
            """
            seen = 0
            for epoch in range(epochs):
                for batch in loader:
                    seen += 1
                    loss = model(batch).loss / k
                    loss.backward()
                    if seen % k == 0:
                        optimizer.step()
                        optimizer.zero_grad()
            """,
            why="the count goes on in the next epoch, and with it the group",
        ),
        Good(
            """
            def train_epoch(loader):
                for i, batch in enumerate(loader):
                    is_last = i + 1 == len(loader)
                    needs_step = is_last or (i + 1) % k == 0

                    def backward(loss):
                        scaler.scale(loss).backward()
                        if needs_step:
                            scaler.step(optimizer)

                    backward(model(batch).loss / k)
            """,
            why="what the caller divides doesn't show",
        ),
        Good(
            """
            for i, batch in enumerate(loader):
                if i // k >= len(loader) // k:
                    break
                loss = model(batch).loss / k
                loss.backward()
                if (i + 1) % k == 0:
                    optimizer.step()
                    optimizer.zero_grad()
            """,
            why="only whole groups are begun",
        ),
        Good(
            """
            for task in tasks:
                loss = criterion(model(task.inputs), task.targets)
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            """,
            why="a sum over tasks",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if node not in module.backward_calls:
            return
        group = accumulated_group(module, node)
        if group is None:
            return
        if not _is_scaled(module, node, group):
            k = f"({ast.unparse(group.size)})" if isinstance(group.size, ast.BinOp) else ast.unparse(group.size)
            yield self.finding(
                module,
                node,
                f"The gradients of `{k}` batches add up to that many times those of one large batch, as if the "
                f"learning rate were larger. Divide the loss: `loss / {k}`.",
                fix=_divided(module, node, k),
            )
        elif group.leaves_rest is not None:
            yield self.finding(
                module,
                group.leaves_rest,
                "The last batches of the loader get no step of their own when they are fewer than a group: their "
                "gradients are lost or spill into the next epoch. Step at the last batch of the loader as well.",
            )


def _is_scaled(module: Module, backward: ast.Call, group: Group) -> bool:
    """Whether something divides the loss or the gradients, or may."""
    if isinstance(backward.func, ast.Attribute) and _DIVIDES_ITSELF.search(last_name(backward.func.value) or ""):
        return True
    attributes = module.nodes(ast.Attribute)
    if any(attribute.attr == "grad" and module.is_inside(attribute, group.region) for attribute in attributes):
        return True
    losses = backpropagated(module, backward)
    names = [loss for loss in losses if isinstance(loss, ast.Name)]
    if any(binding.kind == "parameter" for name in names for binding in module.reaching(name)):
        return True
    size = ast.unparse(group.size)
    for node in sources(module, losses):
        match node:
            case ast.BinOp(op=ast.Div() | ast.Mult()) if size in ast.unparse(node):
                return True
            case ast.Name() if any(_is_divided(module, binding.node) for binding in module.reaching(node)):
                return True
    return any(map(_divides, losses))


def _is_divided(module: Module, target: ast.AST) -> bool:
    match module.parent(target):
        case ast.AugAssign(op=ast.Div() | ast.Mult()):
            return True
        case ast.Assign(value=value):
            return _divides(value)
    return False


def _divides(value: ast.expr) -> bool:
    match value:
        case ast.BinOp(op=ast.Div()):
            return True
        case ast.BinOp(left=left, right=right):
            return _divides(left) or _divides(right)
        case ast.Call(func=ast.Attribute(attr="div" | "div_")):
            return True
    return False


def _divided(module: Module, backward: ast.Call, k: str) -> Fix | None:
    losses = backpropagated(module, backward)
    if len(losses) != 1:
        return None
    loss = losses[0]
    text = module.text(loss)
    quotient = f"({text}) / {k}" if isinstance(loss, ast.BinOp | ast.IfExp | ast.UnaryOp) else f"{text} / {k}"
    title = f"Divide the loss by {k}"
    if isinstance(backward.func, ast.Attribute) and loss is backward.func.value:
        whole = module.text(backward)
        start = whole.index(".backward", len(text))
        return suggested(title, Replace(Span.of(backward), f"({quotient}){whole[start:]}"))
    return suggested(title, Replace(Span.of(loss), quotient))
