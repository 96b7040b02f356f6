from __future__ import annotations

from mlrules_mcp.evidence.prose import sections_in


def test_a_document_is_cut_at_its_headings() -> None:
    text = "Intro\n\n# One\n\ntext\n\n```bash\n# no heading\n```\n## Two ##\nmore\n"
    found = sections_in("README.md", text)
    assert [(each.line, each.heading) for each in found] == [(1, ""), (3, "One"), (10, "Two")]
    assert "# no heading" in found[1].text


def test_underlined_titles_are_headings_and_tables_and_rules_are_not() -> None:
    text = "Title\n=====\n\nbody\n\n| a | b |\n| --- | --- |\n\n---\n\nData\n----\nrows\n"
    found = sections_in("README.rst", text)
    assert [(each.line, each.heading) for each in found] == [(1, "Title"), (11, "Data")]


def test_the_line_of_a_place_in_a_section_is_that_of_the_file() -> None:
    markdown = sections_in("a.md", "# One\n\nfirst\nsecond\n")[0]
    assert markdown.line_of(markdown.text.index("second")) == 4
    rst = sections_in("a.rst", "One\n===\n\nfirst\nsecond\n")[0]
    assert rst.line_of(rst.text.index("second")) == 5
    bare = sections_in("a.md", "first\nsecond\n")[0]
    assert bare.line_of(bare.text.index("second")) == 2
