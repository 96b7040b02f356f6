"""Columns that are about people: which they are, and where a project has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.patterns import pattern

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

# Parts of keys that the code is asked for; `_PROTECTED` and `_PERSONAL` then take them by whole words.
PROTECTED_KEYS = (
    "gender sex race ethnic nationality religion marital senior disab pregnan native_country native-country citizen"
)
PERSONAL_KEYS = (
    "email e_mail phone ssn social_security passport address zip_code birth surname first_name last_name fullname "
    "customer patient employee iban credit_card salary income"
)
_PROTECTED = pattern(
    r"(?i)(^|[^a-z])(gender|sex|race|ethnicity|ethnic_?group|nationality|religion|marital[_\- ]?status|"
    r"senior_?citizen|disability|disabled|pregnant|native[_\-]country|citizenship)([^a-z]|$)"
)
_PERSONAL = pattern(
    r"(?i)(^|[^a-z])(e_?mail([_ ]address)?|phone([_ ]?(number|no))?|ssn|passport([_ ]?(number|no))?|(home_?)?address|"
    r"date_?of_?birth|birth_?(date|day)|dob|sur_?name|first_?name|last_?name|full_?name|"
    r"(customer|patient|employee)_?(id|name|no|number)|iban|credit_?card(_?(number|no))?|salary|income)([^a-z]|$)"
)


def protected_columns(project: Facts) -> list[Evidence]:
    """Places with columns of protected attributes."""
    found = [
        of(fact) for fact in project.keys(*PROTECTED_KEYS.split()) if _is_column(fact) and _PROTECTED.search(fact.name)
    ]
    return found + _set(project, _PROTECTED)


def personal_columns(project: Facts) -> list[Evidence]:
    """Places with columns that tell who somebody is."""
    keys = project.keys(*PERSONAL_KEYS.split())
    found = [of(fact) for fact in keys if _is_column(fact) and _PERSONAL.search(fact.name)]
    return found + _set(project, _PERSONAL)


def _set(project: Facts, wanted: re.Pattern[str]) -> list[Evidence]:
    """Places in configurations where such a column is listed."""
    return [
        Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")
        for setting in project.set_to("", r"^[\w\- ]{3,30}$")
        if wanted.fullmatch(setting.value.strip()) and _names_columns(setting.key)
    ]


def _is_column(fact: Fact) -> bool:
    return "add_argument" not in fact.text and "headers" not in fact.text.lower()


def _names_columns(key: str) -> bool:
    return any(
        word in key.lower() for word in ("column", "feature", "categor", "numeric", "id_", "field", "key", "target")
    )
