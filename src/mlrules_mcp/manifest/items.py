"""One item of a block to one rule, validated field by field."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from mlrules_mcp.findings import Severity
from mlrules_mcp.manifest.annotations import Item
from mlrules_mcp.manifest.collector import Collector
from mlrules_mcp.manifest.hidden import report_hidden_in
from mlrules_mcp.manifest.model import DEFAULT_SEVERITY, Rule, Setting

_OFF = "off"
_SEVERITIES: dict[str, Severity] = {"error": "error", "warning": "warning", "advice": "advice", "info": "advice"}
_SEVERITIES_OF_OTHERS: dict[str, Severity] = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "warn": "warning",
    "low": "advice",
    "hint": "advice",
    "note": "advice",
    "suggestion": "advice",
    "information": "advice",
}

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class RuleItem(BaseModel):
    """What an item of a block may say; its other fields are the business of the assistant it was written for."""

    model_config = ConfigDict(strict=True, extra="ignore")

    id: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\s,\[\]]+$")]
    description: _Text | None = None
    rule: _Text | None = None
    severity: str | None = None
    enabled: bool | None = None


def read_item(item: Item, block: str, collector: Collector) -> Rule | None:
    """The rule that an item of `block` gives, None where it is left out.

    A rule with an empty description is an adjustment: it sets the severity of a rule of the same key or switches it
    off, and has no text of its own.
    """
    fields = _validated(item, block, collector)
    if fields is None:
        return None
    key = f"{block}.{fields.id}"
    if fields.description and fields.rule:
        collector.warning("two-texts", f"{key} has a description and a rule; the description counts", item.line)
    text = fields.description or fields.rule or ""
    enabled = fields.enabled
    severity = None
    if fields.severity is not None:
        if fields.severity.strip().lower() == _OFF:
            enabled = False
        else:
            severity = _severity(fields.severity, key, item.line, collector)
    given: dict[Setting, object] = {"severity": severity, "enabled": enabled}
    stated = tuple(name for name, value in given.items() if value is not None)
    if not text and not stated:
        collector.error("item-without-text", f'{key} is left out: it needs a "description"', item.line)
        return None
    return Rule(
        block=block,
        id=fields.id,
        severity=severity or DEFAULT_SEVERITY,
        description=text,
        line=item.line,
        source=collector.source,
        enabled=enabled is not False,
        stated=stated,
    )


def _validated(item: Item, block: str, collector: Collector) -> RuleItem | None:
    """The fields of an item without those that are not what they should be; None where no rule is left."""
    if not isinstance(item.value, dict):
        collector.error("item-shape", f"an item of {block} is left out: it is no object", item.line)
        return None
    values = dict(item.value)
    if report_hidden_in(values, f"an item of {block}", item.line, collector):
        return None
    try:
        return RuleItem.model_validate(values)
    except ValidationError as error:
        problems = {str(problem["loc"][0]): problem["msg"] for problem in error.errors(include_url=False)}
    if "id" in problems:
        collector.error(
            "item-without-id",
            f'an item of {block} is left out: its "id" must be a text without spaces, commas and brackets',
            item.line,
        )
        return None
    for name, problem in problems.items():
        del values[name]
        collector.warning("item-field", f"{block}.{values['id']}: {name} was ignored: {problem}", item.line)
    return RuleItem.model_validate(values)


def _severity(given: str, key: str, line: int, collector: Collector) -> Severity | None:
    """The severity that a word stands for, None where it is unknown."""
    if given in _SEVERITIES:
        return _SEVERITIES[given]
    word = given.strip().lower()
    severity = _SEVERITIES.get(word) or _SEVERITIES_OF_OTHERS.get(word)
    known = "error, warning, advice or off"
    if severity is None:
        message = f"{key}: severity {given!r} is none of {known}; {DEFAULT_SEVERITY} was assumed"
        collector.warning("unknown-severity", message, line)
    else:
        collector.warning("severity-word", f"{key}: severity {given!r} was read as {severity}; write {known}", line)
    return severity
