from __future__ import annotations

import ast

import pytest

from mlrules_mcp.checks.check import Check
from mlrules_mcp.findings import Severity
from mlrules_mcp.source import Module, SourceFile

MODULE = Module(SourceFile.from_text("import torch\n", "train.py"))


class AnyImport(Check[ast.Import]):
    """An import."""


@pytest.mark.parametrize(("of_the_rule", "reported"), [("warning", "error"), ("error", "error"), ("advice", "advice")])
def test_a_certain_error_is_reported_as_one_unless_its_rule_is_advice(of_the_rule: Severity, reported: str) -> None:
    node = MODULE.nodes(ast.Import)[0]
    assert AnyImport(of_the_rule).finding(MODULE, node, "It raises. Take it out.", error=True).severity == reported


@pytest.mark.parametrize("of_the_rule", ["warning", "error", "advice"])
def test_advice_is_advice_whatever_the_severity_of_the_rule(of_the_rule: Severity) -> None:
    node = MODULE.nodes(ast.Import)[0]
    finding = AnyImport(of_the_rule).finding(MODULE, node, "It is odd. Look at it.", advice=True)
    assert finding.severity == "advice"
    assert AnyImport(of_the_rule).finding(MODULE, node, "It is odd. Look at it.").severity == of_the_rule
