"""Personal data by the names of columns and the form of values: what identifies one person, and no sample of it."""

from __future__ import annotations

import re
from typing import NamedTuple

from mlrules_mcp.patterns import pattern

_WORDS = pattern(r"(?<=[a-z0-9])(?=[A-Z])|[\s._-]+")
_NUMBER = r" (no|num|number|nbr)"


class Kind(NamedTuple):
    """One kind of personal data.

    Attributes:
        what: what it is, in the words of a message, in the plural.
        column: columns that hold it, as `words_of` writes their names.
        value: a value of it.
    """

    what: str
    column: re.Pattern[str]
    value: re.Pattern[str]


KINDS = (
    Kind(
        "e-mail addresses",
        pattern(r"(^| )e ?mails?( (id|addr|address|addresses))?$"),
        pattern(r"(?<![\w.%+@/-])[\w.%+-]+@(?P<domain>(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})(?![\w@])"),
    ),
    Kind(
        "phone numbers",
        pattern(rf"(^| )((?<!cell )phones?|telephone|((cell ?)?phone|telephone|mobile|tel|cell|contact){_NUMBER})$"),
        pattern(r"(?<![\w.,-])(?:\+?\d{1,3}[ .-]?)?\(?\d{3,5}\)?[ .-]?\d{3}[ .-]?\d{3,4}(?![\w.,-]|\(\))"),
    ),
    Kind(
        "social security numbers",
        pattern(rf"(^| )(ssn|social security({_NUMBER})?)$"),
        pattern(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"),
    ),
    Kind(
        "card numbers",
        pattern(rf"(^| )(credit )?card{_NUMBER}$"),
        pattern(r"(?<![\w.-])(?:\d{4}[ -]?){3}\d{4}(?![\w.-])"),
    ),
    Kind(
        "bank accounts",
        pattern(r"(^| )iban$"),
        pattern(r"(?<!\w)[A-Z]{2}\d{2} ?(?:[A-Z0-9]{4} ?){3,7}[A-Z0-9]{0,3}(?!\w)"),
    ),
    Kind("passport numbers", pattern(rf"(^| )passport{_NUMBER}$"), pattern(r"(?<!\w)[A-Z]{1,2}\d{6,8}(?!\w)")),
)
# What every such column's name has in it, in lower case.
COLUMN_WORDS = ("mail", "phone", "mobile", "tel", "ssn", "social", "card", "iban", "passport")
# Domains for documentation (RFC 2606), and those that people make up.
_SAMPLE_DOMAIN = pattern(
    r"(^|\.)(example|test|invalid|localhost|local)(\.|$)|(^|\.)(e-?mail|mail|domain|foo|bar|company|acme|xyz|abc|\w)\.\w+$",
    re.IGNORECASE,
)
_SAMPLE_NUMBER = pattern(r"555|12345|(\d)\1{4}|98765")


def words_of(name: str) -> str:
    """A column's name as lower-case words: `customerEmail` and `Customer_E-mail` alike."""
    return " ".join(filter(None, _WORDS.split(name.strip(" '\"")))).lower()


def kind_of_column(name: str) -> Kind | None:
    """The kind of personal data that a column of this name holds."""
    words = words_of(name) if len(name) < 40 else ""
    return next((kind for kind in KINDS if kind.column.search(words)), None)


def values_of(kind: Kind, text: str, known: str = "") -> set[str]:
    """The different values of a kind in a text, but for those made up for documentation, or written in `known`."""
    return {match[0] for match in kind.value.finditer(text) if not _is_sample(match) and match[0] not in known}


def _is_sample(match: re.Match[str]) -> bool:
    domain = match.groupdict().get("domain")
    if domain is not None:
        return bool(_SAMPLE_DOMAIN.search(domain))
    return bool(_SAMPLE_NUMBER.search(re.sub(r"\D", "", match[0]))) or "-" * 2 in match[0]
