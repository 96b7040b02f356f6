from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument

_PROGRESS = pattern(r"(^|_)(epochs?|steps?|iter(ation)?s?|global_step|it)(_|$)", re.IGNORECASE)
_TRAINING_STATE = pattern(r"optim|(^|_)opt(_|\d|$)|adam|sgd|train(er|ing)?_?state|accelerator", re.IGNORECASE)


class ResumeWithoutOptimizer(Check[ast.Call]):
    """A checkpoint to resume from that leaves out the optimizer.

    ## What it does
    Finds `torch.save` of a dictionary that holds a model's state and how far training got (`epoch`, `step`), and no
    state of an optimizer, in a file that steps one. It is advice.

    ## Why it matters
    Adam and momentum keep averages for every weight. A run that resumes without them starts those anew: the loss
    jumps, and the result is not that of a run without interruption.

    ## Do not flag
    Weights alone, which are for inference; dictionaries that are put together elsewhere; files that save the
    optimizer at another place; files that train nothing; tests.

    ## Fix safety
    No fix: the optimizer has to be loaded where training resumes, too.

    ## References
    - https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
    """

    names = frozenset({"save"})
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import torch

            for epoch in range(epochs):
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
                torch.save(«{"epoch": epoch, "model": model.state_dict()}», "last.pt")
            """,
            advice=True,
        ),
        Bad(
            """
            import torch

            def train(net, loader, optimizer):
                for step, batch in enumerate(loader):
                    net(batch).mean().backward()
                    optimizer.step()
                    if step % 1000 == 0:
                        state = «dict(net=net.module.state_dict(), step=step, loss=best)»
                        torch.save(state, f"step_{step}.pt")
            """,
            advice=True,
        ),
        Good(
            """
            import torch

            for epoch in range(epochs):
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
                torch.save(model.state_dict(), "weights.pt")
                torch.save({"model": model.state_dict(), "classes": classes}, "model.pt")
                state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
                torch.save(state, "last.pt")
            """
        ),
        Good(
            """
            import torch

            checkpoint = torch.load("last.pt")
            torch.save({"epoch": checkpoint["epoch"], "model": model.state_dict()}, "stripped.pt")
            """,
            "nothing is trained here",
        ),
        Good(
            """
            import torch

            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            torch.save({"epoch": epoch, "model": model.state_dict()}, "last.pt")
            torch.save(optimizer.state_dict(), "optimizer.pt")
            """,
            "saved at another place",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not module.is_call_to(node, "torch.save") or not module.optimizer_steps or is_test(module):
            return
        saved = argument(node, "obj", 0)
        for origin in module.origins(saved) if saved is not None else ():
            entries = _entries(origin)
            if entries and _is_resumable(entries) and not _saves_training_state(module):
                yield self.finding(
                    module,
                    origin,
                    "A run that resumes from this checkpoint starts the optimizer's averages anew. "
                    'Save `optimizer.state_dict()` under a key of its own, such as "optimizer", and load it again.',
                    advice=True,
                )


def _entries(origin: ast.expr) -> list[tuple[str, ast.expr]]:
    """The named entries of a dictionary that is written out; empty for one that holds others that don't show."""
    match origin:
        case ast.Dict(keys=keys, values=values) if all(isinstance(key, ast.Constant) for key in keys):
            return [(str(key.value), value) for key, value in zip(keys, values, strict=True)]  # type: ignore[union-attr]
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(each.arg for each in keywords):
            return [(each.arg or "", each.value) for each in keywords]
    return []


def _is_resumable(entries: list[tuple[str, ast.expr]]) -> bool:
    """Whether a dictionary says how far training got, holds a model's state, and no other state of training."""
    names = [name for name, _ in entries]
    return (
        any(_PROGRESS.search(name) for name in names)
        and any(_is_state(value) for _, value in entries)
        and not any(_TRAINING_STATE.search(f"{name} {ast.unparse(value)}") for name, value in entries)
    )


def _is_state(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and last_name(value.func) == "state_dict"


def _saves_training_state(module: Module) -> bool:
    """Whether a file asks an optimizer for its state anywhere."""
    return any(
        isinstance(call.func, ast.Attribute) and _TRAINING_STATE.search(ast.unparse(call.func.value))
        for call in module.calls("state_dict", "save_state")
    )
