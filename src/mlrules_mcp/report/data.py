"""Answers as plain data, ready for `json.dumps`: the shapes that scripts rely on."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from textwrap import dedent
from typing import Any

from mlrules_mcp.analysis.engine import Analysis
from mlrules_mcp.catalogue import AnyCheck, Catalogue
from mlrules_mcp.checks.check import Bad, Check, Good, documentation
from mlrules_mcp.findings import Diagnostic, Finding, Location
from mlrules_mcp.manifest.globs import applies
from mlrules_mcp.manifest.model import Rule

_MARKERS = str.maketrans("", "", "«»‹›")
_BLOCKS = {"pytorch": "PyTorch", "sklearn": "scikit-learn"}


def analysis_data(analysis: Analysis) -> dict[str, Any]:
    """What was found, every key always present."""
    return {
        "files": analysis.files,
        "findings": [finding_data(finding) for finding in analysis.findings],
        "diagnostics": [diagnostic_data(diagnostic) for diagnostic in analysis.diagnostics],
    }


def finding_data(finding: Finding) -> dict[str, Any]:
    """One finding; lines and columns count from 1, columns in characters, the end exclusive."""
    fix = finding.fix
    return {
        "rule": finding.rule,
        "check": finding.check,
        "severity": finding.severity,
        "path": finding.path,
        "cell": finding.location.cell,
        **_range(finding.location),
        "message": finding.message,
        "fix": {"applicability": fix.applicability, "title": fix.title} if fix else None,
        "also_at": [{"cell": place.cell, "line": place.line, "column": place.column} for place in finding.also_at],
        "related": [
            {
                "path": related.path,
                "cell": related.location.cell,
                "line": related.location.line,
                "message": related.message,
            }
            for related in finding.related
        ],
    }


def _range(location: Location) -> dict[str, int]:
    return {
        "line": location.line,
        "column": location.column,
        "end_line": location.end_line,
        "end_column": location.end_column,
    }


def diagnostic_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic; `line` and `column` are null where it speaks of the whole file."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "path": diagnostic.path,
        "cell": diagnostic.cell,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "message": diagnostic.message,
    }


def rule_data(rule: Rule, checks: Iterable[AnyCheck]) -> dict[str, Any]:
    """One rule of the manifest with the checks that enforce it and what later manifests changed."""
    return {
        "rule": rule.key,
        "severity": rule.severity,
        "enabled": rule.enabled,
        "description": rule.description,
        "source": rule.source,
        "line": rule.line,
        "checks": [check.name for check in checks],
        "overrides": [
            {"source": o.source, "line": o.line, "field": o.field, "old": o.old, "new": o.new} for o in rule.overrides
        ],
    }


def _brief(rule: Rule) -> dict[str, Any]:
    return {"rule": rule.key, "severity": rule.severity, "description": rule.description}


def block_title(rule: str) -> str:
    """The block of a rule's key as a heading."""
    name = rule.partition(".")[0].removesuffix("_rules")
    words = name.replace("_", " ")
    return _BLOCKS.get(name, words[:1].upper() + words[1:])


def rules_data(
    catalogue: Catalogue, paths: Sequence[str] = (), root: str | None = None, *, brief: bool = False
) -> dict[str, Any]:
    """The rules in force, all of them or those that apply to some paths, and for each path why.

    Args:
        paths: files that may or may not exist; empty asks for every rule.
        root: the folder that relative globs start from.
        brief: of each rule that is on only its severity and what it asks for.
    """
    scopes = [(path, manifest, applies(manifest, path, root)) for path in paths for manifest in catalogue.manifests]
    on = {manifest.source for _, manifest, scope in scopes if scope.on}
    return {
        "paths": [
            {
                "path": path,
                "manifest": manifest.source,
                "trigger": scope.trigger,
                "on": scope.on,
                "about": scope.about,
                "pattern": scope.match.pattern if scope.match.matched else None,
                "reason": scope.reason,
                "notes": list(scope.match.notes),
            }
            for path, manifest, scope in scopes
        ],
        "rules": [
            _brief(rule) if brief else rule_data(rule, catalogue.checks_of(rule))
            for rule in catalogue.rules.rules
            if (not paths or rule.source in on) and (rule.enabled or not brief)
        ],
        "guidance": {
            block.name: [bullet.text for bullet in block.guidance]
            for block in catalogue.rules.blocks
            if block.guidance and (not paths or block.source in on) and not brief
        },
        "diagnostics": [diagnostic_data(diagnostic) for diagnostic in catalogue.rules.diagnostics],
    }


def explanation_data(catalogue: Catalogue, name: str) -> dict[str, Any]:
    """A rule, or the rule of one check, with its guidance and the documentation and examples of its checks.

    Args:
        name: `block.id`, an unambiguous id, or a check, which is then the only one explained.

    Raises:
        RuleNameError: it is not the name of one rule, nor of a check.
    """
    named = [check for check in catalogue.checks if check.name == name]
    rule = catalogue.rules.rule(named[0].rule if named else name)
    checks = catalogue.checks_of(rule)
    return {
        **rule_data(rule, checks),
        "guidance": [bullet.text for bullet in catalogue.rules.block(rule.block).guidance],
        "checks": [check_data(check) for check in named or checks],
    }


def check_data(check: AnyCheck) -> dict[str, Any]:
    """A check's documentation by section, and its examples as code without markers."""
    check_class: type[Check[ast.AST]] = type(check)
    sections = documentation(check_class)
    return {
        "check": check.name,
        "summary": sections["summary"],
        "also_enforces": list(check.rules[1:]),
        **{title.lower().replace(" ", "_"): text for title, text in sections.items() if title != "summary"},
        "bad": [_bad_data(example) for example in check.examples if isinstance(example, Bad)],
        "good": [_good_data(example) for example in check.examples if isinstance(example, Good)],
    }


def _bad_data(example: Bad) -> dict[str, Any]:
    fixed = example.safe_fix or example.suggested_fix
    return {
        "code": _example_code(example),
        "fixed": _code(fixed) if fixed is not None else None,
        "applicability": "safe" if example.safe_fix else "suggested" if fixed is not None else None,
    }


def _good_data(example: Good) -> dict[str, Any]:
    return {"code": _example_code(example), "why": example.why or None}


def _example_code(example: Bad | Good) -> str:
    """An example's code, and what the cell has shown as comments below."""
    code = _code(example.code)
    if example.shows is None:
        return code
    shown = "\n".join(f"# {line}".rstrip() for line in _code(example.shows).split("\n"))
    return f"{code}\n# The saved output of this cell:\n{shown}"


def _code(text: str) -> str:
    return dedent(text).strip("\n").translate(_MARKERS)


def without_empty(value: Any) -> Any:
    """The same data without null and empty members, for readers who pay by the token."""
    if isinstance(value, dict):
        slim = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in slim.items() if item not in (None, [], {})}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value
