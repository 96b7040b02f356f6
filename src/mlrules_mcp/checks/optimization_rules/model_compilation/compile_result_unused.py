from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._models import is_model
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules.model_compilation._compiled import compiled_argument
from mlrules_mcp.findings import Finding, Fix, InsertBefore, RemoveStatement, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import FUNCTIONS


class CompileResultUnused(Check[ast.Call]):
    """A compiled model that is thrown away, while the uncompiled one goes on being used.

    ## What it does
    Finds `torch.compile(model)` as a statement of its own, and a compiled model in a local variable that nothing reads.

    ## Why it matters
    `torch.compile` leaves the model as it is and returns a compiled one. Without that nothing is ever compiled: the
    training runs as slow as before, and no message says so.

    ## Do not flag
    `model.compile()`, which compiles in place; a result that is returned, passed on or kept in an attribute; a bare
    call in a test that expects it to fail.

    ## Fix safety
    Suggested: compiling starts to happen, which takes time at the first step and may show what can't be compiled.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.compile.html
    """

    names = frozenset({"compile"})
    examples = (
        Bad(
            """
            import torch

            model = Net().cuda()
            «torch.compile(model)»
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
            """,
            suggested_fix="""
            import torch

            model = Net().cuda()
            model.compile()
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
            """,
        ),
        Bad(
            """
            import torch

            class Trainer:
                def setup(self, args):
                    self.model = Net()
                    if args.compile:
                        «torch.compile(self.model, mode="reduce-overhead")»
            """,
            suggested_fix="""
            import torch

            class Trainer:
                def setup(self, args):
                    self.model = Net()
                    if args.compile:
                        self.model.compile(mode="reduce-overhead")
            """,
        ),
        Bad(
            """
            from torch import compile as compile_model

            def loss_function(outputs, targets):
                return (outputs - targets).abs().mean()

            «compile_model(loss_function)»
            """,
            suggested_fix="""
            from torch import compile as compile_model

            def loss_function(outputs, targets):
                return (outputs - targets).abs().mean()

            loss_function = compile_model(loss_function)
            """,
        ),
        Bad(
            """
            import torch

            def main():
                net = Net()
                compiled_net = «torch.compile(net)»
                for batch in loader:
                    loss = net(batch).mean()
                    loss.backward()
            """
        ),
        Good(
            """
            import torch

            def main(args):
                net = Net()
                if args.compile:
                    net = torch.compile(net)
                faster = torch.compile(net.head)
                net.compile(mode="max-autotune")
                return net(faster(batch))
            """
        ),
        Good(
            """
            import re
            import torch

            compiled = torch.compile(Net())

            @torch.compile(fullgraph=True)
            def step(x):
                return x * 2

            def check_inputs():
                with pytest.raises(RuntimeError):
                    torch.compile(net, mode="unknown")
                re.compile("a+")
                keras_model.compile(optimizer="adam")
            """,
            why="a global that other files may import, a decorator, a test, and other functions of that name",
        ),
        Good(
            """
            import torch

            def main():
                model = torch.compile(Net())

                def evaluate(batch):
                    return model(batch)

                return evaluate
            """,
            why="read by the function inside",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        compiled = compiled_argument(module, node)
        if compiled is None or _is_expected_to_fail(module, node):
            return
        parent = module.parent(node)
        if isinstance(parent, ast.Expr) and not _is_shown(module, parent):
            fix = _use_it(module, node, compiled)
        elif isinstance(parent, ast.Assign | ast.AnnAssign) and _is_never_read(module, parent):
            fix = None
        else:
            return
        name = module.text(compiled) if isinstance(compiled, ast.Name | ast.Attribute) else "model"
        yield self.finding(
            module,
            node,
            "Nothing uses what `torch.compile` returns here, so the code goes on running uncompiled. "
            f"Write `{name} = torch.compile({name})`, or compile it in place with `{name}.compile()`.",
            fix=fix,
        )


def _is_expected_to_fail(module: Module, node: ast.Call) -> bool:
    contexts = [item.context_expr for a in module.ancestors(node) if isinstance(a, ast.With) for item in a.items]
    return any(isinstance(each, ast.Call) and "raises" in ast.unparse(each.func).lower() for each in contexts)


def _is_shown(module: Module, statement: ast.Expr) -> bool:
    """Whether a notebook shows the value of a statement, as it is the last one of a cell that holds nothing else."""
    if module.source.notebook is None:
        return False
    cells = [module.location(each).cell for each in module.tree.body if each is not statement]
    return module.location(statement).cell not in cells


def _is_never_read(module: Module, statement: ast.Assign | ast.AnnAssign) -> bool:
    """Whether an assignment's only target is a local variable that its function never reads."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    function = module.enclosing_function(statement)
    match targets:
        case [ast.Name(id=name)] if function is not None and "locals()" not in module.source.code:
            outer = next((a for a in module.ancestors(function) if isinstance(a, FUNCTIONS)), function)
            return not any(
                (isinstance(each, ast.Name) and each.id == name and not isinstance(each.ctx, ast.Store))
                or (isinstance(each, ast.Global | ast.Nonlocal) and name in each.names)
                for each in module.walk(outer, into_functions=True)
            )
    return False


def _use_it(module: Module, call: ast.Call, compiled: ast.expr) -> Fix | None:
    """The compilation in place for a model; for anything else that has a name, the assignment."""
    if not isinstance(compiled, ast.Name | ast.Attribute):
        return None
    text = module.text(compiled)
    if is_model(module, compiled) and call.args == [compiled] and all(each.arg for each in call.keywords):
        options = ", ".join(f"{each.arg}={module.text(each.value)}" for each in call.keywords)
        return suggested("Compile in place", Replace(Span.of(call), f"{text}.compile({options})"))
    statement = Span.of(module.statement(call))
    keep = InsertBefore(statement, f"{text} = {module.text(call)}")
    return suggested("Keep what it returns", keep, RemoveStatement(statement))
