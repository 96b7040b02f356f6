"""What is remembered of a project's code: the places of what collectors asked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.tree import Role
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_MOST_PLACES = 60
_MOST_TEXT = 160
_MOST_LINES = 6
_MOST_CODE = 200
# What stands for the rest of code that is too long: such code can be shown, and not be used.
CUT = "…"
_LOGS = frozenset(
    "log log_metric log_metrics log_param log_dict add_scalar add_scalars track logged_metrics add_metric".split()
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One place in code.

    Attributes:
        name: what was found there: the qualified name, `.method`, the keyword, the name of the definition, the key.
        text: the line, without what is around it.
        receiver: what a method is called on, as code.
        target: the variable that the result is assigned to.
        arguments: the positional arguments of a call, as code.
        keywords: its keyword arguments, as code.
        scope: the function around it.
        called: the qualified name of what a call calls, where that is known; the name of a class or function.
    """

    name: str
    path: str
    line: int
    cell: int | None
    text: str
    role: Role
    receiver: str = ""
    target: str = ""
    arguments: tuple[str, ...] = ()
    keywords: tuple[tuple[str, str], ...] = ()
    scope: str = ""
    called: str = ""

    def keyword(self, name: str) -> str | None:
        """The code of a keyword argument."""
        return dict(self.keywords).get(name)


@dataclass(slots=True)
class CodeIndex:
    """What was asked for and where it is: at most some places of each name and role."""

    asked: Asked
    calls: dict[str, list[Fact]] = field(default_factory=dict)
    keywords: dict[str, list[Fact]] = field(default_factory=dict)
    definitions: dict[str, list[Fact]] = field(default_factory=dict)
    keys: dict[str, list[Fact]] = field(default_factory=dict)

    def add(self, module: Module, role: Role) -> None:
        """Take in a module."""
        _keep(self.calls, _calls(module, role, self.asked.calls))
        _keep(self.keywords, _keywords(module, role, self.asked.keywords))
        _keep(self.definitions, _definitions(module, role, self.asked.definitions))
        _keep(self.keys, _keys(module, role, self.asked.keys))


def fact_at(module: Module, role: Role, node: ast.expr | ast.stmt, name: str) -> Fact:
    """A fact about a node; of a call with its arguments."""
    location = module.location(node)
    statement = module.statement(node)
    function = module.enclosing_function(node)
    receiver, called = "", getattr(node, "name", "")
    arguments: tuple[str, ...] = ()
    keywords: tuple[tuple[str, str], ...] = ()
    if isinstance(node, ast.Call):
        receiver = _short(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        called = module.qualified_name(node.func) or ""
        arguments = tuple(map(_short, node.args[:4]))
        keywords = tuple((keyword.arg, _short(keyword.value)) for keyword in node.keywords[:12] if keyword.arg)
    target = _short(statement.targets[0]) if isinstance(statement, ast.Assign) else ""
    scope = function.name if function else ""
    return Fact(
        name,
        module.source.path,
        location.line,
        location.cell,
        _shown(module, node),
        role,
        receiver,
        target,
        arguments,
        keywords,
        scope,
        called,
    )


def _shown(module: Module, node: ast.expr | ast.stmt) -> str:
    """The line that a node begins on; where it stops in the middle, with the next ones."""
    last = min(node.end_lineno or node.lineno, node.lineno + _MOST_LINES)
    shown = ""
    for line in module.source.lines[node.lineno - 1 : last]:
        shown += line.strip() if shown.endswith(("(", "[", "{")) else f" {line.strip()}"
        if not shown.endswith(("(", "[", "{", ",", "\\")):
            break
    shown = shown.strip()
    return shown if len(shown) <= _MOST_TEXT else f"{shown[: _MOST_TEXT - 1]}{CUT}"


def _keep(index: dict[str, list[Fact]], facts: Iterator[Fact]) -> None:
    for fact in facts:
        kept = index.setdefault(fact.name, [])
        if sum(other.role == fact.role for other in kept) < _MOST_PLACES:
            kept.append(fact)


def _calls(module: Module, role: Role, asked: frozenset[str]) -> Iterator[Fact]:
    methods = {name[1:] for name in asked if name.startswith(".")}
    exact = {name for name in asked if not name.startswith(".") and not name.endswith(".*")}
    packages = tuple(
        name[:-1] for name in asked if name.endswith(".*") and name.partition(".")[0] in module.imported_packages
    )
    last_parts = methods | {name.rpartition(".")[2] for name in exact}
    for call in module.nodes(ast.Call):
        last = module.called_name(call)
        if last not in last_parts and not packages:
            continue
        name = module.qualified_name(call.func)
        if name is None:
            if last in methods and isinstance(call.func, ast.Attribute):
                yield fact_at(module, role, call, f".{last}")
        elif name in exact or name.startswith(packages):
            yield fact_at(module, role, call, name)


def _keywords(module: Module, role: Role, asked: frozenset[str]) -> Iterator[Fact]:
    for keyword in module.nodes(ast.keyword):
        if keyword.arg in asked:
            call = module.parent(keyword)
            if isinstance(call, ast.Call):
                yield fact_at(module, role, call, keyword.arg)


def _definitions(module: Module, role: Role, asked: frozenset[str]) -> Iterator[Fact]:
    for definition in (*module.functions, *module.nodes(ast.ClassDef)):
        name = definition.name.lower()
        if any(part in name for part in asked):
            yield fact_at(module, role, definition, definition.name)


def _keys(module: Module, role: Role, asked: frozenset[str]) -> Iterator[Fact]:
    for node, text in _key_strings(module) if asked else ():
        key = text.lower()
        if len(key) <= 80 and any(part in key for part in asked):
            yield fact_at(module, role, node, key)


def _key_strings(module: Module) -> Iterator[tuple[ast.expr, str]]:
    for subscript in module.nodes(ast.Subscript):
        if isinstance(subscript.slice, ast.Constant) and isinstance(subscript.slice.value, str):
            yield subscript, subscript.slice.value
    for dictionary in module.nodes(ast.Dict):
        for key in dictionary.keys:
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key, key.value
    for call in module.calls("add_argument", "option", *_LOGS):
        first = argument(call, "name", 0)
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield call, first.value.lstrip("-")


def _short(expression: ast.expr) -> str:
    try:
        text = ast.unparse(expression)
    except (RecursionError, ValueError):
        return CUT
    return text if len(text) <= _MOST_CODE else f"{text[: _MOST_CODE - 1]}{CUT}"
