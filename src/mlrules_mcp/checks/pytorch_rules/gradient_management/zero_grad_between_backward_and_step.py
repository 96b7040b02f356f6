from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Check, suggested
from mlrules_mcp.checks.pytorch_rules.gradient_management._clears import owners
from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import gradient_sites
from mlrules_mcp.checks.pytorch_rules.gradient_management._updates import Update, updates
from mlrules_mcp.checks.pytorch_rules.gradient_management._zero_grad_between_backward_and_step_examples import EXAMPLES
from mlrules_mcp.findings import Finding, InsertAfter, InsertBefore, RemoveStatement, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import FUNCTIONS, LOOPS

# Any name but those of functions that are known to leave gradients alone.
_UNKNOWN = pattern(
    r"^(?!.*(clip|unscale|norm|item|append|print|log|write|add_scalar|detach|sync|len|float))", re.IGNORECASE
)
_COMPUTES_GRADIENTS = pattern(r"backward|train|update|optimi|closure|learn|fit", re.IGNORECASE)


class ZeroGradBetweenBackwardAndStep(Check[ast.Module]):
    """Gradients that are cleared before the optimizer uses them.

    ## What it does
    Finds `zero_grad()` on the way from `backward()` to `step()`: between the two, or because `step()` comes before
    `backward()`; and `zero_grad()` for each batch where only every n-th batch makes a step.

    ## Why it matters
    The optimizer sees no gradients, so the model does not learn, and no error says so. Where gradients are meant to
    add up over n batches, those of all batches but the last are lost.

    ## Do not flag
    Gradients that are computed again, or put back, before the step; clearing under a condition of its own.

    ## Fix safety
    Suggested: the order is certainly wrong, but a reader should see that nothing between the statements needs it.

    ## References
    - https://docs.pytorch.org/tutorials/beginner/basics/optimization_tutorial.html
    - https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation
    """

    examples = EXAMPLES

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        clears = [call for call in module.calls("zero_grad") if isinstance(module.parent(call), ast.Expr)]
        if not clears or not module.backward_calls:
            return
        found = list(updates(module))
        for update in found:
            own = {module.statement(call): call for call in clears if _clears(call, update, module)}
            if own and not _takes_closure(update):
                may_compute = _COMPUTES_GRADIENTS if _is_alone(update, found, module) else _UNKNOWN
                accumulating = list(self._check_accumulation(update, own, module))
                yield from accumulating or self._check_order(update, own, may_compute, module)

    def _check_order(
        self,
        update: Update,
        clears: dict[ast.stmt, ast.Call],
        may_compute: re.Pattern[str],
        module: Module,
    ) -> Iterator[Finding]:
        """Go back from the step: its gradients are lost if they are cleared first and computed before that."""
        step = module.statement(update.node)
        cleared: ast.stmt | None = None
        for earlier in _earlier(step, module):
            nodes = list(module.walk(earlier))
            computing = next((node for node in nodes if node in module.fact(gradient_sites)), None)
            if cleared is None:
                if computing or _may_compute_gradients(nodes, may_compute, module):
                    return
                cleared = earlier if earlier in clears else None
            elif computing:
                yield self._misplaced(step, clears[cleared], computing, module)
                return
            elif any(node in module.optimizer_steps for node in nodes):
                return

    def _misplaced(self, step: ast.stmt, clear: ast.Call, computing: ast.AST, module: Module) -> Finding:
        cleared, computed = module.statement(clear), module.statement(computing)
        clear_text, step_text = module.text(clear), module.text(step)
        if computed.lineno < cleared.lineno < step.lineno:
            before = (RemoveStatement(Span.of(cleared)), InsertBefore(Span.of(computed), clear_text))
            movable = module.block(cleared) is module.block(computed)
            return self.finding(
                module,
                clear,
                f"This clears the gradients that `backward()` has computed before `{step_text}` uses them, so the "
                f"model does not learn. Move `{clear_text}` before `backward()`.",
                fix=suggested("Clear the gradients before they are computed", *before) if movable else None,
            )
        after = (RemoveStatement(Span.of(step)), InsertAfter(Span.of(computed), step_text))
        movable = isinstance(step, ast.Expr) and module.block(step) is module.block(computed)
        return self.finding(
            module,
            step,
            "This step runs after the gradients are cleared and before `backward()` computes new ones, so the model "
            f"does not learn. Move `{step_text}` after `backward()`.",
            fix=suggested("Step once the gradients are computed", *after) if movable else None,
        )

    def _check_accumulation(
        self, update: Update, clears: dict[ast.stmt, ast.Call], module: Module
    ) -> Iterator[Finding]:
        """Gradients meant to add up until every n-th batch makes a step."""
        guard = _every_nth(update.node, module)
        if guard is None or not module.fact(gradient_sites).isdisjoint(module.walk(guard)):
            return
        block = module.block(guard)
        loop = module.parent(guard)
        steps = [step for step in module.optimizer_steps if module.enclosing_loop(step) is loop]
        computed = [node for statement in block for node in module.walk(statement) if node in module.backward_calls]
        if len(steps) > 1 or not any(module.enclosing_loop(call) is loop for call in computed):
            return
        step = module.statement(update.node)
        for statement in block:
            if statement in clears:
                text = module.text(clears[statement])
                after = (RemoveStatement(Span.of(statement)), InsertAfter(Span.of(step), text))
                yield self.finding(
                    module,
                    clears[statement],
                    "Every batch clears the gradients, but only every n-th makes a step, so those of the batches "
                    f"between are lost. Call `{text}` right after `{module.text(step)}`.",
                    fix=suggested("Clear the gradients after the step", *after),
                )


def _takes_closure(update: Update) -> bool:
    """Whether a step computes its gradients itself."""
    return not isinstance(update.node, ast.Call) or (
        bool(update.node.args) and update.node.args[0] is not update.target
    )


def _clears(clear: ast.Call, update: Update, module: Module) -> bool:
    """Whether a `zero_grad()` clears what an update uses: of its optimizer, or of the model that it optimizes."""
    assert isinstance(clear.func, ast.Attribute)
    cleared = ast.unparse(clear.func.value)
    return cleared == ast.unparse(update.target) or cleared in owners(update.target, module)


def _earlier(statement: ast.stmt, module: Module) -> Iterator[ast.stmt]:
    """The statements that ran before one, the nearest first.

    At the top of a loop come those of the turn before, at the top of a function those of the call before.
    """
    child = statement
    tails: list[list[ast.stmt]] = []
    while True:
        block, parent = module.block(child), module.parent(child)
        index = block.index(child)
        yield from reversed(block[:index])
        tails.append(block[index + 1 :])
        if not isinstance(parent, ast.If | ast.With | ast.AsyncWith):
            break
        child = parent
    if isinstance(parent, (*FUNCTIONS, *LOOPS)):
        for later in (each for tail in reversed(tails) for each in reversed(tail)):
            if isinstance(parent, LOOPS) or not isinstance(later, LOOPS):
                yield later


def _is_alone(update: Update, others: list[Update], module: Module) -> bool:
    """Whether no other optimizer is stepped in the function, whose gradients an unseen function may compute."""
    function = module.enclosing_function(update.node)
    return all(
        ast.unparse(other.target) == ast.unparse(update.target)
        for other in others
        if module.enclosing_function(other.node) is function
    )


def _may_compute_gradients(nodes: list[ast.AST], names: re.Pattern[str], module: Module) -> bool:
    """Whether gradients are read, or put back, or a function of one of some names is called."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr == "grad":
            return True
        if isinstance(node, ast.Call) and not (module.qualified_name(node.func) or "").startswith("torch."):
            name = last_name(node.func) or ""
            if name != "zero_grad" and names.search(name):
                return True
    return False


def _every_nth(step: ast.AST, module: Module) -> ast.If | None:
    """The `if` of a loop's body by which only every n-th turn makes a step."""
    loop = module.enclosing_loop(step)
    child = step
    for ancestor in module.ancestors(step):
        if isinstance(ancestor, ast.If) and child in ancestor.body and _counts(ancestor.test):
            return ancestor if module.parent(ancestor) is loop else None
        child = ancestor
    return None


def _counts(test: ast.expr) -> bool:
    return any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod) for part in ast.walk(test))
