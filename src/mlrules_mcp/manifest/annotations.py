"""The body of a rule file as a stream of headings, bullets and `@name JSON` annotations with their lines."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from mlrules_mcp.manifest.collector import Collector

# The value may begin on the next line, unless it is a string: a name alone on a line is mostly a decorator.
_ANNOTATION = re.compile(r" {0,3}@([A-Za-z_][\w-]*)(?:[ \t]*(?=[\[{])|[ \t]+(?=\")|[ \t]*\n[ \t]*(?=[\[{]))", re.ASCII)
_UNQUOTED_META = re.compile(r" {0,3}@(version|last_updated)[ \t]+([^\s\"\[{].*)")
_LOOKS_LIKE_JSON = re.compile(r"\[\s*[\[{\"\]]|\{\s*[\"}]")
_META = ("version", "last_updated", "context")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]+(.*))?")
_BULLET = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(.*)")
_CODE_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)")
_JSON_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Heading:
    """A Markdown heading."""

    text: str
    line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Bullet:
    """An item of a Markdown list, its lines joined."""

    text: str
    line: int
    end_line: int


class Item(NamedTuple):
    """An element of a JSON list, with the lines it spans."""

    value: object
    line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Annotation:
    """`@name` with its value; a list also comes as `items`. A `broken` one could not be read: it has no value."""

    name: str
    line: int
    end_line: int
    value: object = None
    items: tuple[Item, ...] | None = None
    broken: bool = False


Part: TypeAlias = Heading | Bullet | Annotation


def means_rules(name: str) -> bool:
    """Whether an annotation of this name is surely meant as a block of rules."""
    return name == "rules" or name.endswith(("_rules", "-rules"))


class BodyReader:
    """Reads the parts of a rule file's body; what is broken goes to `collector`."""

    def __init__(self, lines: list[str], collector: Collector) -> None:
        self._lines = lines
        self._collector = collector
        self._text = "\n".join(lines)
        self._starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        self._decoder = json.JSONDecoder(object_pairs_hook=_object)

    def parts(self, start: int) -> Iterator[Part]:
        """The parts from the line with index `start` on, in order, outside fenced code."""
        index = start
        while index < len(self._lines):
            line = self._lines[index]
            if fence := _CODE_FENCE.fullmatch(line):
                index = self._after_code(index, fence)
                continue
            part = self._part(index)
            if part is not None:
                yield part
            index = part.end_line if part else index + 1

    def _part(self, index: int) -> Part | None:
        line = self._lines[index]
        if line.lstrip().startswith("@"):
            return self._annotation(index) or self._unquoted_meta(index)
        if heading := _HEADING.fullmatch(line):
            return Heading(_heading_text(heading[1] or ""), index + 1, index + 1)
        if (bullet := _BULLET.fullmatch(line)) and not _is_rule_line(line):
            return self._bullet(index, bullet[1])
        return None

    def _after_code(self, index: int, fence: re.Match[str]) -> int:
        """The index of the line after the code that opens at `index`."""
        mark, info = fence.groups()
        if mark[0] == "`" and "`" in info:
            return index + 1
        for end in range(index + 1, len(self._lines)):
            closing = _CODE_FENCE.fullmatch(self._lines[end])
            if closing and closing[1].startswith(mark) and not closing[2].strip():
                return end + 1
        self._collector.warning(
            "code-fence-not-closed",
            f"the code that {mark} opens here never ends: everything after it was taken for code, not for rules",
            index + 1,
        )
        return len(self._lines)

    def _bullet(self, index: int, first: str) -> Bullet:
        texts = [first]
        end = index + 1
        while end < len(self._lines) and not _starts_a_part(self._lines[end]):
            texts.append(self._lines[end])
            end += 1
        return Bullet(" ".join(text.strip() for text in texts).strip(), index + 1, end)

    def _unquoted_meta(self, index: int) -> Annotation | None:
        match = _UNQUOTED_META.fullmatch(self._lines[index])
        if match is None:
            return None
        name, value = match[1], match[2].strip()
        self._collector.warning(
            "annotation-not-quoted", f"@{name} is not JSON; it was read as the text {value!r}", index + 1
        )
        return Annotation(name, index + 1, index + 1, value)

    def _annotation(self, index: int) -> Annotation | None:
        match = _ANNOTATION.match(self._text, self._starts[index])
        if match is None:
            return None
        name, start = match[1], match.end()
        surely_meant = means_rules(name) or name in _META
        items = None
        try:
            if self._text[start] == "[":
                items, end = self._items(start)
                value: object = [item.value for item in items]
            else:
                value, end = self._decode(start)
        except (json.JSONDecodeError, RecursionError) as error:
            if surely_meant or _LOOKS_LIKE_JSON.match(self._text, start):
                return self._broken(name, index + 1, start, error)
            return None
        last = self._line_of(end - 1)
        rest = self._lines[last - 1][end - self._starts[last - 1] :].strip()
        if rest:
            # Bats has `@test "x" {` and CSS `@theme {`: text after the value means that this is something else.
            holds_rules = any(isinstance(item.value, dict) and "id" in item.value for item in items or ())
            if not (surely_meant or holds_rules):
                return None
            self._collector.warning(
                "annotation-trailing-text", f"the text after the value of @{name} was ignored: {rest[:40]!r}", last
            )
        return Annotation(name, index + 1, last, value, items)

    def _items(self, start: int) -> tuple[tuple[Item, ...], int]:
        """The elements of the JSON list at `start`, and where it ends; ValueError where it is broken."""
        items = []
        place = self._skip_space(start + 1)
        if self._text[place : place + 1] == "]":
            return (), place + 1
        while True:
            value, end = self._decode(place)
            items.append(Item(value, self._line_of(place), self._line_of(end - 1)))
            place = self._skip_space(end)
            if self._text[place : place + 1] == "]":
                return tuple(items), place + 1
            if self._text[place : place + 1] != ",":
                raise json.JSONDecodeError("a comma or ] is missing", self._text, place)
            place = self._skip_space(place + 1)
            if self._text[place : place + 1] == "]":
                raise json.JSONDecodeError("JSON has no comma after the last item", self._text, place)

    def _decode(self, place: int) -> tuple[object, int]:
        """The JSON value at `place` and where it ends; JSONDecodeError or RecursionError."""
        try:
            return self._decoder.raw_decode(self._text, place)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            raise json.JSONDecodeError(str(error), self._text, place) from error

    def _broken(self, name: str, line: int, start: int, error: json.JSONDecodeError | RecursionError) -> Annotation:
        message = f"the value of @{name} is not valid JSON and is left out: "
        if isinstance(error, json.JSONDecodeError):
            place = self._line_of(error.pos)
            column = error.pos - self._starts[place - 1] + 1
            self._collector.error("broken-json", message + error.msg, place, column)
        else:
            self._collector.error("broken-json", message + "it is nested too deeply", line)
        return Annotation(name, line, line, items=() if self._text[start] == "[" else None, broken=True)

    def _skip_space(self, place: int) -> int:
        match = _JSON_SPACE.match(self._text, place)
        return match.end() if match else place

    def _line_of(self, place: int) -> int:
        """The line, counted from 1, of a place in the text; the end of the text is on the last line."""
        return min(bisect_right(self._starts, place), len(self._lines))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f"an object gives the key {json.dumps(key)} twice")
        value[key] = item
    return value


def _heading_text(text: str) -> str:
    text = text.strip()
    bare = text.rstrip("#")
    return bare.strip() if not bare or bare[-1] in " \t" else text


def _is_rule_line(line: str) -> bool:
    """Whether the line is a thematic break such as `* * *`."""
    marks = "".join(line.split())
    return len(marks) >= 3 and marks[0] in "-*_" and marks == marks[0] * len(marks)


def _starts_a_part(line: str) -> bool:
    """Whether a list item ends before this line."""
    return (
        not line.strip()
        or line.lstrip().startswith("@")
        or any(pattern.fullmatch(line) for pattern in (_HEADING, _BULLET, _CODE_FENCE))
    )
