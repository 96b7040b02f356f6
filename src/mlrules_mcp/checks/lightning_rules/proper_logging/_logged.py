"""Which metrics a file logs with Lightning, by their keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.checks.lightning_rules._classes import ancestry_is_known, lightning_modules, passes_itself_on
from mlrules_mcp.checks.lightning_rules._trainers import class_of, fits
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

# Keys that Lightning adds to those that are logged.
_OWN_KEYS = frozenset({"epoch", "step"})
_SUFFIX = pattern(r"_(step|epoch)$|/dataloader_idx_\d+$")


class Logged(NamedTuple):
    """The metrics that `self.log` and `self.log_dict` write in a file.

    Attributes:
        patterns: a regular expression for each key.
        names: the keys for people, `…` standing for what is put in at run time.
    """

    patterns: tuple[re.Pattern[str], ...]
    names: tuple[str, ...]

    def holds(self, key: str) -> bool:
        """Whether a metric is logged, or is one of Lightning's own."""
        bare = _SUFFIX.sub("", key)
        return key in _OWN_KEYS or any(p.fullmatch(key) or p.fullmatch(bare) for p in self.patterns)


def logged_metrics(module: Module) -> Logged | None:
    """All metrics that a file and the models it trains log; None where some keys don't show in the code."""
    return module.fact(_find_logged)


def _find_logged(module: Module) -> Logged | None:
    classes = [(module, cls) for cls in lightning_modules(module)]
    classes += filter(None, (class_of(module, fit.model) for fit in fits(module)))
    if not all(ancestry_is_known(*each) and not passes_itself_on(*each) for each in classes):
        return None
    modules = dict.fromkeys([module, *(owner for each in classes for owner, _ in each[0].ancestry(each[1]))])
    patterns: dict[str, str] = {}
    for owner in modules:
        for call in owner.calls("log", "log_dict"):
            if not isinstance(call.func, ast.Attribute) or owner.qualified_name(call.func) is not None:
                continue
            found = [_pattern(owner, key) for key in _keys(owner, call) or ()]
            if not found or None in found:
                return None
            for names in found:
                patterns.update(names or {})
    return Logged(tuple(map(re.compile, patterns)), tuple(dict.fromkeys(patterns.values())))


def _keys(module: Module, call: ast.Call) -> list[ast.expr] | None:
    """The expressions of the keys that a call logs; None where they don't show."""
    if not call.args:
        keyword = next((each for each in call.keywords if each.arg in ("name", "dictionary")), None)
        value = keyword.value if keyword else None
    else:
        value = call.args[0]
    if value is None or isinstance(value, ast.Starred):
        return None
    if module.called_name(call) == "log" and not _is_dictionary(module, value):
        return [value]
    return _dictionary_keys(module, value)


def _is_dictionary(module: Module, value: ast.expr) -> bool:
    return all(isinstance(origin, ast.Dict | ast.DictComp) for origin in module.origins(value))


def _dictionary_keys(module: Module, value: ast.expr) -> list[ast.expr] | None:
    keys: list[ast.expr] = []
    for origin in module.origins(value):
        match origin:
            case ast.Dict(keys=own) if None not in own:
                keys += [key for key in own if key is not None]
            case ast.DictComp(key=key):
                keys.append(key)
            case _:
                return None
    if isinstance(value, ast.Name) and _grows(module, value):
        return None
    return keys


def _grows(module: Module, name: ast.Name) -> bool:
    """Whether keys are put into a dictionary after it is made."""
    for node in module.walk(module.enclosing_function(name) or module.tree):
        match node:
            case ast.Subscript(value=ast.Name(id=other), ctx=ast.Store()) if other == name.id:
                return True
            case ast.Call(func=ast.Attribute(value=ast.Name(id=other), attr="update" | "setdefault")) if (
                other == name.id
            ):
                return True
    return False


def _pattern(module: Module, key: ast.expr) -> dict[str, str] | None:
    """A key as a regular expression, and for people; None where nothing of it is known."""
    found: dict[str, str] = {}
    for origin in module.origins(key):
        parts = list(_parts(module, origin))
        if all(part is None for part in parts):
            return None
        pattern = "".join(".*" if part is None else re.escape(part) for part in parts)
        found[pattern] = "".join("…" if part is None else part for part in parts)
    return found


def _parts(module: Module, key: ast.expr) -> Iterator[str | None]:
    """The known and unknown (None) parts of a text."""
    match key:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=values):
            for value in values:
                yield from _parts(module, value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _parts(module, left)
            yield from _parts(module, right)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format")):
            for index, part in enumerate(re.split(r"\{[^{}]*\}", text)):
                if index:
                    yield None
                yield part
        case _:
            yield None
