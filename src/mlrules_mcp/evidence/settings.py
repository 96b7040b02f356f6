"""Settings of a project: what its YAML, TOML and JSON files say, each key with its line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import yaml

from mlrules_mcp.patterns import pattern

SETTINGS = (".yaml", ".yml", ".toml", ".json", ".dvc")
MOST_BYTES = 200_000
_MOST_KEYS = 500
_DEEPEST = 12
_HEADER = pattern(r"^\s*\[\[?\s*([^\[\]]+?)\s*\]?\]\s*(#.*)?$")
_KEY = pattern(r"""^\s*("[^"]+"|'[^']+'|[\w.-]+)\s*=""")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Setting(NamedTuple):
    """One value; `key` is the whole way to it, `trainer.precision`, where the items of a list count from 0."""

    path: str
    line: int
    key: str
    value: str


class BrokenSettings(ValueError):
    """The text is not what its ending says; the message names the line where it is known."""


def settings_in(path: str, text: str) -> list[Setting]:
    """What a settings file says, at most so much of it. Nothing in it is constructed or looked up.

    Raises:
        BrokenSettings: it is not valid.
    """
    read: Callable[[str], Iterator[tuple[str, int, str]]]
    read = _toml if path.endswith(".toml") else _json if path.endswith(".json") else _yaml
    found: list[Setting] = []
    try:
        for key, line, value in read(text):
            found.append(Setting(path, line, key, value))
            if len(found) == _MOST_KEYS:
                break
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise BrokenSettings(" ".join(str(error).split())[:200]) from None
    return found


def _yaml(text: str) -> Iterator[tuple[str, int, str]]:
    for document in yaml.compose_all(text, Loader=_Loader):
        if document is not None:
            yield from _node(document, "", 0)


def _json(text: str) -> Iterator[tuple[str, int, str]]:
    json.loads(text)  # what YAML takes and JSON does not is an error here
    yield from _yaml(text.replace("\t", " "))


def _node(node: yaml.Node, key: str, depth: int) -> Iterator[tuple[str, int, str]]:
    if depth > _DEEPEST:
        return
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            full = f"{key}.{name.value}" if key else str(name.value)
            if isinstance(value, yaml.ScalarNode):
                yield full, name.start_mark.line + 1, str(value.value)[:500]
            else:
                yield full, name.start_mark.line + 1, ""
                yield from _node(value, full, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _node(value, f"{key}.{number}", depth + 1)
    elif key:
        yield key, node.start_mark.line + 1, str(node.value)[:500]


def _toml(text: str) -> Iterator[tuple[str, int, str]]:
    lines = _toml_lines(text)
    for key, value in _flat(tomllib.loads(text), ""):
        table = key
        while table and table not in lines:
            table = table.rpartition(".")[0]
        yield key, lines.get(table, 1), value


def _toml_lines(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = ".".join(part.strip().strip("\"'") for part in header[1].split("."))
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            name = found[1].strip("\"'")
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if key:
            yield key, ""
        for name, each in value.items():
            yield from _flat(each, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _flat(each, f"{key}.{number}")
    else:
        yield key, str(value)[:500]
