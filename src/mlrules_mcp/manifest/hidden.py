"""Characters that a person does not see and an assistant reads: a known way to smuggle instructions.

The set: control characters, bidirectional controls ("Trojan Source", CVE-2021-42574), zero-width characters,
blank fillers, variation selectors, tag characters, line separators and lone surrogates. Emoji sequences and
the joiners of Arabic and Indic writing (RFC 5892, appendix A) use some of them in the open and are let through.
"""

from __future__ import annotations

import re
import unicodedata

from mlrules_mcp.manifest.collector import Collector

_SUSPECT = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SUBDIVISION_FLAG = re.compile(
    "\U0001f3f4(?:"
    + "|".join("".join(chr(0xE0000 + ord(letter)) for letter in code) for code in ("gbeng", "gbsct", "gbwls"))
    + ")\U000e007f"
)
_KEYCAP = "\u20e3"
_TEXT_OR_EMOJI_STYLE = "\ufe0e\ufe0f"
_JOINERS = "\u200c\u200d"
_VIRAMA = 9


def hidden_characters(text: str) -> list[int]:
    """The places in `text`, counted from 0, of characters that do not show."""
    if text.isascii() and text.isprintable():
        return []
    text = _SUBDIVISION_FLAG.sub(lambda flag: "x" * len(flag[0]), text)
    return [match.start() for match in _SUSPECT.finditer(text) if not _in_the_open(text, match.start())]


def visible(text: str) -> str:
    """The text with characters that do not show, or that turn the direction of others, written out as `<U+202E>`."""
    places = set(hidden_characters(text))
    if not places:
        return text
    return "".join(f"<U+{ord(each):04X}>" if place in places else each for place, each in enumerate(text))


def describe(character: str) -> str:
    """The name of a character that cannot be printed: `U+202E (RIGHT-TO-LEFT OVERRIDE)`."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def report_hidden(lines: list[str], collector: Collector) -> frozenset[int]:
    """The numbers of the lines that carry hidden characters, each reported once with its first column."""
    dirty = set()
    for number, line in enumerate(lines, start=1):
        places = hidden_characters(line)
        if not places:
            continue
        dirty.add(number)
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        collector.error(
            "hidden-unicode",
            f"hidden character {describe(line[places[0]])}{more}: every rule, bullet, heading or value that "
            "this line is part of is left out; delete the character, or the line if you did not write it",
            number,
            places[0] + 1,
        )
    return frozenset(dirty)


def report_hidden_in(value: object, what: str, line: int, collector: Collector) -> bool:
    r"""Whether a text within the JSON value `value` has hidden characters, which escapes such as `\u202e` make.

    Reports it: `what` on `line` is left out.
    """
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str) and (places := hidden_characters(part)):
            message = f"{what} holds the hidden character {describe(part[places[0]])} and is left out; delete it"
            collector.error("hidden-unicode", message, line)
            return True
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part
    return False


def _in_the_open(text: str, place: int) -> bool:
    character = text[place]
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if not before:
        return False
    if character in _TEXT_OR_EMOJI_STYLE:
        if before.isascii():
            return before in "0123456789#*" and after == _KEYCAP
        return not _SUSPECT.match(before)
    if character in _JOINERS and after:
        joins_letters = unicodedata.combining(before) == _VIRAMA or (_is_arabic(before) and _is_arabic(after))
        return joins_letters or (character == "\u200d" and _ends_emoji(text, place) and _is_pictograph(after))
    return False


def _is_arabic(character: str) -> bool:
    return unicodedata.bidirectional(character) == "AL"


def _is_pictograph(character: str) -> bool:
    return character >= "\u2190" and unicodedata.category(character) in ("So", "Sm")


def _ends_emoji(text: str, end: int) -> bool:
    """Whether the text before `end` is a pictograph, possibly with a skin tone and an emoji style."""
    start = end - 1
    while start > 0 and (text[start] == "\ufe0f" or "\U0001f3fb" <= text[start] <= "\U0001f3ff"):
        start -= 1
    return _is_pictograph(text[start])
