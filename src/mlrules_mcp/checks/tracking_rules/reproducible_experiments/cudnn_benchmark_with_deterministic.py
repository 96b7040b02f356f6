from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import TRAINER
from mlrules_mcp.checks._programs import is_test_path
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_BENCHMARK = "torch.backends.cudnn.benchmark"
_DETERMINISTIC = "torch.backends.cudnn.deterministic"


class CudnnBenchmarkWithDeterministic(Check[ast.Module]):
    """cuDNN's benchmark switched on beside deterministic algorithms.

    ## What it does
    Finds `cudnn.benchmark = True` in the function that sets `cudnn.deterministic = True` or calls
    `use_deterministic_algorithms(True)` as well, and a Lightning Trainer that is asked for both.

    ## Why it matters
    The benchmark measures which algorithm is fastest and takes that one: with other load on the machine it is another
    one, with other rounding. The results differ between runs although all seeds are set and determinism was asked for.

    ## Do not flag
    The two in different branches or functions, one of them set to False or to a variable, and a benchmark that is
    switched off again; tests.

    ## Fix safety
    Suggested: training may be slower without the benchmark.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/randomness.html#cuda-convolution-benchmarking
    """

    words = ("benchmark",)
    examples = (
        Bad(
            """
            import torch

            def set_seed(seed):
                torch.manual_seed(seed)
                torch.backends.cudnn.deterministic = True
                torch.backends.cudnn.benchmark = «True»
            """,
            suggested_fix="""
            import torch

            def set_seed(seed):
                torch.manual_seed(seed)
                torch.backends.cudnn.deterministic = True
                torch.backends.cudnn.benchmark = False
            """,
        ),
        Bad(
            """
            import torch
            import torch.backends.cudnn as cudnn

            if torch.cuda.is_available():
                cudnn.benchmark = «True»
            torch.use_deterministic_algorithms(True)
            """,
            suggested_fix="""
            import torch
            import torch.backends.cudnn as cudnn

            if torch.cuda.is_available():
                cudnn.benchmark = False
            torch.use_deterministic_algorithms(True)
            """,
        ),
        Bad(
            """
            import lightning as L

            trainer = L.Trainer(max_epochs=5, deterministic=True, benchmark=«True»)
            """,
            suggested_fix="""
            import lightning as L

            trainer = L.Trainer(max_epochs=5, deterministic=True, benchmark=False)
            """,
        ),
        Good(
            """
            import torch

            def set_up(deterministic):
                if deterministic:
                    torch.backends.cudnn.deterministic = True
                    torch.backends.cudnn.benchmark = False
                else:
                    torch.backends.cudnn.benchmark = True
            """
        ),
        Good(
            """
            import torch
            from torch.backends import cudnn

            def set_up(seed):
                cudnn.benchmark = True
                if seed is not None:
                    torch.manual_seed(seed)
                    cudnn.deterministic = True
                    cudnn.benchmark = False

            def fast():
                cudnn.benchmark = True
            """,
            "switched off again, and another function",
        ),
        Good(
            """
            import torch

            def set_up(fast):
                if fast:
                    torch.backends.cudnn.benchmark = True
                    return
                torch.backends.cudnn.deterministic = True
            """,
            "never both",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        code = module.source.code
        if "deterministic" not in code or is_test_path(module):
            return
        switches = {id(value): value for value, _ in _together(module)}
        for value in [*switches.values(), *_in_trainers(module)]:
            yield self.finding(
                module,
                value,
                "The benchmark picks the fastest algorithm anew in each run, so results differ although deterministic "
                "ones are asked for. Set `benchmark = False`.",
                fix=suggested("Switch the benchmark off", Replace(Span.of(value), "False")),
            )


def _together(module: Module) -> Iterator[tuple[ast.expr, ast.AST]]:
    """The values that switch the benchmark on for good, in runs in which determinism is asked for too."""
    assigned = [(node, name) for node in module.nodes(ast.Assign) if (name := _switch(module, node))]
    asked: list[ast.stmt] = [node for node, name in assigned if name == _DETERMINISTIC and _is_true(node.value)]
    asked += [
        module.statement(call)
        for call in module.calls("use_deterministic_algorithms")
        if module.is_call_to(call, "torch.use_deterministic_algorithms") and _is_true(argument(call, "mode", 0))
    ]
    switched = [node for node, name in assigned if name == _BENCHMARK]
    for node in switched:
        if not _is_true(node.value) or any(_is_after(module, other, node) for other in switched):
            continue
        for other in asked:
            if _same_function(module, node, other) and not _exclude_each_other(module, node, other):
                yield node.value, other


def _switch(module: Module, node: ast.Assign) -> str | None:
    for target in node.targets:
        if isinstance(target, ast.Attribute) and target.attr in ("benchmark", "deterministic"):
            name = module.qualified_name(target)
            if name in (_BENCHMARK, _DETERMINISTIC):
                return name
    return None


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def _same_function(module: Module, node: ast.AST, other: ast.AST) -> bool:
    return module.enclosing_function(node) is module.enclosing_function(other)


def _is_after(module: Module, later: ast.Assign, node: ast.Assign) -> bool:
    return later.lineno > node.lineno and _same_function(module, later, node) and not _is_true(later.value)


def _exclude_each_other(module: Module, node: ast.AST, other: ast.AST) -> bool:
    """Whether two statements can't both run: some condition has to hold for one and not for the other."""
    held = {(ast.unparse(guard.test), guard.holds) for guard in module.guards(node)}
    return any((ast.unparse(guard.test), not guard.holds) in held for guard in module.guards(other))


def _in_trainers(module: Module) -> Iterator[ast.expr]:
    for call in module.calls("Trainer"):
        benchmark = argument(call, "benchmark")
        if benchmark is not None and _is_true(benchmark) and _is_true(argument(call, "deterministic")):
            yield from [benchmark] if module.is_call_to(call, TRAINER) else []
