"""Statements, functions and classes: a program followed from its first line to its last."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from mlrules_mcp.source.data_flow.assignments import Assignments
from mlrules_mcp.source.data_flow.events import Events
from mlrules_mcp.source.data_flow.scopes import Arguments, Frame, Scope
from mlrules_mcp.source.data_flow.values import (
    Class,
    Function,
    Instance,
    Items,
    Known,
    Learner,
    Mapping,
    Trades,
    Unknown,
    Value,
    either,
    inside,
    merged,
)
from mlrules_mcp.source.gradients import Gradients
from mlrules_mcp.source.tree import FUNCTIONS

_DEEPEST = 12
_NOBODY = "(nobody)"  # who calls a function that the module does not call
_STEPS_FOR_EACH_STATEMENT = 12
_LEAST_STEPS = 5_000
# Plots and the like: what stands in a statement of its own there changes no data.
_LOOKED_AT = frozenset({"plt", "sns", "ax", "axes", "fig", "logger", "logging", "warnings", "st", "go", "px"})


def follow(module: Gradients, trades: Trades) -> Events:
    """What a program does to data, followed through assignments, branches, loops, functions and objects.

    The module's own code comes first, then each function and method that it never calls, with unknown arguments.

    Args:
        trades: what a library's class or function does, by its qualified name.
    """
    return Program(module, trades).follow()


class Program(Assignments):
    """Assignments, and the statements and functions around them."""

    def __init__(self, module: Gradients, trades: Trades) -> None:
        super().__init__(module, trades)
        statements = len(module.nodes(ast.Assign)) + len(module.nodes(ast.Expr)) + len(module.nodes(ast.If))
        self._steps = _LEAST_STEPS + _STEPS_FOR_EACH_STATEMENT * statements
        self._called: set[ast.AST] = set()

    def follow(self) -> Events:
        """Run the module, then what it does not run itself."""
        self.block(self.module.tree.body)
        for function in self.module.functions:
            if function not in self._called and self.module.parent(function) is self.module.tree:
                self._with_unknown_arguments(Function(function, self.globals))
        for cls in self.module.nodes(ast.ClassDef):
            self._methods(cls)
        return self.events

    def _methods(self, cls: ast.ClassDef) -> None:
        methods = self.module.methods(cls)
        if all(method in self._called for method in methods) or self.module.parent(cls) is not self.module.tree:
            return
        instance = Instance(Class(cls, self.globals), {})
        for method in methods:
            if method not in self._called or method.name == "__init__":
                self._with_unknown_arguments(Function(method, self.globals, instance))

    def _with_unknown_arguments(self, function: Function) -> None:
        call = ast.copy_location(ast.Call(ast.Name(_NOBODY, ast.Load()), [], []), function.node)
        for value in inside(self.run(function, Arguments([], {}, call))):
            if isinstance(value, Learner):
                value.escaped = True  # whoever calls the function may do more with it

    # Functions and classes

    def run(self, function: Function, arguments: Arguments) -> Value:
        """What a call of a function of the module gives."""
        node = function.node
        too_deep = len(self.frames) > _DEEPEST or any(frame.function is node for frame in self.frames)
        if too_deep or self._steps <= 0:
            return self.unseen(arguments.node, arguments.values)
        self._called.add(node)
        scope = Scope(function.scope)
        self._bind_parameters(node, function, arguments, scope)
        frame = Frame(node, scope, [], [])
        self.frames.append(frame)
        if isinstance(node, ast.Lambda):
            frame.returned.append(self.evaluate(node.body))
        else:
            self.block(node.body)
        self.frames.pop()
        if frame.yielded:
            return Items([either(frame.yielded)], exact=False)
        return self._returned(frame.returned) if frame.returned else Known(None)

    def _returned(self, values: list[Value]) -> Value:
        tuples = [value for value in values if isinstance(value, Items) and value.exact]
        if len(tuples) == len(values) > 1 and len({len(each.values) for each in tuples}) == 1:
            return Items([merged(column) for column in zip(*(each.values for each in tuples), strict=True)])
        return merged(values)

    def _bind_parameters(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        function: Function,
        arguments: Arguments,
        scope: Scope,
    ) -> None:
        names = [*node.args.posonlyargs, *node.args.args]
        given = list(arguments.positional)
        unknown = isinstance(arguments.node.func, ast.Name) and arguments.node.func.id == _NOBODY
        if function.owner is not None and names and not self._is_static(node):
            given.insert(0, function.owner)
        defaults = dict(zip(reversed(names), reversed(node.args.defaults), strict=False))
        defaults.update(
            {
                name: default
                for name, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                if default
            }
        )
        for position, parameter in enumerate([*names, *node.args.kwonlyargs]):
            if position < len(names) and position < len(given):
                value = given[position]
            elif parameter.arg in arguments.keywords:
                value = arguments.keywords[parameter.arg]
            elif parameter in defaults and not unknown:
                value = self.evaluate(defaults[parameter])
            else:
                value = Unknown(parameter, parameter.arg)
            scope.names[parameter.arg] = value
        if node.args.vararg is not None:
            scope.names[node.args.vararg.arg] = Items(given[len(names) :], exact=len(given) > len(names))
        if node.args.kwarg is not None:
            taken = {parameter.arg for parameter in (*names, *node.args.kwonlyargs)}
            rest: dict[object, Value] = {key: value for key, value in arguments.keywords.items() if key not in taken}
            scope.names[node.args.kwarg.arg] = Mapping(rest, [])

    def _is_static(self, node: ast.AST) -> bool:
        return isinstance(node, FUNCTIONS) and any(
            isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list
        )

    def instance(self, cls: Class, arguments: Arguments) -> Value:
        """What a call of a class of the module gives."""
        bases = self.module.base_names(cls.node)
        if any(base.startswith(("sklearn.", "imblearn.")) for base in bases) and self.module.method(cls.node, "fit"):
            return self._own_learner(cls, arguments)
        instance = Instance(cls, {})
        initialize = self.module.method(cls.node, "__init__")
        if initialize is not None:
            self.run(Function(initialize, cls.scope, instance), arguments)
        return instance

    def _own_learner(self, cls: Class, arguments: Arguments) -> Learner:
        """An object of a class of the module that inherits from scikit-learn's."""
        learner = Learner(None, arguments.node, None, (), tuple(arguments.values))
        self.events.learners.append(learner)
        return learner

    # Statements

    def block(self, statements: Sequence[ast.stmt]) -> bool:
        """Run statements; returns whether they leave the block early."""
        for statement in statements:
            self._steps -= 1
            if self._steps <= 0 and len(self.frames) > 1:
                return True
            handler = _STATEMENTS.get(statement.__class__)
            if handler is not None and handler(self, statement):
                return True
        return False

    def _expression(self, node: ast.Expr) -> None:
        if not self._is_looked_at(node.value):
            self.evaluate(node.value)

    def _is_looked_at(self, value: ast.expr) -> bool:
        while isinstance(value, ast.Attribute | ast.Call | ast.Subscript):
            value = value.func if isinstance(value, ast.Call) else value.value
        return isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and value.id in _LOOKED_AT)

    def _if(self, node: ast.If) -> bool:
        self.evaluate(node.test)
        holds = True if _is_main(node.test) else self.truth(node.test)
        if holds is not None:
            return self.block(node.body if holds else node.orelse)
        scope, before = self.scope, dict(self.scope.names)
        outer = self.branch
        self.branch = (*outer, (node, 0))
        left = self.block(node.body)
        after_body = scope.names
        scope.names = before if left or node.orelse else dict(before)
        scope.names = dict(before)
        self.branch = (*outer, (node, 1))
        left_else = self.block(node.orelse)
        self.branch = outer
        if left and left_else:
            return True
        if left_else:
            scope.names = after_body
        elif not left:
            scope.names = self.joined(after_body, scope.names)
        return False

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        iterable = self.evaluate(node.iter)
        self.bind(node.target, self.element(iterable, node), node.iter)
        self.loops.append(node)
        self.block(node.body)
        self.loops.pop()
        self.block(node.orelse)

    def _while(self, node: ast.While) -> None:
        self.evaluate(node.test)
        self.block(node.body)
        self.block(node.orelse)

    def _with(self, node: ast.With | ast.AsyncWith) -> bool:
        for item in node.items:
            value = self.evaluate(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value, item.context_expr)
        return self.block(node.body)

    def _try(self, node: ast.Try | ast.TryStar) -> bool:
        scope, before = self.scope, dict(self.scope.names)
        left = self.block(node.body)
        after = scope.names
        outer = self.branch
        for handler in node.handlers:
            scope.names = dict(before)
            self.branch = (*outer, (handler, 0))
            handler_left = self.block(handler.body)
            if not handler_left:
                after = scope.names if left else self.joined(after, scope.names)
                left = False
        self.branch = outer
        scope.names = after
        if not left:
            left = self.block(node.orelse)
        return self.block(node.finalbody) or left

    def _match(self, node: ast.Match) -> None:
        self.evaluate(node.subject)
        scope, before = self.scope, dict(self.scope.names)
        after = dict(before)
        for case in node.cases:
            scope.names = dict(before)
            if not self.block(case.body):
                after = self.joined(after, scope.names)
        scope.names = after

    def _return(self, node: ast.Return) -> bool:
        if node.value is not None:
            self.frames[-1].returned.append(self.evaluate(node.value))
        return True

    def _leave(self, node: ast.stmt) -> bool:
        return True

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.scope.put(node.name, Function(node, self.scope))

    def _class(self, node: ast.ClassDef) -> None:
        self.scope.put(node.name, Class(node, self.scope))

    def _global(self, node: ast.Global | ast.Nonlocal) -> None:
        self.scope.shared |= frozenset(node.names)

    def _assert(self, node: ast.Assert) -> None:
        self.evaluate(node.test)


def _is_main(test: ast.expr) -> bool:
    match test:
        case ast.Compare(left=ast.Name(id="__name__")):
            return True
    return False


_STATEMENTS: dict[type[ast.AST], Callable[[Program, Any], bool | None]] = {
    ast.Expr: Program._expression,
    ast.Assign: Program._assignment,
    ast.AnnAssign: Program._annotated,
    ast.AugAssign: Program._augmented,
    ast.Delete: Program._delete,
    ast.If: Program._if,
    ast.For: Program._for,
    ast.AsyncFor: Program._for,
    ast.While: Program._while,
    ast.With: Program._with,
    ast.AsyncWith: Program._with,
    ast.Try: Program._try,
    ast.TryStar: Program._try,
    ast.Match: Program._match,
    ast.Return: Program._return,
    ast.Raise: Program._leave,
    ast.Continue: Program._leave,
    ast.Break: Program._leave,
    ast.FunctionDef: Program._function,
    ast.AsyncFunctionDef: Program._function,
    ast.ClassDef: Program._class,
    ast.Global: Program._global,
    ast.Nonlocal: Program._global,
    ast.Assert: Program._assert,
}
