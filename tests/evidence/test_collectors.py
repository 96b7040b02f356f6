"""Every collector is held to its own documentation and examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlrules_mcp.evidence.collector import SECTIONS, Collector, Example, documentation
from mlrules_mcp.evidence.review import all_collectors
from tests.evidence.support import CATALOGUE, place, reviewed

COLLECTORS = all_collectors()
EXAMPLES = [
    pytest.param(collector.rule, example, id=f"{collector.rule}-{number}")
    for collector in COLLECTORS
    for number, example in enumerate(collector.examples)
]


@pytest.mark.parametrize(("rule", "example"), EXAMPLES)
def test_an_example_gets_the_expected_answer_at_the_expected_places(
    rule: str, example: Example, tmp_path: Path
) -> None:
    result = reviewed(tmp_path, example.files)
    answer = next(answer for answer in result.answers if answer.rule == rule)
    assert answer.status == example.status, answer
    if example.places is not None:
        assert [place(evidence) for evidence in answer.evidence] == list(example.places), answer
    assert answer.summary
    if answer.status in ("met", "broken"):
        assert answer.evidence
    if answer.status in ("broken", "no_evidence"):
        assert answer.next_step is not None
        assert answer.next_step.title
        assert answer.next_step.path
        assert answer.next_step.content.strip()
        if answer.next_step.path.endswith(".py") and answer.next_step.line is None:
            compile(answer.next_step.content, answer.next_step.path, "exec")


@pytest.mark.parametrize("collector", COLLECTORS, ids=lambda collector: collector.rule)
def test_a_collector_documents_itself(collector: type[Collector]) -> None:
    assert tuple(documentation(collector)) == ("summary", *SECTIONS)
    assert all(documentation(collector).values())
    assert collector.rule in {rule.key for rule in CATALOGUE.rules.rules}


@pytest.mark.parametrize("collector", COLLECTORS, ids=lambda collector: collector.rule)
def test_a_collector_shows_that_its_rule_can_be_met_and_not_be_met(collector: type[Collector]) -> None:
    statuses = {example.status for example in collector.examples}
    assert "met" in statuses
    assert statuses & {"broken", "no_evidence"}
    assert "not_applicable" in statuses
