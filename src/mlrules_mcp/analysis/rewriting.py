"""Edits written into code by libcst, so that comments and formatting stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider

from mlrules_mcp.analysis.added_imports import with_imports, with_imports_in_cell
from mlrules_mcp.analysis.call_arguments import with_argument, without_argument
from mlrules_mcp.findings import (
    AddImport,
    Decorate,
    Edit,
    InsertAfter,
    InsertBefore,
    RemoveArgument,
    RemoveStatement,
    Replace,
    SetArgument,
    WrapInWith,
)
from mlrules_mcp.source import SourceFile
from mlrules_mcp.source.marimo import Marimo

# libcst types what a transformer may return so narrowly that replacing one node by another can't be said.
_Node: TypeAlias = Any
_Place: TypeAlias = tuple[int, ...]

# Expressions that bind so tightly that they can stand anywhere, and places where any expression can stand.
_ATOMS = (
    *(cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.BaseNumber, cst.SimpleString, cst.FormattedString),
    *(cst.List, cst.Dict, cst.Set, cst.ListComp, cst.SetComp, cst.DictComp, cst.Ellipsis),
)
_OPEN_PLACES = (
    *(cst.Arg, cst.Expr, cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Return, cst.Element, cst.Index),
    *(cst.DictElement, cst.If, cst.While, cst.For),
)
_NEEDS_BRACKETS = (cst.Tuple, cst.GeneratorExp, cst.NamedExpr, cst.Yield)


class Unwritable(Exception):
    """The code, or an edit of it, can't be written."""


class Rewriter:
    """Code that edits can be written into, any number of times from the same start.

    Raises:
        Unwritable: libcst can't read the code, or can't keep all of it as it is.
    """

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        try:
            module = cst.parse_module(source.code)
        except (cst.ParserSyntaxError, RecursionError) as error:
            raise Unwritable from error
        if module.code != source.code:
            raise Unwritable
        self._wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        positions = self._wrapper.resolve(PositionProvider)
        self._expressions: dict[_Place, cst.CSTNode] = {}
        self._statements: dict[_Place, cst.CSTNode] = {}
        for node, position in positions.items():
            if isinstance(node, cst.BaseExpression):
                self._expressions[_span(node, positions)] = node
            elif isinstance(node, cst.BaseCompoundStatement | cst.BaseSmallStatement):
                self._statements[position.start.line, position.start.column] = node

    def finds(self, edits: Iterable[Edit]) -> bool:
        """Whether everything that some edits speak of is there."""
        return all(isinstance(edit, AddImport) or self._target(edit) is not None for edit in edits)

    def _target(self, edit: Edit) -> cst.CSTNode | None:
        if isinstance(edit, AddImport):
            return None
        span = edit.span
        start = (span.line, self._source.characters(span.line, span.column))
        node: cst.CSTNode | None
        if isinstance(edit, Replace | SetArgument | RemoveArgument):
            node = self._expressions.get(
                (*start, span.end_line, self._source.characters(span.end_line, span.end_column))
            )
            wanted: type[cst.CSTNode] = cst.BaseExpression if isinstance(edit, Replace) else cst.Call
        else:
            node = self._statements.get(start)
            wanted = cst.FunctionDef if isinstance(edit, Decorate) else cst.CSTNode
        return node if isinstance(node, wanted) else None

    def rewritten(self, edits: Sequence[Edit]) -> str:
        """The code with some edits in it, which must not overlap.

        Raises:
            Unwritable: the code of an edit is not Python.
        """
        by_node: dict[cst.CSTNode, list[Edit]] = {}
        for edit in dict.fromkeys(edits):
            if (node := self._target(edit)) is not None:
                by_node.setdefault(node, []).append(edit)
        try:
            module = self._wrapper.module.visit(_Writer(self._wrapper, by_node))
            imports = [edit for edit in edits if isinstance(edit, AddImport)]
            if isinstance(self._source.layout, Marimo):
                code: str = module.with_changes(body=with_imports_in_cell(module.body, imports)).code
            else:
                code = _with_imports(module, imports, self._source.shift).code
            return code
        except (cst.ParserSyntaxError, cst.CSTValidationError, RecursionError) as error:
            raise Unwritable from error


def _span(node: cst.BaseExpression, positions: Any) -> _Place:
    """Where an expression is, as `ast` has it: the brackets of a tuple or generator are part of it."""
    first: CodeRange = positions[node]
    last = first
    if isinstance(node, cst.Tuple | cst.GeneratorExp) and node.lpar:
        first, last = positions[node.lpar[-1]], positions[node.rpar[0]]
    return (first.start.line, first.start.column, last.end.line, last.end.column)


class _Writer(cst.CSTTransformer):
    """Changes the nodes that there are edits for."""

    def __init__(self, wrapper: MetadataWrapper, edits: dict[cst.CSTNode, list[Edit]]) -> None:
        super().__init__()
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._config = wrapper.module.config_for_parsing
        self._edits = edits

    def on_leave(self, original_node: cst.CSTNode, updated_node: _Node) -> _Node:
        """Change a node once its parts are done; statements are changed by the block that holds them."""
        match original_node:
            case cst.BaseExpression() if original_node in self._edits:
                for edit in self._edits[original_node]:
                    updated_node = self._edit_expression(original_node, updated_node, edit)
            case cst.Module(body=body) | cst.IndentedBlock(body=body):
                return self._edit_block(body, updated_node)
            case cst.SimpleStatementSuite(body=body) if any(small in self._edits for small in body):
                return self._edit_suite(body, updated_node)
            case cst.If(orelse=cst.If() as alternative) if alternative in self._edits:
                return self._edit_alternative(alternative, updated_node)
        return updated_node

    def _edit_expression(self, original: cst.BaseExpression, node: _Node, edit: Edit) -> _Node:
        match edit:
            case Replace(code=code):
                return self._replacement(original, code)
            case SetArgument(name=name, code=code):
                return with_argument(node, name, cst.parse_expression(code, config=self._config))
            case RemoveArgument(argument=argument):
                return without_argument(node, argument)
        return node

    def _replacement(self, original: cst.BaseExpression, code: str) -> _Node:
        # In brackets the code may go over several lines, and keeps together whatever it is.
        new: _Node = cst.parse_expression(f"({code})", config=self._config)
        around = (original.lpar, original.rpar)
        if isinstance(original, cst.Tuple | cst.GeneratorExp):
            around = (original.lpar[:-1], original.rpar[1:])  # the innermost are its own
        own = (new.lpar[1:], new.rpar[:-1])
        if not isinstance(new, _NEEDS_BRACKETS) and "\n" not in code:
            if isinstance(self._parents[original], _OPEN_PLACES):
                own = ((), ())
            elif not isinstance(new, _ATOMS) and not around[0] and not own[0]:
                own = (new.lpar, new.rpar)
        elif not isinstance(new, _ATOMS) and not own[0]:
            own = (new.lpar, new.rpar)
        return new.with_changes(lpar=[*around[0], *own[0]], rpar=[*own[1], *around[1]])

    def _edit_block(self, originals: Sequence[cst.CSTNode], block: _Node) -> _Node:
        body: list[_Node] = []
        comments: list[cst.EmptyLine] = []  # of statements that are gone, for what follows them
        for original, statement in zip(originals, block.body, strict=True):
            edited = self._edit_line(original, statement)
            if edited:
                first = edited[0]
                edited[0] = first.with_changes(leading_lines=[*comments, *first.leading_lines]) if comments else first
                comments = []
            elif any(line.comment for line in statement.leading_lines):
                comments.extend(statement.leading_lines)
            body.extend(edited)
        if not body and originals and isinstance(block, cst.IndentedBlock):
            body = self._parsed("pass")
        return block.with_changes(body=body, footer=[*comments, *block.footer])

    def _edit_line(self, original: cst.CSTNode, statement: _Node) -> list[_Node]:
        """What becomes of a compound statement or a line of simple ones."""
        if not isinstance(original, cst.SimpleStatementLine):
            return self._edit_statement(statement, self._edits.get(original, []))
        if not any(small in self._edits for small in original.body):
            return [statement]
        lines = _split(statement.body, statement.leading_lines, statement.trailing_whitespace)
        pairs = zip(original.body, lines, strict=True)
        return [each for small, line in pairs for each in self._edit_statement(line, self._edits.get(small, []))]

    def _edit_suite(self, originals: Sequence[cst.CSTNode], suite: cst.SimpleStatementSuite) -> cst.BaseSuite:
        """`if x: f()` as a block of lines, with what becomes of its statements."""
        lines = _split(suite.body, (), suite.trailing_whitespace)
        pairs = zip(originals, lines, strict=True)
        edited = [each for small, line in pairs for each in self._edit_statement(line, self._edits.get(small, []))]
        return cst.IndentedBlock(edited or self._parsed("pass"))

    def _edit_alternative(self, alternative: cst.If, statement: cst.If) -> cst.If:
        """An `elif` that is edited as the statement it is: an `if` in an `else`."""
        inner = statement.orelse
        edited = self._edit_statement(inner.with_changes(leading_lines=[]), self._edits[alternative])  # type: ignore[union-attr]
        if not edited:
            return statement.with_changes(orelse=inner.orelse)  # type: ignore[union-attr]
        orelse = cst.Else(cst.IndentedBlock(edited), leading_lines=inner.leading_lines)  # type: ignore[union-attr]
        return statement.with_changes(orelse=orelse)

    def _edit_statement(self, node: _Node, edits: list[Edit]) -> list[_Node]:
        before: list[_Node] = []
        after: list[_Node] = []
        kept = True
        for edit in edits:
            match edit:
                case InsertBefore(code=code):
                    before.extend(self._parsed(code))
                case InsertAfter(code=code):
                    after.extend(self._parsed(code))
                case RemoveStatement():
                    kept = False
                case Decorate(code=code):
                    decorator = cst.Decorator(cst.parse_expression(code, config=self._config))
                    node = node.with_changes(decorators=[*node.decorators, decorator])
                case WrapInWith(code=code):
                    (around,) = self._parsed(f"with {code}:\n    pass")
                    inner = node.with_changes(leading_lines=[])
                    node = around.with_changes(body=cst.IndentedBlock([inner]), leading_lines=node.leading_lines)
        if not kept:
            return _in_the_place_of(node, [*before, *after])
        if before:
            # Blank lines go before what is inserted, comments stay with what they speak of.
            blank = [line for line in node.leading_lines if line.comment is None]
            comments = [line for line in node.leading_lines if line.comment is not None]
            before[0] = before[0].with_changes(leading_lines=blank)
            node = node.with_changes(leading_lines=comments)
        return [*before, node, *after]

    def _parsed(self, code: str) -> list[_Node]:
        return list(cst.parse_module(code, config=self._config).body)


def _split(
    smalls: Sequence[cst.BaseSmallStatement],
    leading_lines: Sequence[cst.EmptyLine],
    trailing_whitespace: cst.TrailingWhitespace,
) -> list[cst.SimpleStatementLine]:
    """Simple statements that stand on one line, each on a line of its own."""
    if len(smalls) > 1:
        smalls = [small.with_changes(semicolon=cst.MaybeSentinel.DEFAULT) for small in smalls]
    lines = [cst.SimpleStatementLine([small]) for small in smalls]
    lines[0] = lines[0].with_changes(leading_lines=leading_lines)
    lines[-1] = lines[-1].with_changes(trailing_whitespace=trailing_whitespace)
    return lines


def _in_the_place_of(node: _Node, statements: list[_Node]) -> list[_Node]:
    """Statements with the comments of the one that they take the place of."""
    if statements:
        statements[0] = statements[0].with_changes(leading_lines=node.leading_lines)
        if isinstance(node, cst.SimpleStatementLine) and isinstance(statements[-1], cst.SimpleStatementLine):
            statements[-1] = statements[-1].with_changes(trailing_whitespace=node.trailing_whitespace)
    return statements


def _with_imports(block: _Node, imports: Sequence[AddImport], shift: int) -> _Node:
    """A module with imports at its top: of a snippet, in the innermost of the `if True:` blocks that hold its text."""
    if not imports:
        return block
    if shift == 0:
        return block.with_changes(body=with_imports(block.body, imports))
    outer, *rest = block.body
    return block.with_changes(body=[outer.with_changes(body=_with_imports(outer.body, imports, shift - 1)), *rest])
