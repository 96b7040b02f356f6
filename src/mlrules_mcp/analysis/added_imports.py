"""Imports put where the others of a module stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import libcst as cst

from mlrules_mcp.findings import AddImport

# A statement of a module's body: libcst's own types don't allow to build lists of them.
_Statement: TypeAlias = Any
_BLANK = cst.EmptyLine(indent=False)


def with_imports(body: Sequence[_Statement], wanted: Iterable[AddImport]) -> list[_Statement]:
    """The statements of a module with some imports that they may lack.

    A name joins the `from … import` of its module, where there is one on a line; other imports stand behind those
    that the module starts with, or at its top, below the docstring.
    """
    result = list(body)
    new: list[_Statement] = []
    for each in dict.fromkeys(wanted):
        if any(_imports(statement, each) for statement in result):
            continue
        place = next((i for i, statement in enumerate(result) if _can_take(statement, each)), None)
        if place is None:
            code = f"from {each.module} import {each.name}" if each.name else f"import {each.module}"
            new.append(cst.parse_statement(code))
        elif each.name:
            result[place] = _with_name(result[place], each.name)
    return _with_lines(result, new) if new else result


def with_imports_in_cell(body: Sequence[_Statement], wanted: Iterable[AddImport]) -> list[_Statement]:
    """The statements of a marimo notebook with some imports that its cells may lack.

    What stands outside of cells is not seen in them, so an import joins those of `app.setup`, or of the first cell that
    starts with imports, or else comes first in the first cell.
    """
    result = list(body)
    cells = [index for index, statement in enumerate(body) if _holds_cell(statement)]
    new = [
        each
        for each in dict.fromkeys(wanted)
        if not any(_imports(statement, each) for index in cells for statement in body[index].body.body)
    ]
    if not new or not cells:
        return result
    with_own = (index for index in cells if body[index].body.body and _is_import(body[index].body.body[0]))
    setup = (index for index in cells if isinstance(body[index], cst.With))
    place = next(setup, next(with_own, cells[0]))
    block = result[place].body
    result[place] = result[place].with_changes(body=block.with_changes(body=with_imports(block.body, new)))
    return result


def _holds_cell(statement: _Statement) -> bool:
    """Whether a statement is a cell, or the one under `with app.setup`."""
    match statement:
        case cst.FunctionDef(decorators=decorators, body=cst.IndentedBlock()):
            heads = [decorator.decorator for decorator in decorators]
            names = [head.func if isinstance(head, cst.Call) else head for head in heads]
        case cst.With(items=[item], body=cst.IndentedBlock()):
            names = [item.item.func if isinstance(item.item, cst.Call) else item.item]
        case _:
            return False
    return any(isinstance(name, cst.Attribute) and name.attr.value in ("cell", "setup") for name in names)


def _from_import(statement: _Statement) -> cst.ImportFrom | None:
    match statement:
        case cst.SimpleStatementLine(body=[cst.ImportFrom(relative=[]) as found]):
            return found
    return None


def _imports(statement: _Statement, wanted: AddImport) -> bool:
    """Whether a statement imports something under its own name."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    for small in statement.body:
        match small:
            case cst.Import(names=names):
                found = [AddImport(alias.evaluated_name) for alias in names if not alias.asname]
            case cst.ImportFrom(module=cst.CSTNode() as module, names=[*names], relative=[]):
                parts = _dotted(module)
                found = [AddImport(parts, alias.evaluated_name) for alias in names if not alias.asname]
            case _:
                continue
        if wanted in found:
            return True
    return False


def _can_take(statement: _Statement, wanted: AddImport) -> bool:
    """Whether a name can join a statement: `from module import others`, on one line and without brackets."""
    found = _from_import(statement)
    return bool(
        wanted.name
        and found
        and found.module
        and found.lpar is None
        and not isinstance(found.names, cst.ImportStar)
        and _dotted(found.module) == wanted.module
    )


def _with_name(statement: _Statement, name: str) -> _Statement:
    found: Any = _from_import(statement)
    *others, last = found.names
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    names = [*others, last.with_changes(comma=comma), cst.ImportAlias(cst.Name(name))]
    return statement.with_changes(body=[found.with_changes(names=names)])


def _with_lines(body: list[_Statement], new: list[_Statement]) -> list[_Statement]:
    place = int(bool(body) and _is_docstring(body[0]))
    while place < len(body) and _is_import(body[place]):
        place += 1
    if place == 0 and body:  # what stands above the first statement stays at the top
        new[0] = new[0].with_changes(leading_lines=body[0].leading_lines)
        body[0] = body[0].with_changes(leading_lines=[_BLANK])
    elif place and not _is_import(body[place - 1]):
        new[0] = new[0].with_changes(leading_lines=[_BLANK])
        if place < len(body) and not any(line.comment is None for line in body[place].leading_lines):
            body[place] = body[place].with_changes(leading_lines=[_BLANK, *body[place].leading_lines])
    return [*body[:place], *new, *body[place:]]


def _is_docstring(statement: _Statement) -> bool:
    match statement:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString())]):
            return True
    return False


def _is_import(statement: _Statement) -> bool:
    match statement:
        case cst.SimpleStatementLine(body=smalls):
            return all(isinstance(small, cst.Import | cst.ImportFrom) for small in smalls)
    return False


def _dotted(name: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(name)
