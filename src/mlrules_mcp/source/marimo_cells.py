"""The cells of marimo notebooks: what each takes and gives, and how that is written down."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias, TypeGuard

from mlrules_mcp.source.layout import split_lines

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
# A place in a text, as `ast` counts (line from 1, column from 0 in UTF-8 bytes), and what is to be put there.
_Insertion: TypeAlias = tuple[int, int, str]


def is_cell(statement: ast.AST) -> TypeGuard[Function]:
    """Whether a statement is a function under `@app.cell`."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    for decorator in statement.decorator_list:
        match decorator:
            case ast.Attribute(attr="cell") | ast.Call(func=ast.Attribute(attr="cell")):
                return True
    return False


class Cell(NamedTuple):
    """What a cell takes from others (its parameters) and gives to them (what it returns)."""

    function: Function
    taken: tuple[str, ...]
    given: tuple[str, ...]

    @classmethod
    def of(cls, function: Function) -> Cell:
        """The cell that a function under `@app.cell` is."""
        taken = tuple(parameter.arg for parameter in function.args.args)
        returned = function.body[-1].value if isinstance(function.body[-1], ast.Return) else None
        names = returned.elts if isinstance(returned, ast.Tuple) else [returned]
        return cls(function, taken, tuple(name.id for name in names if isinstance(name, ast.Name)))

    def names(self, context: type[ast.expr_context]) -> set[str]:
        """The names that are read or bound anywhere in it; what is imported or defined is bound."""
        names = (node for node in ast.walk(self.function) if isinstance(node, ast.Name))
        found = {name.id for name in names if isinstance(name.ctx, context)}
        if context is ast.Store:
            found |= set(_defined(self.function))
        return found


def _defined(function: Function) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.alias(name=name, asname=asname):
                yield asname or name.partition(".")[0]
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                if node is not function:
                    yield name


def with_signatures(before: str, after: str) -> str:
    """A changed program whose cells take and give what they newly need of each other.

    Args:
        before: the program before the change.
        after: the changed program.
    """
    old, new = (
        [Cell.of(statement) for statement in ast.parse(text).body if is_cell(statement)] for text in (before, after)
    )
    insertions: list[_Insertion] = []
    given: dict[int, list[str]] = {}
    for index, (was, cell) in enumerate(zip(old, new, strict=False)):
        needed = cell.names(ast.Load) - was.names(ast.Load) - cell.names(ast.Store) - set(cell.taken)
        missing: list[str] = []
        for name in sorted(needed):
            giver = next((i for i, other in enumerate(new) if i != index and name in other.names(ast.Store)), None)
            if giver is None or name.startswith("_"):
                continue
            missing.append(name)
            if name not in new[giver].given and name not in given.setdefault(giver, []):
                given[giver].append(name)
        if missing:
            insertions.append(_taking(cell, missing, after))
    insertions += [_giving(new[index], names, after) for index, names in given.items() if names]
    return _with(after, insertions)


def _taking(cell: Cell, names: Iterable[str], text: str) -> _Insertion:
    parameters = cell.function.args.args
    if parameters:
        last = parameters[-1]
        return last.end_lineno or last.lineno, last.end_col_offset or 0, "".join(f", {name}" for name in names)
    function = cell.function
    head = _bytes(text, function.lineno)
    return function.lineno, head.index(b"(", function.col_offset) + 1, ", ".join(names)


def _giving(cell: Cell, names: Iterable[str], text: str) -> _Insertion:
    last = cell.function.body[-1]
    end = (last.end_lineno or last.lineno, last.end_col_offset or 0)
    match last:
        case ast.Return(value=ast.Tuple(elts=[*others, name])):
            line, column = name.end_lineno or name.lineno, name.end_col_offset or 0
            if not others and _bytes(text, line)[column : column + 1] == b",":  # what one name needs and two don't
                return line, column + 1, f" {', '.join(names)}"
            return line, column, "".join(f", {each}" for each in names)
        case ast.Return(value=ast.Name()):
            return *end, "".join(f", {each}" for each in names)
        case ast.Return():
            return *end, f" ({', '.join(names)},)"
    return *end, f"\n{' ' * last.col_offset}return ({', '.join(names)},)"


def _bytes(text: str, line: int) -> bytes:
    return split_lines(text)[line - 1][0].encode("utf-8", "surrogatepass")


def _with(text: str, insertions: Iterable[_Insertion]) -> str:
    lines = [(line + end).encode("utf-8", "surrogatepass") for line, end in split_lines(text)]
    for line, column, added in sorted(insertions, reverse=True):
        old = lines[line - 1]
        lines[line - 1] = old[:column] + added.encode() + old[column:]
    return b"".join(lines).decode("utf-8", "surrogatepass")
