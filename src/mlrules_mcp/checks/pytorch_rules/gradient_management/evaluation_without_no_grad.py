from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Check, suggested
from mlrules_mcp.checks.pytorch_rules.gradient_management._evaluation_without_no_grad_examples import FOUND
from mlrules_mcp.checks.pytorch_rules.gradient_management._evaluation_without_no_grad_exceptions import LEFT_ALONE
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

    examples = (*FOUND, *LEFT_ALONE)

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
