"""Rows and columns taken from tables and arrays, and the parts of data that their names tell."""

from __future__ import annotations

import ast
import re

from mlrules_mcp.source.data_flow.columns import EVERY_COLUMN, SOME_COLUMNS, Columns, only
from mlrules_mcp.source.data_flow.lineage import (
    cut,
    has_columns_of,
    is_from_separate_sets,
    is_of,
    part_of,
    parts,
    roles,
    statistic,
)
from mlrules_mcp.source.data_flow.operations import ABOUT
from mlrules_mcp.source.data_flow.scopes import Memory, known, role_of_name, strings
from mlrules_mcp.source.data_flow.values import ColumnNames, Data, Items, Known, Method, Role, Unknown, Value

_ROW_INDEX = re.compile(r"(?i)idx|ind(ex|ices)?(_|$)|mask|rows|fold|perm|sample")


def selected(index: Value | None) -> Columns | None:
    """The columns that an index selects, where it is one for columns; None for rows."""
    names = strings(index)
    if names is not None:
        return only(names)
    match index:
        case ColumnNames(columns=columns):
            return columns
        case Items(values=values):
            return None if any(isinstance(known(each), int) for each in values) else SOME_COLUMNS
    return None


class Selections(Memory):
    """A memory that knows which rows and columns are taken from tables and arrays."""

    # Subscripts

    def subscript(self, owner: Data, index: Value, node: ast.expr, method: str = "") -> Value:
        """`owner[index]`, or `owner.loc[index]` and the like."""
        chosen = index.values[-1] if isinstance(index, Items) and len(index.values) == 2 else index
        if isinstance(chosen, ColumnNames) and chosen.fits:
            return Data("transformed", node, (owner,), fits=chosen.fits)
        if owner.how == "derived" and isinstance(index, Known) and isinstance(index.value, int) and not method:
            return Data("derived", node, owner.sources)
        if (
            isinstance(index, Items)
            and len(index.values) not in (0, 2)
            and isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Tuple)
        ):
            return self._rows(owner, index.values[0], node)
        if isinstance(index, Items) and len(index.values) == 2 and (method or not strings(index)):
            rows, columns = index.values
            if not method and isinstance(columns, Known) and isinstance(columns.value, str):
                return Data("columns", node, (owner,), only([columns.value]))
            taken = self._rows(owner, rows, node)
            selection = self.positions(columns)
            return taken if selection is None else Data("columns", node, (taken,), selection)
        if not method and (columns_selected := selected(index)) is not None:
            if (
                isinstance(index, ColumnNames)
                and columns_selected.names is None
                and not has_columns_of(owner, index.data)
            ):
                columns_selected = columns_selected._replace(known=False, span=None)
            return Data("columns", node, (owner,), columns_selected)
        if isinstance(index, Unknown):
            if role := role_of_name(index.name):
                return self._named_part(owner, owner, role, node)
            if not method and not index.parts and not _ROW_INDEX.search(index.name):
                return Data("columns", node, (owner,), SOME_COLUMNS)
        return self._rows(owner, index, node)

    def positions(self, index: Value) -> Columns | None:
        """The columns that the second index of an array, or of `loc` and `iloc`, selects; None for all."""
        match index:
            case Known(value=int(position)) if not isinstance(position, bool):
                return only([position])
            case Known(value=slice(start=None, stop=None)):
                return None
            case Known(value=slice(start=start, stop=stop, step=None)):
                if all(bound is None or isinstance(bound, int) for bound in (start, stop)):
                    return Columns(span=(start, stop))
                return SOME_COLUMNS
            case Items(values=values) if values and all(isinstance(known(each), int) for each in values):
                return only(known(each) for each in values)  # type: ignore[misc]
        found = selected(index)
        return SOME_COLUMNS if found is None else found

    def _rows(self, owner: Data, index: Value, node: ast.expr) -> Data:
        if isinstance(index, Known) and (index.value in (None, ...) or index.value == slice(None)):
            return owner
        if isinstance(index, Known) and isinstance(index.value, int):
            return Data("copy" if statistic(owner) else "derived", node, (owner,))
        if isinstance(index, Data) and index.how != "computed" and not is_of(index, owner):
            return Data("derived", node, (owner,))
        if isinstance(index, Data) and (part := part_of(index)) is not None and part not in parts(owner):
            return Data("part", node, (owner,), split=part.split, role=part.role)
        return Data("rows", node, (owner,))

    # Attributes

    def table_attribute(self, owner: Data, name: str, node: ast.expr) -> Value:
        """`owner.name`, without a call."""
        if name in ("columns", "feature_names"):
            return ColumnNames(owner, owner.columns if owner.how == "columns" else EVERY_COLUMN)
        if name in ("values", "T", "A", "index", "dt", "str", "cat", "array"):
            return Data("copy", node, (owner,))
        if name in ("iloc", "loc", "ix", "at", "iat") or name in ABOUT or self.is_called(node):
            return Method(owner, name)
        if isinstance(owner.node, ast.Attribute) and owner.node.attr in ("dt", "str", "cat"):
            return Data("computed", node, (owner,))
        return Data("columns", node, (owner,), only([name]))

    def is_called(self, node: ast.expr) -> bool:
        """Whether an expression is what a call calls."""
        parent = self.module.parent(node)
        return isinstance(parent, ast.Call) and parent.func is node

    # Names

    def named(self, name: str, value: Value, node: ast.AST) -> Value:
        """A value as it is known once a variable holds it: the name may tell which part of the data it is."""
        role = role_of_name(name)
        if role == "validation" and isinstance(value, Data) and value.how == "part" and value.role == "test":
            return Data("part", value.node, value.sources, split=value.split, role=role)
        if role is None or not isinstance(value, Data) or value.how in ("statistic", "predicted") or roles(value):
            return value
        rows = cut(value)
        if rows is not None and not is_from_separate_sets(rows):
            return self._named_part(value, rows.sources[0], role, rows.node)
        return Data("named", value.node, (value,), role=role)

    def _named_part(self, data: Data, source: Data, role: Role, node: ast.AST) -> Data:
        """A part of a source that its name tells; the other parts, which come later, are of the same split."""
        split = next((each for each in self.events.splits if each.kind == "named" and source in each.inputs), None)
        if split is None:
            split = self.split(expression(node, ast.Name("")), "named", (source,))
        split.roles.add(role)
        return Data("part", data.node, (data,), split=split, role=role)


def expression(node: ast.AST, default: ast.expr) -> ast.expr:
    """A node as the place of what happens, if it is an expression."""
    return node if isinstance(node, ast.expr) else default
