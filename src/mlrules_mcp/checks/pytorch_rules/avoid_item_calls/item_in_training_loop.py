from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Check, safe, suggested
from mlrules_mcp.checks.pytorch_rules.avoid_item_calls._item_examples import EXAMPLES
from mlrules_mcp.checks.pytorch_rules.avoid_item_calls._steps import runs_each_forward, runs_each_step
from mlrules_mcp.checks.pytorch_rules.avoid_item_calls._tensors import is_on_host
from mlrules_mcp.checks.pytorch_rules.avoid_item_calls._uses import CONVERSIONS, FETCHES, PRINTS, fetched_tensor, use_of
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import STEP_METHODS, last_name
from mlrules_mcp.source.values import LIGHTNING_MODULE

_GATHERS = frozenset({"cpu", "numpy", "tolist"})
_LOSS_WORD = pattern(r"loss(es)?(_?[a-z\d]{1,3})?$", re.IGNORECASE)

_KEPT = (
    "Each step waits here until the device has finished, because the value is fetched to the CPU. "
    "Keep the detached tensor (`total += loss.detach()`) and fetch it once, after the loop."
)
_FETCHED = (
    "Each step waits here until the device has finished, because the value is fetched to the CPU. "
    "Fetch it every so many steps (`if step % 100 == 0:`), or keep it detached until after the loop."
)
_LOGGED = (
    "Each step waits here until the device has finished, because the value is fetched to the CPU. "
    "`self.log` takes the tensor itself and detaches it."
)


class ItemInTrainingLoop(Check[ast.Call]):
    """A value that is fetched from the device in every training step.

    ## What it does
    Finds `.item()`, `.cpu()`, `.numpy()`, `.tolist()`, `float(loss)` and `print(loss)` in code that runs in every
    step of a training loop: losses and metrics that are summed up, collected or shown. In a LightningModule it also
    finds `self.log("loss", loss.item())`.

    ## Why it matters
    A GPU works through its queue while Python prepares the next step. Fetching a value makes Python wait until the
    queue is empty, so that the device idles at the beginning of each step.

    ## Do not flag
    What runs every so many steps, once an epoch, in evaluation, on an error or in a test; values that are already
    on the CPU (NumPy values, a batch as the loader gives it); values that code off the device needs, such as the
    actions for an environment. `total += loss` without `.detach()` is worse: it keeps every step's graph.

    ## Fix safety
    Safe for `self.log`, which detaches the tensor. Suggested for sums and lists: they hold tensors afterwards, so
    that `.item()` moves to where they are read.

    ## References
    - https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html#avoid-unnecessary-cpu-gpu-synchronization
    - https://lightning.ai/docs/pytorch/stable/extensions/logging.html
    """

    names = FETCHES | CONVERSIONS | PRINTS
    examples = EXAMPLES

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = module.called_name(node) or ""
        is_logged = name in {"item", "float"} and _is_logged(module, node)
        in_loop = None if is_logged else _runs_each_step(module, node)
        if not is_logged and in_loop is None:
            return
        fetched = fetched_tensor(module, node, name)
        if fetched is None or is_on_host(module, fetched):
            return
        if is_logged:
            fix = safe("Log the tensor", Replace(Span.of(node), module.text(_bare(fetched))))
            yield self.finding(module, node, _LOGGED, fix=fix)
        elif not _decides(module, node) and not _is_printed_by_lightning(module, node):  # see `print-in-step`
            use = use_of(module, node)
            if use == "needed" or (use is None and not (in_loop and _is_worth_a_word(name, fetched))):
                return
            fix_kept = _kept(module, node, fetched) if use == "kept" and name in {"item", "float"} else None
            yield self.finding(module, node, _KEPT if use == "kept" else _FETCHED, fix=fix_kept)


def _runs_each_step(module: Module, node: ast.AST) -> bool | None:
    """True in each step of a training loop, False in each call of `forward`, None elsewhere."""
    if runs_each_step(module, node):
        return True
    return False if runs_each_forward(module, node) else None


def _is_worth_a_word(name: str, fetched: ast.expr) -> bool:
    """Whether fetching a value can be told to be avoidable without knowing what becomes of it: it is one number."""
    return name not in _GATHERS or bool(_LOSS_WORD.search(last_name(_bare(fetched)) or ""))


def _is_logged(module: Module, call: ast.Call) -> bool:
    """Whether a call is a value that a LightningModule's `self.log` or `self.log_dict` is given."""
    parent = module.parent(call)
    if isinstance(parent, ast.Dict | ast.keyword):
        parent = module.parent(parent)
    match parent:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr="log" | "log_dict")):
            cls = module.enclosing_class(call)
            return cls is not None and module.is_subclass(cls, LIGHTNING_MODULE)
    return False


def _is_printed_by_lightning(module: Module, node: ast.expr) -> bool:
    """Whether a value is printed, without a condition, in a step method of a LightningModule."""
    function, cls = module.enclosing_function(node), module.enclosing_class(node)
    if function is None or function.name not in STEP_METHODS:
        return False
    return (
        cls is not None
        and module.is_subclass(cls, LIGHTNING_MODULE)
        and any(module.is_call_to(around, "builtins.print") for around in (node, *module.ancestors(node)))
        and not any(module.is_inside(guard.test, function) for guard in module.guards(node))
    )


def _decides(module: Module, node: ast.expr) -> bool:
    """Whether a node is part of a condition: that is another matter, see `branch-on-tensor`."""
    child: ast.AST = node
    for parent in module.ancestors(node):
        if isinstance(parent, ast.If | ast.While | ast.IfExp | ast.Assert) and child is parent.test:
            return True
        if isinstance(child, ast.stmt):
            return False
        child = parent
    return False


def _kept(module: Module, call: ast.Call, fetched: ast.expr) -> Fix:
    bare = _bare(fetched)
    counted = any(isinstance(node, ast.Compare) for node in ast.walk(bare))
    text = _text(module, bare) + ("" if counted else ".detach()")
    return suggested("Keep the detached tensor", Replace(Span.of(call), text))


def _bare(fetched: ast.expr) -> ast.expr:
    """A tensor without the `.detach().cpu()` before the value is taken."""
    match fetched:
        case ast.Call(func=ast.Attribute(value=value, attr="detach" | "cpu" | "numpy"), args=[]):
            return _bare(value)
        case ast.Attribute(value=value, attr="data"):
            return _bare(value)
    return fetched


def _text(module: Module, expression: ast.expr) -> str:
    text = module.text(expression)
    return text if isinstance(expression, ast.Name | ast.Attribute | ast.Call | ast.Subscript) else f"({text})"
