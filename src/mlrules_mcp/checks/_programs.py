"""What runs when a file is started as a program, and where that trains a model."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import TRAINER
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function

_TEST_PATH = pattern(
    r"(^|/)(tests?|testing|unittests?)(_\w+)?/|(^|/)(test_|conftest)[^/]*$|_test\.py$|(^|/)benchmarks?/|profiler|bug_?report"
)
_TEST_FRAMEWORKS = frozenset({"pytest", "unittest"})
_EXAMPLE_PATH = pattern(
    r"(^|/|[_-])(examples?|tutorials?|docs?|demos?|samples?|courses?|exercises?|lessons?|snippets?)(/|[_-])"
)
# Methods of so many classes that the name alone does not say whose it is.
_COMMON = frozenset(
    {"train", "eval", "fit", "step", "forward", "test", "predict", "update", "run", "to", "load", "save"}
)
# Arguments of a Lightning Trainer for trying code out, not for training.
_TRIALS = frozenset({"fast_dev_run", "overfit_batches", "limit_train_batches", "barebones", "profiler"})
# Decorators whose function a command line, or a test bench for experiments, calls.
_STARTERS = frozenset({"command", "main", "automain", "entrypoint"})


def is_test_path(module: Module) -> bool:
    """Whether a file is a test or a benchmark, by its path or by the test framework that it imports."""
    path = module.source.path.lower().replace("\\", "/")
    return bool(_TEST_PATH.search(path)) or imports_test_framework(module)


def imports_test_framework(module: Module) -> bool:
    """Whether a file imports what runs tests."""
    return not module.imported_packages.isdisjoint(_TEST_FRAMEWORKS)


def is_example_path(module: Module) -> bool:
    """Whether a file shows how something is done, by its path: a tutorial, a demonstration."""
    return bool(_EXAMPLE_PATH.search(module.source.path.lower().replace("\\", "/")))


def started(module: Module) -> dict[Function | None, int]:
    """The functions that run when the file is started, each with the number of calls from the file's own level to it.

    None stands for the file's own level. Methods count where their class is used, too.
    """
    return module.fact(_started)


def _started(module: Module) -> dict[Function | None, int]:
    found: dict[Function | None, int] = {None: 0}
    used = _Used(module)
    pending: list[Function | None] = [None]
    for function in pending:
        for other in used.by(function):
            if other not in found:
                found[other] = found[function] + 1
                pending.append(other)
    return found


class _Used:
    """Which functions of a module each of them uses."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._methods: dict[str, list[Function]] = {}
        self._functions: dict[str, list[Function]] = {}
        for function in module.functions:
            of = self._methods if isinstance(module.parent(function), ast.ClassDef) else self._functions
            of.setdefault(function.name, []).append(function)
        self._classes: set[ast.ClassDef] = set()
        self._names: dict[Function | None, list[ast.expr]] = {}
        known = {*self._methods, *self._functions, *(cls.name for cls in module.nodes(ast.ClassDef))}
        for name in module.nodes(ast.Name):
            # A base class or an annotation is named, not used.
            is_used = isinstance(name.ctx, ast.Load) and not isinstance(module.parent(name), ast.ClassDef | ast.arg)
            if name.id in known and is_used:
                self._names.setdefault(module.enclosing_function(name), []).append(name)
        for attribute in module.nodes(ast.Attribute):
            if attribute.attr in self._methods and isinstance(attribute.ctx, ast.Load):
                self._names.setdefault(module.enclosing_function(attribute), []).append(attribute)

    def by(self, function: Function | None) -> Iterator[Function]:
        for used in self._names.get(function, ()):
            if isinstance(used, ast.Name):
                yield from self._functions.get(used.id, ())
                if (cls := self._module.local_class(used)) is not None:
                    yield from self._made(cls)
            elif isinstance(used, ast.Attribute):
                yield from (method for method in self._methods[used.attr] if self._may_be(used, method))
        if function is None:
            yield from (each for each in self._module.functions if self._is_started_by_decorator(each))

    def _made(self, cls: ast.ClassDef) -> Iterator[Function]:
        for each in self._module.lineage(cls):
            if each not in self._classes:
                self._classes.add(each)
                yield from (method for method in self._module.methods(each) if method.name in ("__init__", "__call__"))

    def _may_be(self, attribute: ast.Attribute, method: Function) -> bool:
        cls = self._module.enclosing_class(method)
        if isinstance(attribute.value, ast.Name) and attribute.value.id == "self":
            around = self._module.enclosing_class(attribute)
            return around is not None and cls in self._module.lineage(around)
        origins = self._module.origins(attribute.value)
        made = {self._module.local_class(origin.func) for origin in origins if isinstance(origin, ast.Call)} - {None}
        if made:
            return any(cls in self._module.lineage(each) for each in made if each is not None)
        return attribute.attr not in _COMMON and cls in self._classes

    def _is_started_by_decorator(self, function: Function) -> bool:
        for decorator in function.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(target, ast.Attribute) and target.attr in _STARTERS:
                return True
        return False


def is_started(module: Module, node: ast.AST) -> bool:
    """Whether a node runs when the file is started."""
    return module.enclosing_function(node) in started(module)


def trained_here(module: Module) -> ast.Call | None:
    """The first call that trains a model with torch when the file is started: the program that owns its training.

    None for libraries, whose functions others call, for tests, and where nothing is trained.
    """
    return module.fact(_trained_here)


def _trained_here(module: Module) -> ast.Call | None:
    steps = [call for call in module.backward_calls if module.step_region(call) is not None and module.optimizer_steps]
    fits = [call for call in module.calls("fit") if _is_trainer_fit(module, call)]
    if not (steps or fits) or is_test_path(module):
        return None
    return next((call for call in (*steps, *fits) if is_started(module, call)), None)


def _is_trainer_fit(module: Module, call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    made = [origin for origin in module.origins(call.func.value) if module.is_call_to(origin, TRAINER)]
    return any(isinstance(each, ast.Call) and _TRIALS.isdisjoint(k.arg for k in each.keywords) for each in made)
