"""Writes fixes: the edits of findings, applied by libcst so that comments and formatting stay as they are."""

from __future__ import annotations

import ast
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor
from libcst.metadata import MetadataWrapper, PositionProvider

from mlrules_mcp.analysis.engine import Analysis, analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.findings import (
    AddImport,
    Applicability,
    Decorate,
    Edit,
    Finding,
    InsertAfter,
    InsertBefore,
    RemoveArgument,
    RemoveStatement,
    Replace,
    SetArgument,
    Span,
    WrapInWith,
)
from mlrules_mcp.source import SourceFile

_MOST_ROUNDS = 10
# libcst types what a transformer may return so narrowly that replacing one node by another can't be said.
_Node: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class FixedSource:
    """A source after its fixes.

    Attributes:
        source: the source with the fixes in it; the given one where nothing could be fixed.
        applied: the findings that were fixed.
        analysis: what is found in the fixed source.
    """

    source: SourceFile
    applied: tuple[Finding, ...]
    analysis: Analysis


def fix(
    source: SourceFile,
    catalogue: Catalogue,
    applicabilities: Iterable[Applicability] = ("safe",),
    wanted: Callable[[Finding], bool] = lambda finding: True,
) -> FixedSource:
    """Apply the fixes of a source's findings until none is left, or none can be applied.

    Args:
        applicabilities: which fixes to apply: by default only safe ones.
        wanted: which findings to fix; by default all.

    A source with syntax errors is returned as it is: what can't be read whole isn't rewritten.
    """
    allowed = frozenset(applicabilities)
    applied: list[Finding] = []
    analysis = analyze(source, catalogue)
    for _ in range(_MOST_ROUNDS):
        if any(diagnostic.severity == "error" for diagnostic in analysis.diagnostics):
            break
        chosen = _not_overlapping(
            finding
            for finding in analysis.findings
            if finding.fix and finding.fix.applicability in allowed and wanted(finding)
        )
        code = apply_edits(source, [edit for finding in chosen if finding.fix for edit in finding.fix.edits])
        if not chosen or code is None or code == source.code or not _parses(code):
            break
        source = SourceFile.from_text(source.text_of(code), source.path, source.encoding, source.bom)
        applied.extend(chosen)
        analysis = analyze(source, catalogue)
    return FixedSource(source, tuple(applied), analysis)


def write(source: SourceFile, path: Path) -> None:
    """Put a source's text into a file, whole or not at all, in its encoding and with the file's permissions.

    Raises:
        OSError: the file can't be written; it is then as it was.
    """
    target = path.resolve()  # a link stays one
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as temporary:
        try:
            temporary.write(source.encode(source.text))
            temporary.close()
            shutil.copymode(target, temporary.name)
            Path(temporary.name).replace(target)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise


def apply_edits(source: SourceFile, edits: Sequence[Edit]) -> str | None:
    """The code of a source with some edits in it; None where libcst can't read it. The edits must not overlap."""
    try:
        module = cst.parse_module(source.code)
    except (cst.ParserSyntaxError, RecursionError):
        return None
    transformer = _EditTransformer(source, module, edits)
    changed = transformer.wrapper.module.visit(transformer)
    context = CodemodContext()
    for edit in edits:
        if isinstance(edit, AddImport):
            AddImportsVisitor.add_needed_import(context, edit.module, edit.name)
    return AddImportsVisitor(context).transform_module(changed).code


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _not_overlapping(findings: Iterable[Finding]) -> list[Finding]:
    """The findings whose fixes can be applied at once; the others get their turn in the next round."""
    taken: list[Span] = []
    chosen: list[Finding] = []
    for finding in findings:
        spans = [edit.span for edit in finding.fix.edits if not isinstance(edit, AddImport)] if finding.fix else []
        if not any(_overlap(span, other) for span in spans for other in taken):
            taken.extend(spans)
            chosen.append(finding)
    return chosen


def _overlap(one: Span, other: Span) -> bool:
    return (one.line, one.column) < (other.end_line, other.end_column) and (other.line, other.column) < (
        one.end_line,
        one.end_column,
    )


class _EditTransformer(cst.CSTTransformer):
    """Finds the nodes at the edits' spans and changes them."""

    def __init__(self, source: SourceFile, module: cst.Module, edits: Sequence[Edit]) -> None:
        super().__init__()
        self.wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self._config = module.config_for_parsing
        self._expression_edits: dict[cst.CSTNode, list[Edit]] = {}
        self._statement_edits: dict[cst.CSTNode, list[Edit]] = {}
        wanted: dict[tuple[int, ...], list[Edit]] = {}
        for edit in edits:
            if isinstance(edit, AddImport):
                continue
            span = edit.span
            start = (span.line, source.characters(span.line, span.column))
            key = (*start, span.end_line, source.characters(span.end_line, span.end_column))
            is_expression = isinstance(edit, Replace | SetArgument | RemoveArgument)
            wanted.setdefault(key if is_expression else start, []).append(edit)
        for node, position in self.wrapper.resolve(PositionProvider).items():
            begin = (position.start.line, position.start.column)
            if isinstance(node, cst.BaseExpression):
                if (here := wanted.get((*begin, position.end.line, position.end.column))) is not None:
                    self._expression_edits[node] = here
            elif (
                isinstance(node, cst.BaseStatement | cst.BaseSmallStatement)
                and not isinstance(node, cst.SimpleStatementLine)
                and begin in wanted
            ):
                self._statement_edits[node] = wanted[begin]

    def on_leave(self, original_node: cst.CSTNode, updated_node: _Node) -> _Node:
        """Change a node once its parts are done."""
        if original_node in self._expression_edits:
            for edit in self._expression_edits[original_node]:
                updated_node = self._edit_expression(updated_node, edit)
        elif isinstance(original_node, cst.SimpleStatementLine):
            edits = [edit for small in original_node.body for edit in self._statement_edits.get(small, ())]
            return self._edit_statement(updated_node, edits)
        elif original_node in self._statement_edits and isinstance(original_node, cst.BaseCompoundStatement):
            return self._edit_statement(updated_node, self._statement_edits[original_node])
        elif isinstance(original_node, cst.SimpleStatementSuite):
            edits = [edit for small in original_node.body for edit in self._statement_edits.get(small, ())]
            return self._edit_suite(updated_node, edits)
        elif isinstance(original_node, cst.IndentedBlock) and not updated_node.body:
            return updated_node.with_changes(body=self._statements("pass"))
        return updated_node

    def _edit_expression(self, node: _Node, edit: Edit) -> _Node:
        match edit:
            case Replace(code=code):
                # In parentheses the code may go over several lines, as what it replaces may.
                new = cst.parse_expression(f"({code})", config=self._config)
                return new.with_changes(lpar=node.lpar, rpar=node.rpar)
            case SetArgument(name=name, code=code) if isinstance(node, cst.Call):
                return _with_argument(node, name, cst.parse_expression(code, config=self._config))
            case RemoveArgument(argument=argument) if isinstance(node, cst.Call):
                return _without_argument(node, argument)
        return node

    def _edit_statement(self, node: _Node, edits: list[Edit]) -> _Node:
        before: list[_Node] = []
        after: list[_Node] = []
        kept = True
        for edit in edits:
            match edit:
                case InsertBefore(code=code):
                    before.extend(self._statements(code))
                case InsertAfter(code=code):
                    after.extend(self._statements(code))
                case RemoveStatement():
                    kept = False
                case Decorate(code=code) if isinstance(node, cst.FunctionDef):
                    decorator = cst.Decorator(cst.parse_expression(code, config=self._config))
                    node = node.with_changes(decorators=[*node.decorators, decorator])
                case WrapInWith(code=code):
                    (around,) = self._statements(f"with {code}:\n    pass")
                    inner = node.with_changes(leading_lines=[])
                    node = around.with_changes(body=cst.IndentedBlock(body=[inner]), leading_lines=node.leading_lines)
        if not edits or (kept and not before and not after):
            return node
        if before and kept:
            blank = [line for line in node.leading_lines if line.comment is None]
            rest = [line for line in node.leading_lines if line.comment is not None]
            before[0] = before[0].with_changes(leading_lines=blank)
            node = node.with_changes(leading_lines=rest)
        statements = [*before, *([node] if kept else []), *after]
        if statements and not kept:  # what takes a statement's place keeps its comments
            statements[0] = statements[0].with_changes(leading_lines=node.leading_lines)
            if isinstance(node, cst.SimpleStatementLine) and isinstance(statements[-1], cst.SimpleStatementLine):
                statements[-1] = statements[-1].with_changes(trailing_whitespace=node.trailing_whitespace)
        return cst.FlattenSentinel(statements) if statements else cst.RemoveFromParent()

    def _edit_suite(self, suite: cst.SimpleStatementSuite, edits: list[Edit]) -> cst.SimpleStatementSuite:
        body = list(suite.body)
        for edit in edits:
            match edit:
                case InsertBefore(code=code):
                    body = [*self._small_statements(code), *body]
                case InsertAfter(code=code):
                    body = [*body, *self._small_statements(code)]
                case RemoveStatement():
                    body = [cst.Pass()]
        semicolon = cst.Semicolon(whitespace_after=cst.SimpleWhitespace(" "))
        separated = [small.with_changes(semicolon=semicolon) for small in body[:-1]]
        return suite.with_changes(body=[*separated, body[-1]]) if edits else suite

    def _statements(self, code: str) -> list[_Node]:
        return list(cst.parse_module(code, config=self._config).body)

    def _small_statements(self, code: str) -> list[cst.BaseSmallStatement]:
        lines = self._statements(code)
        return [small for line in lines if isinstance(line, cst.SimpleStatementLine) for small in line.body]


def _with_argument(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    arguments = list(call.args)
    for index, argument in enumerate(arguments):
        if argument.keyword is not None and argument.keyword.value == name:
            arguments[index] = argument.with_changes(value=value)
            return call.with_changes(args=arguments)
    new = cst.Arg(
        value,
        keyword=cst.Name(name),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    place = next((i for i, argument in enumerate(arguments) if argument.star == "**"), len(arguments))
    if place == len(arguments) and arguments:
        last = arguments[-1]
        if isinstance(last.comma, cst.Comma):  # a trailing comma: keep the layout of one argument a line
            new = new.with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
            before = (
                arguments[-2].comma if len(arguments) > 1 else cst.Comma(whitespace_after=call.whitespace_before_args)
            )
            arguments[-1] = last.with_changes(comma=before)
        else:
            space = arguments[-2].comma if len(arguments) > 1 else _comma()
            new = new.with_changes(whitespace_after_arg=last.whitespace_after_arg)
            arguments[-1] = last.with_changes(comma=space, whitespace_after_arg=cst.SimpleWhitespace(""))
    elif arguments:
        new = new.with_changes(comma=_comma())
    arguments.insert(place, new)
    return call.with_changes(args=arguments)


def _without_argument(call: cst.Call, wanted: int | str) -> cst.Call:
    arguments = list(call.args)
    for index, argument in enumerate(arguments):
        named = argument.keyword is not None and argument.keyword.value == wanted
        if named or (index == wanted and argument.keyword is None):
            del arguments[index]
            if index == len(arguments) and arguments:
                arguments[-1] = arguments[-1].with_changes(comma=argument.comma)
            break
    return call.with_changes(args=arguments)


def _comma() -> cst.Comma:
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
