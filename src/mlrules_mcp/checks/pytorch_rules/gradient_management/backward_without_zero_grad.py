from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Check, suggested
from mlrules_mcp.checks.pytorch_rules.gradient_management._backward_without_zero_grad_examples import EXAMPLES
from mlrules_mcp.checks.pytorch_rules.gradient_management._clears import cleared, clears
from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import sites
from mlrules_mcp.checks.pytorch_rules.gradient_management._updates import Update, regions, updates
from mlrules_mcp.findings import Finding, Fix, InsertAfter, InsertBefore, Span
from mlrules_mcp.source import Module


class BackwardWithoutZeroGrad(Check[ast.Module]):
    """A training loop that never clears the gradients.

    ## What it does
    Finds loops that compute gradients and update parameters with them, but clear the gradients nowhere in what they
    repeat, and `training_step` methods with manual optimization and closures of LBFGS that don't.

    ## Why it matters
    `backward()` adds to the gradients that are there. Without clearing, every step follows the sum of the gradients
    of all batches so far: the steps grow with every batch and the training diverges or stalls.

    ## Do not flag
    Gradients cleared anywhere in the loop: before `backward` or after `step`, in a function or closure that the loop
    runs, by `model.zero_grad()` or `p.grad = None`, or perhaps by an unseen function that is given the optimizer;
    DeepSpeed engines, distributed autograd and automatic optimization of Lightning, which do it themselves;
    optimizers made anew in the loop; functions that no loop of the module calls.

    ## Fix safety
    Suggested: the gradients may be meant to add up over several batches.

    ## References
    - https://docs.pytorch.org/tutorials/recipes/recipes/zeroing_out_gradients.html
    - https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
    """

    examples = EXAMPLES

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        backwards = [call for call in module.backward_calls if not _is_distributed(call, module)]
        if not backwards:
            return
        backward_sites = sites(module, backwards)
        clear_sites: dict[frozenset[ast.AST], list[ast.AST]] = {}
        done: set[tuple[ast.AST, str]] = set()
        for update in updates(module):
            name = ast.unparse(update.target)
            repeating = list(regions(update, backward_sites, module))
            if not repeating or (repeating[0], name) in done:
                continue
            done.update((region, name) for region in repeating)
            clearing = frozenset(clears(update, module))
            if clearing not in clear_sites:
                clear_sites[clearing] = sites(module, clearing)
            if any(cleared(region, update, clear_sites[clearing], module) for region in repeating):
                continue
            backward = _nearest_before(update, repeating[0], backwards, module)
            yield self.finding(
                module,
                backward,
                "Nothing clears the gradients between one step and the next, so each step follows the sum of the "
                f"gradients of all batches so far. Call `{_clearing(update)}` before `backward()`.",
                fix=_fix(update, backward, module),
            )


def _is_distributed(backward: ast.Call, module: Module) -> bool:
    """Whether a backward pass keeps its gradients in a context of its own."""
    return (module.qualified_name(backward.func) or "").startswith("torch.distributed.autograd.")


def _nearest_before(update: Update, region: ast.AST, backwards: list[ast.Call], module: Module) -> ast.Call:
    """The backward call that an update goes with: the last before it in the loop, or in its function."""
    function = module.enclosing_function(update.node)
    near = [call for call in backwards if module.is_inside(call, region)]
    near = near or [call for call in backwards if module.enclosing_function(call) is function] or backwards
    before = [call for call in near if call.lineno <= update.node.lineno]
    return before[-1] if before else near[0]


def _clearing(update: Update) -> str:
    return f"{ast.unparse(update.target)}.{'grad = None' if update.by_hand else 'zero_grad()'}"


def _fix(update: Update, backward: ast.Call, module: Module) -> Fix | None:
    """Clear before the backward pass; where that runs more often than the update, after the update."""
    step, pass_ = module.statement(update.node), module.statement(backward)
    clear = _clearing(update)
    title = f"Clear the gradients with {clear}"
    in_closure = module.enclosing_function(backward) is not module.enclosing_function(update.node)
    if not update.by_hand and (in_closure or module.block(step) is module.block(pass_)):
        return suggested(title, InsertBefore(Span.of(pass_), clear))
    if isinstance(step, ast.Expr | ast.AugAssign):
        return suggested(title, InsertAfter(Span.of(step), clear))
    return None
