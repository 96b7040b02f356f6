from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as Tree

import pytest

from mlrules_mcp.evidence.answer import Review, Status
from mlrules_mcp.report.badge import badge
from tests.report.reviews import sample

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*statuses: Status) -> Tree.Element:
    answers = sample().answers[: len(statuses)]
    changed = (replace(answer, status=status) for answer, status in zip(answers, statuses, strict=True))
    return Tree.fromstring(badge(Review("name", (), tuple(changed))))


@pytest.mark.parametrize(
    ("statuses", "value"),
    [
        (("met", "broken", "broken"), "2 broken"),
        (("met", "no_evidence", "not_applicable"), "1/2 met"),
        (("met", "met"), "2/2 met"),
        (("not_applicable",), "none"),
    ],
)
def test_the_badge_says_how_many_are_broken_or_else_how_many_are_met(statuses: tuple[Status, ...], value: str) -> None:
    texts = [text.text for text in drawn(*statuses).iter(f"{SVG}text")]
    assert texts == ["ML rules", value]


def test_a_screen_reader_hears_all_the_counts() -> None:
    svg = drawn("met", "broken", "no_evidence", "not_applicable")
    title = svg.find(f"{SVG}title")
    assert title is not None
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == title.get("id")
    assert title.text == "ML rules: 1 of 3 rules that apply are met, 1 broken, 1 without evidence"


def test_texts_fit_their_halves_whatever_the_font() -> None:
    svg = drawn("met", "broken")
    left, right = (float(rect.get("width", 0)) for rect in svg.iter(f"{SVG}rect") if rect.get("fill"))
    for text, start, width in zip(svg.iter(f"{SVG}text"), (0, left), (left, right), strict=True):
        x, length = float(text.get("x", 0)), float(text.get("textLength", 0))
        assert start + 5 < x
        assert x + length <= start + width - 5
    assert float(svg.get("width", 0)) == pytest.approx(left + right, abs=0.11)


def test_white_text_has_the_contrast_that_small_text_needs() -> None:
    for statuses in (("broken",), ("no_evidence",), ("met",)):
        for rect in drawn(*statuses).iter(f"{SVG}rect"):  # type: ignore[arg-type]
            if fill := rect.get("fill"):
                assert 1.05 / (luminance(fill) + 0.05) >= 4.5


def luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
