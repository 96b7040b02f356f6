from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.optimization_rules.model_compilation._compiled import compiled_argument
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import STEP_METHODS
from mlrules_mcp.source.tree import Function, Loop
from mlrules_mcp.source.values import MODULE

_AGAIN = (
    "From the second turn on this compiles what is already compiled, which gives a plain function without "
    "`parameters()` or `train()`. Compile once, before the loop."
)
_EVERY_TURN = (
    "Every turn of the loop makes the same compiled model anew, which costs more than running a small model does, and "
    "checks all of its assumptions again. Compile once, before the loop."
)
_EVERY_CALL = (
    "Every call of this method makes the same compiled model anew, which costs more than running a small model does, "
    "and checks all of its assumptions again. Compile once, in `__init__` or after the model is made."
)


class CompiledInLoop(Check[ast.Call]):
    """A model or function that is compiled again in every turn of a loop.

    ## What it does
    Finds `torch.compile` in a loop, or in `forward`, `training_step` and the like, where what it compiles stays the
    same from turn to turn.

    ## Why it matters
    `model = torch.compile(model)` in a loop compiles the compiled model in the second turn; PyTorch 2.13 then gives a
    plain function, and `model.parameters()` fails. A compiled model under another name works, but its wrapper is made
    in each turn, about a millisecond, and what makes a step fast is checked again instead of used again.

    ## Do not flag
    What is made or changed in the loop: a model for each fold, each layer of a list, each of several settings that
    are compared; tests and benchmarks; what a condition compiles once (`if self.compiled is None`).

    ## Fix safety
    No fix: the line has to be moved to where the model is made.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.compile.html
    """

    names = frozenset({"compile"})
    examples = (
        Bad(
            """
            import torch

            model = Net()
            for epoch in range(epochs):
                model = «torch.compile(model)»
                for batch in loader:
                    loss = model(batch).mean()
                    loss.backward()
                    optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            for inputs, targets in loader:
                compiled = «torch.compile(model, mode="reduce-overhead")»
                loss = criterion(compiled(inputs), targets)
            """
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    fast = «torch.compile(self.block)»
                    return fast(x)
            """
        ),
        Bad(
            """
            import torch

            while step < max_steps:
                if args.compile:
                    model = «torch.compile(model)»
                step += 1
            """
        ),
        Bad(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    x, y = batch
                    return self.loss(«torch.compile(self.net)»(x), y)
            """
        ),
        Good(
            """
            import torch

            model = torch.compile(Net())
            for fold in range(5):
                net = Net()
                net = torch.compile(net)
                fit(torch.compile(Net(), dynamic=True), fold)
            for block in model.blocks:
                block.compile()
            for i, layer in enumerate(layers):
                layers[i] = torch.compile(layer)
                layers[i] = torch.compile(layers[i])
            """,
            why="another model in each turn",
        ),
        Good(
            """
            import torch

            for mode in ("default", "reduce-overhead", "max-autotune"):
                compiled = torch.compile(model, mode=mode)
                measure(compiled)
            for should_compile in (False, True):
                if should_compile:
                    model = torch.compile(model)
            """,
            why="settings that are compared",
        ),
        Good(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    if self.fast is None:
                        self.fast = torch.compile(self.block)
                    if not hasattr(self, "faster"):
                        self.faster = torch.compile(self.block)
                    return self.fast(x)

            for epoch in range(epochs):
                if epoch == warm_up:
                    model = torch.compile(model)
                for name, child in model.named_children():
                    setattr(model, name, torch.compile(getattr(model, name)))
                    model = torch.compile(model)
                    break

            class Run:
                def run(self):
                    for seed in self.seeds:
                        self.build()
                        self.model = torch.compile(self.model)
            """,
            why="compiled once, or made anew",
        ),
        Good(
            """
            import torch

            while True:
                model = torch.compile(load(path))
                try:
                    model = torch.compile(model)
                except RuntimeError:
                    continue
                break
            """,
            why="a loop that tries again",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        compiled = compiled_argument(module, node)
        if compiled is None or is_test_or_benchmark(module):
            return
        loops = module.enclosing_loops(node)
        if loops:
            if not _may_run_once(module, node, loops[0]) and not _changes(module, node, loops[0]):
                yield self.finding(module, node, _AGAIN if _replaces(module, node, compiled) else _EVERY_TURN)
        elif (method := _step_method(module, node)) and not _may_run_once(module, node, method):
            yield self.finding(module, node, _EVERY_CALL)


def _step_method(module: Module, call: ast.Call) -> Function | None:
    """The method around a call that runs for every batch, where it compiles what belongs to the object."""
    function, cls = module.enclosing_function(call), module.enclosing_class(call)
    if function is None or cls is None or module.parent(function) is not cls:
        return None
    compiled = compiled_argument(module, call)
    if (
        function.name in STEP_METHODS
        and module.is_subclass(cls, MODULE)
        and ast.unparse(compiled or call)[:5] == "self."
    ):
        return function
    return None


def _may_run_once(module: Module, call: ast.Call, around: Loop | Function) -> bool:
    """Whether the loop or method is left behind the call, or a condition that is no mere switch leads to it."""
    for ancestor in module.ancestors(call):
        if ancestor is around:
            break
        if isinstance(ancestor, ast.Try):
            return True
        if isinstance(ancestor, ast.If) and not _is_switch(ancestor.test):
            return True
    if not isinstance(around, ast.For | ast.While | ast.AsyncFor):
        return False
    return any(isinstance(each, ast.Break | ast.Return) for each in around.body) or _leaves_early(module, call, around)


def _leaves_early(module: Module, call: ast.Call, loop: Loop) -> bool:
    """Whether a condition that leaves the turn or the loop comes before the call."""
    earlier = [statement for statement in loop.body if statement.lineno < call.lineno]
    return any(
        isinstance(each, ast.Break | ast.Continue | ast.Return)
        for statement in earlier
        for each in module.walk(statement)
    )


def _is_switch(test: ast.expr) -> bool:
    """Whether a condition is a setting: `args.compile`, `USE_COMPILE`."""
    return isinstance(test, ast.Name | ast.Attribute) and "compile" in ast.unparse(test).lower().rpartition(".")[2]


def _changes(module: Module, call: ast.Call, loop: Loop) -> bool:
    """Whether anything that a call names gets its value in the loop, from anything but the call."""
    names = {each.id for each in ast.walk(call) if isinstance(each, ast.Name)}
    tests = [each.test for each in module.ancestors(call) if isinstance(each, ast.If) and module.is_inside(each, loop)]
    names |= {each.id for test in tests for each in ast.walk(test) if isinstance(each, ast.Name)}
    statement = module.statement(call)
    outermost = module.enclosing_loops(call)[-1]
    if any(isinstance(each, ast.Call) for each in ast.walk(call) if each is not call):
        return True
    return any(
        (isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.id in names)
        or ("self" in names and _changes_object(each))
        for each in module.walk(outermost)
        if module.statement(each) is not statement
    )


def _changes_object(node: ast.AST) -> bool:
    """Whether a node may put something else into an attribute of `self`."""
    match node:
        case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"))):
            return True
    return False


def _replaces(module: Module, call: ast.Call, compiled: ast.expr) -> bool:
    statement = module.statement(call)
    return isinstance(statement, ast.Assign) and any(
        ast.unparse(target) == ast.unparse(compiled) for target in statement.targets
    )
