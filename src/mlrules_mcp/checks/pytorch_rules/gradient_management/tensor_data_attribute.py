from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import groupby

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.gradient_management._data_attributes import (
    in_training,
    initialises,
    is_given_to_initialiser,
    is_replaced,
    is_shared,
    is_tensor_data,
    is_written,
    may_need_gradients,
)
from mlrules_mcp.findings import AddImport, Finding, Fix, Replace, Span, WrapInWith
from mlrules_mcp.source import Module

_WRITE = (
    "A write through `.data` is hidden from autograd: a backward pass that needs the old values computes wrong "
    "gradients without an error. Write to the tensor itself under `torch.no_grad()`."
)
_READ = (
    "`.data` shares its memory with the tensor but is hidden from autograd: changing it in place leads to wrong "
    "gradients without an error. Write `.detach()`, whose changes autograd notices."
)
_INITIALISATION = (
    "`.data` is how tensors were initialised before PyTorch 0.4, and hides writes from autograd. "
    "Give the tensor itself to `torch.nn.init`, or write to it under `torch.no_grad()`."
)
_HARMLESS_WRITE = (
    "`.data` is how tensors were changed before PyTorch 0.4: it hides the write from autograd also where one matters. "
    "Write to the tensor itself under `torch.no_grad()`."
)
_HARMLESS_READ = (
    "`.data` is how tensors were read before PyTorch 0.4: it hides later changes from autograd. "
    "Write `.detach()`, whose changes autograd notices."
)


class TensorDataAttribute(Check[ast.Module]):
    """The `.data` attribute of a tensor.

    ## What it does
    Finds `.data` of parameters, model outputs, losses and other tensors. It is an error in a training step or a
    `forward`, where it changes what a backward pass may need, or where something goes on to share its memory;
    initialisation, updates by a tensor's own gradient and everything else are advice.

    ## Why it matters
    `.data` gives the memory of a tensor without its history and without its version counter. PyTorch raises an error
    when a value that a backward pass needs was changed in place; after a change through `.data` it computes wrong
    gradients instead.

    ## Do not flag
    `.data` of data sets, batches, packed sequences and other objects that are no tensors; weights that are exchanged or
    change their type outside of training; what runs under `torch.no_grad()` or reads a gradient there.

    ## Fix safety
    Suggested: autograd checks the new code, and may raise an error that was hidden so far.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-correctness-checks
    - https://pytorch.org/blog/pytorch-0_4_0-migration-guide/
    """

    examples = (
        Bad(
            """
            import torch

            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward()
                for p in model.parameters():
                    «p.data».add_(p.grad, alpha=-lr)
                    ‹p.data› -= lr * p.grad.data
            """,
            advice=True,
            suggested_fix="""
            import torch

            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward()
                for p in model.parameters():
                    with torch.no_grad():
                        p.add_(p.grad, alpha=-lr)
                    with torch.no_grad():
                        p -= lr * p.grad
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Attention(nn.Module):
                def forward(self, query, memory, mask):
                    scores = self.energies(query, memory)
                    «scores.data».masked_fill_(mask, float("-inf"))
                    kept = torch.tanh(scores)
                    return kept
            """,
            suggested_fix="""
            import torch
            from torch import nn

            class Attention(nn.Module):
                def forward(self, query, memory, mask):
                    scores = self.energies(query, memory)
                    with torch.no_grad():
                        scores.masked_fill_(mask, float("-inf"))
                    kept = torch.tanh(scores)
                    return kept
            """,
        ),
        Bad(
            """
            for inputs, targets in loader:
                output, hidden = model(inputs, hidden)
                loss = criterion(output, targets)
                loss.backward()
                optimizer.step()
                hidden = «hidden.data»
                last = ‹(output + 1).data›.view(-1)
            """,
            suggested_fix="""
            for inputs, targets in loader:
                output, hidden = model(inputs, hidden)
                loss = criterion(output, targets)
                loss.backward()
                optimizer.step()
                hidden = hidden.detach()
                last = (output + 1).detach().view(-1)
            """,
        ),
        Bad(
            """
            for inputs, targets in loader:
                outputs = model(inputs)
                loss = criterion(outputs, targets)
                loss.backward()
                optimizer.step()
                _, predicted = torch.max(«outputs.data», 1)
                total += ‹loss.data›.item()
            """,
            suggested_fix="""
            for inputs, targets in loader:
                outputs = model(inputs)
                loss = criterion(outputs, targets)
                loss.backward()
                optimizer.step()
                _, predicted = torch.max(outputs.detach(), 1)
                total += loss.detach().item()
            """,
            advice=True,
        ),
        Bad(
            """
            import torch

            def weights_init(m):
                if isinstance(m, torch.nn.Linear):
                    torch.nn.init.xavier_uniform_(«m.weight.data»)
                    ‹m.bias.data›.zero_()
            """,
            suggested_fix="""
            import torch

            def weights_init(m):
                if isinstance(m, torch.nn.Linear):
                    torch.nn.init.xavier_uniform_(m.weight)
                    with torch.no_grad():
                        m.bias.zero_()
            """,
            advice=True,
        ),
        Bad(
            """
            import torch

            def soft_update(target, source, tau):
                for target_param, param in zip(target.parameters(), source.parameters()):
                    «target_param.data».copy_(tau * param.data + (1 - tau) * target_param.data)
            """,
            suggested_fix="""
            import torch

            def soft_update(target, source, tau):
                for target_param, param in zip(target.parameters(), source.parameters()):
                    with torch.no_grad():
                        target_param.copy_(tau * param + (1 - tau) * target_param)
            """,
            advice=True,
        ),
        Good(
            """
            import torch
            from torch.nn.utils.rnn import pack_padded_sequence

            def forward(self, x):
                packed = pack_padded_sequence(x, lengths)
                output, _ = self.lstm(packed)
                return self.head(output.data)

            images = train_dataset.data.numpy()
            total = self.data.max()
            graph = batch.data.to(device)
            body = request.data
            binding.data.resize_(shape)
            """,
            why="packed sequences, data sets, graphs and requests have a `.data` too",
        ),
        Good(
            """
            import torch

            with torch.no_grad():
                for p in model.parameters():
                    p.data.mul_(decay)
                    norm += p.data.norm()
            """,
            why="nothing is recorded here",
        ),
        Good(
            """
            import torch

            def convert(model, state):
                model.head.weight.data = state["head"]
                for p in model.parameters():
                    p.data = p.data.float()
                    sizes.append(p.data.numel())
            """,
            why="weights that are exchanged before training",
        ),
        Good(
            """
            for inputs, targets in loader:
                outputs = model(inputs)
                loss = criterion(outputs, targets)
                loss.backward()
                for p in model.parameters():
                    p.data = p.data.to(torch.bfloat16)
                hidden = outputs.detach()
            """,
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        found = [a for a in module.nodes(ast.Attribute) if a.attr == "data" and is_tensor_data(module, a)]
        for statement, group in groupby(found, module.statement):
            attributes = list(group)
            if any(is_replaced(module, attribute) for attribute in attributes):
                continue
            problems = [(a, problem) for a in attributes if (problem := _problem(module, a)) is not None]
            writes = [(a, problem) for a, problem in problems if is_written(module, a)]
            for attribute, (message, advice) in writes[:1] or problems:
                fix = _fix(module, statement, attributes) if writes else _detached(module, attribute)
                yield self.finding(module, attribute, message, fix=fix, advice=advice)


def _problem(module: Module, attribute: ast.Attribute) -> tuple[str, bool] | None:
    """What to say of a tensor's `.data`, and whether it is advice; None where it does no harm."""
    written = is_written(module, attribute)
    of_a_gradient = isinstance(attribute.value, ast.Attribute) and attribute.value.attr == "grad"
    if initialises(module, attribute):
        return (_INITIALISATION, True) if written else None
    if not in_training(module, attribute):
        quiet = not written or of_a_gradient or module.under_no_grad(attribute)
        return None if quiet else (_HARMLESS_WRITE, True)
    if written:
        matters = may_need_gradients(module, attribute.value) and not _is_own_update(module, attribute)
    else:
        matters = is_shared(module, attribute)
    if matters and not of_a_gradient:
        return (_WRITE if written else _READ), False
    return (_HARMLESS_WRITE if written else _HARMLESS_READ), True


def _is_own_update(module: Module, attribute: ast.Attribute) -> bool:
    """Whether a write follows the tensor's own gradient: it comes after the backward pass that it could harm."""
    return f"{ast.unparse(attribute.value)}.grad" in ast.unparse(module.statement(attribute))


def _fix(module: Module, statement: ast.stmt, attributes: list[ast.Attribute]) -> Fix | None:
    """The statement under `no_grad`, with the tensors themselves in the place of their `.data`."""
    tensors = [Replace(Span.of(attribute), _tensor(module, attribute)) for attribute in attributes]
    if all(is_given_to_initialiser(module, attribute) for attribute in attributes):
        return suggested("Initialise the tensor itself", *tensors)
    if not isinstance(statement, ast.Expr | ast.AugAssign | ast.Assign):
        return None
    wrap = WrapInWith(Span.of(statement), "torch.no_grad()")
    return suggested("Write to the tensor itself", wrap, AddImport("torch"), *tensors)


def _detached(module: Module, attribute: ast.Attribute) -> Fix:
    return suggested("Detach the tensor", Replace(Span.of(attribute), f"{_tensor(module, attribute)}.detach()"))


def _tensor(module: Module, attribute: ast.Attribute) -> str:
    return module.text(attribute).removesuffix("data").rstrip().removesuffix(".").rstrip()
