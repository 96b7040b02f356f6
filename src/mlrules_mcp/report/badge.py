"""A review as a badge for a README."""

from __future__ import annotations

from collections import Counter
from html import escape

from mlrules_mcp.evidence.answer import Review

_LABEL = "ML rules"
# White on each reaches the contrast of 4.5 that small text needs.
_GREY, _RED, _AMBER, _GREEN = "#444c56", "#b8232c", "#84570a", "#14733f"

# The widths of Verdana's characters in hundredths of the font's size: what a browser without Verdana draws is
# stretched to them by `textLength`, so that the text fits everywhere.
_WIDTHS = {" ": 35, "/": 45, "L": 56, "M": 84, "b": 62, "e": 60, "k": 59, "l": 27, "m": 97, "n": 63}
_WIDTHS |= {"o": 61, "r": 43, "s": 52, "t": 39, "u": 63} | dict.fromkeys("0123456789", 64)
_SIZE, _MARGIN = 11, 6.0


def badge(review: Review) -> str:
    """An SVG that says how many of the rules that apply are met, or that some are broken."""
    counts = Counter(answer.status for answer in review.answers)
    apply = len(review.answers) - counts["not_applicable"]
    if not apply:
        value, colour = "none", _GREY
    elif broken := counts["broken"]:
        value, colour = f"{broken} broken", _RED
    else:
        value, colour = f"{counts['met']}/{apply} met", _AMBER if counts["no_evidence"] else _GREEN
    title = (
        f"{_LABEL}: {counts['met']} of {apply} rules that apply are met, {counts['broken']} broken, "
        f"{counts['no_evidence']} without evidence"
    )
    return _svg(title, value, colour)


def _svg(title: str, value: str, colour: str) -> str:
    left, right = (_width(text) + 2 * _MARGIN for text in (_LABEL, value))
    width = left + right
    texts = "".join(
        f'<text x="{start + _MARGIN:.1f}" y="14" textLength="{_width(text):.1f}">{escape(text)}</text>'
        for text, start in ((_LABEL, 0.0), (value, left))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.1f}" height="20" viewBox="0 0 {width:.1f} 20" '
        f'role="img" aria-labelledby="title"><title id="title">{escape(title)}</title>'
        f'<clipPath id="round"><rect width="{width:.1f}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#round)"><rect width="{left:.1f}" height="20" fill="{_GREY}"/>'
        f'<rect x="{left:.1f}" width="{right:.1f}" height="20" fill="{colour}"/></g>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{_SIZE}">{texts}</g></svg>'
    )


def _width(text: str) -> float:
    return sum(_WIDTHS[character] for character in text) * _SIZE / 100
