from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlrules_mcp.evidence.answer import Review, Status
from mlrules_mcp.report.comparison import NotAReview, Past, compare, comparison_data, comparison_text, read_review
from mlrules_mcp.report.review_data import review_data
from tests.report.reviews import answered, sample


@pytest.fixture(scope="module")
def review() -> Review:
    return sample()


def past(review: Review) -> dict[str, Past]:
    return {answer.rule: Past(answer.status, len(answer.evidence) + answer.more) for answer in review.answers}


def test_a_review_is_unchanged_since_itself(review: Review, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(review_data(review)), encoding="utf-8")
    comparison = compare(read_review(old), review, "old.json")
    assert comparison.changes == ()
    assert comparison_text(comparison) == "Nothing changed since old.json."


@pytest.mark.parametrize(
    ("before", "after", "direction", "text"),
    [
        (("broken", 1), ("met", 1), "better", "met, was broken"),
        (("broken", 1), ("no_evidence", 0), "better", "no evidence, was broken"),
        (("no_evidence", 0), ("met", 1), "better", "met, was no evidence"),
        (("met", 1), ("no_evidence", 0), "worse", "no evidence, was met"),
        (("met", 1), ("broken", 1), "worse", "broken, was met"),
        (("not_applicable", 0), ("broken", 1), "worse", "broken, was not applicable"),
        (("not_applicable", 0), ("met", 1), "other", "met, was not applicable"),
        (("broken", 1), ("not_applicable", 0), "other", "not applicable, was broken"),
        (("broken", 5), ("broken", 1), "better", "broken in 1 place, was 5"),
        (("broken", 1), ("broken", 5), "worse", "broken in 5 places, was 1"),
    ],
)
def test_each_change_is_better_worse_or_neither(
    review: Review, before: tuple[Status, int], after: tuple[Status, int], direction: str, text: str
) -> None:
    rule = review.answers[0].rule
    comparison = compare(past(answered(review, rule, *before)), answered(review, rule, *after), "old.json")
    (change,) = comparison.changes
    assert (change.rule, change.direction, change.text) == (rule, direction, text)
    assert comparison_text(comparison).splitlines()[1] == f"  {direction:6}  {rule}: {text}"


def test_more_places_that_speak_for_a_rule_are_no_change(review: Review) -> None:
    rule = review.answers[0].rule
    assert compare(past(answered(review, rule, "met", 1)), answered(review, rule, "met", 5), "old").changes == ()


def test_a_rule_that_came_or_went_is_named(review: Review) -> None:
    before = past(review)
    before["gone.rule"] = before.pop(review.answers[0].rule)
    texts = {change.rule: (change.direction, change.text) for change in compare(before, review, "old").changes}
    assert texts == {
        review.answers[0].rule: ("other", "met, was not a rule"),
        "gone.rule": ("other", "no longer a rule, was met"),
    }


def test_what_got_worse_comes_first_and_the_balance_is_told(review: Review) -> None:
    met, _, other, broken = (answer.rule for answer in review.answers[:4])
    now = answered(answered(answered(review, broken, "met"), met, "broken"), other, "not_applicable")
    comparison = compare(past(review), now, "old.json")
    assert [change.direction for change in comparison.changes] == ["worse", "better", "other"]
    assert comparison.summary == "Since old.json: 1 worse, 1 better, 1 otherwise changed."
    data = comparison_data(comparison)
    assert [len(data[key]) for key in ("worse", "better", "other")] == [1, 1, 1]
    assert data["worse"][0] == {
        "rule": met, "before": "met", "after": "broken", "places_before": 0, "places_after": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\xff\xfe", "is not JSON"),
        ("[]", "has no list of rules"),
        ('{"rules": []}', "has no list of rules"),
        ('{"rules": {"rule": 1}}', "has no list of rules"),
        ('{"rules": [1]}', "has no name or no known status"),
        ('{"rules": [{"rule": "a.b", "status": "fine"}]}', "has no name or no known status"),
        ('{"findings": []}', "has no list of rules"),
    ],
)
def test_a_file_that_is_no_review_is_refused_with_a_way_out(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "old.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(NotAReview, match=said) as refused:
        read_review(file)
    assert "mlrules-mcp review --format json" in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAReview, match=r"gone\.json can't be read: No such file"):
        read_review(tmp_path / "gone.json")
