"""Settings of a project: what its YAML, TOML and JSON files say, each key with its line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from mlrules_mcp.patterns import pattern

SETTINGS = (".yaml", ".yml", ".toml", ".json", ".dvc")
MOST_BYTES = 200_000
_MOST_KEYS = 500
_DEEPEST = 12
_MOST_OPEN = 100
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
    # From the parser's events, not from its tree: what is nested too deeply for a tree brings the interpreter down.
    open_ones: list[_Open] = []
    for event in yaml.parse(text, Loader=_Loader):
        if len(open_ones) > _MOST_OPEN:
            raise ValueError("it is nested too deeply")
        if isinstance(event, yaml.DocumentStartEvent):
            open_ones = [_Open("", is_mapping=False, is_root=True)]
        elif isinstance(event, yaml.CollectionEndEvent):
            open_ones.pop()
        elif isinstance(event, yaml.NodeEvent):
            yield from _value(event, open_ones)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read: the way to it (None: it is no value), and what comes next in it."""

    key: str | None
    is_mapping: bool
    is_root: bool = False
    count: int = 0
    name: tuple[str, int] | None = None

    def way(self, line: int) -> tuple[str | None, int]:
        """The way to the next value, and the line of its key or of itself."""
        if self.is_root or self.key is None:
            return self.key, line
        if self.is_mapping and self.name:
            (name, line), self.name = self.name, None
        else:
            name, self.count = str(self.count), self.count + 1
        return f"{self.key}.{name}" if self.key else name, line


def _value(event: yaml.NodeEvent, open_ones: list[_Open]) -> Iterator[tuple[str, int, str]]:
    around, line = open_ones[-1], (event.start_mark.line if event.start_mark else 0) + 1
    if around.is_mapping and around.name is None:  # a key; one that is no scalar has no name
        around.name = (event.value if isinstance(event, yaml.ScalarEvent) else "?", line)
        key = None
    else:
        key, line = around.way(line)
        in_mapping = around.is_mapping and isinstance(event, yaml.CollectionStartEvent)
        if key and len(open_ones) <= _DEEPEST and (in_mapping or isinstance(event, yaml.ScalarEvent)):
            yield key, line, event.value[:500] if isinstance(event, yaml.ScalarEvent) else ""
    if isinstance(event, yaml.CollectionStartEvent):
        open_ones.append(_Open(key, isinstance(event, yaml.MappingStartEvent)))


def _json(text: str) -> Iterator[tuple[str, int, str]]:
    json.loads(text)  # what YAML takes and JSON does not is an error here
    yield from _yaml(text.replace("\t", " "))


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
