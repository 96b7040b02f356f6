from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mlrules_mcp.evidence.answer import Answer, Evidence, NextStep, Review
from mlrules_mcp.report.comparison import Past, compare
from mlrules_mcp.report.review_markdown import review_markdown
from tests.report.markup import HOSTILE
from tests.report.reviews import sample


def tokens(text: str) -> list[Token]:
    """What Markdown makes of a text, inline parts too, with tables and bare links as GitHub has them."""
    parsed = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [token for outer in parsed for token in (outer, *(outer.children or ()))]


@pytest.fixture(scope="module")
def written() -> str:
    return review_markdown(sample())


def one(message: str, path: str = "train.py", line: int | None = 3, content: str = "x = 1") -> str:
    step = NextStep(message, "small", path, content, line)
    answer = Answer("a.b", "error", "broken", message, (Evidence(path, line, message),), 0, (), step, message)
    return review_markdown(Review("project", (), (answer,)))


def test_a_comment_says_the_verdict_counts_and_steps_and_folds_the_rest(written: str) -> None:
    assert written.startswith("### demand-forecast: 7 rules are broken\n\n❌ 7 broken · ❔ 13 no evidence · ✅ 20 met")
    assert "1. Load onto the device that is there (`pytorch_rules.gradient_management`, error, small effort)" in written
    assert written.count("<details>") == written.count("</details>") == 6
    folded = written.index("<details>")
    assert folded < 1500
    assert all(f"`{answer.rule}`" in written[folded:] for answer in sample().answers)


def test_places_are_links_relative_to_the_root(written: str) -> None:
    assert "[`src/forecast/train.py:48`](./src/forecast/train.py#L48)" in written
    assert "[`notebooks/explore.ipynb`](./notebooks/explore.ipynb) cell 7 line 12" in written
    hrefs = [
        str(token.attrs["href"]) for token in tokens(one("x", "mein ordner/größe).py")) if token.type == "link_open"
    ]
    assert set(hrefs) == {"./mein%20ordner/gr%C3%B6%C3%9Fe%29.py#L3"}


def test_the_content_of_a_step_is_a_block_of_code_that_it_cannot_leave() -> None:
    (fence,) = [token for token in tokens(one("x", content="a\n```\n</details>\n# b\n")) if token.type == "fence"]
    assert fence.content == "a\n```\n</details>\n# b\n"
    assert fence.info == "python"


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "# heading",
        "- item",
        "1. item",
        "1) item",
        "+ item",
        "===",
        "![picture](https://example.org/x.png)",
        "[link](https://example.org)",
        "<img src=x>",
        "*a* _b_ ~~c~~",
        "a\n\n<b>b",
        "unclosed ` tick <i>",
        "\\<i> \\`<i>`",
        "| a | b |",
    ],
)
def test_quoted_text_stays_text(text: str) -> None:
    plain, given = tokens(one("quiet")), tokens(one(text))
    kinds = [token.type for token in given if token.type not in ("text", "code_inline", "text_special")]
    assert kinds == [token.type for token in plain if token.type not in ("text", "code_inline", "text_special")]
    html = [token.content for token in given if token.type in ("html_inline", "html_block")]
    assert html == [token.content for token in plain if token.type in ("html_inline", "html_block")]


def test_nothing_is_escaped_that_need_not_be() -> None:
    assert "2\\. Write `a`. Then (see `b`) 3 - 1 = 2." in one("2. Write `a`. Then (see `b`) 3 - 1 = 2.")


def test_nobody_is_notified_and_no_issue_or_address_is_linked() -> None:
    written = one("ask @someone about #12, see https://example.org or www.example.org")
    assert "@someone" not in written
    assert "#12" not in written
    assert "https://" not in written
    assert "www.e" not in written


def test_a_long_review_fits_into_a_comment_and_says_what_is_left_out() -> None:
    review = sample()
    long = replace(review, answers=tuple(replace(answer, summary="long " * 2000) for answer in review.answers))
    written = review_markdown(long)
    assert len(written) < 65_536
    assert written.endswith("left out for their length: see `--format html`._")
    assert written.count("<details>") == written.count("</details>")


def test_changes_come_before_what_to_do() -> None:
    review = sample()
    before = {answer.rule: Past(answer.status, 9) for answer in review.answers}
    written = review_markdown(review, compare(before, review, "old.json"))
    assert "**Since old.json: 7 better.**" in written
    assert "- 📈 better: `pytorch_rules.gradient_management` broken in 4 places, was 9" in written
    assert written.index("Since old.json") < written.index("What to do next")
