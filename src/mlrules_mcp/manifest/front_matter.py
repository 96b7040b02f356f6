"""The head of a rule file: `key: value` lines between two `---`, as it is really written.

Of 499 Cursor rule files in public repositories, 292 were not valid YAML (an unquoted `globs: *.py` is an alias to
YAML) and 18 had two blocks. So a block is read as YAML where it is YAML, and line by line where it is not; what was
assumed is reported each time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import yaml

from mlrules_mcp.manifest.collector import Collector
from mlrules_mcp.manifest.globs import split_patterns

Value: TypeAlias = str | list[str]

_FENCE = "---"
_KEY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:[ \t]*(.*)", re.ASCII)
_LIST_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*")
_TEXT_BLOCK_MARKS = ("|", ">", "|-", ">-", "|+", ">+")
_YAML_NULLS = ("~", "null", "Null", "NULL")
_KEYS_OF_RULE_FILES = frozenset({"trigger", "globs", "description", "alwaysApply"})


class Entry(NamedTuple):
    """The value of one key and the line it stands on, counted from 1."""

    value: Value
    line: int


@dataclass(slots=True)
class FrontMatter:
    """The entries of the head, and the index in the file's lines where the body begins."""

    entries: dict[str, Entry] = field(default_factory=dict)
    body: int = 0
    line: int | None = None


class _Lines(NamedTuple):
    """A block read line by line: its entries, and the indices of lines that are no part of any."""

    entries: dict[str, Entry]
    strays: list[int]


def read_front_matter(lines: list[str], collector: Collector) -> FrontMatter:
    """The front matter of a file given as lines without their ends; empty where the file has none."""
    start = next((index for index, line in enumerate(lines) if line.strip()), None)
    if start is None or lines[start].rstrip() != _FENCE:
        return FrontMatter()
    if start:
        collector.warning("front-matter-not-first", "blank lines stand before the front matter", start + 1)
    close = _closing_fence(lines, start)
    block = lines[start + 1 : close]
    entries = None if close is None else _read_block(block, start + 2, collector)
    if close is None or entries is None:
        return _unclosed(lines, start, collector)
    front = FrontMatter(entries, close + 1, start + 1)
    while _merge_next_block(lines, front, collector):
        pass
    return front


def _closing_fence(lines: list[str], start: int) -> int | None:
    return next((index for index in range(start + 1, len(lines)) if lines[index].rstrip() == _FENCE), None)


def _read_block(block: list[str], first_line: int, collector: Collector) -> dict[str, Entry] | None:
    """The entries of a closed block; None where the text between the fences is not a head at all."""
    trial = Collector(collector.source)
    try:
        entries = _as_yaml(block, first_line, trial)
        collector.diagnostics += trial.diagnostics
        return entries
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + min(mark.line, max(len(block) - 1, 0)) if mark else first_line
    entries, strays = _as_lines(block, first_line)
    ends_early = next((index for index, text in enumerate(block) if _ends_a_head(text)), len(block))
    if not entries or any(stray >= ends_early for stray in strays):
        return None
    ignored = ", ".join(str(first_line + stray) for stray in strays)
    collector.warning(
        "front-matter-not-yaml",
        "the front matter is not valid YAML and was read as `key: value` lines"
        + (f"; ignored: line {ignored}" if ignored else "")
        + '; put values that begin with * or contain ": " in quotes',
        line,
    )
    return entries


def _as_yaml(block: list[str], first_line: int, collector: Collector) -> dict[str, Entry]:
    """The entries of a block that is a YAML mapping; YAMLError or ValueError where it is none."""
    text = "\n".join(block) + "\n"
    # Composed and not constructed: a date stays text, and aliases cannot blow up or recurse.
    root = yaml.compose(text, Loader=yaml.BaseLoader)
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("not a mapping")
    entries: dict[str, Entry] = {}
    for key, value in root.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError("a key that is no text")
        line = first_line + key.start_mark.line
        if key.value in entries:
            collector.warning("front-matter-key-twice", f"{key.value!r} is given twice; the first counts", line)
        else:
            entries[key.value] = Entry(_plain(value, text), line)
            if key.value == "globs" and _scalars(value) is None:
                message = f"globs is no text and no list of texts; it was read as {entries['globs'].value!r}"
                collector.warning("globs-shape", message, line)
    return entries


def _plain(node: yaml.Node, text: str) -> Value:
    """A scalar or a list of scalars; of anything else its source, as `globs: {a,b}` means no mapping."""
    scalars = _scalars(node)
    if scalars is None:
        return text[node.start_mark.index : node.end_mark.index].strip()
    return scalars if isinstance(node, yaml.SequenceNode) else scalars[0]


def _scalars(node: yaml.Node) -> list[str] | None:
    """The texts of a scalar or of a list of scalars; None of anything else."""
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if any(part.tag.startswith("!") for part in (node, *parts)):
        raise ValueError("a tag where a pattern was meant")
    texts = [_text(part) for part in parts if isinstance(part, yaml.ScalarNode)]
    return texts if len(texts) == len(parts) else None


def _text(node: yaml.ScalarNode) -> str:
    is_null = node.style is None and node.value in _YAML_NULLS
    return "" if is_null else node.value


def _as_lines(block: list[str], first_line: int) -> _Lines:
    """The entries of a block that is not YAML: keys at the margin, list items, and lines that go on."""
    texts: dict[str, list[str]] = {}
    places: dict[str, int] = {}
    strays: list[int] = []
    key = None
    for index, line in enumerate(block):
        if not line.strip() or line.startswith("#"):
            continue
        if match := _KEY.fullmatch(line):
            key = match[1] if match[1] not in texts else None
            if key is None:
                strays.append(index)
                continue
            texts[key], places[key] = [match[2]], first_line + index
        elif key is not None and (line[0] in " \t-" or _is_open_list(texts[key])):
            texts[key].append(line)
        else:
            strays.append(index)
    return _Lines({key: Entry(_value(texts[key]), places[key]) for key in texts}, strays)


def _is_open_list(parts: list[str]) -> bool:
    return parts[0].startswith("[") and not parts[-1].rstrip().endswith("]")


def _value(parts: list[str]) -> Value:
    """The value of a key from the rest of its line and the lines that go on."""
    items = [match[1] for part in parts[1:] if (match := _LIST_ITEM.fullmatch(part))]
    if items and not _scalar(parts[0]):
        return [_scalar(item) for item in items]
    first = "" if parts[0].strip() in _TEXT_BLOCK_MARKS else parts[0]
    text = _scalar(" ".join(part.strip() for part in (first, *parts[1:]) if part.strip()))
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(part) for part in split_patterns(text[1:-1])]
    return text


def _scalar(text: str) -> str:
    text = text.strip()
    for quote in "\"'":
        if text.startswith(quote) and text.find(quote, 1) == len(text) - 1 and len(text) > 1:
            return text[1:-1]
    return _COMMENT.sub("", text, count=1).strip()


def _ends_a_head(line: str) -> bool:
    return not line.strip() or line.startswith(("#", "@"))


def _unclosed(lines: list[str], start: int, collector: Collector) -> FrontMatter:
    """The head whose second fence is missing: the `key: value` lines right after the first one."""
    end = start + 1
    while end < len(lines) and not _ends_a_head(lines[end]):
        if not (_KEY.fullmatch(lines[end]) or lines[end][0] in " \t-"):
            break
        end += 1
    entries, _ = _as_lines(lines[start + 1 : end], start + 2)
    if not entries:
        collector.warning(
            "front-matter-not-read",
            "the file begins with --- but no `key: value` line follows; it was read as having no front matter",
            start + 1,
        )
        return FrontMatter({}, start + 1)
    collector.warning(
        "front-matter-not-closed",
        f"the front matter is not closed; lines {start + 2} to {end} were taken for it, "
        f"put --- on a line of its own after line {end}",
        start + 1,
    )
    return FrontMatter(entries, end, start + 1)


def _merge_next_block(lines: list[str], front: FrontMatter, collector: Collector) -> bool:
    """Take a second block that directly follows into `front`; False where there is none."""
    start = next((index for index in range(front.body, len(lines)) if lines[index].strip()), None)
    if start is None or lines[start].rstrip() != _FENCE:
        return False
    close = _closing_fence(lines, start)
    if close is None:
        return False
    trial = Collector(collector.source)
    entries = _read_block(lines[start + 1 : close], start + 2, trial)
    if not entries or not entries.keys() & _KEYS_OF_RULE_FILES:
        return False
    kept = []
    for key, entry in entries.items():
        old = front.entries.get(key)
        if old is None or not old.value:
            front.entries[key] = entry
        elif old.value != entry.value:
            kept.append(key)
    front.body = close + 1
    collector.diagnostics += trial.diagnostics
    collector.warning(
        "front-matter-twice",
        "a second block of front matter was merged into the first"
        + (f", whose value counts for {', '.join(map(repr, kept))}" if kept else ""),
        start + 1,
    )
    return True
