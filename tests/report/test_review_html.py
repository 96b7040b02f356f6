from __future__ import annotations

from dataclasses import replace

import pytest

from mlrules_mcp.evidence.answer import Answer, Evidence, Kind, NextStep, Review
from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.report.comparison import Past, compare
from mlrules_mcp.report.review_html import review_html
from tests.report.markup import HOSTILE, Page
from tests.report.reviews import answered, sample


@pytest.fixture(scope="module")
def review() -> Review:
    return sample()


@pytest.fixture(scope="module")
def page(review: Review) -> Page:
    return Page(review_html(review))


def test_the_page_is_whole_and_loads_nothing(page: Page) -> None:
    assert page.problems == []
    assert len(page.html.encode()) < 150_000


def test_every_rule_is_there_with_what_the_filters_ask_for(page: Page, review: Review) -> None:
    assert len(page.values("article", "id")) == 46
    for answer in review.answers:
        number = page.values("article", "id").index(answer.rule)
        assert page.values("article", "data-status")[number] == answer.status
        assert page.values("article", "data-severity")[number] == answer.severity
        assert page.values("article", "data-block")[number] == answer.rule.partition(".")[0]
    assert page.values("input", "value") == ["broken", "no_evidence", "met", "not_applicable"]
    assert "PyTorch (5)" in page.text


def test_what_is_broken_and_what_to_do_come_before_the_rules(page: Page) -> None:
    places = [page.text.index(text) for text in ("7 rules are broken", "What to do next", "Properly manage gradients")]
    assert places == sorted(places)
    assert "Load onto the device that is there" in page.text


def test_a_place_names_file_cell_and_line_and_code_in_a_message_is_code(page: Page) -> None:
    assert "notebooks/explore.ipynb:cell 7:12 .cuda() names one kind of device hardcoded-cuda" in page.text
    assert "<code>.cuda()</code>" in page.html
    assert "and 1 more" in page.text


def test_what_was_not_read_is_said(page: Page) -> None:
    assert "Read 2,000 of 2,413 files" in page.text
    assert "scripts/old.py:4 invalid syntax" in page.text


def test_changes_are_told_at_the_top_and_with_their_rule(review: Review) -> None:
    rule = review.answers[3].rule
    before = {answer.rule: Past(answer.status, 0) for answer in review.answers} | {rule: Past("broken", 9)}
    page = Page(review_html(answered(review, rule, "broken", places=2), compare(before, review, "old.json")))
    assert page.problems == []
    assert "Since old.json: 6 worse, 1 better." in page.text
    assert page.text.count("broken in 4 places, was 9") == 2


def test_the_verdict_says_the_worst_there_is(review: Review) -> None:
    def of(*answers: Answer) -> str:
        return Page(review_html(replace(review, answers=answers))).text

    by_status = {answer.status: answer for answer in review.answers}
    assert "1 rule is broken" in of(by_status["met"], by_status["broken"])
    assert "Nothing is broken; 1 rule leaves no evidence" in of(by_status["met"], by_status["no_evidence"])
    assert "Every rule that applies is met" in of(by_status["met"], by_status["not_applicable"])
    assert "No rule applies here" in of(by_status["not_applicable"])


def test_hostile_texts_are_shown_and_never_run() -> None:
    place = Evidence(HOSTILE, 1, f"`{HOSTILE}`", 2, HOSTILE)
    step = NextStep(HOSTILE, "small", HOSTILE, HOSTILE)
    hostile = Review(
        HOSTILE,
        (Kind("library", (place,)),),
        (Answer("a.b", "error", "broken", HOSTILE, (place,), next_step=step, description=HOSTILE),),
        limits=(HOSTILE,),
        diagnostics=(Diagnostic("c", "error", HOSTILE, HOSTILE),),
    )
    page = Page(review_html(hostile, compare({HOSTILE: Past("met", 0)}, hostile, HOSTILE)))
    page.html.encode()
    assert page.problems == []
    assert "img" not in page.tags
    assert page.tags.count("script") == 2
    assert "\u202e" not in page.html
