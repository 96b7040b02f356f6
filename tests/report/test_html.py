from __future__ import annotations

import pytest

from tests.report.markup import HOSTILE, Page


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<p style="color:red">x</p>', "inline code or style: style"),
        ('<p onclick="go()">x</p>', "inline code or style: onclick"),
        ('<img src="a.png">', "loads or leaves"),
        ("<p><b>x</p></b>", "closed out of order"),
        ('<p id="a"></p><p id="a"></p>', "id twice: a"),
        ('<p aria-labelledby="b"></p>', "no such id: b"),
        ("<script>1</script>", "does not let this script run"),
        ("<p>https://example.org</p>", "names another host"),
    ],
)
def test_the_reader_of_pages_sees_what_is_wrong(body: str, problem: str) -> None:
    head = "<meta content=\"default-src 'none'\">"
    assert not Page(f"<html>{head}<p>fine</p></html>").problems
    assert any(problem in each for each in Page(f"<html>{head}{body}</html>").problems)


def test_a_hostile_text_has_no_place_in_a_page_to_break_out_of() -> None:
    assert Page(f"<html><meta content=\"default-src 'none'\">{HOSTILE}</html>").problems
