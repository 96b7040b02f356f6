"""The first layer of a Module: every node by its type, its parent and its text."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias, TypeVar

from mlrules_mcp.findings import Location, Span
from mlrules_mcp.source.reading import SourceFile

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Loop: TypeAlias = ast.For | ast.AsyncFor | ast.While
Positioned: TypeAlias = ast.expr | ast.stmt | ast.keyword | ast.arg | ast.alias | ast.excepthandler

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
_RUN_LATER = frozenset({*FUNCTIONS, ast.Lambda, ast.ClassDef})

N = TypeVar("N", bound=ast.AST)

# How many looks at the tree one check may take, and how many times that all of them together. Real code needs up to
# 2 looks a node in one check and 5 in all; what needs more than these has every part looked at from every other.
_LOOKS_A_CHECK = 200_000
_LOOKS_A_CHECK_AND_NODE = 20
_LOOKS_IN_ALL = 3

_NO_CHILDREN = (
    ast.expr_context,
    ast.operator,
    ast.boolop,
    ast.unaryop,
    ast.cmpop,
    ast.Name,
    ast.Constant,
    ast.MatchSingleton,
    ast.alias,
    ast.Global,
    ast.Nonlocal,
    ast.Pass,
    ast.Break,
    ast.Continue,
    ast.type_ignore,
)
_NOT_NODES = frozenset(
    "ctx op ops id attr kind type_comment type_ignores simple is_async conversion level module asname name names "
    "tag".split()
)


# Where the fields of a node stand in the text, for the types that list them in another order.
_IN_TEXT_ORDER: dict[type[ast.AST], tuple[str, ...]] = {
    ast.FunctionDef: ("decorator_list", "type_params", "args", "returns", "body"),
    ast.AsyncFunctionDef: ("decorator_list", "type_params", "args", "returns", "body"),
    ast.ClassDef: ("decorator_list", "type_params", "bases", "keywords", "body"),
    ast.IfExp: ("body", "test", "orelse"),
    ast.arguments: ("posonlyargs", "args", "defaults", "vararg", "kwonlyargs", "kw_defaults", "kwarg"),
}


def _child_fields(node_type: type[ast.AST]) -> tuple[str, ...]:
    """The fields that hold nodes, the last first, as a stack wants them."""
    if issubclass(node_type, _NO_CHILDREN):
        return ()
    names = ("names",) if issubclass(node_type, (ast.Import, ast.ImportFrom)) else ()
    fields = tuple(name for name in node_type._fields if name not in _NOT_NODES) + names
    ordered = _IN_TEXT_ORDER.get(node_type, fields)
    return tuple(name for name in reversed(ordered) if name in fields)


_CHILD_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    node_type: _child_fields(node_type)
    for node_type in vars(ast).values()
    if isinstance(node_type, type) and issubclass(node_type, ast.AST)
}


class TooManyLooks(Exception):
    """Whoever asks has looked at the tree so often that it would take too long to go on."""


class Tree:
    """A parsed source whose nodes can be asked for by type and for their surroundings.

    Raises:
        TooManyLooks: from most of what can be asked, once it was asked beyond what `limit_looks` allows.
    """

    def __init__(self, source: SourceFile, tree: ast.Module) -> None:
        self.source = source
        self.tree = tree
        self._by_type: defaultdict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        self._parents: dict[ast.AST, ast.AST] = {}
        self._index()
        self._looks = 0
        self._most_looks = self._looks_left = sys.maxsize

    def _index(self) -> None:
        # Hot: a third of what an analysis costs. No recursion, so that deep trees are fine.
        by_type, parents = self._by_type, self._parents
        stack: list[ast.AST] = [self.tree]
        pop, push = stack.pop, stack.append
        while stack:
            node = pop()
            node_type = node.__class__
            by_type[node_type].append(node)
            for field in _CHILD_FIELDS[node_type]:
                value = getattr(node, field)
                if value.__class__ is list:
                    for child in reversed(value):
                        if child is not None and child.__class__ is not str:
                            parents[child] = node
                            push(child)
                elif value is not None and value.__class__ is not str:
                    parents[value] = node
                    push(value)

    def limit_looks(self) -> None:
        """Let the next check look so often at the tree, and all checks together some times as often."""
        a_check = _LOOKS_A_CHECK + _LOOKS_A_CHECK_AND_NODE * len(self._parents)
        if self._looks_left == sys.maxsize:
            self._looks_left = a_check * _LOOKS_IN_ALL
        self._looks_left -= self._looks
        self._looks = 0
        self._most_looks = min(a_check, self._looks_left)

    def lift_limit(self) -> None:
        """Let the tree be looked at as often as one likes."""
        self._most_looks = sys.maxsize

    def _look(self) -> None:
        self._looks += 1
        if self._looks > self._most_looks:
            raise TooManyLooks

    def nodes(self, *types: type[N]) -> list[N]:
        """All nodes of exactly these types; of one type in the order of the text.

        Within one call or one dictionary, positional arguments and keys come before keywords and values.
        """
        if len(types) == 1:
            found = self._by_type.get(types[0], [])
        else:
            found = [node for node_type in types for node in self._by_type.get(node_type, ())]
        self._looks += len(found) >> 3  # who asks has a glance at each
        return found  # type: ignore[return-value]

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that holds this one; None for the module."""
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around this one, from the inside out."""
        self._look()
        parents = self._parents
        current = parents.get(node)
        while current is not None:
            yield current
            current = parents.get(current)

    def is_inside(self, node: ast.AST, outer: ast.AST) -> bool:
        """Whether `node` is `outer` or lies in it."""
        return node is outer or any(ancestor is outer for ancestor in self.ancestors(node))

    def walk(self, root: ast.AST | Iterable[ast.AST], *, into_functions: bool = False) -> Iterator[ast.AST]:
        """A node, or several (a block), and what is below, in the order of the text.

        Functions, lambdas and classes defined below or in the block are yielded, and entered only with
        `into_functions`: their bodies run at another time. One that is given by itself is entered.
        """
        roots = [root] if isinstance(root, ast.AST) else list(root)
        closed = frozenset() if into_functions else _RUN_LATER
        stack = roots[::-1]
        while stack:
            self._look()
            node = stack.pop()
            yield node
            if node.__class__ in closed and node is not root:
                continue
            for field in _CHILD_FIELDS[node.__class__]:
                value = getattr(node, field)
                if isinstance(value, list):
                    stack.extend(child for child in reversed(value) if isinstance(child, ast.AST))
                elif isinstance(value, ast.AST):
                    stack.append(value)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that holds a node."""
        current: ast.AST | None = node
        while current is not None and not isinstance(current, ast.stmt):
            current = self._parents.get(current)
        if current is None:
            raise ValueError("the module itself lies in no statement")
        return current

    def enclosing_function(self, node: ast.AST) -> Function | None:
        """The function whose body runs this node; a lambda counts as part of the function around it."""
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, FUNCTIONS):
                return ancestor
        return None

    def enclosing_class(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around a node, through the methods between."""
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, ast.ClassDef):
                return ancestor
        return None

    def enclosing_loops(self, node: ast.AST) -> list[Loop]:
        """The `for` and `while` statements of the same function that repeat this node, from the inside out.

        What runs once (the iterable of a `for`, an `else` of a loop) is not repeated by it.
        """
        loops: list[Loop] = []
        child = node
        for ancestor in self.ancestors(node):
            if ancestor.__class__ in _RUN_LATER:
                break
            if isinstance(ancestor, LOOPS) and _repeats(ancestor, child):
                loops.append(ancestor)
            child = ancestor
        return loops

    def enclosing_loop(self, node: ast.AST) -> Loop | None:
        """The innermost `for` or `while` of the same function that repeats this node."""
        loops = self.enclosing_loops(node)
        return loops[0] if loops else None

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The list of statements that a statement stands in."""
        parent = self._parents[statement]
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(parent, field, None)
            if isinstance(statements, list) and statement in statements:
                return statements
        raise ValueError("not a statement of this module")

    def location(self, node: Positioned) -> Location:
        """Where a node is, for people."""
        return self.source.location(
            node.lineno,
            node.col_offset,
            node.end_lineno or node.lineno,
            node.end_col_offset or node.col_offset,
        )

    def defined_name(self, definition: Function | ast.ClassDef) -> ast.Name:
        """The name in the head of a function or class, as a node of its own: the place to report what it is."""
        line = self.source.lines[definition.lineno - 1].encode("utf-8", "surrogatepass")
        head = re.compile(rb"(?:async\s+)?(?:def|class)\s+").match(line, definition.col_offset)
        start = head.end() if head else definition.col_offset
        end = start + len(definition.name.encode())
        return ast.Name(
            definition.name,
            ast.Store(),
            lineno=definition.lineno,
            col_offset=start,
            end_lineno=definition.lineno,
            end_col_offset=end,
        )

    def text(self, node: ast.expr | ast.stmt) -> str:
        """The source text of a node."""
        span = Span.of(node)
        lines = self.source.lines[span.line - 1 : span.end_line]
        if len(lines) == 1 and lines[0].isascii():
            return lines[0][span.column : span.end_column]
        encoded = [line.encode("utf-8", "surrogatepass") for line in lines]
        encoded[-1] = encoded[-1][: span.end_column]
        encoded[0] = encoded[0][span.column :]
        return b"\n".join(encoded).decode("utf-8", "surrogatepass")


def code_of(expression: ast.expr) -> str:
    """An expression as code in one way of writing it, so that equal ones have equal texts: a quicker `ast.unparse`."""
    names: list[str] = []
    base = expression
    while isinstance(base, ast.Attribute):
        names.append(base.attr)
        base = base.value
    if not isinstance(base, ast.Name):
        return ast.unparse(expression)
    names.append(base.id)
    return ".".join(reversed(names))


def _repeats(loop: Loop, child: ast.AST) -> bool:
    if isinstance(loop, ast.While):
        return child not in loop.orelse
    return child is not loop.iter and child is not loop.target and child not in loop.orelse
